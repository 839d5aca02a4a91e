"""
The factors that elimination leaves behind
==========================================

What they are, and which matrices are singular, and why.
"""

import matplotlib.pyplot as plt
import numpy as np

import mmlfast as mf

a = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 10.0]])
p, lower, upper = mf.linalg.lu(a)
print("multipliers\n", np.round(lower, 3))
print("echelon form\n", np.round(upper, 3))
print("P L U gives the matrix back:", np.allclose(p @ lower @ upper, a))

# %%
# Ten thousand matrices, some of them with a row that is the sum of two others.
rng = np.random.default_rng(0)
many = rng.integers(-9, 10, (10_000, 4, 4)).astype(float)
many[::100, 3] = many[::100, 0] + many[::100, 1]
last_pivot = mf.linalg.lu(many, p_indices=True).U[:, 3, 3]
print(f"{(np.abs(last_pivot) < 1e-12).sum()} of 10000 end with a last pivot that is zero up to rounding")

# %%
# The picture: the four matrices of A = P L U, dark for large numbers.
figure, panels = plt.subplots(1, 4, figsize=(8, 2.3), layout="constrained")
for panel, matrix, name in zip(panels, (a, p, lower, upper), ("A =", "P", "L", "U"), strict=True):
    panel.imshow(np.abs(matrix), cmap="Greys", vmax=16)
    for (row, column), entry in np.ndenumerate(matrix):
        panel.text(column, row, f"{entry:.3g}", ha="center", va="center")
    panel.set(title=name, xticks=[], yticks=[])
plt.show()
