"""
Symmetric eigenproblems by the thousand
=======================================

The axes of ellipsoids, and which stationary points are minima.
"""

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
