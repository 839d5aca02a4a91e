"""Eight threads at once, each computing everything, on a Python without a GIL: every answer has the bits of one thread.

A state (`Moments`) is shared by all of them.
"""

from __future__ import annotations

import hashlib
import sys
import threading

import numpy as np

import mmlfast as mf

THREADS, ROUNDS = 8, 15

rng = np.random.default_rng(1)
a, b, x = rng.standard_normal((500, 5, 5)), rng.standard_normal((500, 5, 1)), rng.standard_normal((400, 6))
large = rng.standard_normal((60, 60))
definite = a @ a.mT + np.eye(5)
slope = mf.autodiff.grad(lambda v: np.sum(np.tanh(v) ** 2))


def everything() -> str:
    la, total = mf.linalg, hashlib.sha256()
    for result in (
        la.solve(a, b), la.inv(a), *la.qr(a), *la.svd(a), *la.eigh(definite), la.cholesky(definite), la.matmul(a, a),
        la.solve(large, large), la.lstsq(a, b).x, mf.stats.covariance(x), mf.geometry.cdist(x, x),
        mf.geometry.knn(x, x, 3).indices, slope.batch(x),
    ):  # fmt: skip
        total.update(np.ascontiguousarray(result).tobytes())
    return total.hexdigest()


def main() -> int:
    enabled = getattr(sys, "_is_gil_enabled", lambda: True)
    right, faults = everything(), []
    shared = mf.stats.Moments()

    def work() -> None:
        for _ in range(ROUNDS):
            try:
                if everything() != right:
                    faults.append("other bits")
                shared.update(x)
            except Exception as error:
                faults.append(repr(error)[:200])

    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if shared.count != THREADS * ROUNDS * len(x):
        faults.append(f"{shared.count} rows were counted")
    print(f"GIL {'on' if enabled() else 'off'}; {THREADS} threads, {len(faults)} faults: {sorted(set(faults))}")
    return int(bool(faults))


if __name__ == "__main__":
    raise SystemExit(main())
