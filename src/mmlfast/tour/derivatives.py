"""Step: the slope of a function, by rise over run, by a complex step and by the chain rule; and of a likelihood.

Rise over run has two errors: the curve bends over a long step, and the difference of two nearly equal numbers has few
digits over a short one. Against the step, the error is a V; the best step leaves half of the digits. The chain rule has
no step. The likelihood is that of a logistic regression on the Wisconsin breast cancer data, which come with
scikit-learn (W. N. Street et al., Nuclear feature extraction for breast tumor diagnosis, SPIE 1905 (1993) 861).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy.optimize import approx_fprime
from sklearn.datasets import load_breast_cancer

import mmlfast as mf
from mmlfast.tour._frame import Tour

Array = np.ndarray[Any, Any]

_U = float(np.finfo(np.float64).eps) / 2
_AT = 1.5


def run(tour: Tour) -> None:
    tour.say("rise over run")
    errors = _errors_by_step()
    exact = _slope(_AT)
    tour.check(
        "slope of exp(sin 3 x) / x by the chain rule",
        error=abs(mf.autodiff.derivative(_curve, _AT) - exact) / abs(exact),
        limit=20 * _U,
    )
    tour.say("a likelihood")
    x, y = load_breast_cancer(return_X_y=True)
    x = (x - x.mean(axis=0)) / x.std(axis=0)

    def loss(w: Array) -> Any:
        z = x @ w[1:] + w[0]
        return np.sum(np.logaddexp(0, z) - y * z) + np.sum(w[1:] ** 2) / 2

    w = np.full(x.shape[1] + 1, 0.1)
    gradient = mf.autodiff.grad(loss)
    weight = 1 / (1 + np.exp(-(x @ w[1:] + w[0])))
    rows = np.column_stack([np.ones(len(x)), x])
    penalty = np.append(0, np.ones(x.shape[1]))
    formula = rows.T @ (weight - y) + penalty * w
    tour.check(
        f"gradient of a logistic likelihood, {x.shape[0]} patients, {len(w)} weights",
        error=float(np.abs(gradient(w) - formula).max() / np.abs(formula).max()),
        limit=1000 * _U,
        times=tour.race(lambda: gradient(w), lambda: approx_fprime(w, loss), peer="scipy approx_fprime"),
    )
    curvature = mf.autodiff.hessian(loss)
    second = (rows * (weight * (1 - weight))[:, np.newaxis]).T @ rows + np.diag(penalty)
    tour.check(
        "its Hessian",
        error=float(np.abs(curvature(w) - second).max() / np.abs(second).max()),
        limit=1000 * _U,
    )
    _picture(tour, errors, _newton(gradient, curvature, np.zeros(len(w))))


def _curve(x: Any) -> Any:
    return np.exp(np.sin(3 * x)) / x


def _slope(x: float) -> float:
    return float(np.exp(np.sin(3 * x)) * (3 * np.cos(3 * x) / x - 1 / x**2))


def _errors_by_step() -> dict[str, tuple[Array, Array]]:
    """Steps, and the relative errors of four ways to the slope."""
    steps = np.logspace(-16, 0, 129)
    exact = _slope(_AT)
    ways = {
        "(f(x + h) - f(x)) / h": (_curve(_AT + steps) - _curve(_AT)) / steps,
        "(f(x + h) - f(x - h)) / 2 h": (_curve(_AT + steps) - _curve(_AT - steps)) / (2 * steps),
        "Im f(x + i h) / h": _curve(_AT + 1j * steps).imag / steps,
        "chain rule: no step": np.full(len(steps), mf.autodiff.derivative(_curve, _AT)),
    }
    return {name: (steps, np.abs(slope - exact) / abs(exact)) for name, slope in ways.items()}


def _newton(gradient: Any, curvature: Any, w: Array) -> list[float]:
    """How long the gradient is after each step of Newton's method: derivatives that are right make it quadratic."""
    lengths = []
    for _ in range(10):
        g = gradient(w)
        lengths.append(float(np.linalg.norm(g)))
        w = w - mf.linalg.solve(curvature(w), g)
    return lengths


def _picture(tour: Tour, errors: dict[str, tuple[Array, Array]], lengths: list[float]) -> None:
    figure = Figure(figsize=(12, 5), layout="constrained")
    figure.suptitle("Rise over run has a best step, and the chain rule needs none", fontsize=14)
    left, right = figure.subplots(1, 2)
    for (name, (steps, error)), line in zip(errors.items(), ("-", "--", ":", "-."), strict=True):
        left.loglog(steps, np.maximum(error, _U / 10), line, label=name)
    left.axhline(_U, color="gray", linewidth=0.6)
    left.annotate("rounding of one operation", (1e-5, _U / 8), color="gray")
    left.set_xlabel("step h")
    left.set_ylabel("relative error of the slope")
    left.set_title("slope of exp(sin 3x) / x at 1.5")
    left.legend()
    right.semilogy(lengths, "o-")
    right.set_xlabel("Newton steps")
    right.set_ylabel("length of the gradient")
    right.set_title("a logistic regression on 569 patients, by exact Hessians")
    tour.save(figure, "derivatives")
