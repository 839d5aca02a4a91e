"""
Calculus 5: finding the lowest point
====================================

Derivatives say which way is down. This page walks: to a root by Newton's steps, to a minimum by steps against
the gradient, to the best point on a line that one is not allowed to leave by Lagrange's multipliers. And it
shows where each of them fails.
"""

# %%
# Newton-Raphson
# --------------
# Follow the tangent to where it crosses zero, and start again from there.
#
# .. math:: x_{n+1} = x_n - \frac{f(x_n)}{f'(x_n)}
import warnings

import matplotlib.pyplot as plt
import numpy as np

import mmlfast as mf


def f(x):
    return x**3 - 5 * x


root = mf.optimize.newton(f, 3.5)
x = np.linspace(1.2, 3.7, 200)
figure, axes = plt.subplots(figsize=(5.8, 3.6), layout="constrained")
axes.plot(x, f(x), color="black")
axes.axhline(0, color="0.7")
at = 3.4
for step in range(2):
    slope = mf.autodiff.derivative(f, at)
    following = at - f(at) / slope
    axes.plot([at, at], [0, f(at)], color="tab:blue", linestyle=":")
    axes.plot([at, following], [f(at), 0], color="tab:blue")
    axes.annotate(f"step {step}", (at, f(at)), textcoords="offset points", xytext=(-36, 4), color="tab:blue")
    at = following
axes.plot(root, 0, "o", color="black")
axes.annotate("root", (root, 0), textcoords="offset points", xytext=(-4, -16))
axes.set(xlabel="x", ylabel="x^3 - 5 x", title="Tangents lead to a root", ylim=(-6, 27))
plt.show()
assert abs(f(root)) < 1e-14

# %%
# From 1 the same steps go 1, -1, 1, -1, ... for ever. That is told; of many starts at once, each has its own verdict.
try:
    mf.optimize.newton(f, 1.0)
    raise AssertionError
except RuntimeError as error:
    print("from 1:", str(error)[:90])

# %%
# Which root does a start lead to? In the plane of complex numbers the answer is a fractal. Here z^3 = 1, with
# the two parts of z as two unknowns, for 160 000 starts; the shade is the number of steps.
side = np.linspace(-1.6, 1.6, 400)
starts = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2) + 1e-9


def cube(z):
    a, b = z[0], z[1]
    return np.stack([a**3 - 3 * a * b**2 - 1, 3 * a**2 * b - b**3])


with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # a few starts on the borders do not arrive
    many = mf.optimize.newton_many(cube, starts)
which = np.digitize(np.arctan2(many.x[:, 1], many.x[:, 0]), [-1, 1])
picture = which + 0.9 * np.minimum(many.n_iter, 20) / 20
figure, axes = plt.subplots(figsize=(4.6, 4.2), layout="constrained")
axes.imshow(picture.reshape(400, 400), extent=(-1.6, 1.6, -1.6, 1.6), origin="lower", cmap="cividis")
for k in range(3):
    z = np.exp(2j * np.pi * k / 3)
    axes.plot(z.real, z.imag, "o", color="white", markeredgecolor="black")
axes.set(xlabel="real part of the start", ylabel="imaginary part", title="Three roots and their basins")
plt.show()
print(f"{100 * many.converged.mean():.2f} % of {len(starts)} starts arrive")
assert many.converged.mean() > 0.99

# %%
# Descent
# -------
# A step against the gradient, of a length that has to be chosen; with momentum, the steps remember where they
# came from.
#
# .. math:: v \leftarrow \beta v - \eta \nabla f(x), \qquad x \leftarrow x + v


def valley(v):
    """Rosenbrock's valley: easy to find, hard to follow."""
    return (1 - v[0]) ** 2 + 20 * (v[1] - v[0] ** 2) ** 2


start = np.array([-1.2, 1.4])
plain = mf.optimize.gradient_descent(valley, start, learning_rate=0.004, max_iter=400, path=True)
heavy = mf.optimize.gradient_descent(valley, start, learning_rate=0.004, momentum=0.9, max_iter=400, path=True)
newton = mf.optimize.minimize(valley, start, method="newton")
bfgs = mf.optimize.minimize(valley, start, method="bfgs")
a, b = np.meshgrid(np.linspace(-1.6, 1.5, 120), np.linspace(-0.6, 2, 120))
figure, axes = plt.subplots(figsize=(6.2, 4.2), layout="constrained")
axes.contour(a, b, np.log(valley(np.stack([a, b])) + 0.05), 12, colors="0.75", linewidths=0.8)
for found, style, name in ((plain, "-", "descent"), (heavy, "--", "with momentum")):
    axes.plot(*found.path.T, color="black", linestyle=style, linewidth=1, label=f"{name}, {len(found.path) - 1} steps")
axes.plot(1, 1, "*", color="tab:blue", markersize=14)
axes.annotate("minimum", (1, 1), textcoords="offset points", xytext=(8, -4), color="tab:blue")
axes.legend(loc="lower left", frameon=False)
axes.set(xlabel="x", ylabel="y", title="Two ways down a curved valley", xlim=(-1.6, 1.6), ylim=(-0.6, 2))
plt.show()
print(f"Newton: {newton.nit} steps, BFGS: {bfgs.nit}; both end at", newton.x.round(12))
assert np.allclose(newton.x, 1)
assert np.allclose(bfgs.x, 1)

# %%
# Lagrange
# --------
# The best point on a curve g = 0 is one where the contour of f touches the curve: both gradients have one direction.
#
# .. math:: \nabla f = \lambda \, \nabla g, \qquad g = 0


def gain(v):
    return v[0] + 3 * v[1]


def ellipse(v):
    return v[0] ** 2 + 4 * v[1] ** 2 - 13


best = mf.optimize.lagrange(gain, ellipse, [1.0, 0.7])
for point in best.points:
    print(f"{point.kind} {gain(point.x):+.3f} at {point.x.round(4)}, multiplier {point.multipliers.round(4)}")
assert np.isclose(best.fun, -6.5)
assert np.isclose(max(p.fun for p in best.points), 6.5)

# %%
# What usually goes wrong
# -----------------------
# - **A rate that is too large.** The steps grow, and end at infinity. `gradient_descent` says so, and which
#   rates would do.
# - **Newton far from the root** wanders, or goes round in circles. Look at `converged`, or catch the error.
# - **Newton for a minimum finds saddles and tops as well**: it looks for flat places. `minimize` steps downhill only.
# - **A tolerance that is absolute.** An objective in nanometres looks flat everywhere. Here all tests are relative.
# - **One point of Lagrange's** may be the worst one. `lagrange` looks for several, and says what each is.
wild = mf.optimize.gradient_descent(valley, start, learning_rate=0.1, max_iter=100)
print(wild.message)
assert not wild.success

# %%
# Exercises
# ---------
# 1. Find the square root of 7 by Newton's steps from 2. How many digits does each step add?
# 2. For which rates does descent on 3 x^2 + 10 y^2 arrive?
# 3. Which rectangle of circumference 20 has the largest area?
#
# The answers, checked:
x, errors = 2.0, []
for _ in range(5):
    x = x - (x * x - 7) / (2 * x)
    errors.append(abs(x - np.sqrt(7)))
assert errors[4] < 1e-14
largest = 2 / mf.linalg.eigvalsh(np.diag([6.0, 20.0]))[1]
for rate, arrives in ((0.9 * largest, True), (1.1 * largest, False)):
    found = mf.optimize.gradient_descent(lambda v: 3 * v[0] ** 2 + 10 * v[1] ** 2, [1.0, 1.0], learning_rate=rate)
    assert found.success is arrives
square = mf.optimize.lagrange(lambda v: v[0] * v[1], lambda v: 2 * v[0] + 2 * v[1] - 20, [3.0, 4.0])
assert np.allclose(square.x, [5, 5])
print("1. errors", [f"{e:.0e}" for e in errors], "  2. below 0.1   3. the square")
