"""The warning of solve and inv for one matrix that is singular up to rounding, and large matrices themselves."""

from __future__ import annotations

import contextlib
import re
import warnings

import cases
import mpmath
import numpy as np
import pytest
import scipy.linalg
from cases import backward_error, every_dtype
from scipy.linalg import LinAlgWarning

import mmlfast as mf


def scaled_condition(a):
    """The smallest condition number that scaling rows and columns reaches: the spectral radius of abs(a) abs(a^-1)."""
    with mpmath.workdps(60):
        inverse = mpmath.matrix(a.tolist()) ** -1
    inverse = np.array(inverse.tolist(), dtype=float)
    return np.abs(np.linalg.eigvals(np.abs(a.astype(float)) @ np.abs(inverse))).max()


def warnings_of(function, *arguments, **options):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        function(*arguments, **options)
    assert all(issubclass(w.category, LinAlgWarning) for w in caught)
    return caught


def calls(a, rng):
    """The calls that invert a: with a vector and a matrix on the right, and all the ways into the library."""
    n, dtype = len(a), a.dtype
    b = rng.standard_normal((n, 3)).astype(dtype)
    return {
        "vector": (mf.linalg.solve, a, b[:, 0].copy()),
        "strided": (mf.linalg.solve, a[::-1], b[::-1, 0]),
        "matrix": (mf.linalg.solve, a, b),
        "fortran": (mf.linalg.solve, np.asfortranarray(a), np.asfortranarray(b)),
        "inverse": (mf.linalg.inv, a),
        "inverse of the transpose": (mf.linalg.inv, a.T),
        "stack of one": (mf.linalg.inv, a[None]),
    }


def dependent(rng, n, dtype):
    """One column is a sum of others, but for rounding."""
    a = rng.standard_normal((n, n))
    k = rng.integers(n)
    weights = rng.standard_normal(n)
    weights[k] = 0
    a[:, k] = a @ weights
    return a.astype(dtype)


def has_pivot_of_zero(a):
    try:
        mf.linalg.solve(a, np.ones(len(a)), errors="raise")
    except np.linalg.LinAlgError:
        return True
    return False


SIZES = [2, 3, 4, 5, 7, 8, 9, 16, 32, 33, 64]


@every_dtype
@pytest.mark.parametrize("n", SIZES)
@pytest.mark.filterwarnings("ignore::scipy.linalg.LinAlgWarning")
def test_dependent_columns_are_told(n, dtype, rng):
    """Whatever the units of the columns are, and those of the rows."""
    missed = tried = 0
    for units in ("none", "columns", "rows", "both"):
        for _ in range(10 if n < 33 else 3):
            a = dependent(rng, n, dtype)
            if units in ("columns", "both"):
                a *= dtype(2) ** rng.integers(-15, 16, n).astype(dtype)
            if units in ("rows", "both"):
                a *= dtype(2) ** rng.integers(-15, 16, (n, 1)).astype(dtype)
            if has_pivot_of_zero(a):
                continue
            for call in calls(a, rng).values():
                tried += 1
                with contextlib.suppress(np.linalg.LinAlgError):  # a pivot of zero, in another order: that tells, too
                    missed += not warnings_of(*call)
    assert missed <= 0.02 * tried


@every_dtype
@pytest.mark.parametrize("n", SIZES)
def test_good_matrices_are_not_warned_of(n, dtype, rng):
    """Nor those that are good once their rows and columns have units of one size."""
    for _ in range(25 if n < 33 else 4):
        a = rng.standard_normal((n, n)) + 3 * np.sqrt(n) * np.eye(n)[rng.permutation(n)]
        a = a.astype(dtype)
        units = 2.0 ** rng.integers(-20, 21, n).astype(dtype)
        for b in (a, a * units, a * units[:, None], a * dtype(1e-30), a * dtype(1e30)):
            for name, call in calls(b.astype(dtype), rng).items():
                assert not warnings_of(*call), name


def test_no_false_alarm(rng):
    for n in (2, 3, 5, 8):
        for a in rng.standard_normal((2500, n, n)):
            assert not warnings_of(mf.linalg.inv, a)
            assert not warnings_of(mf.linalg.solve, a, a[0])


@pytest.mark.parametrize(
    ("n", "decades"), [(n, x) for n in (3, 6, 12) for x in (0, 6, 10, 13, 14, 17, 18, 20)] + [(40, 13), (40, 18)]
)
def test_warns_where_no_digit_is_left(n, decades, rng):
    eps = np.finfo(float).eps
    for _ in range({3: 5, 6: 3}.get(n, 1)):
        a = cases.of_condition(rng, n, n, 10.0**decades)
        condition = scaled_condition(a)
        for call in calls(a, rng).values():
            found = warnings_of(*call)
            if condition < 0.1 / eps:
                assert not found, condition
            elif condition > 50 / eps:
                (only,) = found
                text = str(only.message)
                value = re.fullmatch(r"Ill-conditioned matrix \(rcond=(\S+)\): result may not be accurate\.", text)[1]
                assert 0 < float(value) <= 2 * eps
                assert only.filename == __file__  # the line that called us


def test_nearly_singular_without_a_word():
    """A multiple of a singular matrix, which rounding makes regular."""
    a = np.arange(1.0, 10).reshape(3, 3) / 10
    assert mf.linalg.is_singular(a)
    for matrix in (a, a.tolist(), a * 2.0**-900, a * 2.0**900, a * [1, 1e-150, 1e150], a.T, a[::-1], a.astype("f4")):
        assert warnings_of(mf.linalg.inv, matrix)
        assert warnings_of(mf.linalg.inv, matrix, errors="nan")
        for b in ([1, 2, 4], [[1, 2], [2, 5], [4, 4]]):
            b = np.array(b, np.asarray(matrix).dtype)
            assert warnings_of(mf.linalg.solve, matrix, b.tolist() if b.itemsize == 8 else b)
            assert warnings_of(mf.linalg.solve, matrix, b, errors="nan")
            assert warnings_of(mf.linalg.solve, matrix, b)
            assert warnings_of(mf.linalg.solve, matrix, b, out=np.empty_like(b))
    assert not warnings_of(mf.linalg.det, a)
    assert not warnings_of(mf.linalg.lu, a)


def test_named_matrices():
    for n in range(4, 16):
        a = scipy.linalg.hilbert(n)
        found = [bool(warnings_of(mf.linalg.solve, a, np.ones(n))), bool(warnings_of(mf.linalg.inv, a))]
        assert found == [n >= 12] * 2
    for a in (np.diag([1, 1e-20]), np.diag([1e-200, 1, 1e200]), [[1e-20, 1], [1, 1]], np.vander(np.arange(1.0, 13))):
        assert not warnings_of(mf.linalg.solve, a, np.ones(len(a)))
        assert not warnings_of(mf.linalg.inv, a)
    assert warnings_of(mf.linalg.solve, np.vander(np.linspace(0, 1, 22)), np.ones(22))


def test_elimination_that_loses_a_row():
    """A row of large numbers whose first is not: 1e20 swallows the second equation. The matrix itself is good."""
    a = np.array([[1, 1e20], [1, 1]])
    assert warnings_of(mf.linalg.solve, a, [1e20, 2])  # right: 1, 1
    assert warnings_of(mf.linalg.inv, a)
    assert not warnings_of(mf.linalg.solve, a[::-1] / [[1], [1e20]], [2, 1])
    large = np.eye(40)
    large[:2, :2] = a
    b = [1e20, 2] + [0] * 38
    assert warnings_of(mf.linalg.solve, large, b) or np.allclose(mf.linalg.solve(large, b)[:2], 1)


def test_the_line_of_the_caller():
    """Also where a function of the library is between; and functions that judge the condition themselves are silent."""
    a = np.arange(1.0, 10).reshape(3, 3) / 10
    for function, arguments in (
        (mf.linalg.solve, (a, a[0])),
        (mf.linalg.inv, (a.tolist(),)),
        (mf.linalg.matrix_power, (a, -2)),
    ):
        assert {w.filename for w in warnings_of(function, *arguments)} == {__file__}
    for p in (None, 1, np.inf, "fro"):
        assert not warnings_of(mf.linalg.cond, a, p)
    assert not warnings_of(mf.linalg.is_singular, a)


@pytest.mark.parametrize("n", [5, 20, 33, 60, 200])
def test_hidden_ill_condition_is_seen(n, rng):
    """Pivots of 1 and a condition of 2^n; what only looks bad: columns of very different size, a few large numbers."""
    solve = mf.linalg.solve
    hidden = np.eye(n) - np.triu(np.ones((n, n)), 1)
    if n > 55:
        assert warnings_of(solve, hidden, np.ones(n))
        assert warnings_of(solve, hidden.T.copy(), np.ones(n))
    assert not warnings_of(solve, rng.standard_normal((n, n)) * np.logspace(0, -25, n), np.ones(n))
    assert not warnings_of(solve, rng.standard_normal((n, n)) * np.logspace(0, -25, n)[:, None], np.ones(n))
    corner = np.eye(n)
    corner[0, -1] = 1e20
    assert not warnings_of(solve, corner, np.ones(n))
    for unit in (1e-310, 1e-300, 1e300):
        assert not warnings_of(solve, np.eye(n) * unit, np.ones(n))


def test_only_single_matrices_warn(rng):
    for n in (5, 40):
        bad = cases.of_condition(rng, n, n, 1e20)
        b = np.ones(n)
        assert warnings_of(mf.linalg.solve, bad, b)
        assert warnings_of(mf.linalg.solve, bad[None], b)
        assert warnings_of(mf.linalg.solve, np.asfortranarray(bad), b, errors="nan")
        for count in (2, 20):
            assert not warnings_of(mf.linalg.solve, np.stack([bad] * count), b)
            assert not warnings_of(mf.linalg.inv, np.stack([bad] * count))
        nan = bad.copy()
        nan[3, 3] = np.nan
        assert not warnings_of(mf.linalg.solve, nan, b)
        assert not warnings_of(mf.linalg.inv, nan)
        nan[3, 3] = np.inf
        assert not warnings_of(mf.linalg.solve, nan, b)


def test_the_warning_can_be_an_error(rng):
    for n in (3, 40):
        bad = cases.of_condition(rng, n, n, 1e20)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for _ in range(50):
                with pytest.raises(LinAlgWarning, match="Ill-conditioned"):
                    mf.linalg.solve(bad, np.ones(n))
                with pytest.raises(LinAlgWarning, match="Ill-conditioned"):  # the long way, through NumPy's machinery
                    mf.linalg.solve(bad[None], np.ones((n, 2)))
                with pytest.raises(LinAlgWarning, match="Ill-conditioned"):
                    mf.linalg.inv(bad)
        np.testing.assert_allclose(mf.linalg.solve(np.eye(n), np.ones(n)), np.ones(n))


@every_dtype
@pytest.mark.parametrize("n", [2, 3, 4, 5, 8, 17, 32])
def test_bits_are_those_of_a_batch(n, dtype, rng):
    """The look at the condition changes nothing: one system alone, beside others, in every layout, of many columns."""
    for m in (1, 2, 3, 9, 40, 600):
        a = rng.standard_normal((2, n, n)).astype(dtype)
        b = rng.standard_normal((2, n, m)).astype(dtype)
        together = mf.linalg.solve(a, b)
        for layout in (cases.c_order, cases.fortran, cases.strided):
            cases.same_bits(mf.linalg.solve(layout(a[1]), layout(b[1])), together[1])
            out = layout(np.zeros_like(b[1]))
            mf.linalg.solve(a[1], b[1], out=out)
            cases.same_bits(np.array(out), together[1])
        out = b[1].copy()
        cases.same_bits(mf.linalg.solve(a[1], out, out=out), together[1])
        if m == 1:
            cases.same_bits(mf.linalg.solve(a[1], b[1, :, 0]), together[1, :, 0])
    cases.same_bits(mf.linalg.inv(a[1]), mf.linalg.inv(a)[1])


# ---- one large matrix ----


@every_dtype
@pytest.mark.parametrize("n", [129, 200])
def test_large(n, dtype, rng):
    u = float(np.finfo(dtype).eps) / 2
    a, b = rng.standard_normal((n, n)).astype(dtype), rng.standard_normal((n, 2)).astype(dtype)
    for layout in (cases.c_order, cases.fortran, cases.strided):
        assert backward_error(a, mf.linalg.solve(layout(a), layout(b)), b).max() <= 10 * n * u
        inverse = mf.linalg.inv(layout(a))
        assert backward_error(a, inverse, np.eye(n)).max() <= 10 * n * u
        cases.same_bits(inverse, mf.linalg.inv(a))
        out = layout(np.zeros_like(a))
        assert mf.linalg.inv(a, out=out) is out
        cases.same_bits(np.array(out), inverse)
    room = a.copy()
    cases.same_bits(mf.linalg.inv(room, out=room).copy(), inverse)
    denormal = (a * dtype(2.0) ** dtype(-140 if dtype == np.float32 else -1050)).astype(dtype)
    sign, logabs = mf.linalg.slogdet(denormal)
    assert np.isfinite(logabs)
    assert abs(sign) == 1
    tiny = (a * np.finfo(dtype).tiny * 16).astype(dtype)
    with np.errstate(over="ignore"):
        np.testing.assert_allclose(
            mf.linalg.inv(tiny) * np.finfo(dtype).tiny * 16,
            mf.linalg.inv(a),
            rtol=0,
            atol=float(np.abs(inverse).max()) * 1e-2,
        )
