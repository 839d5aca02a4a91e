"""qr against NumPy's, its own definition, and matrices that are hard to make orthogonal."""

from __future__ import annotations

import numpy as np
import pytest
from cases import (
    denormal,
    every_batch_size,
    every_case,
    every_dtype,
    every_layout,
    every_matrix_market_file,
    hard_rectangles,
    hard_squares,
    item_by_item,
    poisoned,
    read_matrix_market,
    same_bits,
    saying,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.linalg import LinAlgError

import mmlfast as mf
from mmlfast._reference.qr import qr as reference

MODES = ("reduced", "complete")
every_mode = pytest.mark.parametrize("mode", MODES)

# Sizes with code of their own, odd and even numbers of reflections, strips of columns, lanes and panels.
SHAPES = [
    (1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (6, 6), (7, 7), (8, 8), (9, 9), (16, 16), (17, 17), (31, 31), (32, 32),
    (33, 33), (65, 65), (1, 7), (7, 1), (2, 5), (5, 2), (6, 5), (5, 6), (9, 4), (4, 9), (50, 5), (5, 50), (64, 32),
    (32, 64), (65, 32), (70, 40), (40, 70), (2048, 1), (1, 2048), (2049, 1), (300, 7), (3, 700),
    (64, 64), (96, 80), (80, 97), (135, 200), (200, 135), (33, 260),
]  # fmt: skip


def unit(dtype):
    return float(np.finfo(dtype).eps) / 2


def errors(a, q, r):
    """norm(Q'Q - 1) and norm(A - QR) / norm(A), in units of n u."""
    wide = np.longdouble
    q, r, a = q.astype(wide), r.astype(wide), a.astype(wide)
    limit = max(a.shape) * unit(np.float64)
    # A power of two: no square of the longest double overflows, but norms are taken in float64.
    scale = wide(2) ** -np.frexp(np.abs(a).max(initial=0))[1].astype(wide)
    defect = np.linalg.norm((q.T @ q - np.eye(q.shape[1], dtype=wide)).astype(float))
    left = np.linalg.norm(((a - q @ r) * scale).astype(float))
    size = np.linalg.norm((a * scale).astype(float))
    return defect / limit, left / limit / (size if size > 0 else 1)


def check(a, mode="reduced", limit=10.0):
    q, r = mf.linalg.qr(a, mode)
    m, n = a.shape
    p = m if mode == "complete" else min(m, n)
    assert q.shape == (m, p)
    assert r.shape == (p, n)
    assert q.dtype == r.dtype == a.dtype
    np.testing.assert_array_equal(np.tril(r, -1), 0)
    factor = unit(a.dtype) / unit(np.float64)
    assert max(errors(a, q, r)) <= limit * factor
    return q, r


@every_dtype
@every_mode
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_agrees_with_numpy(shape, mode, dtype, rng):
    if mode == "complete" and max(shape) > 700:
        pytest.skip("a large Q")
    a = rng.standard_normal(shape).astype(dtype)
    q, r = check(a, mode, limit=5)
    expected = np.linalg.qr(a, mode)
    tolerance = 100 * max(shape) * unit(dtype)
    condition = np.linalg.cond(a[:, : shape[0]])
    np.testing.assert_allclose(r, expected.R, rtol=0, atol=tolerance * condition * np.abs(expected.R).max())
    np.testing.assert_allclose(q, expected.Q, rtol=0, atol=tolerance * condition)
    same_bits(mf.linalg.qr(a, "r"), mf.linalg.qr(a).R)
    h, tau = mf.linalg.qr(a, "raw")
    expected_h, expected_tau = np.linalg.qr(a, "raw")
    np.testing.assert_allclose(h, expected_h, rtol=0, atol=tolerance * condition * np.abs(expected_h).max())
    np.testing.assert_allclose(tau, expected_tau, rtol=0, atol=tolerance * condition)


@pytest.mark.parametrize("shape", [(1600, 1550), (1550, 1600)], ids=str)
def test_panels_of_many_reflections(shape, rng):
    """From 1536 columns on they are wider."""
    a = rng.standard_normal(shape)
    q, r = mf.linalg.qr(a)
    expected = np.linalg.qr(a)
    assert np.linalg.norm(a - q @ r) <= 1e-14 * np.linalg.norm(a)
    assert np.linalg.norm(q.T @ q - np.eye(1550)) <= 1e-14 * np.sqrt(1550)
    np.testing.assert_allclose(q, expected.Q, atol=1e-10)
    np.testing.assert_allclose(r, expected.R, atol=1e-10 * np.abs(r).max())
    h, _ = mf.linalg.qr(a, "raw")
    np.testing.assert_array_equal(np.triu(h.T)[:1550], r)


@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (6, 4), (4, 6), (9, 9), (30, 7)], ids=str)
def test_agrees_with_reference(shape, rng):
    a = rng.standard_normal(shape)
    for mode in MODES:
        q, r = mf.linalg.qr(a, mode)
        expected_q, expected_r = reference(a, mode == "complete")
        np.testing.assert_allclose(q, expected_q, atol=1e-12)
        np.testing.assert_allclose(r, expected_r, atol=1e-12)


@pytest.mark.parametrize("n", [2, 3, 4, 5, 8, 9, 16, 32, 40])
def test_hard_squares(n, rng):
    for name, a in hard_squares(rng, n):
        for dtype in (np.float64, np.float32):
            with np.errstate(over="ignore"):
                narrow = a.astype(dtype)
            if not np.isfinite(narrow).all():
                continue
            for mode in MODES:
                with saying(name, dtype.__name__, mode):
                    check(narrow, mode)


@pytest.mark.parametrize("shape", [(4, 2), (9, 4), (20, 13), (64, 32), (100, 40), (130, 70)], ids=str)
def test_hard_rectangles(shape, rng):
    for name, a in hard_rectangles(rng, *shape):
        for b in (a, a.T):
            with saying(name, b.shape):
                check(np.ascontiguousarray(b))


@every_dtype
@pytest.mark.parametrize(
    "shape", [(3, 3), (6, 4), (4, 6), (9, 9), (40, 40), (70, 100), (100, 70), (1, 5), (5, 1)], ids=str
)
def test_extreme_scales(shape, dtype, rng):
    """Denormals, numbers near the largest, and columns of both in one matrix."""
    info = np.finfo(dtype)
    a = rng.standard_normal(shape).clip(-3, 3)
    for size in (info.max / 64, np.sqrt(float(info.max)), np.sqrt(float(info.tiny)), float(info.tiny) * 8):
        check((a / np.abs(a).max() * size).astype(dtype))
    q, _ = mf.linalg.qr(denormal(rng, *shape, dtype))
    assert errors(q, q, np.eye(q.shape[1]))[0] <= 10 * unit(dtype) / unit(np.float64)
    columns = np.exp2(np.linspace(np.log2(float(info.tiny)) / 2, np.log2(float(info.max)) / 2, shape[1]))
    mixed = (a * columns).astype(dtype)
    q, r = check(mixed)
    # Column by column: a small column beside large ones keeps its digits.
    left = np.abs(mixed.astype(np.longdouble) - q.astype(np.longdouble) @ r.astype(np.longdouble)).max(axis=0)
    assert (left / np.abs(mixed).max(axis=0) <= 10 * max(shape) * unit(dtype)).all()


@every_matrix_market_file(largest=300)
def test_real_matrices(path):
    check(read_matrix_market(path))


def test_signs_are_those_of_lapack():
    for a in (
        np.eye(4), -np.eye(5), np.diag([1.0, -2, 0, 5]), np.triu(np.arange(36.0).reshape(6, 6) - 17), np.zeros((5, 3)),
        np.array([[0.0, 1], [0, 2], [0, 3]]), np.array([[1.0, 2, 3]]), np.array([[-1.0], [0], [0]]),
        np.array([[0.0, 1], [1, 0]]), np.hstack([np.eye(3), np.ones((3, 2))]), np.eye(70), -np.eye(40, 90),
        np.triu(np.arange(40.0 * 40).reshape(40, 40) % 7 - 3), np.zeros((50, 60)),
        np.eye(90, 40) + np.eye(90, 40, -50) * 1e-200,
    ):  # fmt: skip
        for mode in MODES:
            q, r = mf.linalg.qr(a, mode)
            expected = np.linalg.qr(a, mode)
            np.testing.assert_allclose(q, expected.Q, atol=1e-15)
            np.testing.assert_allclose(r, expected.R, atol=1e-14)


@every_case("stacked", without="zero-size")
def test_every_layout_gives_the_same_bits(case):
    for mode in MODES:
        q, r = mf.linalg.qr(case.array, mode)
        items = item_by_item(lambda a, mode=mode: mf.linalg.qr(a, mode), case.plain)
        same_bits(q, np.array([item[0] for item in items]).reshape(q.shape))
        same_bits(r, np.array([item[1] for item in items]).reshape(r.shape))
    h, tau = mf.linalg.qr(case.array, "raw")
    raw = item_by_item(lambda a: mf.linalg.qr(a, "raw"), case.plain)
    same_bits(h, np.array([item[0] for item in raw]).reshape(h.shape))
    same_bits(tau, np.array([item[1] for item in raw]).reshape(tau.shape))


@every_layout
@pytest.mark.parametrize("shape", [(3, 45, 38), (1, 110, 150)], ids=str)
def test_every_layout_of_large_matrices(layout, shape, rng):
    a = rng.standard_normal(shape)
    for mode in (*MODES, "raw"):
        for got, expected in zip(mf.linalg.qr(layout(a), mode), mf.linalg.qr(a, mode), strict=True):
            same_bits(got, expected)


@every_dtype
def test_items_of_large_batches_have_the_bits_of_single_ones(dtype, rng):
    a = rng.standard_normal((5, 70, 75)).astype(dtype)
    for mode in (*MODES, "raw"):
        first, second = mf.linalg.qr(a, mode)
        for i, item in enumerate(a):
            one = mf.linalg.qr(item, mode)
            same_bits(first[i], one[0])
            same_bits(second[i], one[1])


@every_dtype
@every_mode
def test_large_result_in_the_order_of_columns(mode, dtype, rng):
    """The rows that large matrices are worked on in are longer than those of the result."""
    a = rng.standard_normal((75, 60)).astype(dtype)
    q, r = mf.linalg.qr(a, mode)
    loop = mf._core.qr if mode == "reduced" else mf._core.qr_full
    for order in "CF":
        out = (np.full(q.shape, 7, dtype, order), np.full(r.shape, 7, dtype, order))
        loop(a, out=out)
        same_bits(out[0], q)
        same_bits(out[1], r)


@every_dtype
@every_batch_size
@pytest.mark.parametrize("shape", [(3, 3), (6, 4)], ids=str)
def test_batch_sizes(batch, shape, dtype, rng):
    a = rng.standard_normal((batch, *shape)).astype(dtype)
    q, r = mf.linalg.qr(a)
    assert q.shape == (batch, *shape)
    for i in range(batch):
        one = mf.linalg.qr(a[i])
        same_bits(q[i], one.Q)
        same_bits(r[i], one.R)


@pytest.mark.parametrize("shape", [(0, 0), (3, 0), (0, 3), (2, 0, 4), (0, 3, 3), (40, 0), (2, 0, 40), (0, 50, 50)])
@pytest.mark.parametrize("mode", [*MODES, "r", "raw"])
def test_nothing(shape, mode):
    got, expected = mf.linalg.qr(np.zeros(shape), mode), np.linalg.qr(np.zeros(shape), mode)
    if mode == "r":
        got, expected = (got,), (expected,)
    for x, y in zip(got, expected, strict=True):
        np.testing.assert_array_equal(x, y)


@every_mode
@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (5, 3), (3, 5), (6, 6), (40, 40)], ids=str)
def test_nan_and_infinity(shape, mode, rng):
    a = rng.standard_normal(shape)
    others = rng.standard_normal((2, *shape))
    good = mf.linalg.qr(others, mode)
    for _, bad in list(poisoned(a))[:: 1 if a.size < 100 else 331]:
        q, r = mf.linalg.qr(np.stack([others[0], bad, others[1]]), mode)
        assert np.isnan(q[1]).all()
        assert np.isnan(r[1][np.triu_indices_from(r[1])]).all()
        np.testing.assert_array_equal(np.tril(r[1], -1), 0)
        same_bits(q[::2], good.Q)
        same_bits(r[::2], good.R)


def test_hard_items_leave_the_others_alone(rng):
    """Zero columns, extreme sizes and NaN send a group through its second try; the others get the same bits."""
    for shape in ((4, 4), (7, 5), (5, 8), (20, 20)):
        for dtype in (np.float64, np.float32):
            a = rng.standard_normal((9, *shape)).astype(dtype)
            good = mf.linalg.qr(a)
            for value in (np.nan, np.inf, 0.0, np.finfo(dtype).max / 4, np.finfo(dtype).tiny / 4):
                bad = a.copy()
                bad[4] = value
                got = mf.linalg.qr(bad)
                keep = np.arange(9) != 4
                same_bits(got.Q[keep], good.Q[keep])
                same_bits(got.R[keep], good.R[keep])


def test_wrong_arguments():
    with pytest.raises(ValueError, match="mode must be one of 'reduced', 'complete', 'r', 'raw', got 'full'"):
        mf.linalg.qr(np.eye(3), "full")
    with pytest.raises(LinAlgError, match=r"a must be a matrix.*\(3,\)"):
        mf.linalg.qr(np.ones(3))
    with pytest.raises(LinAlgError, match=r"a must be a matrix.*\(\)"):
        mf.linalg.qr(1.0)
    with pytest.raises(TypeError, match=r"a must hold real numbers.*complex128"):
        mf.linalg.qr(np.eye(3) * 1j)
    with pytest.raises(TypeError, match="a must hold real numbers"):
        mf.linalg.qr(np.array([["x"]]))


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint8, np.int64])
def test_integers_become_float64(dtype):
    q, r = mf.linalg.qr(np.array([[0, 1], [1, 1]], dtype))
    assert q.dtype == r.dtype == np.float64
    np.testing.assert_array_equal(q @ r, [[0, 1], [1, 1]])
    assert isinstance(mf.linalg.qr([[3, 0], [4, 5]]), tuple)


def test_threads_and_levels_give_the_same_bits(same_at_every_level):
    same_at_every_level(
        """
        rng = np.random.default_rng(5)
        for dtype in (np.float64, np.float32):
            small = (1000, 3, 3), (300, 9, 7), (300, 5, 8), (100, 6, 12), (50, 8, 8), (40, 32, 32), (50, 50, 5)
            large = (12, 40, 40), (10, 90, 70), (10, 70, 90), (9, 200, 210)
            for shape in (*small, *large):
                a = rng.standard_normal(shape).astype(dtype)
                a[7] = 0
                a[8, :, 0] *= np.finfo(dtype).tiny
                for mode in ("reduced", "complete", "raw"):
                    digest(*mf.linalg.qr(a, mode))
                digest(*mf.linalg.qr(a[0]), *mf.linalg.qr(a[8]))
        """
    )


@settings(deadline=None, max_examples=80)
@given(st.integers(1, 34), st.integers(1, 34), st.integers(0, 2**32 - 1), st.booleans(), st.sampled_from(MODES))
def test_laws(m, n, seed, narrow, mode):
    """Integer entries, many of them zero, at any scale by columns: orthonormal Q, triangular R, Q R = A."""
    rng = np.random.default_rng(seed)
    scales = np.exp2(rng.integers(-20, 21, n))
    check((rng.integers(-2, 3, (m, n)) * scales).astype(np.float32 if narrow else np.float64), mode)
