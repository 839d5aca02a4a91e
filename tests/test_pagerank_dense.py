"""PageRank of dense matrices, one or a stack of them: small ones by elimination in SIMD lanes."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from cases import in_every_layout, same_bits
from graphs import exact
from test_pagerank import check, check_scores, full, quiet

from mmlfast.graph import PageRank, pagerank


@pytest.mark.parametrize("n", [1, 2, 8, 63, 64, 65, 70])
def test_stack(n, rng):
    a = (rng.random((2, 3, n, n)) < 0.3) * rng.random((2, 3, n, n))
    v, w = rng.random((2, n))
    answer = full(a, 0.9, personalization=v, dangling=w, tol=1e-12)
    assert answer.scores.shape == (2, 3, n)
    assert answer.error_bound.shape == answer.n_iter.shape == (2, 3)
    for i in np.ndindex(2, 3):
        check(PageRank(*(part[i] for part in answer)), exact(a[i], 0.9, v, w), 1e-12)
        same_bits(answer.scores[i], pagerank(a[i], 0.9, personalization=v, dangling=w, tol=1e-12))
    assert pagerank(a[:0], 0.9).shape == (0, 3, n)


def test_stack_at_damping_one(rng):
    a = rng.random((3, 5, 5))
    scores = pagerank(a, 1.0, tol=1e-12)
    for i in range(3):
        np.testing.assert_allclose(scores[i] @ (a[i] / a[i].sum(axis=1, keepdims=True)), scores[i], atol=1e-11)


def test_dense_layouts(rng):
    a, v = rng.random((2, 9, 9)), rng.random(9)
    right = pagerank(a, personalization=v)
    for layout, (b, u) in in_every_layout(a, v):
        np.testing.assert_allclose(pagerank(b, personalization=u), right, rtol=1e-14, err_msg=layout)
    small = pagerank(a.astype(np.float32), personalization=v.astype(np.float32))
    np.testing.assert_allclose(small, right, rtol=1e-5)
    whole = rng.integers(0, 5, (9, 9))
    same_bits(pagerank(whole), pagerank(whole.astype(float)))


def in_fractions(a, damping, v, w):
    """The scores without rounding, by elimination."""
    n = len(a)
    v, w, d = ([Fraction(float(x)) for x in row] for row in (v, w, [damping]))
    rows = [[Fraction(float(x)) for x in row] for row in a]
    p = [[x / sum(row) for x in row] if sum(row) else [x / sum(w) for x in w] for row in rows]
    system = [[(i == j) - d[0] * p[j][i] for j in range(n)] + [v[i]] for i in range(n)]
    for k in range(n):
        for i in range(n):
            if i != k:
                factor = system[i][k] / system[k][k]
                system[i] = [x - factor * y for x, y in zip(system[i], system[k], strict=True)]
    x = [system[i][n] / system[i][i] for i in range(n)]
    return [y / sum(x) for y in x]


@pytest.mark.parametrize("damping", [0.85, 1 - 1e-6, 1 - 2.0**-50])
def test_each_score_of_a_small_dense_graph_has_its_digits(damping, rng):
    """Elimination that subtracts nothing: small scores too, next to damping 1 too, where residuals say little."""
    for n in (2, 5, 9):
        a = np.exp2(rng.integers(-60, 60, (n, n))) * (rng.random((n, n)) < 0.7)
        v, w = np.exp2(rng.integers(-9, 9, (2, n)))
        a[n // 2] = 0
        scores = quiet(pagerank, a, damping, personalization=v, dangling=w).scores
        for got, right in zip(scores, in_fractions(a, damping, v, w), strict=True):
            assert abs(Fraction(float(got)) - right) <= Fraction(4 * n * n, 2**53) * right


def test_weights_of_a_stack_in_any_unit_beside_others(rng):
    """Rows whose sums overflow or have few digits are brought next to 1, by powers of two: no other item sees them."""
    a = rng.random((19, 6, 6))
    right = pagerank(a)
    units = a.copy()
    units[3, 2:4] *= 2.0**1023
    units[7] *= 2.0**-1000
    same_bits(pagerank(units), right)
    units[7, 4] = 0
    alone = pagerank(units[7])
    same_bits(pagerank(units)[7], alone)
    same_bits(pagerank(-0.0 * a), pagerank(0 * a))
    counts = rng.integers(0, 9, (6, 6))
    same_bits(pagerank(counts * 5e-324), pagerank(counts))


def test_small_dense_next_to_one(rng):
    for n in range(2, 40):
        for a in (np.ones((n, n)), (rng.random((n, n)) < 0.3) * 1.0):
            check_scores(quiet(pagerank, a, 1 - 2.0**-53).scores)
