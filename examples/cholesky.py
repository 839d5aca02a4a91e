"""
The Cholesky factor
===================

Correlated random numbers, and which of a thousand matrices are covariances at all.
"""

import matplotlib.pyplot as plt
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

# %%
# The picture: independent numbers on the left; the factor turns them into numbers of the wanted covariance.
figure, axes = plt.subplots(1, 2, figsize=(6.4, 4.2), layout="constrained", sharex=True, sharey=True)
independent = mf.linalg.solve(factor, sample[:1500].T).T
circle = np.stack([np.cos(angle := np.linspace(0, 2 * np.pi, 100)), np.sin(angle)])
for panel, points, shape, title in (
    (axes[0], independent, circle, "independent"),
    (axes[1], sample[:1500], factor @ circle, "times the Cholesky factor"),
):
    panel.plot(*points.T, ".", color="0.6", markersize=2)
    panel.plot(*shape, color="black", label="one deviation")
    panel.set(title=title, xlabel="first number", aspect="equal")
axes[0].set_ylabel("second number")
axes[1].legend(loc="upper left")
plt.show()
