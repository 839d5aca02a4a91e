"""
PageRank
========

Where a random walk along links is found in the long run, and how well that is known.
"""

import matplotlib.pyplot as plt
import numpy as np

import mmlfast as mf

# %%
# Four pages that link to each other: entry (i, j) is 1 if page i links to page j.
pages = ["home", "news", "shop", "terms"]
web = np.array([[0, 1, 1, 1], [1, 0, 0, 1], [1, 0, 0, 1], [0, 0, 0, 0]])


def show(title, scores):
    print(f"{title}: " + ", ".join(f"{name} {100 * score:.1f} %" for name, score in zip(pages, scores, strict=True)))


# %%
# At each step the reader follows one of the links of the page, or, in 15 of 100 cases, jumps anywhere.
show("scores", mf.graph.pagerank(web))

# %%
# In lectures the matrix L often has columns that sum to one, and the scores solve L r = r: that is the transpose.
columns = np.array([[0, 1 / 2, 1 / 3], [1 / 2, 0, 2 / 3], [1 / 2, 1 / 2, 0]])
r = mf.graph.pagerank(columns.T, damping=1)
print(f"L r = r: {np.allclose(columns @ r, r)}")

# %%
# The damping is how often a link is followed. Without links, all pages are equal.
show("damping 0", mf.graph.pagerank(web, damping=0))
show("damping 0.5", mf.graph.pagerank(web, damping=0.5))

# %%
# The terms are dangling: no link leaves them, and the reader jumps from there as ever. Unless you say where to.
show("from the terms back home", mf.graph.pagerank(web, dangling={0: 1}))

# %%
# Jumps can lead to pages of one's own: a personalized ranking.
show("for a buyer", mf.graph.pagerank(web, personalization={2: 1}))

# %%
# It is the solution of a linear system: with the walk's matrix P and jumps v, (I - d P') x = (1 - d) v.
p = np.where(web.sum(axis=1, keepdims=True) > 0, web / np.maximum(web.sum(axis=1, keepdims=True), 1), 1 / 4)
x = mf.linalg.solve(np.eye(4) - 0.85 * p.T, np.full(4, 0.15 / 4))
print(f"the linear system says the same: {np.allclose(x, mf.graph.pagerank(web), rtol=0, atol=1e-14)}")

# %%
# Links can also be given one by one, by the names of their ends.
by_name = mf.graph.Links.from_edges(["home", "news", "home"], ["news", "home", "shop"])
print(f"{by_name.nodes}: {mf.graph.pagerank(by_name, personalization={'home': 1}).round(3)}")

# %%
# A large web is taken in once, and ranked as often as you like. Every answer comes with what its error is at most,
# all scores together.
rng = np.random.default_rng(0)
n = 100_000
sources, targets = rng.integers(0, n, 1_000_000), (n * rng.random(1_000_000) ** 3).astype(int)
links = mf.graph.Links.from_edges(sources, targets, n_nodes=n)
for tol in (1e-4, 1e-12):
    answer = mf.graph.pagerank(links, tol=tol, full_output=True)
    print(f"asked for an error of {tol:.0e}: certified to be less: {answer.error_bound <= tol}")

# %%
# Many rankings at once cost much less than one after the other.
jumps = np.zeros((8, n))
jumps[np.arange(8), np.arange(8)] = 1
together, alone = mf.graph.pagerank_many(links, jumps), mf.graph.pagerank(links, personalization={7: 1})
print(f"eight at once, and the last of them alone, agree: {np.abs(together[7] - alone).sum() <= 2e-10}")

# %%
# At damping 1 the reader never jumps, except from dangling pages, and no bound on the error follows any more: it is the
# residual that is small. A walk that goes round in a circle has an answer all the same.
show("damping 1", mf.graph.pagerank(web, damping=1))
circle = mf.graph.Links.from_edges([0, 1, 2], [1, 2, 0])
print(f"a circle at damping 1: {mf.graph.pagerank(circle, damping=1).round(6)}")

# %%
# The picture: the four pages, as large as their scores.
figure, axes = plt.subplots(figsize=(4.6, 4), layout="constrained")
place = np.array([[0, 1], [-1, 0], [1, 0], [0, -1.0]])
for i, j in np.argwhere(web):
    bend = {"arrowstyle": "-|>", "connectionstyle": "arc3,rad=0.12", "shrinkA": 28, "shrinkB": 28}
    axes.annotate("", place[j], place[i], arrowprops=bend)
for name, (a, b), score in zip(pages, place, mf.graph.pagerank(web), strict=True):
    axes.plot(a, b, "o", color="0.85", markersize=200 * score)
    axes.text(a, b, f"{name}\n{100 * score:.1f} %", ha="center", va="center")
axes.set(xlim=(-1.7, 1.7), ylim=(-1.7, 1.6), title="links, and scores as sizes")
axes.axis("off")
plt.show()
