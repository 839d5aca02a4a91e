"""Situations that people had with estimators of networks, each against a reference or a rule of its own."""

import copy
import pickle
import threading
import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import VotingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import cross_val_predict
from sklearn.neural_network import MLPRegressor as TheirRegressor

import mmlfast as mf
from mmlfast.neural_network import MLPClassifier, MLPRegressor, Network
from mmlfast.neural_network._columns import columns, farthest, quantiles

pytestmark = pytest.mark.filterwarnings("ignore:.*converged yet")

RNG = np.random.default_rng(5)
X = RNG.standard_normal((80, 2))
Y = X[:, 0] - 0.5 * X[:, 1]
C = (Y > 0).astype(int)
THREE = np.digitize(Y, [-0.4, 0.4])
HOW = {"hidden_layer_sizes": (6,), "random_state": 0, "max_iter": 100, "learning_rate_init": 0.02}


def classifier(**how):
    return MLPClassifier(**HOW | how)


def regressor(**how):
    return MLPRegressor(**HOW | how)


# ---- learning ----


@pytest.mark.parametrize("curve", [lambda t: np.sin(2 * t), lambda t: np.abs(t - 1), lambda t: (t > 1) * 1.0])
def test_curves_of_one_input_are_learned_as_by_scikit_learn(curve):
    # Biases of zero put the corners of all units into one place.
    t = np.linspace(-3, 3, 200)[:, None]
    how = {"max_iter": 400, "n_iter_no_change": 50}
    ours = [MLPRegressor(random_state=s, **how).fit(t, curve(t[:, 0])).score(t, curve(t[:, 0])) for s in range(3)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = TheirRegressor(random_state=0, **how).fit(t, curve(t[:, 0])).score(t, curve(t[:, 0]))
    assert np.mean(ours) > theirs - 0.05


def test_spread_biases():
    net = Network([1, 200, 1], activation="relu", init="spread", seed=3)
    bound = np.sqrt(6 / 201)
    for a in (net.weights[0], net.biases[0], net.weights[1]):
        assert np.abs(a).max() <= bound
        assert np.abs(a).max() > 0.9 * bound
    half = Network([1, 200, 1], activation="logistic", init="spread", seed=3)
    assert_allclose(half.weights[0], net.weights[0] / np.sqrt(3))


@pytest.mark.parametrize("factor", [0.03, 0.1, 3.0, 9.0, 2.0**-60, 2.0**300])
def test_units_do_not_matter(factor):
    inside, outside = regressor().fit(X * 1000, Y * 1000), regressor().fit(X * factor, Y * factor)
    assert outside.score(X * factor, Y * factor) > 0.99
    power = 2.0 ** np.round(np.log2(factor))
    scaled = regressor().fit(X * 1024 * power, Y * 1024 * power)
    assert_allclose(scaled.predict(X * 1024 * power) / power, regressor().fit(X * 1024, Y * 1024).predict(X * 1024))
    assert inside.n_iter_ == scaled.n_iter_
    assert classifier().fit(X * factor, THREE).score(X * factor, THREE) > 0.95


@pytest.mark.parametrize("offset", [1.0, 2.0, 5.0, 9.5, 1e3, 1e6, 1e10])
def test_offsets_do_not_matter(offset):
    assert classifier().fit(X + offset, THREE).score(X + offset, THREE) > 0.95
    assert regressor().fit(X + offset, Y).score(X + offset, Y) > 0.99
    assert regressor().fit(X, Y + offset).score(X, Y + offset) > 0.99


def test_an_outlier_does_not_hide_the_others():
    far = X.copy()
    far[0] = 1e6
    assert classifier().fit(far, THREE).score(far, THREE) > 0.9
    wild = Y.copy()
    wild[0] = 1e6
    for loss in ("huber", "absolute_error"):
        assert regressor(loss=loss).fit(X, wild).score(X[1:], Y[1:]) > 0.9
    tails = np.exp(2 * RNG.standard_normal((400, 3)))
    assert MLPClassifier(random_state=0).fit(tails, tails[:, 0] > 1).score(tails, tails[:, 0] > 1) > 0.95
    rare = np.zeros((80, 1))
    rare[7] = 1.0  # no outlier, but all there is
    assert_allclose(columns(rare).deviation, rare.std(axis=0))


def test_float_images_keep_one_unit():
    # Pixels that are nearly constant are not blown up.
    pixels = np.clip(RNG.random((80, 16)), 0, 1)
    pixels[:, 3] = 1e-3 * (np.arange(80) == 5)
    model = classifier().fit(pixels, C)
    assert len(set(model._input_scale.factor)) == 1
    assert_allclose(model._input_scale.factor[0], 1 / pixels.std())
    pixels[:, 3] = 1e-3 * X[:, 0].clip(0, 1) + 1e-3 * (X[:, 0] > -2)  # a column in another unit, and all there is
    shares = np.c_[pixels[:, :4], RNG.random((80, 12))]
    assert classifier(max_iter=300).fit(shares, X[:, 0] > 0).score(shares, X[:, 0] > 0) > 0.95


def test_columns_of_y_in_different_units_are_told():
    with pytest.warns(UserWarning, match="scales from"):
        regressor().fit(X, np.c_[Y, 1e6 * Y])


def test_a_constant_target_is_that_constant():
    for constant in (-2.5, 0.0, 1e12, 1e-12):
        assert_allclose(regressor().fit(X, np.full(80, constant)).predict(X), constant, rtol=1e-14)
    one = regressor().fit(X[:1], [4.0])
    for _ in range(300):
        one.partial_fit(X[:1], [1.0])
    assert_allclose(one.predict(X[:1]), 1, rtol=1e-2)


def test_large_counts():
    counts = RNG.poisson(1e5 * np.exp(0.3 * Y))
    model = MLPRegressor("poisson", **HOW).fit(X, counts)
    assert model.score(X, counts) > 0.95


def test_targets_beyond_float32_are_refused():
    with pytest.raises(ValueError, match="float32"):
        regressor().fit(X.astype(np.float32), Y * 1e39)


@pytest.mark.parametrize("unit", [1.0, 1e3, 1e-2])
def test_without_hidden_layers_the_penalty_is_in_the_callers_units(unit):
    far = unit * X + 30 * unit
    exact = {"hidden_layer_sizes": (), "solver": "lbfgs", "tol": 1e-12, "max_iter": 5000, "random_state": 0}
    model = MLPRegressor(alpha=9 * unit**2, **exact).fit(far, 50 * Y + 70)
    ridge = Ridge(9 * unit**2).fit(far, 50 * Y + 70)
    assert_allclose(model.coefs_[0].ravel(), ridge.coef_, rtol=1e-5)
    assert_allclose(model.intercepts_[0], ridge.intercept_, rtol=1e-5)
    model = MLPClassifier(alpha=4 * unit**2, **exact).fit(far, THREE)
    theirs = LogisticRegression(C=1 / (4 * unit**2), tol=1e-12, max_iter=10000).fit(X * unit, THREE)
    assert_allclose(model.predict_proba(far), theirs.predict_proba(X * unit), atol=1e-5)


# ---- streams ----


@pytest.mark.parametrize(("unit", "offset"), [(1.0, 0.0), (5.0, 30.0), (1e-6, 0.0), (1e4, 1e5)])
def test_a_stream_of_single_rows(unit, offset):
    shifted, model = offset + unit * X, regressor()
    for _ in range(6):
        for row, y in zip(shifted, Y, strict=True):
            model.partial_fit(row[None], [10 * offset + unit * y])
    assert model.score(shifted, 10 * offset + unit * Y) > 0.8


def test_a_part_in_other_units_is_told():
    model = classifier().partial_fit(X, C, classes=[0, 1])
    with pytest.warns(UserWarning, match="X is far from the scale"):
        model.partial_fit(1e4 * X, C)


def test_warm_start_and_partial_fit_together():
    model = classifier(warm_start=True).partial_fit(X, C, classes=[0, 1])
    model.partial_fit(X[C == 1], C[C == 1])
    model = classifier(warm_start=True, early_stopping=True).fit(X, C)
    model.fit(X, C, validation_data=(X[C == 1], C[C == 1]))


@pytest.mark.parametrize("rate", ["constant", "invscaling", "adaptive"])
def test_rates_go_on(rate):
    how = {"solver": "sgd", "learning_rate": rate, "tol": 0.0, "n_iter_no_change": 999}
    whole = classifier(**how, max_iter=6).fit(X, C)
    parts, warm = classifier(**how), classifier(**how, max_iter=2, warm_start=True)
    for _ in range(6):
        parts.partial_fit(X, C, classes=[0, 1])
    for _ in range(3):
        warm.fit(X, C)
    assert_array_equal(parts.coefs_[0], whole.coefs_[0])
    assert_array_equal(warm.coefs_[0], whole.coefs_[0])


# ---- labels ----


def test_categories_are_sorted_for_the_tools_around():
    words = np.array(list("xyz"))[THREE]
    own = pd.Series(pd.Categorical(words, categories=["z", "x", "unused", "y"]))
    model = classifier().fit(X, own)
    assert model.classes_.tolist() == ["x", "y", "z"]
    assert_array_equal(model.predict_proba(X), classifier().fit(X, words).predict_proba(X))
    assert classifier().partial_fit(X, own, classes=own).classes_.tolist() == ["x", "y", "z"]
    p = cross_val_predict(classifier(), X, own, method="predict_proba")
    assert (np.array(list("xyz"))[p.argmax(axis=1)] == words).mean() > 0.9
    both = VotingClassifier([("a", classifier()), ("b", LogisticRegression())], voting="soft").fit(X, own)
    assert both.score(X, own) > 0.9
    assert CalibratedClassifierCV(classifier(), cv=3).fit(X, own).score(X, own) > 0.9


def test_tables_of_objects_are_numbers():
    assert_array_equal(regressor().fit(X.astype(object), Y.astype(object)).predict(X), regressor().fit(X, Y).predict(X))
    with pytest.raises(TypeError, match=r"y must hold real numbers|str|None"):
        regressor().fit(X, np.where(Y > 0, "a", None))


def test_labels_that_are_none():
    with pytest.raises(ValueError, match="y is a list of lists"):
        classifier().fit(X, [[0, 1] if v else [1] for v in C])
    with pytest.raises(ValueError, match="such as inf"):
        classifier().fit(X, np.where(np.arange(80) == 5, np.inf, C))


def test_frames_with_numbers_as_names_keep_their_order():
    model = classifier().fit(pd.DataFrame(X), C)
    with pytest.raises(ValueError, match=r"or another order: \[1, 0\] after \[0, 1\]"):
        model.predict(pd.DataFrame(X)[[1, 0]])
    assert_array_equal(model.predict(pd.DataFrame(X, columns=[7, 8])), model.predict(X))


# ---- arguments ----


def test_arguments_that_mean_nothing():
    with pytest.raises(ValueError, match=r"validation_data needs .*lbfgs"):
        classifier(solver="lbfgs", early_stopping=True).fit(X, C, validation_data=(X, C))
    with pytest.raises(ValueError, match="sample_weight of validation_data"):
        regressor(early_stopping=True).fit(X, Y, validation_data=(X, Y, np.zeros(80)))
    with pytest.raises(ValueError, match="nothing would be left to train on"):
        classifier(early_stopping=True, validation_fraction=0.99).fit(X, C)
    with pytest.raises(ValueError, match="epsilon must be > 0"):
        classifier(epsilon=0.0).fit(X, C)
    with pytest.raises(ValueError, match="activation must be one of"):
        classifier(activation=None).fit(X, C)
    with pytest.raises(ValueError, match="hidden_layer_sizes= the second"):
        MLPRegressor((5,)).fit(X, Y)
    model = classifier(solver="lbfgs", early_stopping=True).fit(X, C)
    assert model.validation_scores_ is model.best_validation_score_ is None
    assert np.isfinite(model.best_loss_)


def test_equal_scores_are_told_apart_by_the_loss():
    # A small validation part gives the same score for most epochs: the first of them is hardly trained.
    order = np.argsort(C)
    scores = [
        classifier(early_stopping=True, max_iter=300, n_iter_no_change=50, random_state=s)
        .fit(X[order], C[order])
        .score(X, C)
        for s in range(4)
    ]
    assert min(scores) > 0.95


def test_a_fit_that_failed_is_none():
    model = classifier()
    with pytest.raises(ValueError, match="negative"):
        model.fit(X, C, sample_weight=-np.ones(80))
    with pytest.raises(NotFittedError):
        model.predict(X)


def test_tools_take_predictions_in_float32():
    single = X.astype(np.float32)
    assert CalibratedClassifierCV(classifier(), cv=3).fit(single, C).score(single, C) > 0.9
    assert classifier().fit(single, C).predict_proba(single).dtype == np.float32


# ---- weights in other hands ----


@pytest.mark.filterwarnings("ignore:fit. every unit")
def test_weights_that_were_put_there_are_used():
    for rows in (X, 100 * X + 7):
        for change in (_replaced, _written):
            model = pickle.loads(pickle.dumps(classifier().fit(rows, C)))
            expected = copy.deepcopy(model)
            change(model)
            assert_allclose(model.predict_proba(rows), 0.5)
            model.set_params(solver="sgd", learning_rate_init=1e-12, warm_start=True, max_iter=1).fit(rows, C)
            assert_allclose(model.predict_proba(rows), 0.5)  # training goes on from them too
            assert_array_equal(expected.predict_proba(rows), classifier().fit(rows, C).predict_proba(rows))


def _replaced(model):
    model.coefs_ = [0 * w for w in model.coefs_]
    model.intercepts_ = [0 * b for b in model.intercepts_]


def _written(model):
    for a in (*model.coefs_, *model.intercepts_):
        a[...] = 0


def network():
    return Network([2, 5, 1], seed=3)


FIT = {"epochs": 4, "batch_size": 16, "learning_rate": 0.05}


def test_a_callback_that_changes_weights():
    def clip(net, write):
        def after(epoch):
            if write:
                np.clip(net.weights[0], -0.3, 0.3, out=net.weights[0])
            else:
                net.weights = [np.clip(net.weights[0], -0.3, 0.3), net.weights[1]]

        return after

    written, replaced, apart = network(), network(), network()
    written.fit(X, Y, callback=clip(written, True), **FIT)
    replaced.fit(X, Y, callback=clip(replaced, False), **FIT)
    for _ in range(4):
        apart.fit(X, Y, **FIT | {"epochs": 1})
        np.clip(apart.weights[0], -0.3, 0.3, out=apart.weights[0])
    assert_array_equal(written.weights[0], apart.weights[0])
    assert_array_equal(replaced.weights[0], apart.weights[0])


def test_a_training_that_goes_uphill_is_told():
    with pytest.warns(mf.ConvergenceWarning, match=r"the loss grew from .*learning_rate \(it is 5\)"):
        Network([2, 8, 1], seed=1).fit(X, Y, **FIT | {"learning_rate": 5.0})
    for solver in ("sgd", "adam"):
        with pytest.warns(mf.ConvergenceWarning, match="loss grew"):
            classifier(solver=solver, learning_rate_init=1e10).fit(X, C)
    with pytest.warns(mf.ConvergenceWarning, match="not finite for the initial weights"):
        model = regressor(solver="lbfgs", activation=np.sqrt).fit(X, Y)
    assert np.isfinite(model.coefs_[0]).all()


def test_two_trainings_of_one_network_at_once_are_refused():
    net = network()
    with pytest.raises(RuntimeError, match="being trained"):
        net.fit(X, Y, callback=lambda epoch: net.fit(X, Y, **FIT) is None, **FIT)
    with pytest.raises(RuntimeError, match="being trained"):
        net.fit(X, Y, callback=lambda epoch: net.reset(), **FIT)
    seen = []

    def other():
        try:
            net.fit(X, Y, **FIT)
        except RuntimeError as error:
            seen.append(error)

    def start(epoch):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()

    net.fit(X, Y, callback=start, **FIT)
    assert len(seen) == 4
    copies = []
    net.fit(X, Y, callback=lambda epoch: copies.append(copy.copy(net).fit(X, Y, **FIT)), **FIT)
    assert len(copies) == 4


def test_history_says_how_a_training_ended():
    def fail(epoch):
        if epoch.number == 1:
            raise RuntimeError("mine")

    def stop(epoch):
        if epoch.number == 1:
            raise KeyboardInterrupt

    net = network()
    for callback, error, ended in ((fail, RuntimeError, "by an error"), (stop, KeyboardInterrupt, "interrupted")):
        with pytest.raises(error):
            net.fit(X, Y, callback=callback, **FIT)
        assert net.history.stopped == ended
        assert len(net.history.loss) == 2


def test_ctrl_c_in_lbfgs_keeps_the_last_iteration(monkeypatch):
    import mmlfast.neural_network._lbfgs as lbfgs

    calls, gradients = [], lbfgs._core.network_gradients

    def interrupted(*args):
        calls.append(1)
        if len(calls) == 9:
            raise KeyboardInterrupt
        return gradients(*args)

    monkeypatch.setattr(lbfgs._core, "network_gradients", interrupted)
    with pytest.warns(UserWarning, match="interrupted by user"):
        model = regressor(solver="lbfgs").fit(X, Y)
    monkeypatch.undo()
    assert model.n_iter_ == len(model.loss_curve_) > 2
    assert_allclose(np.mean((model.predict(X) - Y) ** 2) / 2, model.loss_, rtol=1e-2)


# ---- functions of one's own ----


def test_functions_that_cannot_be_trained():
    for how, error, message in [
        ({"activation": np.maximum}, TypeError, "activation: maximum.*one number"),
        ({"loss": lambda out: out}, TypeError, "loss: .*an output and its target"),
        ({"loss": lambda out, target: 3.0}, ValueError, "loss: the derivative .* is 0 everywhere"),
        ({"activation": lambda z: RNG.random() * z}, TypeError, "activation: .* gives another number"),
        ({"activation": None}, ValueError, "activation must be one of"),
    ]:
        with pytest.raises(error, match=message):
            Network([2, 3, 1], **how)
    with pytest.raises(TypeError, match="sizes must list"):
        Network(5)
    steps = Network([2, 3, 1], activation=np.sign)
    assert steps.forward(X).shape == (80, 1)
    with pytest.warns(UserWarning, match="layer 0 is 0 wherever"):
        steps.fit(X, Y, **FIT)


def test_a_loss_that_is_not_finite_at_the_start_is_not_laid_to_the_steps():
    net = Network([2, 3, 1], activation=np.sqrt)
    with pytest.warns(mf.ConvergenceWarning, match="before any step"):
        net.fit(X, Y, **FIT)
    with pytest.warns(mf.ConvergenceWarning, match="steps are too long"):
        network().fit(X, Y, **FIT | {"learning_rate": 1e10})


def test_rows_of_nan_have_no_label():
    rows = np.where(np.arange(80)[:, None] == 3, np.nan, X)
    for how in ({"output": "softmax", "loss": "cross_entropy"}, {"output": "logistic", "loss": "binary_cross_entropy"}):
        with pytest.raises(ValueError, match="row 3 gives NaN"):
            Network([2, 3, 2], **how).predict(rows)


def test_labels_of_a_table_of_objects():
    net = Network([2, 3, 2], output="softmax", loss="cross_entropy")
    assert_array_equal(copy.copy(net).fit(X, C.astype(object), **FIT), net.fit(X, C, **FIT))


# ---- means and deviations ----


@pytest.mark.parametrize("unit", [1.0, 1e-200, 1e300])
def test_moments_of_columns(unit):
    x = RNG.standard_normal((3000, 100)) * 0.01 * unit + unit
    w = RNG.integers(0, 3, 3000)
    found, copies = columns(x, w.astype(float)), columns(np.repeat(x, w, axis=0))
    assert_allclose(found.mean, copies.mean, rtol=1e-14)
    assert_allclose(found.deviation, copies.deviation, rtol=1e-10)
    assert_allclose(found.deviation, unit * (np.repeat(x, w, axis=0) / unit).std(axis=0), rtol=1e-9)
    together = columns(x, together=True)
    assert_allclose(together.deviation, unit * (x / unit).std(), rtol=1e-9)
    assert_array_equal(
        quantiles(x[:, 0], w.astype(float), (0.1, 0.5, 0.9)), quantiles(np.repeat(x[:, 0], w), None, (0.1, 0.5, 0.9))
    )


@pytest.mark.parametrize("shape", [(5, 3), (700, 3), (900, 130), (3000, 784)])
@pytest.mark.parametrize("together", [False, True])
def test_moments_of_columns_do_not_depend_on_what_holds_the_numbers(shape, together):
    numbers = RNG.integers(0, 256, shape, np.uint8)
    numbers[:, 0] = 200
    found = columns(numbers, together=together)
    assert_allclose(found.mean, numbers.mean(axis=None if together else 0), rtol=1e-14)
    assert_allclose(found.deviation, numbers.std(axis=None if together else 0), rtol=1e-13)
    assert together or found.deviation[0] == 0
    for other in (numbers.astype(np.float32), numbers.astype(np.float64), np.asfortranarray(numbers.astype(float))):
        assert_array_equal(columns(other, together=together), found)
    for power in (-900, -40, 1, 900):
        assert_array_equal(columns(np.ldexp(numbers.astype(float), power), together=together), np.ldexp(found, power))
    weighted = columns(numbers, np.full(shape[0], 3.0, np.float32), together=together)
    assert_allclose(weighted, found, rtol=1e-13)


def test_moments_of_columns_say_what_is_not_finite_and_not_what_does_not_count():
    x = RNG.standard_normal((2000, 300))
    w = np.ones(2000)
    w[:1800] = 0  # more than one block
    x[7, 3], x[1500, 4] = np.nan, np.inf
    assert np.flatnonzero(~np.isfinite(columns(x).mean)).tolist() == [3, 4]
    assert not np.isfinite(columns(x, together=True).mean).any()
    some = columns(x, w)
    assert_allclose(some, columns(x[1800:]), rtol=1e-12)
    assert_allclose(farthest(x, w, some.mean), np.abs(x[1800:] - some.mean).max(axis=0))
    with pytest.raises(ValueError, match="NaN or infinity"):
        Network([300, 1]).standardize(x)


@pytest.mark.parametrize("unit", [2.0**-1000, 1e-300, 1e300, 1e307])
@pytest.mark.parametrize("together", [False, True])
def test_moments_of_columns_do_not_depend_on_the_unit_of_weights(unit, together):
    x, w = RNG.standard_normal((90, 5)) * [1e-300, 1e-150, 1.0, 1e150, 1e300], RNG.uniform(0.1, 1, 90)
    expected = columns(x, w, together=together)
    assert np.isfinite(expected).all()
    assert_allclose(columns(x, w * unit, together=together), expected, rtol=1e-12)


def test_numbers_that_are_all_the_same_have_no_deviation():
    for value in (0.1, 0.7, 1e8 + 0.1, 3.3e-300):
        for shape in ((5, 3), (5, 7), (4000, 400)):
            for together in (False, True):
                found = columns(np.full(shape, value), together=together)
                assert not found.deviation.any()
                assert_allclose(found.mean, value, rtol=1e-15)


def test_the_order_of_the_data_in_memory_changes_no_bit():
    rng = np.random.default_rng(5)
    x = rng.normal(size=(300, 3)) * [1.0, 1e3, 1e-3]
    y = x[:, 0] + rng.normal(size=300)
    tables = x, np.asfortranarray(x)
    one, other = (MLPRegressor(hidden_layer_sizes=(4,), max_iter=3, random_state=0).fit(table, y) for table in tables)
    assert_array_equal(one.predict(x), other.predict(x))


@pytest.mark.parametrize("unit", [1.0, 1e6])
def test_long_tails_do_not_hide_where_most_numbers_are(unit):
    scores = []
    for seed in range(2):
        z = np.random.default_rng(seed).standard_normal((600, 2))
        x, label = unit * np.exp(2 * z), z.sum(axis=1) > 0
        scores.append(MLPClassifier(random_state=0, max_iter=500).fit(x, label).score(x, label))
    assert min(scores) > 0.96  # 0.94 by mean and deviation, or by those of the whole middle


def test_the_smallest_sample_weights():
    weights = np.full(80, 1e-310)
    assert_allclose(
        regressor(alpha=0.0).fit(X, Y, sample_weight=weights).coefs_[0], regressor(alpha=0.0).fit(X, Y).coefs_[0]
    )


def test_numbers_beyond_float32_are_refused_by_a_model_in_float32():
    model = regressor().fit(X.astype(np.float32), Y.astype(np.float32))
    with pytest.raises(ValueError, match="X holds numbers beyond float32"):
        model.predict([[1e39, 0.0]])


LABELS = {"output": "softmax", "loss": "cross_entropy"}


@pytest.mark.parametrize(
    ("train", "way_out"),
    [
        (lambda: classifier().fit(X.reshape(20, 4, 2), C[:20]), r"X\.reshape\(len\(X\), -1\)"),
        (lambda: Network([8, 1]).fit(X.reshape(20, 4, 2), Y[:20], **FIT), r"x\.reshape\(len\(x\), -1\)"),
        (lambda: Network([2, 2], **LABELS).fit(X, C.astype(float), **FIT), r"np\.unique\(y, return_inverse"),
        (lambda: Network([2, 2], **LABELS).fit(X, C + 1, **FIT), r"np\.unique\(y, return_inverse"),
        (
            lambda: Network([2, 1], output="logistic", loss="binary_cross_entropy").fit(X, 2 * C - 1, **FIT),
            r"\(y \+ 1\) / 2",
        ),
        (lambda: classifier().fit(np.zeros(80, [("a", float), ("b", float)]), C), "X must .* take the fields apart"),
        (lambda: classifier(early_stopping=True, validation_fraction=0.0).fit(X, C), "above 0 and below 1"),
    ],
)
def test_messages_name_the_way_out(train, way_out):
    with pytest.raises((ValueError, TypeError), match=way_out):
        train()
