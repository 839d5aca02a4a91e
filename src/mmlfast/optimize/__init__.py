"""Roots, minima and fits of plain NumPy functions, by exact derivatives."""

from mmlfast._common.public import publish
from mmlfast.optimize._curve_fit import curve_fit
from mmlfast.optimize._curve_fit_many import curve_fit_many
from mmlfast.optimize._fit_many_result import CurveFitMany
from mmlfast.optimize._fit_result import CurveFit
from mmlfast.optimize._gradient_descent import gradient_descent
from mmlfast.optimize._lagrange import LagrangePoint, lagrange
from mmlfast.optimize._least_squares import least_squares
from mmlfast.optimize._minimize import minimize
from mmlfast.optimize._newton import newton
from mmlfast.optimize._newton_arrays import NewtonArray
from mmlfast.optimize._newton_many import NewtonMany, newton_many
from mmlfast.optimize._stationary_points import StationaryPoint, classify_stationary_point

__all__ = [
    "CurveFit",
    "CurveFitMany",
    "LagrangePoint",
    "NewtonArray",
    "NewtonMany",
    "StationaryPoint",
    "classify_stationary_point",
    "curve_fit",
    "curve_fit_many",
    "gradient_descent",
    "lagrange",
    "least_squares",
    "minimize",
    "newton",
    "newton_many",
]

publish(__name__, __all__)
