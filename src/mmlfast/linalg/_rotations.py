"""Rotations, by an angle or from one vector to another; public as `mmlfast.linalg.rotation_matrix`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mmlfast import _core
from mmlfast._common.arrays import as_float
from mmlfast._common.labels import check_labels
from mmlfast.linalg._matmul import product
from mmlfast.linalg._transformations import orthonormal, unit

Array = np.ndarray[Any, Any]


def rotation_matrix(
    angle: ArrayLike | None = None,
    axis: ArrayLike | None = None,
    *,
    plane: ArrayLike | None = None,
    between: tuple[ArrayLike, ArrayLike] | None = None,
) -> Array:
    """Matrix that rotates about the origin.

    Parameters
    ----------
    angle : array_like, shape (...), optional
        Angles in radians; an array gives a stack of matrices. Not with `between`.
    axis : array_like, shape (..., 3), optional
        The axis of a rotation in three dimensions, of any length but zero: counterclockwise for who looks against it.
    plane : array_like, shape (..., D, 2), optional
        Two vectors, the columns, that span the plane of a rotation in D dimensions: from the first towards the second.
        What is at right angles to the plane stays.
    between : pair of array_like, shape (..., D), optional
        Instead of an angle: two vectors (a, b) of any length but zero. The rotation takes the direction of a to that of
        b, the short way, and leaves what is at right angles to both. From a to -a there are many: it is a half turn in
        the plane of a and the axis that is least along it.

    Returns
    -------
    ndarray, shape (..., D, D)
        The rotation by `angle`, counterclockwise in two dimensions if neither `axis` nor `plane` is given. Its inverse
        is its transpose, its determinant 1. float32 if all arrays are.

    Raises
    ------
    numpy.linalg.LinAlgError
        If an axis or one of the vectors of `between` is zero, or the two vectors of a plane are linearly dependent.
    ValueError
        If more than one of `axis`, `plane` and `between` is given, or their shape is wrong.
    TypeError
        If the numbers are complex or no numbers at all.

    Notes
    -----
    About an axis u this is Rodrigues' formula ``cos I + sin [u] + (1 - cos) u u'``, with ``1 - cos`` as ``2 sin^2`` of
    half the angle, so that small angles lose nothing. All of it is computed in float64.

    Examples
    --------
    >>> import numpy as np
    >>> import mmlfast as mf
    >>> mf.linalg.rotation_matrix(np.pi / 2).round(12) @ [1.0, 0.0]
    array([0., 1.])
    >>> mf.linalg.rotation_matrix(np.pi / 2, axis=[0.0, 0.0, 1.0]).round(12) @ [1.0, 0.0, 0.0]
    array([0., 1., 0.])
    >>> mf.linalg.rotation_matrix(between=([1.0, 0.0, 0.0], [0.0, 0.0, 2.0])) @ [1.0, 0.0, 0.0]
    array([0., 0., 1.])
    """
    if sum(x is not None for x in (axis, plane, between)) > 1:
        raise ValueError("rotation_matrix: give axis, plane or between, not both")
    with np.errstate(all="ignore"):
        if between is not None:
            if angle is not None:
                raise ValueError("rotation_matrix: between has an angle of its own: give angle or between, not both")
            return _between(between)
        if angle is None:
            raise ValueError("rotation_matrix: give an angle, or between=(a, b) for the rotation that takes a to b")
        return _by_angle(angle, axis, plane)


def _by_angle(angle: ArrayLike, axis: ArrayLike | None, plane: ArrayLike | None) -> Array:
    theta = as_float(angle, "angle")
    dtype = theta.dtype
    vectors = None
    if axis is not None:
        vectors = as_float(axis, "axis")
        if vectors.ndim < 1 or vectors.shape[-1] != 3:
            raise ValueError(f"rotation_matrix: axis must hold vectors of 3 numbers, got shape {vectors.shape}")
    elif plane is not None:
        vectors = as_float(plane, "plane")
        if vectors.ndim < 2 or vectors.shape[-1] != 2 or vectors.shape[-2] < 2:
            raise ValueError(f"rotation_matrix: plane must have shape (..., D, 2), D > 1, got shape {vectors.shape}")
    if vectors is not None:
        # A Python number has no precision of its own.
        dtype = vectors.dtype if type(angle) in (int, float) else np.result_type(theta, vectors)
    theta = theta.astype(np.float64)[..., None, None]
    if vectors is None:
        rotation = _turn(theta)
    elif plane is None:
        rotation = _about_axis(theta, unit("rotation_matrix", "axis", vectors))
    else:
        rotation = _in_plane(theta, orthonormal("rotation_matrix", "plane", vectors))
    return rotation.astype(dtype, copy=False)


def _between(between: Any) -> Array:
    """The rotations that take the first of two vectors to the direction of the second."""
    if isinstance(between, np.ndarray) or not hasattr(between, "__len__") or len(between) != 2:
        raise ValueError("rotation_matrix: between must be a pair of vectors, (a, b)")
    check_labels("rotation_matrix", **{f"between[{k}]": (v, "nd", "d") for k, v in enumerate(between)})
    a, b = (as_float(v, f"between[{k}]") for k, v in enumerate(between))
    for k, v in enumerate((a, b)):
        if v.ndim < 1 or v.shape[-1] < 2:
            raise ValueError(
                f"rotation_matrix: between[{k}] must hold vectors of 2 or more numbers, got shape {v.shape}"
            )
    if a.shape[-1] != b.shape[-1]:
        raise ValueError(f"rotation_matrix: the vectors of between have shapes {a.shape} and {b.shape}: not one space")
    dtype = np.result_type(a, b)
    units = [unit("rotation_matrix", f"between[{k}]", v) for k, v in enumerate((a, b))]
    try:
        first, second = np.broadcast_arrays(*units)
    except ValueError:
        raise ValueError(
            f"rotation_matrix: the vectors of between have shapes {a.shape} and {b.shape}, which do not broadcast"
        ) from None
    return _shortest(first, second).astype(dtype, copy=False)


def _shortest(a: Array, b: Array) -> Array:
    """The rotations that take unit vectors a to unit vectors b."""

    def dot(x: Array, y: Array) -> Array:
        return np.asarray(_core.vecdot(x, y))[..., None]

    # b = cos a + sin u, with a unit vector u at right angles to a; where b is along a, any u will do.
    cosine = dot(a, b)
    rest = b - cosine * a
    sine = np.sqrt(dot(rest, rest))
    lone = np.zeros(b.shape)
    np.put_along_axis(lone, np.abs(a).argmin(axis=-1)[..., None], 1.0, axis=-1)
    along = sine < 1e-15
    u = np.where(along, lone, rest / sine)
    for _ in range(2):
        u = u - dot(a, u) * a
        u = u / np.sqrt(dot(u, u))
    sine = np.where(along, 0, sine)
    length = np.hypot(cosine, sine)
    cosine, sine = (cosine / length)[..., None], (sine / length)[..., None]
    less = -np.where(cosine > 0, sine * sine / (1 + cosine), 1 - cosine)  # cos - 1
    turn = np.concatenate([np.concatenate([less, -sine], axis=-1), np.concatenate([sine, less], axis=-1)], axis=-2)
    q = np.stack([a, u], axis=-1)
    return np.asarray(np.eye(q.shape[-2]) + product(product(q, turn), q.swapaxes(-1, -2)))


def _turn(theta: Array) -> Array:
    c, s = np.cos(theta), np.sin(theta)
    return np.concatenate([np.concatenate([c, -s], axis=-1), np.concatenate([s, c], axis=-1)], axis=-2)


def _about_axis(theta: Array, u: Array) -> Array:
    s, versed = np.sin(theta), 2 * np.sin(theta / 2) ** 2
    cross = np.zeros((*u.shape, 3))
    cross[..., 2, 1], cross[..., 0, 2], cross[..., 1, 0] = u[..., 0], u[..., 1], u[..., 2]
    cross -= cross.swapaxes(-1, -2).copy()
    outer = u[..., :, None] * u[..., None, :]
    return np.asarray(np.eye(3) + s * cross - versed * (np.eye(3) - outer))


def _in_plane(theta: Array, q: Array) -> Array:
    turn = _turn(theta) - np.eye(2)
    turn[..., 0, 0] = turn[..., 1, 1] = -2 * np.sin(theta[..., 0, 0] / 2) ** 2
    return np.asarray(np.eye(q.shape[-2]) + product(product(q, turn), q.swapaxes(-1, -2)))
