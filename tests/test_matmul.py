"""linalg.matmul, matvec, vecdot against extended precision, and their bits against each other."""

from __future__ import annotations

import itertools

import cases
import numpy as np
import pytest
from cases import LAYOUTS, every_batch_size, every_case, every_dtype, poisoned, same_bits
from hypothesis import given, settings
from hypothesis import strategies as st

import mmlfast as mf
from mmlfast._reference import matmul as reference

# Below, at and above each width of a register, tile and panel.
SIDES = (1, 2, 3, 4, 5, 7, 8, 9, 12, 13, 16, 17, 24, 25, 32, 33, 40, 49)

# From this many columns on matvec sums in stripes, not in the order of the columns.
STRIPED = 16


def assert_product(a, b, c):
    """Elementwise |error| <= k u |a| |b|, against extended precision."""
    wide = np.longdouble
    exact = np.matmul(a.astype(wide), b.astype(wide))
    size = np.matmul(np.abs(a).astype(wide), np.abs(b).astype(wide))
    assert c.shape == exact.shape
    assert c.dtype == np.result_type(a, b)
    u, tiny = np.finfo(c.dtype).eps / 2, np.finfo(c.dtype).smallest_subnormal
    assert np.all(np.abs(c - exact) <= a.shape[-1] * (u * size + tiny))


def numbers(rng, *shape, dtype=np.float64):
    return rng.standard_normal(shape).astype(dtype)


# ---- every tagged matrix in every layout ----


@every_case()
def test_matmul(case):
    b = case.rng.standard_normal((*case.plain.shape[:-2], case.plain.shape[-1], 3)).astype(case.dtype)
    c = mf.linalg.matmul(case.array, case.layout(b))
    assert_product(case.plain, b, c)
    same_bits(c, mf.linalg.matmul(case.plain, b))
    left = case.rng.standard_normal((*case.plain.shape[:-2], 5, case.plain.shape[-2])).astype(case.dtype)
    c = mf.linalg.matmul(case.layout(left), case.array)
    assert_product(left, case.plain, c)
    same_bits(c, mf.linalg.matmul(left, case.plain))


@every_case()
def test_matvec(case):
    x = case.rng.standard_normal((*case.plain.shape[:-2], case.plain.shape[-1])).astype(case.dtype)
    y = mf.linalg.matvec(case.array, case.layout(x))
    assert_product(case.plain, x[..., None], y[..., None])
    same_bits(y, mf.linalg.matvec(case.plain, x))
    if case.plain.shape[-1] < STRIPED:
        same_bits(y, mf.linalg.matmul(case.plain, x[..., None])[..., 0])
    shared = x.reshape(-1, x.shape[-1])[0] if x.size else np.zeros(x.shape[-1], x.dtype)
    same_bits(mf.linalg.matvec(case.array, shared), mf.linalg.matvec(case.plain, np.broadcast_to(shared, x.shape)))


@every_case()
def test_vecdot(case):
    y = case.rng.standard_normal(case.plain.shape).astype(case.dtype)
    s = np.asarray(mf.linalg.vecdot(case.array, case.layout(y)))
    assert_product(case.plain[..., None, :], y[..., None], s[..., None, None])
    same_bits(s, mf.linalg.vecdot(case.plain, y))
    same_bits(mf.linalg.vecdot(case.array, case.layout(y), axis=0), mf.linalg.vecdot(case.plain, y, axis=0))


# ---- sizes ----


@every_dtype
@pytest.mark.parametrize("n", SIDES)
def test_sizes_and_orders(n, dtype, rng):
    """Every shape gives the same bits however operands and result lie in memory."""
    for m, k in itertools.product((1, 2, 3, 6, 8, 9, 25), (1, 3, 8, 17)):
        a, b = numbers(rng, 3, m, k, dtype=dtype), numbers(rng, 3, k, n, dtype=dtype)
        c = mf.linalg.matmul(a, b)
        assert_product(a, b, c)
        for x, y in itertools.product((a, cases.fortran(a)), (b, cases.fortran(b))):
            same_bits(mf.linalg.matmul(x, y), c)
            for out in (cases.fortran(np.empty_like(c)), cases.strided(np.empty_like(c))):
                assert mf.linalg.matmul(x, y, out=out) is out
                same_bits(out.copy(), c)
        for item in range(3):
            same_bits(mf.linalg.matmul(a[item], b[item]), c[item])
        same_bits(mf.linalg.matmul(a, b[0])[1], mf.linalg.matmul(a[1], b[0]))
        same_bits(mf.linalg.matmul(a[2], b)[1], mf.linalg.matmul(a[2], b[1]))


@every_dtype
@pytest.mark.parametrize("n", SIDES)
def test_against_the_reference(n, dtype, rng):
    a, b = numbers(rng, n, 7, dtype=dtype), numbers(rng, 7, n, dtype=dtype)
    tolerance = 14 * np.finfo(dtype).eps
    np.testing.assert_allclose(mf.linalg.matmul(a, b), reference.matmul(a, b), rtol=0, atol=tolerance * 7)
    np.testing.assert_allclose(mf.linalg.matvec(a, b[:, 0]), reference.matvec(a, b[:, 0]), rtol=0, atol=tolerance * 7)
    expected = reference.vecdot(a[0], b[:, 0])
    np.testing.assert_allclose(mf.linalg.vecdot(a[0], b[:, 0]), expected, rtol=0, atol=tolerance * 7)


@every_dtype
@every_batch_size
def test_batch_sizes(batch, dtype, rng):
    for m, k, n in ((3, 3, 3), (2, 5, 7), (17, 20, 9), (4, 4, 1), (1, 19, 1)):
        a, b = numbers(rng, batch, m, k, dtype=dtype), numbers(rng, batch, k, n, dtype=dtype)
        c = mf.linalg.matmul(a, b)
        assert_product(a, b, c)
        for item in range(batch):
            same_bits(mf.linalg.matmul(a[item], b[item]), c[item])
        v = mf.linalg.matvec(a, b[..., 0])
        assert_product(a, b[..., :1], v[..., None])
        if k < STRIPED:
            same_bits(v, c[..., 0])
        for item in range(batch):
            same_bits(mf.linalg.matvec(a[item], b[item, :, 0]), v[item])


@every_dtype
def test_one_column_has_the_bits_of_any_column(dtype, rng):
    """Rows in registers, in lanes and in bands of lanes, against tiles with more than one column; and rows in stripes
    with themselves, however they lie and whatever is beside them."""
    for m, k in itertools.product((1, 7, 8, 15, 16, 17, 31, 32, 33, 40, 65), (7, 15, 16, 17, 31, 32, 33, 37, 64, 100)):
        a, x = numbers(rng, 3, m, k, dtype=dtype), numbers(rng, 3, k, dtype=dtype)
        column = mf.linalg.matmul(a, x[..., None])[..., 0]
        same_bits(column, mf.linalg.matmul(a, np.stack([x, x], axis=-1))[..., 0])
        y = mf.linalg.matvec(a, x)
        assert_product(a, x[..., None], y[..., None])
        if k < STRIPED:
            same_bits(y, column)
        same_bits(mf.linalg.matvec(cases.fortran(a), x), y)
        same_bits(mf.linalg.matvec(a[:, m // 2 :], x), y[:, m // 2 :])
        same_bits(mf.linalg.matvec(cases.strided(a), cases.strided(x)), y)
        same_bits(mf.linalg.matvec(a, x[0])[0], y[0])


@every_dtype
def test_copies_in_groups(dtype, rng):
    """Operands and results that are not in rows are copied for many items at a time."""
    for size, batch in ((1, 1500), (2, 700), (3, 250), (5, 100), (13, 40), (20, 9), (40, 3)):
        a, b = numbers(rng, batch, size, size, dtype=dtype), numbers(rng, batch, size, size, dtype=dtype)
        c = mf.linalg.matmul(a, b)
        assert_product(a, b, c)
        turned, interleaved = cases.fortran(b), cases.all_fortran(b)
        same_bits(mf.linalg.matmul(a, turned), c)
        same_bits(mf.linalg.matmul(a, interleaved), c)
        for out in (cases.fortran(np.empty_like(c)), cases.all_fortran(np.empty_like(c))):
            mf.linalg.matmul(a, interleaved, out=out)
            same_bits(out.copy(), c)
        same_bits(mf.linalg.matmul(a, turned[0], out=out)[1], mf.linalg.matmul(a[1], b[0]))


@every_dtype
def test_columns_of_a_wide_matrix(dtype, rng):
    """Rows far apart are copied, but not those whose last register is half empty; what lies behind them is NaN."""
    a, wide = numbers(rng, 2, 40, 33, dtype=dtype), np.full((2, 33, 300), np.nan, dtype)
    for n in (*range(1, 70), 130, 137):
        b = numbers(rng, 2, 33, n, dtype=dtype)
        wide[..., :n] = b
        out = np.full_like(wide, -7, shape=(2, 40, 300))
        same_bits(mf.linalg.matmul(a, wide[..., :n], out=out[..., :n]), mf.linalg.matmul(a, b))
        assert (out[..., n:] == -7).all()
        wide[..., :n] = np.nan


def test_broadcasting_is_numpys(rng):
    for shapes in (
        ((3,), (3,)),
        ((3,), (5, 3, 2)),
        ((5, 2, 3), (3,)),
        ((4, 1, 2, 3), (6, 3, 2)),
        ((0, 2, 3), (3, 2)),
        ((2, 0), (0, 3)),
        ((5, 1, 0), (5, 0, 4)),
    ):
        a, b = numbers(rng, *shapes[0]), numbers(rng, *shapes[1])
        np.testing.assert_allclose(mf.linalg.matmul(a, b), np.matmul(a, b), atol=1e-14)
        assert type(mf.linalg.matmul(a, b)) is type(np.matmul(a, b))
    x, y = numbers(rng, 4, 3, 5), numbers(rng, 3, 1)
    np.testing.assert_allclose(mf.linalg.vecdot(x, y, axis=-2), np.vecdot(x, y, axis=-2), atol=1e-14)
    assert type(mf.linalg.vecdot(x[0, 0], x[0, 1])) is np.float64
    assert mf.linalg.matvec(x, numbers(rng, 7, 1, 5)).shape == (7, 4, 3)


def test_a_shared_matrix_times_many_points(rng):
    """One tall product: the same bits as point by point."""
    for size in (2, 3, 4, 9, 33):
        points, matrix = numbers(rng, 1000, size), numbers(rng, size, size)
        whole = mf.linalg.matmul(points, matrix.T)
        if size < STRIPED:
            same_bits(mf.linalg.matvec(matrix, points), whole)
        same_bits(mf.linalg.matvec(matrix, points)[17], mf.linalg.matvec(matrix, points[17]))
        same_bits(mf.linalg.matmul(points.reshape(10, 100, size), matrix.T).reshape(whole.shape), whole)
        same_bits(mf.linalg.matmul(points[17], matrix.T), whole[17])


@every_dtype
def test_rows_of_few_numbers_have_the_bits_of_single_ones(dtype, rng):
    for k, n in itertools.product((1, 2, 3, 4, 5), (2, 3, 4, 5)):
        a, b = rng.standard_normal((203, k)).astype(dtype), rng.standard_normal((k, n)).astype(dtype)
        alone = np.stack([mf.linalg.matmul(row, b) for row in a])
        same_bits(mf.linalg.matmul(a, b), alone)
        same_bits(mf.linalg.matmul(a, np.asfortranarray(b)), alone)
        same_bits(mf.linalg.matmul(np.asfortranarray(a), b), alone)
        out = np.full((204, n + 1), 7, dtype)
        mf.linalg.matmul(a, b, out=out[:203, :n])
        same_bits(out[:203, :n], alone)
        assert (out[203] == 7).all()
        assert (out[:, n] == 7).all()
    a[5, 0], a[190, 1] = np.nan, np.inf
    assert np.isfinite(mf.linalg.matmul(a, b)).all(axis=1).sum() == 201


def test_any_number_of_rows_of_few_numbers_has_the_same_bits(rng):
    a, b = rng.standard_normal((1_000_000, 3)), rng.standard_normal((3, 3))
    same_bits(mf.linalg.matmul(a, b)[-1000:], mf.linalg.matmul(a[-1000:], b))


@every_dtype
def test_long_vecdot(dtype, rng):
    for k in (31, 32, 33, 63, 64, 65, 511, 512, 513, 1000, 32767, 32768, 32769, 100_001):
        x, y = numbers(rng, 2, k, dtype=dtype), numbers(rng, 2, k, dtype=dtype)
        s = mf.linalg.vecdot(x, y)
        exact = (x.astype(np.longdouble) * y).sum(axis=-1)
        bound = (k / 32 + 10) * np.finfo(dtype).eps / 2 * (np.abs(x).astype(float) * np.abs(y)).sum(axis=-1)
        assert np.all(np.abs(s - exact) <= bound)
        same_bits(mf.linalg.vecdot(cases.strided(x), cases.negative(y)), s)
        same_bits(mf.linalg.vecdot(x[1], y[1]), s[1])


def test_large_products_are_numpys(rng):
    a, b = numbers(rng, 300, 300), numbers(rng, 300, 300)
    same_bits(mf.linalg.matmul(a, b), np.matmul(a, b))
    a, b = numbers(rng, 2, 3, 700), numbers(rng, 700, 4)
    np.testing.assert_allclose(mf.linalg.matmul(a, b), np.matmul(a, b), atol=1e-12)
    out = np.empty((300, 300))
    assert mf.linalg.matmul(np.ones((300, 300), int), np.ones((300, 300), int), out=out) is out
    assert np.all(out == 300)
    a, x = numbers(rng, 3, 5000), numbers(rng, 5000)
    np.testing.assert_allclose(mf.linalg.matvec(a, x), a @ x, atol=1e-11)
    out = np.empty(3)
    assert mf.linalg.matvec(a, x, out=out) is out
    np.testing.assert_allclose(out, a @ x, atol=1e-11)


# ---- bits ----


def test_bits_do_not_depend_on_threads(rng, threads):
    for m, k, n in ((3, 3, 3), (16, 16, 16), (40, 50, 60), (200, 200, 190)):
        a, b = numbers(rng, max(2, 200_000 // (m * k)), m, k), numbers(rng, k, n)
        answers = []
        for count in (1, 2, 3):
            mf.set_num_threads(count)
            answers.append((mf.linalg.matmul(a, b), mf.linalg.matvec(a, b[:, 0]), mf.linalg.vecdot(a, b[:, 0])))
        for other in answers[1:]:
            for one, two in zip(answers[0], other, strict=True):
                same_bits(one, two)


def test_same_bits_with_and_without_avx512(same_at_every_level):
    same_at_every_level(
        """
        rng = np.random.default_rng(3)
        results = []
        for dtype in (np.float64, np.float32):
            for m, k, n in ((2, 2, 2), (3, 3, 3), (5, 7, 6), (8, 8, 8), (9, 20, 13), (17, 40, 31), (50, 33, 70)):
                a = rng.standard_normal((11, m, k)).astype(dtype)
                b = rng.standard_normal((11, k, n)).astype(dtype)
                results += [mf.linalg.matmul(a, b), mf.linalg.matmul(a, b.swapaxes(1, 2).copy().swapaxes(1, 2))]
                results += [mf.linalg.matvec(a, b[..., 0]), mf.linalg.vecdot(a, b[:, :, :1].swapaxes(1, 2))]
        digest(*results)
        """
    )


@every_dtype
def test_poisoned_items(dtype, rng):
    for m, k, n in ((3, 3, 3), (2, 9, 17)):
        a, b = numbers(rng, 9, m, k, dtype=dtype), numbers(rng, 9, k, n, dtype=dtype)
        good = mf.linalg.matmul(a, b), mf.linalg.matvec(a, b[..., 0]), mf.linalg.vecdot(a, b[..., :1].swapaxes(1, 2))
        for index, bad in poisoned(a):
            if index[0] not in (0, 4, 8):
                continue
            others = np.arange(9) != index[0]
            answers = (
                mf.linalg.matmul(bad, b),
                mf.linalg.matvec(bad, b[..., 0]),
                mf.linalg.vecdot(bad, b[..., :1].swapaxes(1, 2)),
            )
            for answer, expected in zip(answers, good, strict=True):
                same_bits(answer[others], expected[others])
                row = answer[index[0], index[1]]
                assert not np.isfinite(row).any()


def test_overlapping_output(rng):
    a = numbers(rng, 20, 4, 4)
    expected = mf.linalg.matmul(a, a)
    x = a.copy()
    same_bits(mf.linalg.matmul(x, x, out=x), expected)
    x = a.copy()
    same_bits(mf.linalg.matmul(x[1:], x[:-1], out=x[1:]), mf.linalg.matmul(a[1:], a[:-1]))


# ---- laws ----

sizes = st.integers(1, 20)


@settings(max_examples=60)
@given(m=sizes, k=sizes, n=sizes, seed=st.integers(0, 2**31), layout=st.sampled_from(LAYOUTS))
def test_products_of_small_integers_are_exact(m, k, n, seed, layout):
    rng = np.random.default_rng(seed)
    a, b = rng.integers(-9, 10, (2, m, k)), rng.integers(-9, 10, (2, k, n))
    for dtype in (np.float64, np.float32):
        c = mf.linalg.matmul(layout(a.astype(dtype)), layout(b.astype(dtype)))
        np.testing.assert_array_equal(c, np.matmul(a, b))
    np.testing.assert_array_equal(mf.linalg.matmul(a, b), np.matmul(a, b))
    np.testing.assert_array_equal(mf.linalg.vecdot(a, b[:, :, 0][:, None, :]), np.vecdot(a, b[:, :, 0][:, None, :]))
    transposed = mf.linalg.matmul(b.swapaxes(1, 2), a.swapaxes(1, 2)).swapaxes(1, 2)
    np.testing.assert_array_equal(transposed, np.matmul(a, b))


# ---- arguments ----


def test_integers_and_booleans_become_float64():
    assert mf.linalg.matmul([[1, 2]], [[3], [4]]).dtype == np.float64
    assert mf.linalg.matvec(np.ones((2, 2), bool), np.ones(2, np.int8)).dtype == np.float64
    assert mf.linalg.matmul(np.ones((2, 2), np.float32), np.ones((2, 2))).dtype == np.float64


@pytest.mark.parametrize("function", ["matmul", "matvec", "vecdot"])
def test_bad_arguments(function):
    f = getattr(mf.linalg, function)
    with pytest.raises(TypeError, match="real numbers"):
        f(np.ones((2, 2), complex), np.ones(2))
    with pytest.raises(TypeError, match="real numbers"):
        f(np.ones((2, 2)), np.array(["a", "b"]))
    with pytest.raises(ValueError, match=rf"{function}: .* shape \(2, 3\)"):
        f(np.ones((2, 3)), np.ones(2))
    with pytest.raises(ValueError, match=function):
        f(1.0, np.ones(2))
    with pytest.raises(ValueError, match=function):
        f(np.ones((200, 300)), np.ones((200, 301)))


def test_other_arrays():
    torch = pytest.importorskip("torch")
    a = torch.arange(9.0, dtype=torch.float64).reshape(3, 3)
    np.testing.assert_array_equal(mf.linalg.matmul(a, a), np.asarray(a) @ np.asarray(a))


# ---- labels ----


def test_labels_along_a_shared_axis_agree(rng):
    """By position in silence."""
    pandas = pytest.importorskip("pandas")
    a = pandas.DataFrame(rng.standard_normal((2, 3)), index=list("rs"), columns=list("uvw"))
    b = pandas.DataFrame(rng.standard_normal((3, 4)), index=list("uvw"))
    x = pandas.Series(rng.standard_normal(3), index=list("uvw"))
    np.testing.assert_allclose(mf.linalg.matmul(a, b), a.to_numpy() @ b.to_numpy())
    np.testing.assert_allclose(mf.linalg.matmul(a, x), a.to_numpy() @ x.to_numpy())
    np.testing.assert_allclose(mf.linalg.matvec(a, x), a.to_numpy() @ x.to_numpy())
    np.testing.assert_allclose(mf.linalg.vecdot(a, x), a.to_numpy() @ x.to_numpy())
    np.testing.assert_allclose(mf.linalg.vecdot(b, b, axis=0), (b.to_numpy() ** 2).sum(axis=0))
    for name, call in (
        ("b", lambda: mf.linalg.matmul(a, b[::-1])),
        ("b", lambda: mf.linalg.matmul(a, x[::-1])),
        ("x", lambda: mf.linalg.matvec(a, x[::-1])),
        ("y", lambda: mf.linalg.vecdot(a, x[::-1])),
        ("y", lambda: mf.linalg.vecdot(x, x[::-1])),
        ("y", lambda: mf.linalg.vecdot(b, b[::-1], axis=0)),
        ("y", lambda: mf.linalg.vecdot(a, a[::-1])),
    ):
        with pytest.raises(ValueError, match=rf"labels of {name} are not those of"):
            call()
    np.testing.assert_allclose(mf.linalg.matmul(a, b[::-1].to_numpy()), a.to_numpy() @ b[::-1].to_numpy())


@pytest.mark.filterwarnings("error")
def test_large_products_of_infinities_do_not_warn():
    a = np.full((3, 600), np.inf)
    a[0] = 0
    with np.errstate(all="warn"):
        assert np.isnan(mf.linalg.matmul(a, a.T)[0, 1])
