"""Kinds of stationary points, whatever the units."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from mmlfast.optimize import classify_stationary_point


@pytest.mark.parametrize("scale", [1e-150, 1.0, 1e140])
@pytest.mark.parametrize(
    ("f", "kind"),
    [
        (lambda v: v[0] ** 2 + 3 * v[1] ** 2, "minimum"),
        (lambda v: -(v[0] ** 2) - 3 * v[1] ** 2 + v[0] * v[1], "maximum"),
        (lambda v: v[0] * v[1], "saddle"),
        (lambda v: v[0] ** 2 - 1e-12 * v[1] ** 2, "saddle"),
        (lambda v: v[0] ** 2, "degenerate"),
        (lambda v: v[0] ** 2 + v[1] ** 4, "degenerate"),
    ],
)
def test_kinds(f, kind, scale):
    found = classify_stationary_point(lambda v: f(v / scale), np.zeros(2))
    assert found.kind == kind
    assert str(found).startswith(kind)


@pytest.mark.parametrize(
    ("f", "kind"),
    [
        (lambda t: t**4, "minimum"),
        (lambda t: -(t**6), "maximum"),
        (lambda t: t**3, "saddle"),
        (lambda t: np.cos(t) - 1 + t**2 / 2, "minimum"),
        (lambda t: 0 * t, "degenerate"),
    ],
)
def test_of_one_variable_higher_derivatives_decide(f, kind):
    assert classify_stationary_point(f, 0.0).kind == kind


def test_not_stationary():
    found = classify_stationary_point(lambda v: np.sum((v - 1) ** 2), [1.0, 1.5])
    assert found.kind == "not stationary"
    assert_allclose(found.distance, [0, -0.5])
    near = classify_stationary_point(lambda v: np.sum((v - 1) ** 2), [1.0, 1 + 1e-9])
    assert near.kind == "minimum"


def test_eigenvalues_are_those_of_the_hessian():
    found = classify_stationary_point(lambda v: 2 * v[0] ** 2 - v[0] * v[1], [0.0, 0.0])
    assert_allclose(found.eigenvalues, np.linalg.eigvalsh([[4, -1], [-1, 0]]))
    assert found.derivatives == "exact"


def test_plain_functions_and_given_hessians():
    found = classify_stationary_point(lambda v: float(v[0]) ** 2 + 3 * float(v[1]) ** 2, [0.0, 0.0])
    assert found.kind == "minimum"
    assert found.derivatives == "finite differences"
    given = classify_stationary_point(lambda v: np.sum(v**2), [0.0, 0.0], hess=lambda v: 2 * np.eye(2))
    assert (given.kind, given.derivatives) == ("minimum", "given")
    with pytest.warns(UserWarning, match="hess is not"):
        classify_stationary_point(lambda v: np.sum(v**2), [0.0, 0.0], hess=lambda v: np.eye(2))


def test_bad_arguments():
    with pytest.raises(ValueError, match="one number"):
        classify_stationary_point(lambda v: v, [0.0, 0.0])
    with pytest.raises(ValueError, match="not finite"):
        classify_stationary_point(lambda v: np.log(v[0]), [-1.0])


def test_a_slope_without_curvature_is_not_stationary_at_zero():
    assert classify_stationary_point(lambda v: v[0] + 0 * v[1], [0.0, 0.0]).kind == "not stationary"
    assert classify_stationary_point(lambda x: 2 * x, 0.0).kind == "not stationary"
    assert classify_stationary_point(lambda v: v[0] ** 2 + 0 * v[1], [0.0, 0.0]).kind == "degenerate"
