"""LinearRegression against scikit-learn, exact data, and the situations in which it went wrong there."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from mmlfast.linear_model import LinearRegression, linear_fit

checks = pytest.importorskip("sklearn.utils.estimator_checks")
linear_model = pytest.importorskip("sklearn.linear_model")


@checks.parametrize_with_checks([LinearRegression(), LinearRegression(positive=True)])
def test_scikit_learns_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("shape", [(50, 3), (900, 260), (30_000, 4), (12, 1)])
@pytest.mark.parametrize("n_targets", [None, 1, 10])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_against_scikit_learn(shape, n_targets, fit_intercept, rng):
    x = rng.standard_normal(shape) + 100
    y = x @ rng.standard_normal((shape[1], n_targets or 1)) + rng.standard_normal((shape[0], n_targets or 1))
    y = y[:, 0] if n_targets is None else y
    for weights in (None, rng.integers(0, 3, shape[0])):
        for positive in (False, True) if shape[0] < 1000 else (False,):
            options = {"fit_intercept": fit_intercept, "positive": positive}
            ours = LinearRegression(**options).fit(x, y, weights)
            theirs = linear_model.LinearRegression(tol=1e-14, **options).fit(x, y, weights)
            assert ours.coef_.shape == theirs.coef_.shape
            assert np.shape(ours.intercept_) == np.shape(theirs.intercept_)
            np.testing.assert_allclose(ours.coef_, theirs.coef_, atol=1e-10)
            np.testing.assert_allclose(ours.intercept_, theirs.intercept_, atol=1e-8)
            np.testing.assert_allclose(ours.predict(x[:5]), theirs.predict(x[:5]), rtol=1e-10, atol=1e-9)
            assert abs(ours.score(x, y) - theirs.score(x, y)) < 1e-10
            if not positive:
                assert ours.rank_ == theirs.rank_
                np.testing.assert_allclose(ours.singular_, theirs.singular_, rtol=1e-9)


def test_the_same_as_linear_fit(rng):
    x, y = rng.standard_normal((60, 3)), rng.standard_normal(60)
    model, fit = LinearRegression().fit(x, y), linear_fit(x, y)
    assert model.coef_.tolist() == fit.coefficients[1:].tolist()
    assert model.intercept_ == fit.intercept


def test_a_column_that_is_another_plus_a_constant(rng):
    for n in (50, 40_000):
        x = rng.random((n, 1))
        y = 3 * x[:, 0] + 5
        columns = np.hstack([x, x + 1e3])
        model = LinearRegression().fit(columns, y)
        assert model.rank_ == 1
        np.testing.assert_allclose(model.coef_, [1.5, 1.5], rtol=1e-9)
        np.testing.assert_allclose(model.predict(columns), y, atol=1e-10)


def test_a_constant_column_predicts_the_mean():
    model = LinearRegression().fit(np.full((4, 1), 0.3), [1.0, 2, 3, 6])
    assert (model.coef_.tolist(), model.intercept_, model.rank_) == ([0], 3, 0)
    wide = LinearRegression().fit(np.eye(3, 5), [1.0, 2, 4])
    np.testing.assert_allclose(wide.predict(np.eye(3, 5)), [1, 2, 4], atol=1e-13)
    assert wide.rank_ == 2


def test_a_million_rows_of_float32():
    r = np.random.default_rng(3).integers(2000, 7000, (1_000_000, 3))
    model = LinearRegression().fit(r.astype("f4"), (r @ [2, -4, 7] + 9).astype("f4"))
    assert model.coef_.dtype == np.float32
    np.testing.assert_allclose([*model.coef_, model.intercept_], [2, -4, 7, 9], atol=1e-5)


def test_units_do_not_matter(rng):
    x, y = rng.standard_normal((40, 3)), rng.standard_normal(40)
    plain = LinearRegression().fit(x, y)
    for power in (-400, -30, 400):
        scaled = LinearRegression().fit(np.ldexp(x, power), y)
        assert scaled.coef_.tolist() == np.ldexp(plain.coef_, -power).tolist()
        assert scaled.intercept_ == plain.intercept_
    one = LinearRegression().fit(x * [1, 1e-200, 1e200], y)
    np.testing.assert_allclose(one.coef_ * [1, 1e-200, 1e200], plain.coef_, rtol=1e-12)


def test_tol_is_a_distance_from_the_others(rng):
    x = rng.standard_normal((40, 2))
    near = np.c_[x, x[:, 0] + 1e-6 * x[:, 1] + 1e-8 * rng.standard_normal(40)]
    assert LinearRegression().fit(near, x[:, 1]).rank_ == 3
    assert LinearRegression(tol=1e-6).fit(near, x[:, 1]).rank_ == 2
    with pytest.raises(ValueError, match="tol must be between 0 and 1"):
        LinearRegression(tol=-1).fit(x, x[:, 0])


@pytest.mark.parametrize(
    ("x", "y", "weights", "says"),
    [
        (np.ones((3, 2)), None, None, "requires y to be passed"),
        (np.ones((3, 2)), np.ones(4), None, "as many rows"),
        (np.ones((3, 2)), np.ones((3, 1, 1)), None, "y must have shape"),
        (np.ones((3, 2)), [1, np.nan, 1], None, "y contains NaN"),
        (np.ones((3, 2)), np.ones(3), [1, -1, 1], r"sample_weight\[1\] = -1"),
        (np.ones((3, 2)), np.ones(3), np.zeros(3), "every sample_weight is zero"),
        (np.ones((3, 2)), np.ones(3), np.ones(2), "sample_weight must have one number per row"),
        (np.ones((3, 2)), ["a", "b", "c"], None, "y must hold real numbers"),
        (np.full((3, 2), np.inf), np.ones(3), None, "infinity"),
    ],
)
def test_refused(x, y, weights, says):
    with pytest.raises((ValueError, TypeError), match=says):
        LinearRegression().fit(x, y, weights)


def test_sparse_rows_are_refused():
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(TypeError, match="dense data is required"):
        LinearRegression().fit(sparse.eye_array(4).tocsr(), np.ones(4))


def test_pickles_and_frames(rng):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(rng.standard_normal((20, 2)), columns=["a", "b"])
    y = pandas.Series(rng.standard_normal(20))
    model = LinearRegression().fit(frame, y)
    assert model.feature_names_in_.tolist() == ["a", "b"]
    again = pickle.loads(pickle.dumps(model))
    assert again.predict(frame).tolist() == model.predict(frame).tolist()


def test_without_scikit_learn(run_python):
    printed = run_python(
        """
        import sys
        sys.modules["sklearn"] = None
        import numpy as np, mmlfast as mf
        model = mf.linear_model.LinearRegression().fit([[1.0], [2], [4]], [1.0, 2, 3])
        print(model, model.coef_.round(6), round(model.score([[1.0], [2], [4]], [1.0, 2, 3]), 6))
        """
    )
    assert printed.split() == ["LinearRegression()", "[0.642857]", "0.964286"]
