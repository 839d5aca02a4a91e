"""Geometry with any inner product: lengths, angles, distances, projections, neighbours.

Points are rows, bases are columns. ``metric`` is the matrix M of the inner product ``<x, y> = x' M y``, symmetric and
positive definite; None is the dot product, and a vector stands for a diagonal (positive weights). Leading axes are
batch axes and broadcast; a stack of matrices gives every vector a metric of its own.

Each family of functions has a module of its own; this one is their public name.
"""

from __future__ import annotations

from numpy.linalg import LinAlgError

from mmlfast._inner_product import angle, distance, inner, norm, scalar_projection
from mmlfast._metric import is_inner_product
from mmlfast._projection import project, projection_matrix, reconstruction_error

__all__ = [
    "LinAlgError",
    "angle",
    "distance",
    "inner",
    "is_inner_product",
    "norm",
    "project",
    "projection_matrix",
    "reconstruction_error",
    "scalar_projection",
]
