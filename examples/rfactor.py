"""
Least squares, rank and singular values of a table that comes in pieces, without squaring its condition
=======================================================================================================
"""

import matplotlib.pyplot as plt
import numpy as np

import mmlfast as mf

rng = np.random.default_rng(0)

# %%
# A cubic through noisy points far from the origin: the columns 1, t, t^2, t^3 are nearly dependent.
t = np.linspace(10.0, 12.0, 30_000)
y = 2.0 - t + 0.5 * t**2 + 0.25 * t**3 + 1e-3 * rng.standard_normal(len(t))
rows = np.column_stack([np.ones_like(t), t, t**2, t**3, y])

# %%
# Four workers see a part each; their states are merged.
states = [mf.linalg.RFactor().update(part) for part in np.array_split(rows, 4)]
total = mf.linalg.RFactor()
for state in states:
    total.merge(state)
x, residuals = total.lstsq()
print(f"{total.count} rows; coefficients {np.round(x.ravel(), 1)}, noise {np.sqrt(residuals[0] / len(t)):.1e}")

# %%
# The smallest singular value is right; the square of it was lost in X'X.
design = mf.linalg.RFactor().update(rows[:, :4])
s = design.singular_values()
squares = np.linalg.eigvalsh(rows[:, :4].T @ rows[:, :4])
print(f"condition {s[0] / s[-1]:.1e}, rank {design.rank()}")
print(f"smallest singular value: from R {s[-1]:.6e}, from X'X {np.sqrt(abs(squares[0])):.6e}")

# %%
# The picture: the smallest singular value of 1, t, t^2, ... as powers are added: from R, and from X'X, which knows half
# as many digits.
counts = range(2, 9)
columns = t[:, None] ** np.arange(8)
smallest = [mf.linalg.RFactor().update(columns[:, :n]).singular_values()[-1] for n in counts]
squared = [np.linalg.eigvalsh(columns[:, :n].T @ columns[:, :n])[0] for n in counts]
figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
axes.semilogy(counts, smallest, "o-", color="black", label="from R")
axes.semilogy(counts, np.sqrt(np.abs(squared)), "x--", color="tab:orange", label="from X'X")
axes.set(xlabel="columns", ylabel="smallest singular value", title="30 000 rows in four parts")
axes.legend()
plt.show()
