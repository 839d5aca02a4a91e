"""
Lagrange multipliers
====================

The lowest and highest places of a path across a landscape: where the path runs along a level line, the gradient of the
landscape is a multiple of that of the path. The multiple says what it would be worth to move the path.
"""

import matplotlib.pyplot as plt
import numpy as np

from mmlfast.optimize import lagrange, minimize


# %%
# A function on a circle. From one start all stationary points are found: each that is known is divided out.
def f(v):
    return np.exp(-(2 * v[0] ** 2 + v[1] ** 2 - v[0] * v[1]) / 2)


def path(v):
    return v[0] ** 2 + 3 * (v[1] + 1) ** 2 - 1


r = lagrange(f, path, [0.5, -0.5])
print("on an ellipse, from one start")
for p in r.points:
    print(f"  {p.kind:8} at {p.x.round(4)}: f = {p.fun:.6f}, multiplier {p.multipliers[0]:+.5f}")

# %%
# The kind is decided by the curvature along the path, not by comparing values.
angle = np.linspace(0, 2 * np.pi, 100_001)
values = f([np.cos(angle), np.sin(angle) / np.sqrt(3) - 1])
print(f"  by a hundred thousand points of the ellipse: {values.min():.6f} to {values.max():.6f}")
found = [p.fun for p in r.points]
assert abs(min(found) - values.min()) < 1e-8
assert abs(max(found) - values.max()) < 1e-8

# %%
# What a multiplier is: f at the solution changes by it, times the level of the constraint.
for level in (0.0, 0.01):
    m = minimize(f, [0.5, -0.5], constraints=lambda v, level=level: path(v) - level)
    print(f"level {level}: f = {m.fun:.8f}, multiplier {m.multipliers[0]:.5f}")

# %%
# The box of largest volume for a given surface, and what one more square metre is worth.
box = lagrange(lambda v: -np.prod(v), lambda v: 2 * (v[0] * v[1] + v[1] * v[2] + v[0] * v[2]) - 6, [0.5, 1.0, 2.0])
print(f"\nthe best box of 6 square metres: {box.x.round(6)}, {-box.fun:.6f} cubic metres")
print(f"one more square metre: {-box.multipliers[0]:.4f} cubic metres")

# %%
# Constraints as people write them: one twice, some that contradict each other, one without a gradient where it holds.
point = np.array([2.0, 3.5])
for name, c in {
    "the same twice": [lambda v: v[0] + v[1] - 3, lambda v: 2 * v[0] + 2 * v[1] - 6],
    "a contradiction": [lambda v: v[0] - 1, lambda v: v[0] - 2],
    "x^2 + y^2 = 0": [lambda v: v[0] ** 2 + v[1] ** 2],
}.items():
    r = lagrange(lambda v: np.sum((v - point) ** 2), c, [0.5, 0.5], max_points=1)
    print(f"{name}: {r.message}")

# %%
# The picture: level lines of f and the path. At the points found the path runs along a level line: the slopes of both
# are parallel there.
figure, axes = plt.subplots(figsize=(5, 4.4), layout="constrained")
u, v = np.meshgrid(np.linspace(-1.6, 1.6, 200), np.linspace(-1.9, 0.4, 200))
axes.contour(u, v, f([u, v]), 15, cmap="gray", linewidths=0.7)
axes.plot(np.cos(angle), np.sin(angle) / np.sqrt(3) - 1, color="tab:orange", linewidth=2)
for p in lagrange(f, path, [0.5, -0.5]).points:
    axes.plot(*p.x, "ko")
    axes.annotate(p.kind, p.x + 0.05, weight="bold", bbox={"facecolor": "white", "alpha": 0.7})
axes.set(xlabel="first variable", ylabel="second variable", title="f along an ellipse", aspect="equal")
plt.show()
