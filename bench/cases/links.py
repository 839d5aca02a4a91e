"""Taking a graph in: from CSR to the links that arrive at each node, against a transposition in SciPy."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

import mmlfast as mf
from bench.cases.pagerank import GRAPHS
from bench.harness import Case, Job, Setup


def intake(name: str, weighted: bool, setup: Setup) -> Job:
    a = GRAPHS[name]()
    if weighted:
        a = a.copy()
        a.data = setup.rng.random(a.nnz)

    def scipy_intake() -> Any:
        sums = np.asarray(a.sum(axis=1)).ravel()
        return a.T.tocsr(), np.where(sums > 0, 1 / np.where(sums > 0, sums, 1), 0)

    job = Job(bytes=(4 if not weighted else 12) * a.nnz)
    job.ours(mf.graph.Links, a)
    job.peer("scipy", scipy_intake)
    return job


CASES = [
    Case("links-rmat", "Links, R-MAT of 2^20 nodes, 1.6e7 links", partial(intake, "rmat", False), slow=True),
    Case("links-rmat-weighted", "Links, the same with weights", partial(intake, "rmat", True), slow=True),
    Case("links-web", "Links, web graph of 325557 nodes, 3.2e6 links", partial(intake, "web", False), slow=True),
]
