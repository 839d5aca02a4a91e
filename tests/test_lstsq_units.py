"""lstsq does not depend on the units of the columns nor on the number of rows: bits, ranks, exact rational answers."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import numpy as np
import pytest
from cases import every_dtype, same_bits
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import mmlfast as mf


def unit(dtype):
    return float(np.finfo(dtype).eps) / 2


def exact_solution(a, b):
    """Least squares without rounding, by the normal equations in rational numbers."""
    rows = [[Fraction(float(e)) for e in row] for row in np.column_stack([a, b])]
    n = a.shape[1]
    system = [[sum(row[i] * row[j] for row in rows) for j in range(n + 1)] for i in range(n)]
    for k in range(n):
        pivot = next(i for i in range(k, n) if system[i][k] != 0)
        system[k], system[pivot] = system[pivot], system[k]
        system[k] = [e / system[k][k] for e in system[k]]
        for i in range(n):
            if i != k:
                factor = system[i][k]
                system[i] = [e - factor * p for e, p in zip(system[i], system[k], strict=True)]
    return np.array([float(row[n]) for row in system])


def least_norm(a, b):
    """The solution of least norm at 120 digits, by the singular values of exact numbers, and the rank."""
    with mpmath.workdps(120):
        u, s, v = mpmath.svd_r(mpmath.matrix(a.astype(float).tolist()))
        rank = sum(1 for e in s if e > s[0] * mpmath.mpf(10) ** -60)
        x = [mpmath.mpf(0)] * a.shape[1]
        for k in range(rank):
            part = sum(u[i, k] * float(b[i]) for i in range(len(b))) / s[k]
            x = [old + v[k, j] * part for j, old in enumerate(x)]
        return np.array([float(e) for e in x]), rank


def check_exact(a, b, got, expected):
    """Each coefficient times the length of its column, to the condition of the columns of length one."""
    a, b = a.astype(np.longdouble), b.astype(np.longdouble)
    lengths = np.sqrt((a * a).sum(axis=0))
    s = np.linalg.svd((a / lengths).astype(float), compute_uv=False)
    condition = float(s[0] / s[-1])
    residual = float(np.linalg.norm((b - a @ expected).astype(float)))
    size = float(np.linalg.norm((expected * lengths).astype(float)))
    error = float(np.abs((got - expected) * lengths).max())
    assert error <= 20 * a.shape[1] * unit(got.dtype) * condition * (size + condition * residual)


# ---- data as they come ----


def real_designs():
    rng = np.random.default_rng(3)
    one, steps = np.ones(200), np.arange(200.0)
    t = 1.71e9 + 30 * steps
    year = 1850 + steps
    pressure, kelvin = 101_325 + 500 * rng.standard_normal(200), 288 + 8 * rng.standard_normal(200)
    yield "time stamps", np.stack([one, t], 1)
    yield "time stamps, nanoseconds", np.stack([one, 1.71e18 + 1e9 * steps], 1)
    yield "time stamps, a curve", np.stack([one, t, t * t], 1)
    yield "days since year 0", np.stack([one, 739_000 + steps, np.sin(steps)], 1)
    yield "years", np.stack([one, year, year**2], 1)
    yield "years, a cubic", np.stack([one, year, year**2, year**3], 1)
    yield "pressures", np.stack([one, pressure, pressure**2, kelvin, kelvin * pressure], 1)
    yield "metres and atoms", np.stack([one, 1e-10 * rng.uniform(1, 2, 200), 6e23 * rng.uniform(1, 2, 200)], 1)
    yield "far apart", rng.standard_normal((200, 4)) * [1e-30, 1e30, 1, 1e-20]
    yield "beyond squares", rng.standard_normal((200, 3)) * [1e200, 1e-200, 1]


FITS_FLOAT32 = ("years", "metres and atoms", "far apart")


@pytest.mark.parametrize("rows", [12, 60, 200])
@pytest.mark.parametrize("name", [name for name, _ in real_designs()])
def test_designs_in_units_of_their_own_have_full_rank(name, rows):
    a = dict(real_designs())[name][:: 200 // rows][:rows]
    rng = np.random.default_rng(rows)
    b = a / np.linalg.norm(np.ldexp(a, -700 * (np.abs(a) > 1e150)), axis=0) if name != "beyond squares" else a * 1e-200
    b = b.sum(axis=1) + 1e-3 * rng.standard_normal(rows)
    for dtype in (np.float64, np.float32) if name in FITS_FLOAT32 else (np.float64,):
        x, y = a.astype(dtype), b.astype(dtype)
        expected = exact_solution(x, y)
        one, many = mf.linalg.lstsq(x, y), mf.linalg.lstsq(np.stack([x] * 9), y[:, None])
        factor = mf.linalg.RFactor(dtype=dtype).update(np.column_stack([x, y]))
        assert one.rank == a.shape[1]
        assert (many.rank == a.shape[1]).all()
        same_bits(many.x[4, :, 0], one.x)
        check_exact(x, y, one.x, expected)
        if name != "beyond squares":
            check_exact(x, y, factor.lstsq()[0][:, 0], expected)


def test_a_line_through_time_stamps():
    t = 1.71e9 + 30.0 * np.arange(200)
    y = 12 - 5e-4 * (t - t[0])
    x, _, rank, _ = mf.linalg.lstsq(np.stack([np.ones(200), t], 1), y)
    assert rank == 2
    assert x[1] == pytest.approx(-5e-4, rel=1e-9)


def test_float32_columns_of_a_long_table_are_not_dropped():
    r = np.random.default_rng(1)
    n = 800_000
    a = np.ones((n, 3), np.float32)
    a[:, 1] = r.standard_normal(n)
    a[:, 2] = 0.06 * r.standard_normal(n)
    x, _, rank, _ = mf.linalg.lstsq(a, a @ np.float32([2, -1, 5]))
    assert rank == 3
    np.testing.assert_allclose(x, [2, -1, 5], rtol=1e-6)


@every_dtype
def test_rank_does_not_depend_on_the_number_of_rows(dtype, rng):
    """Of which half are the same, so that the columns are as near to each other for each number of rows."""
    u = unit(dtype)
    for near in (64, 0):
        for rows in (8, 100, 600, 5000, 100_000, 1_000_000):
            signs = np.where(np.arange(rows) % 2, 1.0, -1.0)
            other = np.where(np.arange(rows) % 4 < 2, 1.0, -1.0)
            a = np.stack([signs, signs + near * u * other], axis=1).astype(dtype)
            assert mf.linalg.lstsq(a, np.ones(rows, dtype)).rank == (2 if near else 1)


# ---- units are powers of two ----


SHAPES = [(3, 3), (9, 4), (50, 5), (60, 16), (64, 20), (40, 40), (300, 40), (3000, 3), (60, 50)]


@every_dtype
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@settings(deadline=None, max_examples=8)
@given(seed=st.integers(0, 2**32 - 1), far=st.booleans())
def test_units_change_no_bit(shape, dtype, seed, far):
    """x of (A D, b) is D^-1 x of (A, b), to the bit; also where squares of the columns do not fit the dtype."""
    rng = np.random.default_rng(seed)
    most = {(np.float64, False): 250, (np.float64, True): 900, (np.float32, False): 30, (np.float32, True): 80}
    powers = rng.integers(-most[dtype, far], most[dtype, far] + 1, (3, shape[1]))
    a, b = rng.uniform(1, 2, (3, *shape)).astype(dtype), rng.uniform(-1, 1, (3, shape[0], 2)).astype(dtype)
    a[1] *= np.where(rng.random(shape) < 0.5, 1, -1)
    scaled = np.ldexp(a, powers[:, None, :])
    plain, got = mf.linalg.lstsq(a, b), mf.linalg.lstsq(scaled, b)
    same_bits(got.rank, plain.rank)
    whole = plain.rank == shape[1]  # else least norm is asked for, in the units that are given
    same_bits(got.x[whole], np.ldexp(plain.x, -powers[..., None])[whole])
    same_bits(got.residuals[whole], plain.residuals[whole])
    for i in range(3):
        one = mf.linalg.lstsq(scaled[i], b[i])
        assert one.rank == plain.rank[i]
        same_bits(one.x, got.x[i])


@every_dtype
@pytest.mark.parametrize("shape", [(9, 4), (60, 16), (300, 40)], ids=str)
def test_units_of_right_hand_sides_change_no_bit(shape, dtype, rng):
    most = 60 if dtype == np.float32 else 500
    a, b = rng.standard_normal(shape).astype(dtype), rng.uniform(1, 2, (shape[0], 3)).astype(dtype)
    plain = mf.linalg.lstsq(a, b)
    got = mf.linalg.lstsq(a, np.ldexp(b, [most, -most, 0]))
    same_bits(got.x, np.ldexp(plain.x, [most, -most, 0]))


# ---- what depends on each other ----


def dependent(rng, m):
    """(name, design, rank)"""
    one, x, y = np.ones(m), rng.standard_normal(m), rng.uniform(1, 2, m)
    group = np.arange(m) % 3
    dummies = (group[:, None] == np.arange(3)).astype(float)
    t = 1.71e9 + 30.0 * np.arange(m)
    yield "a column twice", np.stack([x, y, x], 1), 2
    yield "a column of zeros", np.stack([x, 0 * x, y], 1), 2
    yield "a sum", np.stack([x, y, x + y], 1), 2
    yield "a sum of many", np.column_stack([z := rng.standard_normal((m, 6)), z.sum(axis=1)]), 6
    yield "intercept beside all dummies", np.column_stack([one, dummies, x]), 4
    yield "a constant beside the intercept", np.stack([one, np.full(m, 0.1), y], 1), 2
    yield "Celsius and Fahrenheit", np.stack([one, 10 * x, 10 * x * 9 / 5 + 32], 1), 2
    yield "shares", np.column_stack([one, 100 * rng.dirichlet(np.ones(4), m)]), 4
    yield "time stamps twice", np.stack([one, t, t], 1), 2
    yield "time stamps in hours and minutes", np.stack([one, t, t / 60, t / 3600], 1), 2
    yield "centred dummies", np.column_stack([y, dummies - dummies.mean(axis=0)]), 3
    yield "standardised sum", (z := np.stack([x, y, x + y], 1)) / z.std(axis=0), 2


@pytest.mark.parametrize("rows", [9, 60, 200, 600, 4000, 60_000])
@every_dtype
def test_dependent_columns_stay_dependent(rows, dtype, rng):
    b = rng.standard_normal(rows).astype(dtype)
    for name, a, rank in dependent(rng, rows):
        if dtype == np.float32 and "time stamps" in name:
            continue  # rounded to two minutes they are something else
        a = a.astype(dtype)
        got = mf.linalg.lstsq(a, b)
        assert got.rank == rank, name
        assert mf.linalg.lstsq(a[None], b[:, None]).rank == rank, name
        factor = mf.linalg.RFactor(dtype=dtype).update(a[: rows // 3]).update(a[rows // 3 :])
        assert factor.rank() == rank, name
        # As good a fit as there is.
        wide = a.astype(float)
        scaled = wide / np.maximum(np.linalg.norm(wide, axis=0), 1e-300)
        best = scaled @ np.linalg.lstsq(scaled, b.astype(float), 1e-6 if dtype == np.float32 else 1e-13)[0]
        size = np.linalg.norm(b) * np.sqrt(rows)
        assert np.linalg.norm(wide @ got.x - best) <= (3e-7 if dtype == np.float32 else 1e-9) * size, name


@every_dtype
def test_equal_columns_share_equally(dtype):
    """In the units of the columns, whatever they are: half of the coefficient each, a multiple by its square."""
    t = (1.71e9 + 4096.0 * np.arange(300)).astype(dtype)
    y = (12 + 1e-4 * (t.astype(float) - t[0])).astype(dtype)
    one = np.ones(300, dtype)
    for rows in (300, 30):
        plain = mf.linalg.lstsq(np.stack([one, t], 1)[:rows], y[:rows]).x
        for a, shares in (
            ([one, t, t], [(1,), (0.5, 0.5)]),
            ([one, one, t, t], [(0.5, 0.5), (0.5, 0.5)]),
            ([one, t, 2 * t], [(1,), (0.2, 0.4)]),
        ):
            x = mf.linalg.lstsq(np.stack(a, 1)[:rows], y[:rows]).x
            expected = np.concatenate([c * np.array(part) for c, part in zip(plain, shares, strict=True)])
            np.testing.assert_allclose(x, expected, rtol=1e-8 if dtype == np.float64 else 1e-3)


@settings(deadline=None, max_examples=60)
@given(st.integers(2, 8), st.integers(2, 7), st.integers(1, 6), st.integers(0, 40), st.integers(0, 2**32 - 1))
def test_least_norm_in_the_units_of_the_columns(m, n, rank, spread, seed):
    """Small integers in units of their own, of exact rank, beside 120 digits."""
    rng = np.random.default_rng(seed)
    a = (rng.integers(-3, 4, (m, rank)) @ rng.integers(-3, 4, (rank, n))).astype(float)
    a *= np.exp2(rng.integers(-spread, spread + 1, n))
    b = rng.integers(-9, 10, m).astype(float)
    assume((a.T @ b).any() or not a.any())  # else the answer is zero, and all that is found is rounding
    got = mf.linalg.lstsq(a, b)
    expected, rank = least_norm(a, b) if a.any() else (np.zeros(n), 0)
    assert got.rank == rank
    np.testing.assert_allclose(got.x, expected, rtol=0, atol=1e-11 * np.abs(expected).max())
    lengths = np.linalg.norm(a, axis=0)
    np.testing.assert_allclose(
        got.x * lengths, expected * lengths, rtol=0, atol=1e-10 * np.abs(expected * lengths).max()
    )
    same_bits(mf.linalg.lstsq(np.stack([a] * 3), b[:, None]).x[1, :, 0], got.x)


@pytest.mark.parametrize("shape", [(300, 40), (40, 300), (50, 50), (5000, 36)], ids=str)
def test_least_norm_of_large_problems(shape, rng):
    m, n = shape
    a = rng.standard_normal((m, 20)) @ rng.standard_normal((20, n))
    b = rng.standard_normal((m, 2))
    got = mf.linalg.lstsq(a, b)
    assert got.rank == 20
    np.testing.assert_allclose(got.x, np.linalg.pinv(a, rcond=1e-10) @ b, rtol=0, atol=1e-12 * np.abs(got.x).max() * n)
    units = np.exp2(rng.integers(-8, 9, n))
    scaled = mf.linalg.lstsq(a * units, b)
    assert scaled.rank == 20
    expected = np.linalg.pinv(a * units, rcond=1e-10) @ b
    np.testing.assert_allclose(scaled.x, expected, rtol=0, atol=1e-9 * np.abs(expected).max())
    np.testing.assert_allclose(a * units @ scaled.x, a @ got.x, rtol=0, atol=1e-10)


def test_wide_problems_in_units_of_their_own():
    """Fewer equations than unknowns: the rank is that of columns of length one, the least norm that of the caller."""
    t = 1.71e9 + 1e8 * np.arange(4)
    for a in (
        np.stack([np.ones(2), t[:2], np.array([3.0, 4])], 1),
        np.stack([np.ones(3), t[:3], np.cos(t[:3]) * 1e-9, np.array([1e-12, 2e-12, -1e-12])], 1),
        np.array([[1e-30, 1e30, 2, 1], [2e-30, 1e30, 1, 5]]),
    ):
        b = np.arange(1.0, len(a) + 1)
        got = mf.linalg.lstsq(a, b)
        expected, rank = least_norm(a, b)
        assert got.rank == rank == len(a)
        assert np.linalg.norm(got.x) <= (1 + 1e-12) * np.linalg.norm(expected)
        lengths = np.linalg.norm(a, axis=0)
        error = np.abs((got.x - expected) * lengths).max()
        assert error <= 1e-12 * np.abs(expected * lengths).max()


# ---- weights ----


@every_dtype
@pytest.mark.parametrize("shape", [(9, 4), (30, 5), (300, 40), (5000, 3)], ids=str)
def test_weights_are_how_often_a_row_counts(shape, dtype, rng):
    a, b = rng.standard_normal(shape).astype(dtype), rng.standard_normal((shape[0], 2)).astype(dtype)
    w = rng.integers(0, 4, shape[0])
    w[: shape[1]] = 1
    got = mf.linalg.lstsq(a, b, weights=w)
    repeated = mf.linalg.lstsq(np.repeat(a, w, axis=0), np.repeat(b, w, axis=0))
    tolerance = 1e3 * shape[1] * unit(dtype)
    assert got.x.dtype == got.residuals.dtype == got.s.dtype == dtype
    assert got.rank == shape[1]
    np.testing.assert_allclose(got.x, repeated.x, rtol=0, atol=tolerance)
    np.testing.assert_allclose(got.residuals, repeated.residuals, rtol=tolerance)
    np.testing.assert_allclose(got.s, repeated.s, rtol=tolerance)
    a[w == 0] = np.nan
    b[np.flatnonzero(w == 0)[:1]] = np.inf
    without = mf.linalg.lstsq(a, b, weights=w)
    for x, y in zip(without, got, strict=True):
        same_bits(np.asarray(x), np.asarray(y))
    vector = mf.linalg.lstsq(a, b[:, 0], weights=w)
    assert (vector.x.shape, vector.residuals.shape) == ((shape[1],), (1,))


def test_weights_of_stacks(rng):
    a, b, w = rng.standard_normal((4, 9, 3)), rng.standard_normal((4, 9, 2)), rng.uniform(0, 2, (4, 9))
    got = mf.linalg.lstsq(a, b, weights=w)
    for i in range(4):
        one = mf.linalg.lstsq(a[i], b[i], weights=w[i])
        same_bits(got.x[i], one.x)
        same_bits(got.residuals[i], one.residuals)
    several = mf.linalg.lstsq(a[0], b[0, :, 0], weights=w)  # one table, several weightings
    assert several.x.shape == (4, 3)
    np.testing.assert_allclose(several.x[2], mf.linalg.lstsq(a[0], b[0, :, 0], weights=w[2]).x, rtol=1e-13)
    bad = a.copy()
    bad[1, 2, 0] = np.nan
    assert np.isnan(mf.linalg.lstsq(bad, b, weights=w, errors="nan").x[1]).all()
    with pytest.raises(np.linalg.LinAlgError, match=r"NaN or infinity in a or b at batch index \(1,\)"):
        mf.linalg.lstsq(bad, b, weights=w)


def test_the_unit_of_weights_changes_nothing(rng):
    a, b, w = rng.standard_normal((20, 3)), rng.standard_normal(20), rng.uniform(1, 2, 20)
    plain = mf.linalg.lstsq(a, b, weights=w)
    for power in (1000, -1000, 300):
        got = mf.linalg.lstsq(a, b, weights=np.ldexp(w, power))
        same_bits(got.x, plain.x)
        same_bits(got.residuals, np.ldexp(plain.residuals, power))
    big = mf.linalg.lstsq(np.ldexp(a, 1000), np.ldexp(b, 1000), weights=np.ldexp(w, 1000))
    same_bits(big.x, plain.x)
    narrow = mf.linalg.lstsq(a.astype(np.float32), b.astype(np.float32), weights=w * 1e-80)
    np.testing.assert_allclose(narrow.x, plain.x, rtol=1e-5)


def test_wrong_weights():
    a, b = np.eye(3), np.ones(3)
    for bad in (-1, np.nan, np.inf):
        with pytest.raises(ValueError, match=r"lstsq: weights must not be negative, infinite or NaN, got weights\[1\]"):
            mf.linalg.lstsq(a, b, weights=[1, bad, 1], errors="nan")
    with pytest.raises(ValueError, match=r"weights must have one number per row of a, shape \(3,\).*\(4,\)"):
        mf.linalg.lstsq(a, b, weights=np.ones(4))
    with pytest.raises(np.linalg.LinAlgError, match="Incompatible dimensions"):
        mf.linalg.lstsq(a, np.ones(4), weights=np.ones(3))
    with pytest.raises(TypeError, match="weights must hold real numbers"):
        mf.linalg.lstsq(a, b, weights=[1j, 1, 1])


def test_labels_of_rows_agree_or_are_refused(rng):
    pandas = pytest.importorskip("pandas")
    a = pandas.DataFrame(rng.standard_normal((4, 2)), index=list("abcd"))
    b, w = pandas.Series(rng.standard_normal(4), index=list("abcd")), pandas.Series(np.arange(4.0), index=list("abcd"))
    same_bits(mf.linalg.lstsq(a, b, weights=w).x, mf.linalg.lstsq(a.to_numpy(), b.to_numpy(), weights=w.to_numpy()).x)
    with pytest.raises(ValueError, match="the labels of b are not those of a"):
        mf.linalg.lstsq(a, b[::-1])
    with pytest.raises(ValueError, match="the labels of weights are not those of a"):
        mf.linalg.lstsq(a, b, weights=w[::-1])
    same_bits(mf.linalg.lstsq(a, b[::-1].to_numpy()).x, mf.linalg.lstsq(a.to_numpy(), b[::-1].to_numpy()).x)


def test_one_problem_in_dask_arrays_is_sent_to_dask_lstsq():
    da = pytest.importorskip("dask.array")
    with pytest.raises(TypeError, match=r"mmlfast\.dask\.lstsq"):
        mf.linalg.lstsq(da.ones((6, 2), chunks=2), np.ones(6))


# ---- R and Dask ----


def test_r_factor_and_dask_alike(rng):
    dask = pytest.importorskip("dask")
    da = pytest.importorskip("dask.array")
    t = 1.71e9 + 30.0 * np.arange(1000)
    one = np.ones(1000)
    y = 12 - 5e-4 * (t - t[0]) + 1e-3 * rng.standard_normal(1000)
    w = rng.integers(0, 3, 1000)
    for columns, rank in (([one, t], 2), ([one, t, t], 2), ([one, one, t, 0 * t], 2)):
        a = np.stack(columns, 1)
        memory = mf.linalg.lstsq(a[None], y[:, None])
        x, residuals = mf.linalg.RFactor().update(np.column_stack([a, y])).lstsq()
        with dask.config.set(scheduler="synchronous"):
            chunks = da.from_array(a, chunks=(130, 1)), da.from_array(y, chunks=77)
            lazy = dask.compute(*mf.dask.lstsq(*chunks))
            hidden = np.where(w[:, None] > 0, a, np.nan)
            weighted = dask.compute(*mf.dask.lstsq(da.from_array(hidden, chunks=(130, 1)), chunks[1], weights=w))
        assert memory.rank == lazy[2] == weighted[2] == rank
        for got in (x[:, 0], lazy[0]):
            np.testing.assert_allclose(got, memory.x[0, :, 0], rtol=1e-7)
        for got in (residuals, lazy[1]):
            np.testing.assert_allclose(got, memory.residuals[0], rtol=1e-6)
        right = mf.linalg.lstsq(a[None], y[:, None], weights=w)
        np.testing.assert_allclose(weighted[0], right.x[0, :, 0], rtol=1e-7)
        np.testing.assert_allclose(weighted[1], right.residuals[0], rtol=1e-6)
    with dask.config.set(scheduler="synchronous"), pytest.raises(ValueError, match="weights must not be negative"):
        mf.dask.lstsq(*chunks, weights=-w).x.compute()
    with pytest.raises(ValueError, match=r"lstsq: weights must have shape \(1000,\)"):
        mf.dask.lstsq(*chunks, weights=w[:5])
