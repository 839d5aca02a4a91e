"""
The dominant eigenvector
========================

Where a process settles when it is repeated for ever.
"""

import numpy as np

import mmlfast as mf

# %%
# Each year 5 % of the people in the city move to the country and 2 % of those in the country move to the city.
moves = np.array([[0.95, 0.02], [0.05, 0.98]])
result = mf.linalg.power_iteration(moves)
shares = result.vector / result.vector.sum()
print(f"in the long run {100 * shares[0]:.1f} % live in the city and {100 * shares[1]:.1f} % in the country")
print(f"eigenvalue {result.value:.12f}: the number of people does not change")
print(f"converged: {result.converged}, {result.n_iter} steps, norm(A v - value v) <= {result.residual:.0e}")

people = np.array([0.9, 0.1])
for year in range(1, 101):
    people = moves @ people
    if year in (1, 10, 100):
        print(f"after {year:>3} years: {100 * people[0]:.1f} % in the city")
