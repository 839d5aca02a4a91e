"""Objects with a state: read by signal handlers, in forked children, while the interpreter ends; and from outside."""

from __future__ import annotations

import copy
import os
import pickle
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from in_threads import in_threads

import mmlfast as mf
from mmlfast import _core

Moments, RFactor, Network = mf.stats.Moments, mf.linalg.RFactor, mf.neural_network.Network

posix = pytest.mark.skipif(sys.platform == "win32", reason="no fork, no POSIX signals")

PRELUDE = """
import copy, os, pickle, signal, sys, threading, warnings
import numpy as np
import mmlfast as mf
import mmlfast.graph, mmlfast.linalg, mmlfast.neural_network, mmlfast.stats
from interrupts import interrupt, signalled
warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 on: fork in a process with threads

def rows(n, d):
    return np.broadcast_to(np.random.default_rng(2).standard_normal((1, d)), (n, d))  # no memory

def read(m):
    "Everything that can be asked, which has to fit together; the number of rows."
    count = m.count
    again = pickle.loads(pickle.dumps(m))
    assert again == m and again.count == count and copy.deepcopy(m) == m and str(count) in repr(m)
    if isinstance(m, mf.stats.Moments):
        assert count == 0 or (m.mean == row).all() and not m.covariance(ddof=0).any()
        assert mf.stats.Moments(d).merge(m).count == count
    else:
        assert abs(abs(m.r[0]) - abs(row) * count**0.5).max() <= 1e-9 * count**0.5, (m.r[0], count)
        assert mf.linalg.RFactor(d).merge(m).count == count
    return count
"""

KINDS = [("mf.stats.Moments", 3), ("mf.stats.Moments", 100), ("mf.stats.Moments", 400), ("mf.linalg.RFactor", 4)]


@posix
@pytest.mark.parametrize(("kind", "d", "n_threads"), [(*kind, "3") for kind in KINDS] + [(*KINDS[1], "1")])
def test_signal_handler_reads_what_it_interrupts(
    run_python: Callable[..., str], kind: str, d: int, n_threads: str
) -> None:
    code = f"""
d = {d}
m, x = {kind}(), rows(2**45 // d**2, d)  # hours of work
row = x[0]
m.update(x[:5])
seen = []

def look():
    seen.append(read(m))
    for change in (lambda: m.update(x[:1]), lambda: m.downdate(x[:1]), lambda: m.merge(m)):
        try:
            change()
        except RuntimeError as error:
            assert "read, not changed" in str(error), error
        except np.linalg.LinAlgError:
            seen.append("changed")  # and rounding does not let the row be taken out of equal ones again
        else:
            seen.append("changed")  # the signal came before the update
    counts = [count for count in seen if count != "changed"]
    return len(counts) > 4 and counts[-1] > counts[0]  # it goes on in between

interrupt(lambda: m.update(x), look)
seen = [count for count in seen if count != "changed"]
assert seen == sorted(seen) and read(m) >= seen[-1] > seen[0] >= 5, seen
m.update(x[:1])
print("done")
"""
    assert run_python(PRELUDE + code, MMLFAST_NUM_THREADS=n_threads).strip() == "done"


@posix
@pytest.mark.parametrize(("kind", "d"), KINDS)
def test_child_forked_in_the_middle_of_an_update_reads_and_goes_on(
    run_python: Callable[..., str], kind: str, d: int
) -> None:
    code = f"""
d = {d}
m, x = {kind}(), rows(800_000 // d, d)
row = x[0]
m.update(x)
stop = threading.Event()

def keep_busy():
    while not stop.is_set():
        m.update(x)

workers = [threading.Thread(target=keep_busy) for _ in range(2)]
for worker in workers:
    worker.start()
for k in range(8):
    child = os.fork()
    if child == 0:
        signal.alarm(300)  # a child that hangs must end
        count = read(m)
        m.update(x[:7])
        ours = threading.Thread(target=m.update, args=(x[:2],))
        ours.start()
        ours.join()
        os._exit(0 if m.count == count + 9 and read(m) == count + 9 else 1)
    assert os.waitpid(child, 0)[1] == 0, k
    assert m.count > 0
stop.set()
for worker in workers:
    worker.join()
assert m.count % len(x) == 0 and read(m) == m.count
print("done")
"""
    assert run_python(PRELUDE + code, MMLFAST_NUM_THREADS="3").strip() == "done"


@posix
def test_signal_handler_forks_in_the_middle_of_an_update(run_python: Callable[..., str]) -> None:
    code = """
d = 8
m, x = mf.stats.Moments(), rows(2**40, d)
row = x[0]
statuses = []

def fork():
    child = os.fork()
    if child == 0:
        count = read(m)
        m.update(x[:3])
        os._exit(0 if m.count == count + 3 else 1)
    statuses.append(os.waitpid(child, 0)[1])
    return len(statuses) == 5

interrupt(lambda: m.update(x), fork)
assert statuses == [0] * 5, statuses
print("done")
"""
    assert run_python(PRELUDE + code, MMLFAST_NUM_THREADS="3").strip() == "done"


@posix
def test_graphs_and_blas_are_usable_in_a_forked_child(run_python: Callable[..., str]) -> None:
    code = """
links = mf.graph.Links(np.roll(np.eye(300), 1, 1) + np.eye(300))
a = np.random.default_rng(1).standard_normal((20, 150, 150))
expected = [mf.graph.pagerank_many(links), np.linalg.norm(mf.linalg.eigh(a)[0])]
stop = threading.Event()

def keep_busy():
    while not stop.is_set():
        mf.graph.pagerank_many(mf.graph.Links(np.roll(np.eye(300), 1, 1) + np.eye(300)))
        mf.linalg.eigh(a)

worker = threading.Thread(target=keep_busy)
worker.start()
for _ in range(5):
    child = os.fork()
    if child == 0:
        signal.alarm(300)
        os._exit(0 if (mf.graph.pagerank_many(links) == expected[0]).all() else 1)
    assert os.waitpid(child, 0)[1] == 0
stop.set()
worker.join()
print("done")
"""
    assert run_python(PRELUDE + code, MMLFAST_NUM_THREADS="2", OPENBLAS_NUM_THREADS="2").strip() == "done"


def test_threads_take_turns(threads: Callable[[int | None], None]) -> None:
    """Updates and readings from eight threads: every row counts once, and what is read is a whole number of updates."""
    threads(2)
    x = np.ones((501, 3))
    m, r, wrong = Moments(), RFactor(), []

    def work(_: int) -> None:
        for _ in range(40):
            m.update(x)
            r.update(x)
            if m.count % 501 or r.count % 501 or m.covariance().any():
                wrong.append(m.count)

    in_threads(work, range(8))
    assert not wrong
    assert m.count == r.count == 8 * 40 * 501


JOBS = {
    "covariance": "mf.stats.covariance(big)",
    "knn": "mf.geometry.knn(x, x, 5)",
    "fit": "net.fit(big, big[:, 0], epochs=1, batch_size=100, learning_rate=0.01)",
    "fit that prints": "other.fit(big[:9], big[:9, 0], epochs=1, batch_size=9, learning_rate=0.01, verbose=True)",
    "RFactor": "mf.linalg.RFactor().update(big).r",
    "Moments": "mf.stats.Moments().update(big).covariance()",
    "svd": "mf.linalg.svd(x[:400])",
    "inv": "mf.linalg.inv(x[:20, :20])",
    "eigh": "mf.linalg.eigh(x[:600].reshape(-1, 30, 30))",
    "pagerank": "mf.graph.pagerank_many(links)",
    "PCA": "mf.decomposition.PCA(3).fit(x)",
    "warning": "mf.linalg.inv(nearly_singular)",
    "power iteration": "mf.linalg.power_iteration(abs(x[:30]), max_iter=1000)",
}


@pytest.mark.parametrize("first", range(len(JOBS)))
def test_daemon_threads_in_calls_let_the_interpreter_end(run_python: Callable[..., str], first: int) -> None:
    """Three jobs at a time, each of them three times, beside others."""
    names = list(JOBS)
    jobs = [JOBS[names[(first + step) % len(names)]] for step in (0, 1, 4)]
    code = f"""
import threading, warnings
import numpy as np
import mmlfast as mf
warnings.simplefilter("ignore")
rng = np.random.default_rng(1)
x, big = rng.standard_normal((1500, 30)), rng.standard_normal((30_000, 8))
net, other = (mf.neural_network.Network([8, 16, 1]) for _ in range(2))  # one trains one fit at a time
links = mf.graph.Links(abs(x[:30]))
nearly_singular = np.ones((60, 60)) + np.diag(np.full(60, 1e-15))

def for_ever(job, event):
    while True:
        job()
        event.set()

jobs = [{", ".join(f"lambda: {job}" for job in jobs)}]
started = [threading.Event() for _ in jobs]
for job in jobs:
    job()  # which imports what it needs
for job, event in zip(jobs, started):
    threading.Thread(target=for_ever, args=(job, event), daemon=True).start()
for event in started:
    event.wait()
"""
    run_python(code, MMLFAST_NUM_THREADS="2")


# ---- arrays that another thread writes to ----


def while_another_thread_writes(write: str, call: str) -> str:
    return f"""
import threading
import numpy as np
import scipy.sparse
import mmlfast as mf
rng = np.random.default_rng(1)
stop = threading.Event()

{write}

def for_ever():
    while not stop.is_set():
        spoil()

writer = threading.Thread(target=for_ever)
writer.start()
try:
    for _ in range(15):
        try:
            {call}
        except (ValueError, IndexError, MemoryError):
            pass
finally:
    stop.set()
    writer.join()
print("done")
"""


GRAPH = """
n = 60_000
good = rng.integers(0, n, 8 * n, dtype=np.int32)
a = scipy.sparse.csr_array((np.ones(8 * n), good.copy(), np.arange(0, 8 * n + 1, 8, dtype=np.int32)), shape=(n, n))
starts = a.indptr.copy()

def spoil():
    a.indices[:] = 2**31 - 7
    a.indices[:] = good[::-1]
    a.indptr[1:] = 2**30
    a.indptr[:] = starts
    a.indices[:] = good
"""

WRITTEN_TO = {
    "labels": (
        """
net = mf.neural_network.Network([4, 5, 3], output="softmax", loss="cross_entropy")
x, y = rng.standard_normal((4000, 4)), rng.integers(0, 3, 4000)
def spoil():
    y[:] = 2**40
    y[:] = -2**40
    y[:] = 1
""",
        "net.fit(x, y, epochs=20, batch_size=50, learning_rate=0.01); net.loss(x, y); net.gradients(x, y)",
    ),
    "links": (GRAPH, "mf.graph.Links(a)"),
    "sparse matrix": (GRAPH, "mf.linalg.power_iteration(a, max_iter=5, tol=1e-300)"),
    "points": (
        """
x = rng.standard_normal((600, 20))
good = x.copy()
def spoil():
    x[:] = np.nan
    x[:] = np.inf
    x[:] = 1e300
    x[:] = good
""",
        "mf.geometry.knn(x, x, 7)",
    ),
    "integers": (
        """
x = rng.integers(-5, 5, (40, 40))
good = x.copy()
def spoil():
    x[:] = 2**62
    x[:] = 0
    x[:] = good
""",
        "mf.linalg.row_echelon(x); mf.linalg.det(x); mf.linalg.characteristic_polynomial(x[:9, :9])",
    ),
}


@pytest.mark.parametrize("name", WRITTEN_TO)
def test_arrays_that_change_during_a_call_do_no_harm(run_python: Callable[..., str], name: str) -> None:
    """The answer is then anything; that the process lives is what counts."""
    printed = run_python(
        "import warnings\nwarnings.simplefilter('ignore')\n" + while_another_thread_writes(*WRITTEN_TO[name])
    )
    assert printed.strip() == "done"


# ---- states from outside ----


def objects() -> dict[str, Any]:
    rng = np.random.default_rng(3)

    def moments(n: int, d: int, weighted: bool = False) -> Moments:
        m = Moments()
        return m.update(rng.standard_normal((n, d)), weights=rng.uniform(0, 3, n) if weighted else None)

    x = rng.standard_normal((3000, 4))
    with_nan = x.copy()
    with_nan[5, 2] = np.nan
    network = Network([3, 5, 2], output="softmax", loss="cross_entropy")
    network.fit(x[:, :3], rng.integers(0, 2, 3000), epochs=1, batch_size=100, learning_rate=0.1)
    return {
        "Moments": Moments(),
        "Moments of no columns": Moments(0).update(np.zeros((70, 0))),
        "Moments of columns": Moments(3),
        "Moments, narrow": moments(5000, 3),
        "Moments, few": moments(7, 2),
        "Moments, middle": moments(1500, 30),
        "Moments, wide": moments(1200, 260),
        "Moments, weighted": moments(3000, 5, True),
        "Moments, all": moments(3000, 4).merge(moments(500, 4, True)).downdate(rng.standard_normal((9, 4))),
        "Moments, NaN": Moments().update(with_nan).merge(Moments().update(with_nan)),
        "Moments, float32": Moments(dtype=np.float32).update(x),
        "Moments, merged": Moments().update(x).merge(Moments().update(x)).downdate(x[:100]),
        "RFactor": RFactor(),
        "RFactor of no columns": RFactor(0).update(np.zeros((70, 0))),
        "RFactor, long": RFactor().update(rng.standard_normal((20_000, 3))),
        "RFactor, few": RFactor().update(x[:7]),
        "RFactor, all": RFactor().update(x).merge(RFactor().update(x)).downdate(x[:50]),
        "RFactor, NaN": RFactor().update(with_nan).merge(RFactor().update(with_nan)),
        "RFactor, downdated": RFactor().update(x).downdate(x[:50]),
        "Network": network,
    }


@pytest.mark.parametrize("name", objects())
def test_states_come_back_as_they_were(name: str) -> None:
    before = objects()[name]
    for after in (pickle.loads(pickle.dumps(before)), copy.deepcopy(before)):
        if isinstance(before, Network):
            assert all((a == b).all() for a, b in zip(before.weights, after.weights, strict=True))
        else:
            assert after == before
            assert (after.count, after.n_features, after.dtype) == (before.count, before.n_features, before.dtype)


MUTATE = """
import numpy as np, sys, warnings
import mmlfast as mf
sys.path.insert(0, FOLDER)
from test_states import objects
warnings.simplefilter("ignore")
rng = np.random.default_rng(0)
SPECIAL = [0, 1, -1, 2, 0.5, -0.0, 7, 1e3, 4096, 2.0**31, 2.0**47, 2.0**53, 1e300, -1e300, 5e-324]
SPECIAL += [np.inf, -np.inf, np.nan]

def used(m):
    "What the object is for."
    count, n = m.count, m.n_features
    assert isinstance(count, (int, float)) and count >= 0, count
    repr(m), m == m
    if n is not None and n > 300:
        return  # a state of no rows, which may be as wide as it likes
    if isinstance(m, mf.stats.Moments):
        m.mean
        assert not (np.diagonal(m.covariance()) < 0).any()
    else:
        r = m.r
        assert not np.nan_to_num(np.tril(r, -1)).any()
    if n is not None:
        m.update(np.ones((3, n))).merge(m).update(np.ones((5000, n)))
        type(m)().merge(m)
        assert type(m)().merge(m).count == m.count
        m.__setstate__(m.__getstate__())
        try:
            m.downdate(np.ones((1, n)))
        except (ValueError, np.linalg.LinAlgError):
            pass

refused = kept = 0
for name, before in objects().items():
    if isinstance(before, mf.neural_network.Network):
        continue
    dtype, state = before.__getstate__()
    cases = [state[:k] for k in (0, 1, 3, 7, 10, 11, len(state) - 1)] + [np.append(state, 1.0), np.tile(state, 2)]
    for position in range(min(len(state), 16)):
        for value in SPECIAL:
            changed = state.copy()
            changed[position] = value
            cases.append(changed)
    for _ in range(250):
        if not len(state):
            break
        changed = state.copy()
        bytes_of = changed.view(np.uint8)
        for _ in range(rng.integers(1, 4)):
            most = len(bytes_of) if rng.random() < 0.5 else min(96, len(bytes_of))
            bytes_of[rng.integers(0, most)] ^= 1 << rng.integers(8)
        cases.append(changed)
    for changed in cases:
        print(name, changed[:12].tobytes().hex(), len(changed), file=sys.stderr, flush=True)
        after = type(before)()
        try:
            after.__setstate__((dtype, changed))
        except ValueError as error:
            assert type(before).__name__ in str(error)
            assert after.count == 0 and after.n_features is None  # still what it was
            refused += 1
        else:
            used(after)
            kept += 1
print(refused, kept)
"""


def test_no_state_from_outside_does_harm(run_python: Callable[..., str]) -> None:
    folder = os.path.dirname(__file__)
    refused, kept = map(int, run_python(MUTATE.replace("FOLDER", repr(folder))).split())
    assert refused > kept > 100


def test_a_state_of_moments_with_a_flag_changed_is_refused() -> None:
    m = Moments().update(np.arange(12.0).reshape(6, 2))
    name, state = m.__getstate__()
    for position, value in ((2, 0), (9, np.inf), (10, np.inf), (10, -6), (10, 7), (5, 5), (4, 1), (0, 2), (3, 2)):
        changed = state.copy()
        changed[position] = value
        with pytest.raises(ValueError, match="not a state that Moments has written"):
            m.__setstate__((name, changed))
    assert m.count == 6


@pytest.mark.parametrize("kind", [Moments, RFactor])
def test_what_is_no_state_at_all_is_refused(kind: Any) -> None:
    full = kind().update(np.eye(3))
    _, state = full.__getstate__()
    for wrong in (None, 3, (), ("float64",), ("int8", state), (None, state), ("float64", None), ("float64", "x"),
                  ("float64", state.astype(complex)), ("float64", state[None]), ("float64", list(state)),
                  ("float64", state.astype("f4")), {"a": 1}, ("float64", state, 1)):  # fmt: skip
        with pytest.raises(ValueError, match=f"not a state that {kind.__name__} has written"):
            kind().__setstate__(wrong)
    with pytest.raises(ValueError, match="not a state of"):
        (_core.MomentState if kind is Moments else _core.RFactorState)(-1).restore(np.arange(3.0))


def test_a_state_of_a_network_that_contradicts_itself_is_refused() -> None:
    net = Network([3, 4, 2])
    good = dict(net.__dict__)
    wrong: list[dict[str, Any]] = [
        {"_sizes": (3, 5, 2)},
        {"_sizes": (3, 4)},
        {"_sizes": (3, -4, 2)},
        {"_codes": (99, 1)},
        {"_activations": ("tanh", "tanh")},
        {"_activations": ("none",)},
        {"_output": "softmax"},
        {"_loss": "cross_entropy"},
        {"_dtype": np.dtype(np.int8)},
        {"weights": net.weights[:1]},
        {"weights": None},
        {"biases": [np.zeros(3), np.zeros(2)]},
    ]
    for change in wrong:
        with pytest.raises(ValueError, match="not a state that Network has written"):
            Network.__new__(Network).__setstate__(good | change)
    with pytest.raises(ValueError, match="not a state"):
        Network.__new__(Network).__setstate__({})
    again = Network.__new__(Network)
    again.__setstate__(good)
    assert again.forward([[1.0, 2, 3]]).shape == (1, 2)


# ---- misaligned arrays ----


def off_by_one(x: Any) -> Any:
    room = np.empty(x.nbytes + 1, np.uint8)
    y = np.frombuffer(room.data, x.dtype, x.size, 1).reshape(x.shape)
    y[:] = x
    assert not y.flags.aligned
    return y


def test_compiled_code_gets_aligned_arrays_only() -> None:
    """It refuses others: their loads would be undefined behaviour. So each function has to copy them, and does."""
    import scipy.sparse

    rng = np.random.default_rng(4)
    x, y, z = rng.standard_normal((50, 3)), rng.standard_normal((70, 3)), rng.integers(-9, 9, (6, 6))
    for a, b in ((x, y), (x.astype("f4"), y.astype("f4"))):
        for ours, right in zip(mf.geometry.knn(off_by_one(a), off_by_one(b), 4), mf.geometry.knn(a, b, 4), strict=True):
            np.testing.assert_array_equal(ours, right)
    big = z * 2**40
    for ints in (z, big, z.astype("u8") % 100):
        for function in (mf.linalg.row_echelon, mf.linalg.characteristic_polynomial, mf.linalg.det,
                         mf.linalg.matrix_rank, mf.linalg.is_singular):  # fmt: skip
            ours, right = function(off_by_one(ints)), function(ints)
            for p, q in zip(ours if isinstance(ours, tuple) else [ours], right if isinstance(right, tuple) else [right],
                            strict=True):  # fmt: skip
                np.testing.assert_array_equal(p, q)
    s = scipy.sparse.random_array((40, 40), density=0.3, format="csr", rng=rng)
    t = scipy.sparse.csr_array((s.data, s.indices, s.indptr), shape=s.shape)
    t.data, t.indices, t.indptr = off_by_one(s.data), off_by_one(s.indices), off_by_one(s.indptr)
    start = rng.uniform(1, 2, 40)
    np.testing.assert_array_equal(
        mf.linalg.power_iteration(t, off_by_one(start), max_iter=5, tol=1.0).vector,
        mf.linalg.power_iteration(s, start, max_iter=5, tol=1.0).vector,
    )
    np.testing.assert_array_equal(mf.graph.pagerank(t), mf.graph.pagerank(s))
    teleport = rng.uniform(1, 2, (3, 40))
    np.testing.assert_array_equal(mf.graph.pagerank_many(t, off_by_one(teleport)), mf.graph.pagerank_many(s, teleport))
    for core, arguments in (
        (_core.neighbors, (off_by_one(x), y, 2, False)),
        (_core.neighbors, (x, off_by_one(y), 2, False)),
        (_core.exact_echelon, (off_by_one(z), True)),
        (_core.exact_shifted_determinants, (off_by_one(z),)),
    ):
        with pytest.raises(ValueError, match="aligned"):
            core(*arguments)
