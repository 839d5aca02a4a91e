"""mmlfast.dask.pagerank beside mmlfast.graph.pagerank; on a cluster: tests/test_dask_cluster.py."""

import numpy as np
import pytest
import scipy.sparse as sp

import mmlfast as mf
from mmlfast import ConvergenceWarning

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")

TOL = 1e-10
ROUGH = 1e-5  # where a link that is read wrongly changes scores by more than a hundredth


@pytest.fixture(autouse=True)
def one_process():
    with dask.config.set(scheduler="synchronous"):
        yield


def web(rng, n=400, links=3000, weighted=False):
    """A random graph with nodes that no link leaves, links to oneself, and one node that everything points to."""
    source, target = rng.integers(0, n - n // 5, links), rng.integers(0, n, links)
    source, target = np.r_[source, np.arange(n - n // 5)], np.r_[target, np.full(n - n // 5, 7)]
    weights = rng.random(source.size) * 10.0 ** rng.integers(-9, 9, source.size) if weighted else np.ones(source.size)
    return sp.csr_array(sp.coo_array((weights, (source, target)), shape=(n, n)))


def exact(a, damping, v=None, w=None):
    """The scores by a dense solve."""
    a = a.toarray()
    n = len(a)
    v = np.full(n, 1 / n) if v is None else np.asarray(v) / np.sum(v)
    w = v if w is None else np.asarray(w) / np.sum(w)
    strength = a.sum(axis=1, keepdims=True)
    p = np.where(strength > 0, a / np.where(strength > 0, strength, 1), w)
    return np.linalg.solve(np.eye(n) - damping * p.T, (1 - damping) * v)


def rows_of(a, size=150):
    return [dask.delayed(a[k : k + size]) for k in range(0, a.shape[0], size)]


def edges_of(a, weighted=True, count=5):
    coo = a.tocoo()
    columns = [coo.row, coo.col, coo.data] if weighted else [coo.row, coo.col]
    edges = np.column_stack(columns)
    return [dask.delayed(edges[k::count]) for k in range(count)]


def check(answer, expected, tol=TOL):
    error = np.abs(answer.scores - expected).sum()
    assert error <= answer.error_bound <= tol
    assert abs(answer.scores.sum() - 1) <= 1e-15 * 4
    assert (answer.scores >= 0).all()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("damping", [0.0, 0.3, 0.85, 0.99])
def test_rows_and_edges(rng, weighted, damping):
    a = web(rng, weighted=weighted)
    expected = exact(a, damping)
    for parts in (rows_of(a), edges_of(a)):
        answer = mf.dask.pagerank(parts, damping, full_output=True)
        check(answer, expected)
        assert np.abs(answer.scores - mf.graph.pagerank(a, damping)).sum() <= 2 * TOL


def test_every_kind_of_input(rng):
    a = web(rng)
    expected = exact(a, 0.85)
    coo = a.tocoo()
    edges = np.column_stack([coo.row, coo.col])
    weighted = np.column_stack([coo.row, coo.col, coo.data])

    class Frame:
        """As much of a data frame as is needed."""

        def __init__(self, table):
            self.columns = ["weight", "target", "source"]
            self.table = table

        def __getitem__(self, name):
            return self.table[:, ["source", "target", "weight"].index(name)]

    class DaskFrame:
        columns = ("weight", "target", "source")

        def to_delayed(self):
            return [dask.delayed(Frame(weighted[k::3])) for k in range(3)]

    dense = da.from_array(a.toarray(), chunks=(150, 170))
    for links in (
        dense.rechunk((150, -1)),
        dense,
        dense.astype(np.float32),
        dense.astype(np.int64),
        dense.map_blocks(sp.csr_array, dtype=float),
        [a[:100], a[100:130].tocoo(), a[130:].tocsc()],
        (part for part in rows_of(a)),
        da.from_array(np.repeat(edges, coo.data.astype(int), axis=0), chunks=(700, 2)),
        da.from_array(weighted, chunks=(700, 3)),
        DaskFrame(),
    ):
        check(mf.dask.pagerank(links, full_output=True), expected)
    plain = sp.csr_array((np.ones(a.nnz), a.indices, a.indptr), shape=a.shape)
    answer = mf.dask.pagerank([edges[:50], edges[50:50], edges[50:]], n_nodes=400, full_output=True)
    check(answer, exact(plain, 0.85))


def test_personalization_and_dangling(rng):
    a = web(rng)
    v, w = rng.random(400) * (rng.random(400) < 0.1), rng.random(400)
    only_rest = np.r_[np.zeros(399), 1.0]  # jumps to a node that nothing leaves
    for own, other in ((v, None), (v, w), (None, w), (only_rest, only_rest), (v, only_rest), (only_rest, None)):
        answer = mf.dask.pagerank(rows_of(a), personalization=own, dangling=other, full_output=True)
        check(answer, exact(a, 0.85, own, other))
    by_name = mf.dask.pagerank(edges_of(a), personalization={3: 2, 5: 1}, dangling={np.int64(9): 1})
    row = np.zeros(400)
    row[[3, 5]] = 2, 1
    assert np.abs(by_name - exact(a, 0.85, row, np.eye(400)[9])).sum() <= TOL


def test_graphs_at_the_edge():
    check(mf.dask.pagerank([sp.csr_array((1, 1))], full_output=True), [1.0])
    check(mf.dask.pagerank([sp.csr_array((3, 3))], dangling=[0, 0, 1], full_output=True), exact(
        sp.csr_array((3, 3)), 0.85, None, [0, 0, 1]))  # fmt: skip
    check(mf.dask.pagerank([np.empty((0, 2), int)], n_nodes=4, full_output=True), np.full(4, 0.25))
    ring = sp.csr_array(np.roll(np.eye(50), 1, axis=1))
    check(mf.dask.pagerank(rows_of(ring), 0.95, personalization={0: 1}, full_output=True), exact(
        ring, 0.95, np.eye(50)[0]))  # fmt: skip
    star = sp.csr_array(np.vstack([np.zeros((1, 300)), np.eye(300)[np.zeros(299, int)]]))
    check(mf.dask.pagerank(rows_of(star), full_output=True), exact(star, 0.85))
    zeros = sp.csr_array(([1.0, 0.0, 2.0], [1, 2, 0], [0, 2, 3, 3]), shape=(3, 3))  # one of them is no link
    check(mf.dask.pagerank([zeros], full_output=True), exact(zeros, 0.85))


def test_long_rows_are_summed_in_pieces(rng):
    """A node with 100 000 links: the bound would not allow tol if they were summed one after the other."""
    n = 100_000
    edges = np.r_[np.column_stack([np.arange(n), np.zeros(n, int)]), np.column_stack([np.zeros(n, int), np.arange(n)])]
    answer = mf.dask.pagerank([edges[::2], edges[1::2]], tol=1e-11, full_output=True)
    links = mf.graph.Links.from_edges(*edges.T)
    assert answer.error_bound <= 1e-11
    assert np.abs(answer.scores - mf.graph.pagerank(links, tol=1e-13)).sum() <= 1.1e-11


def test_many_links_go_through_in_strips(rng):
    n, m = 1000, 700_000
    edges = np.column_stack([rng.integers(0, n, m), rng.integers(0, n, m)])
    for weights in (None, rng.random(m)):
        parts = [edges if weights is None else np.column_stack([edges, weights])]
        expected = mf.graph.pagerank(mf.graph.Links.from_edges(*edges.T, weights), tol=1e-13)
        assert np.abs(mf.dask.pagerank(parts) - expected).sum() <= 1.1e-10


def test_without_damping(rng):
    two_closed = np.array([[0, 1], [1, 0], [2, 3], [3, 2], [4, 0]])
    answer = mf.dask.pagerank([two_closed[:2], two_closed[2:]], 1.0, full_output=True)
    np.testing.assert_allclose(answer.scores, [0.3, 0.3, 0.2, 0.2, 0], atol=1e-9)
    assert answer.error_bound <= TOL
    a = web(rng)
    answer = mf.dask.pagerank(rows_of(a), 1.0)
    assert np.abs(answer - mf.graph.pagerank(a, 1.0)).sum() <= 1e-8


def test_bound_holds_where_the_iteration_was_stopped(rng):
    a = web(rng)
    expected = exact(a, 0.95)
    bounds = []
    for most in (1, 2, 3, 7, 10, 11, 12, 25):
        with pytest.warns(ConvergenceWarning, match=r"dask\.pagerank: error bound"):
            answer = mf.dask.pagerank(rows_of(a), 0.95, max_iter=most, tol=1e-15, full_output=True)
        assert answer.n_iter == most
        assert np.abs(answer.scores - expected).sum() <= answer.error_bound
        bounds.append(answer.error_bound)
    assert bounds == sorted(bounds, reverse=True)
    with pytest.warns(ConvergenceWarning):
        answer = mf.dask.pagerank(rows_of(a), tol=1e-18, full_output=True)
    assert answer.error_bound < 1e-12


def test_partitions_decide_the_bits_and_nothing_else(rng):
    a = web(rng, weighted=True)
    with dask.config.set(scheduler="synchronous"):
        alone = mf.dask.pagerank(rows_of(a, 40))
    with dask.config.set(scheduler="threads", num_workers=4):
        np.testing.assert_array_equal(mf.dask.pagerank(rows_of(a, 40)), alone)


def test_errors(rng):
    a = web(rng)
    bad = a.copy()
    bad.data[5] = -1
    pagerank = mf.dask.pagerank
    for links, message in [
        ([a[:100]], "square, got 100 rows and \\[400\\] columns"),
        ([], "no nodes"),
        ([sp.csr_array((0, 0))], "no nodes"),
        ([np.empty((0, 2), int)], "no nodes"),
        ([bad[:10], bad[10:]], "weight of link 5 of partition 0 is -1.0"),
        ([np.array([[0, 1, np.nan]])], "weight of link 0 of partition 0 is nan"),
        ([np.array([[0, 1.5]])], "names a node 1.5"),
        ([np.array([[0, np.nan]])], "names a node nan"),
        ([np.zeros((3, 4), int)], "2 or 3 columns, got shape \\(3, 4\\) in partition 0"),
        ([np.array([[0, 1, 1e308], [0, 2, 1e308]])], "leave node 0 add up to infinity"),
        ([np.array([[0, 1, 1e-320]])], "leave node 0 are too small"),
        (da.ones(4), "square"),
    ]:
        with pytest.raises(ValueError, match=message):
            pagerank(links)
    for links in (a, a.toarray(), 3):
        with pytest.raises(TypeError, match=r"mmlfast\.graph\.pagerank|expected a Dask array"):
            pagerank(links)
    with pytest.raises(TypeError, match="all rows of a sparse matrix or all arrays"):
        pagerank([a[:300], np.array([[0, 1]])])
    with pytest.raises(TypeError, match="complex"):
        pagerank([a.astype(complex)])
    parts = edges_of(a)
    for options, message in [
        ({"damping": 1.1}, "damping"),
        ({"tol": 0}, "tol"),
        ({"max_iter": 0}, "max_iter"),
        ({"n_nodes": 20}, "no node: there are 20"),
        ({"n_nodes": -1}, "n_nodes must be at least 0"),
        ({"personalization": np.ones(3)}, "personalization must have one entry for each of the 400"),
        ({"personalization": {400: 1}}, "unknown node 400"),
        ({"dangling": np.zeros(400)}, "dangling has no positive entry"),
    ]:
        with pytest.raises(ValueError, match=message):
            pagerank(parts, **options)
    with pytest.raises(ValueError, match="n_nodes is 20"):
        pagerank(rows_of(a), n_nodes=20)


# ---- edges of every form ----


def ids_and_edges(rng, kind, m=120):
    """Ids, sources and targets; ids have holes."""
    ids = {
        "dense": np.arange(30),
        "holes": np.sort(rng.choice(10**6, 30, replace=False)),
        "far": np.r_[np.arange(29), 1_900_000_000],
        "negative": np.arange(-15, 15) * 7,
        "text": np.array(sorted(f"page {k}" for k in range(30)), object),
    }[kind]
    source = ids[np.r_[rng.integers(0, 20, m), np.arange(30) % 20]]
    return ids, source, ids[np.r_[rng.integers(0, 30, m), np.arange(30)]]


@pytest.mark.parametrize(
    ("kind", "weights"),
    [("dense", None), ("dense", np.uint8), ("holes", np.int64), ("far", np.float64), ("negative", np.uint8)],
)
def test_edges_in_dask_in_any_chunks(rng, kind, weights):
    """`da.stack([s, t], axis=1)` has chunks of one column: "2 or 3 columns, got shape ()"."""
    ids, source, target = ids_and_edges(rng, kind)
    columns = [source, target]
    if weights is not None:
        columns.append(rng.integers(100, 250, source.size).astype(weights))
    links = mf.graph.Links.from_edges(*columns)
    assert links.nodes == ids.tolist()
    expected = mf.graph.pagerank(links, tol=1e-12)
    table = np.column_stack(columns)
    lazy = [da.from_array(column, 37) for column in columns]
    stacked = da.stack(lazy, axis=1)
    for form in (
        stacked,
        da.from_array(table, chunks=(40, 1)),
        da.from_array(table, chunks=(7, 2)),
        da.from_array(table, chunks=-1),
        stacked[stacked[:, 0] > -(10**12)],  # of unknown size
        stacked[da.from_array(np.ones(source.size, bool), 50)],
        da.concatenate([stacked, stacked[:0]]),
        [table],
        [dask.delayed(table[::2]), dask.delayed(table[:0]), dask.delayed(table[1::2])],
        dask.delayed(table),
        [table[k : k + 30].tolist() for k in range(0, source.size, 30)],
        iter([dask.delayed(table.tolist())]),
    ):
        assert np.abs(mf.dask.pagerank(form, tol=ROUGH) - expected).sum() <= 2 * ROUGH
    chosen = {ids[3].item(): 2.0, ids[7].item(): 1}
    by_id = mf.dask.pagerank(stacked, personalization=chosen, tol=ROUGH)
    assert np.abs(by_id - mf.graph.pagerank(links, personalization=chosen)).sum() <= 2 * ROUGH


@pytest.mark.parametrize("kind", ["dense", "holes", "text"])
def test_edges_in_frames_with_other_columns(rng, kind):
    pd = pytest.importorskip("pandas")
    _, source, target = ids_and_edges(rng, kind)
    weight = rng.integers(100, 250, source.size).astype(np.uint8)
    frame = pd.DataFrame({"when": 1.5, "target": target, "weight": weight, "note": "x", "source": source})
    expected = mf.graph.pagerank(mf.graph.Links.from_edges(source, target, weight), tol=1e-12)

    class DaskFrame:
        columns = tuple(frame.columns)

        def to_delayed(self):
            return [dask.delayed(frame[k::3]) for k in range(3)] + [dask.delayed(frame[:0])]

    for links in (DaskFrame(), [frame], [frame[:50], frame[50:]], [frame.convert_dtypes()]):
        assert np.abs(mf.dask.pagerank(links, tol=ROUGH) - expected).sum() <= 2 * ROUGH
    dd = pytest.importorskip("dask.dataframe")
    for count in (1, 4):
        answer = mf.dask.pagerank(dd.from_pandas(frame, npartitions=count), tol=ROUGH)
        assert np.abs(answer - expected).sum() <= 2 * ROUGH


def test_weights_of_small_integers_do_not_wrap():
    """Blocks of rows in which a link is stored twice: its weights, 200 each, were added up in uint8."""
    twice = sp.coo_array((np.full(4, 200, np.uint8), ([0, 0, 1, 0], [1, 1, 0, 2])), shape=(3, 3))
    right = np.array([[0, 400.0, 200], [200, 0, 0], [0, 0, 0]])
    expected = mf.graph.pagerank(right, tol=1e-12)
    for form in ([twice], [dask.delayed(twice)]):
        assert np.abs(mf.dask.pagerank(form) - expected).sum() <= 2 * TOL


def test_ids_that_are_refused(rng):
    for edges, error, message in [
        ([[0, 1], [0, None]], (ValueError, TypeError), "None|missing"),
        (np.array([["a", None]], object), ValueError, "target of partition 0\\[0\\] is missing"),
        (np.array([[0, 2.5]]), ValueError, "names a node 2.5: ids are integers or names"),
    ]:
        with pytest.raises(error, match=message):
            mf.dask.pagerank([edges])
    with pytest.raises(ValueError, match="source of partition 0\\[0\\] is -1, which is no node: there are 3"):
        mf.dask.pagerank([np.array([[-1, 1]])], n_nodes=3)
    with pytest.raises(TypeError, match="n_nodes must be a whole number"):
        mf.dask.pagerank([np.array([[0, 1]])], n_nodes=3.0)
    with pytest.raises(ValueError, match="leave node 'a' add up to infinity"):
        mf.dask.pagerank([[["a", "b", 1e308], ["a", "c", 1e308]]])


def test_without_dask_the_error_names_the_extra(run_python):
    """Also: the module can be imported all the same."""
    printed = run_python("""
    import sys
    sys.modules["dask"] = None
    import mmlfast as mf
    try:
        mf.dask.pagerank([])
    except ImportError as error:
        print(error)
    """)
    assert printed == 'mmlfast.dask needs Dask: pip install "mmlfast[dask]"\n'


def test_real_web(data_folder):
    z = np.load(data_folder / "graphs" / "cnr-2000.npz")
    n = len(z["indptr"]) - 1
    a = sp.csr_array((np.ones(len(z["indices"])), z["indices"], z["indptr"]), shape=(n, n))[:100_000, :100_000]
    answer = mf.dask.pagerank(rows_of(a, 30_000), full_output=True)
    expected = mf.graph.pagerank(a, tol=1e-12)
    assert np.abs(answer.scores - expected).sum() <= answer.error_bound + 1e-12
    assert answer.error_bound <= TOL
    assert answer.n_iter < 120  # the power method takes 136
