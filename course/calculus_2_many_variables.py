"""
Calculus 2: many variables
==========================

A function of many variables has a slope in every direction. The gradient collects them and points uphill; the
Jacobian is the same for functions with many results; the Hessian says how the surface is curved, and so whether
a flat place is a top, a bottom or a pass.
"""

# %%
# Partial derivatives and the gradient
# ------------------------------------
# .. math:: \nabla f = \left( \frac{\partial f}{\partial x_1}, \ldots, \frac{\partial f}{\partial x_n} \right)
import matplotlib.pyplot as plt
import numpy as np

import mmlfast as mf


def height(v):
    """Two hills and a hollow."""
    x, y = v[0], v[1]
    hills = 1.6 * np.exp(-((x - 1) ** 2) - (y - 0.5) ** 2) + np.exp(-((x + 1) ** 2) - (y - 0.8) ** 2)
    return hills - 1.2 * np.exp(-1.5 * (x**2 + (y + 1) ** 2))


gradient, hessian = mf.autodiff.grad(height), mf.autodiff.hessian(height)
print("slopes at (0, 0):", gradient(np.array([0.0, 0.0])).round(4))

# %%
# On a map, the gradient stands at right angles to the contour lines.
side = np.linspace(-2.4, 2.4, 80)
grid = np.stack(np.meshgrid(side, side), axis=-1)
arrows = np.stack(np.meshgrid(side[4::9], side[4::9]), axis=-1).reshape(-1, 2)
slopes = gradient.batch(arrows)


def draw_map():
    _, axes = plt.subplots(figsize=(5.4, 4.6), layout="constrained")
    contours = axes.contour(side, side, height(np.moveaxis(grid, -1, 0)), 14, colors="0.55", linewidths=0.8)
    axes.clabel(contours, contours.levels[::3], fontsize=8)
    axes.quiver(*arrows.T, *slopes.T, color="black", width=0.004)
    axes.set(aspect="equal", xlabel="x", ylabel="y", title="The gradient points uphill")
    return axes


draw_map()
plt.show()

# %%
# Flat places
# -----------
# Where the gradient is zero the surface is flat. The eigenvalues of the Hessian tell what is there: all positive is a
# minimum, all negative a maximum, mixed a saddle.
#
# .. math:: H_{ij} = \frac{\partial^2 f}{\partial x_i \, \partial x_j}
#
# From many starts, Newton's steps find the flat places; the kind is read off the Hessians, thousands at a time.
points = np.stack(np.meshgrid(side[::4], side[::4]), axis=-1).reshape(-1, 2)
for _ in range(30):
    curvature, slope = hessian.batch(points), gradient.batch(points)
    step = mf.linalg.solve(curvature, -slope[..., None], errors="nan")[..., 0]
    points = points + np.clip(step, -0.3, 0.3)
arrived = (np.abs(gradient.batch(points)).max(axis=1) < 1e-12) & (np.abs(points).max(axis=1) < 2.4)
flat = np.unique(points[arrived].round(6), axis=0)
curvatures = mf.linalg.eigvalsh(hessian.batch(flat))
axes = draw_map()
for place, (low, high) in zip(flat, curvatures, strict=True):
    kind = "minimum" if low > 0 else "maximum" if high < 0 else "saddle"
    axes.plot(*place, {"minimum": "v", "maximum": "^", "saddle": "s"}[kind], color="tab:blue", markersize=8)
    axes.annotate(kind, place, textcoords="offset points", xytext=(7, -3), color="tab:blue")
    print(f"{kind} at {place.round(3)}")
plt.show()
assert sum(high < 0 for _, high in curvatures) == 2
assert sum(low > 0 for low, _ in curvatures) == 1

# %%
# Many results: the Jacobian
# --------------------------
# From polar to Cartesian coordinates: two numbers in, two out. The determinant of the Jacobian is the factor by
# which small areas grow, here the r of r dr dt in integrals.
#
# .. math:: J_{ij} = \frac{\partial f_i}{\partial x_j}
polar = mf.autodiff.jacobian(lambda p: p[0] * np.stack([np.cos(p[1]), np.sin(p[1])]))
j = polar(np.array([2.5, 0.8]))
print("Jacobian:\n", j.round(3), "\ndeterminant:", mf.linalg.det(j).round(12))

# %%
# Along a path
# ------------
# When x and y both move with time, the total derivative adds up what each contributes: gradient times velocity.
# `jvp` does that without the gradient.
#
# .. math:: \frac{df}{dt} = \nabla f \cdot \frac{dx}{dt}
t = 0.6
place, velocity = np.array([np.cos(t), np.sin(t)]), np.array([-np.sin(t), np.cos(t)])
_, climbing = mf.autodiff.jvp(height, (place,), (velocity,))
assert np.isclose(climbing, gradient(place) @ velocity)
assert np.isclose(climbing, mf.autodiff.derivative(lambda t: height(np.stack([np.cos(t), np.sin(t)])), t))
print("height gained per unit of time:", climbing.round(4))

# %%
# What usually goes wrong
# -----------------------
# - **Second differences.** With h = 1e-8 a Hessian by differences is pure rounding error.
# - **NaN from a branch that was not taken.** The slope of ``np.where(x > 0, np.sqrt(x), 0)`` at -1 is 0 here,
#   and NaN in libraries that multiply zero by infinity.
# - **One start.** A search from one place finds one flat place. Start many.
safe = mf.autodiff.grad(lambda v: np.sum(np.where(v > 0, np.sqrt(v), 0.0)))
print("slopes behind a branch:", safe(np.array([-1.0, 4.0])))
assert np.array_equal(safe(np.array([-1.0, 4.0])), [0.0, 0.25])

# %%
# Exercises
# ---------
# 1. What is the gradient of x^2 y + y^3 at (2, 1)?
# 2. What kind of flat place has x^2 - y^2 at the origin?
# 3. By which factor do areas grow under (u, v) -> (u^2 - v^2, 2 u v)?
#
# The answers, checked:
assert np.array_equal(mf.autodiff.grad(lambda v: v[0] ** 2 * v[1] + v[1] ** 3)(np.array([2.0, 1.0])), [4.0, 7.0])
assert np.array_equal(np.diag(mf.autodiff.hessian(lambda v: v[0] ** 2 - v[1] ** 2)(np.zeros(2))), [2.0, -2.0])
square = mf.autodiff.jacobian(lambda w: np.stack([w[0] ** 2 - w[1] ** 2, 2 * w[0] * w[1]]))
assert np.isclose(mf.linalg.det(square(np.array([1.0, 2.0]))), 4 * (1 + 4))
print(mf.optimize.classify_stationary_point(lambda v: v[0] ** 2 - v[1] ** 2, np.zeros(2)))
print("1. (4, 7)   2. a saddle   3. 4 (u^2 + v^2)")
