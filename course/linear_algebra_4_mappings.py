"""
Linear algebra 4: matrices make mappings
========================================

A mapping does not care about coordinates, but its matrix does. With a good basis a hard mapping becomes an easy one,
and the best bases are made of vectors at right angles. This page makes such bases, and looks into a mirror with them.
"""

# %%
# Products by their indices
# -------------------------
# In index notation every product of this course is one rule: an index that appears twice is summed over.
#
# .. math:: (AB)_{ik} = \sum_j A_{ij} B_{jk}
import matplotlib.pyplot as plt
import numpy as np

import mmlfast as mf

rng = np.random.default_rng(0)
a, b = rng.normal(size=(2, 3)), rng.normal(size=(3, 4))
assert np.allclose(mf.linalg.einsum("ij,jk->ik", a, b), a @ b)

# %%
# With a letter more, the same line is a thousand products, and nothing has to be square.
many_a, many_b = rng.normal(size=(1000, 2, 3)), rng.normal(size=(1000, 3, 4))
products = mf.linalg.einsum("nij,njk->nik", many_a, many_b)
print("shape of a thousand products:", products.shape)
assert np.allclose(products[7], many_a[7] @ many_b[7])

# %%
# A mapping in another basis
# --------------------------
# What is a turn by 60 degrees for somebody whose axes are the columns of B? Translate to our axes, turn, translate
# back:
#
# .. math:: R' = B^{-1} R B.
turn = mf.linalg.rotation_matrix(np.radians(60))
basis = np.array([[2.0, 1.0], [1.0, 3.0]])
theirs = mf.linalg.change_of_basis(turn, basis, operator=True)
print("the turn in their numbers:\n", theirs.round(3))
assert np.allclose(theirs, np.linalg.inv(basis) @ turn @ basis)

# %%
# For an orthogonal basis the inverse is the transpose, so translating costs nothing and loses nothing.
#
# The Gram-Schmidt process
# ------------------------
# Take the vectors one after the other; subtract from each its shadow on those before; scale what is left to length one.
#
# .. math:: u_k = v_k - \sum_{j<k} (v_k \cdot q_j) \, q_j, \qquad q_k = u_k / \lVert u_k \rVert.
vectors = np.array([[1.0, 3.0, 5.0], [2.0, 1.0, 4.0], [2.0, 1.0, 1.0]])
basis, rank, orthogonality = mf.linalg.gram_schmidt(vectors)[:3]
print("rank", rank, " largest error of Q'Q:", f"{orthogonality:.0e}")
assert np.allclose(basis.T @ basis, np.eye(3), atol=1e-15)

# %%
# Textbooks subtract once. On vectors that nearly depend on each other, rounding then leaves shadows of shadows, and
# the result is not orthogonal at all. Subtracting twice cures it.
hilbert = 1 / (np.arange(1, 11)[:, None] + np.arange(10))
methods = ("cgs", "mgs", "cgs2", "householder")
errors = [mf.linalg.gram_schmidt(hilbert[:, :9], method=m).orthogonality for m in methods]
figure, axes = plt.subplots(figsize=(5.6, 3), layout="constrained")
names = ("classical, once", "modified, once", "classical, twice\n(the default)", "Householder's\nreflections")
axes.barh(names, errors, color=["0.7", "0.7", "black", "0.4"])
axes.set(xscale="log", xlim=(1e-17, 10), xlabel="norm of Q'Q - I: zero if all angles are right")
axes.set_title("Nine nearly dependent vectors")
axes.invert_yaxis()
plt.show()
assert errors[0] > 1e-2
assert errors[2] < 1e-14

# %%
# A bear in a mirror
# ------------------
# A mirror in space is a plane, given by two vectors in it. In the basis of the mirror, made orthogonal, reflecting is
# trivial: what lies in the plane stays, what stands on it changes its sign, T = diag(1, 1, -1). In our axes it is E T
# E'.
mirror = np.array([[1.0, 0.0], [0.0, 1.0], [0.6, -0.2]])
normal = mf.linalg.null_space(mirror.T)
e = np.concatenate([mf.linalg.gram_schmidt(mirror).basis, normal], axis=1)
reflection = e @ np.diag([1.0, 1.0, -1.0]) @ e.T
assert np.allclose(reflection, mf.linalg.reflection_matrix(basis=mirror))
assert np.allclose(reflection @ reflection, np.eye(3))

# %%
# In the plane the mirror is a line, and a drawing can be seen in it. NaN between two outlines lifts the pen.
angle = np.linspace(0, 2 * np.pi, 60)


def circle(x, y, r):
    return np.stack([x + r * np.cos(angle), y + r * np.sin(angle)], axis=1)


lift = np.full((1, 2), np.nan)
outlines = [circle(1, 2.4, 0.9), circle(0.35, 3.2, 0.3), circle(1.65, 3.2, 0.3), circle(0.7, 2.6, 0.1)]
outlines += [circle(1.3, 2.6, 0.1), circle(1, 2.15, 0.25)]
bear = np.concatenate([part for outline in outlines for part in (outline, lift)])
line = np.array([[1.0], [0.45]])
seen = mf.linalg.transform(bear, mf.linalg.reflection_matrix(basis=line))
figure, axes = plt.subplots(figsize=(5.4, 4), layout="constrained")
axes.plot(*bear.T, color="black")
axes.plot(*seen.T, color="tab:blue")
axes.plot([-0.5, 4.6], [-0.225, 2.07], color="0.6", linestyle="--")
axes.text(3.3, 1.7, "mirror")
axes.text(1.1, 3.6, "bear")
axes.text(3.2, 0.4, "in the mirror", color="tab:blue")
axes.set(aspect="equal", xlabel="first coordinate", ylabel="second coordinate", ylim=(-2.6, 4))
plt.show()

# %%
# What usually goes wrong
# -----------------------
# - **A mirror through dependent vectors.** The formula gives a projection, silently; `reflection_matrix` raises.
# - **An absolute threshold for "this vector is zero".** The same vectors times a million have another rank then. Here
#   every vector is measured by its own length.
# - **B R B^-1 or B^-1 R B?** Columns of B are the new basis vectors in our numbers; so B translates from theirs to
#   ours, and stands on the right of R.
assert mf.linalg.gram_schmidt(1e6 * vectors).rank == mf.linalg.gram_schmidt(1e-6 * vectors).rank == 3

# %%
# Exercises
# ---------
# 1. Make (1, 1, 0), (1, 0, 1) orthonormal by hand, then check.
# 2. What does reflecting twice, in two mirrors at an angle of t, do?
# 3. Which matrix reflects in the line along (3, 4)?
# 4. What is the trace of A B, in index notation?
#
# The answers, checked:
by_hand = np.array([[1, 1, 0] / np.sqrt(2), [1, -1, 2] / np.sqrt(6)]).T
assert np.allclose(mf.linalg.gram_schmidt(np.array([[1.0, 1.0], [1.0, 0.0], [0.0, 1.0]])).basis, by_hand)

t = 0.4
first = mf.linalg.reflection_matrix(basis=[[1.0], [0.0]])
second = mf.linalg.reflection_matrix(basis=[[np.cos(t)], [np.sin(t)]])
assert np.allclose(second @ first, mf.linalg.rotation_matrix(2 * t))
assert np.allclose(mf.linalg.reflection_matrix(basis=[[3.0], [4.0]]), np.array([[-7, 24], [24, 7]]) / 25)
square = rng.normal(size=(2, 3, 3))
assert np.isclose(mf.linalg.einsum("ij,ji->", *square), np.trace(square[0] @ square[1]))
print("2. it turns by 2 t   3. [[-7, 24], [24, 7]] / 25   4. the sum over i and j of A_ij B_ji")
