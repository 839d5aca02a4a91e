"""
Apples and bananas
==================

Simultaneous equations by elimination, step by step.
"""

import matplotlib.pyplot as plt
import numpy as np

import mmlfast as mf

# %%
# Three shopping trips: how many apples, bananas and carrots were bought, and what was paid.
bought = np.array([[1, 1, 3], [1, 2, 4], [1, 1, 2]])
paid = np.array([15, 21, 13])

# %%
# The augmented matrix in reduced row echelon form shows the answer in its last column. Integers are worked on exactly.
echelon = mf.linalg.row_echelon(np.column_stack([bought, paid]))
print("reduced row echelon form of [A | b]:")
print(echelon.form)
print(f"rank {echelon.rank}: one price for each kind")
print(f"prices: {mf.linalg.solve(bought, paid).round(12)}")

# %%
# The same elimination as a product of matrices: rows exchanged, lower times upper triangle.
p, lower, u = mf.linalg.lu(bought.astype(float))
print(f"P L U gives A back: {np.array_equal(p @ lower @ u, bought)}; the pivots are {np.diag(u)}")

# %%
# The inverse undoes the purchase for any payment; the determinant is how much it scales volume.
undo = mf.linalg.inv(bought)
print(f"inverse times payment: {(undo @ paid).round(12)}; determinant {mf.linalg.det(bought)}")

# %%
# A trip that repeats another one tells nothing new: the system has no single solution any more.
again = np.array([[1, 1, 3], [1, 2, 4], [2, 3, 7]])
print(f"third trip = first + second: singular: {mf.linalg.is_singular(again)}, determinant {mf.linalg.det(again)}")
print(f"prices that cannot be told apart differ by multiples of {mf.linalg.null_space(again).ravel()}")

# %%
# The picture: [A | b] before and after. Each row of the echelon form says one price.
figure, panels = plt.subplots(1, 2, figsize=(7, 2.8), layout="constrained")
tables = (np.column_stack([bought, paid]), echelon.form)
for panel, table, title in zip(panels, tables, ("three bills", "reduced row echelon form"), strict=True):
    panel.imshow(table != 0, cmap="Greys", vmax=4)
    for (row, column), entry in np.ndenumerate(table):
        panel.text(column, row, f"{entry:g}", ha="center", va="center", fontsize=13)
    panel.axvline(2.5, color="black")
    panel.set_xticks(range(4), ["apples", "bananas", "carrots", "paid"])
    panel.set(title=title, yticks=[])
plt.show()
