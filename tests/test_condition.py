"""The warning of linalg.solve for one large matrix that is close to singular, and the large matrices themselves."""

from __future__ import annotations

import re
import warnings

import cases
import numpy as np
import pytest
import scipy.linalg
from cases import backward_error, every_dtype
from scipy.linalg import LinAlgWarning

import mmlfast as mf


def one_norm_rcond(a):
    """1 / (|a| |a^-1|), the inverse taken in extended precision's stead from the singular vectors."""
    u, s, vh = np.linalg.svd(a.astype(float))
    inverse = (vh.T / s) @ u.T
    return 1 / (np.linalg.norm(a.astype(float), 1) * np.linalg.norm(inverse, 1))


def warnings_of(a, b, **options):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        mf.linalg.solve(a, b, **options)
    return [w for w in caught if issubclass(w.category, LinAlgWarning)]


@every_dtype
@pytest.mark.parametrize("n", [33, 64, 100])
@pytest.mark.parametrize("decades", [0, 2, 4, 5, 9, 10, 12, 13, 18, 25])
def test_warns_below_the_roundoff(n, decades, dtype, rng):
    eps = float(np.finfo(dtype).eps)
    for attempt in range(2):
        a = cases.of_condition(rng, n, n, 10.0**decades).astype(dtype)
        b = rng.standard_normal((n, 1 + attempt)).astype(dtype)
        rcond = one_norm_rcond(a)
        found = warnings_of(a, b[:, 0] if attempt == 0 else b)
        if rcond > 3 * eps:
            assert not found, rcond
        elif rcond < eps / 30:  # LAPACK's estimate is from below the norm
            (only,) = found
            text = str(only.message)
            value = float(
                re.fullmatch(r"Ill-conditioned matrix \(rcond=(\S+)\): result may not be accurate\.", text)[1]
            )
            assert 0 <= value < eps
            assert only.filename == __file__  # the line that called us


def test_is_scipys_estimate(rng):
    a = cases.of_condition(rng, 80, 80, 1e17)
    (ours,) = warnings_of(a, np.ones(80))
    lu, _, _ = scipy.linalg.lapack.dgetrf(a)
    rcond, _ = scipy.linalg.lapack.dgecon(lu, np.linalg.norm(a, 1))
    assert float(re.search(r"rcond=(\S+)\)", str(ours.message))[1]) == pytest.approx(rcond, rel=0.9)


@pytest.mark.parametrize("n", [33, 60, 200])
def test_hidden_ill_condition_is_seen(n, rng):
    """Pivots of 1 and a condition of 2^n; columns of very different size; a few large numbers off the diagonal."""
    hidden = np.eye(n) - np.triu(np.ones((n, n)), 1)
    if n > 55:
        assert warnings_of(hidden, np.ones(n))
        assert warnings_of(hidden.T.copy(), np.ones(n))
    assert warnings_of(rng.standard_normal((n, n)) * np.logspace(0, -25, n), np.ones(n))
    assert warnings_of(rng.standard_normal((n, n)) * np.logspace(0, -25, n)[:, None], np.ones(n))
    corner = np.eye(n)
    corner[0, -1] = 1e20
    assert warnings_of(corner, np.ones(n))
    assert not warnings_of(np.eye(n) * 1e-300, np.ones(n))
    assert not warnings_of(np.eye(n) * 1e300, np.ones(n))
    assert not warnings_of(np.eye(n) * 1e-310, np.ones(n))
    assert warnings_of(corner * 1e-300, np.ones(n))


def test_only_single_large_matrices_warn(rng):
    bad = cases.of_condition(rng, 40, 40, 1e20)
    assert warnings_of(bad, np.ones(40))
    assert warnings_of(bad[None], np.ones(40))
    assert warnings_of(np.asfortranarray(bad), np.ones(40), errors="nan")
    assert not warnings_of(np.stack([bad] * 2), np.ones(40))
    assert not warnings_of(np.stack([bad] * 20), np.ones(40))
    small = cases.of_condition(rng, 30, 30, 1e20)
    assert not warnings_of(small, np.ones(30))
    nan = bad.copy()
    nan[3, 3] = np.nan
    assert not warnings_of(nan, np.ones(40))


def test_the_warning_can_be_an_error(rng):
    bad = cases.of_condition(rng, 40, 40, 1e20)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(LinAlgWarning, match="Ill-conditioned"):
            mf.linalg.solve(bad, np.ones(40))
        with pytest.raises(LinAlgWarning, match="Ill-conditioned"):  # the long way, through NumPy's machinery
            mf.linalg.solve(bad[None], np.ones((40, 2)))
    np.testing.assert_allclose(mf.linalg.solve(np.eye(40), np.ones(40)), np.ones(40))


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
