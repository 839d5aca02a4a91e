"""Points in Dask arrays: lazy, and the bits of one call."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mmlfast.autodiff import derivative, grad, hessian, jacobian, trace, value_and_grad

da = pytest.importorskip("dask.array")

X = np.random.default_rng(3).standard_normal((101, 4))


def f(v: Any, scale: Any = 1.0) -> Any:
    return scale * np.sum(np.sin(v[1:]) * v[:-1] ** 2)


def lengths(v: Any) -> Any:
    return np.stack([np.sum(v), np.sum(v**2)])


@pytest.mark.parametrize("chunks", [(101, 4), (7, 4), (50, 3)])
@pytest.mark.parametrize(
    "of", [grad(f), hessian(f), jacobian(lengths), trace(f, X[0]), trace(lengths, X[0]), grad(trace(f, X[0]))]
)
def test_lazy_with_the_bits_of_one_call(chunks: tuple[int, int], of: Any) -> None:
    lazy = of.batch(da.from_array(X, chunks=chunks))
    expected = of.batch(X)
    assert isinstance(lazy, da.Array)
    assert lazy.shape == expected.shape
    assert lazy.dtype == expected.dtype
    np.testing.assert_array_equal(lazy.compute(scheduler="threads"), expected)


def test_nothing_is_computed_before_it_is_asked_for() -> None:
    seen = []

    def chunk(block: Any) -> Any:
        seen.append(block.shape)
        return block

    lazy = grad(f).batch(da.from_array(X, chunks=(50, 4)).map_blocks(chunk, meta=np.empty((0, 0)), dtype=X.dtype))
    assert not seen
    lazy.compute()
    assert len(seen) == 3


def test_parameters_and_float32() -> None:
    lazy = grad(f).batch(da.from_array(X, chunks=(50, 4)), 2.5)
    np.testing.assert_array_equal(lazy.compute(), grad(f).batch(X, 2.5))
    single = grad(f).batch(da.from_array(X.astype(np.float32), chunks=(50, 4)))
    assert single.dtype == np.float32
    np.testing.assert_array_equal(single.compute(), grad(f).batch(X.astype(np.float32)))


def test_several_leading_axes_of_a_function() -> None:
    points = X[:100].reshape(4, 25, 4)
    lazy = trace(lengths, X[0]).batch(da.from_array(points, chunks=(2, 10, 2)))
    np.testing.assert_array_equal(lazy.compute(), trace(lengths, X[0]).batch(points))


def test_several_results_are_several_lazy_arrays() -> None:
    lazy = value_and_grad(f).batch(da.from_array(X, chunks=(50, 3)))
    for part, expected in zip(lazy, value_and_grad(f).batch(X), strict=True):
        assert isinstance(part, da.Array)
        assert part.dtype == np.float64
        np.testing.assert_array_equal(part.compute(), expected)


def test_results_that_are_no_array_are_refused() -> None:
    points = da.from_array(X, chunks=(50, 4))
    with pytest.raises(TypeError, match="no array of numbers"):
        hessian(f, sparse=True).batch(points)
    with pytest.raises(TypeError, match="Dask array"):
        derivative(np.sin, points)
