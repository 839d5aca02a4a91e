"""
Which of these matrices are special, and why? Step by step, without rounding
============================================================================
"""

import matplotlib.pyplot as plt
import numpy as np

import mmlfast as mf

MATRICES = {
    "numbers in a row": [[1, 2, 3], [4, 5, 6], [7, 8, 9]],
    "nearly the same": [[1, 2, 3], [4, 5, 6], [7, 8, 10]],
    "a magic square": [[16, 2, 3, 13], [5, 11, 10, 8], [9, 7, 6, 12], [4, 14, 15, 1]],
    "a Hadamard matrix": [[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]],
    "large numbers": [[2**53 + 2, 2**53], [2**53 + 4, 2**53 + 2]],
}

for name, rows in MATRICES.items():
    a = np.array(rows)
    print(f"{name}: det = {mf.linalg.det(a):g} (numpy in floating point: {np.linalg.det(a):g})")
    steps = mf.linalg.row_echelon(a, reduced=False)
    for k, pivot in enumerate(steps.pivots):
        print(f"   row {k + 1} of the echelon form: {steps.form[k]}, pivot in column {pivot + 1}")
    if not mf.linalg.is_singular(a):
        print("   a pivot in every column: not special, it has an inverse")
        mf.linalg.inv(a)
        continue
    form, pivots, rank, _ = mf.linalg.row_echelon(a)
    for column in sorted(set(range(a.shape[1])) - set(pivots)):
        parts = " + ".join(f"{form[t, column]:g} * column {pivots[t] + 1}" for t in range(rank) if form[t, column])
        print(f"   special: rank {rank}; column {column + 1} = {parts}")
    try:
        mf.linalg.inv(a)
    except np.linalg.LinAlgError as error:
        print(f"   {error}")

# %%
# Ten thousand at once: how many 3 x 3 matrices of numbers from -2 to 2 are special?
many = np.random.default_rng(0).integers(-2, 3, (10_000, 3, 3))
print(f"{mf.linalg.is_singular(many).mean():.1%} of random 3 x 3 matrices of -2 .. 2 are special")

# %%
# What has no exact value has a tolerance: tenths are not binary fractions, and rounding hides that this is special.
tenths = np.arange(1, 10).reshape(3, 3) / 10
print(f"det {np.linalg.det(tenths):.1e} in floating point, special up to rounding: {mf.linalg.is_singular(tenths)}")
result = mf.linalg.row_echelon(tenths)
print(f"rank {result.rank}; the smallest pivot is {result.gap:.0e} times what was taken for zero")
polynomial = mf.linalg.characteristic_polynomial(MATRICES["numbers in a row"])
print(f"characteristic polynomial of the first matrix: {polynomial}")

# %%
# The picture: the determinant of [[k + 1, k], [k + 2, k + 1]] is 1 for every k. Rounded products lose it.
k = 2 ** np.arange(1, 52)
ones = np.array([[k + 1, k], [k + 2, k + 1]]).transpose(2, 0, 1)
figure, axes = plt.subplots(figsize=(6.5, 3.4), layout="constrained")
axes.semilogx(k, np.linalg.det(ones.astype(float)), "o--", color="0.5", label="numpy.linalg.det", base=2)
axes.semilogx(k, mf.linalg.det(ones), "-", color="black", linewidth=3, label="mmlfast.linalg.det", base=2)
axes.set(xlabel="k", ylabel="determinant", title="a determinant that is always 1")
axes.legend(loc="center left")
plt.show()
