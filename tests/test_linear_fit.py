"""linear_fit against exact rational arithmetic, NIST's certified sets, and the situations in which people's fits of
lines went wrong: units, origins, weights, holes, groups, windows."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from cases import every_layout, same_bits, saying, within
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.exceptions import RankWarning

from mmlfast import _core
from mmlfast._reference import linear_fit as reference
from mmlfast.linear_model import linear_fit

EPS = 2.0**-52


def noise(n):
    return np.cos(1.7 * np.arange(n) ** 2)


def exact(x, y, weights=None, degree=None, intercept=True):
    """The exact answer of the numbers as they are."""
    x = np.asarray(x, np.float64)
    if degree is not None:
        columns = reference.powers(x, degree)
        columns = columns if intercept else columns[:, 1:]
    else:
        columns = x[:, None] if x.ndim == 1 else x
        columns = np.hstack([np.ones((len(x), 1)), columns]) if intercept else columns
    return reference.linear_fit(columns, np.asarray(y, np.float64), weights)


def check(fit, x, y, weights=None, degree=None, intercept=True, tol=8 * EPS, error_tol=1e-11):
    """Coefficients to the last digits, covariance and chi-squared to nearly as many."""
    c, inverse, square = exact(x, y, weights, degree, intercept)
    np.testing.assert_allclose(fit.coefficients, c, rtol=tol)
    np.testing.assert_allclose(fit.chi_squared, square, rtol=1e-11, atol=1e-25 * np.square(y).max())
    n = len(y) if weights is None else int((weights > 0).sum())
    assert fit.dof == n - len(c)
    assert fit.rank == len(c)
    assert fit.status == 0
    variance = square / (n - len(c))
    np.testing.assert_allclose(fit.standard_errors, np.sqrt(np.diagonal(inverse) * variance), rtol=error_tol)
    scale = np.sqrt(np.diagonal(inverse))
    difference = (fit.covariance - inverse * variance) / scale / scale[:, None]
    assert np.abs(difference).max() <= error_tol * variance
    same_bits(fit.covariance, fit.covariance.T)


# ---- NIST ----

LINEAR = (
    ("Norris", 1), ("Pontius", 2), ("NoInt1", None), ("NoInt2", None), ("Filip", 10), ("Longley", None),
    ("Wampler1", 5), ("Wampler2", 5), ("Wampler3", 5), ("Wampler4", 5), ("Wampler5", 5),
)  # fmt: skip


@pytest.fixture
def strd(data_folder, monkeypatch):
    monkeypatch.syspath_prepend(str(data_folder))
    return pytest.importorskip("strd")


@pytest.mark.parametrize(("name", "degree"), LINEAR)
def test_nist_linear_sets(name, degree, strd):
    """13 digits of the coefficients and 9 of their errors; of Filip, whose rounded powers allow no more, 7.4."""
    d = strd.load(name)
    constant = bool((d.design[:, 0] == 1).all())
    fits = [linear_fit(d.design[:, int(constant) :], d.y, intercept=constant)]
    if degree is not None:
        fits.append(linear_fit(d.x, d.y, degree=degree))
    for by_degree, fit in enumerate(fits):
        digits, of_errors = (13, 9) if name != "Filip" or by_degree else (7.4, 7)
        assert strd.lre(fit.coefficients, d.params).min() >= digits
        assert strd.lre(fit.standard_errors, d.std).min() >= of_errors
        assert strd.lre(fit.chi_squared, d.rss).min() >= 9
        assert fit.dof == d.dof


def test_these_are_all_linear_sets(strd):
    assert {name for name, _ in LINEAR} == set(strd.LINEAR)


# ---- against exact rationals ----


@pytest.mark.parametrize("n", [3, 4, 5, 8, 9, 17, 60])
@pytest.mark.parametrize("k", [1, 2, 3])
def test_columns(n, k, rng):
    if n <= k + 1:
        return
    x, y = rng.standard_normal((n, k)) + 100 * np.arange(k), rng.standard_normal(n) + 30
    check(linear_fit(x, y), x, y)
    check(linear_fit(x, y, intercept=False), x, y, intercept=False)
    w = rng.integers(0, 3, n) + (np.arange(n) < k + 3)
    if (w > 0).sum() > k + 1:
        check(linear_fit(x, y, weights=w * 0.7), x, y, w * 0.7, error_tol=1e-10)


@pytest.mark.parametrize("degree", [0, 1, 2, 3, 5, 8])
@pytest.mark.parametrize("middle", [0.0, 1960.0, 1.7e9])
def test_polynomials_far_from_the_origin(degree, middle):
    x = middle + np.linspace(-60, 60, 41).round(3)
    y = np.sin(x / 40) + 0.1 * noise(41)
    if degree * np.log10(max(middle, 1)) < 40:
        check(linear_fit(x, y, degree=degree), x, y, degree=degree, tol=1e-14, error_tol=1e-8)
    if degree:
        check(
            linear_fit(x - middle, y, degree=degree, intercept=False),
            x - middle,
            y,
            degree=degree,
            intercept=False,
            tol=1e-13,
            error_tol=1e-9,
        )


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_lines_of_any_numbers(data):
    n = data.draw(st.integers(3, 12))
    numbers = st.floats(-1e6, 1e6, allow_subnormal=False).map(lambda v: float(np.float32(v)))
    x = np.array(data.draw(st.lists(numbers, min_size=n, max_size=n, unique=True)))
    y = np.array(data.draw(st.lists(numbers, min_size=n, max_size=n)))
    fit = linear_fit(x, y)
    c, _, square = exact(x, y)
    size = np.abs(c) + np.array([np.abs(y).max() + abs(c[1]) * np.abs(x).max(), 0])
    assert (np.abs(fit.coefficients - c) <= 4 * EPS * size + 1e-18 * np.abs(y).max() / np.ptp(x)).all()
    assert abs(fit.chi_squared - square) <= 1e-12 * square + 1e-28 * np.square(y).max()


def test_nearly_dependent_columns_lose_no_digit(rng):
    x = rng.standard_normal((30, 3))
    for distance in (1e-3, 1e-6, 1e-9, 1e-12):
        near = np.c_[x, x[:, 0] + x[:, 1] + distance * rng.standard_normal(30)]
        check(linear_fit(near, x[::-1, 0]), near, x[::-1, 0], tol=1e-13, error_tol=20 * EPS / distance)


def test_the_numbers_of_float32_are_fitted_in_float64(rng):
    x, y = (rng.standard_normal((40, 2)) + 1e4).astype("f4"), rng.standard_normal(40).astype("f4")
    fit = linear_fit(x, y)
    assert fit.coefficients.dtype == np.float64
    same_bits(fit.coefficients, linear_fit(x.astype(float), y.astype(float)).coefficients)
    same_bits(fit.covariance, linear_fit(x.astype(float), y.astype(float)).covariance)
    same_bits(linear_fit(x.astype(float), y).coefficients, fit.coefficients)


@pytest.mark.parametrize("dtype", ["u1", "i4", "i8", "?", ">i2", "f2"])
def test_other_numbers(dtype):
    x = np.arange(9).astype(dtype)
    y = (np.arange(9)[::-1] * 3 % 7).astype(dtype)
    same_bits(linear_fit(np.arange(9.0), y).coefficients, linear_fit(np.arange(9.0), y.astype(float)).coefficients)
    if dtype != "?":
        same_bits(linear_fit(x, y).coefficients, linear_fit(x.astype(float), y.astype(float)).coefficients)


def test_nanoseconds_are_exact():
    x = 1_700_000_000_000_000_001 + 60_000_000_000 * np.arange(100)
    seconds = 1.7e9 + 60.0 * np.arange(100)
    y = 3 - 2e-4 * (seconds - seconds[0]) + 0.05 * noise(100)
    fit, plain = linear_fit(x, y), linear_fit(seconds, y)
    np.testing.assert_allclose(fit.slope * 1e9, plain.slope, rtol=1e-15)
    np.testing.assert_allclose(fit.slope_error * 1e9, plain.slope_error, rtol=1e-15)
    np.testing.assert_allclose(fit.predict(x), plain.predict(seconds), rtol=1e-14)
    np.testing.assert_allclose(fit.intercept_error, plain.intercept_error, rtol=1e-12)
    zero = exact(np.array([float(v - x[0]) for v in x]), y)[0]
    np.testing.assert_allclose(fit.intercept, zero[0] - zero[1] * float(x[0]), rtol=1e-14)
    shifted = linear_fit(x, y, groups=np.arange(100) % 2)
    np.testing.assert_allclose(shifted.slope * 1e9, linear_fit(seconds, y, groups=np.arange(100) % 2).slope, rtol=1e-14)
    np.testing.assert_allclose(fit.predict(x.astype(float)), plain.predict(seconds), rtol=1e-9)
    for refused in ({"degree": 2}, {"intercept": False}):
        with pytest.raises(TypeError, match=r"x holds the integer \d+, which float64 would round"):
            linear_fit(x, y, **refused)
    with pytest.raises(TypeError, match="x holds"):
        linear_fit(np.array([-(2**62), 2**62 + 1, 5]), np.arange(3.0))


# ---- units ----


@pytest.mark.parametrize("power", [-300, -40, 7, 300])
def test_powers_of_two_change_no_digit(power, rng):
    x, y, w = rng.standard_normal((30, 2)) + 5, rng.standard_normal(30), rng.random(30)
    plain = linear_fit(x, y, weights=w)
    for sx, sy, sw in itertools.product((0, power), repeat=3):
        with saying((sx, sy, sw)):
            fit = linear_fit(np.ldexp(x, sx), np.ldexp(y, sy), weights=np.ldexp(w, sw // 2 * 2))
            same_bits(fit.coefficients, np.ldexp(plain.coefficients, [sy, sy - sx, sy - sx]))
            same_bits(fit.standard_errors, np.ldexp(plain.standard_errors, [sy, sy - sx, sy - sx]))
            if -500 < sy < 500 and abs(2 * sy + sw // 2 * 2) < 900:
                assert fit.chi_squared == np.ldexp(plain.chi_squared, 2 * sy + sw // 2 * 2)
            assert fit.r_squared == plain.r_squared or abs(2 * sy + sw) > 900
    t = x[:, 0]
    poly = linear_fit(t, y, degree=4)
    scaled = linear_fit(np.ldexp(t, 20), y, degree=4)
    same_bits(scaled.coefficients, np.ldexp(poly.coefficients, -20 * np.arange(5)))
    sigma = np.sqrt(1 / w)
    one, two = (linear_fit(x, y, sigma=np.ldexp(sigma, s), absolute_sigma=True) for s in (0, power))
    same_bits(two.coefficients, one.coefficients)
    same_bits(two.standard_errors, np.ldexp(one.standard_errors, power))


def test_the_ends_of_the_range():
    x = np.array([1.0, 2, 3, 5])
    y = np.array([1.0, 3, 2, 4])
    plain = linear_fit(x, y)
    for sx, sy in ((1020, 0), (-1060, 0), (0, 1020), (0, -1060), (1000, 1000)):
        fit = linear_fit(np.ldexp(x, sx), np.ldexp(y, sy))
        if abs(sy - sx) < 1020:
            np.testing.assert_allclose(fit.slope, np.ldexp(plain.slope, sy - sx), rtol=1e-14)
        assert fit.rank == 2
        if abs(sy) < 400:
            np.testing.assert_allclose(fit.r_squared, plain.r_squared, rtol=1e-12)


# ---- the same alone, in a batch, in groups, in windows ----


def records_equal(fit, g, alone):
    same_bits(fit.coefficients[g], alone.coefficients)
    same_bits(fit.standard_errors[g], alone.standard_errors)
    same_bits(np.float64(fit.chi_squared[g]), np.float64(alone.chi_squared))
    same_bits(np.float64(fit.r_squared[g]), np.float64(alone.r_squared))
    assert (fit.dof[g], fit.rank[g], fit.status[g]) == (alone.dof, alone.rank, alone.status)


@pytest.mark.filterwarnings("ignore::numpy.exceptions.RankWarning")
@pytest.mark.parametrize("columns", [1, 3])
def test_groups_are_what_they_are_alone(columns, rng):
    labels = rng.permutation(np.repeat(np.arange(70), rng.geometric(0.03, 70).clip(1, 300)))
    x = rng.standard_normal((len(labels), columns)) * 10 ** rng.uniform(-3, 3, (len(labels), 1)) + 1e5
    y = rng.standard_normal(len(labels))
    w = rng.integers(0, 3, len(labels)) * 0.5
    x = x[:, 0] if columns == 1 else x
    for options in ({}, {"weights": w}):
        fit = linear_fit(x, y, groups=labels, **options)
        assert fit.groups.tolist() == list(range(70))
        for g in range(70):
            rows = labels == g
            here = {name: v[rows] for name, v in options.items()}
            records_equal(fit, g, linear_fit(x[rows], y[rows], **here))


@pytest.mark.parametrize("step", [1, 3, 17])
@pytest.mark.parametrize("window", [1, 2, 3, 8, 25, 60])
def test_windows_are_what_they_are_alone(window, step, rng):
    x, y = np.cumsum(rng.random(60)) + 1e6, rng.standard_normal(60)
    fit = linear_fit(x, y, window=window, step=step)
    assert fit.window_starts.tolist() == list(range(0, 60 - window + 1, step))
    for f, start in enumerate(fit.window_starts):
        rows = slice(start, start + window)
        if window > 1:
            records_equal(fit, f, linear_fit(x[rows], y[rows]))
    if window == 1:
        assert np.isnan(fit.slope).all()
    table = np.c_[x, y[::-1]]
    two = linear_fit(table, y, window=window, step=step, degree=None)
    if window > 3:
        records_equal(two, 0, linear_fit(table[:window], y[:window]))


def test_batches_broadcast(rng):
    x, y = rng.standard_normal((2, 1, 20)), rng.standard_normal((3, 20))
    fit = linear_fit(x, y[None])
    assert fit.coefficients.shape == (2, 3, 2)
    for i, j in np.ndindex(2, 3):
        records_equal(fit, (i, j), linear_fit(x[i, 0], y[j]))
    shared = linear_fit(x[0, 0], y)
    for j in range(3):
        records_equal(shared, j, linear_fit(x[0, 0], y[j]))
    table = rng.standard_normal((3, 20, 2))
    w = rng.random(20)
    fit = linear_fit(table, y, weights=w)
    for j in range(3):
        records_equal(fit, j, linear_fit(table[j], y[j], weights=w))
    polynomial = linear_fit(x[0, 0], y, degree=3)
    assert polynomial.coefficients.shape == (3, 4)
    empty = linear_fit(np.empty((0, 5)), np.empty((0, 5)))
    assert empty.coefficients.shape == (0, 2)
    assert empty.covariance.shape == (0, 2, 2)


def test_errors_of_one_line_are_those_of_a_batch(rng):
    """Of one line they are computed without arrays."""
    for x0, size, n in ((0.0, 1.0, 20), (1.7e9, 60.0, 7), (0.0, 1e-200, 5), (1e150, 1e140, 4), (0.0, 1.0, 2)):
        x, y = x0 + size * rng.standard_normal(n), rng.standard_normal(n)
        for design in ({}, {"degree": 1}, {"sigma": np.ones(n)}, {"sigma": np.ones(n), "absolute_sigma": True}):
            one, batch = linear_fit(x, y, **design), linear_fit(x, y[None], **design)
            np.testing.assert_array_equal(one.standard_errors, batch.standard_errors[0])
    big = linear_fit(2**60 + 1000 * np.arange(9), y := rng.standard_normal(9))
    np.testing.assert_array_equal(
        big.standard_errors, linear_fit(2**60 + 1000 * np.arange(9), y[None]).standard_errors[0]
    )


@every_layout
def test_layouts(layout, rng):
    x, y = rng.standard_normal((30, 3)), rng.standard_normal(30)
    same_bits(linear_fit(layout(x), layout(y)).coefficients, linear_fit(x, y).coefficients)
    labels = np.arange(30) % 4
    same_bits(
        linear_fit(layout(x), layout(y), groups=layout(labels)).coefficients,
        linear_fit(x, y, groups=labels).coefficients,
    )


# ---- long fits ----


@pytest.fixture
def few_rows(monkeypatch):
    """Fits of more than 40 rows are long ones."""
    monkeypatch.setattr(_core, "linear_fit_most_rows", lambda *design: 40)


@pytest.mark.parametrize("n", [41, 500, 3000])
def test_long_fits(n, few_rows, rng):
    x, y = rng.standard_normal((n, 2)) + np.array([1e6, 0]), rng.standard_normal(n) + 7
    w = rng.integers(0, 3, n) * 1.0
    for degree, part in ((None, x), (None, x[:, 0]), (3, x[:, 1]), (0, x[:, 1])):
        for weights in (None, w):
            for intercept in (True, False) if degree != 0 else (True,):
                use = {"degree": degree, "intercept": intercept}
                if n < 1000:
                    fit = linear_fit(part, y, weights=weights, **use)
                    check(fit, part, y, weights, **use, tol=1e-13, error_tol=1e-9)
    fit = linear_fit(x, y)
    assert abs(fit.r_squared - np.corrcoef(y, fit.predict(x))[0, 1] ** 2) < 1e-12


def test_long_fits_of_near_columns_and_exact_data(few_rows, rng):
    x = rng.standard_normal((300, 2))
    near = np.c_[x, x[:, 0] + 1e-8 * rng.standard_normal(300)]
    c = exact(near, x[:, 1] + 1)[0]
    np.testing.assert_allclose(linear_fit(near, x[:, 1] + 1).coefficients, c, atol=1e-6)
    fit = linear_fit(np.arange(300.0), 3 + 0.5 * np.arange(300))
    assert fit.coefficients.tolist() == [3, 0.5]
    assert fit.chi_squared < 1e-20
    with pytest.warns(RankWarning):
        fit = linear_fit(np.c_[x, x[:, 0] + 1e3], x[:, 1])
    assert fit.rank == 3
    np.testing.assert_allclose(fit.predict(np.c_[x, x[:, 0] + 1e3]), x[:, 1], atol=1e-10)
    same = linear_fit(x, x[:, 0], groups=np.zeros(300))
    np.testing.assert_allclose(same.coefficients[0], [0, 1, 0], atol=1e-15)
    holes = x[:, 0].copy()
    holes[3] = np.nan
    assert linear_fit(x, holes).status == 3
    assert linear_fit(x, holes, nan_policy="omit").count == 299


def test_long_groups_beside_small_ones(rng):
    labels = np.r_[np.zeros(40_000, int), np.repeat(np.arange(1, 9), 5)]
    x, y = rng.standard_normal((len(labels), 2)), rng.standard_normal(len(labels))
    order = rng.permutation(len(labels))
    fit = linear_fit(x[order], y[order], groups=labels[order])
    assert fit.count.tolist() == [40_000] + [5] * 8
    expected = np.linalg.lstsq(np.c_[np.ones(40_000), x[:40_000]], y[:40_000], rcond=None)[0]
    np.testing.assert_allclose(fit.coefficients[0], expected, atol=1e-14)
    rows = order[labels[order] == 0]
    records_equal(fit, 0, linear_fit(x[rows], y[rows]))


def test_exact_data_have_no_errors():
    for x in (np.arange(10.0), 1.7e9 + 60 * np.arange(10.0)):
        for a, b in ((0, 3), (5, -0.25), (7, 0), (-1.5 * x[0], 1.5)):
            fit = linear_fit(x, a + b * x)
            assert fit.coefficients.tolist() == [a, b]
            assert (fit.chi_squared, fit.dof, fit.status) == (0, 8, 0)
            assert (fit.standard_errors == 0).all()
            assert (fit.covariance == 0).all()
            known = linear_fit(x, a + b * x, sigma=0.5, absolute_sigma=True)
            z = x - x.mean()
            np.testing.assert_allclose(known.slope_error, 0.5 / np.sqrt(z @ z), rtol=1e-14)


# ---- weights and errors ----


def test_rows_of_weight_zero_are_not_there():
    x = np.arange(8.0)
    z = 1 + 2 * x + 0.1 * noise(8)
    z[3] = np.nan
    fit, without = linear_fit(x, z, weights=(x != 3) * 1.0), linear_fit(np.delete(x, 3), np.delete(z, 3))
    np.testing.assert_allclose(fit.coefficients, without.coefficients, rtol=4 * EPS)
    np.testing.assert_allclose([fit.slope, fit.slope_error], [1.9880229, 0.0075653], atol=5e-8)
    assert fit.dof == 5
    ignored = linear_fit(x, z, sigma=np.where(x == 3, np.inf, 1.0))
    same_bits(ignored.covariance, fit.covariance)


def test_errors_of_rows_are_weights(rng):
    x, y, sigma = rng.random(20), rng.random(20), rng.random(20) + 0.1
    fit = linear_fit(x, y, sigma=sigma)
    np.testing.assert_allclose(fit.covariance, linear_fit(x, y, weights=sigma**-2).covariance, rtol=1e-13)
    np.testing.assert_allclose(fit.chi_squared, np.sum(((y - fit.predict(x)) / sigma) ** 2), rtol=1e-12)
    absolute = linear_fit(x, y, sigma=sigma, absolute_sigma=True)
    np.testing.assert_allclose(absolute.covariance * fit.reduced_chi_squared, fit.covariance, rtol=1e-13)
    same_bits(
        linear_fit(x, y, sigma=0.5, absolute_sigma=True).covariance,
        linear_fit(x, y, sigma=np.full(20, 0.5), absolute_sigma=True).covariance,
    )
    exact_data = linear_fit(x, 1 + 2 * x, sigma=sigma, absolute_sigma=True)
    np.testing.assert_allclose(exact_data.covariance, absolute.covariance, rtol=1e-13)


@pytest.mark.parametrize("degree", [None, 2])
def test_correlated_errors(degree, rng):
    n = 25
    x = 1.7e9 + 60.0 * np.arange(n)
    b = rng.standard_normal((n, n))
    c = (b @ b.T + n * np.eye(n)) * 1e-3
    c = (c + c.T) / 2
    y = 2 - 1e-3 * (x - x[0]) + rng.standard_normal(n)
    z = x - x.mean()
    a = np.stack([z**j for j in range((degree or 1) + 1)], axis=1)
    inverse = np.linalg.inv(c)
    n_matrix = np.linalg.inv(a.T @ inverse @ a)
    about = n_matrix @ a.T @ inverse @ y
    residual = y - a @ about
    for absolute in (True, False):
        fit = linear_fit(x, y, degree=degree, sigma=c, absolute_sigma=absolute)
        np.testing.assert_allclose(fit.predict(x), a @ about, atol=1e-10)
        np.testing.assert_allclose(fit.chi_squared, residual @ inverse @ residual, rtol=1e-10)
        scale = 1 if absolute else fit.reduced_chi_squared
        np.testing.assert_allclose(fit.covariance[-1, -1], n_matrix[-1, -1] * scale, rtol=1e-10)
    diagonal = linear_fit(x, y, sigma=np.diag(np.linspace(1, 2, n)))
    np.testing.assert_allclose(diagonal.covariance, linear_fit(x, y, sigma=np.sqrt(np.linspace(1, 2, n))).covariance)
    holes = y.copy()
    holes[4] = np.nan
    kept = np.arange(n) != 4
    np.testing.assert_allclose(
        linear_fit(x, holes, sigma=c, nan_policy="omit").coefficients,
        linear_fit(x[kept], y[kept], sigma=c[np.ix_(kept, kept)]).coefficients,
    )
    assert linear_fit(x, holes, sigma=c).status == 3


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"weights": [1, 1, -1, 1]}, r"weights must not be negative, infinite or NaN, got weights\[2\] is -1.0"),
        ({"weights": [1, 1, np.inf, 1]}, r"weights\[2\] is inf"),
        ({"weights": [1, 1, np.nan, 1]}, r"weights\[2\] is nan"),
        ({"weights": [1, 1, 1]}, r"weights must have one number for each of the 4 rows, got shape \(3,\)"),
        ({"sigma": [1, 0, 1, 1]}, r"sigma must be positive, got sigma\[1\] is 0.0"),
        ({"sigma": [1, np.nan, 1, 1]}, r"sigma\[1\] is nan"),
        ({"sigma": [1, 1, 1, 1], "weights": [1, 1, 1, 1]}, "give one of them"),
        ({"sigma": np.tri(4)}, r"sigma is not symmetric: sigma\[0, 1\] is 0.0, sigma\[1, 0\] is 1.0"),
        ({"sigma": np.ones((4, 4))}, "sigma is not positive definite"),
        ({"sigma": -np.eye(4)}, r"the variance sigma\[0, same\] is not positive"),
        ({"sigma": np.full((4, 4), np.nan)}, "sigma holds NaN or infinity"),
        ({"sigma": np.eye(4), "groups": [1, 1, 2, 2]}, "groups and window take errors of rows"),
        ({"degree": 1.5}, "degree must be a whole number"),
        ({"degree": -1}, "degree must be at least 0"),
        ({"degree": 41}, "degree must be at most 40"),
        ({"degree": 0, "intercept": False}, "nothing to fit"),
        ({"window": 5}, "window=5 is longer than the 4 rows"),
        ({"window": 0}, "window must be at least 1"),
        ({"window": 2, "step": 0}, "step must be at least 1"),
        ({"step": 2}, "step=2 is that of windows"),
        ({"window": 2, "groups": [1, 1, 2, 2]}, "exclude each other"),
        ({"groups": [1, 2]}, "groups must have one label for each of the 4 rows"),
        ({"groups": [1, None, 1, 1]}, r"groups\[1\] is missing"),
        ({"nan_policy": "drop"}, "nan_policy must be one of"),
        ({"rcond": 2}, "rcond must be between 0 and 1"),
    ],
)
def test_refused(options, says):
    with pytest.raises((ValueError, TypeError), match=says):
        linear_fit([1.0, 2, 3, 4], [1.0, 3, 2, 4], **options)


@pytest.mark.parametrize(
    ("x", "y", "says"),
    [
        (np.ones(3), np.ones(4), r"x has shape \(3,\) and y \(4,\): they must have as many rows"),
        (np.arange(4.0), np.ones((4, 1)), r"y \(4, 1\).*the rows are the last axis of y \(y.T, or y\[:, 0\]"),
        (np.arange(4.0)[:, None], np.ones((4, 1)), r"x has shape \(4, 1\) and y \(4, 1\).*y\[:, 0\]"),
        (1.0, np.ones(4), "x and y must have rows"),
        (np.ones((4, 0)), np.ones(4), "no columns"),
        (np.ones((2, 4)), np.ones((3, 4)), r"x has shape \(2, 4, 1\), y \(3, 4\).*do not broadcast"),
        (np.ma.masked_equal([1.0, 2, 3], 2), np.ones(3), "x is a masked array"),
        (np.array(["2024-01-01", "2024-01-02"], "M8[D]"), [1, 2], "subtract a date and divide by a unit"),
    ],
)
def test_refused_arrays(x, y, says):
    with pytest.raises((ValueError, TypeError), match=says):
        linear_fit(x, y, **({"intercept": False} if np.shape(x) == (4, 0) else {}))


def test_labels_of_rows():
    pandas = pytest.importorskip("pandas")
    x = pandas.Series([1.0, 2, 3, 4])
    y = pandas.Series([1.0, 3, 2, 4])
    assert linear_fit(x, y).slope == linear_fit(x.to_numpy(), y.to_numpy()).slope
    with pytest.raises(ValueError, match="the labels of y are not those of x"):
        linear_fit(x, y[::-1])
    frame = pandas.DataFrame({"a": [1, 2, 3, 5, 4], "b": [0.5, 1, 0, 1, 2]})
    same_bits(linear_fit(frame, np.arange(5.0)).coefficients, linear_fit(frame.to_numpy(), np.arange(5.0)).coefficients)


# ---- what is not determined, and holes ----


def test_rows_that_do_not_determine():
    with pytest.warns(RankWarning, match="3 rows determine 1 of 2 coefficients; these are NaN"):
        fit = linear_fit([0.3] * 3, [1.0, 2, 3])
    assert (fit.rank, fit.status) == (1, 2)
    assert np.isnan(fit.coefficients).all()
    assert np.isnan(fit.predict(2.0))
    with pytest.warns(RankWarning):
        assert linear_fit([0.3, 0.1 + 0.2, 0.3], [1.0, 2, 3]).rank == 1
    with pytest.warns(RankWarning):
        assert linear_fit([1, 2, 2, 1.0], np.arange(4.0), degree=2).rank == 2
    with pytest.warns(RankWarning):
        fit = linear_fit(np.arange(3.0), [1, 2, 4.0], degree=3)
    assert (fit.rank, fit.status, fit.dof) == (3, 2, 0)


def test_dependent_columns_have_the_least_norm(rng):
    x = rng.random((50, 2))
    columns = np.c_[x[:, 0], x[:, 0] + 1e3, x[:, 1]]
    y = 3 * x[:, 0] + x[:, 1] + 5
    for scale in (1.0, 2.0**40):
        with pytest.warns(RankWarning, match="50 rows determine 3 of 4"):
            fit = linear_fit(columns * scale, y)
        assert (fit.rank, fit.status, fit.dof) == (3, 2, 47)
        np.testing.assert_allclose(fit.coefficients[1:] * scale, [1.5, 1.5, 1], atol=1e-10)
        np.testing.assert_allclose(fit.predict(columns * scale), y, atol=1e-10)
        assert np.isinf(fit.standard_errors[:3]).all()
    noisy = y + 0.1 * noise(50)
    with pytest.warns(RankWarning):
        fit = linear_fit(columns, noisy)
    without = linear_fit(columns[:, [0, 2]], noisy)
    np.testing.assert_allclose(fit.standard_errors[3], without.standard_errors[2], rtol=1e-10)
    np.testing.assert_allclose(fit.chi_squared, without.chi_squared, rtol=1e-10)
    assert np.isinf(fit.covariance[1, 2])
    assert fit.condition == np.inf


def test_as_many_rows_as_coefficients():
    fit = linear_fit([1.0, 3], [2.0, 5])
    assert fit.coefficients.tolist() == [0.5, 1.5]
    assert (fit.chi_squared, fit.dof, fit.status) == (0, 0, 1)
    assert np.isnan(fit.standard_errors).all()
    assert np.isnan(fit.confidence_band(2.0)).all()
    fit = linear_fit([0.0, 1], [1.0, 3], sigma=[0.1, 0.2], absolute_sigma=True)
    np.testing.assert_allclose(fit.covariance, [[0.01, -0.01], [-0.01, 0.05]], rtol=1e-14)
    assert np.isnan(linear_fit(np.arange(3.0), [1, 2, 4.0], degree=2).standard_errors).all()
    assert linear_fit([1.0, 3], [2.0, 4], degree=0).coefficients == [3.0]


def test_a_spike_leaves_no_trace():
    x = np.arange(60.0)
    z = np.sin(x / 5)
    for spike in (1e14, np.nan, np.inf):
        struck = z.copy()
        struck[20] = spike
        plain, fit = linear_fit(x, z, window=8), linear_fit(x, struck, window=8)
        outside = np.abs(np.arange(53) - 16.5) > 4
        same_bits(fit.slope[outside], plain.slope[outside])
        same_bits(fit.standard_errors[outside], plain.standard_errors[outside])
        if not np.isfinite(spike):
            assert (fit.status[~outside] == 3).all()
            assert np.isnan(fit.slope[~outside]).all()


def test_groups_of_all_kinds():
    g = np.array(["b", "a", "b", "c", "d", "a", "d", "b", "a"])
    x = np.array([1, 0, 2, 5, 0.3, 1, 0.3, 4, 3.0])
    fit = linear_fit(x, 1 + x / 4, groups=g)
    assert fit.groups.tolist() == ["a", "b", "c", "d"]
    np.testing.assert_allclose(fit.coefficients, [[1, 0.25], [1, 0.25], [np.nan] * 2, [np.nan] * 2], rtol=1e-15)
    assert fit.status.tolist() == [0, 0, 2, 2]
    assert fit.message[2] == "the rows do not determine all coefficients"
    y = 1 + x / 4
    y[1] = np.nan
    fit = linear_fit(x, y, groups=g)
    assert fit.status.tolist() == [3, 0, 2, 2]
    assert "NaN" in fit.message[0]
    fit = linear_fit(x, y, groups=g, nan_policy="omit")
    np.testing.assert_allclose(fit.coefficients[:2], [[1, 0.25], [1, 0.25]], rtol=1e-15)
    assert fit.status.tolist() == [1, 0, 2, 2]
    labels = g.astype(object)
    labels[3] = None
    assert linear_fit(x, y, groups=labels, nan_policy="omit").groups.tolist() == ["a", "b", "d"]
    y[[5, 8]] = np.nan
    assert linear_fit(x, y, groups=g, nan_policy="omit").status.tolist() == [4, 0, 2, 2]


def test_holes():
    x, y = np.arange(6.0), np.array([1.0, 2, np.nan, 5, 4, 7])
    kept = ~np.isnan(y)
    same_bits(linear_fit(x, y, nan_policy="omit").coefficients, linear_fit(x, y, weights=kept * 1.0).coefficients)
    masked = np.ma.masked_invalid(y)
    same_bits(linear_fit(x, masked, nan_policy="omit").coefficients, linear_fit(x, y, nan_policy="omit").coefficients)
    assert np.isnan(linear_fit(x, y).coefficients).all()
    with pytest.raises(ValueError, match=r"y\[2\] is nan; nan_policy='omit'"):
        linear_fit(x, y, nan_policy="raise")
    linear_fit(x, y, nan_policy="raise", weights=kept * 1.0)
    with pytest.raises(ValueError, match=r"x\[1, 0\] is nan"):
        linear_fit(np.array([1.0, np.nan]), np.ones(2), nan_policy="raise")
    sigma = np.array([1.0, np.nan, 1, 1, 1, 1])
    assert linear_fit(x, y, sigma=sigma, nan_policy="omit").count == 4
    assert linear_fit(x, y, weights=sigma, nan_policy="omit").count == 4
    infinite = linear_fit(x, np.where(kept, y, np.inf), nan_policy="omit")
    assert infinite.status == 3
    none = linear_fit(x, np.full(6, np.nan), nan_policy="omit")
    assert (none.status, none.count) == (4, 0)


# ---- what a result offers ----


def test_bands_against_the_formula(rng):
    scipy_stats = pytest.importorskip("scipy.stats")
    x = 1.7e9 + 60.0 * np.arange(50)
    y = 3 - 2e-4 * (x - x[0]) + 0.05 * noise(50)
    fit = linear_fit(x, y)
    z, at = x - x.mean(), np.array([x[0], x.mean(), x[-1] + 3000])
    s = np.sqrt(fit.reduced_chi_squared)
    half = scipy_stats.t.ppf(0.95, 48) * s * np.sqrt(1 / 50 + (at - x.mean()) ** 2 / (z @ z))
    low, high = fit.confidence_band(at, 0.9)
    np.testing.assert_allclose((high - low) / 2, half, rtol=1e-8)
    np.testing.assert_allclose((high + low) / 2, fit.predict(at), rtol=1e-12)
    low, high = fit.prediction_band(at, 0.9)
    half = scipy_stats.t.ppf(0.95, 48) * s * np.sqrt(1 + 1 / 50 + (at - x.mean()) ** 2 / (z @ z))
    np.testing.assert_allclose((high - low) / 2, half, rtol=1e-8)
    known = linear_fit(x, y, sigma=0.05, absolute_sigma=True)
    band = known.prediction_band(at, 0.9, sigma=0.05)
    half = scipy_stats.norm.ppf(0.95) * 0.05 * np.sqrt(1 + 1 / 50 + (at - x.mean()) ** 2 / (z @ z))
    np.testing.assert_allclose((band.high - band.low) / 2, half, rtol=1e-8)
    for level in (0, 1, np.nan):
        with pytest.raises(ValueError, match="level must be between 0 and 1"):
            fit.confidence_band(x, level)


def test_predictions_have_the_shape_of_their_points(rng):
    line = linear_fit(np.arange(5.0), np.arange(5.0) * 2)
    assert line.predict(3) == pytest.approx(6)
    assert line.predict(np.zeros((2, 3))).shape == (2, 3)
    many = linear_fit(np.arange(5.0), rng.standard_normal((4, 5)))
    assert many.predict(1.0).shape == (4,)
    assert many.predict([1.0, 2]).shape == (4, 2)
    assert many.predict(rng.random((4, 3))).shape == (4, 3)
    assert many.confidence_band([1.0, 2]).low.shape == (4, 2)
    plane = linear_fit(rng.random((9, 2)), rng.random(9))
    assert isinstance(plane.predict([1.0, 2]), float)
    assert plane.predict(np.ones((3, 2))).shape == (3,)
    with pytest.raises(ValueError, match=r"predict: x must have the 2 columns of the fit, got shape \(3, 3\)"):
        plane.predict(np.ones((3, 3)))
    with pytest.raises(AttributeError, match="slope is that of a straight line"):
        assert plane.slope
    years = np.arange(1900.0, 2021)
    curve = linear_fit(years, np.sin((years - 1960) / 40), degree=9)
    np.testing.assert_allclose(curve.predict(years), np.sin((years - 1960) / 40), atol=1e-7)
    through = linear_fit(np.arange(1.0, 5), 2 * np.arange(1.0, 5), intercept=False)
    assert (through.slope, through.intercept, through.intercept_error) == (2, 0, 0)
    constant = linear_fit(np.arange(4.0), np.ones(4), degree=0)
    assert constant.predict([1.0, 2]).tolist() == [1, 1]


def test_condition_is_that_of_the_fitted_columns(rng):
    x = rng.standard_normal((40, 3)) @ np.diag([1, 1e5, 1e-7]) + 1e3
    x[:, 2] += 0.5e-7 * x[:, 0]
    z = x - x.mean(axis=0)
    expected = np.linalg.cond(np.c_[np.ones(40) / np.sqrt(40), z / np.linalg.norm(z, axis=0)])
    np.testing.assert_allclose(linear_fit(x, rng.random(40)).condition, expected, rtol=1e-6)
    assert linear_fit(x[:, 0], rng.random((2, 40))).condition.shape == (2,)
    assert abs(linear_fit(1.7e9 + np.arange(9.0), np.arange(9.0)).condition - 1) < 1e-12


def test_results_say_what_they_are():
    fit = linear_fit(np.arange(5.0), [1.0, 2, 2, 4, 4])
    assert repr(fit).startswith("LinearFit(1 +- 0.4, 0.8 +- 0.16; chi_squared=")
    assert repr(linear_fit(np.arange(4.0), np.ones((3, 4)))) == "LinearFit(fits (3,), 2 coefficients each)"
    by_label = linear_fit(np.arange(4.0), np.ones(4), groups=[1, 1, 2, 2])
    assert repr(by_label) == "LinearFit(2 groups, 2 coefficients each)"
    assert fit.groups is None
    assert by_label.window_starts is None


@within("bad", [np.zeros((3, 2), complex), np.array(["a", "b", "c"]), None, iter([1, 2, 3])])
def test_what_holds_no_numbers(bad):
    with pytest.raises(TypeError, match=r"\bx\b"):
        linear_fit(bad, np.ones(3))
    with pytest.raises(TypeError, match=r"\by\b"):
        linear_fit(np.ones(3), bad)


def test_threads_change_no_bit(threads, rng):
    x, y = rng.standard_normal((50_000, 2)), rng.standard_normal(50_000)
    labels = rng.integers(0, 500, 50_000)
    found = []
    for n in (1, 2, 5):
        threads(n)
        found.append((linear_fit(x, y)._record, linear_fit(x, y, groups=labels)._record))
    for one, by_label in found[1:]:
        same_bits(one, found[0][0])
        same_bits(by_label, found[0][1])


@pytest.mark.parametrize("unit", [1e300, 1e-300])
def test_polynomials_whose_higher_coefficients_leave_float64(unit: float) -> None:
    """`condition` was an error ("Singular matrix"), and what else is asked of such a fit a warning of NumPy."""
    x = np.linspace(-1, 1, 12) * unit
    fit = linear_fit(x, np.arange(12.0) ** 2, degree=3)
    assert abs(fit.coefficients[0] - 30.25) < 1e-12
    assert fit.condition == np.inf
    assert fit.covariance.shape == (4, 4)
    assert fit.predict(x).shape == fit.confidence_band(x).low.shape == (12,)


def test_predictions_have_the_same_bits_in_every_layout() -> None:
    rng = np.random.default_rng(4)
    x = rng.standard_normal((40, 5))
    fit = linear_fit(x, rng.standard_normal(40))
    for layout in (np.asfortranarray, lambda a: a[::-1][::-1], lambda a: np.repeat(a, 2, axis=1)[:, ::2]):
        same_bits(fit.predict(layout(x)), fit.predict(x))
        same_bits(fit.confidence_band(layout(x)).low, fit.confidence_band(x).low)
