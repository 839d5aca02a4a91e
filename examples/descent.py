"""
Descent in a sandpit
====================

Ways down from one start: steepest descent, momentum, BFGS and Newton's method. And a sandpit that can only be probed:
whose depth at a place can be asked for, but not its formula.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.animation import FuncAnimation

from mmlfast.optimize import gradient_descent, minimize


# %%
# A curved valley. All start at the same place, and each keeps its path.
def valley(v):
    return (1 - v[0]) ** 2 + 20 * (v[1] - v[0] ** 2) ** 2


start = [-1.2, 1.0]
all_x = {"return_all": True}
runs = {
    "steepest descent": gradient_descent(valley, start, learning_rate=0.004, max_iter=20_000, path=True),
    "momentum": gradient_descent(valley, start, learning_rate=0.004, momentum=0.9, max_iter=20_000, path=True),
    "Nesterov": gradient_descent(
        valley, start, learning_rate=0.004, momentum=0.9, nesterov=True, max_iter=20_000, path=True
    ),
    "backtracking": gradient_descent(valley, start, line_search="backtracking", max_iter=20_000, path=True),
    "BFGS": minimize(valley, start, method="bfgs", options=all_x),
    "Newton": minimize(valley, start, method="newton", options=all_x),
}
for name, r in runs.items():
    assert r.success
    print(f"{name:17}: {r.nit:5} steps to {r.x.round(6)}")

figure, axes = plt.subplots(figsize=(7, 5))
x, y = np.meshgrid(np.linspace(-1.7, 1.5, 200), np.linspace(-0.7, 1.9, 200))
axes.contour(x, y, valley([x, y]), np.logspace(-1.5, 2.2, 16), cmap="cividis", linewidths=0.7)
for name, r in runs.items():
    points = r.path if "path" in r else np.array(r.allvecs)
    axes.plot(*points.T, ".-", markersize=4, linewidth=1, label=f"{name}, {r.nit}")
axes.legend()
axes.set(
    xlabel="first variable", ylabel="second variable", title="ways down a curved valley, and their numbers of steps"
)

# %%
# The same in motion, a step of each way to a picture at first, then more and more: who is where after so many steps?
figure, axes = plt.subplots(figsize=(6, 4.2), dpi=70, layout="constrained")
axes.contour(x, y, valley([x, y]), np.logspace(-1.5, 2.2, 16), cmap="gray", linewidths=0.5)
paths = {name: r.path if "path" in r else np.array(r.allvecs) for name, r in runs.items()}
walkers = {
    name: axes.plot([], [], marker + "-", markersize=8, markevery=[-1], linewidth=1, label=name)[0]
    for name, marker in zip(paths, "os^vDX", strict=True)
}
axes.set(xlabel="first variable", ylabel="second variable")
axes.legend(loc="upper right", fontsize="small")
steps = np.unique(np.logspace(0, np.log10(4000), 30).astype(int))


def draw(frame):
    """Each way as far as it is after so many steps."""
    for name, walker in walkers.items():
        walker.set_data(*paths[name][: steps[frame] + 1].T)
    axes.set_title(f"after {steps[frame]} steps")


movie = FuncAnimation(figure, draw, frames=len(steps), interval=200)
figure.canvas.draw()  # its first picture
plt.show()


# %%
# What the rate does: two hundred steps of steepest descent, from too short to nearly too long.
figure, axes = plt.subplots(figsize=(6, 4.2), dpi=70, layout="constrained")
rates = np.linspace(0.0002, 0.0046, 23)
ways = [gradient_descent(valley, start, learning_rate=rate, max_iter=200, path=True).path for rate in rates]


def draw_rate(frame):
    """The way with that rate."""
    axes.clear()
    axes.contour(x, y, valley([x, y]), np.logspace(-1.5, 2.2, 16), cmap="gray", linewidths=0.5)
    axes.plot(*ways[frame].T, "o-", color="tab:orange", markersize=3)
    axes.set(xlabel="first variable", ylabel="second variable", xlim=(-1.7, 1.5), ylim=(-0.7, 1.9))
    axes.set_title(f"rate {rates[frame]:.4f}: {valley(ways[frame][-1]):.3f} above the bottom after 200 steps")


film = FuncAnimation(figure, draw_rate, frames=len(rates), interval=300)
figure.canvas.draw()  # its first picture
plt.show()


# %%
# In a notebook: what rate and momentum do to the way.
def show(learning_rate=0.004, momentum=0.9, steps=200):
    """The way from the start, and where it is after so many steps."""
    path = gradient_descent(
        valley, start, learning_rate=learning_rate, momentum=momentum, max_iter=steps, path=True
    ).path
    plt.figure(figsize=(6, 4.2))
    plt.contour(x, y, valley([x, y]), np.logspace(-1.5, 2.2, 16), cmap="gray", linewidths=0.5)
    plt.plot(*path.T, "o-", color="tab:orange", markersize=3)
    plt.axis([-1.7, 1.5, -0.7, 1.9])
    plt.title(f"after {len(path) - 1} steps: {valley(path[-1]):.2e} above the bottom")
    plt.show()


if "get_ipython" in globals():
    from ipywidgets import interact_manual

    interact_manual(show, learning_rate=(0.0005, 0.012, 0.0005), momentum=(0.0, 0.99, 0.01), steps=(1, 1000))

# %%
# Short steps are not convergence: a rate that is too small, and one that is too large, are told.
for rate in (1e-7, 0.02):
    r = gradient_descent(valley, start, learning_rate=rate, max_iter=1000)
    print(f"\nrate {rate}: {r.message}")

# %%
# The plane of rate and momentum: 40 000 runs as one call.
r = gradient_descent(
    valley,
    start,
    learning_rate=np.linspace(1e-4, 0.012, 200)[:, np.newaxis],
    momentum=np.linspace(0, 0.99, 200),
    max_iter=2000,
)
best = np.unravel_index(int(np.argmin(np.where(r.success, r.nit, 2001))), r.nit.shape)
print(f"\n{r.message}")
print(f"the fastest of them takes {r.nit[best]} steps")


# %%
# The sandpit: somebody else's code, with branches and a grain of its own; it cannot be traced. Derivatives are then
# finite differences, and the result says so.
class Sandpit:
    """Counts how often it is probed."""

    def __init__(self):
        self.probes = 0

    def depth(self, place):
        self.probes += 1
        x, y = float(place[0]), float(place[1])
        if x * x + y * y > 25:  # the rim
            return 0.02 * (x * x + y * y) - 0.5
        deep = 2 * np.exp(-((x - 1.1) ** 2) - (y - 0.8) ** 2)
        shallow = 1.4 * np.exp(-2 * (x + 1) ** 2 - 2 * (y + 0.9) ** 2)
        return -deep - shallow + 0.02 * (x * x + y * y)


print("\nthe sandpit, from two places")
for begin in ([0.4, 0.2], [-0.6, -0.5]):
    for method in ("gd", "newton", None):
        pit = Sandpit()
        r = minimize(pit.depth, begin, method=method)
        name = {"gd": "descent", "newton": "Newton", None: "hybrid"}[method]
        print(
            f"  {name:8} from {begin}: depth {r.fun:.6f} at {r.x.round(4)} after {pit.probes} probes, {r.derivatives}"
        )

# %%
# Descent finds the hollow that it is in. Where to start is another question: many starts are cheap, on a sand model.
model = Sandpit()
starts = np.random.default_rng(1).uniform(-3, 3, (20, 2))
ends = [minimize(model.depth, s, method="bfgs") for s in starts]
lowest = min(ends, key=lambda r: r.fun)
print(f"the lowest of {len(starts)} starts: {lowest.fun:.6f} at {lowest.x.round(4)}")
