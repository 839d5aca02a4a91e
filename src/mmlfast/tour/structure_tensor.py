"""Step: the structure tensor of every pixel of a photo, by eigenvectors of 2 x 2 matrices.

The tensor of a pixel is the mean of g g' over its window, g the gradient of the brightness there. Its first eigenvector
points across the edges, its eigenvalues tell flat regions, edges and corners apart (J. Bigun and G. Granlund, Optimal
orientation detection of linear symmetry, Proc. 1st ICCV (1987) 433; C. Harris and M. Stephens, A combined corner and
edge detector, Proc. 4th Alvey Vision Conference (1988) 147).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.colors import hsv_to_rgb
from matplotlib.figure import Figure
from scipy.ndimage import gaussian_filter, sobel
from sklearn.datasets import load_sample_image

import mmlfast as mf
from mmlfast.tour._frame import Tour

Array = np.ndarray[Any, Any]

_U = float(np.finfo(np.float64).eps) / 2


def run(tour: Tour) -> None:
    tour.say("a tensor per pixel")
    photo = load_sample_image("china.jpg")
    if tour.quick:
        photo = photo[60:260, 200:500]
    brightness = photo.mean(axis=-1) / 255.0
    gradient = np.stack([sobel(brightness, axis=1), sobel(brightness, axis=0)], axis=-1)
    products = gradient[..., :, None] * gradient[..., None, :]
    tensors = gaussian_filter(products, (2.0, 2.0, 0.0, 0.0))
    values, vectors = mf.linalg.eigh(tensors)

    where = f"{photo.shape[0]} x {photo.shape[1]} pixels, 2 x 2 each"
    times = tour.race(lambda: mf.linalg.eigh(tensors), lambda: np.linalg.eigh(tensors), peer="numpy.linalg.eigh")
    expected = np.linalg.eigvalsh(tensors)
    size = np.linalg.norm(tensors, axis=(-2, -1))
    tour.check(
        f"eigh: eigenvalues of the structure tensor of {where}",
        error=float((np.abs(values - expected).max(axis=-1) / size).max()),
        limit=20 * _U,
        times=times,
    )
    residual = tensors @ vectors - vectors * values[..., None, :]
    turned = np.swapaxes(vectors, -1, -2) @ vectors - np.eye(2)
    tour.check(
        "eigh: A V - V L of each pixel", error=float((np.abs(residual).max((-2, -1)) / size).max()), limit=20 * _U
    )
    tour.check("eigh: V'V - I of each pixel", error=float(np.abs(turned).max()), limit=20 * _U)
    # The double angle of the tensor gives the direction without any eigenvectors.
    across = np.arctan2(vectors[..., 1, 1], vectors[..., 0, 1])
    double = np.arctan2(2 * tensors[..., 0, 1], tensors[..., 0, 0] - tensors[..., 1, 1])
    apart = np.abs(np.exp(2j * across) - np.exp(1j * double))
    clear = (values[..., 1] - values[..., 0]) / size
    tour.check(
        "the direction of every edge, against half the angle of (2 a01, a00 - a11)",
        error=float((apart * clear).max()),
        limit=40 * _U,
    )
    _picture(tour, photo, across, values)


def _picture(tour: Tour, photo: Array, across: Array, values: Array) -> None:
    strength = np.sqrt(values[..., 1])
    coherence = (values[..., 1] - values[..., 0]) / (values.sum(axis=-1) + 1e-3)
    corner = np.sqrt(np.maximum(values[..., 0], 0))
    hue = np.mod(across, np.pi) / np.pi
    clipped = [np.clip(x / np.quantile(x, 0.99), 0, 1) for x in (strength, corner)]
    directions = hsv_to_rgb(np.stack([hue, coherence.clip(0, 1), clipped[0]], axis=-1))
    figure = Figure(figsize=(11, 7.6), layout="constrained")
    figure.suptitle("The structure tensor: a 2 x 2 eigenproblem for every pixel", fontsize=14)
    panels = {
        "the photo": photo,
        "direction across the edge (colour) and its strength": directions,
        "coherence: one direction (light) or none (dark)": coherence,
        "the smaller eigenvalue: corners": clipped[1],
    }
    for axes, (title, image) in zip(figure.subplots(2, 2).flat, panels.items(), strict=True):
        axes.imshow(image, cmap="gray")
        axes.set_title(title)
        axes.set_axis_off()
    tour.save(figure, "structure_tensor")
