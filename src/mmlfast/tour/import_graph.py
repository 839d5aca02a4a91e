"""Step: the modules of Python's standard library, ranked by who imports whom.

A module that imports another links to it; first comes what many modules rest on that others rest on in turn. The graph
is read from the source files of the Python that runs the tour. Extension modules, which import nothing that can be
read, are the nodes that no link leaves. The convergence picture has, for every sweep over the links, the true error and
the one that was certified: by plain power iteration, and by ours stopped after so many sweeps.
"""

from __future__ import annotations

import ast
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy import sparse

import mmlfast as mf
from mmlfast.tour._frame import Skipped, Tour
from mmlfast.tour._power import Walk

Array = np.ndarray[Any, Any]

_LEFT_OUT = {"test", "tests", "idlelib", "site-packages", "dist-packages", "__pycache__", "turtledemo", "lib2to3"}
_TOL = 1e-12
_CURVES = {0.85: 200, 0.99: 2600}  # damping, and sweeps after which the power method is done


def run(tour: Tour) -> None:
    names, links = _import_graph()
    tour.say(f"ranking {len(names)} modules")
    scores = _ranking(tour, names, links)
    curves = {damping: _convergence(tour, links, damping) for damping in _CURVES}
    _ranking_picture(tour, names, links, scores)
    _convergence_picture(tour, curves)


# ---- who imports whom ----


def _import_graph() -> tuple[list[str], Any]:
    """The modules, and the matrix of their imports: entry (i, j) is 1 if module i imports module j."""
    files = dict(_source_files(Path(os.__file__).parent))
    if len(files) < 100:
        raise Skipped("this Python comes without the source of its standard library")
    known = set(files) | set(sys.stdlib_module_names)
    imports = {name: _imports(name, path, known) for name, path in files.items()}
    names = sorted(set(files) | {target for targets in imports.values() for target in targets})
    number = {name: i for i, name in enumerate(names)}
    pairs = np.array([(number[a], number[b]) for a in files for b in sorted(imports[a])])
    ones = np.ones(len(pairs))
    return names, sparse.csr_array(sparse.coo_array((ones, (pairs[:, 0], pairs[:, 1])), shape=(len(names),) * 2))


def _source_files(folder: Path, package: str = "") -> Iterator[tuple[str, Path]]:
    for path in sorted(folder.iterdir()):
        if path.name in _LEFT_OUT or path.name.startswith(("config-", "_sysconfigdata")):
            continue
        if path.is_dir():
            if (path / "__init__.py").is_file():
                yield from _source_files(path, f"{package}{path.name}.")
        elif path.suffix == ".py":
            yield (package.rstrip(".") if path.stem == "__init__" else package + path.stem), path


def _imports(name: str, path: Path, known: set[str]) -> set[str]:
    """What a module imports, itself left out."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of escapes in old strings
        try:
            tree = ast.parse(path.read_bytes())
        except SyntaxError:
            return set()
    package = name.split(".") if path.stem == "__init__" else name.split(".")[:-1]
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {_known(alias.name, known) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            found |= {_known(f"{base}.{alias.name}", known) for alias in node.names}
    return found - {name, ""}


def _known(name: str, known: set[str]) -> str:
    """The module that a dotted name belongs to: what follows may be a function or a class."""
    while name and name not in known:
        name = name.rpartition(".")[0]
    return name


# ---- ranking ----


def _ranking(tour: Tour, names: list[str], links: Any) -> Array:
    scores = np.asarray(mf.graph.pagerank(links, tol=_TOL))
    ours, theirs, peer = _contest(names, links)
    expected = theirs()
    tour.check(
        f"pagerank: {len(names)} modules, {links.nnz} imports, to {_TOL:.0e}, graph intake included",
        error=float(np.abs(scores - expected).sum()),
        limit=2 * _TOL,
        times=tour.race(ours, theirs, peer=peer),
    )
    return scores


def _contest(names: list[str], links: Any) -> tuple[Callable[[], Array], Callable[[], Array], str]:
    """Both ways to the scores, from the same graph: networkx's, if it is there."""
    if find_spec("networkx") is None:
        return (
            lambda: np.asarray(mf.graph.pagerank(links, tol=_TOL)),
            lambda: Walk(links, 0.85).rank(_TOL)[0],
            "power iteration with SciPy",
        )
    import networkx as nx

    graph = nx.from_scipy_sparse_array(links, create_using=nx.DiGraph)

    def by_networkx() -> Array:
        # It stops at a change of n tol, and the error is up to damping / (1 - damping) times the change.
        return np.array(list(nx.pagerank(graph, tol=_TOL * 0.15 / 0.85 / len(names), max_iter=1000).values()))

    return lambda: np.asarray(mf.graph.pagerank(graph, tol=_TOL)), by_networkx, "networkx.pagerank"


# ---- convergence ----


def _convergence(tour: Tour, links: Any, damping: float) -> dict[str, Array]:
    """Rows of sweeps, true error and certified bound, for the power method and for ours."""
    tour.say(f"convergence at damping {damping}")
    walk = Walk(links, damping)
    exact = np.linalg.solve(np.eye(walk.n) - damping * walk.dense(), np.full(walk.n, (1 - damping) / walk.n))
    power = []
    for sweep, (scores, bound) in enumerate(walk.steps(), 1):
        power.append((sweep, np.abs(scores - exact).sum(), bound))
        if bound <= _TOL or sweep >= _CURVES[damping]:
            break
    prepared = mf.graph.Links(links)
    ours = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mf.ConvergenceWarning)  # it is stopped on purpose
        for most in range(1, _CURVES[damping]):
            answer = mf.graph.pagerank(prepared, damping, tol=_TOL, max_iter=most, full_output=True)
            ours.append((answer.n_iter, np.abs(answer.scores - exact).sum(), answer.error_bound))
            if answer.error_bound <= _TOL:
                break
    curve = np.array(ours)
    tour.check(
        f"the true error by the certified one, stopped after 1 to {len(ours)} sweeps, damping {damping}",
        error=float((curve[:, 1] / curve[:, 2]).max()),
        limit=1,
    )
    tour.check(
        f"sweeps to {_TOL:.0e} by those of the power method, {int(curve[-1, 0])} / {len(power)}, damping {damping}",
        error=float(curve[-1, 0] / len(power)) if curve[-1, 2] <= _TOL else np.inf,
        limit=1,
    )
    return {"power iteration": np.array(power), "mmlfast.graph.pagerank": curve}


# ---- pictures ----


def _ranking_picture(tour: Tour, names: list[str], links: Any, scores: Array) -> None:
    top = np.argsort(-scores, kind="stable")[:25][::-1]
    imported = np.bincount(links.indices, minlength=len(names))
    leaves = np.diff(links.indptr) == 0
    figure = Figure(figsize=(9, 7.5), layout="constrained")
    axes = figure.subplots()
    colours = ["tab:orange" if leaves[i] else "tab:blue" for i in top]
    bars = axes.barh([names[i] for i in top], 100 * scores[top], color=colours)
    axes.bar_label(bars, [f"imported by {imported[i]}" for i in top], padding=3, fontsize=8)
    axes.set(
        xlim=(0, 118 * scores.max()),
        xlabel="PageRank, % (orange: imports nothing itself)",
        title=f"What Python {sys.version_info[0]}.{sys.version_info[1]} rests on: {len(names)} modules, "
        f"{links.nnz} imports",
    )
    axes.grid(axis="x", alpha=0.3)
    tour.save(figure, "import_graph-ranking")


def _convergence_picture(tour: Tour, curves: dict[float, dict[str, Array]]) -> None:
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    figure.suptitle("How far the scores are from the answer, and how far they are certified to be at most", fontsize=14)
    for axes, (damping, methods) in zip(figure.subplots(1, 2), curves.items(), strict=True):
        for (name, curve), colour in zip(methods.items(), ("tab:red", "tab:blue"), strict=True):
            axes.semilogy(curve[:, 0], curve[:, 1], color=colour, label=f"{name}: true error")
            axes.semilogy(curve[:, 0], curve[:, 2], "--", color=colour, alpha=0.7, label="certified")
        axes.set(xlabel="sweeps over the links", title=f"damping {damping}", ylim=(1e-16, 100))
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    tour.save(figure, "import_graph-convergence")
