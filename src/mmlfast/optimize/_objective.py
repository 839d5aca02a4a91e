"""The function that is minimised, with its gradient and Hessian, wherever they come from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mmlfast._common.arrays import as_float
from mmlfast.optimize._callables import DIFFERENCES, EXACT, GIVEN, Taken, first_of, given_is_wrong, take, why
from mmlfast.optimize._differences import Differences, of_owner

Array = np.ndarray[Any, Any]

# From so many variables on, a Hessian most of which is zero is a sparse matrix.
_LARGE = 100
_MOST_FILLED = 0.2


class Objective:
    """f of an array of shape (n,).

    Attributes
    ----------
    taken : Taken
        f itself.
    derivatives : str
        Of the gradient: "exact", "given" or "finite differences".
    note : str
        Why derivatives are no exact ones, and what is wrong with given ones.
    start : ndarray
        x0.
    nfev, njev, nhev : int
        How often values, gradients and Hessians were computed.
    """

    def __init__(
        self,
        fun: Callable[..., Any],
        x0: Array,
        args: tuple[Any, ...],
        jac: Any = None,
        hess: Any = None,
        bounds: tuple[Array, Array] | None = None,
        name: str = "fun",
    ) -> None:
        given: Any = args
        self.args: tuple[Any, ...] = given if isinstance(given, tuple) else (given,)
        if jac is True:
            fun, jac = first_of(fun), (lambda x, *a, both=fun: both(x, *a)[1])
        if not (jac is None or jac is False or callable(jac) or isinstance(jac, str)):
            raise TypeError(f"jac must be a function, True or None, got {type(jac).__name__}")
        if not (hess is None or callable(hess) or isinstance(hess, str)):
            raise TypeError(f"hess must be a function or None, got {type(hess).__name__}")
        by_differences = isinstance(jac, str)
        self.taken: Taken = take(fun, x0, self.args, name=name, bounds=bounds, traced=not by_differences)
        if self.taken.first.size != 1:
            raise ValueError(f"{name} must give one number, got an array of shape {self.taken.first.shape}")
        self._jac = jac if callable(jac) else None
        self._hess = hess if callable(hess) else None
        self._sparse: bool | None = None
        self._of_gradient: Differences | None = None
        self._bounds = bounds
        self.start, self.n = x0, x0.size
        self.nfev, self.njev, self.nhev = 1, 0, 0
        self.note = ""
        if by_differences:
            self.note = f"The gradient is by finite differences, as jac={jac!r} says."
        elif self._jac is None:
            self.note = why(self.taken)
        self._check(x0)

    def _check(self, x0: Array) -> None:
        if not np.isfinite(self.taken.first).all():
            return
        if self._jac is not None:
            self.note += given_is_wrong(self.taken, self._jac(x0.copy(), *self.args), x0, "jac")
        if self._hess is not None:
            self.note += given_is_wrong(self.taken, self._hess(x0.copy(), *self.args), x0, "hess", "hessian")

    @property
    def first(self) -> float:
        """f(x0), called as it is."""
        return float(self.taken.first.reshape(()))

    @property
    def derivatives(self) -> str:
        return GIVEN if self._jac is not None else self.taken.derivatives

    @property
    def exact_tape(self) -> bool:
        """Whether a program of the tape alone gives value and gradient."""
        return self._jac is None and self.taken.recorded is not None

    @property
    def has_hessian(self) -> bool:
        """Whether the caller has given one."""
        return self._hess is not None

    def small_programs(self) -> tuple[Any, Any] | None:
        """Programs of value and gradient, and of a dense Hessian of few variables, if tapes alone give all of them."""
        recorded = self.taken.recorded
        if recorded is None or not self.exact_tape or self._hess is not None or recorded.calls_python:
            return None
        return recorded.compiled("value, gradient").program, recorded.compiled("hessian").program

    def value(self, x: Array) -> float:
        self.nfev += 1
        with np.errstate(all="ignore"):
            return float(self.taken.value(x).reshape(()))

    def value_and_gradient(self, x: Array) -> tuple[float, Array]:
        self.nfev += 1
        self.njev += 1
        with np.errstate(all="ignore"):
            if self._jac is None:
                return self.taken.value_and_gradient(x)
            return float(self.taken.value(x).reshape(())), self._given_gradient(x)

    def _given_gradient(self, x: Array) -> Array:
        assert self._jac is not None
        gradient = np.array(self._jac(x.copy(), *self.args), np.float64).reshape(-1)
        if gradient.size != self.n:
            raise ValueError(f"jac gives an array of {gradient.size} numbers, x has {self.n}")
        return gradient

    def hessian(self, x: Array) -> Any:
        """Dense, or a csr_array."""
        self.nhev += 1
        with np.errstate(all="ignore"):
            if self._hess is not None:
                return self._given_hessian(x)
            if self.taken.recorded is None:
                return self._differences_of_gradient(x) if self._jac is not None else self.taken.hessian(x)
            if self._is_sparse():
                from scipy.sparse import csr_array

                indptr, indices = self.taken.recorded.pattern
                data = self.taken.program("sparse hessian")(x)[0]
                return csr_array((data, indices, indptr), shape=(self.n, self.n))
            return self.taken.hessian(x)

    def _given_hessian(self, x: Array) -> Any:
        assert self._hess is not None
        h = self._hess(x.copy(), *self.args)
        if hasattr(h, "tocsr"):
            return h.tocsr().astype(np.float64)
        h = np.array(as_float(h, "hess(x)"), np.float64)
        if h.shape != (self.n, self.n):
            raise ValueError(f"hess gives an array of shape {h.shape}, it must be {(self.n, self.n)}")
        return (h + h.T) / 2

    def _differences_of_gradient(self, x: Array) -> Array:
        if self._of_gradient is None:
            lower, upper = self._bounds if self._bounds is not None else (-np.inf, np.inf)
            self._of_gradient = Differences(of_owner(self._given_gradient), lower, upper)
        h = self._of_gradient.jacobian(x, self._given_gradient(x))
        return (h + h.T) / 2

    def _is_sparse(self) -> bool:
        if self._sparse is None:
            assert self.taken.recorded is not None
            self._sparse = False
            if self.n >= _LARGE and not self.taken.recorded.has_sides and not self.taken.recorded.is_dense:
                _, indices = self.taken.recorded.pattern
                self._sparse = len(indices) <= _MOST_FILLED * self.n**2
        return self._sparse

    def diagonal(self, x: Array) -> Array:
        """Of the Hessian: what the scales of the variables are read off."""
        if self.taken.recorded is not None or self._hess is not None:
            h = self.hessian(x)
            return np.asarray(h.diagonal())
        if self._jac is None:
            return self.taken.differences.curvatures(x, self.taken.called(x))
        return np.asarray(self._differences_of_gradient(x).diagonal())


def source(objective: Objective) -> str:
    """Of all derivatives together, for the result."""
    if objective.derivatives == EXACT:
        return EXACT
    return GIVEN if objective.derivatives == GIVEN else DIFFERENCES


def as_start(x0: Any, name: str = "x0") -> Array:
    """x0 as a vector of float64 of the solver's own."""
    start = np.atleast_1d(np.array(as_float(x0, name), np.float64))
    if start.ndim != 1:
        raise ValueError(f"{name} must be a vector, got an array of shape {start.shape}")
    if not start.size:
        raise ValueError(f"{name} is empty: there must be at least one variable")
    if not np.isfinite(start).all():
        i = int(np.argmin(np.isfinite(start)))
        raise ValueError(f"{name}[{i}] is {start[i]}: a start must be finite")
    return start
