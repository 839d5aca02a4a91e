"""Step 1: thousands of small regressions, each a system of normal equations, solved by elimination.

The photo: every pixel gets its own regression of the colours in its window on the noisy colours there, a 3 x 3 system
per pixel (a guided filter: K. He, J. Sun, X. Tang, Guided image filtering, IEEE TPAMI 35 (2013) 6, section 3.5). Where
the window is flat the regression is a constant, which removes noise; at an edge it follows the colours, which keeps it.

The patients: around every diabetes patient, and for a range of bandwidths, a linear regression in which patients like
this one weigh more (W. S. Cleveland, JASA 74 (1979) 829): a 4 x 4 system each. The patient is left out of their own
regression, so that the error of the prediction says which bandwidth is best.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy.ndimage import uniform_filter
from sklearn.datasets import load_diabetes, load_sample_image

import mmlfast as mf
from mmlfast.tour._frame import Tour

Array = np.ndarray[Any, Any]

_U = float(np.finfo(np.float64).eps) / 2


def run(tour: Tour) -> None:
    _photo(tour)
    _patients(tour)


def _photo(tour: Tour) -> None:
    tour.say("a regression per pixel")
    photo = load_sample_image("flower.jpg") / 255.0
    if tour.quick:
        photo = photo[60:300, 130:490]
    noisy = photo + 0.1 * np.random.default_rng(0).standard_normal(photo.shape)
    size, ridge = 7, 0.06

    def mean(x: Array) -> Array:
        """The mean over the window of each pixel, per channel."""
        axes = (size, size) + (1,) * (x.ndim - 2)
        return np.asarray(uniform_filter(x, axes))

    colour = mean(noisy)
    cov = mean(noisy[..., :, None] * noisy[..., None, :]) - colour[..., :, None] * colour[..., None, :]
    normal = cov + ridge * np.eye(3)
    slopes = mf.linalg.solve(normal, cov)

    expected = np.linalg.solve(normal, cov)
    where = f"{photo.shape[0]} x {photo.shape[1]} pixels of a photo, 3 x 3 each"
    times = tour.race(
        lambda: mf.linalg.solve(normal, cov), lambda: np.linalg.solve(normal, cov), peer="numpy.linalg.solve"
    )
    # The ridge bounds the condition numbers: rounding moves the slopes by no more than this.
    worst = float(np.linalg.cond(normal[::7, ::7]).max())
    tour.check(
        f"solve: {where}",
        error=float(np.abs(slopes - expected).max() / np.abs(expected).max()),
        limit=30 * _U * worst,
        times=times,
    )
    residual = np.abs(normal @ slopes - cov).sum(axis=-2).max(axis=-1)
    scale = np.abs(normal).sum(axis=-1).max(axis=-1) * np.abs(slopes).sum(axis=-2).max(axis=-1)
    tour.check("solve: backward error of each pixel", error=float((residual / scale).max()), limit=30 * _U)

    intercept = colour - (colour[..., None, :] @ slopes)[..., 0, :]
    smooth = (noisy[..., None, :] @ mean(slopes))[..., 0, :] + mean(intercept)
    _photo_picture(tour, photo, noisy, colour, smooth)


def _photo_picture(tour: Tour, photo: Array, noisy: Array, blurred: Array, smooth: Array) -> None:
    def quality(x: Array) -> str:
        return f"{-10 * np.log10(np.mean((x - photo) ** 2)):.1f} dB"

    figure = Figure(figsize=(11, 8), layout="constrained")
    figure.suptitle("A regression for every pixel (peak signal to noise ratio: more is better)", fontsize=14)
    panels = {
        "the photo": photo,
        f"with noise, {quality(noisy)}": noisy,
        f"mean of each 7 x 7 window, {quality(blurred)}": blurred,
        f"3 x 3 regression in each 7 x 7 window, {quality(smooth)}": smooth,
    }
    for axes, (title, image) in zip(figure.subplots(2, 2).flat, panels.items(), strict=True):
        axes.imshow(np.clip(image, 0, 1))
        axes.set_title(title)
        axes.set_axis_off()
    tour.save(figure, "elimination-photo")


def _patients(tour: Tour) -> None:
    tour.say("a regression around every patient")
    data = load_diabetes(scaled=False)
    names = ("bmi", "bp", "s5")  # s5: logarithm of the serum triglycerides
    columns = [data.feature_names.index(name) for name in names]
    x = data.data[:, columns]
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    y = data.target
    n = len(y)
    design = np.column_stack([np.ones(n), x])
    bandwidths = np.geomspace(0.6, 6.0, 12 if tour.quick else 48)

    distance2 = ((x[:, None, :] - x[None, :, :]) ** 2).sum(axis=-1)
    weights = np.exp(-0.5 * distance2 / bandwidths[:, None, None] ** 2)
    weights[:, np.arange(n), np.arange(n)] = 0.0
    # All normal equations in two products: sums over the patients of w d d' and of w d y.
    products = (design[:, :, None] * design[:, None, :]).reshape(n, 16)
    normal = (weights @ products).reshape(len(bandwidths), n, 4, 4)
    moments = (weights @ (design * y[:, None]))[..., None]
    coefficients = mf.linalg.solve(normal, moments)

    times = tour.race(
        lambda: mf.linalg.solve(normal, moments), lambda: np.linalg.solve(normal, moments), peer="numpy.linalg.solve"
    )
    expected = np.linalg.solve(normal, moments)
    worst = float(np.linalg.cond(normal).max())
    tour.check(
        f"solve: {len(bandwidths)} bandwidths x {n} diabetes patients, 4 x 4 each",
        error=float((np.abs(coefficients - expected).max(axis=(-2, -1)) / np.abs(expected).max(axis=(-2, -1))).max()),
        limit=40 * _U * worst,
        times=times,
    )
    tour.check(
        "the same without normal equations: numpy.linalg.lstsq",
        error=_against_lstsq(weights, design, y, coefficients),
        limit=1e-9,
    )

    predicted = (design[:, None, :] @ coefficients)[..., 0, 0]
    errors = np.sqrt(np.mean((predicted - y) ** 2, axis=1))
    _patients_picture(tour, bandwidths, errors, x[:, 0], coefficients[int(np.argmin(errors)), :, 1, 0])


def _against_lstsq(weights: Array, design: Array, y: Array, coefficients: Array) -> float:
    """Largest relative difference from orthogonal least squares, for a sample of bandwidths and patients."""
    differences = []
    for band in range(0, len(weights), 4):
        for patient in range(0, len(y), 20):
            root = np.sqrt(weights[band, patient])
            expected = np.linalg.lstsq(design * root[:, None], y * root)[0]
            difference = np.abs(coefficients[band, patient, :, 0] - expected).max()
            differences.append(difference / np.abs(expected).max())
    return float(np.max(differences))


def _patients_picture(tour: Tour, bandwidths: Array, errors: Array, bmi: Array, slopes: Array) -> None:
    figure = Figure(figsize=(11, 4.5), layout="constrained")
    figure.suptitle("Diabetes patients: a regression around each of them, on bmi, blood pressure and s5", fontsize=14)
    left, right = figure.subplots(1, 2)
    best = int(np.argmin(errors))
    left.plot(bandwidths, errors, marker=".")
    left.plot(bandwidths[best], errors[best], "o", color="tab:red", label=f"best: {bandwidths[best]:.2f}")
    left.set(
        xscale="log",
        xlabel="bandwidth (standard deviations)",
        ylabel="error of the prediction",
        title="Patients left out of their own regression",
    )
    left.set_xticks([0.6, 1, 2, 4, 6], labels=["0.6", "1", "2", "4", "6"])
    left.minorticks_off()
    left.legend()
    right.scatter(bmi, slopes, s=12, alpha=0.6)
    right.set(
        xlabel="body mass index of the patient (standardised)",
        ylabel="progression per unit of bmi",
        title="Slope for bmi around each patient",
    )
    for axes in (left, right):
        axes.grid(alpha=0.3)
    tour.save(figure, "elimination-patients")
