"""
Reading digits
==============

A classifier learns to read small pictures of digits. Which ones does it confuse, and what do those look like?
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from mmlfast.neural_network import MLPClassifier

# %%
# 1797 pictures of 8 x 8 pixels from 0 to 16. Three parts: to learn from, to choose settings by, and one that is looked
# at only once, at the end: what was chosen on a part is flattered by it.
pixels, digit = load_digits(return_X_y=True)
order = np.random.default_rng(0).permutation(len(pixels))
learn, choose, test = np.split(order, [1000, 1300])

# %%
# Two settings of the same layers: the default steps, which stop where the loss no longer falls, and what gets as far in
# fewer epochs, a rate that goes up and down once and labels that are not quite certain.
models = {
    "Adam": MLPClassifier((64,), batch_size=32, tol=1e-3, random_state=0),
    "one cycle": MLPClassifier(
        (64,),
        solver="adamw",
        learning_rate="one_cycle",
        learning_rate_init=0.005,
        beta_2=0.99,
        label_smoothing=0.1,
        batch_size=32,
        max_iter=20,
        random_state=0,
    ),
}
for name, model in models.items():
    model.fit(pixels[learn], digit[learn])
    score = model.score(pixels[choose], digit[choose])
    print(f"{name:9}: {100 * score:.1f} % of those to choose by, after {model.n_iter_} epochs")
chosen = max(models, key=lambda name: models[name].score(pixels[choose], digit[choose]))

# %%
# The test, once.
model = models[chosen]
read = model.predict(pixels[test])
share = np.mean(read == digit[test])
print(f"{chosen}: {100 * share:.1f} % of the test digits are read correctly")
assert share > 0.93

# %%
# Which digit is taken for which: rows are digits, columns what was read. On the right the test digits that the network
# finds hardest, those with the least probability for what they are.
confusion = np.zeros((10, 10), int)
np.add.at(confusion, (digit[test], read), 1)
assert np.trace(confusion) == np.sum(read == digit[test])
probability = model.predict_proba(pixels[test])
hardest = np.argsort(probability[np.arange(len(test)), digit[test]])[:9]

figure = plt.figure(figsize=(9.6, 4.6), layout="constrained")
left, right = figure.subfigures(1, 2, width_ratios=(1.2, 1))
axes = left.subplots()
axes.imshow(np.sqrt(confusion), cmap="Blues")
for (i, j), count in np.ndenumerate(confusion):
    if count:
        axes.text(j, i, count, ha="center", va="center", color="white" if i == j else "black")
axes.set(xticks=range(10), yticks=range(10), xlabel="read as", ylabel="digit", title=f"{len(test)} test digits")
for panel, k in zip(right.subplots(3, 3).flat, hardest, strict=True):
    panel.imshow(pixels[test[k]].reshape(8, 8), cmap="gray_r")
    wrong = read[k] != digit[test[k]]
    panel.set_title(f"a {digit[test[k]]}, read as {read[k]}", fontsize=9, color="tab:red" if wrong else "black")
    panel.set_axis_off()
plt.show()
pairs = np.argwhere(confusion * (1 - np.eye(10, dtype=int)) > 0)
print("confused:", ", ".join(f"{i} read as {j}" for i, j in pairs))
