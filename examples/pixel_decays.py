"""
A curve fit in every pixel of a stack of images
===============================================
"""

import matplotlib.pyplot as plt
import numpy as np

from mmlfast.optimize import curve_fit, curve_fit_many

# %%
# A camera takes 40 images after a flash. Every pixel fades in its own time, here slower to the right and brighter to
# the bottom. Pixel (2, 3) is dead, and in some pixels there are holes.
t = np.linspace(0, 10, 40)
height, width = 60, 80
rng = np.random.default_rng(0)
brightness, lifetime = np.meshgrid(np.linspace(1, 5, height), np.linspace(1, 3, width), indexing="ij")


def decay(t, a, tau, background):
    return a * np.exp(-t / tau) + background


images = decay(t, brightness[..., None], lifetime[..., None], 0.2) + 0.03 * rng.standard_normal((height, width, 40))
images[2, 3] = np.nan
images[rng.uniform(size=images.shape) < 0.02] = np.nan

# %%
# The points of a fit are the last axis, all others count the fits. A stack with the time first is turned by
# ``np.moveaxis(stack, 0, -1)``, which copies nothing.
fits = curve_fit_many(decay, t, images, p0=[1, 1, 0], nan_policy="omit")
print(fits)
print("lifetimes of the first row:", fits["tau"][0, ::20].round(2))
print("their errors:              ", fits.standard_errors[0, ::20, 1].round(3))

# %%
# A fit that cannot be is NaN, and its status says why; the others do not notice.
print(fits.params[2, 3], fits.messages[int(fits.status[2, 3])])

# %%
# Each fit is what it is alone, to the bit, and what ``curve_fit`` makes of it.
alone = curve_fit_many(decay, t, images[5, 7], [1, 1, 0], nan_policy="omit")
print("alone:", np.array_equal(alone.params, fits.params[5, 7]))
one = curve_fit(decay, t, images[5, 7], [1, 1, 0], nan_policy="omit")
print("curve_fit:", np.allclose(one.params, fits.params[5, 7], rtol=1e-9))

# %%
# Everything may be one for all fits or one for each: x, errors, starts, bounds. Here the background is known from
# elsewhere, pixel by pixel, and held.
starts = np.broadcast_to([1.0, 1.0, 0.0], (height, width, 3)).copy()
starts[..., 2] = 0.2
held = curve_fit_many(decay, t, images, starts, fixed=["background"], bounds=(0, 10), nan_policy="omit")
print(
    "error of a lifetime with the background known:",
    f"{np.nanmedian(held.standard_errors[..., 1]):.4f} instead of {np.nanmedian(fits.standard_errors[..., 1]):.4f}",
)

# %%
# Curves of unequal length, a label for each point instead of axes: one fit for each label, in their order.
labels = rng.choice(["blue", "green", "red"], 300)
x = rng.uniform(0, 10, 300)
y = decay(x, 2.0, np.where(labels == "red", 3.0, 1.5), 0.1) + 0.02 * rng.standard_normal(300)
by_colour = curve_fit_many(decay, x, y, [1, 1, 0], groups=labels)
for label, tau in zip(by_colour.groups, by_colour["tau"], strict=True):
    print(label, tau.round(2))

# %%
# The picture: the lifetime of each pixel, as found, beside the image that the camera saw first.
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
first = left.imshow(images[..., 0], cmap="gray")
figure.colorbar(first, ax=left, label="brightness")
left.set(title="the first of forty images", xlabel="column", ylabel="row")
lifetimes = right.imshow(fits["tau"], cmap="cividis", vmin=0.9, vmax=3.1)
figure.colorbar(lifetimes, ax=right, label="lifetime (s)")
right.set(title="4800 fits", xlabel="column", ylabel="row")
plt.show()
