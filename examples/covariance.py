"""
Mean and covariance, also where the usual formula loses everything, and from data that arrives in pieces
========================================================================================================
"""

import matplotlib.pyplot as plt
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

# %%
# The picture: the error of a variance, with the numbers moved ever further from zero.
moves = 10.0 ** np.arange(13)
errors = {"E[x x'] - E[x] E[x]'": [], "mf.stats.covariance": []}
for move in moves:
    there = x + move
    rounded = there - move  # what is left of x: its covariance is the answer
    answer = rounded[:, 0].var()
    mean = there.mean(axis=0)
    errors["E[x x'] - E[x] E[x]'"].append(abs((there[:, 0] @ there[:, 0] / len(x) - mean[0] ** 2) / answer - 1))
    errors["mf.stats.covariance"].append(abs(mf.stats.covariance(there, ddof=0)[0, 0] / answer - 1))
figure, axes = plt.subplots(figsize=(6.5, 3.8), layout="constrained")
for (name, error), style in zip(errors.items(), ["o--", "s-"], strict=True):
    axes.loglog(moves, np.maximum(error, 1e-17), style, color="black", label=name)
axes.axhline(1, color="0.7")
axes.annotate("no digit is right", (1, 1.5))
axes.set(xlabel="moved by", ylabel="relative error of the variance", ylim=(1e-17, 1e9))
axes.legend()
plt.show()
