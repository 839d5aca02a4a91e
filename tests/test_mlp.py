"""MLPClassifier and MLPRegressor: situations that people had with such estimators, each with what is right."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression, PoissonRegressor, Ridge
from sklearn.utils.estimator_checks import check_estimator

import mmlfast as mf
from mmlfast.neural_network import MLPClassifier, MLPRegressor, Network

pytestmark = pytest.mark.filterwarnings("ignore:.*hasn't converged yet")

RNG = np.random.default_rng(5)
X = RNG.standard_normal((80, 2))
Y = X[:, 0] - 0.5 * X[:, 1]
C = (Y > 0).astype(int)
SMALL = {"hidden_layer_sizes": (6,), "random_state": 0, "max_iter": 30}
WHOLE = {
    "hidden_layer_sizes": (6,),
    "activation": "tanh",
    "solver": "sgd",
    "learning_rate_init": 0.1,
    "batch_size": 4096,
    "shuffle": False,
    "max_iter": 40,
    "tol": 0.0,
    "n_iter_no_change": 999,
    "random_state": 0,
}
EXACT = {"hidden_layer_sizes": (), "solver": "lbfgs", "tol": 1e-12, "max_iter": 5000, "random_state": 0}


def classifier(**other):
    return MLPClassifier(**(SMALL | other))


def regressor(**other):
    return MLPRegressor(**(SMALL | other))


@pytest.mark.parametrize("estimator", [MLPClassifier(max_iter=100), MLPRegressor(max_iter=100)], ids=["c", "r"])
@pytest.mark.filterwarnings("ignore")
def test_it_passes_the_checks_of_scikit_learn(estimator):
    check_estimator(estimator, on_skip=None)


# ---- labels ----


@pytest.mark.parametrize(
    "names",
    [
        np.array(["low", "high"]),
        np.array([False, True]),
        np.array([-3, 7]),
        np.array([2.0, 5.0]),
        np.array([2**53 + 1, 2**53 + 2]),
        np.array([b"a", b"b"]),
    ],
    ids=lambda names: names.dtype.name,
)
def test_labels_come_back_as_they_were(names):
    for labels in (names[C], pd.Series(names[C], index=np.arange(80)[::-1]), names[C].tolist()):
        model = classifier(early_stopping=True).fit(X, labels)
        found = model.predict(X[:5])
        assert set(found.tolist()) <= set(names.tolist())
        assert model.classes_.tolist() == sorted(names.tolist())
        assert np.isfinite(model.validation_scores_).all()
    expected = classifier(early_stopping=True).fit(X, C if names[0] < names[1] else 1 - C)
    assert_array_equal(model.coefs_[0], expected.coefs_[0])


def test_categories_that_do_not_occur_are_no_classes():
    labels = pd.Categorical(np.array(["a", "b"])[C], categories=["z", "b", "a"])
    assert sorted(classifier().fit(X, labels).classes_.tolist()) == ["a", "b"]


def test_measurements_are_no_labels():
    with pytest.raises(ValueError, match="MLPRegressor"):
        MLPClassifier().fit(X, Y)
    with pytest.raises(ValueError, match=r"y\[2\] is missing") as error:
        classifier().fit(X, np.where(np.arange(80) == 2, np.nan, C))
    assert "nan_policy" not in str(error.value)  # it has none


def test_one_class():
    model = classifier().fit(X, np.full(80, "only"))
    assert_array_equal(model.predict_proba(X[:2]), [[1.0], [1.0]])
    assert model.predict(X[:2]).tolist() == ["only", "only"]


def test_several_labels_per_row():
    table = np.c_[C, 1 - C, np.ones(80, int)]
    model = classifier(max_iter=300, learning_rate_init=0.02).fit(X, table)
    p = model.predict_proba(X)
    assert p.shape == (80, 3)
    assert not np.allclose(p.sum(axis=1), 1)
    assert model.score(X, table) > 0.9
    assert_allclose(model.predict_log_proba(X), np.log(p), rtol=1e-6, atol=1e-12)
    assert model.partial_fit(X, table).predict(X).shape == (80, 3)


def test_parts_of_a_stream():
    letters = np.array(list("ab"))
    model = classifier().partial_fit(X[:40], letters[C[:40]], classes=list("abz"))
    model.partial_fit(X[C == 1], ["b"] * int(C.sum()))
    assert model.predict_proba(X).shape == (80, 3)
    with pytest.raises(ValueError, match="classes"):
        classifier().partial_fit(X, C)
    with pytest.raises(ValueError, match="'q'"):
        model.partial_fit(X[:2], ["a", "q"])
    with pytest.raises(ValueError, match="early_stopping"):
        classifier(early_stopping=True).fit(X, C).partial_fit(X, C)
    assert not hasattr(classifier(solver="lbfgs"), "partial_fit")


def test_columns():
    with pytest.warns(UserWarning, match="column-vector"):
        column = classifier().fit(X, C[:, None])
    assert column.predict(X).shape == (80,)
    one, two = MLPRegressor(**WHOLE).fit(X, Y), MLPRegressor(**WHOLE).fit(X, Y[:, None])
    assert_array_equal(one.coefs_[0], two.coefs_[0])
    assert one.predict(X).shape == two.predict(X).shape == (80,)
    with pytest.raises(ValueError, match=r"80 rows.*\(1, 80\)"):
        regressor().fit(X, Y[None])


# ---- weights ----


def test_a_weight_of_k_is_k_copies():
    w = RNG.integers(0, 4, 80)
    i = np.repeat(np.arange(80), w)
    wild = np.where(w[:, None] == 0, 1e30, X)
    for rows in (X, wild):
        weighted = MLPClassifier(**WHOLE).fit(rows, C, sample_weight=w)
        assert_allclose(weighted.coefs_[0], MLPClassifier(**WHOLE).fit(X[i], C[i]).coefs_[0], rtol=1e-9)
        assert_allclose(weighted.loss_curve_[0], MLPClassifier(**WHOLE).fit(X[i], C[i]).loss_curve_[0], rtol=1e-12)
    scaled = MLPRegressor(**WHOLE | {"alpha": 0.0}).fit(X, Y, sample_weight=3.7 * w)
    assert_allclose(scaled.coefs_[0], MLPRegressor(**WHOLE | {"alpha": 0.0}).fit(X[i], Y[i]).coefs_[0], rtol=1e-9)


def test_weights_that_mean_nothing():
    half = np.r_[np.zeros(40), np.ones(40)]
    assert np.isfinite(regressor(batch_size=10, shuffle=False).fit(X, Y, sample_weight=half).loss_)
    for w, message in [
        (np.where(C, 1.0, -1.0), "negative"),
        (np.zeros(80), "zero"),
        (np.where(C, 1.0, np.nan), "nan"),
        (np.ones(79), "80"),
    ]:
        with pytest.raises(ValueError, match=f"sample_weight.*{message}"):
            classifier().fit(X, C, sample_weight=w)
    by_position = pd.Series(1.0 + C, index=np.arange(80)[::-1])
    assert_array_equal(
        classifier().fit(X, C, sample_weight=by_position).coefs_[0],
        classifier().fit(X, C, sample_weight=1.0 + C).coefs_[0],
    )


def test_class_weights():
    rare = np.where(Y > 1.2, "yes", "no")
    named = MLPClassifier(class_weight={"yes": 9.0, "no": 1.0}, **EXACT, alpha=1.0).fit(X, rare)
    balanced = MLPClassifier(class_weight="balanced", **EXACT, alpha=1.0).fit(X, rare)
    for model, weights in ((named, {"yes": 9.0, "no": 1.0}), (balanced, "balanced")):
        theirs = LogisticRegression(C=1.0, class_weight=weights, tol=1e-10).fit(X, rare)
        assert_allclose(model.predict_proba(X), theirs.predict_proba(X), atol=1e-6)
    with pytest.raises(ValueError, match="'maybe'"):
        classifier(class_weight={"maybe": 2.0}).fit(X, rare)


# ---- losses, penalties, optimisers ----


def test_without_hidden_layers_the_optimum_is_known():
    w = RNG.uniform(0.5, 2, 80)
    assert_allclose(MLPRegressor(alpha=9.0, **EXACT).fit(X, Y + 2).coefs_[0].ravel(), Ridge(9.0).fit(X, Y + 2).coef_)
    weighted = MLPRegressor(alpha=9.0, **EXACT).fit(X, Y + 2, sample_weight=w)
    assert_allclose(weighted.coefs_[0].ravel(), Ridge(9.0).fit(X, Y + 2, sample_weight=w).coef_, rtol=1e-6)
    for labels in (C, np.digitize(Y, [-0.5, 0.5])):
        theirs = LogisticRegression(C=1 / 4, tol=1e-10, max_iter=1000).fit(X, labels).predict_proba(X)
        assert_allclose(MLPClassifier(alpha=4.0, **EXACT).fit(X, labels).predict_proba(X), theirs, atol=1e-7)
    counts = RNG.poisson(np.exp(0.5 * Y + 1))
    ours = MLPRegressor("poisson", alpha=8.0, **EXACT).fit(X, counts)
    assert_allclose(ours.predict(X), PoissonRegressor(alpha=0.1, tol=1e-10).fit(X, counts).predict(X), rtol=1e-6)
    with pytest.raises(ValueError, match="poisson"):
        MLPRegressor("poisson").fit(X, Y)


@pytest.mark.parametrize("batch_size", [7, 64, 80])
def test_the_first_loss_is_that_of_the_initial_weights(batch_size):
    still = WHOLE | {"learning_rate_init": 1e-13, "max_iter": 1, "batch_size": batch_size, "alpha": 0.0}
    model = MLPRegressor(**still).fit(X, Y)
    assert_allclose(model.loss_curve_[0], np.mean((model.predict(X) - Y) ** 2) / 2, rtol=1e-9)
    three = np.stack([Y, Y**2, -Y], axis=1)
    model = MLPRegressor(**still).fit(X, three)
    assert_allclose(model.loss_curve_[0], np.mean(((model.predict(X) - three) ** 2).sum(axis=1)) / 2, rtol=1e-9)
    model = MLPClassifier(**still | {"alpha": 3.0}).fit(X, C)
    p = model.predict_proba(X)[np.arange(80), C]
    squares = sum((w**2).sum() for w in model.coefs_)
    penalty = 3.0 / 2 * squares * -(-80 // batch_size) / 80  # once for each batch
    assert_allclose(model.loss_curve_[0], np.mean(-np.log(p)) + penalty, rtol=1e-9)


def test_logarithms_of_probabilities_that_are_rounded_to_zero():
    model = classifier().fit(X, C)
    model.coefs_, model.intercepts_ = [1e4 * w for w in model.coefs_], model.intercepts_
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isfinite(model.predict_log_proba(X)).all()


# ---- the scale of the data ----


@pytest.mark.filterwarnings("ignore")
def test_inputs_and_targets_of_any_size():
    years = 1980 + np.arange(60.0)[:, None]
    wave = np.cos(years[:, 0] / 9)
    assert MLPRegressor(random_state=1, max_iter=500, learning_rate_init=0.01).fit(years, wave).score(years, wave) > 0.6
    assert MLPClassifier(random_state=1, max_iter=500).fit(X * 1e-9, C).score(X * 1e-9, C) > 0.9
    beside = np.c_[X, np.full(80, 1e8)]
    model = MLPClassifier(random_state=1).fit(beside, C)
    assert model.score(beside, C) > 0.9
    large = 1e6 + 1e5 * Y
    model = MLPRegressor(random_state=1, max_iter=500).fit(X, large)
    assert model.score(X, large) > 0.8
    hidden = np.maximum(X @ model.coefs_[0] + model.intercepts_[0], 0)
    assert_allclose((hidden @ model.coefs_[1] + model.intercepts_[1])[:, 0], model.predict(X), rtol=1e-9)
    assert_allclose(model.loss_curve_[-1], np.mean((model.predict(X) - large) ** 2) / 2, rtol=0.2)
    constant = MLPRegressor(learning_rate_init=0.02, random_state=1, max_iter=500).fit(X, np.full(80, -2.5))
    assert_allclose(constant.predict(X), -2.5, atol=0.1)
    assert np.isfinite(regressor().fit(0 * X, Y).predict(X)).all()


def test_coefs_are_in_the_units_of_the_caller():
    far = 1e-3 * X + 7
    model = classifier(activation="tanh").fit(far, C)
    hidden = np.tanh(far @ model.coefs_[0] + model.intercepts_[0])
    p = 1 / (1 + np.exp(-(hidden @ model.coefs_[1] + model.intercepts_[1])[:, 0]))
    assert_allclose(model.predict_proba(far)[:, 1], p, rtol=1e-9)


def test_bytes_are_numbers():
    u = np.clip(40 * X + 128, 0, 255).astype(np.uint8)
    of_bytes, of_floats = MLPClassifier(**WHOLE).fit(u, C), MLPClassifier(**WHOLE).fit(u.astype(float), C)
    assert_array_equal(of_bytes.predict_proba(u), of_floats.predict_proba(u.astype(float)))
    for dtype in (bool, np.int64):
        table = (X > 0).astype(dtype)
        a, b = classifier().fit(table, C), classifier().fit(table.astype(float), C)
        assert_array_equal(a.predict_proba(table), b.predict_proba(table))


# ---- validation and stopping ----


def test_rows_sorted_by_class():
    order = np.argsort(C)
    model = classifier(early_stopping=True, max_iter=300, n_iter_no_change=50, learning_rate_init=0.02)
    assert model.fit(X[order], C[order]).score(X, C) > 0.9


def test_validation_parts_that_are_too_small():
    rare = C.copy()
    rare[0] = 7
    assert classifier(early_stopping=True).fit(X, rare).classes_.tolist() == [0, 1, 7]
    with pytest.raises(ValueError, match="validation set is too small: validation_fraction"):
        regressor(early_stopping=True).fit(X[:3], Y[:3])
    with pytest.raises(ValueError, match="early_stopping"):
        classifier().fit(X, C, validation_data=(X, C))


def test_curves_have_an_entry_for_each_epoch():
    for model in (
        classifier(early_stopping=True).fit(X, C, sample_weight=1.0 + C),
        regressor(early_stopping=True).fit(X, Y),
        classifier(early_stopping=True).fit(X, C, validation_data=(X[:9], C[:9], np.arange(9.0))),
    ):
        assert len(model.validation_scores_) == len(model.loss_curve_) == model.n_iter_
        assert len(model.validation_loss_curve_) == model.n_iter_
        assert model.best_validation_score_ == max(model.validation_scores_)
        assert model.best_loss_ is None


def test_given_validation_data_do_not_change_the_training():
    alone = classifier(n_iter_no_change=99).fit(X[:60], C[:60])
    for size in (3, 20):
        looked = classifier(early_stopping=True, n_iter_no_change=99)
        looked.fit(X[:60], C[:60], validation_data=(X[60 : 60 + size], C[60 : 60 + size]))
        assert looked.loss_curve_ == alone.loss_curve_


def test_the_best_weights_are_kept():
    model = regressor(early_stopping=True, learning_rate_init=0.1, max_iter=60, n_iter_no_change=99)
    model.fit(X[:40], Y[:40] + np.cos(37 * np.arange(40)), validation_data=(X[40:], Y[40:]))
    assert_allclose(model.score(X[40:], Y[40:]), model.best_validation_score_, rtol=1e-12)


# ---- going on ----


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("solver", ["adam", "sgd", "adamw"])
def test_partial_fits_are_one_fit(shuffle, solver):
    how = WHOLE | {"batch_size": 16, "solver": solver, "learning_rate_init": 0.02, "shuffle": shuffle}
    parts = MLPClassifier(**how)
    for _ in range(5):
        parts.partial_fit(X, C, classes=[0, 1])
    whole = MLPClassifier(**how | {"max_iter": 5}).fit(X, C)
    assert_array_equal(parts.coefs_[0], whole.coefs_[0])
    assert parts.loss_curve_ == whole.loss_curve_
    assert parts.n_iter_ == whole.n_iter_ == 5
    assert parts.t_ == whole.t_ == 400


def test_warm_start():
    model = regressor(max_iter=7, warm_start=True)
    assert [(model.fit(X, Y).n_iter_, len(model.loss_curve_)) for _ in range(2)] == [(7, 7), (7, 14)]
    assert_array_equal(model.coefs_[0], regressor(max_iter=14).fit(X, Y).coefs_[0])
    model = classifier(warm_start=True).fit(X, C)
    with pytest.raises(ValueError, match="same classes"):
        model.fit(X, C + 1)
    with pytest.raises(ValueError, match="same classes"):
        model.fit(X[C == 0], C[C == 0])
    with pytest.raises(ValueError, match=r"\[6\].*\(7,\)"):
        model.set_params(hidden_layer_sizes=(7,)).fit(X, C)


def test_a_second_fit_remembers_nothing():
    again = classifier().fit(X[:30], C[:30]).fit(X, C)
    assert_array_equal(again.coefs_[0], classifier().fit(X, C).coefs_[0])
    assert again.loss_curve_ == classifier().fit(X, C).loss_curve_


def test_pickles_and_clones():
    model = classifier().fit(X, np.array(["a", "b"])[C])
    again = pickle.loads(pickle.dumps(model))
    assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    assert clone(model).get_params() == model.get_params()
    going = pickle.loads(pickle.dumps(classifier().partial_fit(X, C, classes=[0, 1]))).partial_fit(X, C)
    assert_array_equal(going.coefs_[0], classifier().partial_fit(X, C, classes=[0, 1]).partial_fit(X, C).coefs_[0])


# ---- numbers and layouts ----


def test_layouts_have_the_same_bits():
    expected = classifier().fit(X, C).coefs_[0]
    for rows in (
        np.asfortranarray(X),
        np.repeat(X, 3, axis=1)[:, ::3],
        X.tolist(),
        pd.DataFrame(X, columns=["a", "b"], index=np.arange(80)[::-1]),
        X.astype(">f8"),
    ):
        assert_array_equal(classifier().fit(rows, C).coefs_[0], expected)
    for dtype in ("i4", "u1", "i8", "f8"):
        assert_array_equal(classifier().fit(X, C.astype(dtype)).coefs_[0], expected)


def test_a_schedule_that_is_over_is_no_lack_of_convergence():
    for rate in ("cosine", "one_cycle"):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            MLPClassifier((4,), learning_rate=rate, learning_rate_init=0.01, max_iter=5, random_state=0).fit(X, C)
    with pytest.warns(mf.ConvergenceWarning, match="hasn't converged"):
        MLPClassifier((4,), max_iter=5, random_state=0).fit(X, C)


def test_float32_stays_float32():
    single = X.astype(np.float32)
    model = regressor().fit(single, Y.astype(np.float32))
    assert model.coefs_[0].dtype == model.predict(single).dtype == np.float32
    assert regressor().fit(X, Y).predict(single).dtype == np.float64
    p = classifier(max_iter=5).fit(single, C).predict_proba(single)
    assert p.dtype == np.float32
    assert_allclose(p.sum(axis=1), 1, atol=1e-6)


def test_what_is_no_table_of_numbers_is_refused():
    for rows, message in [
        (np.where(np.arange(80)[:, None] == 3, np.nan, X), "NaN, first in row 3, column 0"),
        (np.where(np.arange(80)[:, None] == 3, np.inf, X), "infinity, first in row 3"),
        (X[:, 0], "2D"),
        (X[:0], "0 sample"),
        (X + 0j, "Complex data not supported: X is complex128"),
        (X.astype(str), "real numbers"),
        (np.ma.masked_greater(X, 1.0), "mask"),
        (pd.DataFrame({"a": pd.array([1, None] * 40, dtype="Int64")}), "column 'a'"),
    ]:
        with pytest.raises((ValueError, TypeError), match=message):
            classifier().fit(rows, C[: len(rows)])
    frame = pd.DataFrame(X, columns=["a", "b"])
    with pytest.raises(ValueError, match="feature names"):
        classifier().fit(frame, C).predict(frame[["b", "a"]])


def test_batches_larger_than_the_data():
    one, other = (MLPClassifier(**WHOLE | {"batch_size": n}).fit(X, C) for n in (80, 10**6))
    assert_array_equal(one.coefs_[0], other.coefs_[0])
    assert np.isfinite(regressor().fit(X[:1], Y[:1]).predict(X[:1]))


def test_a_row_alone_is_the_row_of_the_table():
    model = classifier().fit(X, C)
    assert_array_equal(model.predict_proba(X)[5:6], model.predict_proba(X[5:6]))


# ---- seeds ----


def test_the_same_seed_gives_the_same_bits():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    expected = classifier().fit(X, C).coefs_[0]
    threads = mf.get_num_threads()
    try:
        for n in (1, 2):
            mf.set_num_threads(n)
            assert_array_equal(classifier().fit(X, C).coefs_[0], expected)
    finally:
        mf.set_num_threads(threads)
    assert not np.array_equal(classifier(random_state=1).fit(X, C).coefs_[0], expected)
    for state in (None, np.random.RandomState(3), np.random.default_rng(3)):
        classifier(random_state=state, max_iter=1).fit(X, C)
    assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_the_network_inside_is_a_network():
    model = MLPRegressor(**WHOLE | {"alpha": 0.0}).fit(X, Y)
    net = Network([2, 6, 1], seed=0, init="spread")
    net.fit(X, Y, epochs=40, batch_size=80, learning_rate=0.1, momentum=0.9, nesterov=True, shuffle=False)
    assert_array_equal(net.weights[0], model.coefs_[0])
