"""
Linear algebra 1: problems that are vectors
===========================================

Two kinds of questions run through all of machine learning. *Which numbers satisfy these equations?* And *which
numbers come closest, when nothing satisfies all of them?* Linear algebra answers both, and this page shows what an
answer looks like.
"""

# %%
# Prices from two baskets
# -----------------------
# Three apples and two bananas cost 7, one apple and four bananas cost 9. As a matrix, every row is a basket:
#
# .. math:: \begin{pmatrix} 3 & 2 \\ 1 & 4 \end{pmatrix}
#           \begin{pmatrix} a \\ b \end{pmatrix} = \begin{pmatrix} 7 \\ 9 \end{pmatrix}
import numpy as np

import mmlfast as mf

baskets = np.array([[3, 2], [1, 4]])
paid = np.array([7, 9])
prices = mf.linalg.solve(baskets, paid)
print("apple, banana:", prices)
assert np.allclose(baskets @ prices, paid)

# %%
# Each equation is a line of pairs of prices that would explain one basket; the answer is where the lines cross.
import matplotlib.pyplot as plt

apple = np.linspace(0, 2, 50)
figure, axes = plt.subplots(figsize=(5, 3.6), layout="constrained")
axes.plot(apple, (7 - 3 * apple) / 2, color="black")
axes.plot(apple, (9 - apple) / 4, color="black", linestyle="--")
axes.plot(*prices, "o", color="tab:blue", markersize=9)
axes.text(0.1, 3.5, "3 a + 2 b = 7")
axes.text(1.45, 2.0, "a + 4 b = 9")
axes.text(prices[0] + 0.06, prices[1] + 0.15, "both")
axes.set(xlim=(0, 2), ylim=(0, 4.5), xlabel="price of an apple", ylabel="price of a banana")
axes.set_title("Two equations are two lines")
plt.show()

# %%
# A thousand shops at once
# ------------------------
# Nobody has one system. All functions here take stacks: the leading axes count the problems.
rng = np.random.default_rng(1)
all_baskets = rng.integers(1, 10, (1000, 2, 2)) + 10 * np.eye(2, dtype=int)
all_prices = rng.uniform(0.5, 3, (1000, 2, 1))
found = mf.linalg.solve(all_baskets, all_baskets @ all_prices)
print("largest error of 1000 shops:", np.abs(found - all_prices).max())
assert np.allclose(found, all_prices)

# %%
# When nothing fits exactly
# -------------------------
# With more baskets than fruits and prices that change a little from day to day no pair of prices explains everything.
# The pair that comes closest has the smallest sum of squares of what is left unexplained, and `lstsq` finds it:
#
# .. math:: \min_p \; \lVert B p - c \rVert^2.
many = rng.integers(0, 12, (40, 2))
cost = many @ [1.1, 2.0] + rng.normal(0, 0.5, 40)
best = mf.linalg.lstsq(many, cost).x
print("closest prices:", best.round(2))
assert np.abs(best - [1.1, 2.0]).max() < 0.1

# %%
# The same question with curves: which bell fits these heights best? Then the equations are not lines any more, and
# calculus takes a step downhill at a time (the second course). The vectors stay: the parameters of a bell are one,
# and so is the slope of the error.
heights = np.array([[150, 2], [160, 11], [170, 24], [180, 15], [190, 4]], float)


def misfit(p):
    """Half the sum of squares between the counts and a bell with mean p[0] and width p[1]."""
    bell = 10 * 56 * np.exp(-0.5 * ((heights[:, 0] - p[0]) / p[1]) ** 2) / (p[1] * np.sqrt(2 * np.pi))
    return np.sum((heights[:, 1] - bell) ** 2) / 2


slope = mf.autodiff.grad(misfit)
p = np.array([165.0, 12.0])
for _ in range(200):
    p = p - 0.02 * slope(p)
print("mean and width:", p.round(1), " slope there:", np.abs(slope(p)).max().round(6))
assert np.abs(slope(p)).max() < 1e-3

# %%
# What usually goes wrong
# -----------------------
# - **Equations that say the same thing twice.** (2, 4) and (1, 2) are one basket. For whole numbers `solve` raises, and
#   `is_singular` tells exactly; for measured numbers the condition number tells how many digits are left.
# - **A determinant that is nearly zero is no test.** It changes with the units. Ask `is_singular`, or `cond`.
# - **The inverse to solve one system.** It takes three times as long and loses digits: `solve` does not form it.
print("same basket twice:", mf.linalg.is_singular(np.array([[2, 4], [1, 2]])))
tiny = 1e-8 * baskets
print("determinant", mf.linalg.det(tiny), "but singular:", mf.linalg.is_singular(tiny))
assert not mf.linalg.is_singular(tiny)

# %%
# Exercises
# ---------
# 1. Two adults and three children pay 54, one adult and five children 55. What is a ticket?
# 2. Why has x + 2 y = 3, 2 x + 4 y = 7 no answer? What does `lstsq` say?
# 3. A line through (0, 1), (1, 3), (2, 4): which slope comes closest?
#
# The answers, checked:
tickets = mf.linalg.solve(np.array([[2, 3], [1, 5]]), np.array([54, 55]))
assert np.allclose(tickets, [15, 8])

same = np.array([[1, 2], [2, 4]])
assert mf.linalg.is_singular(same)
nearest = mf.linalg.lstsq(same, np.array([3, 7])).x
assert np.isclose(nearest @ [1, 2], (3 + 2 * 7) / 5)  # the left sides are (t, 2 t): closest to (3, 7) at t = 17/5

line = mf.linalg.lstsq(np.array([[0, 1], [1, 1], [2, 1]]), np.array([1, 3, 4])).x
assert np.allclose(line, [1.5, 7 / 6])
print(f"1. adult {tickets[0]:.0f}, child {tickets[1]:.0f}   2. parallel lines   3. slope {line[0]:.1f}")
