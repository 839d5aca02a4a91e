"""mmlfast.dask on a cluster of processes, which loses workers: the bits of one process, only later."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_dask_pagerank import check, edges_of, exact, rows_of, web

import mmlfast as mf
from mmlfast.dask._link_partitions import LinkPartitions

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")

pytestmark = pytest.mark.filterwarnings("default")
posix = pytest.mark.skipif(sys.platform == "win32", reason="kills a process by a POSIX signal")


def workers(client: Any) -> list[int]:
    return sorted(client.run(os.getpid).values())


def test_pagerank(rng: np.random.Generator, cluster: Any) -> None:
    a = web(rng, weighted=True)
    futures = cluster.map(lambda k: a[k : k + 200], range(0, 400, 200))
    check(mf.dask.pagerank(futures, tol=1e-5, full_output=True), exact(a, 0.85), 1e-5)
    with dask.config.set(scheduler="synchronous"):
        alone = mf.dask.pagerank(edges_of(a, count=2), tol=1e-5)
    np.testing.assert_array_equal(mf.dask.pagerank(edges_of(a, count=2), tol=1e-5), alone)
    with pytest.raises(ValueError, match="link 0 of partition 0 is -1"):
        mf.dask.pagerank([np.array([[0, 1, -1]])])


@posix
@pytest.mark.parametrize("links", [rows_of, edges_of])
@pytest.mark.parametrize("moment", ["before the vector is sent", "after it was sent"])
def test_a_worker_lost_by_pagerank_costs_time_only(
    rng: np.random.Generator, cluster: Any, monkeypatch: pytest.MonkeyPatch, moment: str, links: Any
) -> None:
    a = web(rng)
    send = LinkPartitions._send
    before = workers(cluster)
    count = 0

    def send_and_kill(self: Any, arrays: Any) -> Any:
        nonlocal count
        count += 1
        victim = before[0] if count == 3 else None
        if victim and moment.startswith("before"):
            os.kill(victim, signal.SIGKILL)
        sent = send(self, arrays)
        if victim and moment.startswith("after"):
            os.kill(victim, signal.SIGKILL)
        return sent

    with dask.config.set(scheduler="synchronous"):
        expected = mf.dask.pagerank(links(a), tol=1e-5)
    monkeypatch.setattr(LinkPartitions, "_send", send_and_kill)
    answer = mf.dask.pagerank(links(a), tol=1e-5, full_output=True)
    np.testing.assert_array_equal(answer.scores, expected)
    assert count >= answer.n_iter > 3
    cluster.wait_for_workers(2, timeout=300)
    assert workers(cluster) != before


@posix
@pytest.mark.parametrize("job", ["tables", "pca"])
def test_a_worker_lost_by_tables_costs_time_only(tmp_path: Path, cluster: Any, job: str) -> None:
    rng = np.random.default_rng(0)
    table = rng.standard_normal((300, 5)) @ rng.standard_normal((5, 5)) + 1e6
    flag = str(tmp_path / job)

    def die_once(block: Any) -> Any:
        """The first worker that gets here ends at once."""
        import os
        import pathlib
        import signal

        try:
            pathlib.Path(flag).touch(exist_ok=False)
        except FileExistsError:
            return block
        os.kill(os.getpid(), signal.SIGKILL)
        return block

    table[:, 4] = table[:, 0] + 1e-5 * (table[:, 4] - 1e6)
    whole = da.from_array(table, chunks=(60, 5))
    mortal = whole.map_blocks(die_once, dtype=float, meta=np.empty((0, 0)))

    def results(x: Any) -> list[Any]:
        if job == "tables":
            return list(dask.compute(mf.dask.covariance(x), *mf.dask.qr(x), *mf.dask.lstsq(x, x[:, 1:2])))
        model = mf.dask.pca(x)
        return [model.explained_variance_, model.components_, model.mean_]

    with dask.config.set(scheduler="synchronous"):
        right = results(whole)
    got = results(mortal)
    assert Path(flag).exists()
    cluster.wait_for_workers(2, timeout=300)
    for a, b in zip(got, right, strict=True):
        np.testing.assert_array_equal(a, b)


def test_networks(cluster: Any) -> None:
    rng = np.random.default_rng(2)
    x, y = rng.standard_normal((60, 2)), rng.standard_normal((60, 1))
    how: dict[str, Any] = {"epochs": 3, "batch_size": 16, "learning_rate": 0.05}

    def networks() -> list[Any]:
        return [mf.neural_network.Network([2, 5 + i % 2, 1], seed=i) for i in range(20)]

    expected = mf.neural_network.fit_many(networks(), x, y, **how)
    for rows in (x, cluster.scatter(x)):
        found = mf.dask.fit_many(networks(), rows, y, parts=4, **how)
        np.testing.assert_array_equal(found.losses, expected.losses)
        np.testing.assert_array_equal(found.networks[19].weights[0], expected.networks[19].weights[0])
