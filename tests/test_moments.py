"""Moments: chunks, merging, taking away, states as numbers; and the laws of covariance."""

from __future__ import annotations

import copy
import itertools
import pickle

import numpy as np
import pytest
from cases import every_dtype, same_bits
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import block_rows, error, table

from mmlfast import stats
from mmlfast.stats import Moments

# ---- Moments ----


@every_dtype
@pytest.mark.parametrize("d", [1, 3, 10, 16, 17, 40, 258])
def test_any_chunking_gives_the_same_bits(d, dtype, rng):
    rows = block_rows(d)
    x = table(rng, 5 * rows + 77, d, dtype)
    w = rng.uniform(0, 2, len(x))
    w[rng.random(len(x)) < 0.3] = 0
    expected, weighted = stats.covariance(x), stats.covariance(x, weights=w)
    for longest in (rows // 3, rows, 4 * rows):
        m, mw = Moments(dtype=dtype), Moments(dtype=dtype)
        at = 0
        while at < len(x):
            k = int(rng.integers(0, longest + 1))
            m.update(x[at : at + k])
            mw.update(x[at : at + k], weights=w[at : at + k])
            at += k
            if rng.random() < 0.3:  # asking in between changes nothing
                m.covariance()
                _ = mw.mean
        same_bits(m.covariance(), expected)
        same_bits(m.mean, stats.mean(x))
        same_bits(mw.covariance(), weighted)
        same_bits(mw.mean, stats.mean(x, weights=w))
        assert m.count == len(x)
        assert isinstance(m.count, int)
        assert mw.count == pytest.approx(w.sum(), rel=1e-14)
    pair, weights = np.stack([x, x]), np.stack([w, w])  # each by one thread
    same_bits(stats.covariance(pair)[1], expected)
    same_bits(stats.variance(pair)[1], np.diagonal(expected))
    same_bits(stats.mean(pair)[1], stats.mean(x))
    same_bits(stats.covariance(pair, weights=weights)[1], weighted)
    same_bits(stats.mean(pair, weights=weights)[1], stats.mean(x, weights=w))


def test_single_rows(rng):
    x = rng.standard_normal((30, 3))
    m = Moments(3)
    for row in x:
        assert m.update(row) is m
    same_bits(m.covariance(), stats.covariance(x))
    same_bits(Moments().update(x[0], weights=2.0).update(x[1]).mean, stats.mean(x[:2], weights=[2, 1]))


def test_weights_that_come_late(rng):
    x = rng.standard_normal((500, 3))
    w = np.r_[np.ones(200), rng.uniform(0, 2, 300)]
    m = Moments().update(x[:200]).update(x[200:], weights=w[200:])
    same_bits(m.covariance(), stats.covariance(x, weights=w))


def test_empty_moments():
    m = Moments()
    assert (m.count, m.n_features, m.mean.shape) == (0, None, (0,))
    m = Moments(3, dtype=np.float32)
    assert (m.count, m.n_features, m.dtype) == (0, 3, np.float32)
    assert np.isnan(m.mean).all()
    assert np.isnan(m.covariance()).all()
    assert m.covariance().dtype == np.float32
    assert np.isnan(m.update([1, 2, 3]).covariance()).all()
    np.testing.assert_array_equal(m.covariance(ddof=0), np.zeros((3, 3)))


def test_wrong_arguments():
    for bad in (-1, 2**40):
        with pytest.raises(ValueError, match="n_features"):
            Moments(bad)
    with pytest.raises(TypeError):
        Moments(2.5)
    with pytest.raises(TypeError, match="dtype"):
        Moments(dtype=int)
    with pytest.raises(ValueError, match="x has 2 features, expected 3"):
        Moments(3).update([[1, 2]])
    with pytest.raises(ValueError, match="x has 2 features, expected 3"):
        Moments(3).downdate([[1, 2]])
    with pytest.raises(ValueError, match="other has 2 features, this has 3"):
        Moments(3).merge(Moments(2))
    with pytest.raises(TypeError, match="other must be Moments"):
        Moments(3).merge(3)
    with pytest.raises(ValueError, match=r"shape \(n, d\)"):
        Moments(3).update(np.zeros((2, 2, 3)))
    with pytest.raises(TypeError):
        hash(Moments())


@pytest.mark.parametrize("d", [3, 17, 300])
def test_copies_and_pickles(d, rng):
    x = table(rng, 2 * block_rows(d) + 100, d)
    w = rng.uniform(0, 1, len(x))
    half = block_rows(d) + 50
    for m, rest in (
        (Moments(), {}),
        (Moments(d), {}),
        (Moments(dtype=np.float32).update(x[:half]), {}),
        (Moments().update(x[:half], weights=w[:half]), {"weights": w[half:]}),
        (Moments().update(x[:half]).merge(Moments().update(x[:9])).downdate(x[:5]), {}),
    ):
        twins = [copy.copy(m), copy.deepcopy(m), pickle.loads(pickle.dumps(m)), Moments(dtype=m.dtype).merge(m)]
        before = m.covariance() if m.n_features else None
        m.update(x[half:], **rest)
        for twin in twins:
            assert twin.n_features == d or before is None
            if before is not None:
                same_bits(twin.covariance(), before)
            assert twin != m
            same_bits(twin.update(x[half:], **rest).covariance(), m.covariance())
            assert twin == m
    assert Moments() != 3
    assert "count=0" in repr(Moments())


@pytest.mark.parametrize("keep", [0, 3, 11, 12])
def test_a_broken_state_is_refused(keep, rng):
    m = Moments().update(rng.standard_normal((3000, 3)))
    name, numbers = m.__getstate__()
    with pytest.raises(ValueError, match="not a state"):
        Moments().__setstate__((name, np.r_[numbers[:keep], 7.0]))


@pytest.mark.parametrize("d", [1, 4, 16, 17, 300])
def test_merge(d, rng):
    x = table(rng, 2 * block_rows(d) + 300, d) + 1e6
    cuts = [0, 1, 40, block_rows(d), block_rows(d) + 3, len(x)]
    parts = [x[a:b] for a, b in itertools.pairwise(cuts)]
    expected = stats.covariance(x)
    for order in (range(5), (4, 2, 0, 1, 3), (3, 4, 1, 0, 2)):
        m = Moments()
        for k in order:
            m.merge(Moments().update(parts[k]))
        assert error(m.covariance(), expected) < 1e-14
        np.testing.assert_allclose(m.mean, stats.mean(x), rtol=3e-16)
        assert m.count == len(x)
    m = Moments().update(x[:100])
    m.merge(m)
    assert m.count == 200
    assert error(m.covariance(ddof=0), stats.covariance(x[:100], ddof=0)) < 1e-14
    m = Moments().update(x[:100]).merge(Moments(d)).merge(Moments())
    same_bits(m.covariance(), stats.covariance(x[:100]))
    m = Moments(d).merge(Moments().update(x[:100])).update(x[100:])  # merging into an empty object copies
    same_bits(m.covariance(), expected)


@pytest.mark.parametrize("d", [1, 4, 16, 17, 300])
def test_downdate(d, rng):
    x = table(rng, block_rows(d) + 400, d)
    m = Moments().update(x).downdate(x[:150]).downdate(x[150])
    assert m.count == len(x) - 151
    assert error(m.covariance(), stats.covariance(x[151:])) < 1e-12
    np.testing.assert_allclose(m.mean, stats.mean(x[151:]), rtol=1e-10, atol=1e-12)
    with pytest.raises(ValueError, match="count would be negative"):
        m.downdate(x)
    assert m.count == len(x) - 151
    m.update(x[:10])
    assert m.count == len(x) - 141
    m.downdate(x[151:]).downdate(x[:10])
    assert m.count == 0
    assert np.isnan(m.mean).all()
    same_bits(m.update(x).covariance(), stats.covariance(x))  # empty is empty
    alone = Moments().update(x[:5]).downdate(x[:4])
    assert (np.diagonal(alone.covariance(ddof=0)) >= 0).all()
    with pytest.raises(ValueError, match="count would be negative"):
        Moments(d).downdate(x[:1])


def test_downdate_with_weights(rng):
    x, w = rng.standard_normal((300, 3)), rng.uniform(0.5, 2, 300)
    m = Moments().update(x, weights=w).downdate(x[:100], weights=w[:100])
    assert error(m.covariance(), stats.covariance(x[100:], weights=w[100:])) < 1e-13


# ---- laws ----

few_rows = st.integers(0, 60)
seeds = st.integers(0, 2**32 - 1)


def some(seed, *counts, d=3, offset=0.0):
    rng = np.random.default_rng([seed, 77])
    return [rng.standard_normal((n, d)) * 10.0 ** rng.integers(-3, 4) + offset for n in counts]


def state(x):
    return Moments(3).update(x)


@settings(deadline=None, max_examples=60)
@given(few_rows, few_rows, few_rows, seeds, st.sampled_from([0.0, 1e5]))
def test_law_merging_is_associative_and_commutative(a, b, c, seed, offset):
    x, y, z = some(seed, a, b, c, offset=offset)
    left = state(x).merge(state(y)).merge(state(z))
    right = state(x).merge(state(y).merge(state(z)))
    swapped = state(z).merge(state(x).merge(state(y)))
    scale = stats.variance(np.vstack([x, y, z]), ddof=0) if a + b + c else np.ones(3)
    for m in (right, swapped):
        assert m.count == left.count == a + b + c
        np.testing.assert_allclose(m.mean, left.mean, rtol=1e-15, atol=1e-14 * np.sqrt(scale.max()))
        assert np.all(np.abs(m.covariance(0) - left.covariance(0)) <= 1e-14 * np.sqrt(np.outer(scale, scale))) or (
            a + b + c == 0
        )


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 9000), st.lists(st.integers(0, 9000), max_size=6), st.integers(1, 20), seeds)
def test_law_chunks_do_not_matter(n, cuts, d, seed):
    (x,) = some(seed, n, d=d)
    w = np.random.default_rng(seed).integers(0, 3, n).astype(float)
    at = [0, *sorted(c for c in cuts if c <= n), n]
    m, weighted = Moments(d), Moments(d)
    for first, last in itertools.pairwise(at):
        m.update(x[first:last])
        weighted.update(x[first:last], weights=w[first:last])
    same_bits(m.covariance(), stats.covariance(x))
    same_bits(m.mean, stats.mean(x))
    same_bits(weighted.covariance(), stats.covariance(x, weights=w))
    same_bits(weighted.mean, stats.mean(x, weights=w))


@settings(deadline=None, max_examples=40)
@given(st.integers(2, 2000), st.integers(1, 20), st.sampled_from([2.0**20, 2.0**30]), seeds)
def test_law_translation_changes_nothing(n, d, shift, seed):
    (x,) = some(seed, n, d=d)
    x = np.round(x / np.abs(x).max() * 2**20) / 2**20  # so that x + shift is exact
    moved = stats.covariance(x + shift)
    scale = np.sqrt(stats.variance(x))
    assert np.all(np.abs(moved - stats.covariance(x)) <= 1e-14 * np.outer(scale, scale))


@settings(deadline=None, max_examples=40)
@given(st.integers(2, 3000), st.integers(1, 40), seeds)
def test_law_the_order_of_columns_changes_no_bit(n, d, seed):
    (x,) = some(seed, n, d=d)
    order = np.random.default_rng(seed).permutation(d)
    same_bits(stats.covariance(x[:, order]), stats.covariance(x)[np.ix_(order, order)])


@settings(deadline=None, max_examples=40)
@given(st.integers(2, 3000), st.integers(1, 20), st.integers(-30, 30), seeds)
def test_law_powers_of_two_change_no_digit(n, d, power, seed):
    (x,) = some(seed, n, d=d)
    same_bits(stats.covariance(np.ldexp(x, power)), np.ldexp(stats.covariance(x), 2 * power))
