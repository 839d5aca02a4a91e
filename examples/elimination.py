"""
Simultaneous equations, one set and a hundred thousand sets, by Gaussian elimination
====================================================================================
"""

import numpy as np

import mmlfast as mf

# %%
# 2 apples and 3 bananas cost 8, 10 apples and 1 banana cost 13: what does each cost?
prices = mf.linalg.solve([[2, 3], [10, 1]], [8, 13])
print(f"an apple costs {prices[0]:.2f}, a banana {prices[1]:.2f}")

# %%
# The same question in 100 000 shops at once, by weight: one call, each shop with its own equations.
rng = np.random.default_rng(0)
baskets = rng.uniform(1.0, 10.0, size=(100_000, 2, 2))
true_prices = rng.uniform(0.5, 3.0, size=(100_000, 2, 1))
baskets[7, 1] = 2 * baskets[7, 0]  # twice the same mixture: the second basket of this shop tells nothing new
bills = baskets @ true_prices
try:
    mf.linalg.solve(baskets, bills)
except np.linalg.LinAlgError as error:
    print(f"refused: {error}")

found = mf.linalg.solve(baskets, bills, errors="nan")
solved = ~np.isnan(found).any(axis=(1, 2))
print(f"{solved.sum()} shops have an answer, the largest error is {np.abs(found - true_prices)[solved].max():.0e}")
print(f"the determinant of shop 7 is {mf.linalg.det(baskets[7])}")
