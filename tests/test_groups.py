"""Labels of rows: what `groups=` takes, in which order it puts them, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
from cases import same_bits

from mmlfast import _core, stats
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


@pytest.mark.parametrize("far", [np.uint64([0, 2**64 - 1, 5]), np.int64([-1, 0, 10**15]), np.int64([-1, 0, -(2**63)])])
def test_labels_at_both_ends_of_what_64_bits_hold(far):
    """As unsigned numbers, which -1 and 0 are too: one more than their distance was taken for a table of no places."""
    labels = np.tile(far, 4)
    checked(labels, labels.tolist())


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


def test_labels_that_are_hashed(rng):
    """Wide integers, text of any length and alphabet, floats, objects that are one and the same: many rows, few labels,
    and so many labels that sorting takes over."""
    few, many = rng.integers(0, 50, N), rng.integers(0, N, N)
    for of in (few, many):
        checked(of * 10**12, (of * 10**12).tolist())
        checked(of.astype("u8") << 50, (of << 50).tolist())
        checked(of * 0.37 - 1, (of * 0.37 - 1).tolist())
        for text in (
            "{}",
            "k{:03}",
            "a much longer label, number {:05}, which takes several numbers",
            "\u00e9{}",
            "\U0001f600{}",
        ):
            names = [text.format(k) for k in of]
            checked(np.array(names), names)
            checked(np.array(names, object), names)
            shared = np.array([text.format(k) for k in range(N)], object)[of]
            checked(shared, shared.tolist())
        checked(np.array(names).astype(np.dtype("U30").newbyteorder()), np.array(names).astype("U30").tolist())
        checked(np.array([b"%d" % k for k in of]), [b"%d" % k for k in of])
    zeros = np.where(few % 2 == 0, 0.0, -0.0)
    assert group_rows("f", zeros, N).labels.tolist() == [0.0]
    ends = np.array(["a", "a\0", "b"], object)[few % 3]
    checked(ends, ends.tolist())
    with_none = np.array([None, "x", "y"], object)[few % 3]
    checked(with_none, with_none.tolist(), omit=True)
    mixed = np.array([1, "x"], object)[few % 2]
    with pytest.raises(TypeError, match="of one kind"):
        group_rows("f", mixed, N)


def test_more_labels_than_the_first_table_holds(rng, threads):
    labels = rng.integers(0, 30_000, 150_000) * 7919
    for count in (1, 2):
        threads(count)
        found = group_rows("f", labels, len(labels))
        np.testing.assert_array_equal(found.order, np.argsort(labels, kind="stable"))
        np.testing.assert_array_equal(found.labels, np.unique(labels))
        codes = number_rows("f", labels, len(labels))[0]
        np.testing.assert_array_equal(codes, np.unique(labels, return_inverse=True)[1])


def test_text_of_pandas(rng):
    pandas = pytest.importorskip("pandas")
    names = [f"k{k}" for k in numbers(rng, 30)]
    for dtype in ("string", "str", object):
        series = pandas.Series(names, dtype=dtype)
        checked(series, names)
        series[5] = None
        checked(series, [*names[:5], None, *names[6:]], omit=True)
        with pytest.raises(ValueError, match=r"groups\[5\] is missing"):
            group_rows("f", series, N)


def test_text_of_polars(rng):
    polars = pytest.importorskip("polars")
    names = ["\u00e9" if k % 7 == 0 else f"k{k}" for k in numbers(rng, 30)]
    checked(polars.Series(names), names)
    holes = [*names[:5], None, *names[6:]]
    checked(polars.Series(holes), holes, omit=True)
    with pytest.raises(ValueError, match=r"groups\[5\] is missing"):
        group_rows("f", polars.Series(holes), N)
    np.testing.assert_array_equal(stats.mean(np.arange(N), groups=polars.Series(names)).groups, sorted(set(names)))


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


@pytest.mark.parametrize("function", [stats.covariance, stats.correlation])
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


BY_SUMS = (stats.mean, stats.variance, stats.std)


def largest_difference(function, x, labels, **options):
    """Of the groups from what they are alone, in deviations of the group (a mean) or relative."""
    found = function(x, groups=labels, **options)
    worst = 0.0
    for value, label in zip(found.values, found.groups, strict=True):
        rows = x[labels == label]
        alone = function(rows, **options)
        np.testing.assert_array_equal(np.isnan(value), np.isnan(alone))
        there = ~np.isnan(alone)
        if function is stats.mean:
            scale = np.abs(rows - rows[0]).max(axis=0) + np.abs(alone) + np.finfo(float).tiny
        else:
            scale = np.where(alone > 0, alone, 1.0)
        assert ((value == 0) == (alone == 0))[there].all()
        worst = max(worst, float((np.abs(value - alone) / scale)[there].max(initial=0)))
    return worst


@pytest.mark.parametrize("function", BY_SUMS)
def test_sums_of_groups_are_what_the_groups_give_alone(function, rng):
    x, labels = ragged(rng, 3)
    assert largest_difference(function, x, labels) < 2e-14
    assert largest_difference(function, x[:, :1] + 1e8, labels) < 2e-14
    assert largest_difference(function, np.repeat(x, 3, axis=1), labels - 30) < 2e-14
    single = function(x.astype(np.float32), groups=labels)
    assert single.values.dtype == np.float32
    np.testing.assert_allclose(
        single.values, function(x.astype(np.float32).astype(float), groups=labels).values, rtol=1e-7
    )
    one = function(x[:, 0], groups=labels)
    np.testing.assert_array_equal(one.values, function(x, groups=labels).values[:, 0])
    if function is not stats.mean:
        assert largest_difference(function, x, labels, ddof=0) < 2e-14


@pytest.mark.parametrize("function", BY_SUMS)
def test_sums_of_groups_that_need_another_way(function, rng):
    """Each of these in a table of ordinary groups: the first row far from the others, numbers whose squares are too
    large or too small, equal numbers, infinities, NaN, one row."""
    x, labels = ragged(rng, 2)
    ordinary = function(x, groups=labels).values
    chosen = [g for g in range(60) if np.count_nonzero(labels == g) > 3][:9]
    rows = [np.flatnonzero(labels == g) for g in chosen]
    x[rows[0][0]] = 1e9, -1e9
    x[rows[1]] *= 1e200
    x[rows[2]] *= 1e-200
    x[rows[3]] = 0.1, 1e300
    x[rows[4][-1]] = np.inf, -np.inf
    x[rows[5][0], 1] = np.nan
    x[rows[6]] = np.transpose([np.nextafter(0, 1) * np.arange(len(rows[6])), 1e-170 * rng.random(len(rows[6]))])
    x[rows[7]] = np.where(rng.random(x[rows[7]].shape) < 0.5, 1.7e308, -1.7e308)
    x[rows[8], 0] = 3
    with np.errstate(all="ignore"):
        assert largest_difference(function, x, labels) < 1e-12
        found = function(x, groups=labels).values
    others = np.setdiff1d(np.arange(60), chosen)
    np.testing.assert_array_equal(found[others], ordinary[others])
    assert not np.isnan(function(x, groups=labels, nan_policy="omit").values[chosen[5]]).any()


@pytest.mark.parametrize("function", BY_SUMS)
def test_sums_of_many_rows_do_not_depend_on_threads(function, threads, rng):
    """Parts of the rows have sums of their own: more than one from 65 536 rows on."""
    n = 200_000
    labels = np.sort(rng.integers(0, 300, n)) if function is stats.std else rng.integers(0, 300, n)
    x = rng.standard_normal((n, 2)) * [1, 1e-3] + labels[:, None] * 1e3
    results = []
    for count in (1, 2, 3):
        threads(count)
        results.append(function(x, groups=labels).values)
    for other in results[1:]:
        same_bits(results[0], other)
    by_group = [x[labels == g] for g in range(300)]
    expected = np.array([function(rows) for rows in by_group])
    np.testing.assert_allclose(results[0], expected, rtol=1e-13)
    scaled = function(x * 2.0**40, groups=labels).values
    np.testing.assert_array_equal(scaled, results[0] * 2.0 ** (80 if function is stats.variance else 40))


def test_sums_and_moments_have_the_same_bits_at_every_level(same_at_every_level):
    same_at_every_level(
        """
        rng = np.random.default_rng(5)
        labels = rng.integers(0, 900, 70_000)
        for d in (1, 3, 9):
            x = rng.standard_normal((70_000, d)) + 1e4
            for f in (mf.stats.mean, mf.stats.variance, mf.stats.std, mf.stats.covariance, mf.stats.correlation):
                digest(f(x, groups=labels).values, f(x.astype("f4"), groups=labels // 300).values)
        """
    )


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
    np.testing.assert_allclose(stats.mean(x, groups=names).values, by_name.mean(), rtol=1e-13, atol=1e-15)
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


def test_labels_of_arrow() -> None:
    """Arrow has a number of missing labels where polars has a method that gives it."""
    pa = pytest.importorskip("pyarrow")
    x = np.array([1.0, 2.0, 4.0, 8.0])
    for labels in (["b", "a", "b", "a"], [2**60 + 1, 2**60, 2**60 + 1, 2**60], [True, False, True, False]):
        for of in (pa.array, lambda a: pa.array(a).dictionary_encode(), lambda a: pa.chunked_array([a[:1], a[1:]])):
            found = stats.mean(x, groups=of(labels))
            assert found.values.tolist() == [5.0, 2.5]
            assert found.groups.tolist() == sorted(set(labels))
        missing = pa.array([labels[0], None, *labels[2:]])
        with pytest.raises(ValueError, match=r"groups\[1\] is missing"):
            stats.mean(x, groups=missing)
        assert stats.mean(x, groups=missing, nan_policy="omit").values.tolist() == [8.0, 2.5]


def test_objects_whose_addresses_are_far_from_each_other(rng):
    """Arenas of Python lie anywhere; numbers of 64 bits that stand for them, in blocks that are few or many."""
    n = 70_000
    for n_blocks in (3, 40, 3000):
        blocks = rng.integers(0, 2**33, n_blocks) << 4
        items = blocks[rng.integers(0, n_blocks, n)] + 16 * rng.integers(0, 5, n)
        _, first_of, numbers = np.unique(items, return_index=True, return_inverse=True)
        order = np.argsort(first_of)
        rank = np.empty(len(order), np.int64)
        rank[order] = np.arange(len(order))
        codes, first = _core.number_items(items, n)
        np.testing.assert_array_equal(codes, rank[numbers])
        np.testing.assert_array_equal(first, np.sort(first_of))
        assert _core.number_items(items, len(order) - 1) is None


def test_texts_that_differ_in_one_place(rng):
    for length in (1, 2, 3, 5, 8, 13):
        base = rng.integers(97, 123, length).astype(np.uint32)
        texts = []
        for k in range(length):
            for letter in (33, 34, 0x1F600):
                one = base.copy()
                one[k] = letter
                texts.append(one)
        names = np.unique(np.stack(texts).reshape(-1).view(f"<U{length}"))
        assert len(names) == 3 * length
        labels = names[rng.integers(0, len(names), 5000)]
        found = group_rows("f", labels, 5000)
        np.testing.assert_array_equal(found.labels, np.unique(labels))
        np.testing.assert_array_equal(found.order, np.argsort(labels, kind="stable"))


@pytest.mark.parametrize("dtype", ["i4", "u4", "i8", "u8"])
def test_range_of_integers(dtype, rng):
    info = np.iinfo(dtype)
    for n in (1, 2, 3, 4, 5, 9, 16384, 16386, 50_001):
        x = rng.integers(info.min, info.max, n, dtype, endpoint=True)
        for at in {0, n // 2, n - 1}:
            for value in (info.min, info.max):
                y = x.copy()
                y[at] = value
                assert _core.range_of_integers(y) == (y.min(), y.max())
    for wrong in (x.astype("i2"), x[:0], x[::2], x.astype(float)):
        with pytest.raises(ValueError, match="range_of_integers"):
            _core.range_of_integers(wrong)
