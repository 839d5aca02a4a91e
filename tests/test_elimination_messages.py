"""What solve, inv, det and their like say when they fail; and that units of the data change no digit."""

from __future__ import annotations

import re

import numpy as np
import pytest
from cases import every_dtype, same_bits

import mmlfast as mf

# ---- messages ----


def test_a_stack_of_vectors_is_told_how():
    """Not the signature of a gufunc, but what to write."""
    a, b = np.eye(2) + np.ones((5, 2, 2)), np.ones((5, 2))
    with pytest.raises(ValueError, match=r"b has shape \(5, 2\).* b\[\.\.\., None\]"):
        mf.linalg.solve(a, b)
    assert mf.linalg.solve(a, b[..., None])[..., 0].shape == b.shape


@pytest.mark.parametrize(
    ("function", "arguments", "options", "error", "words"),
    [
        ("solve", (np.eye(3), np.ones(4)), {}, ValueError, "b has 4 numbers (last dimension), where a has 3 rows"),
        ("solve", (np.eye(3), np.ones((4, 2))), {}, ValueError, "b has 4 rows, where a has 3 rows"),
        ("solve", (np.eye(3), 1.0), {}, ValueError, "b must be a vector or matrices"),
        ("solve", (np.ones((4, 3, 3)), np.ones((2, 3, 1))), {}, ValueError, "(4,) of a and (2,) of b do not broadcast"),
        ("solve", (np.eye(3), np.ones(3)), {"out": np.empty(4)}, ValueError, "out has 4 numbers"),
        ("solve", (np.eye(3), np.ones(3)), {"out": np.empty(3, int)}, TypeError, "out holds int64"),
        ("solve", (np.eye(3), np.ones(3)), {"out": [0.0] * 3}, TypeError, "out must be a NumPy array"),
        ("inv", (np.eye(3),), {"out": np.empty((2, 2))}, ValueError, "out has 2 rows, where a has 3 rows"),
        ("inv", (np.eye(3),), {"out": np.empty(3)}, ValueError, "out must have at least 2 dimensions, and has 1"),
        ("inv", (np.eye(3),), {"out": np.broadcast_to(1.0, (3, 3))}, ValueError, "out is read-only"),
        ("det", (np.ones((3, 2, 2)),), {"out": np.empty(2)}, ValueError, "(3,) of a and (2,) of out"),
        ("inv", (np.ones((2, 2)),), {}, np.linalg.LinAlgError, "a of shape (2, 2)"),
        ("solve", (np.ones((4, 2, 2)), np.ones(2)), {}, np.linalg.LinAlgError, "a of shape (4, 2, 2): Singular matrix"),
        ("inv", (np.eye(2),), {"errors": "ignore"}, ValueError, "errors must be 'raise' or 'nan', got 'ignore'"),
        ("lu", (np.ones(3),), {}, np.linalg.LinAlgError, "a must be a matrix or a stack of matrices, got shape (3,)"),
        ("det", (np.ones((2, 3)),), {}, np.linalg.LinAlgError, "a must be equal, got shape (2, 3)"),
        ("slogdet", (3.0,), {}, np.linalg.LinAlgError, "got shape ()"),
    ],
)
def test_messages_name_the_argument(function, arguments, options, error, words):
    with pytest.raises(error, match=re.escape(words)) as caught:
        getattr(mf.linalg, function)(*arguments, **options)
    assert "gufunc" not in str(caught.value)
    assert "errors must" in words or str(caught.value).startswith(f"{function}: ")


def test_the_singular_item_is_named_when_out_was_the_operand():
    a = np.stack([np.eye(3), np.ones((3, 3)), np.eye(3)])
    with pytest.raises(np.linalg.LinAlgError, match=r"batch index \(1,\), 1 of 3"):
        mf.linalg.inv(a, out=a)
    a = np.stack([np.eye(3), np.ones((3, 3)), np.eye(3)])
    with pytest.raises(np.linalg.LinAlgError, match=r"batch index \(1,\), 1 of 3"):
        mf.linalg.solve(a, np.eye(3), out=a)


def test_labels_of_the_rows_must_agree():
    pd = pytest.importorskip("pandas")
    a = pd.DataFrame([[2.0, 0.0], [0.0, 4.0]], index=["u", "v"], columns=["x", "y"])
    b = pd.Series([2.0, 4.0], index=["u", "v"])
    assert mf.linalg.solve(a, b).tolist() == [1, 1]
    for other in (b[::-1], b.to_frame()[::-1]):
        with pytest.raises(ValueError, match="the labels of b are not those of a"):
            mf.linalg.solve(a, other)
        np.testing.assert_array_equal(np.ravel(mf.linalg.solve(a, other.to_numpy())), [2, 0.5])


# ---- units ----


@every_dtype
@pytest.mark.parametrize("n", [1, 2, 3, 5, 8, 9, 17, 33])
def test_the_unit_of_the_data_does_not_matter(n, dtype, rng):
    """Powers of two on a, on b and on each unknown: the same digits, wherever the answer can be represented."""
    u, reach = float(np.finfo(dtype).eps) / 2, 1000 if dtype == np.float64 else 112
    a = (rng.standard_normal((n, n)) + 2 * np.eye(n)).astype(dtype)
    b = rng.standard_normal((n, 2)).astype(dtype)
    x, inverse = mf.linalg.solve(a, b), mf.linalg.inv(a)
    many = mf.linalg.solve(np.stack([a] * 3), b)
    units = rng.integers(-reach // 4, reach // 4, n)
    with np.errstate(all="ignore"):
        for power in (-reach, -reach // 2, -7, 7, reach // 2, reach):
            scaled = np.ldexp(a, power)
            same_bits(mf.linalg.solve(scaled, np.ldexp(b, power)), x)
            for found, wanted in (
                (mf.linalg.solve(scaled, b), np.ldexp(x, -power)),
                (mf.linalg.inv(scaled), np.ldexp(inverse, -power)),
                (mf.linalg.solve(np.stack([scaled] * 3), b), np.ldexp(many, -power)),
            ):
                within = np.abs(wanted) < np.finfo(dtype).max / 4
                room = np.finfo(dtype).smallest_normal + 8 * u * np.abs(wanted)
                assert (np.abs(found - wanted) <= room)[within].all()
        for found, wanted in (
            (mf.linalg.solve(np.ldexp(a, units), b), x),
            (mf.linalg.inv(np.ldexp(a, units)), inverse),
        ):
            found = np.ldexp(found, units[:, None])
            same_bits(found, wanted)
