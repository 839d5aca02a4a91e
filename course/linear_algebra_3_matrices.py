"""
Linear algebra 3: matrices
==========================

A matrix moves space: it turns, stretches, shears and mirrors it, and keeps straight lines straight. Its columns say
where the basis vectors go, and everything else follows from that.
"""

# %%
# What a matrix does to a drawing
# -------------------------------
# Points are rows, so a drawing is a table with two columns; `transform` sends every point through the matrix,
#
# .. math:: r' = A r.
import matplotlib.pyplot as plt
import numpy as np

import mmlfast as mf

house = np.array([[0, 0], [2, 0], [2, 1.4], [1, 2.2], [0, 1.4], [0, 0], [2, 1.4], [0, 1.4]], float)
matrices = {
    "as it is": np.eye(2),
    "turned by 30 degrees": mf.linalg.rotation_matrix(np.radians(30)),
    "stretched": np.diag([1.5, 0.5]),
    "sheared": np.array([[1.0, 0.8], [0.0, 1.0]]),
    "mirrored": mf.linalg.reflection_matrix(basis=[[1.0], [1.0]]),
    "flattened": np.array([[1.0, 0.5], [0.5, 0.25]]),
}
figure, all_axes = plt.subplots(2, 3, figsize=(8, 5), layout="constrained", sharex=True, sharey=True)
for axes, (name, matrix) in zip(all_axes.flat, matrices.items(), strict=True):
    axes.plot(*house.T, color="0.75")
    axes.plot(*mf.linalg.transform(house, matrix).T, color="black")
    axes.set(aspect="equal", title=f"{name}\ndet = {mf.linalg.det(matrix):.2f}", xlim=(-1.6, 3.6), ylim=(-1.2, 3.4))
figure.supxlabel("first coordinate")
figure.supylabel("second coordinate")
plt.show()

# %%
# The determinant is the factor by which areas grow; it is negative when the drawing is mirrored, and zero when it is
# flattened to a line. From a line there is no way back, so such a matrix has no inverse.
for name, matrix in matrices.items():
    image = mf.linalg.transform(house[:6], matrix)
    x, y = image.T
    area = (x[:-1] @ y[1:] - x[1:] @ y[:-1]) / 2
    assert np.isclose(area, mf.linalg.det(matrix) * 3.6), name

# %%
# One move after another is a product, and the first one stands on the right. The order matters.
turn, shear = matrices["turned by 30 degrees"], matrices["sheared"]
print("turn, then shear:\n", mf.linalg.matmul(shear, turn).round(3))
print("shear, then turn:\n", mf.linalg.matmul(turn, shear).round(3))

# %%
# Solving by elimination
# ----------------------
# Subtract rows from rows until each equation has one unknown less than the one before: an echelon form. From there, one
# unknown after the other is read off. For whole numbers every step is exact here.
equations = np.array([[2, 1, 1, 9], [1, 3, 2, 17], [1, 0, 2, 11]])
print(mf.linalg.row_echelon(equations, reduced=False).form)
reduced = mf.linalg.row_echelon(equations)
print(reduced.form)
assert np.array_equal(reduced.form[:, 3], mf.linalg.solve(equations[:, :3], equations[:, 3]))

# %%
# Elimination is a product, too: P L U. Once it is known, new right-hand sides are cheap. The inverse solves all at
# once.
order, lower, upper = mf.linalg.lu(equations[:, :3].astype(float))
assert np.allclose(order @ lower @ upper, equations[:, :3])
assert np.allclose(mf.linalg.inv(equations[:, :3]) @ equations[:, 3], reduced.form[:, 3])

# %%
# Special matrices
# ----------------
# Which combination makes a matrix singular? Its echelon form shows it: a column without a pivot is a combination of the
# columns before it, with the numbers that stand there as the coefficients.
special = np.array([[1, 2, 5], [3, 1, 5], [2, -1, 0]])
echelon = mf.linalg.row_echelon(special)
form = echelon.form
print("rank", echelon.rank, " third column =", form[0, 2], "* first +", form[1, 2], "* second")
assert mf.linalg.is_singular(special)
assert np.array_equal(special @ [form[0, 2], form[1, 2], -1], [0, 0, 0])

# %%
# What usually goes wrong
# -----------------------
# - **A pivot of rounding error.** In floating point the last pivot of this singular matrix is not zero but 1e-17, and
#   an elimination that tests for zero calls it regular. `is_singular` asks whether a singular matrix is within
#   rounding.
# - **A pivot of zero with a way out.** [[0, 1], [1, 0]] is a fine matrix; elimination has to exchange rows.
# - **A drawing with points in columns.** With two or three points nobody can tell, and rows are meant: transpose it.
decimal = np.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6], [0.7, 0.8, 0.9]])
print("determinant by NumPy:", np.linalg.det(decimal), " singular:", mf.linalg.is_singular(decimal))
assert mf.linalg.is_singular(decimal)

# %%
# Exercises
# ---------
# 1. Which matrix doubles all lengths and turns by 90 degrees?
# 2. What is the determinant of a product?
# 3. For which k is [[1, 2], [3, k]] singular?
# 4. Find the inverse of [[2, 1], [5, 3]] and check it.
#
# The answers, checked:
double = 2 * mf.linalg.rotation_matrix(np.pi / 2)
assert np.allclose(double, [[0, -2], [2, 0]])
assert np.isclose(mf.linalg.det(shear @ double), mf.linalg.det(shear) * mf.linalg.det(double))
assert [k for k in range(-9, 10) if mf.linalg.is_singular(np.array([[1, 2], [3, k]]))] == [6]
assert np.array_equal(mf.linalg.inv(np.array([[2, 1], [5, 3]])), [[3, -1], [-5, 2]])
print("1. [[0, -2], [2, 0]]   2. the product of the determinants   3. k = 6   4. [[3, -1], [-5, 2]]")
