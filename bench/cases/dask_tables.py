"""Tables in chunks by Dask's threads: covariance, QR, least squares and principal components, beside Dask's own."""

from __future__ import annotations

import importlib.util
from functools import partial
from typing import Any

import numpy as np

import mmlfast as mf
from bench.cases.covariance import covariance_error, reference
from bench.cases.pca import variance_error
from bench.harness import Case, Job, Setup

Array = np.ndarray[Any, Any]


def table(setup: Setup) -> tuple[Array, Any, Any]:
    """Rows, the same in ten chunks, and dask.array."""
    da: Any = importlib.import_module("dask.array")
    x = setup.rng.standard_normal((400_000, 32)) + 10
    return x, da.from_array(x, chunks=(40_000, 32)), da


def covariance(setup: Setup) -> Job:
    x, chunked, da = table(setup)
    job = Job(partial(covariance_error, reference(x)), "largest |error| / (sd sd)", limit=1e-12, bytes=x.nbytes)
    job.ours(lambda: mf.dask.covariance(chunked).compute())
    job.peer("dask cov", lambda: da.cov(chunked, rowvar=False).compute())
    return job


def pca(setup: Setup) -> Job:
    x, chunked, _ = table(setup)
    right = np.linalg.eigvalsh(reference(x).astype(np.float64))[::-1]
    job = Job(partial(variance_error, right), "largest relative error of a variance", limit=1e-11, bytes=x.nbytes)
    job.ours(mf.dask.pca, chunked, 10)
    if sklearn := setup.library("sklearn.decomposition"):
        job.peer("sklearn of the computed array", lambda: sklearn.PCA(10).fit(chunked.compute()))
    return job


def qr(setup: Setup) -> Job:
    x, chunked, da = table(setup)

    def error(answer: Any) -> float:
        q, r = answer
        lost = np.linalg.norm(q.T @ q - np.eye(32)), np.linalg.norm(q @ r - x) / np.linalg.norm(x)
        return float(max(lost) / (np.finfo(float).eps / 2))

    dask: Any = importlib.import_module("dask")
    job = Job(error, "orthogonality and residual / u", bytes=2.0 * x.nbytes)
    job.ours(lambda: dask.compute(*mf.dask.qr(chunked)))
    job.peer("dask qr", lambda: dask.compute(*da.linalg.qr(chunked)))
    return job


def lstsq(setup: Setup) -> Job:
    x, chunked, da = table(setup)
    true = setup.rng.standard_normal(32)
    b = da.from_array(x @ true, chunks=40_000)

    def error(answer: Any) -> float:
        return float(np.linalg.norm(np.asarray(answer) - true) / np.linalg.norm(true) / (np.finfo(float).eps / 2))

    job = Job(error, "distance from the coefficients / (norm u)", bytes=x.nbytes)
    job.ours(lambda: mf.dask.lstsq(chunked, b).x.compute())
    job.peer("dask lstsq", lambda: da.linalg.lstsq(chunked, b)[0].compute())
    return job


CASES = (
    [
        Case("dask-covariance", "covariance, 400000 x 32 in 10 chunks", covariance),
        Case("dask-pca", "PCA, 400000 x 32 in 10 chunks, 10 components", pca),
        Case("dask-qr", "qr, 400000 x 32 in 10 chunks", qr),
        Case("dask-lstsq", "lstsq, 400000 x 32 in 10 chunks", lstsq),
    ]
    if importlib.util.find_spec("dask") is not None
    else []
)
