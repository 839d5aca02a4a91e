"""Step: mean and covariance of images, image by image, and what a linear map does to them.

A blur is a matrix A: every pixel becomes a mean of its neighbours. The mean of the blurred images is A m, their
covariance A C A', without blurring one image. Mean and covariance themselves are kept up to date while images arrive.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_digits

import mmlfast as mf
from mmlfast.tour._frame import Tour

Array = np.ndarray[Any, Any]


def run(tour: Tour) -> None:
    images = load_digits().data
    moments = _one_by_one(tour, images)
    _far_from_the_origin(tour, images)
    blurred = _blur(tour, images, moments)
    _picture(tour, moments, blurred)


def _one_by_one(tour: Tour, images: Array) -> mf.stats.Moments:
    tour.say("one image after the other")
    moments = mf.stats.Moments()
    for image in images:
        moments.update(image)
    whole = mf.stats.covariance(images)
    tour.check(
        f"Moments: {len(images)} images one by one; entries that are not those of all at once, to the bit",
        error=float(np.sum(moments.covariance() != whole)),
        limit=0,
    )
    for image in images[:1000]:
        moments.downdate(image)
    expected = np.cov(images[1000:], rowvar=False)
    tour.check(
        "the first 1000 images taken out again, beside numpy.cov of the others",
        error=float(np.abs(moments.covariance() - expected).max() / np.abs(expected).max()),
        limit=1e-12,
    )
    return mf.stats.Moments().update(images)


def _far_from_the_origin(tour: Tour, images: Array) -> None:
    tour.say("brighter by a hundred million")
    bright = images + 1e8
    times = tour.race(
        lambda: mf.stats.covariance(bright), lambda: np.cov(bright, rowvar=False), peer="numpy.cov", seconds=0.5
    )
    expected = mf.stats.covariance(images)
    tour.check(
        "covariance of the images plus 1e8: adding a number changes nothing",
        error=float(np.abs(mf.stats.covariance(bright) - expected).max() / np.abs(expected).max()),
        limit=1e-14,
        times=times,
    )


def _blur(tour: Tour, images: Array, moments: mf.stats.Moments) -> Any:
    """Moments of blurred, inverted images (16 - A x), by the rule for x -> A x + b."""
    tour.say("the effect of a linear map")
    line = np.array([[max(0, 2 - abs(i - j)) for j in range(8)] for i in range(8)], float)
    line /= line.sum(axis=1, keepdims=True)
    blur = np.kron(line, line)
    brightest = np.full(64, 16.0)
    mapped = mf.stats.affine_moments(moments.mean, moments.covariance(), -blur, brightest)
    direct = brightest - images @ blur.T
    expected = np.cov(direct, rowvar=False)
    tour.check(
        "affine_moments: mean of the blurred and inverted images, beside numpy.mean of these",
        error=float(np.abs(mapped.mean - direct.mean(axis=0)).max()),
        limit=1e-12,
    )
    tour.check(
        "affine_moments: their covariance, beside numpy.cov of these",
        error=float(np.abs(mapped.covariance - expected).max() / np.abs(expected).max()),
        limit=1e-13,
    )
    return mapped


def _picture(tour: Tour, moments: mf.stats.Moments, blurred: Any) -> None:
    figure = Figure(figsize=(11, 5.6), layout="constrained")
    figure.suptitle(
        "Images of digits, and the same blurred and inverted: mean, standard deviation, covariance", fontsize=14
    )
    rows = figure.subplots(2, 3)
    for line, mean, covariance in (
        (rows[0], moments.mean, moments.covariance()),
        (rows[1], blurred.mean, blurred.covariance),
    ):
        deviation = np.sqrt(np.diagonal(covariance))
        for axes, values, title in zip(
            line, (mean, deviation, covariance), ("mean", "standard deviation", "covariance of pixels"), strict=True
        ):
            side = 64 if values.ndim == 2 else 8
            drawn = axes.imshow(values.reshape(side, side), cmap="viridis")
            axes.set_title(title)
            axes.set_xticks([])
            axes.set_yticks([])
            figure.colorbar(drawn, ax=axes, shrink=0.8)
    tour.save(figure, "image_statistics")
