"""Stationary points under equations without curvature in some direction: f to both sides says what they are."""

from __future__ import annotations

import pytest

from mmlfast.optimize import lagrange, minimize

CASES = {
    "cubic": (lambda v: v[0] ** 3 + v[1] ** 2, lambda v: v[1], [1.0, 0.5], "saddle"),
    "cubic elsewhere": (lambda v: (v[0] - 1) ** 3 + v[1], lambda v: v[1] - 1, [2.0, 0.5], "saddle"),
    "fifth power": (lambda v: v[0] ** 5 + v[1] ** 2, lambda v: v[1] - 1, [1.0, 0.5], "saddle"),
    "beside a bowl": (
        lambda v: v[0] ** 3 + v[1] ** 2 + (v[2] - 1) ** 2,
        lambda v: v[1] - 0.3,
        [1.0, 0.5, 3.0],
        "saddle",
    ),
    "the constraint bends": (lambda v: v[1], lambda v: v[1] - v[0] ** 3, [1.0, 1.0], "saddle"),
    "the constraint is a valley": (lambda v: v[1], lambda v: v[1] - v[0] ** 4, [1.0, 1.0], "minimum"),
    "quartic": (lambda v: v[0] ** 4 + v[1] ** 2, lambda v: v[1] - 1, [1.0, 0.5], "minimum"),
    "quartic beside a bowl": (lambda v: v[0] ** 2 + v[1] ** 4, lambda v: v[2], [1.0, 0.6, 0.3], "minimum"),
    "upside down": (lambda v: -(v[0] ** 4) + v[1] ** 2, lambda v: v[1] - 1, [0.0, 0.5], "maximum"),
    "two signs": (lambda v: v[0] ** 2 - v[1] ** 4, lambda v: v[2], [1.0, 0.0, 0.3], "saddle"),
    # Peano's: a minimum along each line, and none along a parabola.
    "parabolas": (
        lambda v: (v[1] - v[0] ** 2) * (v[1] - 3 * v[0] ** 2),
        lambda v: v[2],
        [0.0, 0.0, 0.3],
        "saddle",
    ),
    "a line of minima": (lambda v: v[0] ** 2, lambda v: v[2], [1.0, 0.6, 0.3], "degenerate"),
}


@pytest.mark.parametrize("name", CASES)
def test_higher_derivatives_decide(name):
    f, c, x0, kind = CASES[name]
    r = lagrange(f, c, x0)
    assert r.success
    assert r.kind == kind, r.message
    m = minimize(f, x0, constraints=c)
    assert m.kind == kind
    assert m.success == (kind in ("minimum", "degenerate")), m.message


def test_units_do_not_decide():
    for unit in (1e-6, 1e6):
        r = lagrange(lambda v, u=unit: (v[0] * u) ** 3 + v[1] ** 2, lambda v: v[1], [1 / unit, 0.5])
        assert r.kind == "saddle"
        r = lagrange(lambda v, u=unit: u * ((v[0] - 2) ** 2 + v[1] ** 2), lambda v: v[0] + v[1] - 1, [0.0, 0.0])
        assert r.kind == "minimum"
        assert r.message == "minimum: all curvatures along the constraints are positive."
