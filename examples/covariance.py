"""
Mean and covariance, also where the usual formula loses everything, and from data that arrives in pieces
========================================================================================================
"""

import numpy as np

import mmlfast as mf

rng = np.random.default_rng(0)
true = np.array([[2.0, 1.0], [1.0, 3.0]])
x = rng.standard_normal((100_000, 2)) @ np.linalg.cholesky(true).T
print("covariance of 100 000 samples of [[2, 1], [1, 3]]:")
print(np.round(mf.stats.covariance(x), 2))

# %%
# Far from the origin the formula E[x x'] - E[x] E[x]' subtracts two huge numbers. Nothing right remains.
far = x + 1e8
mean = far.mean(axis=0)
naive = far.T @ far / len(far) - np.outer(mean, mean)
print(f"the same, moved by 1e8:  naive {naive[0, 0]:.2f},  mmlfast {mf.stats.covariance(far)[0, 0]:.2f}")

# %%
# Data that comes in pieces gives the same bits as all of it at once.
moments = mf.stats.Moments()
for piece in np.array_split(far, 7):
    moments.update(piece)
print(f"in seven pieces, same bits: {np.array_equal(moments.covariance(), mf.stats.covariance(far))}")

# %%
# The correlation has ones on its diagonal, exactly; and one for each group of rows.
labels = np.array(["a", "b"])[np.arange(len(x)) % 2]
print(f"ones on the diagonal: {(np.diag(mf.stats.correlation(x)) == 1).all()}")
by_label = mf.stats.correlation(x, groups=labels)
print(f"groups {by_label.groups}: tables of shape {by_label.values.shape}")
