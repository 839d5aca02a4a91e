"""
The dominant eigenvector
========================

Where a process settles when it is repeated for ever.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.animation import FuncAnimation

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

# %%
# The picture: from wherever the people start, each year's move turns the vector a little further towards the dominant
# eigenvector, by the ratio of the two eigenvalues.
figure, axes = plt.subplots(figsize=(4.6, 4.2), layout="constrained")
starts = np.array([[1.0, 0.0], [0.7, 0.3], [0.05, 0.95]])
history = np.stack([starts @ mf.linalg.matrix_power(moves, year).T for year in range(0, 60, 2)])
axes.plot([0, shares[0]], [0, shares[1]], color="tab:orange", linewidth=4, label="dominant eigenvector")
arrows = [axes.plot([], [], "o-", color="black", linewidth=1.5)[0] for _ in starts]
axes.plot([0, 1], [1, 0], ":", color="0.6", label="all people together")
axes.set(xlabel="share in the city", ylabel="share in the country", xlim=(0, 1.02), ylim=(0, 1.02))
axes.legend(loc="upper right")


def draw(frame):
    """The three vectors after so many years."""
    for arrow, (city, country) in zip(arrows, history[frame], strict=True):
        arrow.set_data([0, city], [0, country])
    axes.set_title(f"after {2 * frame} years")


movie = FuncAnimation(figure, draw, frames=len(history), interval=200)
figure.canvas.draw()  # its first picture
plt.show()
