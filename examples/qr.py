"""
Orthogonal factors of many matrices at once, and many fits at once
==================================================================
"""

import matplotlib.pyplot as plt
import numpy as np

import mmlfast as mf

# %%
# 1000 rotations, each disturbed a little: Q is what is left of the rotation, R should be near the identity.
rng = np.random.default_rng(0)
angle = rng.uniform(0, 2 * np.pi, 1000)
rotations = np.moveaxis(np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]), -1, 0)
q, r = mf.linalg.qr(rotations + 1e-3 * rng.standard_normal(rotations.shape))
signs = np.sign(np.diagonal(r, axis1=-2, axis2=-1))  # LAPACK's signs, as in NumPy: make the diagonal of R positive
r = signs[:, :, None] * r
print(f"1000 nearly orthogonal matrices: R is the identity to {np.abs(r - np.eye(2)).max():.0e}")

# %%
# A straight line through each of 500 series of 24 points, all with the same design: intercepts and slopes.
hours = np.arange(24.0)
slopes = rng.normal(2.0, 0.5, 500)
series = 10 + slopes[:, None] * hours + rng.standard_normal((500, 24))
line = np.stack([np.ones(24), hours], axis=1)
fit = mf.linalg.lstsq(line, series[..., None])
print(f"500 lines: slopes to {np.abs(fit.x[:, 1, 0] - slopes).max():.1f}, all of rank {int(fit.rank.min())}")

# %%
# A parabola through each of 200 groups with points of their own; in one group all points fall together.
x = rng.uniform(-1, 1, (200, 10))
x[7] = 0.5
designs = x[..., None] ** np.arange(3)
y = designs @ np.array([1.0, -2.0, 3.0])[:, None]
fit = mf.linalg.lstsq(designs, y)
bad = np.flatnonzero(fit.rank < 3)
print(f"200 parabolas: group {bad.tolist()} has rank {fit.rank[bad].tolist()}, its fit is the smallest one:")
print(f"  {np.round(fit.x[7, :, 0], 3)} instead of {np.round(fit.x[0, :, 0], 3)}")

# %%
# The picture: the slope that each of the 500 fits found, against the one its series was made with.
fit = mf.linalg.lstsq(line, series[..., None])
figure, axes = plt.subplots(figsize=(4.4, 4), layout="constrained")
axes.plot(slopes, fit.x[:, 1, 0], ".", color="black", markersize=4)
axes.plot([0, 4], [0, 4], color="tab:orange", label="found = made with")
axes.set(xlabel="slope made with", ylabel="slope found", aspect="equal", title="500 lines in one call")
axes.legend()
plt.show()
