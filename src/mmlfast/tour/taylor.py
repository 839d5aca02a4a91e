"""Step: Taylor polynomials of order 0 to 30, and where they stop to help.

The coefficients of functions whose series are known; the period of a pendulum as a series in its amplitude, which comes
out of a program (the arithmetic-geometric mean) rather than out of a formula; the error of a straight line.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy.interpolate import KroghInterpolator
from scipy.special import factorial

import mmlfast as mf
from mmlfast.tour._frame import Tour

Array = np.ndarray[Any, Any]

_U = float(np.finfo(np.float64).eps) / 2
_ORDER = 30
# Of the period in powers of the squared amplitude (Gauss 1799).
_PERIOD = [Fraction(1), Fraction(1, 16), Fraction(11, 3072), Fraction(173, 737280), Fraction(22931, 1321205760)]


def run(tour: Tour) -> None:
    tour.say("series that are known")
    k = np.arange(_ORDER + 1)
    alternating = np.where(k % 2 == 0, -1.0, 1.0)
    known = {
        "log(1 + t)": (lambda t: np.log(1 + t), alternating / np.maximum(k, 1) * (k > 0)),
        "1 / (1 + t^2)": (lambda t: 1 / (1 + t**2), np.where(k % 2 == 0, (-1.0) ** (k // 2), 0)),
        "exp(-t)": (lambda t: np.exp(-t), np.cumprod(np.where(k == 0, 1.0, -1.0 / np.maximum(k, 1)))),
    }
    error = max(
        float(np.max(np.abs(mf.autodiff.taylor(f, 0.0, _ORDER) - c) / np.where(c == 0, 1, np.abs(c))))
        for f, c in known.values()
    )
    f = known["log(1 + t)"][0]
    times = tour.race(
        lambda: mf.autodiff.taylor(f, 0.0, 15),
        lambda: _by_interpolation(f, 15),
        peer="scipy KroghInterpolator, two digits" if _scipy_is_off(f) else "scipy",
    )
    tour.check(f"coefficients of {', '.join(known)} to order {_ORDER}", error=error, limit=20 * _U, times=times)

    tour.say("a pendulum")
    c = mf.autodiff.taylor(_period, 0.0, 8)
    expected = np.array([float(x) for x in _PERIOD])
    odd = float(np.abs(c[1::2]).max())
    tour.check(
        "period of a pendulum to the 8th power of its amplitude",
        error=max(float(np.max(np.abs(c[::2] - expected) / expected)), odd),
        limit=20 * _U,
    )

    tour.say("the error of a line")
    line = mf.autodiff.linearize(np.sin, 1.0)
    x = np.linspace(-1, 3, 101)
    beyond = max(float(abs(np.sin(t) - line(t)) - line.error_bound(t)) for t in x)
    tour.check("the line at 1 beside sin: how far its error passes Lagrange's bound", error=beyond, limit=10 * _U)
    _picture(tour, known)


def _by_interpolation(f: Any, order: int) -> Array:
    """What SciPy's approximate_taylor_polynomial computes, which SciPy 1.18 deprecates."""
    x = 0.5 * np.cos(np.linspace(0, np.pi, order + 1, endpoint=False))
    found: Array = KroghInterpolator(x, f(x)).derivatives(0.0, order + 1) / factorial(np.arange(order + 1))
    return found


def _scipy_is_off(f: Any) -> bool:
    return bool(abs(_by_interpolation(f, 15)[15] * 15 - 1) > 1e-3)


def _period(amplitude: Any) -> Any:
    """In periods of small swings: 1 / agm(1, cos(amplitude / 2))."""
    a, b = 1.0, np.cos(amplitude / 2)
    for _ in range(5):
        a, b = (a + b) / 2, np.sqrt(a * b)
    return 1 / a


def _picture(tour: Tour, known: dict[str, Any]) -> None:
    figure = Figure(figsize=(13, 9), layout="constrained")
    figure.suptitle("Taylor polynomials of order 0 to 30", fontsize=14)
    axes = figure.subplots(2, 2)
    colours = [
        "#" + "".join(f"{int(255 * v):02x}" for v in (0.85 * (1 - s), 0.75 - 0.45 * s, 0.95 - 0.35 * s))
        for s in np.linspace(0, 1, 31)
    ]
    for panel, (name, x0, radius, low, high) in zip(
        axes[0], [("log(1 + t)", 0.0, 1.0, -3, 2), ("1 / (1 + t^2)", 0.0, 1.0, -0.5, 1.5)], strict=True
    ):
        f = known[name][0]
        t = np.linspace(-2, 2, 801)
        c = mf.autodiff.taylor(f, x0, _ORDER)
        for order in (0, 1, 2, 3, 4, 5, 8, 12, 20, 30):
            panel.plot(t, np.polynomial.polynomial.polyval(t, c[: order + 1]), color=colours[order], linewidth=1)
        inside = t > -1 if name.startswith("log") else np.ones(len(t), bool)
        panel.plot(t[inside], f(t[inside]), color="black", linewidth=2, label=name)
        panel.axvspan(-radius, radius, color="gold", alpha=0.2, label="within the radius")
        panel.set_ylim(low, high)
        panel.set_xlabel("t")
        panel.legend(loc="lower right")
    _errors(axes[1, 0], known["1 / (1 + t^2)"][0])
    a = np.linspace(0, 3.0, 301)
    c = mf.autodiff.taylor(_period, 0.0, 8)
    for order in (0, 2, 4, 8):
        axes[1, 1].plot(np.degrees(a), np.polynomial.polynomial.polyval(a, c[: order + 1]), label=f"order {order}")
    axes[1, 1].plot(np.degrees(a), _period(a), color="black", linewidth=2, label="exact")
    axes[1, 1].set_xlabel("amplitude of a pendulum in degrees")
    axes[1, 1].set_ylabel("period")
    axes[1, 1].legend()
    tour.save(figure, "taylor")


def _errors(axes: Any, f: Any) -> None:
    """How the error changes with the order, at places within and beyond the radius."""
    c = mf.autodiff.taylor(f, 0.0, _ORDER)
    orders = np.arange(0, _ORDER + 1, 2)
    for t in (0.3, 0.6, 0.9, 1.0, 1.1, 1.3):
        errors = [abs(np.polynomial.polynomial.polyval(t, c[: order + 1]) - f(t)) for order in orders]
        axes.semilogy(orders, np.maximum(errors, _U), "o-", markersize=3, label=f"t = {t}")
    axes.set_xlabel("order")
    axes.set_ylabel("error")
    axes.set_title("1 / (1 + t^2): within the radius each order helps, beyond it each one hurts")
    axes.legend()
