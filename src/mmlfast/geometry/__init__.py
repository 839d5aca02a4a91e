"""Geometry with any inner product: lengths, angles, distances, projections, neighbours.

Points are rows, bases are columns. ``metric`` is the matrix M of the inner product ``<x, y> = x' M y``, symmetric and
positive definite; None is the dot product, a vector stands for a diagonal (positive weights), and `Mahalanobis` for
the inverse of a covariance that it factors itself, singular or not. Leading axes are batch axes and broadcast; where
vectors come one by one or in pairs, a stack of matrices gives each a metric of its own.

Each family of functions has a module of its own; this one is their public name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numpy.linalg import LinAlgError

from mmlfast._common.public import publish, refuse
from mmlfast.geometry._distances import cdist
from mmlfast.geometry._inner_product import angle, distance, inner, norm, scalar_projection
from mmlfast.geometry._mahalanobis import Mahalanobis
from mmlfast.geometry._metric import is_inner_product
from mmlfast.geometry._neighbors import Neighbors, knn
from mmlfast.geometry._projection import project, projection_matrix, reconstruction_error

if TYPE_CHECKING:
    from mmlfast.geometry._nearest_neighbors import NearestNeighbors

__all__ = [
    "LinAlgError",
    "Mahalanobis",
    "NearestNeighbors",
    "Neighbors",
    "angle",
    "cdist",
    "distance",
    "inner",
    "is_inner_product",
    "knn",
    "norm",
    "project",
    "projection_matrix",
    "reconstruction_error",
    "scalar_projection",
]

publish(__name__, __all__)


def __getattr__(name: str) -> Any:
    if name == "NearestNeighbors":  # imports scikit-learn
        from mmlfast.geometry._nearest_neighbors import NearestNeighbors

        NearestNeighbors.__module__ = __name__
        return NearestNeighbors
    refuse(__name__, name)
