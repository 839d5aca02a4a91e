"""
Vectors that a matrix only stretches
====================================

Characteristic polynomial, eigenvectors, diagonalisation, powers.
"""

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
