"""Exact derivatives of plain NumPy functions, as fast as the functions themselves."""

from mmlfast._common.public import publish
from mmlfast.autodiff._check import GradientCheck, check_gradient
from mmlfast.autodiff._derivatives import grad, hessian, jacobian, value_and_grad
from mmlfast.autodiff._directions import hvp, jvp, vjp
from mmlfast.autodiff._errors import TracingError
from mmlfast.autodiff._function import Function, trace
from mmlfast.autodiff._linearize import Linearization, linearize
from mmlfast.autodiff._primitive import primitive
from mmlfast.autodiff._slope import derivative
from mmlfast.autodiff._taylor import Quadratic, quadratize, taylor

__all__ = [
    "Function",
    "GradientCheck",
    "Linearization",
    "Quadratic",
    "TracingError",
    "check_gradient",
    "derivative",
    "grad",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "linearize",
    "primitive",
    "quadratize",
    "taylor",
    "trace",
    "value_and_grad",
    "vjp",
]

publish(__name__, __all__)
