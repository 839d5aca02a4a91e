"""Each kernel in every layout of its arguments, small ones in lanes and large ones in blocks: the bits of C order.

Here, at the best level of this machine, one kernel per test; at the other levels all kernels in one process each. The
tests of each kernel see two of the layouts per matrix (tests/cases.py).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cases
import numpy as np
import pytest

import mmlfast as mf

la, ge, st = mf.linalg, mf.geometry, mf.stats
Array = np.ndarray[Any, Any]


def numbers(*shape: int) -> Array:
    return np.random.default_rng(shape).standard_normal(shape)


def definite(*shape: int) -> Array:
    a = numbers(*shape)
    return a @ a.swapaxes(-1, -2) + shape[-1] * np.eye(shape[-1])


def network(x: Array, y: Array) -> Any:
    net = mf.neural_network.Network([x.shape[1], 5, y.shape[1]], seed=1)
    net.fit(x, y, epochs=2, batch_size=32, learning_rate=0.1)
    return net.forward(x), list(net.weights)


def factor_of_rows(x: Array) -> Any:
    factor = la.RFactor(dtype=x.dtype.newbyteorder("=")).update(x[:50]).update(x[50:])
    return factor.r, factor.rank()


def moments_of_rows(x: Array) -> Any:
    moments = st.Moments().update(x[:50]).update(x[50:])
    return moments.mean, moments.covariance()


def nearest(x: Array, y: Array) -> Any:
    return ge.knn(x, y, k=3)


def fits_of_rows(x: Array, y: Array) -> Any:
    fit, labels = mf.linear_model.linear_fit, np.arange(len(y)) ** 2 % 13
    one = x[:, 0]
    return [
        f._record
        for f in (fit(x, y, groups=labels), fit(one, y, window=9), fit(one, y, degree=5), fit(x, y, weights=y * y))
    ]


ENDS = np.random.default_rng(5).integers(0, 40, (300, 2))
LINKS = mf.graph.Links.from_edges(*ENDS.T)


def ranks_of_edges(ends: Array, weights: Array) -> Any:
    return mf.graph.pagerank(mf.graph.Links.from_edges(ends[:, 0], ends[:, 1], weights))


# kernel: (call, arguments), each in groups of lanes with some left over, and in sizes that go to blocks or LAPACK.
CALLS: dict[str, list[tuple[Callable[..., Any], tuple[Array, ...]]]] = {
    "backprop": [(network, (numbers(70, 4), numbers(70, 2)))],
    "cholesky": [(la.cholesky, (definite(*shape),)) for shape in ((2, 11, 5, 5), (19, 3, 3), (40, 40), (2, 130, 130))],
    "covariance": [
        *((st.covariance, (numbers(*shape),)) for shape in ((200, 3), (37, 9, 4), (300, 40))),
        *((st.correlation, (numbers(*shape),)) for shape in ((200, 3), (19, 12, 2))),
        *((lambda x: [st.mean(x), st.std(x)], (numbers(*shape),)) for shape in ((200, 3), (9, 30, 7))),
        (lambda x, w: st.covariance(x, weights=w), (numbers(200, 3), numbers(200) ** 2)),
        (moments_of_rows, (numbers(200, 5),)),
    ],
    "distances": [
        *((ge.cdist, (numbers(m, d), numbers(n, d))) for m, n, d in ((30, 17, 3), (9, 70, 40))),
        (lambda x, y: ge.cdist(x, y, "cosine"), (numbers(30, 5), numbers(17, 5))),
    ],
    "eigh": [(la.eigh, (definite(*shape),)) for shape in ((2, 11, 5, 5), (19, 2, 2), (40, 40))],
    "elimination": [
        *((la.solve, (numbers(*shape), numbers(*shape[:-1], 2))) for shape in ((2, 11, 4, 4), (19, 9, 9), (40, 40))),
        *((la.inv, (numbers(*shape),)) for shape in ((2, 11, 4, 4), (19, 9, 9), (40, 40), (2, 130, 130))),
        *((la.slogdet, (numbers(*shape),)) for shape in ((2, 11, 4, 4), (19, 2, 2), (40, 40))),
        *((la.lu, (numbers(*shape),)) for shape in ((2, 11, 4, 4), (19, 5, 3), (40, 50))),
    ],
    "exact_elimination": [
        *((la.det, (np.trunc(9 * numbers(*shape)).astype(np.int64),)) for shape in ((2, 11, 4, 4), (20, 20))),
        (la.solve, (np.trunc(9 * numbers(5, 6, 6)).astype(np.int64), np.trunc(9 * numbers(5, 6, 2)).astype(np.int64))),
    ],
    "gram_schmidt": [
        *((la.gram_schmidt, (numbers(*shape),)) for shape in ((2, 11, 5, 3), (3000, 6), (50, 40))),
        (lambda a: la.gram_schmidt(a, method="householder"), (numbers(2, 11, 5, 3),)),
    ],
    "inner_product": [
        *(
            (lambda x, y: [ge.inner(x, y), ge.angle(x, y), ge.norm(x)], (numbers(37, d), numbers(37, d)))
            for d in (3, 40)
        ),
        (lambda x, y, g: ge.distance(x, y, metric=g), (numbers(37, 5), numbers(37, 5), definite(5, 5))),
    ],
    "linear_fit": [
        (fits_of_rows, (numbers(50, 3), numbers(50))),
        (lambda x, y: mf.linear_model.linear_fit(x, y)._record, (numbers(2, 11, 30, 2), numbers(2, 11, 30))),
        (lambda x, y: mf.linear_model.linear_fit(x, y)._record, (numbers(30_000, 3), numbers(30_000))),
    ],
    "links": [(ranks_of_edges, (ENDS, np.abs(numbers(len(ENDS)))))],
    "lstsq": [
        *((la.lstsq, (numbers(*shape), numbers(*shape[:-1], 2))) for shape in ((2, 11, 5, 3), (11, 3, 5), (9, 3, 3))),
        *((la.lstsq, (numbers(*shape), numbers(shape[0], 2))) for shape in ((3000, 6), (60, 45), (20, 60))),
    ],
    "matmul": [
        *(
            (la.matmul, (numbers(*batch, m, k), numbers(*batch, k, n)))
            for batch, m, k, n in (((2, 11), 3, 4, 5), ((5,), 20, 9, 33), ((), 90, 70, 110), ((), 300, 5, 3))
        ),
        (la.matvec, (numbers(11, 20, 9), numbers(11, 9))),
        (la.vecdot, (numbers(11, 20), numbers(11, 20))),
    ],
    "neighbors": [(nearest, (numbers(30, d), numbers(200, d))) for d in (3, 40)],
    "pagerank": [
        *((lambda p: mf.graph.pagerank_many(LINKS, p), (np.eye(40)[:k],)) for k in (1, 3, 40)),
        *((mf.graph.pagerank, (np.abs(numbers(*shape)),)) for shape in ((2, 11, 4, 4), (19, 9, 9), (41, 41))),
    ],
    "power_iteration": [(la.power_iteration, (definite(*shape),)) for shape in ((2, 11, 5, 5), (30, 30))],
    "projection": [
        (lambda x, b: [ge.project(x, b), ge.reconstruction_error(x, b)], (numbers(37, d), numbers(d, 2)))
        for d in (3, 40)
    ],
    "qr": [(la.qr, (numbers(*shape),)) for shape in ((2, 11, 5, 3), (9, 3, 5), (3, 45, 38), (110, 150), (3000, 6))],
    "rfactor": [(factor_of_rows, (numbers(200, d),)) for d in (3, 20)],
    "row_echelon": [(la.row_echelon, (numbers(*shape),)) for shape in ((2, 11, 3, 5), (5, 3), (40, 45))],
    "svd": [
        *((la.svd, (numbers(*shape),)) for shape in ((2, 11, 5, 3), (9, 3, 5), (50, 40))),
        *((la.pinv, (numbers(*shape),)) for shape in ((2, 11, 5, 3), (20, 30))),
        *((lambda a: [la.cond(a), la.matrix_rank(a)], (numbers(*shape),)) for shape in ((2, 11, 5, 3), (20, 30))),
    ],
}


def leaves(x: Any) -> list[Array]:
    if isinstance(x, tuple | list):
        return [leaf for item in x for leaf in leaves(item)]
    return [] if x is None else [np.asarray(x)]


def check(kernel: str) -> None:
    for number, (call, arguments) in enumerate(CALLS[kernel]):
        for dtype in (np.float64, np.float32):
            plain = [x if x.dtype.kind == "i" else x.astype(dtype) for x in arguments]
            expected = leaves(call(*plain))
            for layout, arrays in cases.in_every_layout(*plain):
                with cases.saying(kernel, number, dtype.__name__, layout):
                    for got, want in zip(leaves(call(*arrays)), expected, strict=True):
                        cases.same_bits(got, want)


@pytest.mark.parametrize("kernel", CALLS)
def test_layouts(kernel: str) -> None:
    check(kernel)


def test_layouts_at_the_other_levels(run_python: Callable[..., str], simd_levels: list[str]) -> None:
    code = "import test_layouts\nfor kernel in test_layouts.CALLS: test_layouts.check(kernel)\n"
    for level in simd_levels[:-1]:
        run_python(code, MMLFAST_SIMD=level)
