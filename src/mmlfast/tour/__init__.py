"""The tour: applications of the course on real data, each checked against a reference library and timed beside it.

``python -m mmlfast`` runs it. Each step is one module with a function ``run(tour)``. This file imports none of them,
so that the steps can be listed without the packages that they need.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["STEPS", "Step"]


class Step(NamedTuple):
    """A step as the command line shows it."""

    title: str
    jobs: int  # rows that it adds to the table: the measure of the progress bar


STEPS = {
    "elimination": Step("a regression for every pixel of a photo and around every patient, by elimination", 4),
    "special_matrices": Step("which matrices are special, and why, step by step: decided, not guessed", 3),
    "gram_schmidt": Step("orthonormal bases of sets of digit images, and what rounding does to them", 5),
    "transformations": Step("a drawing reflected and turned in a basis built by Gram-Schmidt", 5),
    "eigen_digits": Step("eigen-digits by covariance, power iteration and projection", 5),
    "image_statistics": Step("mean and covariance of images, one by one, and what a linear map does to them", 5),
    "nearest_digits": Step("angles between images, and digits read by their nearest neighbours", 4),
    "eigenfaces": Step("faces from few numbers: principal components of more pixels than images", 4),
    "reconstruction": Step("what is lost when a digit keeps k numbers; components in batches, exactly", 3),
    "derivatives": Step("slopes by rise over run, by a complex step and by the chain rule; those of a likelihood", 3),
    "sandpit": Step("a surface, its slopes and its curvature, and the kinds of its stationary points", 5),
    "chain_rule": Step("the chain rule of a small network, step by step, beside backpropagation", 2),
    "taylor": Step("Taylor polynomials of order 0 to 30, where they stop to help; the period of a pendulum", 3),
    "basins": Step("from which start to which root: a million starts of Newton's method in the complex plane", 3),
    "descent": Step("ways down a valley: descent, momentum, BFGS, Newton; 40 000 rates and momenta at once", 6),
    "heights": Step("the distribution of people's heights, by steepest descent and by least squares, with bands", 4),
    "decay_images": Step("how long each pixel of an image glows: a curve fit for each of its pixels", 4),
    "small_network": Step("small networks that learn a curve and a surface, in frames as they learn", 3),
    "many_seeds": Step("256 seeds of a network in one sheet: what is owed to the dice", 3),
    "digit_classifier": Step("a network that learns to read digits, 98 % of MNIST's, by backpropagation", 4),
    "structure_tensor": Step("the directions of all edges of a photo, a 2 x 2 eigenproblem per pixel", 4),
    "terrain": Step("the normals of a landscape, a 3 x 3 eigenproblem per point", 3),
    "iris": Step("iris flowers projected onto two planes, with and without a metric", 5),
    "import_graph": Step("the modules of Python's standard library, ranked by who imports whom", 5),
    "web_graph": Step("the pages of a real web ranked by their links, if its data are there", 4),
}
