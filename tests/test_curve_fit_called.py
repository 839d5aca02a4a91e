"""Models that cannot be traced: how near the search comes by differences, and how often it calls them."""

from __future__ import annotations

import numpy as np
import pytest

from mmlfast.optimize import curve_fit


def hill(x, a, k, n):
    return a * x**n / (k**n + x**n)


def decay(x, a, b, c):
    return a * np.exp(-b * x) + c


def line(x, a, b):
    return a * x + b


def fitted(f, x, y, p0):
    """(largest error over the standard error, calls) of the fit by calls; the other fit is by exact derivatives."""
    calls = []

    def called(x, *p):
        calls.append(p)
        return f(x, *(float(v) for v in p))

    right = curve_fit(f, x, y, p0)
    found = curve_fit(called, x, y, p0)
    assert found.derivatives == "finite differences"
    return float(np.max(np.abs(found.params - right.params) / right.standard_errors)), len(calls)


@pytest.mark.parametrize("noise", [0.2, 1e-2, 1e-4, 1e-7])
def test_parameters_are_right_to_far_below_their_errors(rng, noise):
    x = np.linspace(0.0, 4, 60)
    for f, p in ((decay, (2.5, 1.3, 0.5)), (hill, (2.5, 1.4, 2.0)), (line, (2.0, -1.0))):
        y = f(x, *p) + noise * rng.standard_normal(60)
        off, calls = fitted(f, x, y, [0.8 * p[0], *p[1:]])
        # What roundings of the model leave is a greater part of the errors the smaller these are.
        assert off <= 1e-5 + 1e-10 / noise, (f.__name__, off)
        assert calls <= 12 + 12 * len(p), (f.__name__, calls)


def test_a_line_takes_one_step():
    x = np.arange(30.0)
    off, calls = fitted(line, x, 2 * x + 1 + np.cos(1.7 * x**2), [1.0, 0.0])
    assert off <= 1e-6
    assert calls <= 8  # two at the start, of which one shows that the model repeats itself, and two times two slopes


def test_slow_steps_do_not_end_early():
    """Where residuals bend as much as the model, each step leaves a tenth of the way: kept derivatives would settle
    somewhere else."""
    rng = np.random.default_rng(18)
    p = np.array([rng.uniform(1, 4), rng.uniform(1, 2), rng.uniform(1, 3)])
    x = np.linspace(0.0, 4, int(rng.integers(12, 200)))
    y = hill(x, *p) + 10 ** rng.uniform(-4, -0.7) * rng.standard_normal(x.size)
    off, calls = fitted(hill, x, y, p * (1 + 0.3 * rng.uniform(-1, 1, 3)))
    assert off <= 1e-4
    assert calls <= 45
