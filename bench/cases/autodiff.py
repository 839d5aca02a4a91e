"""Gradients at one point, called from Python: every day's call, the first call, and the three algorithms of cmpad.

A function is written once, for everything that has NumPy's names: `make(names)` gives the function for one library.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np

from bench.harness import Case, Faster, Goal, Job, Setup, Within
from mmlfast import autodiff

Array = np.ndarray[Any, Any]
Make = Callable[[Any], Callable[[Any], Any]]

ERROR = "largest difference / largest entry of the gradient"
LIMIT = 1e-12

# ---- functions: variables along the first axis, so that more axes can be points ----


def rosenbrock(names: Any) -> Callable[[Any], Any]:
    def f(x: Any) -> Any:
        return names.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2, axis=0)

    return f


def damped(names: Any) -> Callable[[Any], Any]:
    """Of one variable."""

    def f(t: Any) -> Any:
        return names.exp(-0.5 * t) * names.sin(3.0 * t)

    return f


def an_ode(n: int, steps: int, names: Any) -> Callable[[Any], Any]:
    """cmpad's: the last of y' = (x_0, x_1 y_0, x_2 y_1, ...) at t = 2, by Runge and Kutta's method."""
    zero = names.asarray(np.zeros(n))
    h = 2.0 / steps

    def f(x: Any) -> Any:
        def slope(y: Any) -> Any:
            return names.concatenate([x[:1], x[1:] * y[:-1]])

        def step(y: Any) -> Any:
            k1 = slope(y)
            k2 = slope(y + h * k1 / 2.0)
            k3 = slope(y + h * k2 / 2.0)
            k4 = slope(y + h * k3)
            return y + h * (k1 + 2.0 * k2 + 2.0 * k3 + k4) / 6.0

        if hasattr(names, "repeat_step"):
            return names.repeat_step(step, zero, steps)[-1]
        y = zero
        for _ in range(steps):
            y = step(y)
        return y[-1]

    return f


def llsq_obj(n: int, points: int, names: Any) -> Callable[[Any], Any]:
    """cmpad's: a polynomial fitted to the signs of its argument, half the sum of the squared residuals."""
    argument = np.linspace(-1.0, 1.0, points)
    t, one, q = (names.asarray(a) for a in (argument, np.ones(points), np.sign(argument)))

    def f(x: Any) -> Any:
        model, power = x[0] * one, t
        for i in range(1, n):
            model = model + x[i] * power
            power = power * t
        return 0.5 * names.sum((model - q) ** 2, axis=0)

    return f


def det_by_minor(n: int, names: Any) -> Callable[[Any], Any]:
    """cmpad's: the determinant of an n x n matrix, row by row by its minors."""

    def minor(x: Any, row: int, columns: tuple[int, ...]) -> Any:
        if row == n - 1:
            return x[row * n + columns[0]]
        total = 0.0
        for k, column in enumerate(columns):
            term = x[row * n + column] * minor(x, row + 1, columns[:k] + columns[k + 1 :])
            total = total - term if k % 2 else total + term
        return total

    return lambda x: minor(x, 0, tuple(range(n)))


# ---- the right answer ----


def exact_gradient(f: Callable[[Any], Any], x: Array) -> Array:
    """By the complex step in extended precision, for x of shape (n,) or (n, points)."""
    step = np.longdouble(1e-200)
    wide = x.astype(np.clongdouble)
    slopes = np.empty(x.shape, np.longdouble)
    for i in range(len(x)):
        wide[i] += 1j * step
        slopes[i] = np.asarray(f(wide)).imag.reshape(x.shape[1:]) / step
        wide[i] = x[i]
    return slopes


def gradient_error(exact: Array, answer: Any) -> float:
    """The worst point of (points, n), or the one of (n,)."""
    found = np.asarray(answer[0] if isinstance(answer, tuple) else answer).reshape(exact.shape)
    size = np.maximum(np.abs(exact).max(axis=-1), np.finfo(np.float64).tiny)
    return float((np.abs(found - exact).max(axis=-1) / size).max())


# ---- peers ----


def casadi_names(casadi: Any) -> SimpleNamespace:
    """NumPy's names of what the functions use."""
    return SimpleNamespace(
        sum=lambda x, axis: casadi.sum1(x),
        concatenate=lambda parts: casadi.vertcat(*parts),
        asarray=casadi.DM,
        exp=casadi.exp,
        sin=casadi.sin,
    )


def jax_names(jax: Any) -> SimpleNamespace:
    """With a loop of its own: XLA takes minutes to compile some hundred steps written out."""
    return SimpleNamespace(
        sum=jax.numpy.sum,
        concatenate=jax.numpy.concatenate,
        asarray=jax.numpy.asarray,
        exp=jax.numpy.exp,
        sin=jax.numpy.sin,
        repeat_step=lambda step, y, n: jax.lax.fori_loop(0, n, lambda _, y: step(y), y),
    )


def casadi_gradient(casadi: Any, make: Make, n: int) -> Any:
    x = casadi.SX.sym("x", n)
    return casadi.Function("gradient", [x], [casadi.gradient(make(casadi_names(casadi))(x), x)])


def casadi_buffered(function: Any, x: Array, size: int) -> Callable[[], Array]:
    """Its fastest call: the memory of argument and result is fixed beforehand. A new array, as from everybody else."""
    memory, evaluate = function.buffer()
    argument, out = np.ascontiguousarray(x), np.zeros(size)
    memory.set_arg(0, argument.data)
    memory.set_res(0, out.data)

    def call(*alive: Any) -> Array:
        evaluate()
        return out.copy()

    return partial(call, function, memory, argument)  # which keeps nothing alive itself


def torch_gradient(torch: Any, f: Callable[[Any], Any], x: Array) -> Callable[[], Any]:
    variable = torch.from_numpy(x).requires_grad_(True)

    def call() -> Any:
        with torch.enable_grad():
            return torch.autograd.grad(f(variable), variable)

    return call


def add_peers(job: Job, make: Make, x: Array, setup: Setup) -> None:
    """The gradient at one point by everybody else; what compiles is compiled."""
    if jax := setup.library("jax"):
        job.jax("jax", jax.grad(make(jax_names(jax))), x)
    if casadi := setup.library("casadi"):
        function = casadi_gradient(casadi, make, x.size)
        job.peer("casadi call", function, x)
        job.peer("casadi buffer", casadi_buffered(function, x, x.size))
    if autograd := setup.library("autograd"):
        job.peer("autograd", autograd.grad(make(setup.library("autograd.numpy"))), x)
    if torch := setup.library("torch"):
        job.peer("torch", torch_gradient(torch, make(torch), x))
    if advect := setup.library("advect"):
        job.peer("advect staged", advect.stage(advect.grad(make(np)), x), x)


# ---- jobs ----


def gradient(make: Make, point: Callable[[np.random.Generator], Array], setup: Setup) -> Job:
    x, f = point(setup.rng), make(np)
    exact = exact_gradient(f, x)
    job = Job(partial(gradient_error, exact), ERROR, limit=LIMIT)
    job.ours(autodiff.grad(f), x)
    add_peers(job, make, x, setup)
    return job


def frozen_gradient(make: Make, point: Callable[[np.random.Generator], Array], setup: Setup) -> Job:
    """Of a `Function`, of which nothing can have changed."""
    job = gradient(make, point, setup)
    x = job.contestants[0].args[0]
    job.contestants[0].function = autodiff.grad(autodiff.trace(make(np), x))
    return job


def first_gradient(make: Make, point: Callable[[np.random.Generator], Array], setup: Setup) -> Job:
    """From a plain function to the first gradient: what has to be traced or compiled is, in every call."""
    x = point(setup.rng)
    job = Job(partial(gradient_error, exact_gradient(make(np), x)), ERROR, limit=LIMIT)
    job.ours(lambda: autodiff.grad(make(np))(x))
    if jax := setup.library("jax"):
        placed = jax.device_put(x)
        job.peer("jax", lambda: jax.block_until_ready(jax.jit(jax.grad(make(jax_names(jax))))(placed)))
    if casadi := setup.library("casadi"):
        job.peer("casadi", lambda: casadi_gradient(casadi, make, x.size)(x))
    if autograd := setup.library("autograd"):
        names = setup.library("autograd.numpy")
        job.peer("autograd", lambda: autograd.grad(make(names))(x))
    if torch := setup.library("torch"):
        job.peer("torch", lambda: torch_gradient(torch, make(torch), x)())
    if advect := setup.library("advect"):
        job.peer("advect", lambda: advect.stage(advect.grad(make(np)), x)(x))
    return job


def slope(setup: Setup) -> Job:
    """derivative(f, t) at a number."""
    t = 0.7
    job = Job(partial(gradient_error, exact_gradient(damped(np), np.array([t]))), ERROR, limit=LIMIT)
    job.ours(autodiff.derivative, damped(np), t)
    if jax := setup.library("jax"):
        job.jax("jax", jax.grad(damped(jax.numpy)), np.float64(t))
    if casadi := setup.library("casadi"):
        function = casadi_gradient(casadi, damped, 1)
        job.peer("casadi call", function, t)
        job.peer("casadi buffer", casadi_buffered(function, np.array([t]), 1))
    if autograd := setup.library("autograd"):
        job.peer("autograd", autograd.grad(damped(setup.library("autograd.numpy"))), t)
    if torch := setup.library("torch"):
        job.peer("torch", torch_gradient(torch, damped(torch), np.array(t)))
    if advect := setup.library("advect"):
        job.peer("advect staged", advect.stage(advect.grad(damped(np)), t), t)
    return job


def near_one(n: int, rng: np.random.Generator) -> Array:
    return rng.uniform(0.5, 1.5, n)


def case(name: str, title: str, make: Make, n: int, *goals: Goal, job: Any = gradient, slow: bool = False) -> Case:
    return Case(f"autodiff-{name}", title, partial(job, make, partial(near_one, n)), goals, slow)


ROSENBROCK_GOALS = {10: (Within(0.6e-6), Faster(5, "jax"), Faster(1))}

CASES = [
    *(
        case(
            f"gradient-rosenbrock-{n}",
            f"gradient of Rosenbrock's function, n = {n}, one call",
            rosenbrock,
            n,
            *ROSENBROCK_GOALS.get(n, (Faster(5, "jax"), Faster(1))),
            slow=n in (3, 5, 30, 300),
        )
        for n in (2, 3, 5, 10, 30, 100, 300, 1000)
    ),
    case(
        "gradient-traced",
        "the same, n = 10, of a traced Function",
        rosenbrock,
        10,
        *ROSENBROCK_GOALS[10],
        job=frozen_gradient,
    ),
    case(
        "gradient-first",
        "first gradient of Rosenbrock's function, n = 10: traced, compiled and called",
        rosenbrock,
        10,
        Within(0.3e-3),
        Faster(100, "jax"),
        job=first_gradient,
    ),
    Case("autodiff-derivative", "derivative of a function of one variable", slope, (Within(0.35e-6), Faster(1))),
    # Of this size y_99 and its gradient are zero: 36 slopes reach y_35. Who sees that does nothing.
    case(
        "an_ode-100x9",
        "gradient of cmpad's an_ode, 100 variables, 9 steps",
        partial(an_ode, 100, 9),
        100,
        Within(2.5e-6),
        Faster(20, "casadi call"),
    ),
    case(
        "an_ode-9x100",
        "gradient of cmpad's an_ode, 9 variables, 100 steps",
        partial(an_ode, 9, 100),
        9,
        Faster(1),
    ),
    case(
        "an_ode-first",
        "first gradient of cmpad's an_ode, 9 variables, 100 steps",
        partial(an_ode, 9, 100),
        9,
        Within(17e-3),  # a millisecond for 1000 operations
        Faster(1),
        job=first_gradient,
        slow=True,
    ),
    case(
        "llsq_obj-9x100",
        "gradient of cmpad's llsq_obj, 9 variables, 100 points",
        partial(llsq_obj, 9, 100),
        9,
        Faster(1),
    ),
    case(
        "det_by_minor-9",
        "gradient of cmpad's det_by_minor, 3 x 3",
        partial(det_by_minor, 3),
        9,
        Faster(1),
    ),
]
