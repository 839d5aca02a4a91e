"""
Calculus 3: the chain rule and neural networks
==============================================

A network is a chain of simple functions, and its training is the chain rule from end to start. Nothing else is in it.
"""

# %%
# One neuron, one layer
# ---------------------
# .. math:: a^{(l)} = \sigma \left( a^{(l-1)} W^{(l)} + b^{(l)} \right)
#
# Samples are rows. A network with one input, five hidden units and one output:
import matplotlib.pyplot as plt
import numpy as np

import mmlfast as mf

net = mf.neural_network.Network([1, 5, 1], activation="tanh", seed=3)
x = np.linspace(-2, 2, 40)[:, None]
hidden = np.tanh(x @ net.weights[0] + net.biases[0])
assert np.allclose(net.forward(x), hidden @ net.weights[1] + net.biases[1])

# %%
# Backwards
# ---------
# The cost is half the mean squared error. With the error at the output, each layer passes on what its inputs
# are guilty of:
#
# .. math:: \delta^{(L)} = (a^{(L)} - y) / n, \qquad
#           \delta^{(l)} = \left( \delta^{(l+1)} W^{(l+1)T} \right) \odot \sigma'(z^{(l)}), \qquad
#           \frac{\partial C}{\partial W^{(l)}} = a^{(l-1)T} \delta^{(l)}.
y = np.sin(2 * x) + 0.3 * x
delta2 = (net.forward(x) - y) / len(x)
delta1 = (delta2 @ net.weights[1].T) * (1 - hidden**2)
by_hand = [(x.T @ delta1, delta1.sum(axis=0)), (hidden.T @ delta2, delta2.sum(axis=0))]
for (w, b), (gradient_w, gradient_b) in zip(by_hand, net.gradients(x, y), strict=True):
    assert np.allclose(w, gradient_w)
    assert np.allclose(b, gradient_b)


# %%
# The same from the cost alone, written in NumPy, by `autodiff`:
def cost(w1, b1, w2, b2):
    return np.mean((np.tanh(x @ w1 + b1) @ w2 + b2 - y) ** 2) / 2


slopes = mf.autodiff.grad(cost, argnums=(0, 1, 2, 3))(net.weights[0], net.biases[0], net.weights[1], net.biases[1])
assert np.allclose(slopes[0], by_hand[0][0])
assert np.allclose(slopes[3], by_hand[1][1])
print("three ways, the same slopes")

# %%
# Training
# --------
# Take a step against the slopes, again and again. The picture shows the curve before, on the way and after.
figure, (left, right) = plt.subplots(1, 2, figsize=(7.6, 3.4), layout="constrained")
left.plot(x, y, "o", color="0.7", markersize=4)
losses = []
for epochs, style in ((0, ":"), (20, "--"), (2000, "-")):
    if epochs:
        losses.append(net.fit(x, y, epochs=epochs, batch_size=8, learning_rate=0.1, momentum=0.9))
    curve = net.forward(x)
    left.plot(x, curve, color="black", linestyle=style)
    left.annotate(f"{sum(map(len, losses))} epochs", (2.05, curve[-1, 0]), va="center")
left.set(xlabel="x", ylabel="y", xlim=(-2.1, 3.6), title="A network learns a curve")
right.loglog(np.arange(1, 2021), np.concatenate(losses), color="black")
right.set(xlabel="epoch", ylabel="cost", title="and the cost falls")
plt.show()
assert losses[-1][-1] < 1e-3

# %%
# Many layers only repeat this. `trace_table` shows the chain rule of a small network, number by number.
neuron = mf.autodiff.trace(lambda w: (np.tanh(w[0] * 0.5 + w[1]) - 0.8) ** 2, np.array([1.2, -0.3]))
print(neuron.trace_table(np.array([1.2, -0.3])))

# %%
# What usually goes wrong
# -----------------------
# - **The logistic function as 1 / (1 + exp(-z))** overflows for large negative z. Networks here use a formula
#   that does not.
# - **A learning rate that is too large** ends in NaN everywhere. `fit` stops, says in which epoch, and keeps
#   the last finite weights.
# - **Inputs of a thousand.** Every tanh is then 1 or -1, and no slope is left. Bring inputs to a size of about one.
# - **All weights zero.** All units stay equal for ever: initial weights have to differ.
zero = mf.neural_network.Network([1, 5, 1])
zero.weights = [np.zeros_like(w) for w in zero.weights]
zero.fit(x, y, epochs=50, batch_size=40, learning_rate=0.1)
assert all(np.ptp(w) == 0 for w in zero.weights)

# %%
# Exercises
# ---------
# 1. What is the slope of the logistic function, expressed by its value?
# 2. How many numbers has a network of 784, 128 and 10 units?
# 3. Which weights make one logistic unit an AND of two inputs of 0 and 1?
#
# The answers, checked:
z = 0.7
value = 1 / (1 + np.exp(-z))
assert np.isclose(mf.autodiff.derivative(lambda t: 1 / (1 + np.exp(-t)), z), value * (1 - value))
big = mf.neural_network.Network([784, 128, 10])
assert sum(w.size for w in big.weights + big.biases) == 101770
unit = mf.neural_network.Network([2, 1], output="logistic")
unit.weights[0][:], unit.biases[0][:] = 20, -30
assert np.allclose(unit.forward([[0, 0], [0, 1], [1, 0], [1, 1]]).ravel(), [0, 0, 0, 1], atol=1e-4)
print("1. s (1 - s)   2. 101770   3. 20 and 20, with a bias of -30")
