"""The curves of bench/curve.py: a batch of problems of order n for every n, ours and each peer in turn."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

import mmlfast as mf
from bench.harness import interrupt, machine, report, run_case
from bench.harness.case import Case, Job, Setup
from bench.harness.roof import Roof
from bench.harness.timing import Effort

Array = np.ndarray[Any, Any]
Answer = Any

SIZES = (*range(1, 13), 14, 15, 16, 17, 20, 24, 28, 31, 32, 33, 40, 48, 56, 63, 64, 65, 80, 96, 112, 127, 128)


@dataclass(frozen=True)
class Curve:
    """A function of NumPy's name: what it is given, and how wrong an answer is, in units of n u."""

    name: str
    arrays: Callable[[np.random.Generator, int, int], tuple[Array, ...]]
    error: Callable[[tuple[Array, ...], Answer], float]
    torch: str = ""  # its name in torch, if it has one
    numpy: Callable[..., Any] | None = None  # if it is not numpy.linalg's of that name
    ours: Callable[..., Any] | None = None  # if it is not mmlfast.linalg's of that name
    shape: str = "n x n"
    power: int = 3  # of n, that large problems take


def square(rng: np.random.Generator, items: int, n: int) -> tuple[Array, ...]:
    return (rng.standard_normal((items, n, n)),)


def system(rng: np.random.Generator, items: int, n: int) -> tuple[Array, ...]:
    return rng.standard_normal((items, n, n)), rng.standard_normal((items, n, 1))


def two(rng: np.random.Generator, items: int, n: int) -> tuple[Array, ...]:
    return rng.standard_normal((items, n, n)), rng.standard_normal((items, n, n))


def matrix_and_vector(rng: np.random.Generator, items: int, n: int) -> tuple[Array, ...]:
    return rng.standard_normal((items, n, n)), rng.standard_normal((items, n))


ROWS = 5  # of a tall matrix, for each column


def tall(rng: np.random.Generator, items: int, n: int) -> tuple[Array, ...]:
    return (rng.standard_normal((items, ROWS * n, n)),)


def wide_rows(rng: np.random.Generator, items: int, n: int) -> tuple[Array, ...]:
    return (rng.standard_normal((items, n, ROWS * n)),)


def equations(rng: np.random.Generator, items: int, n: int) -> tuple[Array, ...]:
    return rng.standard_normal((items, ROWS * n, n)), rng.standard_normal((items, ROWS * n, 1))


def two_vectors(rng: np.random.Generator, items: int, n: int) -> tuple[Array, ...]:
    return rng.standard_normal((items, n)), rng.standard_normal((items, n))


def symmetric(rng: np.random.Generator, items: int, n: int) -> tuple[Array, ...]:
    x = rng.standard_normal((items, n, n))
    return (x + x.swapaxes(-1, -2),)


def positive(rng: np.random.Generator, items: int, n: int) -> tuple[Array, ...]:
    x = rng.standard_normal((items, n, n))
    return (x @ x.swapaxes(-1, -2) + n * np.eye(n),)


def size(x: Array, axes: tuple[int, ...] = (-2, -1)) -> Any:
    """Frobenius norms, never zero."""
    return np.maximum(np.sqrt((x * x).sum(axis=axes)), np.finfo(float).tiny)


def wide(x: Any) -> Array:
    return np.asarray(x).astype(np.float64)


def units(arrays: tuple[Array, ...], relative: Any) -> float:
    """A relative error as a multiple of n u, the worst of the batch."""
    return float(np.max(relative) / (arrays[0].shape[-1] * np.finfo(arrays[0].dtype).eps / 2))


def rebuilt(arrays: tuple[Array, ...], product: Array) -> float:
    a = wide(arrays[0])
    return units(arrays, size(product - a) / size(a))


def against(reference: Callable[..., Any], arrays: tuple[Array, ...], answer: Answer) -> float:
    """Against NumPy in float64, relative to the product of the sizes of the operands."""
    exact = reference(*map(wide, arrays))
    scale = np.max(np.abs(exact))
    return units(arrays, np.abs(wide(answer) - exact) / scale)


def solve_error(arrays: tuple[Array, ...], x: Answer) -> float:
    a, b, x = wide(arrays[0]), wide(arrays[1]), wide(x)
    return units(arrays, size(a @ x - b) / (size(a) * size(x) + size(b)))


def inv_error(arrays: tuple[Array, ...], x: Answer) -> float:
    a, x = wide(arrays[0]), wide(x)
    return units(arrays, size(a @ x - np.eye(a.shape[-1])) / (size(a) * size(x)))


def eigh_error(arrays: tuple[Array, ...], answer: Answer) -> float:
    values, vectors = map(wide, answer)
    return rebuilt(arrays, vectors * values[..., None, :] @ vectors.swapaxes(-1, -2))


def svd_error(arrays: tuple[Array, ...], answer: Answer) -> float:
    u, s, vh = map(wide, answer)
    return rebuilt(arrays, u * s[..., None, :] @ vh)


def values_error(arrays: tuple[Array, ...], answer: Answer) -> float:
    """Eigenvalues or singular values: the squares add up to the square of the norm."""
    values, norm = wide(answer), size(wide(arrays[0]))
    return units(arrays, np.abs(size(values, (-1,)) - norm) / norm)


def qr_error(arrays: tuple[Array, ...], answer: Answer) -> float:
    q, r = map(wide, answer)
    return rebuilt(arrays, q @ r)


def cholesky_error(arrays: tuple[Array, ...], answer: Answer) -> float:
    factor = wide(answer)
    return rebuilt(arrays, factor @ factor.swapaxes(-1, -2))


def logdet_error(arrays: tuple[Array, ...], answer: Answer) -> float:
    """The error of the determinant that it stands for, relative to Hadamard's bound."""
    a = wide(arrays[0])
    exact, bound = np.linalg.slogdet(a)[1], np.log(size(a, (-1,))).sum(axis=-1)
    return units(arrays, np.abs(wide(answer[1]) - exact) * np.exp(exact - bound))


def covariance_error(arrays: tuple[Array, ...], answer: Answer) -> float:
    exact = each_covariance(wide(arrays[0]))
    return units(arrays, size(wide(answer) - exact) / size(exact))


def lstsq_error(arrays: tuple[Array, ...], x: Answer) -> float:
    """What is left of the normal equations."""
    a, b, x = wide(arrays[0]), wide(arrays[1]), wide(x)
    return units(arrays, size(a.mT @ (a @ x - b)) / (size(a) * (size(a) * size(x) + size(b))))


# What NumPy has for one problem alone.
def each_lstsq(a: Array, b: Array) -> Array:
    return np.array([np.linalg.lstsq(one, right)[0] for one, right in zip(a, b, strict=True)])


def each_covariance(x: Array) -> Array:
    return np.array([np.atleast_2d(np.cov(one, rowvar=False)) for one in x])


def lstsq_solution(a: Array, b: Array) -> Array:
    return mf.linalg.lstsq(a, b).x


CURVES = (
    Curve("solve", system, solve_error, "solve"),
    Curve("inv", square, inv_error, "inv"),
    Curve("det", square, partial(against, np.linalg.det), "det"),
    Curve("slogdet", square, logdet_error, "slogdet"),
    Curve("cholesky", positive, cholesky_error, "cholesky"),
    Curve("qr", square, qr_error, "qr"),
    Curve("eigh", symmetric, eigh_error, "eigh"),
    Curve("eigvalsh", symmetric, values_error, "eigvalsh"),
    Curve("svd", square, svd_error, "svd"),
    Curve("svdvals", square, values_error, "svdvals"),
    Curve("pinv", square, inv_error, "pinv"),
    Curve("cond", positive, partial(against, np.linalg.cond), "cond"),
    Curve("matrix_rank", square, lambda arrays, rank: float(np.max(arrays[0].shape[-1] - wide(rank))), "matrix_rank"),
    Curve("matmul", two, partial(against, np.matmul), "", np.matmul),
    Curve("matvec", matrix_and_vector, partial(against, np.matvec), "", np.matvec, power=2),
    Curve("vecdot", two_vectors, partial(against, np.vecdot), "", np.vecdot, power=1),
    Curve("qr-tall", tall, qr_error, "qr", np.linalg.qr, mf.linalg.qr, f"{ROWS} n x n"),
    Curve("qr-wide", wide_rows, qr_error, "qr", np.linalg.qr, mf.linalg.qr, f"n x {ROWS} n"),
    Curve("lstsq-tall", equations, lstsq_error, "", each_lstsq, lstsq_solution, f"{ROWS} n x n"),
    Curve("covariance", tall, covariance_error, "", each_covariance, mf.stats.covariance, f"{ROWS} n x n"),
)


def batch_size(curve: Curve, n: int) -> int:
    """Enough items that a call is no overhead, few enough that a slow peer does not take for ever."""
    elements = 400_000 if curve.arrays is two_vectors else 200_000
    per_item = n if curve.arrays is two_vectors else n * n * (1 if curve.shape == "n x n" else ROWS)
    return max(24, min(20_000, elements // per_item))


def job(curve: Curve, n: int, dtype: str, setup: Setup) -> Job:
    arrays = tuple(x.astype(dtype) for x in curve.arrays(setup.rng, batch_size(curve, n), n))
    made = Job(partial(curve.error, arrays), "in units of n u, the worst of the batch", dtype=np.dtype(dtype))
    made.ours(curve.ours or getattr(mf.linalg, curve.name), *arrays)
    made.peer("numpy", curve.numpy or getattr(np.linalg, curve.name), *arrays)
    if torch := setup.library("torch"):
        if curve.torch:
            made.peer("torch", getattr(torch.linalg, curve.torch), *map(torch.from_numpy, arrays))
        elif curve.name == "matmul":
            made.peer("torch", torch.bmm, *map(torch.from_numpy, arrays))
    return made


def parse_sizes(text: str | None) -> tuple[int, ...]:
    if text is None:
        return SIZES
    sizes: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        sizes += range(int(first), int(last or first) + 1)
    return tuple(sizes)


def draw(path: Path, results: dict[str, list[tuple[int, run_case.Result]]], about: dict[str, Any]) -> None:
    """One panel per function: time of each peer over ours against n."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = min(4, len(results))
    rows = -(-len(results) // columns)
    figure = Figure(figsize=(3.4 * columns, 0.6 + 2.5 * rows), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True)
    for panel, (name, points) in zip(panels.flat, results.items(), strict=False):
        for color, peer in (("C0", "numpy"), ("C1", "torch")):
            line = [(n, p.ratio) for n, r in points for p in r.lines[1:] if p.name == peer and p.ratio]
            if line:
                panel.plot(*zip(*line, strict=True), color=color, marker=".", markersize=4, linewidth=1, label=peer)
        panel.axhline(1, color="black", linewidth=1)
        panel.set(xscale="log", yscale="log", title=name)
        panel.set_xticks([1, 2, 4, 8, 16, 32, 64, 128], ["1", "2", "4", "8", "16", "32", "64", "128"])
        panel.minorticks_off()
        panel.yaxis.set_major_formatter(lambda value, _: f"{value:g}x")
        panel.grid(color="0.9", linewidth=0.6)
    for panel in panels.flat[len(results) :]:
        panel.set_visible(False)
    panels.flat[0].legend(fontsize=8)
    figure.suptitle(
        f"time of the peer / time of mmlfast, batches of n x n {about['dtype']} problems\n"
        f"{about['processor']}, {about['threads']} threads, {about['simd']}, peers at {about['peers at']}",
        fontsize=9,
    )
    figure.supxlabel("n", fontsize=9)
    figure.savefig(path)


def losses(results: dict[str, list[tuple[int, run_case.Result]]]) -> list[str]:
    """The sizes at which a peer was faster, in words."""
    lost = []
    for name, points in results.items():
        for n, result in points:
            lost += [
                f"{name} n = {n}: {report.ratio_text(line.ratio)} {line.name}"
                for line in result.lines[1:]
                if line.ratio is not None and line.ratio < 1
            ]
    return lost


def steps(curves: Sequence[Curve], results: dict[str, list[tuple[int, run_case.Result]]]) -> list[str]:
    """Neighbours of which the larger takes more than 1.6 times what its size explains, or less than the smaller."""
    found = []
    for curve in curves:
        timed = [(n, r.ours.seconds / batch_size(curve, n)) for n, r in results[curve.name] if r.ours is not None]
        for (n, one), (m, other) in pairwise(timed):
            explained = (m / n) ** curve.power
            if n >= 4 and m <= n + max(1, n // 3) and not 1 / 1.1 <= other / one <= 1.6 * explained:
                found.append(f"{curve.name} n = {n} to {m}: {other / one:.2f}x, {explained:.2f}x by the size")
    return found


def run(options: argparse.Namespace, threads: int) -> int:
    """Time, print, write. 0, or 1 if a contestant failed, or 130 after Ctrl-C."""
    wanted = [c for c in CURVES if options.only is None or c.name in options.only]
    if not wanted:
        print(f"no function is called {' '.join(options.only)}; there are {' '.join(c.name for c in CURVES)}")
        return 2
    sizes: Sequence[int] = parse_sizes(options.sizes)
    effort = Effort(pairs=options.pairs, most=options.pairs, budget=1.0, sample=2e-3)
    results: dict[str, list[tuple[int, run_case.Result]]] = {c.name: [] for c in wanted}
    interrupted = False
    try:
        with interrupt.remembered():
            for curve in wanted:
                shape = "" if curve.shape == "n x n" else f" {curve.shape},"
                for n in sizes:
                    title = f"{curve.name}, {batch_size(curve, n)} of{shape} n = {n}, {options.dtype}"
                    name = f"{curve.name}-{n}-{options.dtype}"
                    case = Case(name, title, partial(job, curve, n, options.dtype), family=curve.name)
                    result = run_case.run(case, threads, effort, quick=True)
                    results[curve.name].append((n, result))
                    ratios = "  ".join(f"{line.name} {report.ratio_text(line.ratio):>6}" for line in result.lines[1:])
                    ours = result.ours
                    text = "FAILED " + str(result.failed) if ours is None else report.time_text(ours.seconds)
                    error = "" if ours is None else f"error {report.error_text(ours)}"
                    print(f"{title:<44} {text:>9}  {ratios}  {error}", flush=True)
    except KeyboardInterrupt:
        interrupted = True
    flat = [result for points in results.values() for _, result in points]
    about = machine.describe(threads, run_case.libraries(flat), Roof(threads)) | {"dtype": options.dtype}
    lost = losses(results)
    print("\na peer was faster at:" if lost else "\nno peer was faster at any size", *lost, sep="\n  ")
    apart = steps(wanted, results)
    print("\nsteps from size to size:" if apart else "\nno step from size to size", *apart, sep="\n  ")
    if options.json is not None:
        report.write_json(options.json, flat, about)
    if options.plot is not None:
        draw(options.plot, results, about)
    if interrupted:
        return 130
    return 1 if any(result.failed for result in flat) else 0


__all__ = ["CURVES", "Curve", "draw", "losses", "run"]
