"""
Principal components where the usual ways lose them
===================================================

Far from the origin, of tiny variance, in pieces, from disk.
"""

import tempfile
from pathlib import Path

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
