"""Fixtures for every test file."""

from __future__ import annotations

import gc
import importlib
import os
import signal
import subprocess
import sys
import textwrap
import warnings
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import cases
import numpy as np
import pytest
from hypothesis import settings

import mmlfast as mf
from mmlfast import _core

# A shell starts what runs in the background with SIGINT ignored: tests of Ctrl-C would wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples in every run, so that a suite that passes on one machine passes on the next.
# `HYPOTHESIS_PROFILE=search python -m pytest` looks for new ones.
settings.register_profile("suite", derandomize=True, deadline=None)
settings.register_profile("search", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is collected stays until the end: the collector of garbage need not look at it again and again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session", autouse=True)
def one_blas_thread() -> Iterator[None]:
    """For references, and for LAPACK below the library: threads of BLAS wait for each other by counting, which on
    small matrices, and beside other processes, takes longer than the work. `same_at_every_level` lets them be."""
    threadpoolctl = pytest.importorskip("threadpoolctl")
    importlib.import_module("scipy.linalg")  # a library that is loaded later would not be limited
    with threadpoolctl.threadpool_limits(limits=1, user_api="blas"):
        yield


@pytest.fixture
def rng() -> np.random.Generator:
    return cases.fresh_rng()


@pytest.fixture
def threads() -> Iterator[Callable[[int | None], None]]:
    """`threads(2)` sets the number of threads; the default comes back after the test."""
    yield mf.set_num_threads
    mf.set_num_threads(None)


@pytest.fixture
def run_python() -> Callable[..., str]:
    """`run_python(code, MMLFAST_SIMD="avx2")` runs code in a new interpreter and returns what it printed.

    The modules of this folder can be imported there. The time limit is for code that hangs, on the slowest machine.
    BLAS has one thread, if nothing else is said: others wait by counting, and the matrices are small.
    """

    def run(code: str, *, timeout: float = 900, **environment: str) -> str:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("MMLFAST_") and k != "OMP_NUM_THREADS"}
        here = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(Path(__file__).parent)]))
        env = kept | {"PYTHONPATH": here, "OPENBLAS_NUM_THREADS": "1"} | environment
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", textwrap.dedent(code)],
            env=env,
            capture_output=True,
            text=True,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    return run


def available_simd_levels() -> list[str]:
    """The levels that MMLFAST_SIMD can choose on this machine, the lowest first."""
    build = _core.build_config()
    compiled = list(build["simd_compiled"])
    return compiled[: compiled.index(build["simd_detected"]) + 1]


@pytest.fixture
def simd_levels() -> list[str]:
    return available_simd_levels()


@pytest.fixture
def fused_simd_levels() -> list[str]:
    """The levels whose fma() rounds once: they give the same bits. The x86 baseline has none."""
    levels = available_simd_levels()
    return (
        [level for level in levels if level != "baseline"] if len(_core.build_config()["simd_compiled"]) > 1 else levels
    )


@pytest.fixture
def same_at_every_level(run_python: Callable[..., str], fused_simd_levels: list[str]) -> Callable[[str], None]:
    """`same_at_every_level(code)`: what the code prints depends neither on the SIMD level nor on the threads.

    The code prints digests of its results, with `digest(*arrays)`, which is there for it as `np` and `mf` are.
    """
    prelude = """
    import hashlib
    import numpy as np
    import mmlfast as mf

    def digest(*arrays):
        print(hashlib.sha256(b"".join(np.ascontiguousarray(x).tobytes() for x in arrays)).hexdigest())

    """

    def check(code: str) -> None:
        source = textwrap.dedent(prelude) + textwrap.dedent(code)
        levels = fused_simd_levels or ["baseline"]
        ways = [(level, "13"[k % 2]) for k, level in enumerate(levels)]  # one differs from the next in all respects
        if len(levels) == 1:
            ways = [(levels[0], "1"), (levels[0], "3")]
        printed = {
            (level, n): run_python(source, MMLFAST_SIMD=level, MMLFAST_NUM_THREADS=n, OPENBLAS_NUM_THREADS=n)
            for level, n in ways
        }
        assert all(printed.values()), "the code printed nothing"
        assert len(set(printed.values())) == 1, printed

    return check


@pytest.fixture(scope="module")
def data_folder() -> Path:
    """Real data sets: the folder MMLFAST_DATA, or shared/data beside the checkout."""
    folder = cases.data_folder_or_none()
    if folder is None:
        pytest.skip("no data sets: set MMLFAST_DATA to their folder")
    return folder


@pytest.fixture(scope="module")
def cluster():
    """A client of a Dask cluster of two worker processes."""
    distributed = pytest.importorskip("distributed")
    dask = importlib.import_module("dask")
    path = os.pathsep.join(filter(None, [str(Path(mf.__file__).parents[1]), os.environ.get("PYTHONPATH")]))
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        warnings.simplefilter("ignore")
        patch.setenv("PYTHONPATH", path)
        with (
            # A worker that was lost and is not back after 15 seconds, on a busy machine, would be given up for good.
            dask.config.set({"distributed.deploy.lost-worker-timeout": "1 hour"}),
            distributed.LocalCluster(
                n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
            ) as local,
            distributed.Client(local) as client,
        ):
            yield client
