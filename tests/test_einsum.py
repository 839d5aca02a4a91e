"""linalg.einsum against numpy.einsum, on given and on random subscripts."""

from __future__ import annotations

import cases
import numpy as np
import pytest
from cases import LAYOUTS, same_bits
from hypothesis import given, settings
from hypothesis import strategies as st

import mmlfast as mf
from mmlfast.linalg import _einsum

SIZE = {"b": 5, "c": 2, "i": 4, "j": 3, "k": 6, "l": 7}

# Batches of products of matrices and vectors: these must go to the kernel.
PRODUCTS = (
    "bij,bjk->bik",
    "bji,bjk->bik",
    "bij,bkj->bik",
    "bji,bkj->bik",
    "bij,bjk->bki",
    "bij,bjk->ikb",
    "bij,bj->bi",
    "bij,bi->bj",
    "bj,bij->bi",
    "bi,bi->b",
    "ib,ib->b",
    "bi,i->b",
    "bij,jk->bik",
    "ij,bjk->bik",
    "bij,j->bi",
    "ij,jk->ik",
    "ij,jk",
    "ij,j",
    "i,i",
    "i,i->",
    "bcij,bcjk->bcik",
    "bcij,cjk->bcik",
    "...ij,...jk->...ik",
    "...i,...i",
    "...ij,...j",
    "b...ij,jk->b...ik",
    "i...,i...",
)
# What else einsum can do.
OTHERS = (
    "ii",
    "ii->i",
    "bii->b",
    "ij->ji",
    "ij->",
    "bij",
    "bi,bj->bij",
    "i,j",
    "ij,ij",
    "ij,ij->ij",
    "ij,kl->",
    "iij,jk->ik",
    "bij,bjk->k",
    "bij,bij->b",
    "...,...",
    "...ii->...i",
    "ij...,jk...->ik...",
    "ij,jk,kl->il",
    "bij,bjk,bkl->bil",
    "bij,bjk,bk->bi",
    "i,ij,j",
    "bi,bij,bj->b",
    "...i,...ij,...j->...",
    "ij,jk,ki",
    "bi,bi,bi->b",
)


def operands(subscripts, rng, dtype=np.float64):
    """Arrays that fit; an ellipsis is two axes of 2 and 3."""
    for labels in subscripts.partition("->")[0].split(","):
        head, dots, tail = labels.partition("...")
        shape = [*(SIZE[c] for c in head), *((2, 3) if dots else ()), *(SIZE[c] for c in tail)]
        yield (rng.integers(-8, 9, shape) * 0.25).astype(dtype)  # exact in any order of summation


def is_rearrangement(subscripts):
    """Of one operand, without a sum."""
    head, arrow, tail = subscripts.replace(" ", "").replace(".", "").partition("->")
    return "," not in head and set(head) == (set(tail) if arrow else {c for c in head if head.count(c) == 1})


def check(subscripts, *arrays, **options):
    expected = np.einsum(subscripts, *arrays, **options)
    result = mf.linalg.einsum(subscripts, *arrays, **options)
    if expected.dtype.kind in "iu" and not is_rearrangement(subscripts):
        expected = expected.astype(np.float64)  # integers are multiplied as float64
    assert isinstance(result, np.ndarray if expected.ndim else np.generic)
    assert result.dtype == expected.dtype
    np.testing.assert_array_equal(result, expected)
    return result


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int64])
@pytest.mark.parametrize("subscripts", PRODUCTS + OTHERS)
def test_like_numpy(subscripts, dtype, rng):
    arrays = list(operands(subscripts, rng, dtype))
    result = check(subscripts, *arrays)
    check(subscripts.replace(",", " , "), *arrays)
    for layout in LAYOUTS:
        check(subscripts, *map(layout, arrays))
    if np.ndim(result) and np.issubdtype(dtype, np.floating):
        out = cases.fortran(np.empty(result.shape, dtype))
        assert mf.linalg.einsum(subscripts, *arrays, out=out) is out
        np.testing.assert_array_equal(out, result)
    if len(arrays) > 2:
        for optimize in (False, True, "greedy", "optimal", ["einsum_path", (0, 1), (0, 1)]):
            check(subscripts, *arrays, optimize=optimize)


@pytest.mark.parametrize("subscripts", PRODUCTS)
def test_products_go_to_the_kernel(subscripts, rng, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("numpy.einsum was called")

    arrays = list(operands(subscripts, rng))
    expected = np.einsum(subscripts, *arrays)
    monkeypatch.setattr(_einsum.np, "einsum", refuse)
    np.testing.assert_array_equal(mf.linalg.einsum(subscripts, *arrays), expected)


def test_has_the_bits_of_matmul(rng):
    a, b = rng.standard_normal((9, 4, 5)), rng.standard_normal((9, 5, 6))
    same_bits(mf.linalg.einsum("bij,bjk->bik", a, b), mf.linalg.matmul(a, b))
    same_bits(mf.linalg.einsum("bij,bj->bi", a, b[..., 0]), mf.linalg.matvec(a, b[..., 0]))
    same_bits(mf.linalg.einsum("bi,bi->b", a[:, 0], b[:, :, 0]), mf.linalg.vecdot(a[:, 0], b[:, :, 0]))


def test_sublists(rng):
    a, b = rng.standard_normal((5, 2, 3)), rng.standard_normal((5, 3, 4))
    expected = mf.linalg.einsum("bij,bjk->bik", a, b)
    same_bits(mf.linalg.einsum(a, [0, 1, 2], b, [0, 2, 3], [0, 1, 3]), expected)
    same_bits(mf.linalg.einsum(a, [Ellipsis, 1, 2], b, [Ellipsis, 2, 3], [Ellipsis, 1, 3]), expected)
    for arguments in (
        (a, [3, 30, 2], b, [3, 2, 1]),
        (a, [51, 0, 1], [1, 51, 0]),
        (a[0], [1, 0]),
        (a[0], [27, 3], b[0], [3, 0]),
    ):
        np.testing.assert_allclose(mf.linalg.einsum(*arguments), np.einsum(*arguments), atol=1e-13)
    with pytest.raises(ValueError, match="subscript"):
        mf.linalg.einsum(a, [0, 1, 60])


def test_sizes_of_one_broadcast(rng):
    a, b = rng.standard_normal((1, 2, 3)), rng.standard_normal((5, 3, 4))
    np.testing.assert_allclose(mf.linalg.einsum("bij,bjk->bik", a, b), np.einsum("bij,bjk->bik", a, b), atol=1e-14)
    np.testing.assert_allclose(mf.linalg.einsum("...ij,...jk", a, b[0]), np.einsum("...ij,...jk", a, b[0]), atol=1e-14)
    a, b = rng.standard_normal((2, 1)), rng.standard_normal((3, 4))
    np.testing.assert_allclose(mf.linalg.einsum("ij,jk", a, b), np.einsum("ij,jk", a, b), atol=1e-14)
    for shape in ((0, 2, 3), (5, 0, 3), (5, 2, 0)):
        check("bij,bkj->bik", np.ones(shape), np.ones((shape[0], 4, shape[2])))


def test_other_options(rng):
    a, b = rng.standard_normal((3, 4)), rng.standard_normal((4, 5))
    assert mf.linalg.einsum("ij,jk", a, b, dtype=np.float32, casting="same_kind").dtype == np.float32
    assert mf.linalg.einsum("ij,jk", a, b, order="F").flags.f_contiguous
    assert mf.linalg.einsum("ij,jk", a.astype(np.float32), b).dtype == np.float64
    assert mf.linalg.einsum("ij,jk", [[1, 2]], [[3], [4]]).item() == 11
    view = mf.linalg.einsum("ii->i", square := np.zeros((3, 3)))
    view[:] = 1
    np.testing.assert_array_equal(square, np.eye(3))


def test_nan_stays_in_its_item(rng):
    a, b = rng.standard_normal((6, 3, 3)), rng.standard_normal((6, 3, 3))
    good = mf.linalg.einsum("bij,bkj->bik", a, b)
    a[2, 0, 1] = np.nan
    bad = mf.linalg.einsum("bij,bkj->bik", a, b)
    same_bits(np.delete(bad, 2, 0), np.delete(good, 2, 0))
    assert np.isnan(bad[2, 0]).all()


@pytest.mark.parametrize(
    ("subscripts", "shapes"),
    [
        ("ij,jk->il", [(2, 3), (3, 4)]),
        ("ij,jk", [(2, 3), (4, 5)]),
        ("ij", [(2, 3), (3, 4)]),
        ("ij,jk,kl", [(2, 3), (3, 4)]),
        ("i", [(2, 3)]),
        ("ijk", [(2, 3)]),
        ("i.j,jk", [(2, 3), (3, 4)]),
        ("ij,jk->ii", [(2, 3), (3, 4)]),
        ("ij,jk->...", [(2, 3), (3, 4)]),
        ("ij-jk", [(2, 3), (3, 4)]),
        ("i1,jk", [(2, 3), (3, 4)]),
        ("...ij...,jk", [(2, 3), (3, 4)]),
        ("bij,bjk->bik", [(2, 3, 4), (3, 4, 5)]),
    ],
)
def test_refused_as_by_numpy(subscripts, shapes):
    arrays = [np.ones(shape) for shape in shapes]
    try:
        expected = np.einsum(subscripts, *arrays)
    except ValueError:
        with pytest.raises(ValueError, match=r"."):
            mf.linalg.einsum(subscripts, *arrays)
    else:
        np.testing.assert_allclose(mf.linalg.einsum(subscripts, *arrays), expected)


def test_complex_numbers_are_refused():
    with pytest.raises(TypeError, match="real numbers"):
        mf.linalg.einsum("ij,jk", np.ones((2, 2), complex), np.ones((2, 2)))
    with pytest.raises(TypeError, match="real numbers"):
        mf.linalg.einsum("ij,jk", np.ones((2, 2)), np.ones((2, 2)), dtype=complex)


def test_wrong_output():
    with pytest.raises(ValueError, match=r"."):
        mf.linalg.einsum("ij,jk->ik", np.ones((2, 3)), np.ones((3, 4)), out=np.ones((2, 5)))


# ---- random subscripts ----


@st.composite
def problems(draw):
    """Subscripts of one to three operands over few letters, and a seed."""
    letters = "abcde"
    inputs = [
        draw(st.text(letters, max_size=4).map(lambda s: "".join(dict.fromkeys(s)) if len(s) % 3 else s))
        for _ in range(draw(st.integers(1, 3)))
    ]
    every = sorted(set("".join(inputs)))
    text = ",".join(inputs)
    if draw(st.booleans()):
        result = draw(st.permutations(every))[: draw(st.integers(0, len(every)))]
        text += "->" + "".join(result)
    sizes = {c: draw(st.integers(1, 4)) for c in letters}
    dtypes = [draw(st.sampled_from([np.float64, np.float64, np.float32, np.int64])) for _ in inputs]
    return text, [tuple(sizes[c] for c in labels) for labels in inputs], dtypes


@settings(max_examples=300)
@given(problem=problems(), layout=st.sampled_from(LAYOUTS), dots=st.booleans(), seed=st.integers(0, 2**31))
def test_random_subscripts(problem, layout, dots, seed):
    text, shapes, dtypes = problem
    rng = np.random.default_rng(seed)
    if layout is cases.strided:
        dtypes = [np.float64] * len(dtypes)
    if dots:  # one axis more, named by an ellipsis
        head, arrow, tail = text.partition("->")
        text = ",".join("..." + labels for labels in head.split(",")) + (arrow and arrow + "..." + tail)
        shapes = [(2, *shape) for shape in shapes]
    arrays = [layout(rng.integers(-4, 5, shape).astype(dtype)) for shape, dtype in zip(shapes, dtypes, strict=True)]
    check(text, *arrays)


# ---- integers ----


def test_integers_do_not_wrap():
    """188; vecdot of the same: 700.0"""
    a, b = np.array([200, 100], "u1"), np.array([2, 3], "u1")
    assert mf.linalg.einsum("i,i->", a, b) == mf.linalg.vecdot(a, b) == 700
    assert mf.linalg.einsum("i->", np.array([127] * 3, "i1")) == 381
    assert mf.linalg.einsum("i,i,i->", a, a, a) == 200**3 + 100**3
    assert mf.linalg.einsum("i,j->ij", a, b).dtype == np.float64
    assert mf.linalg.einsum("i,i", [True, True], [True, True]) == 2
    with pytest.raises(TypeError, match=r"operand 1 holds the integer 9007199254740993, which float64 would round"):
        mf.linalg.einsum("i,i", [1, 1], np.array([1, 2**53 + 1]))


@pytest.mark.parametrize("subscripts", ["ij->ji", "ii->i", "ij", "ijk->kij", "i"])
def test_a_rearrangement_of_integers_is_a_view(subscripts):
    a = np.arange(27).reshape(3, 3, 3)[(0,) * (3 - len(subscripts.split("->")[0]))]
    result = mf.linalg.einsum(subscripts, a)
    assert np.shares_memory(result, a)
    np.testing.assert_array_equal(result, np.einsum(subscripts, a))


def test_integers_that_are_asked_for_are_exact_or_refused():
    a = np.array([[2**31, 1], [0, 3]])
    exact = mf.linalg.einsum("ij,jk->ik", a, a, dtype=np.int64)
    assert exact.dtype == np.int64
    np.testing.assert_array_equal(exact, a @ a)
    out = np.empty((2, 2), np.int64)
    assert mf.linalg.einsum("ij,jk->ik", a, a, out=out) is out
    np.testing.assert_array_equal(out, a @ a)
    np.testing.assert_array_equal(mf.linalg.einsum("i,i->i", [2**62, -(2**62)], [1, 2], dtype=int), [2**62, -(2**63)])
    for call in (
        lambda: mf.linalg.einsum("ij,jk->ik", a, a, dtype=np.int32, casting="same_kind"),
        lambda: mf.linalg.einsum("ij,jk,kl->il", a, a, a, dtype=np.int64),
        lambda: mf.linalg.einsum("ij,jk,kl->il", a, a, a, out=out),
        lambda: mf.linalg.einsum("i,i->", np.array([200, 100], "u1"), np.array([2, 3], "u1"), dtype=np.uint8),
    ):
        with pytest.raises(OverflowError, match="does not fit"):
            call()
    for call in (
        lambda: mf.linalg.einsum("ij,jk->ik", a / 2, a, dtype=np.int64),
        lambda: mf.linalg.einsum("ij,jk->ik", a / 2, a, out=out),  # NumPy cuts the digits off
    ):
        with pytest.raises(TypeError, match="do not fit dtype or out, which is int64"):
            call()


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(["i,i->", "ij,jk->ik", "ij->i", "ij,ij->ij", "i,j->ij"]), st.integers(0, 2**31))
def test_law_integers_are_exact(subscripts, seed):
    rng = np.random.default_rng(seed)
    dtype = np.dtype(rng.choice(["i1", "u1", "i2", "u2", "i4", "i8"]))
    info = np.iinfo(dtype)
    low, high = max(info.min, -(2**24)), min(info.max, 2**24)
    labels = subscripts.split("->")[0].split(",")
    arrays = [rng.integers(low, high, (3,) * len(x), endpoint=True).astype(dtype) for x in labels]
    exact = np.einsum(subscripts, *(x.astype(object) for x in arrays))
    result = mf.linalg.einsum(subscripts, *arrays)
    assert result.dtype == np.float64
    np.testing.assert_array_equal(result, np.asarray(exact).astype(np.float64))


# ---- errors and warnings from inside ----


def test_errors_are_told_in_the_words_of_the_caller():
    """An IndexError, an AttributeError."""
    x, a = np.ones(3), np.ones((3, 3))
    einsum = mf.linalg.einsum
    for call, error, message in (
        (lambda: einsum("->", x), ValueError, r"subscripts '' name 0 axes of operand 0, which has 1: .* \(3,\)"),
        (lambda: einsum("", x), ValueError, "name 0 axes"),
        (lambda: einsum("ij,jk", a, x), ValueError, "'jk' name 2 axes of operand 1"),
        (lambda: einsum("ij"), ValueError, "are for 1 operands, got 0"),
        (lambda: einsum("ij,jk,kl", a, a), ValueError, "are for 3 operands, got 2"),
        (lambda: einsum("ij,jk", a, a, order=None), TypeError, "order must be one of C, F, A, K, got None"),
        (lambda: einsum("ij,jk", a, a, order="Q"), ValueError, "order must be one of C, F, A, K, got 'Q'"),
        (lambda: einsum("ij,jk", a, a, casting="no way"), ValueError, "casting must be one of"),
        (lambda: einsum("ij,jk", a, a, out=[1]), TypeError, "out must be an array, got list"),
        (lambda: einsum("ij,jk", a, a, out=x), ValueError, r"out must have shape \(3, 3\), got \(3,\)"),
        (lambda: einsum("ij,jk,kl", a, a, a, optimize="best"), ValueError, "optimize must be True, False, 'greedy'"),
        (lambda: einsum("ij,jk,kl", a, a, a, optimize=3), TypeError, "optimize must be"),
        (lambda: einsum("ij,jk,kl", a, a, a, optimize=["einsum_path", (0, 5)]), ValueError, "is no path"),
        (lambda: einsum(a, 3), TypeError, "follow each operand as a list of integers; got 3"),
        (lambda: einsum(a, [0, 0.5]), TypeError, "list of integers"),
        (lambda: einsum("ij,jk", a, None), TypeError, "operand 1 must be an array, got None"),
        (lambda: einsum("ij,jk", a, a.astype("m8[s]")), TypeError, "operand 1 must hold real numbers"),
    ):
        with pytest.raises(error, match=message):
            call()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("subscripts", PRODUCTS + OTHERS)
def test_no_warnings_of_infinities(subscripts, rng):
    arrays = [np.where(x > 0, np.inf, x) for x in operands(subscripts, rng)]
    with np.errstate(all="warn"):
        result = mf.linalg.einsum(subscripts, *arrays)
    assert not np.isfinite(result).all()


def test_out_may_be_an_operand(rng):
    for subscripts in ("ij,jk->ik", "ij,jk->ki", "ij,ij->ij", "ij->ji", "ij,jk,kl->il"):
        n = subscripts.count(",") + 1
        a = rng.standard_normal((12, 12))
        expected = np.einsum(subscripts, *[a] * n).copy()
        assert mf.linalg.einsum(subscripts, *[a] * n, out=a) is a
        np.testing.assert_allclose(a, expected, rtol=1e-12, atol=1e-12)


def test_labels_of_one_letter_agree(rng):
    pandas = pytest.importorskip("pandas")
    a = pandas.DataFrame(rng.standard_normal((2, 3)), columns=list("uvw"))
    b = pandas.DataFrame(rng.standard_normal((3, 4)), index=list("uvw"))
    np.testing.assert_allclose(mf.linalg.einsum("ij,jk->ik", a, b), a.to_numpy() @ b.to_numpy())
    with pytest.raises(ValueError, match="labels of operand 1 are not those of operand 0"):
        mf.linalg.einsum("ij,jk->ik", a, b[::-1])
    np.testing.assert_allclose(mf.linalg.einsum("ij,jk->ik", a, b[::-1].to_numpy()), a.to_numpy() @ b[::-1].to_numpy())
