"""PageRank: the error against elimination, 50 digits and real graphs; bits, limits, Ctrl-C, NetworkX's own tests."""

from __future__ import annotations

import math
import sys
import warnings
from typing import Any

import graphs
import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from cases import same_bits
from graphs import distance, exact, fifty_digits, powers, real_graph, ring, rmat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import sparse

from mmlfast import ConvergenceWarning
from mmlfast._reference import links as links_reference
from mmlfast._reference import pagerank as reference
from mmlfast.graph import Links, PageRank, pagerank, pagerank_many

GRAPHS = graphs.graphs()
every_graph = pytest.mark.parametrize("name", GRAPHS)
DAMPINGS = [0.5, 0.85, 0.99, 0.999]
TOLS = [1e-4, 1e-7, 1e-10, 1e-12]
posix = pytest.mark.skipif(sys.platform == "win32", reason="no POSIX signals")


def full(links: Any, damping: float = 0.85, **keywords: Any) -> PageRank:
    return pagerank(links, damping, full_output=True, **keywords)


def quiet(function: Any, *args: Any, **keywords: Any) -> PageRank:
    """With `full_output`, and no warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return function(*args, full_output=True, **keywords)


def check_scores(scores: Any) -> None:
    assert scores.dtype == np.float64
    assert (scores >= 0).all()
    assert abs(math.fsum(scores) - 1) <= 4 * 2.0**-52


def check(answer: PageRank, right: Any, tol: float) -> None:
    check_scores(answer.scores)
    assert distance(answer.scores, right) <= answer.error_bound <= tol


# ---- the error is what it is said to be ----


@every_graph
@pytest.mark.parametrize("damping", DAMPINGS)
def test_error_of_one(name, damping):
    links = Links(GRAPHS[name])
    right = exact(GRAPHS[name], damping)
    for tol in (*TOLS[:3], max(1e-12, 1e-14 / (1 - damping))):
        check(full(links, damping, tol=tol), right, tol)


@every_graph
@pytest.mark.parametrize("damping", [0.85, 0.999])
def test_error_of_many(name, damping, rng):
    a = GRAPHS[name]
    n = a.shape[0]
    v = np.ones((3, n))
    v[1] = rng.random(n) * (rng.random(n) < 0.3)
    v[1, n // 2] = 1
    v[2] = 0
    v[2, n - 1] = 7
    links = Links(a)
    rights = [exact(a, damping, row) for row in v]
    # Two chains of additions: the longest row may cost more than one ranking alone.
    within = max(1e-12, 4e-16 * (a.nnz + 20) / (1 - damping))
    for tol in (*TOLS[:3], within):
        answer = pagerank_many(links, v, damping, tol=tol, full_output=True)
        for i in range(3):
            check(PageRank(*(part[i] for part in answer)), rights[i], tol)


@every_graph
@pytest.mark.parametrize("damping", [0.95])
@pytest.mark.parametrize("kind", ["one", "some", "apart"])
def test_error_with_personalization_and_dangling(name, damping, kind, rng):
    a = GRAPHS[name]
    n = a.shape[0]
    v, w = np.zeros(n), np.zeros(n)
    if kind == "one":
        v[n // 3] = w[n // 2] = 1
    elif kind == "some":
        v[:] = rng.random(n) * (rng.random(n) < 0.1)
        w[:] = rng.random(n) * 1e300
        v[0] = 1
    else:
        v[: n // 2 + 1] = 1
        w[n // 2 :] = 1e-305
    for dangling in (None, w):
        right = exact(a, damping, v, dangling)
        for tol in (1e-5, 1e-11):
            check(full(a, damping, personalization=v, dangling=dangling, tol=tol), right, tol)


@pytest.mark.parametrize("damping", [0.0, 1e-300, 0.01, 0.3])
def test_little_damping(damping):
    for name in ("rmat", "thin", "groups", "no links", "spread"):
        right = exact(GRAPHS[name], damping)
        check(full(GRAPHS[name], damping, tol=1e-14), right, 1e-14)
        check(pagerank_many(GRAPHS[name], damping=damping, tol=2e-13, full_output=True), right, 2e-13)


@pytest.mark.parametrize("damping", [0.85, 0.95])
def test_many_nodes(damping, rng):
    """Several blocks and buckets of links."""
    a = rmat(13, 90_000, rng) if damping < 0.9 else graphs.random(10_000, 9, rng)
    a.data[:] = rng.uniform(0.5, 2, a.nnz)
    right = powers(a, damping)
    links = Links(a)
    for tol in (1e-6, 1e-11):
        check(full(links, damping, tol=tol), right, tol)
        check(pagerank_many(links, damping=damping, tol=tol, full_output=True), right, tol)


def small_graphs(count):
    rng = np.random.default_rng(5)
    for k in range(count):
        n = int(rng.integers(1, 9))
        a = (rng.random((n, n)) < rng.choice([0.1, 0.4, 0.8])) * 1.0
        if k % 2:
            a *= 10.0 ** rng.uniform(-9, 9, (n, n))
        v, w = rng.random((2, n)) * (rng.random((2, n)) < 0.6)
        v[rng.integers(n)] = w[rng.integers(n)] = 0.5
        yield a, float(rng.choice([0.1, 0.5, 0.85, 0.99, 0.999, 0.99999])), v, w


def test_bound_at_the_limit_of_rounding():
    """`tol` cannot be reached: the bound is still one, and no larger than it has to be."""
    for a, damping, v, w in small_graphs(30):
        right, other = fifty_digits(a, damping, v, v), fifty_digits(a, damping, v, w)
        for tol in (1e-18, 1e-9):
            several = [
                (right, quiet(pagerank, a, damping, personalization=v, tol=tol)),
                (right, quiet(pagerank, Links(a), damping, personalization=v, tol=tol)),
                (right, quiet(pagerank_many, Links(a), v, damping, tol=tol)),
                (other, quiet(pagerank, a, damping, personalization=v, dangling=w, tol=tol)),
                (other, quiet(pagerank, Links(a), damping, personalization=v, dangling=w, tol=tol)),
            ]
            for expected, answer in several:
                check_scores(answer.scores)
                assert distance(answer.scores, expected) <= answer.error_bound
                assert answer.error_bound <= max(tol, 2e-14 / (1 - damping))


def test_bound_of_a_long_row_in_lanes():
    """Rounding in two chains that all goes one way: each link brings a little more than half a unit of the sum."""
    n = 50_000
    unit = 2.0**-53
    # 0 and 1 have all the score and lead to 2, as the others do, whose scores are far below; from 2 it goes back.
    source = np.r_[0, 1, np.arange(3, n), 2, 2]
    target = np.r_[2, 2, np.full(n - 3, 2), 0, 1]
    v = np.full(n, 0.525 * unit)
    v[:3] = 0.5, 0.5, 0
    a = sparse.csr_array((np.ones(source.size), (source, target)), shape=(n, n))
    damping = 0.5
    # x2 = d (1 - x2 - zero), and so on: by hand, in extended precision, from the equations of the three kinds of node.
    v = v.astype(np.longdouble) / v.astype(np.longdouble).sum()
    d = np.longdouble(damping)
    b = (1 - d) * v
    x = b.copy()
    x[2] = (d * (b[0] + b[1] + b[3:].sum()) + b[2]) / (1 - d * d)
    x[:2] = b[:2] + d * x[2] / 2
    answer = quiet(pagerank_many, a, v.astype(np.float64), damping, tol=1e-18)
    assert distance(answer.scores, x) <= answer.error_bound


def test_unreachable_nodes_have_no_score():
    a = GRAPHS["groups"]
    v = np.zeros(a.shape[0])
    v[3:20] = 1  # in the third group, which no link leaves
    reached = exact(a, 0.9, v) > 0
    assert 0 < reached.sum() < a.shape[0]
    for tol in (1e-3, 1e-12):
        for scores in (pagerank(a, 0.9, personalization=v, tol=tol), pagerank_many(a, v, 0.9, tol=tol)):
            np.testing.assert_array_equal(scores[~reached], 0)
            assert (scores[reached] > 0).all()


def test_many_nodes_do_not_stop_at_once(rng):
    """Where the change of the first step is already below tol in each node (networkx stops there)."""
    n = 1_500_000
    target = np.empty((n, 2), np.int32)
    target[:, 0] = np.arange(1, n + 1) % n
    target[:, 1] = rng.integers(0, 1000, n)
    starts = np.arange(0, 2 * n + 1, 2, dtype=np.int32)
    a = sparse.csr_array((np.ones(2 * n, bool), target.ravel(), starts), shape=(n, n))
    answer = full(a, tol=1e-6)
    assert answer.error_bound <= 1e-6
    assert answer.n_iter > 5
    # The residual, another way: on the answer itself it bounds the error too.
    step = 0.85 * np.bincount(target[:, 0], answer.scores / 2, n) + 0.15 / n
    step += 0.85 * np.bincount(target[:, 1], answer.scores / 2, n)
    assert np.abs(step - answer.scores).sum() / 0.15 <= 4e-6
    check_scores(answer.scores)


# ---- the reference is the same thing ----


def test_reference():
    for a, damping, v, w in small_graphs(20):
        v, w = v / v.sum(), w / w.sum()
        right = exact(a, damping, v, w)
        assert distance(reference.pagerank(a, damping, v, w), right) <= 1e-12 / (1 - damping)
        if damping < 0.999:
            scores, bound, n_iter = reference.pagerank_power(a, damping, v, 1e-8, w)
            assert distance(scores, right) <= bound + 1e-15 <= 1.1e-8
            assert n_iter > 0
    two = np.array([[0.0, 1], [1, 0]])
    np.testing.assert_allclose(reference.stationary(two, np.array([1.0, 0]), 1e-12), 0.5)
    np.testing.assert_array_equal(links_reference.walk(np.diag([0.0, 2]), np.array([0.5, 0.5])), [[0.5, 0.5], [0, 1]])


# ---- when it does not converge ----


@pytest.mark.parametrize("max_iter", [1, 2, 5, 9])
@pytest.mark.parametrize("damping", [0.85, 0.999])
def test_max_iter(max_iter, damping):
    for name in ("rmat", "groups", "spread"):
        a = GRAPHS[name]
        right = exact(a, damping)
        for function in (pagerank, pagerank_many):
            with pytest.warns(ConvergenceWarning, match=r"error bound .* where tol is 1e-15"):
                answer = function(a, damping=damping, tol=1e-15, max_iter=max_iter, full_output=True)
            assert answer.n_iter <= max_iter + 3  # a round of sweeps is not cut short
            assert distance(answer.scores, right) <= answer.error_bound <= 2
            check_scores(answer.scores)


def test_warnings_name_the_line_that_called():
    a, three = np.eye(70), np.ones((3, 3))
    calls = [
        lambda: pagerank(three, 0.9, tol=1e-18),
        lambda: pagerank(Links(three), 0.9, tol=1e-18),
        lambda: pagerank(a, 1.0),
        lambda: pagerank(np.stack([a]), 1.0),
        lambda: pagerank_many(a, damping=0.9, tol=1e-18),
        lambda: pagerank_many(a, damping=[1.0]),
    ]
    for call in calls:
        with pytest.warns(ConvergenceWarning) as record:
            call()
        assert record[0].filename == __file__


def test_the_warning_names_the_ranking():
    with pytest.warns(ConvergenceWarning, match=r"ranking \(1, 0\)"):
        pagerank_many(GRAPHS["rmat"], damping=[[0.5], [0.999]], tol=1e-12, max_iter=5)


def test_lanes_stop_where_rounding_is_in_the_way():
    """They used to go on to max_iter: millions of sweeps for the default tol."""
    answer = quiet(pagerank_many, GRAPHS["rmat"], damping=[0.9, 0.99999], tol=1e-16)
    assert (answer.n_iter < 2000).all()
    assert (answer.error_bound < 1e-8).all()


def test_max_iter_of_many_is_that_of_the_largest_damping_below_one():
    """It was the 10 000 of damping 1 for all, if there was a 1 among them."""
    path = sparse.diags_array([np.ones(399), np.ones(399)], offsets=[1, -1])
    v = np.zeros(400)
    v[200] = 1
    alone = pagerank_many(path, v, 0.99999, tol=1e-8, full_output=True)
    beside = quiet(pagerank_many, path, v, [0.99999, 1.0], tol=1e-8)
    assert alone.n_iter == beside.n_iter[0] > 4000  # then by elimination
    assert beside.error_bound[0] <= 1e-8


@pytest.mark.parametrize("name", ["all to all", "ring", "random", "groups"])
@pytest.mark.parametrize("digits", [7, 8, 10, 15])
def test_damping_next_to_one_ends(name, digits):
    """By default it may go through the links 10^digits times and more, and did."""
    answer = quiet(pagerank, GRAPHS[name], 1 - 10.0**-digits)
    check_scores(answer.scores)
    assert answer.n_iter < 100_000
    assert answer.error_bound <= 2


@pytest.mark.parametrize("name", ["all to all", "ring", "random"])
def test_damping_next_to_one_is_right(name):
    """Power iteration gets there in a few steps."""
    answer = quiet(pagerank, GRAPHS[name], 1 - 1e-9)
    assert answer.error_bound <= 1e-4


def test_bound_of_lanes_counts_two_chains_of_additions():
    """The lanes add a row up in two chains: each term goes through half as many additions as there are links."""
    n = 100_001
    star = Links.from_edges(np.arange(1, n), np.zeros(n - 1, int))
    answer = pagerank_many(star, full_output=True)
    assert answer.error_bound >= (n - 1) / 2 * 2.0**-53 / (1 - 0.85)


def test_tol_may_be_the_smallest_number():
    check_scores(quiet(pagerank, np.ones((3, 3)), tol=5e-324).scores)
    check_scores(quiet(pagerank_many, np.ones((3, 3)), tol=5e-324).scores)


# ---- damping 1 ----


def test_damping_one_is_the_eigenvector(rng):
    a = rng.random((90, 90)) * (rng.random((90, 90)) < 0.2) + np.roll(np.eye(90), 1, 1)
    p = a / a.sum(axis=1, keepdims=True)
    values, vectors = np.linalg.eig(p.T)
    right = np.abs(vectors[:, np.argmax(values.real)].real)
    right /= right.sum()
    for tol in (1e-6, 1e-12):
        answer = full(a, 1.0, tol=tol)
        check_scores(answer.scores)
        assert np.abs(answer.scores @ p - answer.scores).sum() <= answer.error_bound + 1e-15 <= tol + 1e-15
    np.testing.assert_allclose(answer.scores, right, rtol=0, atol=1e-11)
    many = pagerank_many(a, damping=[1.0, 0.5], tol=1e-12)
    np.testing.assert_allclose(many[0], right, rtol=0, atol=1e-11)
    same_bits(many[1], pagerank_many(a, damping=0.5, tol=1e-12))


@pytest.mark.parametrize("n", [2, 3, 50])
def test_damping_one_on_cycles(n):
    """The walk goes round and never settles; half a step at a time it does."""
    np.testing.assert_allclose(pagerank(ring(n), 1.0, tol=1e-13), 1 / n, atol=1e-13)
    v = np.zeros(n)
    v[0] = 1
    np.testing.assert_allclose(quiet(pagerank, ring(n), 1.0, personalization=v, tol=1e-9).scores, 1 / n, atol=1e-6)


def test_damping_one_with_dangling_nodes():
    a = np.array([[0.0, 1, 0], [0, 0, 1], [0, 0, 0]])
    np.testing.assert_allclose(pagerank(a, 1.0, tol=1e-13), np.array([1, 2, 3]) / 6, atol=1e-12)
    w = [1, 0, 0]
    np.testing.assert_allclose(pagerank(a, 1.0, dangling=w, tol=1e-13), 1 / 3, atol=1e-12)


def test_damping_one_not_unique():
    a = np.zeros((5, 5))
    a[0, 1] = a[1, 0] = a[2, 3] = a[3, 2] = 1
    a[4, :] = [1, 1, 1, 1, 0]
    for v in (np.ones(5), np.array([1.0, 0, 0, 0, 3])):
        with pytest.warns(ConvergenceWarning, match="not unique: the graph has 2 closed groups"):
            scores = pagerank(a, 1.0, personalization=v, tol=1e-12)
        np.testing.assert_allclose(scores, exact(a, 1 - 1e-9, v).astype(float), atol=1e-8)
    # Nodes that no link leaves lead everywhere by default, and to one group only if so told.
    a[4] = 0
    with pytest.warns(ConvergenceWarning, match="2 closed groups"):
        pagerank(a, 1.0)
    a[2, 3] = a[3, 2] = 0
    pagerank(a, 1.0)
    pagerank(a, 1.0, dangling=[1, 0, 0, 0, 0])
    with pytest.warns(ConvergenceWarning, match="2 closed groups"):
        pagerank(a, 1.0, dangling=[0, 0, 1, 1, 0])


def test_damping_one_sums_to_one(rng):
    a = graphs.random(100_000, 2, rng) + ring(100_000)
    check_scores(quiet(pagerank, a, 1.0, tol=1e-8).scores)


# ---- personalization ----


def test_mappings():
    a = GRAPHS["rmat"]
    v = np.zeros(a.shape[0])
    v[5], v[77] = 1, 3
    right = pagerank(a, personalization=v, dangling=v[::-1])
    n = v.size
    same_bits(pagerank(a, personalization={5: 0.5, np.int32(77): 1.5, 9: 0}, dangling={n - 6: 2, n - 78: 6}), right)
    three = np.eye(3)
    same_bits(pagerank(three, personalization={1: 2}), pagerank(three, personalization=[0, 1, 0]))


def test_shapes_of_many(rng):
    links = Links(GRAPHS["groups"])
    n = links.n_nodes
    v = rng.random((2, 3, n))
    answer = pagerank_many(links, v, [0.5, 0.8, 1e-3], full_output=True)
    assert answer.scores.shape == (2, 3, n)
    assert answer.error_bound.shape == answer.n_iter.shape == (2, 3)
    assert pagerank_many(links, v[0, 0], [[0.5], [0.6]]).shape == (2, 1, n)
    assert pagerank_many(links).shape == (n,)
    assert pagerank_many(links, v[:0]).shape == (0, 3, n)
    assert np.ndim(pagerank_many(links, full_output=True).error_bound) == 0
    for i in np.ndindex(2, 3):
        right = exact(GRAPHS["groups"], [0.5, 0.8, 1e-3][i[1]], v[i])
        assert distance(answer.scores[i], right) <= answer.error_bound[i]


# ---- bits ----


def test_bits_do_not_depend_on_threads(threads, rng):
    a = rmat(16, 500_000, rng)
    v = rng.random((9, a.shape[0]))
    answers = []
    for n in (1, 2, 5):
        threads(n)
        links = Links(a)
        answers.append((full(links, 0.9), full(links, 0.85, dangling=v[0]), pagerank_many(links, v, tol=1e-5)))
    for other in answers[1:]:
        for i in range(2):
            same_bits(other[i].scores, answers[0][i].scores)
            assert other[i][1:] == answers[0][i][1:]
        same_bits(other[2], answers[0][2])


def test_bits_at_every_level(same_at_every_level):
    same_at_every_level("""
        from scipy import sparse
        from mmlfast.graph import *
        rng = np.random.default_rng(3)
        n = 30_000
        targets = rng.integers(0, n // 7 * rng.integers(1, 8, 5 * n))
        starts = np.maximum(np.arange(0, 5 * n + 1, 5) - n, 0)  # the first nodes have no links
        v = rng.random((3, n))
        for weights in (rng.random(4 * n), np.ones(4 * n)):
            links = Links(sparse.csr_array((weights, targets[: 4 * n], starts), shape=(n, n)))
            digest(*pagerank(links, 0.9, full_output=True), *pagerank(links, dangling=v[0], full_output=True))
            digest(pagerank_many(links, v, tol=1e-7), pagerank(links, 1.0, tol=1e-4))
        digest(pagerank(rng.random((50, 20, 20))), pagerank(rng.random((80, 80))))
    """)


def test_bits_in_lanes_do_not_depend_on_neighbours(threads, rng):
    links = Links(GRAPHS["weighted"])
    v = rng.random((21, links.n_nodes))
    v[4] = 0
    v[4, 9] = 1
    damping = rng.choice([0.3, 0.85, 0.99], 21)
    right = pagerank_many(links, v, damping, full_output=True)
    order = rng.permutation(21)
    for n in (1, 3):
        threads(n)
        shuffled = pagerank_many(links, v[order], damping[order], full_output=True)
        for part, other in zip(right, shuffled, strict=True):
            same_bits(part[order], other)
        for i in (0, 4, 20):
            alone = pagerank_many(links, v[i], damping[i], full_output=True)
            for part, other in zip(right, alone, strict=True):
                same_bits(part[i], np.asarray(other))


# ---- bad input ----

BAD = [
    ({"damping": -0.1}, ValueError, r"damping must be from 0 to 1, got -0\.1"),
    ({"damping": 1.5}, ValueError, r"got 1\.5"),
    ({"damping": math.nan}, ValueError, "got nan"),
    ({"damping": 1j}, TypeError, "complex"),
    ({"tol": 0}, ValueError, r"tol must be positive, got 0\.0"),
    ({"tol": math.nan}, ValueError, "got nan"),
    ({"max_iter": 0}, ValueError, "max_iter must be positive, got 0"),
    ({"max_iter": 2.5}, TypeError, r"max_iter must be a whole number \(an int\), got 2\.5"),
    ({"personalization": [1, 2]}, ValueError, r"personalization must have one entry for each of the 3 nodes.*\(2,\)"),
    ({"personalization": [1, -2, 3]}, ValueError, r"personalization\[1\] is -2"),
    ({"personalization": [1, 2, math.nan]}, ValueError, r"personalization\[2\] is nan"),
    ({"personalization": [1, math.inf, 2]}, ValueError, r"personalization\[1\] is inf"),
    ({"personalization": [0, 0, 0]}, ValueError, "no positive entry"),
    ({"personalization": [1, 2, 3j]}, TypeError, "complex128"),
    ({"personalization": ["a", "b", "c"]}, TypeError, "real numbers"),
]
BAD_ONE = [
    ({"personalization": {3: 1}}, ValueError, "personalization: unknown node 3 in a graph of 3 nodes"),
    ({"personalization": {"a": 1}}, ValueError, "unknown node 'a'"),
    ({"personalization": {0: -1}}, ValueError, r"personalization\[0\] is -1"),
    ({"personalization": {}}, ValueError, "no positive entry"),
    ({"personalization": [[1, 2, 3]]}, ValueError, r"shape \(1, 3\)"),
    ({"dangling": {-1: 1}}, ValueError, "dangling: unknown node -1"),
    ({"dangling": [1, 2, -4]}, ValueError, r"dangling\[2\] is -4"),
    ({"dangling": [0, 0, 0]}, ValueError, "dangling has no positive entry"),
]


@pytest.mark.parametrize(("keywords", "error", "message"), BAD + BAD_ONE)
def test_bad_input(keywords, error, message):
    for links in (np.ones((3, 3)), sparse.csr_array(np.ones((3, 3)))):
        with pytest.raises(error, match=message):
            pagerank(links, **keywords)


@pytest.mark.parametrize(("keywords", "error", "message"), BAD)
def test_bad_input_of_many(keywords, error, message):
    with pytest.raises(error, match=message):
        pagerank_many(np.ones((3, 3)), **keywords)


def test_more_bad_input_of_many():
    with pytest.raises(ValueError, match=r"personalization\[1, 2\] is -1"):
        pagerank_many(np.ones((3, 3)), [[1, 1, 1], [1, 1, -1.0]])
    with pytest.raises(ValueError, match="no positive entry in row 1"):
        pagerank_many(np.ones((3, 3)), [[1, 1, 1], [0, 0, 0]])
    with pytest.raises(ValueError, match=r"damping of shape \(3,\) does not fit personalization of shape \(2, 3\)"):
        pagerank_many(np.ones((3, 3)), np.ones((2, 3)), [0.1, 0.2, 0.3])


@pytest.mark.parametrize("bad", [-1.0, math.nan, math.inf])
@pytest.mark.parametrize("n", [5, 80])
def test_bad_weight_of_a_dense_graph(bad, n):
    a = np.ones((n, n))
    a[3, 2] = bad
    with pytest.raises(ValueError, match=rf"the weight of the link \(3, 2\) is {bad}"):
        pagerank(a)
    stack = np.stack([np.ones((n, n)), a])
    with pytest.raises(ValueError, match=rf"3, 2\) is {bad}"):
        pagerank(stack)


@pytest.mark.parametrize("shape", [(3,), (3, 4), (0, 0), (2, 0, 0), ()])
def test_bad_shape_of_a_dense_graph(shape):
    with pytest.raises(ValueError, match=r"must be a square matrix|has no nodes"):
        pagerank(np.ones(shape))


def test_complex_dense_graph():
    with pytest.raises(TypeError, match="complex128"):
        pagerank(np.ones((3, 3), complex))


# ---- Ctrl-C ----


@posix
@pytest.mark.parametrize(
    ("n_threads", "calls"),
    [
        (
            "3",
            [
                "pagerank(large, 1.0, tol=1e-300, max_iter=10**12)",
                "[pagerank_many(large, damping=np.full(16, 0.99)) for _ in range(10**6)]",
                "[pagerank_many(few, vectors, 0.9999) for _ in range(10**6)]",
                "[Links(a) for _ in range(10**6)]",
            ],
        ),
        (
            "1",
            [
                "pagerank(slow, 1.0, personalization={0: 1}, tol=1e-300, max_iter=10**12)",
                "[pagerank_many(few, vectors, 0.9999) for _ in range(10**6)]",
                "[pagerank(large, 0.999) for _ in range(10**6)]",
            ],
        ),
    ],
    ids=["three threads", "one thread"],
)
def test_interrupt(run_python, calls, n_threads):
    """Unanswered, a call would not come to its end: the time limit of the test is for that alone."""
    code = f"""
        import numpy as np
        from interrupts import interrupt
        from scipy import sparse
        from mmlfast.graph import *
        n, rng = 100_000, np.random.default_rng(1)
        a = sparse.csr_array((rng.random(8 * n), rng.integers(0, n, 8 * n), np.arange(0, 8 * n + 1, 8)), shape=(n, n))
        large, slow = Links(a), Links(np.roll(np.eye(3000), 1, 1) + np.eye(3000))
        few, vectors = Links(np.roll(np.eye(30), 1, 1) + np.eye(30)), rng.random((200_000, 30))
        for call in {calls}:
            print(call, flush=True)
            interrupt(eval("lambda: " + call))
            assert abs(pagerank(large, tol=1e-3).sum() - 1) < 1e-12
        print("done")
    """
    assert run_python(code, MMLFAST_NUM_THREADS=n_threads).endswith("done\n")


# ---- real graphs ----


@pytest.mark.parametrize("name", ["wiki-Vote", "email-Eu-core", "facebook_combined"])
def test_real_graph(name, data_folder):
    a = real_graph(data_folder, name)
    links = Links(a)
    for damping in (0.5, 0.85):
        right = powers(a, damping)
        check(full(links, damping, tol=1e-12), right, 1e-12)
        check(pagerank_many(links, damping=damping, tol=1e-10, full_output=True), right, 1e-10)
    if name == "email-Eu-core":
        check(full(links, 0.999, tol=1e-11), exact(a, 0.999), 1e-11)


@pytest.mark.parametrize("name", ["p2p-Gnutella31", "cnr-2000"])
def test_large_real_graph(name, data_folder):
    """Against power iteration by SciPy, in float64."""
    a = real_graph(data_folder, name)[:100_000, :100_000]
    n = a.shape[0]
    degree = np.diff(a.indptr)
    at, outside, x = a.T.tocsr(), degree == 0, np.full(n, 1 / n)
    for _ in range(210):  # 0.85^210 is 1e-15
        x = 0.85 * (at @ (x / np.maximum(degree, 1)) + x[outside].sum() / n) + 0.15 / n
    answer = full(a, tol=1e-11)
    check_scores(answer.scores)
    assert distance(answer.scores, x) <= answer.error_bound + 1e-13
    many = pagerank_many(a, damping=[0.85, 0.5], tol=1e-9, full_output=True)
    assert distance(many.scores[0], x) <= many.error_bound[0] + 1e-13


# ---- what must be so of any graph ----

weights = hnp.arrays(
    np.float64, st.integers(1, 12).map(lambda n: (n, n)), elements=st.sampled_from([0, 0, 0, 1, 1, 2.5])
)
dampings = st.sampled_from([0.2, 0.85, 0.99])
seeds = st.integers(0, 2**32 - 1)
any_graph = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def of(links: Any, damping: float, **keywords: Any) -> Any:
    return pagerank(Links(links), damping, tol=1e-12, **keywords)


@any_graph
@given(weights, dampings, seeds)
def test_other_numbers_of_the_nodes(a, damping, seed):
    order = np.random.default_rng(seed).permutation(len(a))
    np.testing.assert_allclose(of(a[order][:, order], damping), of(a, damping)[order], rtol=0, atol=3e-12)


@any_graph
@given(weights, dampings, st.floats(1e-200, 1e200))
def test_scale_of_the_weights(a, damping, factor):
    np.testing.assert_allclose(of(a * factor, damping), of(a, damping), rtol=0, atol=3e-12)


@any_graph
@given(weights, dampings, seeds, st.floats(0, 1))
def test_linear_in_the_personalization(a, damping, seed, part):
    """With where dangling nodes lead to held fixed."""
    v = np.random.default_rng(seed).random((3, len(a)))
    v /= v.sum(axis=1, keepdims=True)
    first, second, both = (
        of(a, damping, personalization=x, dangling=v[2]) for x in (v[0], v[1], part * v[0] + (1 - part) * v[1])
    )
    np.testing.assert_allclose(part * first + (1 - part) * second, both, rtol=0, atol=3e-12)


@any_graph
@given(weights, dampings, seeds)
def test_dense_prepared_and_in_lanes_agree(a, damping, seed):
    v = np.random.default_rng(seed).random(len(a))
    dense = pagerank(a, damping, personalization=v, tol=1e-11)
    np.testing.assert_allclose(of(a, damping, personalization=v), dense, rtol=0, atol=2e-11)
    np.testing.assert_allclose(pagerank_many(a, v, damping, tol=1e-11), dense, rtol=0, atol=2e-11)
    source, target = np.nonzero(a)
    edges = Links.from_edges(source, target, a[source, target], n_nodes=len(a))
    same_bits(of(edges, damping), of(a, damping))


# ---- by components ----


def components_of(kind: str, rng: np.random.Generator) -> Any:
    """Graphs of 300 nodes or so by their strongly connected components."""
    if kind == "acyclic":
        return sparse.csr_array(sparse.triu(graphs.random(300, 5, rng), 1))
    if kind == "one":
        return (graphs.random(300, 3, rng) + ring(300)).tocsr()
    if kind == "templates":  # pages of a site lead to each other and to themselves: rows with the same links
        a = sparse.block_diag([sparse.coo_array(np.ones((n, n))) for n in (40, 3, 60, 1, 25)], format="lil")
        a[5, 41] = a[50, 44] = a[44, 100] = a[101, 110] = 1
        return a.tocsr()
    a = sparse.block_diag([graphs.random(n, 3, rng) + ring(n) for n in (1, 50, 1, 2, 1, 90, 7, 1, 60)], format="lil")
    n = a.shape[0]
    for i, j in np.sort(rng.integers(0, n, (150, 2))):
        a[i, j] = 1
    a[n - 3 :] = 0
    if kind == "loops":
        a[np.arange(0, n, 3), np.arange(0, n, 3)] = 50.0
    if kind == "weights":
        a = a.multiply(rng.uniform(0.01, 9, a.shape))
    return sparse.csr_array(a)


KINDS = ["acyclic", "one", "templates", "many", "loops", "weights"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("damping", [0.01, 0.5, 0.85, 0.95, 0.99, 0.999])
def test_error_by_components(kind, damping, rng):
    a = components_of(kind, rng)
    n = a.shape[0]
    v = np.eye(n)[rng.permutation(n)[:19]]  # more than two groups of lanes hold
    v[18] = rng.random(n)
    rights = {row: exact(a, damping, v[row]) for row in (0, 7, 8, 15, 16, 18)}
    for tol in (1e-4, 1e-10, max(1e-12, 2e-14 / (1 - damping))):
        answer = pagerank_many(a, v, damping, tol=tol, full_output=True)
        for row, right in rights.items():
            check_scores(answer.scores[row])
            assert distance(answer.scores[row], right) <= answer.error_bound[row] <= tol


def test_no_iteration_without_cycles(rng):
    """What is solved in the order of the components takes a few passes, however close the damping is to 1."""
    a = components_of("acyclic", rng)
    assert pagerank_many(a, damping=0.99, tol=1e-11, full_output=True).n_iter <= 6


@pytest.mark.parametrize("damping", [0.85, 0.95, 0.99])
@pytest.mark.parametrize("own", [0, 9])
def test_weak_cycles_take_few_sweeps(own, damping, rng):
    """Pairs that lead to each other by one link of nine, and links to oneself as heavy as `own` others. A wrong sweep
    shows: the certificate would send the ranking to the other method, right too and ten times as long."""
    first = np.repeat(2 * np.arange(199), 16)
    source = first + np.tile(np.repeat([0, 1], 8), 199)
    target = np.minimum(first + 2 + rng.integers(0, 6, first.size), 399)
    pair = np.arange(400)
    weight = np.r_[np.ones(source.size + 400), np.full(400, own)]
    source, target = np.r_[source, pair, pair], np.r_[target, pair ^ 1, pair]
    name = rng.permutation(400)
    a = sparse.csr_array((weight, (name[source], name[target])), shape=(400, 400))
    assert pagerank_many(a, damping=damping, tol=1e-10, full_output=True).n_iter <= 10


def test_bits_by_components_do_not_depend_on_neighbours(threads, rng):
    for kind in KINDS:
        links = Links(components_of(kind, rng))
        v = rng.random((35, links.n_nodes)) * (rng.random((35, links.n_nodes)) < 0.02)
        v[:, 1] += 1e-3
        damping = rng.choice([0.005, 0.3, 0.85, 0.99, 0.999], 35)
        right = pagerank_many(links, v, damping, tol=1e-11, full_output=True)
        order = rng.permutation(35)
        for n in (1, 2):
            threads(n)
            for rows in (order, order[:5], order[30:31]):
                other = pagerank_many(links, v[rows], damping[rows], tol=1e-11, full_output=True)
                for part, of_rows in zip(right, other, strict=True):
                    same_bits(part[rows], of_rows)


def test_hub_in_float32():
    """A page to which 60 000 lead has half of the score: float32 sums of its row lost four digits a correction."""
    n = 60_001
    star = sparse.csr_array((np.ones(n - 1), (np.arange(1, n), np.zeros(n - 1, int))), shape=(n, n)).tolil()
    star[0, 1:] = 1
    answer = pagerank_many(star.tocsr(), damping=0.85, tol=1e-10, full_output=True)
    d = np.longdouble(0.85)
    hub = ((1 - d) / n + d * (n - 1) * (1 - d) / n) / (1 - d * d)
    right = np.full(n, (1 - hub) / (n - 1))
    right[0] = hub
    assert distance(answer.scores, right) <= answer.error_bound <= 1e-10


@any_graph
@given(weights, st.sampled_from([0.02, 0.5, 0.85, 0.97]), seeds)
def test_components_of_any_graph(a, damping, seed):
    v = np.random.default_rng(seed).random(len(a))
    answer = pagerank_many(a, v, damping, tol=1e-12, full_output=True)
    check(answer, exact(a, damping, v), 1e-12)
