"""
The nearest neighbours of points
================================

With another measure of distance, and far from the origin.
"""

import matplotlib.pyplot as plt
import numpy as np

import mmlfast as mf

rng = np.random.default_rng(3)

# %%
# The two classes differ in the second number only; the first is noise on a larger scale.
labels = rng.integers(0, 2, 500)
points = np.column_stack([20 * rng.standard_normal(500), labels + 0.2 * rng.standard_normal(500)])
train, test = slice(0, 400), slice(400, 500)


def share_right(metric):
    nearest = mf.geometry.knn(points[test], points[train], 5, metric).indices
    guess = labels[train][nearest].mean(axis=1) > 0.5
    return np.mean(guess == labels[test])


print(f"five nearest neighbours vote, usual distance: {share_right(None):.0%} right")
scatter = mf.geometry.Mahalanobis(mf.stats.covariance(points[train]))
print(f"distance in units of the spread (Mahalanobis): {share_right(scatter):.0%} right")

# %%
# Moving everything far away changes no answer. ``|x|^2 - 2 x y + |y|^2`` would have no digit left there.
near, far = (mf.geometry.knn(p, p, 4).indices for p in (points.round(3), points.round(3) + 2.0**26))
print(f"same neighbours after a move by {2.0**26:.0f}: {np.mean(near == far):.1%}")

# %%
# With the interface of scikit-learn, and the neighbours as a graph.
graph = mf.geometry.NearestNeighbors(n_neighbors=3).fit(points).kneighbors_graph()
print(f"graph of neighbours: {graph.shape[0]} nodes, {graph.nnz} links")

# %%
# The picture: the five neighbours that each distance finds for one point.
figure, axes = plt.subplots(figsize=(6.5, 4), layout="constrained")
for label, marker in ((0, "o"), (1, "s")):
    of_label = points[train][labels[train] == label]
    axes.plot(*of_label.T, marker, color="0.75", markersize=4, label=f"class {label}")
point = points[test][0]
for metric, marker, name in ((None, "x", "nearest, usual distance"), (scatter, "+", "nearest by Mahalanobis")):
    chosen = mf.geometry.knn(point[None], points[train], 5, metric).indices[0]
    axes.plot(*points[train][chosen].T, marker, color="black", markersize=11, label=name)
axes.plot(*point, "*", color="tab:orange", markersize=15, label="the point")
axes.set(xlabel="first number (noise on a larger scale)", ylabel="second number (tells the classes apart)")
axes.legend(fontsize="small")
plt.show()
