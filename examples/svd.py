"""
Which matrices are special
==========================

Rank, null space, condition and pseudo-inverse by singular values.
"""

import matplotlib.pyplot as plt
import numpy as np

import mmlfast as mf

# %%
# A matrix that looks harmless. One of its rows is twice the second minus the first, so it cannot be inverted.
a = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]])
u, s, vh = mf.linalg.svd(a)
print(f"singular values {s}: rank {mf.linalg.matrix_rank(a)} of 3")

# %%
# What it sends to zero: there is one way to move x without moving a @ x.
z = mf.linalg.null_space(a)
print(f"{'one way' if z.shape[1] == 1 else 'several ways'} to move: {(z[:, 0] / z[0, 0]).round(6)}")
print(f"a @ z has norm {np.linalg.norm(a @ z):.0e}")

# %%
# The same question of 100 000 matrices at once.
rng = np.random.default_rng(0)
many = rng.standard_normal((100_000, 3, 3))
many[[7, 77, 777]] = a
rank, condition = mf.linalg.matrix_rank(many), mf.linalg.cond(many)
print(f"{(rank < 3).sum()} of {len(many)} cannot be inverted: {np.flatnonzero(rank < 3)}")
print(f"of the others, the worst loses {np.log10(condition[rank == 3].max()):.0f} digits in solving equations")

# %%
# Columns of very different sizes: the condition is a matter of units, and the smallest singular value is still right.
graded = a + np.eye(3)
scales = np.array([1.0, 1e-8, 1e-16])
print(f"smallest of the graded matrix: {mf.linalg.svdvals(graded * scales)[-1]:.15e}")

# %%
# The pseudo-inverse gives the shortest of all solutions that fit best.
b = np.array([1.0, 1.0, 1.0])
x = mf.linalg.pinv(a) @ b
print(f"the shortest solution: {x.round(6)}, its residual {np.linalg.norm(a @ x - b):.0e}")

# %%
# An orthonormal basis of what the columns span, and of what no combination of them reaches.
basis = mf.linalg.orth(a)
print(
    f"the columns span {basis.shape[1]} dimensions; orthonormal: {np.allclose(basis.T @ basis, np.eye(basis.shape[1]))}"
)

# %%
# The picture: the condition of the hundred thousand, that is how many digits may be lost. Random matrices are nearly
# never singular, and seldom close to it.
figure, axes = plt.subplots(figsize=(6.5, 3.6), layout="constrained")
digits = np.log10(np.minimum(condition, 1e18))
axes.hist(digits, np.linspace(0, 18, 91), color="0.6", log=True)
axes.annotate("the three that\ncannot be inverted", (digits[7], 3), (11, 100), arrowprops={"arrowstyle": "->"})
axes.set(xlabel="digits lost: log10 of the condition", ylabel="matrices", title="100 000 random 3 x 3 matrices")
plt.show()
