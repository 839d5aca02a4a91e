"""
Gradients of a network by hand
==============================

The slopes of a network's loss in four ways: by hand, by `gradients`, by the chain rule of `autodiff`, by moving a
weight. And the steps of the chain rule one by one, in a table.
"""

import matplotlib.pyplot as plt
import numpy as np

import mmlfast as mf

rng = np.random.default_rng(0)
x = rng.uniform(-1, 1, (20, 2))
y = np.sin(2 * x[:, :1]) * x[:, 1:]
net = mf.neural_network.Network([2, 3, 1], activation="logistic", seed=1)
(w1, w2), (b1, b2) = net.weights, net.biases

# %%
# By hand
# -------
# Forwards, and each signal is kept. Samples are rows.
hidden = 1 / (1 + np.exp(-(x @ w1 + b1)))
output = hidden @ w2 + b2
loss = np.mean((output - y) ** 2) / 2
assert np.isclose(loss, net.loss(x, y))

# %%
# Backwards: how the loss changes with what goes into the last layer, then into the one before. The slope of the
# logistic function is its value times one minus its value.
at_output = (output - y) / len(x)
at_hidden = (at_output @ w2.T) * hidden * (1 - hidden)
by_hand = [(x.T @ at_hidden, at_hidden.sum(axis=0)), (hidden.T @ at_output, at_output.sum(axis=0))]

# %%
# By the network
# --------------
by_network = net.gradients(x, y)
difference = max(
    np.abs(ours - its).max()
    for layer, layer_of_network in zip(by_hand, by_network, strict=True)
    for ours, its in zip(layer, layer_of_network, strict=True)
)
print(f"by hand and by gradients: they differ by less than 1e-15: {difference < 1e-15}")


# %%
# By the chain rule of the loss alone
# -----------------------------------
# Nothing but forwards is written down here.
def loss_of(w1, b1, w2, b2):
    hidden = 1 / (1 + np.exp(-(x @ w1 + b1)))
    return np.mean((hidden @ w2 + b2 - y) ** 2) / 2


by_chain_rule = mf.autodiff.grad(loss_of, argnums=(0, 1, 2, 3))(w1, b1, w2, b2)
for a, b in zip(by_chain_rule, [*by_network[0], *by_network[1]], strict=True):
    assert np.allclose(a, b, rtol=1e-13, atol=1e-16)
print("by autodiff: the same")

# %%
# By moving one weight
# --------------------
# A long step has an error of its curvature, a short one of rounding: the best is in between, and never exact.
steps = np.logspace(-13, 0, 60)
errors = []
for step in steps:
    moved = w1.copy()
    moved[0, 0] += step
    errors.append(abs((loss_of(moved, b1, w2, b2) - loss) / step - by_hand[0][0][0, 0]))
best = int(np.argmin(errors))
print(f"by moving a weight: at best right to {errors[best]:.0e}")
assert 1e-13 < errors[best] < 1e-7

figure, axes = plt.subplots(figsize=(6, 3.4), layout="constrained")
axes.loglog(steps, errors, color="black")
axes.set(xlabel="step of the weight", ylabel="error of the slope", title="Rise over run: too long, too short")
axes.annotate("rounding", (steps[8], errors[8]), (10, 12), textcoords="offset points")
axes.annotate("curvature", (steps[-12], errors[-12]), (-70, 4), textcoords="offset points")
plt.show()


# %%
# Step by step
# ------------
# One neuron that sees 0.7 and should say 1. Each line is a step, with its number and with how much the loss changes
# with that number: read from bottom to top, each derivative is made from those below it.
def neuron(v):
    weight, bias = v[0], v[1]
    return (np.tanh(weight * 0.7 + bias) - 1) ** 2


v = np.array([0.5, -1.2])
table = mf.autodiff.trace(neuron, v).trace_table(v)
print(table)

# %%
# The same line by hand: the slope of the square, that of tanh, and what the weight is multiplied by.
z = 0.5 * 0.7 - 1.2
slope = 2 * (np.tanh(z) - 1) * (1 - np.tanh(z) ** 2) * 0.7
assert np.isclose(table.derivatives[0], slope)
print(f"the weight's slope by hand {slope:.6f}, in the table {table.derivatives[0]:.6f}")
