"""The geometry of matrices; public in `mmlfast.linalg`: bases, reflections, and what matrices do to points."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np
from numpy.linalg import LinAlgError
from numpy.typing import ArrayLike

from mmlfast import _core
from mmlfast._common.arrays import as_float, check_square, explain, is_dask
from mmlfast._common.labels import check_labels
from mmlfast._common.lazy import of_stacks
from mmlfast.linalg._elimination import solve
from mmlfast.linalg._gram_schmidt import gram_schmidt
from mmlfast.linalg._matmul import product

Array = np.ndarray[Any, Any]


def change_of_basis(
    x: ArrayLike, basis: ArrayLike | None, from_basis: ArrayLike | None = None, *, operator: bool = False
) -> Array:
    """Coordinates of vectors, or the matrix of a transformation, in another basis.

    Parameters
    ----------
    x : array_like, shape (..., D), or (..., D, D) with ``operator=True``
        Coordinates of vectors (points are rows), or a matrix that maps coordinates to coordinates, in `from_basis`.
    basis : array_like, shape (..., D, D), or None
        The basis to go to: its vectors are the columns, in standard coordinates. None is the standard basis.
    from_basis : array_like, shape (..., D, D), or None
        The basis that `x` is given in; None is the standard basis. Leading axes broadcast.
    operator : bool
        Whether `x` is the matrix of a transformation.

    Returns
    -------
    ndarray, shape (..., D) or (..., D, D)
        With B = `basis` and F = `from_basis`: ``inv(B) @ F @ x`` for each vector; ``P @ x @ inv(P)`` with
        ``P = inv(B) @ F`` for a transformation. So a transformation T that is known in the basis E is
        ``change_of_basis(T, None, E, operator=True)``, E T E^-1, in standard coordinates.

    Raises
    ------
    numpy.linalg.LinAlgError
        If the vectors of a basis are linearly dependent, or a matrix is not square.
    ValueError
        If the shapes do not fit together, or labels (pandas, xarray) along an axis that two arguments share differ.
    TypeError
        If the numbers are complex or no numbers at all.

    Notes
    -----
    Dependent means that `gram_schmidt` finds a rank below D. Nothing is inverted: the coordinates solve ``B c = x``,
    and have a backward error at rounding level.

    Examples
    --------
    >>> import mmlfast as mf
    >>> basis = [[2.0, -1.0], [1.0, 1.0]]  # the vectors (2, 1) and (-1, 1)
    >>> mf.linalg.change_of_basis([1.0, 2.0], basis)
    array([1., 1.])
    >>> mf.linalg.change_of_basis([1.0, 1.0], None, basis)
    array([1., 2.])
    """
    if type(x) is not np.ndarray and is_dask(x):
        core = "(n,n)" if operator else "(n)"
        given_bases = {k: b for k, b in (("basis", basis), ("from_basis", from_basis)) if b is not None}
        names = ["x", *given_bases]

        def of_chunk(*parts: Array) -> Array:
            arguments: dict[str, Any] = {"basis": None, **dict(zip(names, parts, strict=True))}
            return change_of_basis(**arguments, operator=operator)

        signature = ",".join([core, *["(n,n)"] * len(given_bases)]) + "->" + core
        return _lazily(of_chunk, signature, x, *(as_float(b, name) for name, b in given_bases.items()))
    array = as_float(x, "x")
    size = array.shape[-1] if array.ndim else 0
    if array is not x and not isinstance(x, list):
        given = {
            name: (b, f"d{name[0]}", "d") for name, b in (("basis", basis), ("from_basis", from_basis)) if b is not None
        }
        check_labels(
            "change_of_basis", x=(x, "nd" if from_basis is None else "nf", "d" if from_basis is None else "f"), **given
        )
    if operator:
        check_square("change_of_basis", x=array)
    elif not array.ndim:
        raise ValueError("change_of_basis: x must hold vectors, got a number")
    to = None if basis is None else _basis("change_of_basis", "basis", basis, size)
    source = None if from_basis is None else _basis("change_of_basis", "from_basis", from_basis, size)
    dtype = np.result_type(*(a for a in (array, to, source) if a is not None))
    array = array.astype(dtype, copy=False)
    to, source = (None if a is None else a.astype(dtype, copy=False) for a in (to, source))
    try:
        if not operator:
            return _coordinates(to, _combinations(source, array))
        if source is None and to is None:
            return array.copy()
        if source is None:  # inv(B) T B
            assert to is not None
            return solve(*_stacked(to, product(array, to)))
        if to is None:  # F T inv(F)
            return _divide(product(source, array), source)
        change = solve(*_stacked(to, source))
        return _divide(product(change, array), change)
    except ValueError as error:
        known = {"x": array, "basis": to, "from_basis": source}
        explain("change_of_basis", error, **{name: a for name, a in known.items() if a is not None})


def reflection_matrix(normal: ArrayLike | None = None, *, basis: ArrayLike | None = None) -> Array:
    """Matrix that reflects in a mirror through the origin.

    Parameters
    ----------
    normal : array_like, shape (..., D), optional
        A vector at right angles to the mirror, of any length but zero: the mirror is a line in two dimensions, a plane
        in three.
    basis : array_like, shape (..., D, M), optional
        Instead of `normal`: vectors, the columns, that span the mirror; they need not be orthogonal. A mirror has fewer
        directions than the space, so M is below D: one in two dimensions, two (or one) in three.

    Returns
    -------
    ndarray, shape (..., D, D)
        ``I - 2 n n' / (n' n)``, or ``2 Q Q' - I`` with the basis Q that `gram_schmidt` makes of `basis`. Symmetric and
        orthogonal.

    Raises
    ------
    numpy.linalg.LinAlgError
        If a normal is zero, the vectors of a basis are linearly dependent (which would leave a projection), there are
        as many as dimensions (which would leave the identity), or none.
    ValueError
        If not exactly one of `normal` and `basis` is given, or they do not have such a shape.
    TypeError
        If the numbers are complex or no numbers at all.

    Examples
    --------
    >>> import mmlfast as mf
    >>> mf.linalg.reflection_matrix([1.0, 0.0])
    array([[-1.,  0.],
           [ 0.,  1.]])
    >>> mf.linalg.reflection_matrix(basis=[[3.0], [4.0]])  # the line along (3, 4)
    array([[-0.28,  0.96],
           [ 0.96,  0.28]])
    """
    if (normal is None) == (basis is None):
        raise ValueError("reflection_matrix: give either normal or basis")
    if type(normal) is not np.ndarray and is_dask(normal):
        return _lazily(reflection_matrix, "(n)->(n,n)", normal)
    if type(basis) is not np.ndarray and is_dask(basis):
        return _lazily(lambda part: reflection_matrix(basis=part), "(n,k)->(n,n)", basis)
    if normal is not None:
        n = np.asarray(as_float(normal, "normal"), order="C")  # sums would else run in another order
        if n.ndim < 1 or n.shape[-1] < 1:
            raise ValueError(f"reflection_matrix: normal must hold vectors, got shape {n.shape}")
        u = unit("reflection_matrix", "normal", n)[..., None]
        row = u.swapaxes(-1, -2)
        flip: Array = np.eye(n.shape[-1]) - product(u, row) * (2 / product(row, u))  # u'u is not quite 1
        return flip.astype(n.dtype, copy=False)
    vectors = np.asarray(as_float(basis, "basis"), order="C")
    if vectors.ndim < 2:
        raise ValueError(
            f"reflection_matrix: basis must hold vectors in columns, shape (..., D, M), got shape {vectors.shape}: a "
            f"line is basis[:, None]"
        )
    size, count = vectors.shape[-2:]
    if count >= size:
        raise LinAlgError(
            f"reflection_matrix: a mirror has fewer directions than the space, and basis has {count} columns in {size} "
            f"dimensions: pass the directions that lie in the mirror, at most {max(size - 1, 0)} columns, or "
            f"normal=, the one at right angles to it"
        )
    if count == 0:
        raise LinAlgError(
            f"reflection_matrix: basis of shape {vectors.shape} holds no vector that spans a mirror "
            f"(the origin as a mirror is -np.eye({size}))"
        )
    q = orthonormal("reflection_matrix", "basis", vectors)
    mirror: Array = 2 * product(q, q.swapaxes(-1, -2)) - np.eye(q.shape[-2])
    return mirror.astype(vectors.dtype, copy=False)


def transform(points: ArrayLike, matrix: ArrayLike, basis: ArrayLike | None = None) -> Array:
    """Apply a matrix to points.

    Parameters
    ----------
    points : array_like, shape (..., N, D) or (D,)
        Points are **rows**: a cloud, the corners of a drawing, coordinates of pixels. A drawing with one point in each
        column, as courses write it, goes in as ``drawing.T``; with two points in two dimensions nobody can tell.
    matrix : array_like, shape (..., M, D), (..., D, D + 1) or (..., D + 1, D + 1)
        A linear map; an affine one ``[A | t]``; or a projective one (a homography) in homogeneous coordinates, which is
        affine if its last row is (0, ..., 0, 1).
    basis : array_like, shape (..., D, D), optional
        The basis, as columns, that `matrix` is given in: what is applied is ``basis @ matrix @ inv(basis)``, to points
        in standard coordinates. Only for a `matrix` of shape (..., D, D).

    Returns
    -------
    ndarray, shape (..., N, M) or (M,)
        ``points @ matrix.T``; ``points @ A.T + t`` for the affine map of A and t; for a projective one this divided by
        the last coordinate (infinite, or NaN, where that is zero).

    Raises
    ------
    numpy.linalg.LinAlgError
        If the vectors of the basis are linearly dependent, or the last row of a homogeneous matrix is zero.
    ValueError
        If the shapes do not fit together, or labels (pandas, xarray) of the coordinates differ.
    TypeError
        If the numbers are complex or no numbers at all.

    Notes
    -----
    Every point is transformed by itself: rows of NaN, which separate the polygons of a drawing, stay rows of NaN and
    spoil no other row.

    Examples
    --------
    >>> import numpy as np
    >>> import mmlfast as mf
    >>> square = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [np.nan, np.nan], [0.0, 1.0]])
    >>> mf.linalg.transform(square, [[0.0, -1.0], [1.0, 0.0]])
    array([[ 0.,  0.],
           [ 0.,  1.],
           [-1.,  1.],
           [nan, nan],
           [-1.,  0.]])
    >>> mf.linalg.transform(square[:3], [[1.0, 0.0, 10.0], [0.0, 1.0, 20.0]])  # a shift
    array([[10., 20.],
           [11., 20.],
           [11., 21.]])
    """
    if type(points) is not np.ndarray and is_dask(points):
        return _lazily(transform, "(p,d),(i,j)->(p,d)", points, as_float(matrix, "matrix"), basis=basis)
    x, a = as_float(points, "points"), as_float(matrix, "matrix")
    if x.ndim < 1 or a.ndim < 2:
        raise ValueError(f"transform: points of shape {x.shape} and matrix of shape {a.shape}: too few dimensions")
    if x is not points and not isinstance(points, list):
        given = {"matrix": (matrix, "md", "d")} if basis is None else {"basis": (basis, "db", "d")}
        check_labels("transform", points=(points, "nd", "d"), **given)
    size = x.shape[-1]
    a, shift, last = _parts(x, a)
    if basis is not None:
        if shift is not None or a.shape[-2] != size:
            raise ValueError(f"transform: in a basis, matrix must have shape (..., {size}, {size})")
        columns = _basis("transform", "basis", basis, size)
        a = change_of_basis(a, None, columns, operator=True)
    dtype = np.result_type(x, a)
    x, a = x.astype(dtype, copy=False), a.astype(dtype, copy=False)
    rows = x[None, :] if x.ndim == 1 else x
    try:
        y: Array = product(rows, a.swapaxes(-1, -2))
        if shift is not None:
            y += shift[..., None, :].astype(dtype, copy=False)
        if last is not None:
            y = _divided(y, product(rows, last[..., :-1, None].astype(dtype, copy=False)), last)
    except ValueError as error:
        explain("transform", error, points=x, matrix=a)
    return y[..., 0, :] if x.ndim == 1 else y


def _parts(points: Array, matrix: Array) -> tuple[Array, Array | None, Array | None]:
    """The linear part of a matrix, its shift, and its last row where that is not (0, ..., 0, 1)."""
    size, (rows, columns) = points.shape[-1], matrix.shape[-2:]
    if columns == size:
        return matrix, None, None
    if columns != size + 1 or rows not in (size, size + 1):
        hint = ""
        if points.ndim > 1 and points.shape[-2] in (columns, columns - 1):
            hint = f": points are rows, and these are {points.shape[-2]} points of {size} numbers; pass points.T"
        raise ValueError(f"transform: points of shape {points.shape} do not fit a matrix of shape {matrix.shape}{hint}")
    linear, shift = matrix[..., :size, :-1], matrix[..., :size, -1]
    if rows == size:
        return linear, shift, None
    last = matrix[..., -1, :]
    if not last.any(axis=-1).all():
        _raise(
            "transform", "the last row of matrix is zero, so that no point has an image", np.asarray(~last.any(axis=-1))
        )
    affine = np.all(last[..., :-1] == 0) and np.all(last[..., -1] == 1)
    return linear, shift, None if affine else last


def _divided(y: Array, along: Array, last: Array) -> Array:
    """Homogeneous coordinates y by the last of them. Affine items of a stack have the bits they have alone."""
    affine = (last[..., :-1] == 0).all(axis=-1) & (last[..., -1] == 1)
    with np.errstate(all="ignore"):
        weight = along + last[..., -1:, None].astype(y.dtype, copy=False)
        return np.asarray(y / np.where(affine[..., None, None], 1, weight).astype(y.dtype, copy=False))


def _lazily(function: Callable[..., Array], signature: str, *arrays: Any, **options: Any) -> Array:
    """The one result of a stack in Dask."""
    result: Array = of_stacks(function, signature, "f", *arrays, **options)[0]
    return result


def _basis(function: str, name: str, vectors: ArrayLike, size: int) -> Array:
    """A square matrix of independent columns, checked."""
    a = as_float(vectors, name)
    check_square(function, **{name: a})
    if a.shape[-1] != size:
        raise ValueError(f"{function}: {name} of shape {a.shape} does not fit vectors of {size} numbers")
    orthonormal(function, name, a)
    return a


def orthonormal(function: str, name: str, vectors: Array) -> Array:
    """Orthonormal columns with the same span; LinAlgError if that has fewer dimensions than columns."""
    if vectors.ndim < 2 or vectors.shape[-1] > vectors.shape[-2]:
        raise ValueError(f"{function}: {name} must have shape (..., D, M) with M <= D, got shape {vectors.shape}")
    # NaN makes a basis of NaN, not a dependent one.
    result = gram_schmidt(vectors)
    dependent = (np.asarray(result.rank) < vectors.shape[-1]) & np.isfinite(vectors).all(axis=(-2, -1))
    if dependent.any():
        _raise(function, f"the vectors of {name} are linearly dependent", dependent)
    return result.basis.astype(np.float64)


def unit(function: str, name: str, vectors: Array) -> Array:
    """Vectors at unit length in float64; LinAlgError if one is zero, NaN if one is not finite."""
    largest = np.abs(vectors).max(axis=-1, keepdims=True).astype(np.float64)
    if (largest == 0).any():
        _raise(function, f"{name} is zero", (largest == 0)[..., 0])
    with np.errstate(invalid="ignore"):
        scaled = vectors / largest  # neither overflow nor underflow in the squares
        return np.asarray(scaled / np.sqrt(_core.vecdot(scaled, scaled))[..., None])


def _raise(function: str, what: str, failed: Array) -> NoReturn:
    """LinAlgError that names the first failed item of a batch."""
    if failed.ndim:
        index = np.unravel_index(int(np.argmax(failed)), failed.shape)
        what += f" at batch index ({', '.join(map(str, map(int, index)))}{',' if len(index) == 1 else ''})"
    raise LinAlgError(f"{function}: {what}")


def _coordinates(basis: Array | None, x: Array) -> Array:
    """inv(basis) @ each vector."""
    if basis is None:
        return x
    if basis.ndim > 2:
        return solve(*_stacked(basis, x[..., None]))[..., 0]
    size = basis.shape[-1]
    return solve(basis, x.reshape(-1, size).T).T.reshape(x.shape)


def _combinations(basis: Array | None, x: Array) -> Array:
    """basis @ each vector."""
    if basis is None:
        return x.copy()
    if basis.ndim > 2:
        return np.asarray(product(basis, x[..., None])[..., 0])
    return np.asarray(product(x.reshape(-1, x.shape[-1]), basis.T)).reshape(x.shape)


def _divide(a: Array, b: Array) -> Array:
    """a @ inv(b)."""
    return solve(*_stacked(b.swapaxes(-1, -2), a.swapaxes(-1, -2))).swapaxes(-1, -2)


def _stacked(a: Array, b: Array) -> tuple[Array, Array]:
    """The two with as many axes: solve takes a right-hand side of one axis for a vector."""
    return a, b if b.ndim >= a.ndim else b.reshape((1,) * (a.ndim - b.ndim) + b.shape)
