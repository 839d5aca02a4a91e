"""
A small network learns exclusive or, which no single layer can, by backpropagation
==================================================================================
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.animation import FuncAnimation

import mmlfast as mf

x = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
y = np.array([[0.0], [1.0], [1.0], [0.0]])
network = mf.neural_network.Network([2, 8, 1], activation="tanh", output="logistic", seed=1)

# %%
# The gradient is the slope of the loss: move one weight a little and see.
(dw, db), *_ = network.gradients(x, y)
before = network.loss(x, y)
weights = network.weights[0].copy()
weights[0, 0] += 1e-6
network.weights[0] = weights
print(f"slope for one weight: {dw[0, 0]:.6f} by backprop, {(network.loss(x, y) - before) / 1e-6:.6f} by moving it")

losses = network.fit(x, y, epochs=3000, batch_size=4, learning_rate=0.5, momentum=0.9)
print(f"loss: {losses[0]:.3f} before training, {losses[-1]:.6f} after {len(losses)} epochs")
for row, answer in zip(x, network.forward(x), strict=True):
    print(f"{row[0]:.0f} xor {row[1]:.0f} = {answer[0]:.2f}")

# %%
# The picture: what the network says for every point of the plane, as it learns. Fits go on where the last one stopped.
side = np.linspace(-0.5, 1.5, 60)
plane = np.stack(np.meshgrid(side, side), axis=-1)
figure, axes = plt.subplots(figsize=(4.6, 4), layout="constrained")
epochs = [0, *np.unique(np.logspace(0.7, 3.2, 24).astype(int))]


def draw(frame):
    """The plane after so many epochs."""
    if frame == 0:
        network.reset()
    else:
        network.fit(x, y, epochs=epochs[frame] - epochs[frame - 1], batch_size=4, learning_rate=0.5, momentum=0.9)
    axes.clear()
    says = network.forward(plane.reshape(-1, 2)).reshape(60, 60)
    axes.contourf(side, side, says, np.linspace(0, 1, 11), cmap="gray")
    axes.contour(side, side, says, [0.5], colors="tab:orange", linewidths=3)
    for (a, b), wanted in zip(x, y[:, 0], strict=True):
        axes.text(a, b, f"{wanted:.0f}", ha="center", va="center", bbox={"facecolor": "white", "boxstyle": "circle"})
    axes.set(title=f"after {epochs[frame]} epochs: loss {network.loss(x, y):.4f}", xlabel="first input")
    axes.set(ylabel="second input")


movie = FuncAnimation(figure, draw, frames=len(epochs), interval=250)
figure.canvas.draw()  # its first picture
plt.show()
