"""
Vectors that a matrix only stretches
====================================

Characteristic polynomial, eigenvectors, diagonalisation, powers.
"""

import matplotlib.pyplot as plt
import numpy as np

import mmlfast as mf

a = np.array([[4, 5], [2, 1]])

# %%
# The eigenvalues are the roots of the characteristic polynomial, whose coefficients are exact for integers.
polynomial = mf.linalg.characteristic_polynomial(a)
print(f"characteristic polynomial of {a.tolist()}: x^2 + ({polynomial[1]}) x + ({polynomial[2]})")

vectors, values, inverse = mf.linalg.diagonalize(a)
print(f"eigenvalues {np.sort(values).round(12)}")

# %%
# In the basis of its eigenvectors the matrix is diagonal, and a power of it is a power of two numbers.
power = vectors @ np.diag(values**10) @ inverse
print(f"A^10 through the eigenvalues: {power.round().astype(int).tolist()}")
print(f"A^10 by multiplication:       {mf.linalg.matrix_power(a, 10).tolist()}")

# %%
# A shear has one direction only: there is no basis of eigenvectors, and no answer is invented.
try:
    mf.linalg.diagonalize([[1.0, 1.0], [0.0, 1.0]])
except np.linalg.LinAlgError as error:
    print(f"a shear: {error}")

# %%
# A rotation turns every real vector: its eigenvalues are complex.
print(f"a quarter turn: {mf.linalg.eig([[0.0, -1.0], [1.0, 0.0]]).eigenvalues}")

# %%
# Symmetric matrices have orthogonal eigenvectors: a hundred thousand of them at once.
stack = np.random.default_rng(0).standard_normal((100_000, 3, 3))
stack = stack + stack.swapaxes(1, 2)
values, vectors = mf.linalg.eigh(stack)
print(f"100000 symmetric matrices: V'V = I up to {np.abs(vectors.swapaxes(1, 2) @ vectors - np.eye(3)).max():.0e}")

# %%
# The picture: a circle of vectors and where the matrix sends them. Two directions stay what they are.
figure, axes = plt.subplots(figsize=(4.6, 4.2), layout="constrained")
m = np.array([[2.0, 1.0], [0.5, 1.5]])
vectors, values, _ = mf.linalg.diagonalize(m)
angle = np.linspace(0, 2 * np.pi, 25)
circle = np.stack([np.cos(angle), np.sin(angle)])
axes.plot(*circle, color="0.6")
axes.plot(*(m @ circle), color="black")
for start, end in zip(circle.T, (m @ circle).T, strict=True):
    axes.annotate("", end, start, arrowprops={"arrowstyle": "->", "color": "0.7"})
for vector, value in zip(vectors.T, values, strict=True):
    axes.plot(*np.outer(vector, [-value, value]), color="tab:orange", linewidth=3)
    axes.annotate(f"times {value:.2g}", value * vector, ha="left", va="bottom")
axes.set(title="a circle, and what the matrix makes of it", aspect="equal", xlabel="first number")
axes.set(ylabel="second number")
plt.show()
