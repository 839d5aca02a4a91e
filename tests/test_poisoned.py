"""NaN and infinity in any position of any function of `mmlfast.linalg`: an answer that shows it, or an error; never a
hang; and in a batch the other items keep their bits."""

from __future__ import annotations

import faulthandler
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from cases import same_bits

import mmlfast as mf

la = mf.linalg

Array = np.ndarray[Any, Any]

BAD = (np.nan, np.inf, -np.inf)


@pytest.fixture(autouse=True)
def no_hang() -> Iterator[None]:
    """A call that never returns ends the whole run, with a traceback of where it is."""
    faulthandler.dump_traceback_later(120, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


def symmetric(a: Array) -> Array:
    """Positive definite where it is finite; a bad number stays in its place, and in the place across."""
    with np.errstate(invalid="ignore"):
        s = a + a.swapaxes(-1, -2) + 10 * a.shape[-1] * np.eye(a.shape[-1], dtype=a.dtype)
    return s


def ones(a: Array, columns: int = 2) -> Array:
    """A right-hand side for each item."""
    return np.ones((*a.shape[:-1], columns), a.dtype)


def vector(a: Array) -> Array:
    return np.arange(1, 1 + a.shape[-1], dtype=a.dtype)


# How each function is called on a stack of matrices. Square ones first.
SQUARE: dict[str, Callable[[Array], Any]] = {
    "solve": lambda a: la.solve(a, ones(a), errors="nan"),
    "solve vector": lambda a: la.solve(a, vector(a), errors="nan"),
    "inv": lambda a: la.inv(a, errors="nan"),
    "det": lambda a: la.det(a),
    "slogdet": lambda a: la.slogdet(a),
    "cholesky": lambda a: la.cholesky(symmetric(a), errors="nan"),
    "cholesky upper": lambda a: la.cholesky(symmetric(a), upper=True, errors="nan"),
    "eigh": lambda a: la.eigh(symmetric(a)),
    "eigh upper": lambda a: la.eigh(symmetric(a), "U"),
    "eigvalsh": lambda a: la.eigvalsh(symmetric(a)),
    "eig": lambda a: la.eig(a),
    "diagonalize": lambda a: la.diagonalize(symmetric(a), errors="nan"),
    "is_singular": lambda a: la.is_singular(a),
    "power_iteration": lambda a: la.power_iteration(symmetric(a), max_iter=50),
    "power_iteration k": lambda a: la.power_iteration(symmetric(a), k=2, max_iter=50),
    "matrix_power": lambda a: la.matrix_power(a, 3),
    "matrix_power inverse": lambda a: la.matrix_power(a, -2),
    "characteristic_polynomial": lambda a: la.characteristic_polynomial(a),
    "change_of_basis": lambda a: la.change_of_basis(np.ones_like(a[..., 0]), a),
}
ANY: dict[str, Callable[[Array], Any]] = {
    "lu": lambda a: la.lu(a),
    "qr": lambda a: la.qr(a),
    "qr complete": lambda a: la.qr(a, mode="complete"),
    "qr r": lambda a: la.qr(a, mode="r"),
    "lstsq": lambda a: la.lstsq(a, ones(a), errors="nan"),
    "svd": lambda a: la.svd(a),
    "svd reduced": lambda a: la.svd(a, full_matrices=False),
    "svdvals": lambda a: la.svdvals(a),
    "pinv": lambda a: la.pinv(a),
    "matrix_rank": lambda a: la.matrix_rank(a),
    "cond": lambda a: la.cond(a),
    "matmul": lambda a: la.matmul(a, a.swapaxes(-1, -2)),
    "matvec": lambda a: la.matvec(a, vector(a)),
    "vecdot": lambda a: la.vecdot(a, vector(a)),
    "einsum": lambda a: la.einsum("...ij,...kj->...ik", a, a),
    "gram_schmidt": lambda a: la.gram_schmidt(a),
    "gram_schmidt mgs": lambda a: la.gram_schmidt(a, method="mgs"),
    "gram_schmidt householder": lambda a: la.gram_schmidt(a, method="householder"),
    "reflection_matrix": lambda a: la.reflection_matrix(a),
    "transform": lambda a: la.transform(
        np.ones_like(a), np.swapaxes(a, -1, -2) @ np.zeros_like(a) + np.eye(a.shape[-1])
    ),
}
ONE: dict[str, Callable[[Array], Any]] = {
    "row_echelon": lambda a: la.row_echelon(a),
    "orth": lambda a: la.orth(a),
    "null_space": lambda a: la.null_space(a),
}


def arrays_of(answer: Any) -> list[Array]:
    """Every array in an answer."""
    if isinstance(answer, tuple | list):
        return [x for part in answer if part is not None for x in arrays_of(part)]
    return [np.asarray(answer)]


def call(function: Callable[[Array], Any], a: Array) -> list[Array] | None:
    """The arrays of the answer, or None for an error that says so. A warning is an answer as well."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return arrays_of(function(a))
        except (np.linalg.LinAlgError, ValueError):
            return None


def runs() -> list[Any]:
    """(function, shape) with names."""
    found = []
    for group, shapes in ((SQUARE, [(3, 3), (6, 6), (35, 35)]), (ANY, [(3, 3), (5, 3), (3, 5), (9, 6), (40, 36)])):
        for name, function in group.items():
            found += [pytest.param(function, shape, id=f"{name}-{shape[0]}x{shape[1]}") for shape in shapes]
    return found


def ones_run() -> list[Any]:
    return [pytest.param(f, id=name) for name, f in (ONE | SQUARE | ANY).items()]


def positions(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Every one of a small matrix, some of a large one."""
    every = list(np.ndindex(shape))
    return every if len(every) <= 36 else [every[0], every[1], every[len(every) // 2 + 3], every[-1]]


@pytest.mark.parametrize("function", ones_run())
@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["f64", "f32"])
@pytest.mark.parametrize("n", [2, 3, 6, 34])
def test_one_matrix_answers_or_raises(function: Callable[[Array], Any], dtype: Any, n: int) -> None:
    """After NaN a float in the answer is not finite, or there is an error; ranks and flags may be anything. Infinity
    can have a finite answer: the limit, as in solve([[inf]], [1]) = [0]."""
    clean = np.random.default_rng(n).standard_normal((n, n)).astype(dtype)
    for index in positions(clean.shape):
        for value in BAD:
            a = clean.copy()
            a[index] = value
            answer = call(function, a)
            if answer is None or not np.isnan(value):
                continue
            floats = [x for x in answer if x.dtype.kind in "fc"]
            assert not floats or not all(np.isfinite(x).all() for x in floats), (index, value)


@pytest.mark.parametrize(("function", "shape"), runs())
@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["f64", "f32"])
def test_other_items_keep_their_bits(function: Callable[[Array], Any], shape: tuple[int, int], dtype: Any) -> None:
    rng = np.random.default_rng(3)
    items, bad = 19, 7
    clean = rng.standard_normal((items, *shape)).astype(dtype)
    expected = call(function, clean)
    assert expected is not None
    others = [i for i in range(items) if i != bad]
    for index in positions(shape)[:: 1 if shape[0] < 5 else 3]:
        for value in BAD:
            a = clean.copy()
            a[bad][index] = value
            answer = call(function, a)
            if answer is None:
                continue
            for x, y in zip(answer, expected, strict=True):
                if x.ndim and x.shape[0] == items:
                    same_bits(x[others], y[others])
