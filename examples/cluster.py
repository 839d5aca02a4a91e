"""
Tables in chunks, on one machine or on a cluster
================================================

Covariance, principal components, QR and least squares by Dask; many networks.
"""

import dask.array as da
import matplotlib.pyplot as plt
import numpy as np

import mmlfast as mf

rng = da.random.default_rng(0)
x = rng.standard_normal((200_000, 8), chunks=(20_000, 8)) * np.arange(1.0, 9.0) + 1e6

print("standard deviations, from one pass over the chunks:")
print(np.sqrt(np.diagonal(mf.dask.covariance(x).compute())).round(2))

pca = mf.dask.pca(x, 2)
scores = x.map_blocks(pca.transform, dtype=float, chunks=(x.chunks[0], (2,)))
print(f"two components explain {100 * pca.explained_variance_ratio_.sum():.1f} % of the variance")
print(f"standard deviation of the scores: {scores.std(axis=0).compute().round(2)}")

q, r = mf.dask.qr(x)
print(f"norm of Q'Q - I: {np.linalg.norm((q.T @ q).compute() - np.eye(8)) < 1e-13}, below 1e-13")

y = x @ np.arange(8.0) + rng.standard_normal(200_000, chunks=20_000)
print("least squares, coefficients 0 to 7:")
print(mf.dask.lstsq(x, y).x.compute().round(2))

# %%
# Many networks, a part of them on each worker: each is to the bit what it is alone.
t = np.linspace(-1, 1, 40)[:, None]
nets = [mf.neural_network.Network([1, 4, 1], seed=seed) for seed in range(32)]
losses = mf.dask.fit_many(nets, t, t**2, parts=2, epochs=50, batch_size=10, learning_rate=0.1).losses
alone = mf.neural_network.Network([1, 4, 1], seed=7).fit(t, t**2, epochs=50, batch_size=10, learning_rate=0.1)
print(f"network 7 of 32 is what it is alone: {np.array_equal(losses[7], alone)}")

# %%
# The picture: the deviations found, chunk by chunk, beside those that the numbers were made with.
figure, axes = plt.subplots(figsize=(6, 3.2), layout="constrained")
axes.bar(range(8), np.sqrt(np.diagonal(mf.dask.covariance(x).compute())), color="0.8", label="found")
axes.plot(range(8), np.arange(1.0, 9.0), "_", color="black", markersize=28, label="made with")
axes.set(xlabel="column", ylabel="standard deviation", title="ten chunks, one pass")
axes.legend()
plt.show()
