"""
A sandpit that can only be probed
=================================

Somewhere in a sandpit a phone is buried, where the sand is deepest. All that can be done is to push a stick into the
sand: how deep does it go here, and, if the hand is careful, which way does the ground slope? A game first, and then
what `minimize` makes of it.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.animation import FuncAnimation

from mmlfast.optimize import minimize


# %%
# The ground is a sum of hollows that nobody is shown. The stick may tremble: noise on request.
class Sandpit:
    """A ground of hollows, of which only probes are seen."""

    def __init__(self, seed, noise=0.0):
        self._rng = np.random.default_rng(seed)
        self._centres = self._rng.uniform(-2, 2, (5, 2))
        self._widths = self._rng.uniform(0.5, 1.3, 5)
        self._depths = self._rng.uniform(0.5, 1.0, 5)
        self._depths[0] = 1.6  # the phone lies here
        self._noise = noise
        self.probes = []

    def ground(self, x, y):
        """The height of the ground, for the one who draws the map in the end."""
        away = (x - self._centres[:, 0, None]) ** 2 + (y - self._centres[:, 1, None]) ** 2
        return -np.sum(self._depths[:, None] * np.exp(-away / self._widths[:, None] ** 2), axis=0)

    def probe(self, place):
        """Push the stick in: the height of the ground at a place."""
        height = self.ground(float(place[0]), float(place[1]))[0] + self._noise * self._rng.standard_normal()
        self.probes.append((*map(float, place), height))
        return height


# %%
# The game. In a window (``python sandpit.py``) or in a notebook (after ``%matplotlib widget``), click where to probe; a
# circle is the darker the deeper the stick went. After twelve probes the map is shown.
class Game:
    """Draws a sandpit, and probes where it is clicked."""

    def __init__(self, pit, tries=12):
        self.pit, self.tries = pit, tries
        self.figure, self.axes = plt.subplots(figsize=(5, 4.6))
        self.axes.set(xlim=(-3, 3), ylim=(-3, 3), aspect="equal", xlabel="x (metres)", ylabel="y (metres)")
        self.axes.set_title(f"{tries} probes: where is it deepest?")
        self.figure.canvas.mpl_connect("button_press_event", self.click)

    def click(self, event):
        """Probe where the mouse is."""
        if event.inaxes is self.axes and len(self.pit.probes) < self.tries:
            self.probe((event.xdata, event.ydata))

    def probe(self, place):
        """Probe, and draw what was found."""
        height = self.pit.probe(place)
        self.axes.scatter(*place, s=90, c=[height], cmap="gray", vmin=-2, vmax=0, edgecolors="black", zorder=3)
        self.axes.annotate(f"{height:.2f}", place, xytext=(7, 4), textcoords="offset points", fontsize="small")
        deepest = min(h for _, _, h in self.pit.probes)
        self.axes.set_title(f"probe {len(self.pit.probes)} of {self.tries}: deepest {deepest:.2f}")
        if len(self.pit.probes) == self.tries:
            self.show_map()
        self.figure.canvas.draw_idle()

    def show_map(self):
        """The ground itself, at the end."""
        side = np.linspace(-3, 3, 120)
        x, y = np.meshgrid(side, side)
        levels = self.axes.contour(x, y, self.pit.ground(x.ravel(), y.ravel()).reshape(x.shape), 12, cmap="cividis")
        self.axes.clabel(levels, fontsize="x-small")


game = Game(Sandpit(seed=3))

# %%
# Nobody clicks while this page is made: here a player walks down the slope that three neighbouring probes tell.
place, walk = np.array([-0.3, 1.6]), []
blind = Sandpit(seed=3)
for _ in range(4):
    here, right, up = (blind.probe(place + step) for step in ([0, 0], [0.1, 0], [0, 0.1]))
    walk += [tuple(p[:2]) for p in blind.probes[-3:]]
    place = place - 0.35 * np.array([right - here, up - here]) / 0.1


def draw(frame):
    """One probe more."""
    if frame < len(walk) and len(game.pit.probes) == frame:
        game.probe(walk[frame])


if plt.get_backend().lower() == "agg":
    movie = FuncAnimation(game.figure, draw, frames=len(walk) + 4, interval=500, repeat=False)
    game.figure.canvas.draw()  # its first picture
plt.show()

# %%
# `minimize` plays the same game. The sandpit is no formula that could be traced, so it differences probes, and says so.
# From one start it finds the hollow it is in; where to start is another question.
print("from here and there, with a careful hand")
for begin in ([-0.3, 1.6], [1.5, 1.5], [0.0, -1.5]):
    pit = Sandpit(seed=3)
    r = minimize(pit.probe, begin, method="bfgs")
    print(f"  from {begin}: {r.fun:.4f} at {r.x.round(3)}, {len(pit.probes)} probes, {r.derivatives}")

# %%
# A hand that trembles: differences of probes a hair apart are noise, and nothing is found; with twenty places probed at
# random first, the deepest of them is at least in the right hollow.
trembling = Sandpit(seed=3, noise=0.02)
places = np.random.default_rng(0).uniform(-2.5, 2.5, (20, 2))
best = min(places, key=trembling.probe)
careful = minimize(Sandpit(seed=3).probe, best, method="bfgs")
print(f"\nthe best of twenty trembling probes is at {best.round(2)}; the hollow there is {careful.fun:.4f} deep")
