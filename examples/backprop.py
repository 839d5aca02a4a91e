"""
A small network learns exclusive or, which no single layer can, by backpropagation
==================================================================================
"""

import numpy as np

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
