"""
The Cholesky factor
===================

Correlated random numbers, and which of a thousand matrices are covariances at all.
"""

import numpy as np

import mmlfast as mf

# %%
# Numbers of a wanted covariance, out of independent ones.
rng = np.random.default_rng(0)
wanted = np.array([[4.0, 2.4], [2.4, 9.0]])
factor = mf.linalg.cholesky(wanted)
sample = rng.standard_normal((100_000, 2)) @ factor.T
print("wanted", wanted.tolist(), "got", np.round(np.cov(sample.T), 1).tolist())

# %%
# A thousand symmetric matrices at once: only those with no negative eigenvalue are the covariance of something.
tables = rng.standard_normal((1000, 3, 3))
symmetric = tables + tables.mT + 3 * np.eye(3)
factors = mf.linalg.cholesky(symmetric, errors="nan")
good = ~np.isnan(factors).any(axis=(1, 2))
agree = good == (np.linalg.eigvalsh(symmetric)[:, 0] > 0)
print(f"{good.sum()} of 1000 are positive definite; the signs of NumPy's eigenvalues agree for {agree.sum()} of 1000")

# %%
# log det without forming the determinant.
print("log det", 2 * float(np.log(np.diag(factor)).sum()), float(mf.linalg.slogdet(wanted).logabsdet))
