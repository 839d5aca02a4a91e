"""Curves and points that tests of fits share, and fits that are right or told."""

import functools

import numpy as np
from numpy.testing import assert_allclose

from mmlfast.optimize import curve_fit


def waves(n):
    """Something like noise."""
    return np.cos(1.7 * np.arange(n) ** 2)


def decay(t, a, tau):
    return a * np.exp(-t / tau)


def decay3(x, a, b, c):
    return a * np.exp(-b * x) + c


def bell(x, a, m, s, c):
    return a * np.exp(-0.5 * ((x - m) / s) ** 2) + c


def line(x, a, b):
    return a * x + b


T = np.linspace(0, 5, 20)
Y = 2 * np.exp(-T / 1.5) + 0.02 * waves(20)
RIGHT = [2.005600, 1.502395]


def called(f):
    """The same model in a way that cannot be traced."""

    @functools.wraps(f)
    def plain(x, *p):
        return f(x, *map(float, p))

    return plain


def close(found, right, rtol=2e-6):
    assert_allclose(found, right, rtol=rtol)


def right_or_asks_for_a_start(f, x, y, right):
    """Without p0."""
    try:
        found = curve_fit(f, x, y)[0]
    except RuntimeError as error:
        message = str(error)
    else:
        return close(found, right)
    assert "p0" in message


def errors_of(fit):
    return np.sqrt(np.diag(fit[1]))
