"""
The nearest point of a plane, in the usual inner product and in another one
===========================================================================
"""

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
