"""
Newton-Raphson
==============

Follow the tangent to where it crosses zero, again and again. It doubles the digits with each step, or it fails in one
of a few ways that one should know.
"""

import matplotlib.pyplot as plt
import numpy as np

from mmlfast.optimize import newton, newton_many

# %%
# The derivative is exact: the function is traced, not differenced. Digits double from step to step.
root, how = newton(lambda x: x**3 - 2 * x - 5, 2.0, full_output=True)
print("x^3 - 2 x - 5 = 0 (Newton's own example, 1669)")
for k, x in enumerate(how.history):
    digits = -np.log10(max(abs(x - root), 1e-16))
    print(f"  step {k}: {x:.16f}  {digits:4.1f} digits")

# %%
# How it fails. Nothing of this comes back as a number without a word.
print("\nwhat is said where there is no root to be found")
failures = {
    "x^3 - 2 x + 2 from 0": (lambda x: x**3 - 2 * x + 2, 0.0),
    "x^2 + 1 from 0": (lambda x: x**2 + 1, 0.0),
    "x^2 + 1 from 0.5": (lambda x: x**2 + 1, 0.5),
    "cube root of x from 1": (np.cbrt, 1.0),
    "exp(-x) from 1": (lambda x: np.exp(-x), 1.0),
    "tan(x) beside its pole": (np.tan, np.pi / 2),
}
for name, (f, x0) in failures.items():
    try:
        newton(f, x0)
    except RuntimeError as error:
        print(f"  {name}: {str(error).removeprefix('newton: ')}")

# %%
# A root of order m makes the steps shrink by (m - 1) / m only. That is seen, and then the step is m times as long.
for m in (1, 2, 5):
    how = newton(lambda x, m=m: (x - 1.1) ** m * np.exp(x), 3.0, full_output=True)[1]
    print(f"order {m}: {how.root:.9f} in {how.iterations} steps")

# %%
# The size of the root does not matter. (With SciPy's default tol of 1.5e-8 this one stays where it started.)
print("\nthe root of x^2 = 4e-20:", newton(lambda x: x * x - 4e-20, 1e-9))

# %%
# Systems: the Jacobian comes from the same trace.
where = newton(lambda v: np.stack([v[0] ** 2 + v[1] ** 2 - 4, v[0] * v[1] - 1]), [2.0, 0.5])
print("a circle and a hyperbola meet at", where.round(9))


# %%
# From which start to which root? A hundred thousand starts in the complex plane, all at once.
def cube(z):
    """z^3 = 1, as two real equations."""
    x, y = z[0], z[1]
    return np.stack([x**3 - 3 * x * y**2 - 1, 3 * x**2 * y - y**3])


side = np.linspace(-1.5, 1.5, 316)
found = newton_many(cube, np.stack(np.meshgrid(side, side), axis=-1), disp=False)
angle = np.round(3 * np.arctan2(found.x[..., 1], found.x[..., 0]) / (2 * np.pi))[found.converged].astype(int) % 3
print(f"\n{found.message}")
print("shares of the three basins:", (np.bincount(angle) / angle.size).round(2))

# %%
# The picture: the root that each start ends at, and (darker) how many steps it takes.
figure, axes = plt.subplots(figsize=(4.8, 4.4), layout="constrained")
root = np.full(found.converged.shape, np.nan)
root[found.converged] = angle
axes.imshow(root, cmap="Set2", origin="lower", extent=[-1.5, 1.5, -1.5, 1.5])
axes.imshow(found.n_iter, cmap="Greys", origin="lower", extent=[-1.5, 1.5, -1.5, 1.5], alpha=0.4, vmax=20)
for k in range(3):
    place = np.cos(2 * np.pi * k / 3), np.sin(2 * np.pi * k / 3)
    axes.plot(*place, "ko")
    axes.annotate(f"root {k + 1}", place, xytext=(5, 5), textcoords="offset points", weight="bold")
axes.set(xlabel="real part of the start", ylabel="imaginary part", title="100 000 starts for the roots of z^3 = 1")
plt.show()
