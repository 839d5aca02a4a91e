"""
Symmetric eigenproblems by the thousand
=======================================

The axes of ellipsoids, and which stationary points are minima.
"""

import matplotlib.pyplot as plt
import numpy as np

import mmlfast as mf

# %%
# The principal axes of a thousand clouds of points, each from its 3 x 3 covariance.
rng = np.random.default_rng(0)
clouds = rng.standard_normal((1000, 200, 3)) * [3.0, 2.0, 1.0]
values, vectors = mf.linalg.eigh(mf.stats.covariance(clouds))
print("standard deviations along the axes, on average", np.round(np.sqrt(values).mean(axis=0), 1).tolist())
longest = vectors[:, :, 2]
print("the longest axis lies along x:", bool((np.abs(longest[:, 0]) > 0.9).mean() > 0.9))

# %%
# Stationary points by the signs of the eigenvalues of their Hessians: the values alone are enough.
hessians = rng.standard_normal((1000, 2, 2))
hessians = hessians + hessians.mT
signs = np.sign(mf.linalg.eigvalsh(hessians)).astype(int)
for name, pattern in (("minima", (1, 1)), ("saddles", (-1, 1)), ("maxima", (-1, -1))):
    print(name, int((signs == pattern).all(axis=1).sum()), end="  ")
print()

# %%
# An item that is not finite is named, or filled with NaN.
hessians[7, 0, 0] = np.nan
print("answers", int(np.isfinite(mf.linalg.eigvalsh(hessians, errors="nan")).all(axis=1).sum()), "of 1000")

# %%
# The picture: the two eigenvalues of each Hessian. Their signs divide the plane.
pairs = mf.linalg.eigvalsh(np.delete(hessians, 7, axis=0))
figure, axes = plt.subplots(figsize=(4.8, 4.4), layout="constrained")
for name, marker, chosen in (
    ("minimum", "^", pairs[:, 0] > 0),
    ("saddle", "x", (pairs[:, 0] < 0) & (pairs[:, 1] > 0)),
    ("maximum", "v", pairs[:, 1] < 0),
):
    axes.plot(*pairs[chosen].T, marker, color="black", markersize=3, alpha=0.6)
    axes.annotate(name, np.median(pairs[chosen], axis=0), weight="bold", bbox={"facecolor": "white", "alpha": 0.8})
axes.axhline(0, color="0.6")
axes.axvline(0, color="0.6")
axes.set(xlabel="smaller eigenvalue", ylabel="larger eigenvalue", title="stationary points by the bend there")
plt.show()
