"""
Inner products
==============

Lengths, angles, distances and projections in the usual geometry and in another one.
"""

import matplotlib.pyplot as plt
import numpy as np

import mmlfast as mf

g = mf.geometry
x, y = np.array([1.0, 1.0]), np.array([2.0, -1.0])
print(f"dot product {g.inner(x, y):.0f}, lengths {g.norm(x):.3f} and {g.norm(y):.3f}, distance {g.distance(x, y):.3f}")
print(f"angle {np.degrees(g.angle(x, y)):.2f} degrees, component of x along y {g.scalar_projection(x, y):.3f}")

# %%
# Is <x, y> = x' M y an inner product? M must be symmetric and positive definite.
for m in ([[2, 1], [1, 2]], [[1, 2], [2, 1]], [[1, 2], [2, 4]], [[1, 1], [0, 1]]):
    print(f"{m}: {g.is_inner_product(m)}")

# %%
# With M the same vectors are orthogonal.
m = [[2.0, 1.0], [1.0, 5.0]]
print(f"in the metric M = {m}: inner product {g.inner(x, y, m):.0f}, angle {np.degrees(g.angle(x, y, m)):.2f} degrees")

# %%
# Angles of nearly parallel vectors: the arc cosine of the usual formula has lost them.
u, v = np.array([1.0, 0.0]), np.array([1.0, 1e-9])
print(
    f"tiny angle: {g.angle(u, v):.3g}; by the arc cosine {np.arccos(u @ v / np.linalg.norm(u) / np.linalg.norm(v)):.3g}"
)

# %%
# How much of a point is lost by projecting it onto a line.
line = np.array([[1.0], [2.0]])
print(f"distance of x from the line: {g.reconstruction_error(x, line):.3f}")
print(f"and in the metric: {g.reconstruction_error(x, line, m):.3f}")

# %%
# The picture: all vectors of length 1, by the dot product and by M. What is a circle, and what is a right angle, is a
# matter of the inner product.
figure, axes = plt.subplots(figsize=(4.6, 4.2), layout="constrained")
angle = np.linspace(0, 2 * np.pi, 200)
circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
axes.plot(*circle.T, "--", color="0.5", label="length 1 by the dot product")
axes.plot(*(circle / g.norm(circle, m)[:, None]).T, color="black", label="length 1 by M")
for vector, name in ((x, "x"), (y, "y")):
    axes.annotate("", vector, (0, 0), arrowprops={"arrowstyle": "->"})
    axes.annotate(name, 1.05 * vector)
axes.set(xlim=(-1.3, 2.4), ylim=(-1.4, 2.1), aspect="equal", xlabel="first number", ylabel="second number")
axes.set_title("x and y are at right angles by M")
axes.legend(loc="upper left", fontsize="small")
plt.show()
