"""PageRank at damping 1 and next to it: every tolerance that rounding allows, limits, advice that helps."""

from __future__ import annotations

import warnings
from typing import Any

import graphs
import numpy as np
import pytest
from cases import same_bits
from graphs import distance, exact, real_graph, ring
from scipy import sparse
from test_pagerank import check, check_scores, full, quiet

from mmlfast import ConvergenceWarning
from mmlfast.graph import Links, pagerank, pagerank_many

# ---- damping 1 and next to it ----


def slow_graphs() -> dict[str, Any]:
    """Graphs on which steps along the links take very many, with open nodes, closed groups and dangling nodes."""
    rng = np.random.default_rng(4)
    grid = sparse.diags_array([np.ones(299), np.full(299, 0.98)], offsets=[1, -1]).tocsr()
    blocks = sparse.block_diag([graphs.random(n, 3, rng) + ring(n) for n in (30, 80, 1, 2, 140)], format="lil")
    blocks[40, 5] = 1e-4
    blocks[200, 110] = 1e-4
    blocks[150, 112] = 1e-4
    dangling = blocks.copy()
    dangling[3] = 0
    return {"path": grid, "near groups": blocks.tocsr(), "dangling": dangling.tocsr()}


@pytest.mark.parametrize("name", ["path", "near groups", "dangling"])
@pytest.mark.parametrize("digits", [3.5, 4, 6, 9])
def test_every_tolerance_that_rounding_allows_is_reached(name, digits):
    """Krylov's method in float32 gave up with a bound of 2, and the advice to raise max_iter changed nothing."""
    a = slow_graphs()[name]
    damping = 1 - 10.0**-digits
    n = a.shape[0]
    v, w = np.zeros((2, n))
    v[n // 4 : n // 2] = 1
    w[-5:] = 1
    tol = 4e-15 / (1 - damping)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for vectors in ({}, {"personalization": v}, {"personalization": v, "dangling": w}):
            answer = full(a, damping, tol=tol, **vectors)
            check(answer, exact(a, damping, *vectors.values()), tol)
    if digits < 9:
        answer = quiet(pagerank_many, a, v, damping, tol=max(tol, 1e-8))
        assert distance(answer.scores, exact(a, damping, v)) <= answer.error_bound


def in_the_long_run(a: Any, v: Any, w: Any) -> Any:
    """The walk from v, followed for 2^60 half steps, by squaring."""
    a = np.asarray(a.toarray() if sparse.issparse(a) else a)
    v, w = v / v.sum(), w / w.sum()
    total = a.sum(axis=1, keepdims=True)
    p = (np.eye(len(a)) + np.where(total > 0, a / np.where(total > 0, total, 1), w)) / 2
    for _ in range(60):
        p = p @ p
        p /= p.sum(axis=1, keepdims=True)
    return v @ p


@pytest.mark.parametrize("name", ["path", "near groups", "dangling"])
def test_damping_one_is_the_limit(name):
    a = slow_graphs()[name]
    n = a.shape[0]
    v, w = np.zeros((2, n))
    v[n // 4 : n // 2] = 1
    w[-5:] = 1
    for own, other in ((None, None), (v, None), (v, w)):
        answer = quiet(pagerank, a, 1.0, tol=1e-14, personalization=own, dangling=other)
        check_scores(answer.scores)
        assert answer.error_bound <= 1e-14
        own = np.ones(n) if own is None else own
        assert distance(answer.scores, in_the_long_run(a, own, own if other is None else other)) <= 1e-8


def test_damping_one_with_nodes_that_come_back(rng):
    """From dangling nodes the walk goes back where it came from: they are part of a closed group of their own."""
    a = np.zeros((600, 600))
    a[np.arange(299), np.arange(1, 300)] = 1  # a path to a dangling node
    a[np.arange(1, 299), np.arange(298)] = 1.02
    a[300:500, 301:501] = np.eye(200)
    a[301:501, 300:500] += 1.03 * np.eye(200)
    w = np.zeros(600)
    w[:3] = 1
    a[520:] = 0
    a[520:, 0] = a[520:, 310] = 1
    a[501:520, 530] = 1
    answer = quiet(pagerank, a, 1.0, dangling=w, tol=1e-14)
    assert answer.error_bound <= 1e-14
    assert distance(answer.scores, in_the_long_run(a, np.ones(600), w)) <= 1e-8


def test_the_advice_of_the_warning_helps():
    a = slow_graphs()["dangling"]
    for damping in (0.85, 0.9997, 1 - 1e-7):
        with pytest.warns(ConvergenceWarning, match="rounding is in the way: tol=") as record:
            pagerank(a, damping, tol=1e-18)
        tol = float(str(record[0].message).split("tol=")[1].split()[0])
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert full(a, damping, tol=tol).error_bound <= tol
    with pytest.warns(ConvergenceWarning, match="max_iter was reached: raise it"):
        pagerank(a, 0.99, max_iter=3)
    with pytest.warns(ConvergenceWarning, match="max_iter was reached: raise it"):
        pagerank_many(a, damping=0.99, max_iter=6)


def test_bits_next_to_one_do_not_depend_on_threads(threads):
    links = [Links(a) for a in slow_graphs().values()]
    answers = []
    for n in (1, 3):
        threads(n)
        answers.append([quiet(pagerank, g, d, tol=1e-10) for g in links for d in (0.99999, 1 - 1e-8, 1.0)])
    for one, other in zip(*answers, strict=True):
        same_bits(one.scores, other.scores)
        assert one[1:] == other[1:]


@pytest.mark.parametrize("pages", [40_000, pytest.param(None, marks=pytest.mark.slow)])
def test_real_web_next_to_one(pages, data_folder):
    """cnr-2000 at damping .9997 failed with a bound of 2; at damping 1 it took 10 000 sweeps and did not get there."""
    links = Links(real_graph(data_folder, "cnr-2000")[:pages, :pages])
    answer = quiet(pagerank, links, 0.9997, tol=1e-10)
    assert answer.error_bound <= 1e-10
    answer = quiet(pagerank, links, 1.0, tol=1e-12)
    assert answer.error_bound <= 1e-12
    assert answer.n_iter < 2000
