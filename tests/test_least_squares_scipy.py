"""SciPy's own tests of least_squares, run against ours; where we differ on purpose, the difference is tested instead.

- The three methods are one: "lm" takes bounds, losses, callbacks and fewer residuals than parameters.
- tr_solver, tr_options, jac_sparsity, diff_step and workers have no meaning: a warning says so if they are given.
- The names of differences as `jac` stand for exact derivatives.
- A sparse Jacobian or a LinearOperator is taken, and made dense.
- All tolerances may be None: the search goes on to what float64 attains.
- Complex numbers are a TypeError that says what to do.
- fun is called as it is once or twice besides, to compare it with its tape, and jac is compared with differences; nfev
  counts the evaluations of the search.
"""

import warnings
from unittest import mock

import numpy as np
import pytest
from numpy.testing import assert_allclose

from mmlfast.optimize import least_squares


class _NoMarks:
    """SciPy's marks are not registered here."""

    def __getattr__(self, name):
        return lambda *args, **keywords: lambda f: f


with mock.patch.object(pytest, "mark", _NoMarks()):
    theirs = pytest.importorskip(
        "scipy.optimize.tests.test_least_squares", reason="SciPy was installed without its tests"
    )


@pytest.fixture(autouse=True)
def _with_ours(monkeypatch):
    monkeypatch.setattr(theirs, "least_squares", least_squares)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "least_squares has no use for", UserWarning)
        yield


class _Differences:
    """Tests whose SciPy forms ask for what is otherwise here on purpose."""

    def test_workers(self):
        warnings.resetwarnings()
        with pytest.warns(UserWarning, match="no use for workers"):
            least_squares(theirs.fun_trivial, 2.0, workers=2)

    def test_x_scale_options(self):
        for x_scale in [1.0, np.array([0.5]), "jac", None]:
            assert_allclose(least_squares(theirs.fun_trivial, 2.0, x_scale=x_scale).x, 0, atol=1e-10)
        for x_scale in ["auto", -1.0]:
            with pytest.raises(ValueError, match="x_scale"):
                least_squares(theirs.fun_trivial, 2.0, x_scale=x_scale)

    def test_full_result(self):
        """That x is the end says the gradient, which vanishes with the derivative itself."""
        res = least_squares(theirs.fun_trivial, 2.0, method=self.method)
        assert_allclose(res.x, 0, atol=1e-10)
        assert_allclose([res.cost, *res.fun], [12.5, 5])
        assert_allclose([*res.jac[0], *res.grad, res.optimality], 0, atol=1e-9)
        assert res.active_mask.tolist() == [0]
        assert res.success
        assert res.status > 0

    def test_nfev(self):
        for most in (1, 2):
            rosenbrock = theirs.Fun_Rosenbrock()
            res = least_squares(rosenbrock, [4.0, 7.0], jac=theirs.jac_rosenbrock, max_nfev=most)
            assert res.nfev == most

    @pytest.mark.parametrize("x0", [2.0 + 0j, [1.0, 2.0 + 0j]])
    def test_x0_complex_scalar(self, x0):
        with pytest.raises(TypeError, match=r"x0 must hold real numbers.*\.real"):
            least_squares(theirs.fun_trivial, x0, method=self.method)

    test_x0_complex_array = None

    def test_error_raised_when_all_tolerances_below_eps(self):
        res = least_squares(theirs.fun_rosenbrock, [-2, 1], ftol=None, xtol=None, gtol=None, method=self.method)
        assert_allclose(res.x, [1, 1], rtol=1e-15)


class TestTRF(_Differences, theirs.TestTRF):
    def test_options(self):
        for loss in theirs.LOSSES:
            assert_allclose(least_squares(theirs.fun_trivial, 2.0, loss=loss).x, 0, atol=1e-7)
        with pytest.raises(ValueError, match="loss must be callable or one of"):
            least_squares(theirs.fun_trivial, 2.0, loss="hinge")

    def test_exact_tr_solver(self):
        p = theirs.BroydenTridiagonal()
        warnings.resetwarnings()
        with pytest.warns(UserWarning, match="no use for tr_solver and jac_sparsity"):
            res = least_squares(p.fun, p.x0, tr_solver="exact", jac_sparsity=p.sparsity)
        assert_allclose(res.cost, 0, atol=1e-20)

    test_wrong_parameters = test_wrong_jac_sparsity = None

    def test_solver_selection(self):
        for mode in ("sparse", "dense", "operator"):
            p = theirs.BroydenTridiagonal(mode=mode)
            res = least_squares(p.fun, p.x0, jac=p.jac, x_scale="jac")
            assert_allclose(res.cost, 0, atol=1e-20)
            assert type(res.jac) is np.ndarray
            assert res.derivatives == "given"

    test_linear_operator = test_x_scale_jac_scale = None


class TestLM(_Differences, theirs.TestLM):
    def test_rosenbrock_cropped(self):
        for jac in (None, theirs.jac_rosenbrock_cropped):
            assert_allclose(least_squares(theirs.fun_rosenbrock_cropped, [-2, 1], jac, method="lm").cost, 0, atol=1e-14)

    def test_bounds_not_supported(self):
        res = least_squares(theirs.fun_trivial, 2.0, bounds=(0.5, 3.0), method="lm")
        assert res.x.tolist() == [0.5]
        assert res.active_mask.tolist() == [-1]

    def test_loss(self):
        assert_allclose(least_squares(theirs.fun_trivial, 2.0, loss="huber", method="lm").x, 0, atol=1e-7)

    def test_callback_with_lm_method(self):
        seen = []
        least_squares(theirs.fun_trivial, [1.0], method="lm", callback=seen.append)
        assert seen

    test_m_less_n_not_supported = test_sparse_not_supported = None
    test_jac_sparsity_not_supported = test_LinearOperator_not_supported = None


def test_near_zero():
    """SciPy asks for the end by the gradient, of a problem that is over by any test."""
    for bounds in ((-np.inf, np.inf), (0, np.inf)):
        res = least_squares(lambda x: (x - 1e-12) ** 2, 1.1e-12, gtol=1e-15, bounds=bounds)
        assert res.success
        assert_allclose(res.x, 1e-12, rtol=1e-3)


test_basic = theirs.test_basic
test_callback = theirs.test_callback
test_fp32_gh12991 = theirs.test_fp32_gh12991
test_gh_19103 = theirs.test_gh_19103
