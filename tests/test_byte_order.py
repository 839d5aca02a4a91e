"""Input in the other byte order: the same bits as in the native one, in native dtypes, for every function of linalg."""

from __future__ import annotations

import numpy as np
import pytest
from cases import within

import mmlfast as mf

ALL = ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f4", "f8")
FLOATS = ("f4", "f8")

SQUARE = np.array([[5, 1, 2], [1, 7, 1], [2, 1, 9]])
TALL = np.array([[1, 2], [3, 5], [4, 4], [7, 1]])
VECTOR = np.array([3, 1, 2])
PERMUTATION = np.array([[0, 1, 0], [0, 0, 1], [1, 0, 0]])


def of_type(x, kind):
    """Of this dtype; eight-byte integers with numbers that only they can hold."""
    a = x.astype(kind)
    if kind == "u8":
        a[0] += np.uint64(2**63)
    elif kind == "i8":
        a[0] += 2**53
    return a


# name: (call, arguments, dtypes). Numbers beyond 2^53 are refused by those that have no exact way.
CALLS = {
    "change_of_basis": (lambda a, v: mf.linalg.change_of_basis(v, a), (SQUARE, VECTOR), FLOATS),
    "characteristic_polynomial": (mf.linalg.characteristic_polynomial, (SQUARE,), ALL),
    "cholesky": (mf.linalg.cholesky, (SQUARE,), FLOATS),
    "cond": (mf.linalg.cond, (SQUARE,), FLOATS),
    "det": (mf.linalg.det, (SQUARE,), ALL),
    "diagonalize": (mf.linalg.diagonalize, (SQUARE,), FLOATS),
    "eig": (mf.linalg.eig, (SQUARE,), FLOATS),
    "eigh": (mf.linalg.eigh, (SQUARE,), FLOATS),
    "eigvalsh": (mf.linalg.eigvalsh, (SQUARE,), FLOATS),
    "einsum": (lambda a, b: mf.linalg.einsum("ij,jk->ik", a, b), (SQUARE, SQUARE), FLOATS),
    "gram_schmidt": (mf.linalg.gram_schmidt, (TALL,), FLOATS),
    "inv": (mf.linalg.inv, (SQUARE,), ALL),
    "is_singular": (mf.linalg.is_singular, (SQUARE,), ALL),
    "lstsq": (mf.linalg.lstsq, (TALL, TALL[:, :1]), FLOATS),
    "lu": (mf.linalg.lu, (SQUARE,), FLOATS),
    "matmul": (mf.linalg.matmul, (SQUARE, SQUARE), FLOATS),
    "matrix_power": (lambda a: [mf.linalg.matrix_power(a, k) for k in (-2, -1, 0, 1)], (SQUARE,), FLOATS),
    "matrix_rank": (mf.linalg.matrix_rank, (SQUARE,), ALL),
    "matvec": (mf.linalg.matvec, (SQUARE, VECTOR), FLOATS),
    "null_space": (mf.linalg.null_space, (TALL.T,), ALL),
    "orth": (mf.linalg.orth, (TALL,), FLOATS),
    "pinv": (mf.linalg.pinv, (TALL,), FLOATS),
    "power_iteration": (mf.linalg.power_iteration, (SQUARE, VECTOR), FLOATS),
    "qr": (mf.linalg.qr, (TALL,), FLOATS),
    "reflection_matrix": (lambda n: mf.linalg.reflection_matrix(normal=n), (VECTOR,), FLOATS),
    "rotation_matrix": (lambda n: mf.linalg.rotation_matrix(0.5, axis=n), (VECTOR,), FLOATS),
    "row_echelon": (mf.linalg.row_echelon, (SQUARE,), ALL),
    "slogdet": (mf.linalg.slogdet, (SQUARE,), ALL),
    "solve": (mf.linalg.solve, (SQUARE, VECTOR), ALL),
    "svd": (mf.linalg.svd, (TALL,), FLOATS),
    "svdvals": (mf.linalg.svdvals, (TALL,), FLOATS),
    "transform": (mf.linalg.transform, (SQUARE, PERMUTATION), FLOATS),
    "vecdot": (mf.linalg.vecdot, (VECTOR, VECTOR), FLOATS),
    "RFactor": (
        lambda x: mf.linalg.RFactor(2, dtype=np.float32 if x.dtype.type is np.float32 else np.float64).update(x).r,
        (TALL,),
        FLOATS,
    ),
}


def test_every_function_has_a_call():
    functions = {name for name in mf.linalg.__all__ if name[0].islower()}
    assert functions <= CALLS.keys()


def leaves(x):
    return [leaf for item in x for leaf in leaves(item)] if isinstance(x, tuple | list) else [np.asarray(x)]


@within("kind", ALL)
@pytest.mark.parametrize("name", CALLS)
def test_the_other_byte_order(name, kind):
    """Integers above 2^63 were taken for negative ones."""
    call, arguments, kinds = CALLS[name]
    arrays = [of_type(x, kind) if kind in kinds else x.astype(kind) for x in arguments]
    expected = leaves(call(*arrays))
    swapped = [x.astype(x.dtype.newbyteorder()) for x in arrays]
    kept = [x.tobytes() for x in swapped]
    for mixed in (swapped, [swapped[0], *arrays[1:]], [*arrays[:-1], swapped[-1]]):
        found = leaves(call(*mixed))
        assert len(found) == len(expected)
        for x, y in zip(found, expected, strict=True):
            assert x.dtype == y.dtype
            assert x.dtype.isnative
            assert x.tobytes() == y.tobytes() if x.dtype.kind != "O" else x.tolist() == y.tolist()
    assert [x.tobytes() for x in swapped] == kept


@pytest.mark.parametrize("kind", ["f4", "f8"])
def test_estimators_in_the_other_byte_order(kind):
    """Float32 stays float32."""
    x = np.random.default_rng(3).standard_normal((30, 4)).astype(kind)
    swapped = x.astype(x.dtype.newbyteorder())
    for make in (mf.decomposition.PCA, mf.decomposition.IncrementalPCA):
        ours, right = make(2).fit(swapped), make(2).fit(x)
        for p, q in ((ours.components_, right.components_), (ours.transform(swapped), right.transform(x))):
            assert p.dtype == q.dtype == np.dtype(kind)
            assert p.tobytes() == q.tobytes()
    near = [mf.geometry.NearestNeighbors(n_neighbors=2).fit(a).kneighbors(a)[0] for a in (swapped, x)]
    assert near[0].dtype == np.dtype(kind)
    assert near[0].tobytes() == near[1].tobytes()
