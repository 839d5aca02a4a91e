"""
The loss surface of a network
=============================

A network has too many weights to see its loss as a surface. A plane through the space of weights can be seen: here the
plane in which the ways down lie best, found by principal components of the paths themselves.
"""

import copy

import matplotlib.pyplot as plt
import numpy as np

import mmlfast as mf

x = np.linspace(-2, 2, 60)[:, None]
y = np.sin(2 * x) + 0.3 * x
start = mf.neural_network.Network([1, 8, 1], activation="tanh", seed=2)


def flat(net):
    return np.concatenate([a.ravel() for pair in zip(net.weights, net.biases, strict=True) for a in pair])


def with_weights(vector):
    """A network that has these numbers as weights and biases."""
    net, at = copy.copy(start), 0
    for pair in zip(net.weights, net.biases, strict=True):
        for a in pair:
            a[...] = vector[at : at + a.size].reshape(a.shape)
            at += a.size
    return net


# %%
# Three ways down from one start. After each epoch the callback keeps the weights.
ways = {
    "descent": {"learning_rate": 0.1},
    "momentum": {"learning_rate": 0.1, "momentum": 0.9},
    "AdamW": {"learning_rate": 0.03, "optimizer": "adamw", "weight_decay": 0.0},
}


def way(how):
    net = copy.copy(start)
    path = [flat(net)]
    losses = net.fit(x, y, epochs=300, batch_size=60, callback=lambda _: path.append(flat(net)), **how)
    return np.array(path), losses


paths, losses = {}, {}
for name, how in ways.items():
    paths[name], losses[name] = way(how)
    print(f"{name:9}: loss {losses[name][0]:.3f} at the start, {losses[name][-1]:.5f} in the last of 300 epochs")
    assert losses[name][-1] < losses[name][0] / 4

# %%
# The plane. Of 25 dimensions the paths need hardly more than two.
pca = mf.decomposition.PCA(n_components=2).fit(np.concatenate(list(paths.values())))
print(f"{flat(start).size} numbers; two directions hold {100 * pca.explained_variance_ratio_.sum():.0f} % of the paths")
assert pca.explained_variance_ratio_.sum() > 0.6

# %%
# The loss over the plane, and the paths from above. Where a path leaves the plane, its loss is not that of the map.
flat_paths = {name: pca.transform(path) for name, path in paths.items()}
corners = np.concatenate(list(flat_paths.values()))
low, high = corners.min(axis=0) - 1, corners.max(axis=0) + 1
across, up = np.linspace(low[0], high[0], 50), np.linspace(low[1], high[1], 50)
places = np.stack([a.ravel() for a in np.meshgrid(across, up)], axis=1)
heights = np.array([with_weights(w).loss(x, y) for w in pca.inverse_transform(places)]).reshape(50, 50)

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
left.contourf(across, up, np.log10(heights), 24, cmap="cividis")
for name, style in zip(ways, (":", "--", "-"), strict=True):
    left.plot(*flat_paths[name].T, color="white", linestyle=style, label=name)
    right.semilogy(losses[name], color="black", linestyle=style, label=name)
left.plot(*flat_paths["descent"][0], "o", color="white")
left.legend(facecolor="0.3", labelcolor="white")
left.set(xlabel="first direction", ylabel="second direction", title="logarithm of the loss over a plane of weights")
right.set(xlabel="epoch", ylabel="loss", title="the loss on the way")
right.legend()
plt.show()

# %%
# Slope and bend along a direction need no map: the gradient gives the one, a product with the Hessian the other.
w, d = flat(start), pca.components_[0]
direction = with_weights(d)
vector = list(zip(direction.weights, direction.biases, strict=True))


def along(derivative):
    pairs = zip(derivative, vector, strict=True)
    return sum(float(np.sum(dw * vw) + np.sum(db * vb)) for (dw, db), (vw, vb) in pairs)


slope = along(start.gradients(x, y))
bend = along(start.hessian_vector_product(x, y, vector))
h = 1e-4
before, here, after = (with_weights(w + t * d).loss(x, y) for t in (-h, 0, h))
print(f"slope {slope:.6f}, by differences {(after - before) / (2 * h):.6f}")
print(f"bend  {bend:.5f}, by differences {(after - 2 * here + before) / h**2:.5f}")
assert np.isclose(slope, (after - before) / (2 * h), rtol=1e-6)
assert np.isclose(bend, (after - 2 * here + before) / h**2, rtol=1e-4)
