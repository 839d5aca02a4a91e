"""Labels of rows: what `groups=` takes, in which order it puts them, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
from cases import same_bits

from mmlfast import stats
from mmlfast._common.groups import group_rows, number_rows

N = 2000


def checked(labels, expected, **options):
    """The groups of labels, held against a plain dictionary of lists."""
    found = group_rows("f", labels, len(labels), **options)
    by_label = {}
    for row, label in enumerate(expected):
        if label is not None:
            by_label.setdefault(label, []).append(row)
    names = sorted(by_label)
    assert found.labels.tolist() == names
    assert found.offsets[[0, -1]].tolist() == [0, sum(map(len, by_label.values()))]
    for g, name in enumerate(names):
        assert found.order[found.offsets[g] : found.offsets[g + 1]].tolist() == by_label[name]
    codes = np.full(len(labels), -1)
    numbers, sorted_labels, kept = number_rows("f", labels, len(labels), **options)
    codes[slice(None) if kept is None else kept] = numbers
    assert sorted_labels.tolist() == names
    assert codes.tolist() == [-1 if label is None else names.index(label) for label in expected]
    return found


def numbers(rng, few):
    return rng.integers(0, few, N)


@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "i4", "u4", "i8", "u8", ">i4", ">i8", "f4", "f8"])
def test_numbers(dtype, rng):
    labels = numbers(rng, 40).astype(dtype)
    found = checked(labels, labels.tolist())
    assert found.labels.dtype == np.dtype(dtype).newbyteorder("=")


@pytest.mark.parametrize("spread", [1, 7, 10**6, 2**40])
@pytest.mark.parametrize("least", [0, -30, -(2**62), 2**60 + 1])
def test_integers_of_any_size_and_sign(spread, least, rng):
    labels = numbers(rng, 30) * spread + least
    assert checked(labels, labels.tolist()).labels.dtype == np.int64
    checked(np.sort(labels), sorted(labels.tolist()))
    checked(labels[::-2], labels[::-2].tolist())


def test_more_groups_than_sixteen_bits(rng):
    labels = rng.integers(0, 300_000, 200_000)
    found = group_rows("f", labels, len(labels))
    np.testing.assert_array_equal(found.order, np.argsort(labels, kind="stable"))
    np.testing.assert_array_equal(found.labels, np.unique(labels))


def test_integers_beyond_two_to_the_53_stay_apart():
    labels = np.array([2**53 + 1, 2**53, 2**63 - 1, -(2**63), 2**53 + 1])
    checked(labels, labels.tolist())
    large = np.array([2**64 - 1, 2**64 - 2, 2**64 - 1], np.uint64)
    checked(large, large.tolist())
    checked([2**70, 1, 2**70 + 1], [2**70, 1, 2**70 + 1])


def test_text_dates_booleans_and_objects(rng):
    words = np.array(["delta", "alpha", "", "bravo"])[numbers(rng, 4)]
    for labels in (words, words.tolist(), words.astype(object), tuple(words.tolist()), words.astype("S")):
        checked(labels, list(labels) if not isinstance(labels, np.ndarray) else labels.tolist())
    days = np.datetime64("2024-02-28") + numbers(rng, 5)
    found = checked(days, days.tolist())
    assert found.labels.dtype == days.dtype
    flags = numbers(rng, 2).astype(bool)
    assert checked(flags, flags.tolist()).labels.dtype == bool
    pairs = list(zip(flags.tolist(), words.tolist(), strict=True))
    checked(pairs, pairs)


def test_empty():
    for labels in ([], np.empty(0, int), np.empty(0, "U3"), np.empty(0)):
        found = group_rows("f", labels, 0)
        assert found.labels.size == found.order.size == 0
        assert found.offsets.tolist() == [0]


def test_missing_labels_are_refused_or_left_out():
    pandas = pytest.importorskip("pandas")
    for labels, expected in (
        ([1, None, 2, 1], [1, None, 2, 1]),
        (["b", None, "a"], ["b", None, "a"]),
        (np.array([2.0, np.nan, 1.0]), [2.0, None, 1.0]),
        (np.array(["2024-01-02", "NaT"], "M8[D]"), [np.datetime64("2024-01-02").item(), None]),
        (np.ma.masked_equal([5, -999, 4], -999), [5, None, 4]),
        (pandas.Series([2**60 + 1, None, 5], dtype="Int64"), [2**60 + 1, None, 5]),
        (pandas.Series(["x", None, "a"]), ["x", None, "a"]),
    ):
        checked(labels, expected, omit=True)
        with pytest.raises(ValueError, match=r"f: groups\[1\] is missing .*nan_policy='omit'"):
            group_rows("f", labels, len(labels))


def test_categories_come_in_their_order_and_only_those_that_occur():
    pandas = pytest.importorskip("pandas")
    sizes = pandas.Categorical(["large", "small", "large"], categories=["small", "medium", "large"], ordered=True)
    for labels in (sizes, pandas.Series(sizes), pandas.CategoricalIndex(sizes)):
        found = group_rows("f", labels, 3)
        assert found.labels.tolist() == ["small", "large"]
        assert found.order.tolist() == [1, 0, 2]
    holes = pandas.Categorical(["a", None, "a"])
    assert group_rows("f", holes, 3, omit=True).order.tolist() == [0, 2]
    with pytest.raises(ValueError, match=r"groups\[1\] is missing"):
        group_rows("f", holes, 3)


def test_pandas_and_polars(rng):
    pandas = pytest.importorskip("pandas")
    labels = numbers(rng, 9)
    checked(pandas.Series(labels), labels.tolist())
    checked(pandas.Index(labels), labels.tolist())
    stamps = pandas.Series(pandas.to_datetime(["2024-01-02", "2024-01-01"]).tz_localize("UTC"))
    checked(stamps, list(stamps))
    polars = pytest.importorskip("polars")
    checked(polars.Series(labels), labels.tolist())
    checked(polars.Series([2**60 + 1, None, 3]), [2**60 + 1, None, 3], omit=True)


@pytest.mark.parametrize(
    ("labels", "error", "says"),
    [
        ([1, 2], ValueError, r"one label for each of the 3 rows, shape \(3,\); got shape \(2,\)"),
        (np.zeros((3, 2)), ValueError, r"got shape \(3, 2\): several keys are one label if they are tuples"),
        ([1, "a", 2], TypeError, r"labels in keys must be of one kind, hashed and sorted; got int, str"),
        ([[1], [2], [3]], ValueError, "shape"),
        ({1, 2, 3}, TypeError, "keys must be an array"),
        (None, TypeError, "keys must be an array"),
        (np.array([1 + 0j, 2, 3]), TypeError, "labels in keys"),
    ],
)
def test_refused(labels, error, says):
    with pytest.raises(error, match=says):
        group_rows("f", labels, 3, name="keys")


# ---- statistics of groups ----


def ragged(rng, d, n_groups=60):
    """A table whose groups have 1 to 200 rows, and its labels."""
    labels = rng.permutation(np.repeat(np.arange(n_groups), rng.geometric(0.04, n_groups).clip(1, 200)))
    return rng.standard_normal((len(labels), d)) + 1e6 * np.arange(d), labels


FUNCTIONS = (stats.mean, stats.variance, stats.std, stats.covariance, stats.correlation)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_group_has_the_bits_that_it_has_alone(function, dtype, rng):
    x, labels = ragged(rng, 3)
    x = x.astype(dtype)
    found = function(x, groups=labels)
    assert found.groups.tolist() == sorted(set(labels.tolist()))
    assert found.values.dtype == dtype
    for value, label in zip(found.values, found.groups, strict=True):
        same_bits(value, function(x[labels == label]))
    same_bits(np.asarray(found), found.values)
    one = function(x[:, 0], groups=labels)
    same_bits(one.values, np.array([function(x[labels == g, 0]) for g in one.groups]))


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("kind", ["weights", "fweights", "aweights"])
def test_weights_and_missing_numbers_of_groups(function, kind, rng):
    x, labels = ragged(rng, 2)
    x[rng.random(x.shape) < 0.1] = np.nan
    w = rng.integers(0, 4, len(x)) + 0.5
    found = function(x, groups=labels, nan_policy="omit", **{kind: w})
    for value, label in zip(found.values, found.groups, strict=True):
        rows = labels == label
        same_bits(value, function(x[rows], nan_policy="omit", **{kind: w[rows]}))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_statistics_of_groups_against_pandas(rng):
    pandas = pytest.importorskip("pandas")
    x, labels = ragged(rng, 2)
    names = np.array([f"k{g:03d}" for g in labels])
    by_name = pandas.DataFrame(x, columns=["a", "b"]).groupby(names)
    np.testing.assert_array_equal(stats.mean(x, groups=names).groups, by_name.mean().index)
    np.testing.assert_allclose(stats.mean(x, groups=names).values, by_name.mean(), rtol=1e-13)
    np.testing.assert_allclose(stats.variance(x, groups=names).values, by_name.var(), rtol=1e-9)
    expected = by_name.cov().to_numpy().reshape(-1, 2, 2)
    np.testing.assert_allclose(stats.covariance(x, groups=names).values, expected, rtol=1e-8, atol=1e-8)


def test_statistics_of_groups_refuse(rng):
    x, labels = ragged(rng, 2)
    with pytest.raises(ValueError, match=r"mean: groups must have one label for each of the \d+ rows"):
        stats.mean(x, groups=labels[1:])
    with pytest.raises(ValueError, match="with groups, x must be one table"):
        stats.mean(np.stack([x, x]), groups=labels)
    with pytest.raises(ValueError, match="nan_policy must be one of"):
        stats.mean(x, groups=labels, nan_policy="drop")
    x[7, 1] = np.nan
    with pytest.raises(ValueError, match=r"x\[7, 1\] is NaN"):
        stats.mean(x, groups=labels, nan_policy="raise")
    with pytest.raises(ValueError, match="fweights must have one number per row"):
        stats.mean(x, groups=labels, fweights=np.ones(3))
    with pytest.raises(TypeError, match="masked"):
        stats.mean(np.ma.masked_invalid(x), groups=labels)
    pandas = pytest.importorskip("pandas")
    with pytest.raises(ValueError, match="the labels of groups are not those of x"):
        stats.mean(pandas.DataFrame(x), groups=pandas.Series(labels, index=np.arange(len(x))[::-1]))


def test_statistics_of_no_rows():
    found = stats.covariance(np.empty((0, 3)), groups=[])
    assert found.values.shape == (0, 3, 3)
    assert found.groups.shape == (0,)
    assert stats.mean([], groups=[]).values.shape == (0,)
