"""Threads, fork, Ctrl-C, memory, SIMD levels, threadpoolctl, lazy imports: what all kernels stand on."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import runpy
import sys
import threading
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from cases import same_bits
from interrupts import run_until, signalled

import mmlfast as mf
from mmlfast import _blas_threads, _config, _core

posix = pytest.mark.skipif(sys.platform == "win32", reason="no fork, no POSIX signals")
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


def batch(seed, count=20_000, n=4):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((count, n, n)), rng.standard_normal((count, n, 1))


# ---- threads ----


@pytest.fixture
def two_blas_threads():
    threadpoolctl = pytest.importorskip("threadpoolctl")
    with threadpoolctl.threadpool_limits(limits=2, user_api="blas"):
        yield


def test_blas_is_held_to_one_thread_and_given_back(two_blas_threads):
    address, _ = _blas_threads.addresses()
    if not address:
        pytest.skip("another BLAS than OpenBLAS")
    n_threads = ctypes.CFUNCTYPE(ctypes.c_int)(address)
    before = n_threads()
    assert before == 2
    hold = _core.SingleBlasThread()  # which outlives what it holds
    with hold:
        assert n_threads() == 1
        with _core.SingleBlasThread():
            assert n_threads() == 1
        assert n_threads() == 1
    assert n_threads() == before
    with pytest.raises(ZeroDivisionError), hold:
        raise ZeroDivisionError
    assert n_threads() == before


def test_eight_python_threads_at_once(threads):
    """The pool serves one of them at a time, the others work alone; all get the right answers."""
    threads(3)
    problems = [batch(seed) for seed in range(8)]
    expected = [mf.linalg.solve(a, b) for a, b in problems]
    start = threading.Barrier(8)

    def solve_often(k):
        start.wait()
        return [mf.linalg.solve(*problems[k]) for _ in range(15)]

    with ThreadPoolExecutor(8) as pool:
        for k, answers in enumerate(pool.map(solve_often, range(8))):
            for answer in answers:
                same_bits(answer, expected[k])


def test_failures_in_threads_stay_in_their_thread(threads):
    threads(2)
    a, b = batch(1)
    singular = a.copy()
    singular[7_000] = 0

    def call(k):
        if k % 2:
            with pytest.raises(np.linalg.LinAlgError, match=r"\(7000,\)"):
                mf.linalg.solve(singular, b)
            return None
        return mf.linalg.solve(a, b)

    expected = mf.linalg.solve(a, b)
    with ThreadPoolExecutor(8) as pool:
        for k, answer in enumerate(pool.map(call, range(64))):
            if k % 2 == 0:
                same_bits(answer, expected)


def test_set_num_threads(threads):
    default = mf.get_num_threads()
    assert default >= 1
    for n in (1, 2, 7):
        threads(n)
        assert mf.get_num_threads() == n
    threads(10**9)
    assert mf.get_num_threads() >= 1
    a, b = batch(2, 5000)
    mf.linalg.solve(a, b)
    threads(None)
    assert mf.get_num_threads() == default
    for bad in (0, -3):
        with pytest.raises(ValueError, match=f"n must be at least 1.* got {bad}"):
            mf.set_num_threads(bad)
    for bad in (1.5, "2"):
        with pytest.raises(TypeError):
            mf.set_num_threads(bad)
    assert mf.get_num_threads() == default


COUNT = "import mmlfast as mf; print(mf.get_num_threads(), mf.show_config('dicts')['threads from'])"


@pytest.fixture
def configured(monkeypatch):
    """`configured(OMP_NUM_THREADS="1")`: what COUNT would print, and the warnings of an import with that variable."""

    def run(**environment):
        for variable in ("MMLFAST_NUM_THREADS", "OMP_NUM_THREADS"):
            monkeypatch.delenv(variable, raising=False)
        for variable, value in environment.items():
            monkeypatch.setenv(variable, value)
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            fresh = runpy.run_path(_config.__file__)
        return f"{fresh['get_num_threads']()} {fresh['show_config']('dicts')['threads from']}", seen

    yield run
    _core.set_default_threads(_config._default)


@pytest.mark.parametrize("value", ["1", "3", " 2 ", "100"])
def test_mmlfast_num_threads_decides(configured, value):
    for omp in ({}, {"OMP_NUM_THREADS": "1"}, {"OMP_NUM_THREADS": "4,2"}):
        found, seen = configured(MMLFAST_NUM_THREADS=value, **omp)
        assert found == f"{int(value)} MMLFAST_NUM_THREADS={value}"
        assert not seen


def test_omp_num_threads_is_heard(configured):
    cpus = int(configured()[0].split()[0])
    for value in ("1", "1,4", " 1 , 2"):
        found = configured(OMP_NUM_THREADS=value)
        assert found == (f"1 OMP_NUM_THREADS={value}" if cpus > 1 else "1 affinity mask and CPU quota", [])
    # it may ask for fewer threads, not for more
    for value in (str(cpus), str(cpus + 7), "100000", f"{cpus},1"):
        assert configured(OMP_NUM_THREADS=value) == (f"{cpus} affinity mask and CPU quota", [])


@pytest.mark.parametrize("variable", ["MMLFAST_NUM_THREADS", "OMP_NUM_THREADS"])
@pytest.mark.parametrize("value", ["abc", "0", "-1", "1.5", "", "2x", "0,2", ",2"])
def test_a_number_of_threads_that_is_none_is_told(configured, variable, value):
    default, _ = configured()
    found, seen = configured(**{variable: value})
    assert found == default
    assert [w.category for w in seen] == [RuntimeWarning]
    text = str(seen[0].message)
    assert f"{variable}={value!r}" in text
    assert f"using {default.split()[0]}, from affinity mask" in text


def test_the_environment_is_read_by_an_import(run_python):
    assert run_python(COUNT, OMP_NUM_THREADS="1").strip() in ("1 OMP_NUM_THREADS=1", "1 affinity mask and CPU quota")
    told = "import warnings; warnings.simplefilter('ignore'); "
    assert run_python(told + COUNT, MMLFAST_NUM_THREADS="none", OMP_NUM_THREADS="1").startswith("1 ")


def test_set_num_threads_is_above_the_environment(run_python):
    code = f"import mmlfast as mf; mf.set_num_threads(5); {COUNT}; mf.set_num_threads(None); {COUNT}"
    found = run_python(code, MMLFAST_NUM_THREADS="2", OMP_NUM_THREADS="1").splitlines()
    assert found == ["5 set_num_threads", "2 MMLFAST_NUM_THREADS=2"]


def test_workers_of_loky_have_one_thread(run_python, tmp_path):
    pytest.importorskip("joblib")
    script = tmp_path / "work.py"
    script.write_text(
        "import joblib\n"
        "def threads(_):\n"
        "    import mmlfast as mf\n"
        "    return mf.get_num_threads()\n"
        "if __name__ == '__main__':\n"
        "    import os\n"
        "    cpus = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()\n"
        "    jobs = [joblib.delayed(threads)(i) for i in range(4)]\n"
        "    print(joblib.Parallel(n_jobs=max(cpus, 2), backend='loky')(jobs))\n"
    )
    code = f"import subprocess, sys; sys.exit(subprocess.call([sys.executable, {str(script)!r}]))"
    assert run_python(code).strip() == "[1, 1, 1, 1]"


@linux
def test_affinity_is_respected(run_python):
    code = """
        import os
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        import mmlfast as mf
        print(mf.get_num_threads())
    """
    assert int(run_python(code)) == 1


@linux
def test_no_thread_before_the_first_large_call(run_python):
    code = """
        import os
        import numpy as np
        before = len(os.listdir("/proc/self/task"))
        import mmlfast as mf
        mf.linalg.inv(np.eye(3))
        mf.linalg.inv(np.stack([np.eye(3)] * 20))
        assert len(os.listdir("/proc/self/task")) == before, "a small call started a thread"
        mf.linalg.inv(np.stack([np.eye(8)] * 50_000))
        assert len(os.listdir("/proc/self/task")) == before + 2, os.listdir("/proc/self/task")
    """
    run_python(code, MMLFAST_NUM_THREADS="3")


A_HELPER = """
    import os
    import time
    import numpy as np
    import mmlfast as mf
    before = set(os.listdir("/proc/self/task"))
    a = np.random.default_rng(3).standard_normal((300, 64, 64))
    mf.linalg.matmul(a, a)
    (helper,) = map(int, set(os.listdir("/proc/self/task")) - before)
    anywhere = os.sched_getaffinity(0)
"""


@linux
@pytest.mark.skipif(mf.get_num_threads() < 2, reason="needs two processors")
def test_a_helper_does_not_stay_where_its_caller_works(run_python):
    """The caller is moved to where the helper sleeps: the helper has to go elsewhere, and may go anywhere again."""
    code = """
    place = lambda: int(open(f"/proc/self/task/{helper}/stat").read().rsplit(")", 1)[1].split()[36])
    here = place()
    os.sched_setaffinity(0, {here})
    while place() == here or os.sched_getaffinity(helper) != anywhere:
        mf.linalg.matmul(a, a)
    """
    run_python(A_HELPER + code, MMLFAST_NUM_THREADS="2")


@linux
@pytest.mark.skipif(mf.get_num_threads() < 2, reason="needs two processors")
def test_a_helper_that_comes_too_late_may_go_anywhere_again(run_python):
    """It was not given back its processor, and what somebody had forbidden in the meantime was allowed later."""
    code = """
    little = a[:60, :48, :48]
    for here in sorted(anywhere)[:2] * 50:
        os.sched_setaffinity(0, {here})
        mf.linalg.matmul(little, little)
        while os.sched_getaffinity(helper) != anywhere:
            time.sleep(0.001)
    """
    run_python(A_HELPER + code, MMLFAST_NUM_THREADS="2")


# ---- fork ----

FORK = """
    import os
    import warnings
    import numpy as np
    import mmlfast as mf
    warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 on: fork in a process with threads
    a = np.random.default_rng(5).standard_normal((30_000, 4, 4))
    expected = mf.linalg.inv(a).tobytes()
"""


@posix
def test_fork_after_use_then_use_in_both(run_python):
    code = (
        FORK
        + """
    for _ in range(5):
        child = os.fork()
        if child == 0:
            same = mf.linalg.inv(a).tobytes() == expected
            grandchild = os.fork()
            if grandchild == 0:
                os._exit(0 if mf.linalg.inv(a).tobytes() == expected else 1)
            same = same and os.waitpid(grandchild, 0)[1] == 0
            os._exit(0 if same else 1)
        assert mf.linalg.inv(a).tobytes() == expected
        assert os.waitpid(child, 0)[1] == 0
    print("done")
    """
    )
    assert run_python(code, MMLFAST_NUM_THREADS="3").strip() == "done"


@posix
def test_fork_while_the_pool_works(run_python):
    """The child inherits locked mutexes and no helpers: it has to make a pool of its own."""
    code = (
        FORK
        + """
    import threading
    stop = threading.Event()

    def keep_busy():
        while not stop.is_set():
            mf.linalg.inv(a)

    worker = threading.Thread(target=keep_busy)
    worker.start()
    try:
        for _ in range(10):
            child = os.fork()
            if child == 0:
                os._exit(0 if mf.linalg.inv(a).tobytes() == expected else 1)
            assert os.waitpid(child, 0)[1] == 0
    finally:
        stop.set()
        worker.join()
    print("done")
    """
    )
    assert run_python(code, MMLFAST_NUM_THREADS="3").strip() == "done"


# Of Python itself: joblib adds some, which another interpreter does not know.
START_METHODS = [name for name in ("fork", "spawn", "forkserver") if name in multiprocessing.get_all_start_methods()]


@pytest.mark.parametrize("method", START_METHODS)
def test_multiprocessing(method, run_python, tmp_path):
    script = tmp_path / "pool.py"
    script.write_text(
        "import multiprocessing, sys, warnings\n"
        "import numpy as np\n"
        "import mmlfast as mf\n"
        "def work(seed):\n"
        "    a = np.random.default_rng(seed).standard_normal((20_000, 3, 3))\n"
        "    return mf.linalg.det(a)\n"
        "if __name__ == '__main__':\n"
        "    warnings.simplefilter('ignore', DeprecationWarning)\n"
        "    expected = [work(seed).tobytes() for seed in range(6)]\n"
        f"    with multiprocessing.get_context({method!r}).Pool(2) as pool:\n"
        "        found = [d.tobytes() for d in pool.map(work, range(6))]\n"
        "    assert found == expected\n"
        "    print('done')\n"
    )
    code = f"import runpy; runpy.run_path({str(script)!r}, run_name='__main__')"
    if method != "fork":  # the child imports the main module by its path
        code = f"import subprocess, sys; sys.exit(subprocess.call([sys.executable, {str(script)!r}]))"
    assert run_python(code, MMLFAST_NUM_THREADS="2").strip() == "done"


# ---- Ctrl-C ----


@posix
@pytest.mark.parametrize(
    ("setup", "n_threads"),
    [
        # hours of work each, through the three ways that a call can take
        pytest.param("a = np.broadcast_to(np.eye(16) + 1, (2**31, 16, 16))", "1", id="lanes alone"),
        pytest.param("a = np.broadcast_to(np.eye(16) + 1, (2**31, 16, 16))", "3", id="lanes"),
        pytest.param("a = np.broadcast_to(np.eye(200) + 1, (2**31, 200, 200))", "3", id="blocks"),
        pytest.param("a = np.broadcast_to(np.eye(16) + 1, (2**29, 3, 16, 16))[:, ::2]", "1", id="pieces"),
    ],
)
def test_keyboard_interrupt(run_python, setup, n_threads):
    """Unanswered, the call would take hours: the time limit of the test is for that alone."""
    code = f"""
        import numpy as np
        import mmlfast as mf
        from interrupts import interrupt
        {setup}
        interrupt(lambda: mf.linalg.det(a))
        # and everything still works
        assert abs(mf.linalg.det(np.stack([2 * np.eye(3)] * 50_000)) - 8).max() == 0
        print("done")
    """
    assert run_python(code, MMLFAST_NUM_THREADS=n_threads).strip() == "done"


@posix
def test_signal_handler_that_raises(run_python):
    """The exception of a handler comes out of the call as it is; a handler that returns does not stop it."""
    code = """
        import numpy as np
        import mmlfast as mf
        from interrupts import interrupt

        class Stop(Exception):
            pass

        seen = []

        def second():
            seen.append(1)
            return len(seen) == 2

        interrupt(lambda: mf.linalg.det(np.broadcast_to(np.eye(16) + 1, (2**31, 16, 16))), second, Stop)
        print(len(seen))
    """
    assert run_python(code).strip() == "2"


# ---- memory ----


@linux
def test_no_leak(run_python):
    code = """
        import gc, os
        import numpy as np
        import mmlfast as mf

        def resident():
            gc.collect()
            with open("/proc/self/statm") as f:
                return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

        rng = np.random.default_rng(1)
        small, many, large = (rng.standard_normal(shape) for shape in ((3, 3), (1000, 6, 6), (100, 100)))
        singular = many.copy()
        singular[17] = 0

        def work(times):
            for _ in range(times):
                for a in (small, many, many[:, ::-1], many.astype(np.float32), many[:50].astype(int), large):
                    mf.linalg.inv(a, errors="nan")
                    mf.linalg.det(a)
                    mf.linalg.slogdet(a)
                for bad in (singular, many[:, :5], small.astype(complex)):
                    try:
                        mf.linalg.inv(bad)
                    except (np.linalg.LinAlgError, TypeError):
                        pass
                for _ in range(200):
                    mf.linalg.solve(small, small)

        work(5)
        before = resident()
        work(20)
        grown = resident() - before
        assert grown < 1e6, f"{grown / 1e6:.1f} MB more after 20 rounds"
        print("done")
    """
    assert run_python(code).strip() == "done"


@linux
@pytest.mark.skipif("asan" in os.environ.get("LD_PRELOAD", ""), reason="the address sanitizer keeps what is freed")
def test_large_scratch_is_given_back(run_python):
    code = """
        import os
        import numpy as np
        import mmlfast as mf

        def resident():
            with open("/proc/self/statm") as f:
                return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

        mf.linalg.det(np.eye(50))
        a = np.eye(2500)
        mf.linalg.det(a)
        before = resident()
        mf.linalg.det(a)
        assert resident() - before < 20e6
        del a
    """
    run_python(code)


def test_absurd_sizes_are_refused_not_attempted():
    """2^62 bytes of scratch, by way of zero strides."""
    a = np.broadcast_to(np.float64(1), (2**28, 2**28))
    for function in (mf.linalg.det, mf.linalg.slogdet):
        with pytest.raises((MemoryError, ValueError)):
            function(a)


def test_working_memory_stays_where_it_is_while_another_driver_works_further_in(threads: Callable[[int], None]) -> None:
    """Of a batch, items without full rank go to another driver, in the middle of the loop and in its thread; what a
    thread that has not computed yet has of memory grows with the first of them."""
    threads(1)
    rng = np.random.default_rng(20261129)
    a, b = rng.standard_normal((64, 30, 20)), rng.standard_normal((64, 30, 3))
    a[5::9, :, 19] = a[5::9, :, 3]
    expected = np.stack([mf.linalg.lstsq(*item).x for item in zip(a, b, strict=True)])
    with ThreadPoolExecutor(1) as new_thread:
        result = new_thread.submit(mf.linalg.lstsq, a, b).result()
    same_bits(result.x, expected)
    assert (result.rank == np.where(np.arange(64) % 9 == 5, 19, 20)).all()


# ---- SIMD levels ----


def test_every_level_can_be_chosen(run_python, simd_levels):
    code = "import mmlfast as mf; print(mf.show_config(mode='dicts')['SIMD in use'])"
    for level in simd_levels[:-1]:
        assert run_python(code, MMLFAST_SIMD=level).strip() == level
    assert run_python(code, MMLFAST_SIMD="").strip() == simd_levels[-1]


def test_unknown_level_warns(run_python, simd_levels):
    code = """
        import warnings
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            import mmlfast as mf
        assert [w.category for w in seen] == [RuntimeWarning], seen
        assert "MMLFAST_SIMD=sse9 is not available here" in str(seen[0].message)
        print(mf.show_config(mode="dicts")["SIMD in use"])
    """
    assert run_python(code, MMLFAST_SIMD="sse9").strip() == simd_levels[-1]


def test_level_above_the_processor_is_refused(run_python, simd_levels):
    above = set(_core.build_config()["simd_compiled"]) - set(simd_levels)
    if not above:
        pytest.skip("this processor has every level")
    for level in above:
        code = """
            import warnings
            warnings.simplefilter("ignore")
            import mmlfast as mf
            print(mf.show_config("dicts")["SIMD in use"])
        """
        assert run_python(code, MMLFAST_SIMD=level).strip() == simd_levels[-1]


# ---- threadpoolctl ----


@pytest.mark.parametrize("first", ["threadpoolctl", "mmlfast"])
def test_threadpoolctl(run_python, first):
    pytest.importorskip("threadpoolctl")
    second = "mmlfast" if first == "threadpoolctl" else "threadpoolctl"
    code = f"""
        import {first}
        import {second}
        import mmlfast as mf
        import threadpoolctl
        if {first!r} == "mmlfast":
            mf.register_threadpoolctl()
            mf.register_threadpoolctl()
        mf.set_num_threads(5)
        [ours] = [lib for lib in threadpoolctl.threadpool_info() if lib["user_api"] == "mmlfast"]
        assert ours["num_threads"] == 5 and ours["version"] == mf.__version__, ours
        with threadpoolctl.threadpool_limits(limits=1, user_api="mmlfast"):
            assert mf.get_num_threads() == 1
        assert mf.get_num_threads() == 5
        with threadpoolctl.threadpool_limits(limits=2):
            assert mf.get_num_threads() == 2
        assert mf.get_num_threads() == 5
        print("done")
    """
    assert run_python(code).strip() == "done"


# ---- configuration and imports ----


def test_show_config(capsys):
    config = mf.show_config(mode="dicts")
    assert config["mmlfast"] == mf.__version__
    assert config["SIMD in use"] in config["SIMD compiled"]
    assert config["CPUs available"] >= 1
    assert mf.show_config() is None
    printed = capsys.readouterr().out
    for key in ("mmlfast", "compiler", "SIMD detected", "threads", "BLAS", "numpy", "scipy"):
        assert key in printed
    with pytest.raises(ValueError, match="mode must be 'stdout' or 'dicts', got 'xml'"):
        mf.show_config("xml")


def test_scipy_is_imported_only_for_large_problems(run_python):
    code = """
        import sys
        import numpy as np
        import mmlfast as mf
        assert not [m for m in sys.modules if m.split(".")[0] in ("scipy", "sklearn", "matplotlib", "rich")]
        mf.linalg.solve(np.stack([np.eye(32)] * 10), np.ones(32))
        mf.linalg.inv(np.eye(100))
        mf.linalg.cholesky(np.eye(100))
        mf.linalg.eigh(np.eye(300))
        mf.linalg.eigvalsh(np.eye(300))
        assert "scipy.linalg" not in sys.modules
        mf.linalg.svd(np.eye(100))
        assert "scipy.linalg" in sys.modules
        assert mf.show_config("dicts")["LAPACK loaded"]
    """
    run_python(code)


def test_modules_are_imported_when_used(run_python):
    code = """
        import sys
        import mmlfast as mf
        assert "mmlfast.linalg" not in sys.modules
        assert {"linalg", "set_num_threads", "__version__"} <= set(dir(mf))
        assert mf.linalg.det([[2.0]]) == 2
        assert "mmlfast.linalg" in sys.modules
        try:
            mf.calculus
        except AttributeError as error:
            assert str(error) == "module 'mmlfast' has no attribute 'calculus'"
        else:
            raise SystemExit("no AttributeError")
    """
    run_python(code)


def test_core_declares_that_it_needs_no_gil():
    if not hasattr(sys, "_is_gil_enabled") or sys._is_gil_enabled():
        pytest.skip("not a free-threaded interpreter")
    import mmlfast._lapack  # noqa: F401

    assert not sys._is_gil_enabled()


def test_batched_functions_release_the_gil(run_python):
    """Python runs in another thread during a call that would take hours: it is the one that ends it."""
    code = """
        import os, signal, threading
        import numpy as np
        import mmlfast as mf
        from interrupts import interrupt
        ticks, begun = 0, threading.Event()

        def count():
            global ticks
            begun.wait()
            while ticks < 1000:
                ticks += 1
                os.stat(".")

        other = threading.Thread(target=count)
        other.start()  # before there are signals, which may come while a thread is made

        def call():
            begun.set()
            mf.linalg.det(np.broadcast_to(np.eye(100) + 1, (2**24, 100, 100)))

        interrupt(call, when=lambda: ticks == 1000)
        other.join()
        print("done")
    """
    assert run_python(code, MMLFAST_NUM_THREADS="1").strip() == "done"


@posix
@pytest.mark.filterwarnings("ignore::mmlfast.ConvergenceWarning")
def test_signal_handler_that_computes_leaves_the_call_it_interrupts_alone() -> None:
    """A handler runs in the middle of a call, in its thread: it must not get that call's working memory."""
    rng = np.random.default_rng(20261120)
    large = rng.standard_normal((100, 100))
    calls = 0

    def handler() -> None:
        nonlocal calls
        calls += 1
        mf.linalg.inv(large)
        mf.linalg.power_iteration(large @ large.T, max_iter=3, tol=1.0)

    def undisturbed(call: Callable[[], Any]) -> bool:
        nonlocal calls
        expected, calls = call(), 0
        np.testing.assert_array_equal(signalled(call, handler), expected)
        return calls > 0  # the first signal comes when the call has begun

    def solves(size: int) -> bool:
        a, b = rng.standard_normal((500 * size, 70, 70)), rng.standard_normal((500 * size, 70, 1))
        return undisturbed(lambda: mf.linalg.solve(a, b))

    # Two eigenvalues of the same size: it does not come to an end before max_iter.
    small = abs(scipy.sparse.random_array((20_000, 20_000), density=5e-4, format="csr", rng=rng)) * 1e-3
    sparse = scipy.sparse.csr_array(scipy.sparse.block_diag([scipy.sparse.csr_array([[0.6, -0.8], [0.8, 0.6]]), small]))

    def iterates(size: int) -> bool:
        return undisturbed(lambda: mf.linalg.power_iteration(sparse, max_iter=100 * size).vector)

    run_until(solves, most=7)
    run_until(iterates)
