"""Step: the pages of a real web, ranked by their links, and as seen from sixteen places.

The graph is cnr-2000, a crawl of 325 557 pages of the Italian research council [P. Boldi, S. Vigna, The WebGraph
framework I, WWW 2004], a quarter of them without links. It does not come with the package: the step runs if the folder
of the data sets is there, and says so if it is not.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy import sparse

import mmlfast as mf
from mmlfast.tour._folder import folder
from mmlfast.tour._frame import Skipped, Tour
from mmlfast.tour._power import Walk

Array = np.ndarray[Any, Any]

_PLACES = 16
_PAGES_OF_A_PLACE = 1000  # neighbours in the list of pages, which is sorted by address


def run(tour: Tour) -> None:
    links = _web()
    scores = _ranking(tour, links)
    places = _places(tour, links)
    _picture(tour, links, scores, places)


def _web() -> Any:
    path = folder() / "graphs" / "cnr-2000.npz"
    if not path.is_file():
        raise Skipped("no graphs/cnr-2000.npz: set MMLFAST_DATA to the folder of the data sets")
    with np.load(path) as data:
        starts, targets = data["indptr"], data["indices"]
    n = len(starts) - 1
    return sparse.csr_array((np.ones(len(targets)), targets, starts), shape=(n, n))


def _ranking(tour: Tour, links: Any) -> Array:
    tol = 1e-6 if tour.quick else 1e-10
    tour.say(f"ranking {links.shape[0]} pages")
    answers: list[mf.graph.PageRank] = []
    times = tour.race(
        lambda: answers.append(mf.graph.pagerank(links, tol=tol, full_output=True)),
        lambda: Walk(links, 0.85).rank(tol),
        peer="power iteration with SciPy",
        pairs=3,
    )
    answer = answers[0]
    precise, _ = Walk(links, 0.85).rank(tol / 100)
    error = float(np.abs(answer.scores - precise).sum())
    tour.check(
        f"pagerank: {links.shape[0]} pages, {links.nnz} links, to {tol:.0e}, graph intake included",
        error=error,
        limit=1.01 * tol,
        times=times,
    )
    tour.check(
        f"the error by the certified one, after {answer.n_iter} sweeps",
        error=error / (answer.error_bound + tol / 100),
        limit=1,
    )
    return np.asarray(answer.scores)


def _places(tour: Tour, links: Any) -> Array:
    """Rankings by walks that jump to one part of the web only."""
    n = links.shape[0]
    tol = 1e-2 if tour.quick else 1e-6
    tour.say(f"{_PLACES} rankings at once")
    jumps = np.zeros((_PLACES, n))
    for place, first in enumerate(np.linspace(0, n - _PAGES_OF_A_PLACE, _PLACES).astype(int)):
        jumps[place, first : first + _PAGES_OF_A_PLACE] = 1 / _PAGES_OF_A_PLACE
    columns = np.ascontiguousarray(jumps.T)
    scores: list[Array] = []
    expected: list[Array] = []
    times = tour.race(
        lambda: scores.append(mf.graph.pagerank_many(links, jumps, tol=tol)),
        lambda: expected.append(Walk(links, 0.85, columns).rank(tol)[0].T),
        peer=f"power iteration of {_PLACES} columns with SciPy",
        pairs=1,
    )
    tour.check(
        f"pagerank_many: as seen from {_PLACES} places of {_PAGES_OF_A_PLACE} pages each, to {tol:.0e}",
        error=float(np.abs(scores[0] - expected[0]).sum(axis=1).max()),
        limit=2 * tol,
        times=times,
    )
    tour.check("their sums, beside 1", error=float(np.abs(scores[0].sum(axis=1) - 1).max()), limit=1e-13)
    return scores[0]


def _picture(tour: Tour, links: Any, scores: Array, places: Array) -> None:
    n = len(scores)
    figure = Figure(figsize=(14, 4.6), layout="constrained")
    figure.suptitle(f"The web cnr-2000: {n} pages, {links.nnz} links", fontsize=14)
    sizes, counts, common = figure.subplots(1, 3)
    sizes.loglog(np.arange(1, n + 1), np.sort(scores)[::-1])
    sizes.set(xlabel="rank", ylabel="score", title="few pages have most of it")
    sizes.grid(alpha=0.3)
    arriving = np.bincount(links.indices, minlength=n)
    bins = np.logspace(0, 4.3, 40), np.logspace(np.log10(scores.min()), np.log10(scores.max()), 40)
    counted = counts.hist2d(np.maximum(arriving, 1), scores, bins=bins, norm="log", cmap="viridis")
    counts.set(xscale="log", yscale="log", xlabel="links that arrive", ylabel="score", title="not links alone make it")
    figure.colorbar(counted[3], ax=counts, label="pages")
    overlap = np.array([[np.minimum(a, b).sum() for b in places] for a in places])
    shown = common.imshow(100 * np.maximum(overlap, 1e-4), cmap="magma", norm="log")
    common.set(xlabel="place", ylabel="place", title="score that two places have in common")
    figure.colorbar(shown, ax=common, label="%")
    tour.save(figure, "web_graph")
