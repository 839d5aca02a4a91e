"""
Simultaneous equations, one set and a hundred thousand sets, by Gaussian elimination
====================================================================================
"""

import matplotlib.pyplot as plt
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

# %%
# The picture: each equation is a line, and the prices are where the lines of a shop cross. Those of shop 7 are one.
figure, axes = plt.subplots(1, 2, figsize=(7.4, 3.5), layout="constrained", sharey=True)
apple = np.array([0.0, 4.0])
for panel, shop in zip(axes, (0, 7), strict=True):
    for (apples, bananas), bill, style in zip(baskets[shop], bills[shop, :, 0], ["-", "--"], strict=True):
        panel.plot(apple, (bill - apples * apple) / bananas, style, color="black", linewidth=2)
    panel.set(xlabel="price of a kilogram of apples", ylim=(0, 4), xlim=(0, 4), title=f"shop {shop}")
axes[0].plot(*found[0], "o", color="tab:orange", markersize=10)
axes[0].annotate("both bills agree here", found[0, :, 0] + [0.15, 0.1])
axes[1].annotate("both bills agree\neverywhere on the line", (2, 3), ha="left")
axes[0].set_ylabel("price of a kilogram of bananas")
plt.show()
