"""
Networks as estimators, and many at once
========================================

Scikit-learn's interface to small networks, and hundreds of networks trained side by side: other seeds, other
rates, one for each group.
"""

import matplotlib.pyplot as plt
import numpy as np

import mmlfast as mf

rng = np.random.default_rng(0)
x = rng.uniform(-2, 2, (400, 2))
inside = np.where(np.hypot(x[:, 0], x[:, 1]) < 1.2, "inside", "outside")

# %%
# A classifier of points, by their labels. Inputs may have any size: years and bytes are brought to one inside.
how = {"activation": "tanh", "solver": "lbfgs", "max_iter": 1000, "random_state": 0}
model = mf.neural_network.MLPClassifier((12,), alpha=1e-3, **how)
model.fit(x[:300], inside[:300])
print(f"right for {100 * model.score(x[300:], inside[300:]):.0f} % of points that it has not seen")

years = 1980 + np.arange(60.0)[:, None]
wave = np.cos(years[:, 0] / 9)
curve = mf.neural_network.MLPRegressor(hidden_layer_sizes=(20,), **how)
print(f"a curve of years: R2 {curve.fit(years, wave).score(years, wave):.3f}")

# %%
# 48 networks that differ by their seeds and rates; each is, to the bit, what it would be alone.
nets = [mf.neural_network.Network([2, 8, 1], output="logistic", loss="binary_cross_entropy", seed=s) for s in range(48)]
rates = np.repeat([0.01, 0.05, 0.2, 1.0], 12).tolist()
y = (inside == "inside").astype(float)
found = mf.neural_network.fit_many(nets, x, y, epochs=100, batch_size=32, learning_rate=rates, momentum=0.9)
alone = mf.neural_network.Network([2, 8, 1], output="logistic", loss="binary_cross_entropy", seed=7)
losses = alone.fit(x, y, epochs=100, batch_size=32, learning_rate=0.01, momentum=0.9)
print(f"the eighth is what it is alone: {np.array_equal(losses, found.losses[7])}")

# %%
# The picture: what the seed decides, and what the rate.
figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
for k, style in enumerate([":", "-.", "--", "-"]):
    group = found.losses[12 * k : 12 * k + 12]
    axes.semilogy(group.T, color="black", linestyle=style, linewidth=0.6, alpha=0.6)
    axes.plot([], [], color="black", linestyle=style, label=f"rate {rates[12 * k]:g}")
axes.set(xlabel="epoch", ylabel="loss", title="48 networks: four rates, twelve seeds each")
axes.legend()
plt.show()
