"""
Linear algebra 5: eigenvectors
==============================

Most vectors change their direction when a matrix acts on them. Those that do not are its eigenvectors, and the
factors by which they grow are its eigenvalues. They say what the matrix does when it acts again and again, and which
page of the web is looked at most.
"""

# %%
# Directions that stay
# --------------------
# .. math:: A x = \lambda x
import matplotlib.pyplot as plt
import numpy as np

import mmlfast as mf

a = np.array([[2.0, 1.0], [1.0, 2.0]])
values, vectors = mf.linalg.eigh(a)
print("eigenvalues:", values)
assert np.allclose(a @ vectors, vectors * values)

# %%
# In the picture each arrow is joined to where the matrix takes it. Two directions only grow.
angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
before = np.stack([np.cos(angles), np.sin(angles)], axis=1)
after = mf.linalg.transform(before, a)
figure, axes = plt.subplots(figsize=(4.6, 4.4), layout="constrained")
for x, y in zip(before, after, strict=True):
    axes.plot(*np.stack([x, y]).T, color="0.75", zorder=1)
axes.plot(*before.T, ".", color="0.4")
axes.plot(*after.T, ".", color="black")
for value, v in zip(values, vectors.T, strict=True):
    axes.plot(*np.outer(v, [-3.3, 3.3]), color="tab:blue", linestyle="--", zorder=0)
    axes.text(*(v * 2.2 * np.sign(v[1]) + [0.1, 0.15]), f"grows {value:.0f}-fold", color="tab:blue")
axes.set(aspect="equal", xlabel="first coordinate", ylabel="second coordinate", title="Where a matrix takes a circle")
plt.show()

# %%
# The eigenvalues are the roots of the characteristic polynomial det(A - x I); for two rows that is solved by hand.
# For more rows it is a good way to understand them and a bad way to compute them.
print("x^2 - trace x + det:", mf.linalg.characteristic_polynomial(np.array([[2, 1], [1, 2]])))

# %%
# A change to the basis of eigenvectors makes the matrix diagonal, and its powers easy:
#
# .. math:: A = C D C^{-1}, \qquad A^n = C D^n C^{-1}.
d, c = mf.linalg.diagonalize(np.array([[0.9, 0.2], [0.1, 0.8]]))[:2]
moved = np.array([[0.9, 0.2], [0.1, 0.8]])  # each year one in ten leaves the city, two in ten of the country come
print("after 30 years:", (mf.linalg.matrix_power(moved, 30) @ [0.3, 0.7]).round(4))
assert np.allclose(mf.linalg.matrix_power(moved, 30) @ [0.3, 0.7], [2 / 3, 1 / 3], atol=1e-4)

# %%
# Multiply by the matrix again and again, and the direction that grows most is what is left. That is power iteration,
# and it needs nothing but products.
answer = mf.linalg.power_iteration(moved)
print("in the long run:", (answer.vector / answer.vector.sum()).round(4), " after", answer.n_iter, "products")
assert answer.converged

# %%
# PageRank
# --------
# A reader follows links at random. Where is he most of the time? Column j of L says where page j leads, so L r is
# where he is a step later, and the answer is the eigenvector L r = r. In 15 of 100 steps he jumps to any page, so
# that no corner of the web can keep him:
#
# .. math:: M = d \, L + \frac{1 - d}{n} J, \qquad d = 0.85.
names = ["a", "b", "c", "d", "e", "f"]
links = np.array(  # from the row to the column
    [
        [0, 1, 1, 0, 0, 0],
        [1, 0, 1, 1, 0, 0],
        [0, 1, 0, 0, 0, 0],
        [0, 0, 0, 0, 1, 0],
        [0, 0, 0, 1, 0, 1],
        [0, 0, 0, 1, 1, 0],
    ]
)
scores = mf.graph.pagerank(links)
columns = (links / links.sum(axis=1, keepdims=True)).T
m = 0.85 * columns + 0.15 / 6
by_power = mf.linalg.power_iteration(m).vector
assert np.allclose(by_power / by_power.sum(), scores)

dampings = np.linspace(0, 1, 41)
ranks = np.array([mf.graph.pagerank(links, damping=x) for x in dampings])
figure, axes = plt.subplots(figsize=(6, 3.8), layout="constrained")
for name, line, style in zip(names, ranks.T, ["-", "-", "-", "--", "--", "--"], strict=True):
    axes.plot(dampings, line, color="black" if style == "-" else "tab:blue", linestyle=style)
    axes.annotate(name, (0.6, line[24]), textcoords="offset points", xytext=(0, 3))
axes.set(xlabel="damping: how often a link is followed", ylabel="share of time", xlim=(0, 1), ylim=(0, None))
axes.set_title("Without jumps, the pages d, e, f keep the reader for ever")
plt.show()

# %%
# What usually goes wrong
# -----------------------
# - **Rows or columns.** `pagerank` takes links from the row to the column. A matrix whose columns sum to one is
#   passed as its transpose; without it, the web with all links turned round is ranked, and nothing complains.
# - **The sign of an eigenvector** is anybody's choice: v and -v are the same direction. The order of the eigenvalues
#   is a convention too: `eigh` ascends, `power_iteration`, `svd` and `PCA` descend.
# - **A matrix without a basis of eigenvectors**, such as a shear: `diagonalize` refuses; `eig` alone would return two
#   copies of one vector.
# - **A change per step is not an error.** An iteration that moves slowly looks as if it had arrived. `pagerank` stops
#   when the error of the answer is certified to be small.
shear = np.array([[1.0, 1.0], [0.0, 1.0]])
try:
    mf.linalg.diagonalize(shear)
    raise AssertionError
except np.linalg.LinAlgError as error:
    print("diagonalize:", str(error)[:80])

# %%
# Exercises
# ---------
# 1. What are the eigenvalues of a mirror?
# 2. The Fibonacci numbers are powers of [[1, 1], [1, 0]]: find the 90th exactly, and what two neighbours' ratio tends
#    to.
# 3. In the web above, add a link from f to a: who gains most?
#
# The answers, checked:
assert np.allclose(mf.linalg.eigvalsh(mf.linalg.reflection_matrix([1.0, 2.0])), [-1, 1])
fibonacci = mf.linalg.matrix_power(np.array([[1, 1], [1, 0]]), 90)
assert fibonacci[0, 1] == 2880067194370816120
assert np.isclose(mf.linalg.eigvalsh(np.array([[1.0, 1.0], [1.0, 0.0]]))[1], (1 + np.sqrt(5)) / 2)
more = links.copy()
more[5, 0] = 1
gain = mf.graph.pagerank(more) - scores
print("1. -1 and 1   2.", fibonacci[0, 1], "and the golden ratio   3.", names[int(gain.argmax())])
assert gain.argmax() in (0, 1, 2)
