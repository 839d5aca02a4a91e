"""
An orthonormal basis from any vectors, and why the textbook's method needs a second pass
========================================================================================
"""

import matplotlib.pyplot as plt
import numpy as np

import mmlfast as mf

# %%
# Vectors are columns. The third is the sum of the first two: it adds no direction.
vectors = np.array([[1.0, 1.0, 2.0], [1.0, 0.0, 1.0], [0.0, 1.0, 1.0]])
basis, rank, orthogonality = mf.linalg.gram_schmidt(vectors)
print(f"three vectors that span {rank} dimensions; their orthonormal basis (a dependent vector gives zeros):")
print(np.round(basis, 3))

# %%
# 1, x, x^2, ... on a grid: ever more alike as columns. Rounding ruins the classical method, not the repeated one.
x = np.linspace(0.0, 1.0, 50)
powers = x[:, None] ** np.arange(10)
for method in ("cgs", "mgs", "cgs2", "householder"):
    q = mf.linalg.gram_schmidt(powers, method=method).basis
    print(f"{method:>12}: departs from orthogonality by {np.linalg.norm(q.T @ q - np.eye(10)):.0e}")

# %%
# The picture: how far the basis is from orthogonal with each power more.
figure, axes = plt.subplots(figsize=(6.5, 3.8), layout="constrained")
counts = np.arange(2, 15)
for method, style in (("cgs", "o-"), ("mgs", "^-"), ("cgs2", "s-"), ("householder", "x--")):
    bases = [mf.linalg.gram_schmidt(x[:, None] ** np.arange(n), method=method, rtol=0).basis for n in counts]
    departures = [np.linalg.norm(q.T @ q - np.eye(q.shape[1])) for q in bases]
    axes.semilogy(counts, departures, style, color="black", label=method)
axes.axhline(1, color="0.7")
axes.set(xlabel="number of powers", ylabel="norm of Q'Q - I", title="what rounding does to each method")
axes.legend()
plt.show()
