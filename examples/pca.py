"""
Principal components where the usual ways lose them
===================================================

Far from the origin, of tiny variance, in pieces, from disk.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import mmlfast as mf

rng = np.random.default_rng(0)
turn = np.linalg.qr(rng.standard_normal((5, 5)))[0]
deviations = np.array([1.0, 0.5, 0.2, 1e-3, 1e-9])
x = rng.standard_normal((10_000, 5)) * deviations @ turn

pca = mf.decomposition.PCA().fit(x)
print("standard deviations along the components:")
print(np.sqrt(pca.explained_variance_))
print(f"found by: {pca.solver_}, in {pca.n_readings_} readings")
print("the same from the covariance matrix alone, which does not know the last one:")
print(np.sqrt(np.abs(np.linalg.eigvalsh(np.cov(x.T))[::-1])))

# %%
# Rows that come in pieces of any size: the same bits as all at once, and as a file that is read block by block.
few = mf.decomposition.PCA(2).fit(x)
pieces = mf.decomposition.IncrementalPCA(2)
for piece in np.array_split(x, 13):
    pieces.partial_fit(piece)
print(f"in thirteen pieces, same bits: {np.array_equal(pieces.components_, few.components_)}")
with tempfile.TemporaryDirectory() as folder:
    np.save(Path(folder) / "x.npy", x)
    stored = np.load(Path(folder) / "x.npy", mmap_mode="r")
    print(f"from disk, same bits: {np.array_equal(mf.decomposition.PCA(2).fit(stored).components_, few.components_)}")

# %%
# Thousands of small clouds of points at once.
clouds = rng.standard_normal((20_000, 30, 3)) * [3.0, 1.0, 0.01]
flat = mf.decomposition.pca(clouds)
print(f"flat clouds: the least variance is {flat.explained_variance[:, 2].mean():.2e}, along z")

# %%
# The picture: the deviations along the components by two ways. The covariance matrix has no digits for the last.
figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
number = np.arange(1, 6)
axes.semilogy(number, deviations, "_", color="black", markersize=32, label="made with")
axes.semilogy(number, np.sqrt(pca.explained_variance_), "o", color="black", label="PCA")
by_covariance = np.sqrt(np.abs(np.linalg.eigvalsh(np.cov(x.T))[::-1]))
axes.semilogy(number, by_covariance, "x", color="tab:orange", markersize=12, label="eigenvalues of np.cov")
axes.set(xlabel="component", ylabel="standard deviation", xticks=number, title="variances over eighteen powers of ten")
axes.legend()
plt.show()
