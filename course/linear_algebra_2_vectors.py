"""
Linear algebra 2: vectors
=========================

A vector is a list of numbers that can be added and scaled: a house (rooms, area, price), a step across a field, a
photograph. Two questions lead to nearly everything that follows: how long is it, and how much of it points along
another one?
"""

# %%
# Length and angle
# ----------------
# One operation answers both questions, the inner product
#
# .. math:: x \cdot y = \sum_i x_i y_i, \qquad \lVert x \rVert = \sqrt{x \cdot x}, \qquad
#           \cos \theta = \frac{x \cdot y}{\lVert x \rVert \, \lVert y \rVert}.
import numpy as np

import mmlfast as mf

r, s = np.array([2.0, 1.5]), np.array([4.0, 0.0])
print("inner product:", mf.geometry.inner(r, s))
print("lengths:", mf.geometry.norm(r), mf.geometry.norm(s))
print("angle in degrees:", np.degrees(mf.geometry.angle(r, s)).round(2))

# %%
# How much of r points along s is the scalar projection; as a vector, it is the shadow of r on the line through s. What
# is left stands at right angles to s.
along = mf.geometry.scalar_projection(r, s)
shadow = mf.geometry.project(r, s[:, None])  # bases are columns
print("along s:", along, " shadow:", shadow, " rest times s:", mf.geometry.inner(r - shadow, s))

# %%
# The picture: r is the sum of its shadow on s and of a part at right angles to s.
import matplotlib.pyplot as plt

figure, axes = plt.subplots(figsize=(5, 3), layout="constrained")
arrow = {"angles": "xy", "scale_units": "xy", "scale": 1, "width": 0.008}
axes.quiver(0, 0, *s, color="0.6", **arrow)
axes.quiver(0, 0, *r, color="black", **arrow)
axes.quiver(0, 0, *shadow, color="tab:blue", **arrow)
axes.plot(*np.stack([shadow, r]).T, color="black", linestyle=":")
axes.text(4.1, 0.05, "s")
axes.text(2.05, 1.55, "r")
axes.text(0.3, -0.3, "shadow of r on s")
axes.set(xlim=(-0.3, 4.6), ylim=(-0.6, 2.0), aspect="equal", xlabel="first number", ylabel="second number")
axes.set_title("A vector is its shadow plus what is at right angles")
plt.show()

# %%
# Another basis
# -------------
# Numbers describe a vector only together with a basis. With orthogonal basis vectors, the coordinates are scalar
# projections; with any others they solve a system of equations. `change_of_basis` does both; the new basis vectors are
# columns.
basis = np.array([[1.0, 1.0], [1.0, -1.0]])
coordinates = mf.linalg.change_of_basis(r, basis)
print("r in the new basis:", coordinates)
assert np.allclose(basis @ coordinates, r)

# %%
# Are these vectors a basis at all? They are if none of them is a combination of the others.
candidates = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]])
print("independent columns:", mf.linalg.gram_schmidt(candidates).rank, "of 3")


# %%
# What usually goes wrong
# -----------------------
# - **The angle of a vector with itself is NaN.** The cosine of two equal vectors can be rounded to more than one, and
#   then has no arc cosine. Small angles lose half of their digits on the way. `angle` uses another formula.
# - **Bytes.** Differences of images of unsigned bytes wrap around: 3 - 5 is 254. Integers become float64 here.
# - **Rows or columns.** Points and samples are rows in this library, the vectors of a basis are columns.
def by_arc_cosine(x, y):
    with np.errstate(invalid="ignore"):
        return np.arccos(x @ y / (np.linalg.norm(x) * np.linalg.norm(y)))


x = np.array([0.6, 0.8, 0.1])
nearly = x + np.array([0, 0, 1e-9])
print("of x with itself, by the arc cosine:", by_arc_cosine(x, x), " here:", mf.geometry.angle(x, x))
print("a tiny angle, by the arc cosine:", by_arc_cosine(x, nearly), " here:", mf.geometry.angle(x, nearly))

# %%
# Exercises
# ---------
# 1. A plane heads with (200, 50) km/h through wind of (-20, 30). How fast is it over ground?
# 2. Which multiple of (1, 2) is nearest to (3, 1)?
# 3. What are the coordinates of (5, -1) in the basis of (1, 1) and (1, -1)?
# 4. Are (2, 1, 0), (0, 1, 1) and (4, -1, -3) independent?
#
# The answers, checked:
over_ground = mf.geometry.norm([200.0 - 20.0, 50.0 + 30.0])
assert np.isclose(over_ground, np.sqrt(38800))

nearest = mf.geometry.project(np.array([3.0, 1.0]), np.array([[1.0], [2.0]]), coordinates=True)
assert np.allclose(nearest, [1.0])

assert np.allclose(mf.linalg.change_of_basis(np.array([5.0, -1.0]), basis), [2.0, 3.0])

three = np.array([[2, 1, 0], [0, 1, 1], [4, -1, -3]]).T
assert mf.linalg.matrix_rank(three) == 2  # the third is 2 times the first minus 3 times the second
assert np.array_equal(three @ [2, -3, -1], [0, 0, 0])
print(f"1. {over_ground:.3f} km/h   2. {nearest[0]:.0f}   3. [2, 3]   4. no, the third is 2 first - 3 second")
