"""
The nearest point of a plane, in the usual inner product and in another one
===========================================================================
"""

import matplotlib.pyplot as plt
import numpy as np

import mmlfast as mf

# %%
# Points are rows, the basis of the plane is two columns.
point = np.array([6.0, 0.0, 0.0])
plane = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]])
nearest = mf.geometry.project(point, plane)
print(f"nearest point of the plane: {nearest.round(6)}, at distance {np.linalg.norm(point - nearest):.3f}")
print(f"its coordinates in the basis: {mf.geometry.project(point, plane, coordinates=True).round(6)}")
print(f"what is left is orthogonal to the basis: {np.allclose((point - nearest) @ plane, 0)}")

# %%
# If the first direction is dear (its squared length counts 100 times), the nearest point keeps closer to it.
metric = np.diag([100.0, 1.0, 1.0])
weighted = mf.geometry.project(point, plane, metric=metric)
print(f"nearest when the first direction counts 100 times: {weighted.round(3)}")
print(f"what is left is orthogonal in that metric: {np.allclose((point - weighted) @ metric @ plane, 0)}")

# %%
# The picture: the point, the plane, and the nearest point, where what is left stands upright on the plane.
figure = plt.figure(figsize=(5, 4.4), layout="constrained")
axes = figure.add_subplot(projection="3d")
flat = mf.linalg.gram_schmidt(plane).basis
corners = nearest + 1.7 * np.array([[[-1, -1], [-1, 1]], [[1, -1], [1, 1]]]) @ flat.T
axes.plot_surface(*np.moveaxis(corners, -1, 0), color="0.7", alpha=0.4)
for end, name, side in (
    (point, "point ", "right"),
    (nearest, "nearest ", "right"),
    (weighted, "  nearest when the\n  first direction is dear", "left"),
):
    axes.plot(*end, "o", color="black")
    axes.text(*end, name, ha=side, va="top")
for end, style in ((nearest, "-"), (weighted, "--")):
    axes.plot(*np.stack([point, end]).T, style, color="tab:orange", linewidth=2)
axes.set(xlabel="x", ylabel="y", zlabel="z", title="projection onto a plane")
axes.set_aspect("equal")
axes.view_init(18, 18)
plt.show()
