"""Roots, minima and fits of plain NumPy functions, by exact derivatives."""

from mmlfast._common.public import publish
from mmlfast.optimize._stationary_points import StationaryPoint, classify_stationary_point

__all__ = [
    "StationaryPoint",
    "classify_stationary_point",
]

publish(__name__, __all__)
