"""
Exact derivatives of plain NumPy functions
==========================================

Gradients, Jacobians, Hessians, and the chain rule step by step.
"""

import matplotlib.pyplot as plt
import numpy as np

from mmlfast import autodiff


def rosen(x):
    return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


# %%
# Rise over run is right to half of the digits at best. The chain rule has no step.
x = np.array([-1.2, 1.0, 0.5])
exact = autodiff.grad(rosen)(x)
for h in (1e-2, 1e-5, 1e-8, 1e-12):
    run = np.array([(rosen(x + step) - rosen(x)) / h for step in h * np.eye(3)])
    print(f"rise over run, step {h:.0e}: off by {np.abs(run - exact).max():.0e}")
print(f"gradient by the chain rule: {exact.round(10)}")

# %%
# The rules: of sums, powers, products, and of a function of a function.
print(f"d/dt t^3 sin(2 t) at 1: {autodiff.derivative(lambda t: t**3 * np.sin(2 * t), 1.0):.12f}")
print(f"         by the rules:  {3 * np.sin(2) + 2 * np.cos(2):.12f}")

# %%
# A hundred thousand points at once, and the curvature there: symmetric to the last bit.
points = np.random.default_rng(0).uniform(-2, 2, (100_000, 3))
slopes, curvature = autodiff.grad(rosen).batch(points), autodiff.hessian(rosen).batch(points)
print(
    f"{len(points)} gradients {slopes.shape}, Hessians symmetric: {np.array_equal(curvature, curvature.swapaxes(1, 2))}"
)

# %%
# The Hessian of a thousand variables has three diagonals, and no more is computed.
many = autodiff.hessian(rosen, sparse=True)(np.ones(1000))
print(f"Hessian of 1000 variables: {many.nnz} numbers instead of {1000 * 1000}")

# %%
# The volume element of polar coordinates is the determinant of the Jacobian: r.
polar = autodiff.jacobian(lambda p: np.stack([p[0] * np.cos(p[1]), p[0] * np.sin(p[1])]))
print(f"volume element at r = 2.5: {np.linalg.det(polar(np.array([2.5, 0.7]))):.12f}")

# %%
# What a branch did not take adds nothing, not even the infinite slope of a root at 0.
safe = autodiff.grad(lambda v: np.sum(np.where(v > 0, np.sqrt(v), 0)))
print(f"where(v > 0, sqrt(v), 0) at 0 and 4: {safe(np.array([0.0, 4.0]))}")

# %%
# The chain rule of one neuron: values from top to bottom, derivatives from bottom to top.
neuron = autodiff.trace(lambda v: (np.tanh(v[0] * 0.7 + v[1]) - 1) ** 2, np.zeros(2))
print(neuron.trace_table(np.array([0.5, -1.2])))

# %%
# Value and gradient together cost little more than the gradient. `vjp` and `hvp` multiply by a Jacobian and a Hessian
# that nobody writes down; and a function that no tape knows comes in with a derivative of its own.
value, slope = autodiff.value_and_grad(lambda v: np.sum(v**3))(np.array([1.0, 2.0]))
print(f"value {value}, gradient {slope}")
_, pullback = autodiff.vjp(lambda v: np.stack([v[0] * v[1], v[0] ** 2]), np.array([3.0, 2.0]))
print(f"(1, 1) times the Jacobian: {pullback(np.array([1.0, 1.0]))[0]}")
print(f"Hessian times (1, 0): {autodiff.hvp(lambda v: v[0] ** 2 * v[1], ([3.0, 2.0],), ([1.0, 0.0],))}")

from scipy.special import j0, j1

bessel = autodiff.primitive(j0, derivative=lambda x: -j1(x))
slope = autodiff.derivative(lambda x: bessel(x) ** 2, 1.0)
print(f"slope of J0(x)^2 at 1: {slope:.12f}, exactly {-2 * j0(1) * j1(1):.12f}")


# %%
# The picture: the error of rise over run against its step, for the slope of exp(sin(3 t)) at 0.4. A long step misses
# the bend, a short one drowns in rounding; a step along the imaginary axis does neither, but needs a function of
# complex numbers; the tape has no step.
def wave(t):
    return np.exp(np.sin(3 * t))


t, h = 0.4, np.logspace(-16, 0, 161)
true = 3 * np.cos(3 * t) * wave(t)
errors = {
    "forward difference": (wave(t + h) - wave(t)) / h,
    "central difference": (wave(t + h) - wave(t - h)) / (2 * h),
    "complex step": wave(t + 1j * h).imag / h,
    "tape": np.full_like(h, autodiff.derivative(wave, t)),
}
figure, axes = plt.subplots(figsize=(6.5, 4), layout="constrained")
for (name, slope), style in zip(errors.items(), ["-", "--", "-.", ":"], strict=True):
    axes.loglog(h, np.maximum(np.abs(slope / true - 1), 1e-17), style, color="black", label=name)
axes.set(xlabel="step", ylabel="relative error of the slope", title="why derivatives are not rise over run")
axes.legend()
plt.show()
