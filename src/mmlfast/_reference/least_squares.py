"""Least squares by Levenberg and Marquardt's method with Moré's scaling, within bounds, for robust losses.

minimises 1/2 sum rho(r_i(p)^2) over lower <= p <= upper. Steps are those of columns scaled to length one: units of the
parameters do not matter. Parameters at a bound that the gradient pushes against stay there for a step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]

EPS = float(np.finfo(np.float64).eps)


class CallableResiduals:
    """Residuals by functions: fun(p) -> (m,), jac(p) -> (m, n)."""

    def __init__(self, fun: Callable[[Array], Array], jac: Callable[[Array], Array], m: int) -> None:
        self.residuals, self.jacobian, self.m = fun, jac, m


class Minimum(NamedTuple):
    x: Array
    residuals: Array  # not scaled by the loss
    r: Array  # of the QR with pivoting of the Jacobian, scaled by the loss
    permutation: Array  # column k of r is that of parameter permutation[k]
    rank: int
    condition: float  # of the Jacobian with columns of length one
    cost: float
    status: int  # 0: too many evaluations, 1: gradient, 2: cost, 3: step, -1: not finite at the start
    n_evaluations: int
    n_jacobians: int
    active: Array  # -1, 0, 1: at the lower bound, free, at the upper bound
    optimality: float  # largest cosine of the residuals and a column


def robust(loss: str, z: Array) -> tuple[Array, Array, Array]:
    """rho(z) and its first two derivatives, as SciPy defines them."""
    if loss == "linear":
        return z, np.ones_like(z), np.zeros_like(z)
    if loss == "huber":
        far = z > 1
        root = np.sqrt(np.where(far, z, 1))
        return np.where(far, 2 * root - 1, z), 1 / root, np.where(far, -0.5 / root**3, 0)
    if loss == "soft_l1":
        t = 1 + z
        return 2 * (t**0.5 - 1), t**-0.5, -0.5 * t**-1.5
    if loss == "cauchy":
        return np.log1p(z), 1 / (1 + z), -1 / (1 + z) ** 2
    raise ValueError(loss)


def scaled_by_loss(
    loss: str, scale: float, r: Array, j: Array | None, at_the_end: bool = False
) -> tuple[float, Array, Array | None]:
    """The cost, and residuals and Jacobian of which J'r and J'J are its gradient and its Hessian (Triggs).

    A curvature that is small or negative is a hundredth of the slope during the search, nothing at the end.
    """
    rho, first, second = robust(loss, (r / scale) ** 2)
    cost = 0.5 * scale**2 * float(np.sum(rho))
    curvature = np.maximum(first + 2 * second * (r / scale) ** 2, EPS if at_the_end else 0.01 * first)
    if loss == "linear" or j is None:
        return cost, r, j
    return cost, r * first / np.sqrt(curvature), j * np.sqrt(curvature)[:, None]


def minimize_squares(
    model: Any,
    p0: Array,
    lower: Array | None = None,
    upper: Array | None = None,
    loss: str = "linear",
    loss_scale: float = 1.0,
    ftol: float = 1e-15,
    xtol: float = 1e-15,
    gtol: float = 1e-13,
    max_evaluations: int = 1000,
) -> Minimum:
    n = len(p0)
    lower = np.full(n, -np.inf) if lower is None else lower
    upper = np.full(n, np.inf) if upper is None else upper
    p = np.clip(np.array(p0, float), lower, upper)
    raw = model.residuals(p)
    n_evaluations, n_jacobians, status = 1, 0, 0
    scale, damping, growth = np.zeros(n), 1e-3, 2.0
    if not np.all(np.isfinite(raw)):
        empty = np.zeros(n, int)
        return Minimum(p, raw, np.full((n, n), np.nan), empty, 0, np.inf, np.inf, -1, 1, 0, empty, np.inf)
    small_steps = 0
    while True:
        plain = model.jacobian(p)
        n_jacobians += 1
        cost, r, j = scaled_by_loss(loss, loss_scale, raw, plain)
        assert j is not None
        gradient, lengths = j.T @ r, np.linalg.norm(j, axis=0)
        scale = np.maximum(scale, lengths)
        active = np.where((p <= lower) & (gradient > 0), -1, np.where((p >= upper) & (gradient < 0), 1, 0))
        free = (active == 0) & (lengths > 0)
        cosines = np.abs(gradient[free]) / (lengths[free] * (np.linalg.norm(r) or 1.0))
        optimality = float(np.max(cosines, initial=0.0))
        if optimality <= gtol or cost == 0 or small_steps >= 3:
            status = 1 if optimality <= gtol or cost == 0 else 2
            break
        accepted = False
        while not accepted and n_evaluations < max_evaluations and damping < 1e20:
            trial = np.clip(p + damped_step(j, r, free, scale, damping), lower, upper)
            if np.all(np.abs(trial - p) <= EPS * np.abs(p)):
                status = 3
                break
            new = model.residuals(trial)
            n_evaluations += 1
            new_cost = scaled_by_loss(loss, loss_scale, new, None)[0] if np.all(np.isfinite(new)) else np.inf
            moved = j @ (trial - p)
            predicted = -(gradient @ (trial - p) + 0.5 * moved @ moved)
            ratio = (cost - new_cost) / predicted if predicted > 0 else -1.0
            if new_cost < cost:
                accepted = True
                small_steps = small_steps + 1 if cost - new_cost <= 1e-14 * cost else 0
                p, raw = trial, new
                damping *= max(1 / 3, 1 - (2 * ratio - 1) ** 3) if ratio > 0 else growth
                growth = 2.0
            else:
                damping *= growth
                growth *= 2
        if not accepted:
            status = 3 if damping >= 1e20 else status
            break
    j = scaled_by_loss(loss, loss_scale, raw, plain, True)[2]
    assert j is not None
    lengths = np.linalg.norm(j, axis=0)
    scaled = j / np.where(lengths > 0, lengths, 1)
    r_factor, permutation = qr_with_pivoting(j, lengths)
    s = np.linalg.svd(scaled, compute_uv=False)
    rank = int(np.sum(s > max(j.shape) * EPS * s[0])) if s.size else 0
    condition = float(s[0] / s[-1]) if rank == n else np.inf
    return Minimum(
        p, raw, r_factor, permutation, rank, condition, cost, status, n_evaluations, n_jacobians, active, optimality
    )


def damped_step(j: Array, r: Array, free: Array, scale: Array, damping: float) -> Array:
    d, step = scale[free], np.zeros(len(free))
    stacked = np.concatenate([j[:, free] / d, np.sqrt(damping) * np.eye(len(d))])
    step[free] = np.linalg.lstsq(stacked, np.concatenate([-r, np.zeros(len(d))]), rcond=None)[0] / d
    return step


def qr_with_pivoting(j: Array, lengths: Array) -> tuple[Array, Array]:
    """R of a QR whose columns are taken in the order of what is left of them, all scaled to length one."""
    n = j.shape[1]
    left = j / np.where(lengths > 0, lengths, 1)
    order: list[int] = []
    for _ in range(n):
        size = np.linalg.norm(left, axis=0)
        size[order] = -1.0
        k = int(np.argmax(size))
        order.append(k)
        if size[k] > 0:
            q = left[:, k] / size[k]
            left = left - np.outer(q, q @ left)
    padded = np.concatenate([j[:, order], np.zeros((max(0, n - len(j)), n))])
    return np.asarray(np.linalg.qr(padded, mode="r")), np.array(order)
