"""Intake of graphs: every kind of input gives the same one, what is malformed is refused, NetworkX's own tests pass."""

from __future__ import annotations

import copy
import importlib.util
import inspect
import math
import pickle
import types
import warnings
from collections import Counter
from typing import Any

import graphs
import numpy as np
import pytest
from cases import LAYOUTS, same_bits
from graphs import distance, exact
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from mmlfast import _core
from mmlfast._reference import links as reference
from mmlfast.graph import Links, pagerank, pagerank_many

GRAPHS = graphs.graphs()
FORMATS = ["csr", "csc", "coo", "lil", "dok", "bsr", "dia"]


def same(links: Any, right: Any, **keywords: Any) -> Links:
    """The ranking is that of `right`, up to the order in which duplicates are added up."""
    taken = links if isinstance(links, Links) else Links(links, **keywords)
    np.testing.assert_allclose(pagerank(taken, tol=1e-13), pagerank(Links(right), tol=1e-13), rtol=0, atol=3e-13)
    return taken


# ---- the links that arrive ----


@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("name", ["random", "rmat", "star in", "star out", "multiple", "chain", "no links", "one loop"])
def test_arriving_links_are_those_of_the_reference(name, index, threads):
    a = GRAPHS[name]
    right = reference.arriving(a.indptr, a.indices)
    for n in (1, 3):
        threads(n)
        links, fault, at = _core.make_links(a.indptr.astype(index), a.indices.astype(index), None)
        assert (fault, at) == ("", -1)
        for ours, expected in zip(_core.arriving_links(links), right, strict=True):
            np.testing.assert_array_equal(ours, expected)


@pytest.mark.parametrize("name", ["rmat", "near", "both stars"])
def test_many_buckets_and_blocks(name, rng, threads):
    if name == "rmat":
        a = graphs.rmat(18, 1_200_000, rng)
    elif name == "near":  # most links go to near nodes: the order stays
        n = 200_000
        source = rng.integers(0, n, 1_500_000)
        target = np.clip(source + rng.integers(-500, 500, source.size), 0, n - 1)
        a = sparse.csr_array((np.ones(source.size), (source, target)), shape=(n, n))
        a.data[:] = 1
        assert not reference.grouped(a.indptr, a.indices)
    else:
        n = 300_000
        hub = sparse.csr_array((np.ones(n - 1), (np.arange(1, n), np.zeros(n - 1, int))), shape=(n, n))
        a = (hub + hub.T).tocsr()
    right = reference.arriving(a.indptr, a.indices)
    for n in (1, 4):
        threads(n)
        links = Links(a)
        for ours, expected in zip(_core.arriving_links(links._core), right, strict=True):
            np.testing.assert_array_equal(ours, expected)


def test_attributes():
    links = Links(GRAPHS["stored zeros"])
    a = GRAPHS["stored zeros"].copy()
    a.eliminate_zeros()
    assert (links.n_nodes, links.n_links) == (200, a.nnz)
    assert links.n_dangling == int((np.diff(a.indptr) == 0).sum())
    assert not links.weighted
    assert links.nodes is None
    assert repr(links) == f"Links(n_nodes=200, n_links={a.nnz}, n_dangling={links.n_dangling})"
    assert Links(GRAPHS["weighted"]).weighted
    assert not Links(7.5 * GRAPHS["rmat"]).weighted
    assert Links(links)._core is links._core
    assert Links.from_edges([], [], n_nodes=3).n_dangling == 3
    empty = Links(0 * GRAPHS["rmat"])
    assert (empty.n_links, empty.n_dangling) == (0, empty.n_nodes)


# ---- every input ----


@pytest.mark.filterwarnings("ignore::scipy.sparse.SparseEfficiencyWarning")
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", ["weighted", "rmat", "stored zeros", "groups"])
def test_formats(form, name):
    a = GRAPHS[name]
    for kind in (sparse.csr_array, sparse.csr_matrix):
        same(kind(a).asformat(form), a)
    before = a.copy()
    Links(a)
    for part in ("data", "indices", "indptr"):
        same_bits(getattr(a, part), getattr(before, part))


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint8, np.int32, np.int64, np.uint64, np.float32, np.float64])
@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_dtypes(dtype, index, rng):
    a = GRAPHS["rmat"].copy()
    a.data = rng.integers(0, 100, a.nnz).astype(dtype)
    a.indices, a.indptr = a.indices.astype(index), a.indptr.astype(index)
    wide = a.astype(np.float64)
    same_bits(pagerank(a), pagerank(wide))
    same(a.tocoo(), wide)
    same_bits(pagerank(a.toarray()), pagerank(wide))


@pytest.mark.parametrize("form", ["csr", "coo", "csc"])
@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint8, np.float64])
def test_duplicates_are_added_up(form, dtype):
    """In float64: SciPy adds up booleans and small integers in their own type."""
    weight = 1 if dtype is bool else 100
    data = np.full(5, weight, dtype)
    row, column = np.array([0, 0, 0, 1, 2]), np.array([1, 1, 2, 2, 0])
    if form == "coo":
        a = sparse.coo_array((data, (row, column)), shape=(3, 3))
    elif form == "csr":
        a = sparse.csr_array((data, column[[1, 2, 0, 3, 4]], np.array([0, 3, 4, 5])), shape=(3, 3))
    else:
        a = sparse.csc_array((data, np.array([2, 0, 0, 1, 0]), np.array([0, 1, 3, 5])), shape=(3, 3))
    same(a, np.array([[0, 2.0, 1], [0, 0, 1], [1, 0, 0]]))


def test_unsorted_indices(rng):
    a = GRAPHS["weighted"]
    shuffled = a.copy()
    for i in range(a.shape[0]):
        part = slice(a.indptr[i], a.indptr[i + 1])
        order = rng.permutation(a.indptr[i + 1] - a.indptr[i])
        shuffled.indices[part], shuffled.data[part] = a.indices[part][order], a.data[part][order]
    shuffled.has_sorted_indices = False
    same(shuffled, a)


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda f: f.__name__)
def test_arrays_anywhere_in_memory(layout):
    a = GRAPHS["weighted"]
    b = a.copy()
    b.data = layout(a.data)
    b.indices = a.indices if layout.__name__ == "strided" else layout(a.indices)  # NaN fills gaps: not an integer
    b.indptr = b.indptr if layout.__name__ == "strided" else layout(a.indptr)
    same_bits(pagerank(b), pagerank(a))
    source, target = a.tocoo().coords
    edges = Links.from_edges(
        source.astype(np.int64), target.astype(np.int64), layout(a.tocoo().data), n_nodes=a.shape[0]
    )
    same(edges, a)


def test_spare_room_behind_the_links():
    a = GRAPHS["rmat"]
    b = a.copy()
    b.indices, b.data = np.r_[a.indices, -1, 10**9], np.r_[a.data, math.nan, -5.0]
    same_bits(pagerank(b), pagerank(a))


def test_edges():
    same(Links.from_edges([0, 0, 1, 0], [1, 2, 0, 1]), np.array([[0, 2.0, 1], [1, 0, 0], [0, 0, 0]]))
    same(Links.from_edges([0, 0], [1, 2], [3, 0], n_nodes=4), np.diag([1.0, 0, 0], 1))
    same(Links.from_edges(np.array([2], np.uint64), [0], [True], n_nodes=3), np.diag([1.0], -2))
    assert Links.from_edges([0], [1], n_nodes=np.int64(9)).n_nodes == 9
    a = GRAPHS["weighted"].tocoo()
    same(Links.from_edges(*a.coords, a.data, n_nodes=a.shape[0]), GRAPHS["weighted"])


def test_weights_that_add_up_to_infinity():
    """Each is finite: rows are scaled, as those of dense graphs are."""
    a = np.array([[1.7e308, 1.7e308, 1e308], [1, 3, 0], [0, 1e-300, 1e-305]])
    right = exact(a, 0.85)
    for links in (Links(a), Links(sparse.csc_array(a)), a):
        assert distance(pagerank(links, tol=1e-13), right) <= 1e-13
    tiny = np.array([[0, 5e-324, 1e-323], [5e-324, 0, 0], [1, 0, 0]])
    assert distance(pagerank(Links(tiny), tol=1e-13), exact(tiny, 0.85)) <= 1e-13


# ---- other libraries' graphs ----


def test_networkx():
    nx = pytest.importorskip("networkx")
    a = GRAPHS["weighted"]
    g = nx.from_scipy_sparse_array(a, create_using=nx.DiGraph)
    assert same(g, a).nodes == list(range(a.shape[0]))
    plain = a.copy()
    plain.data[:] = 1
    same(g, plain, weight=None)
    named = nx.DiGraph([("a", "b"), ("b", "c"), ("c", "a"), ("a", "c")])
    named.add_node("alone")
    links = Links(named)
    assert links.nodes == ["a", "b", "c", "alone"]
    assert links.index("c") == 2
    scores = pagerank(named, personalization={"a": 1, "alone": 1}, dangling={"b": 2}, tol=1e-13)
    matrix = np.array([[0.0, 1, 1, 0], [0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 0]])
    assert distance(scores, exact(matrix, 0.85, [1, 0, 0, 1], [0, 1, 0, 0])) <= 1e-13
    with pytest.raises(ValueError, match="unknown node 0"):
        pagerank(named, personalization={0: 1})


def test_networkx_undirected_and_multiple():
    nx = pytest.importorskip("networkx")
    undirected = nx.Graph()
    undirected.add_edge(0, 1, weight=2.0)
    undirected.add_edge(1, 2)
    undirected.add_edge(2, 2, weight=5)
    same(undirected, np.array([[0, 2.0, 0], [2, 0, 1], [0, 1, 5]]))
    multiple = nx.MultiDiGraph([(0, 1), (0, 1), (0, 2), (2, 0)])
    same(multiple, np.array([[0, 2.0, 1], [0, 0, 0], [1, 0, 0]]))
    multiple.add_edge(0, 1, weight=-1)
    with pytest.raises(ValueError, match=r"the link \(0, 1\) is -1"):
        Links(multiple)
    with pytest.raises(ValueError, match="no nodes"):
        Links(nx.DiGraph())


def test_igraph():
    igraph = pytest.importorskip("igraph")
    directed = igraph.Graph(4, [(0, 1), (0, 1), (0, 2), (2, 0)], directed=True)
    same(directed, np.array([[0, 2.0, 1, 0], [0, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]))
    directed.es["weight"] = [2, None, 4, 5.5]  # None: without one, which is 1
    links = same(directed, np.array([[0, 3.0, 4, 0], [0, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]))
    assert links.nodes is None
    undirected = igraph.Graph(3, [(0, 1), (1, 2), (2, 2)])
    undirected.es["w"] = [2, 1, 5]
    undirected.vs["name"] = ["x", "y", "z"]
    links = same(undirected, np.array([[0, 2.0, 0], [2, 0, 1], [0, 1, 5]]), weight="w")
    assert links.nodes == ["x", "y", "z"]
    assert Links(igraph.Graph(5)).n_dangling == 5


# ---- what is refused ----


def broken(**parts: Any) -> Any:
    """A CSR whose arrays are put in afterwards, past SciPy's checks."""
    a = sparse.csr_array(np.array([[0, 1.0, 2], [3, 0, 0], [0, 4, 5]]))
    for name, value in parts.items():
        setattr(a, name, np.array(value))
    return a


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"indptr": [0, 3, 2, 5]}, "indptr must ascend from 0, and does not at position 2.* 2"),
        ({"indptr": [1, 2, 3, 5]}, "at position 0, where it is 1"),
        ({"indptr": [0, 2, 3, 6]}, "indptr ends at 6, but there are 5 indices"),
        ({"indptr": [0, 2, 3, -5]}, "at position 3"),
        ({"indptr": [0, 10**6, 3, 5]}, "at position 2"),
        ({"indptr": [0, 2, 5]}, r"indptr has shape \(3,\) for 3 rows"),
        ({"indices": [1, 2, 0, 1, 3]}, "index out of range at position 4, where it is 3"),
        ({"indices": [1, -1, 0, 1, 2]}, "index out of range at position 1, where it is -1"),
        ({"indices": [1, 2**40, 0, 1, 2]}, "where it is 1099511627776"),
        ({"data": [1.0, 2, 3]}, "indptr ends at 5, but there are 5 indices and 3 weights"),
        ({"data": [1.0, 2, math.nan, 4, 5]}, r"the link \(1, 0\) is nan"),
        ({"data": [1.0, 2, 3, -4, 5]}, r"the link \(2, 1\) is -4\.0"),
        ({"data": [1.0, math.inf, 3, 4, 5]}, r"the link \(0, 2\) is inf"),
        ({"data": [1, 2, -3, 4, 5]}, r"the link \(1, 0\) is -3"),
    ],
)
def test_malformed_csr(parts, message):
    with pytest.raises(ValueError, match=message):
        Links(broken(**parts))


@pytest.mark.parametrize("form", ["csc", "coo", "bsr"])
def test_malformed_in_other_formats(form):
    """SciPy converts without a look at the indices, and writes anywhere."""
    for bad in (10**8, -(10**8), 3):
        a = sparse.csr_array(np.array([[0, 1.0, 2], [3, 0, 0], [0, 4, 5]])).asformat(form)
        where = a.coords[0] if form == "coo" else a.indices
        where[-1] = bad
        with pytest.raises(ValueError, match="not well formed"):
            Links(a)


@pytest.mark.filterwarnings("ignore::scipy.sparse.SparseEfficiencyWarning")
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("bad", [-1.0, math.nan, math.inf, -math.inf])
def test_bad_weights(form, bad):
    a = np.diag([1.0, 2, 3, 4])
    a[1, 1] = bad
    with pytest.raises(ValueError, match=rf"the link \(1, 1\) is {bad}"):
        Links(sparse.csr_array(a).asformat(form))


def test_dia_may_hold_anything_outside_the_matrix():
    a = sparse.dia_array((np.array([[math.nan, 2.0, 3.0]]), [1]), shape=(3, 3))
    same(a, np.diag([2.0, 3.0], 1))


def test_a_negative_weight_does_not_hide_in_a_sum():
    a = sparse.coo_array(([5.0, -1.0, 1.0], ([0, 0, 1], [1, 1, 0])), shape=(2, 2))
    with pytest.raises(ValueError, match=r"\(0, 1\) is -1"):
        Links(a)
    with pytest.raises(ValueError, match=r"weights\[1\], of the link \(0, 1\), is -1"):
        Links.from_edges([0, 0], [1, 1], [5, -1])


@pytest.mark.parametrize("links", [np.ones((2, 3)), sparse.csr_array((2, 3)), np.ones(3), np.ones((2, 2, 2))])
def test_not_square(links):
    with pytest.raises(ValueError, match=r"must be a square matrix, got shape \("):
        Links(links)


@pytest.mark.parametrize("links", [np.ones((0, 0)), sparse.csr_array((0, 0)), sparse.coo_array((0, 0))])
def test_no_nodes(links):
    with pytest.raises(ValueError, match="has no nodes"):
        Links(links)


@pytest.mark.parametrize("dtype", [complex, np.longdouble, object, "U3"])
def test_no_numbers(dtype):
    with pytest.raises(TypeError, match="must hold real numbers"):
        Links(np.ones((70, 70)).astype(dtype))
    if dtype in (complex, np.longdouble):
        with pytest.raises(TypeError, match="must hold real numbers"):
            Links(sparse.eye_array(3, dtype=dtype).tocsr())


def test_more_nodes_than_there_may_be():
    with pytest.raises(ValueError, match="has 3000000000 nodes, and 2147483648 is the most"):
        Links(sparse.coo_array(([1.0], ([0], [1])), shape=(3 * 10**9,) * 2))


@pytest.mark.parametrize(
    ("args", "keywords", "error", "message"),
    [
        (([0, 1], [1]), {}, ValueError, "2 sources, but 1 targets"),
        (([0, -1], [1, 0]), {"n_nodes": 2}, ValueError, r"sources\[1\] is -1, which is no node"),
        (([0, 1], [1, 5]), {"n_nodes": 3}, ValueError, r"targets\[1\] is 5, which is no node: there are 3"),
        (([0, 1], [1, 0], [1]), {}, ValueError, r"weights has shape \(1,\), but there are 2 links"),
        (([0, 1], [1, 0], [1, math.nan]), {}, ValueError, r"weights\[1\], of the link \(1, 0\), is nan"),
        (([0.0, 1], [1, 0]), {}, TypeError, "sources must hold integers or names .* got float64"),
        (([[0, 1]], [1, 0]), {}, ValueError, r"sources must have one dimension, got shape \(1, 2\)"),
        (([0, 1], [1, 0], [1, 2j]), {}, TypeError, "complex128"),
        (([0, 1], [1, 0]), {"n_nodes": 2.5}, TypeError, r"n_nodes must be a whole number \(an int\), got 2\.5"),
        (([], []), {}, ValueError, "has no nodes"),
        (([], []), {"n_nodes": -2}, ValueError, "has no nodes"),
    ],
)
def test_bad_edges(args, keywords, error, message):
    with pytest.raises(error, match=message):
        Links.from_edges(*args, **keywords)


def test_index():
    links = Links.from_edges([0], [1])
    assert links.index(np.int8(1)) == 1
    for bad in (2, -1, "a", 0.0, None):
        with pytest.raises(ValueError, match="unknown node"):
            links.index(bad)


# ---- ids of nodes ----


def ranked(links: Links) -> dict[Any, float]:
    return dict(zip(links.nodes, pagerank(links, tol=1e-13).tolist(), strict=True))


def test_numbers_that_are_not_ids_are_no_nodes():
    """They were: 311 nodes for three ids, and their share of the jumps was lost."""
    links = Links.from_edges([100, 100, 205, 310], [205, 310, 100, 100])
    assert (links.n_nodes, links.nodes, links.index(310)) == (3, [100, 205, 310], 2)
    right = exact(np.array([[0, 1.0, 1], [1, 0, 0], [1, 0, 0]]), 0.85)
    assert distance(pagerank(links, tol=1e-13), right) <= 1e-13
    by_id = pagerank(links, personalization={205: 1}, tol=1e-13)
    assert distance(by_id, exact(np.array([[0, 1.0, 1], [1, 0, 0], [1, 0, 0]]), 0.85, [0, 1, 0])) <= 1e-13
    asked_for = Links.from_edges([100, 100, 205, 310], [205, 310, 100, 100], n_nodes=311)
    assert (asked_for.n_nodes, asked_for.nodes) == (311, None)
    for bad in (0, 100.0, "100", None):
        with pytest.raises(ValueError, match="unknown node"):
            links.index(bad)


def test_one_large_id_takes_no_memory():
    assert Links.from_edges([0, 5], [1_900_000_000, 0]).nodes == [0, 5, 1_900_000_000]


IDS: list[tuple[Any, Any, list[Any]]] = [
    ([0, 1], [1, 2], [0, 1, 2]),
    (range(3), range(1, 4), [0, 1, 2, 3]),
    ([5, 3], [3, 4], [3, 4, 5]),
    ([-5, -3], [-3, 7], [-5, -3, 7]),
    (np.array([-128, 127], np.int8), np.array([127, 0], np.int8), [-128, 0, 127]),
    (np.array([7, 2], ">u2"), np.array([2, 3], "<i4"), [2, 3, 7]),
    (np.array([2**63], np.uint64), np.array([3]), [3, 2**63]),
    (np.array([2**63], np.uint64), np.array([-3]), [-3, 2**63]),
    (np.array([2**53 + 1]), np.array([2**53], np.uint64), [2**53, 2**53 + 1]),
    ([2**70, 5], [-1, 7], [-1, 5, 7, 2**70]),
    (["shop", "home"], ["home", "news"], ["home", "news", "shop"]),
    (np.array(["shop", "home"]), ("home", "news"), ["home", "news", "shop"]),
    (["a\0", "a"], ["a", "b"], ["a", "a\0", "b"]),
    ([b"y"], [b"x"], [b"x", b"y"]),
    ([(1, 2), (0, 5)], [(0, 5), (0, 1)], [(0, 1), (0, 5), (1, 2)]),
    ([("a", 2), (1, 2)], [(1, 2), ("a", 2)], [("a", 2), (1, 2)]),
    (["b", 2], [2, "a"], ["b", 2, "a"]),
    ([7, 8], ["x", "y"], [7, "x", 8, "y"]),
    ([frozenset({1})], [frozenset({2})], [frozenset({1}), frozenset({2})]),
]


@pytest.mark.parametrize(("sources", "targets", "nodes"), IDS)
def test_ids_of_every_kind(sources, targets, nodes):
    links = Links.from_edges(sources, targets)
    assert links.nodes == nodes
    assert [links.index(node) for node in nodes] == list(range(len(nodes)))
    a = np.zeros((len(nodes),) * 2)
    for source, target in zip(sources, targets, strict=True):
        a[nodes.index(source), nodes.index(target)] += 1
    assert distance(pagerank(links, tol=1e-13), exact(a, 0.85)) <= 1e-13


def test_ids_of_pandas():
    pd = pytest.importorskip("pandas")
    text = pd.DataFrame({"s": ["x", "y", "x"], "t": ["y", "z", "z"], "w": [2.0, 1, 3]}, index=[9, 4, 7])
    right = ranked(Links.from_edges(["x", "y", "x"], ["y", "z", "z"], [2.0, 1, 3]))
    for frame in (text, text.astype({"s": "category", "t": "category"}), text.astype({"s": "string"})):
        assert ranked(Links.from_edges(frame.s, frame.t, frame.w)) == right
    whole = pd.Series([3, 5], dtype="Int64")
    assert Links.from_edges(whole, [5, 9]).nodes == [3, 5, 9]
    days = pd.to_datetime(["2024-02-01", "2024-01-01"])
    assert [str(day)[:10] for day in Links.from_edges(days, days[::-1]).nodes] == ["2024-01-01", "2024-02-01"]
    for other in (text.t[::-1], text.t.reset_index(drop=True)):
        with pytest.raises(ValueError, match=r"from_edges: the labels of targets are not those of sources"):
            Links.from_edges(text.s, other)
    with pytest.raises(ValueError, match=r"labels of weights are not"):
        Links.from_edges(text.s, text.t, text.w[::-1])


@pytest.mark.parametrize(
    ("sources", "error", "message"),
    [
        ([1.0, 2], TypeError, "got float64"),
        ([math.nan, 2], TypeError, "got float64"),
        (["a", None], ValueError, r"sources\[1\] is missing"),
        (["a", math.nan], ValueError, r"sources\[1\] is missing"),
        (np.array([1, 2.5], object), TypeError, r"sources\[1\] is 2\.5: ids are integers or names"),
        ([True, False], TypeError, "got bool"),
        ([{}, "a"], TypeError, r"sources\[0\] is \{\}, which cannot be hashed"),
        (np.ma.masked_equal([1, 2], 2), TypeError, "sources is a masked array"),
        (iter([1, 2]), TypeError, "an iterator"),
        ({1, 2}, TypeError, "got set"),
        ("ab", TypeError, "got str"),
        (None, TypeError, "got None"),
        (np.array(["2024-01-01", "NaT"], "M8[D]"), ValueError, r"sources\[1\] is missing"),
    ],
)
def test_ids_that_are_none(sources, error, message):
    with pytest.raises(error, match=message):
        Links.from_edges(sources, [1, 2])


def test_ids_that_are_no_numbers_with_n_nodes():
    for bad in (["a", "b"], [(0, 1), (1, 0)]):
        with pytest.raises(
            TypeError, match=r"with n_nodes the nodes are the numbers .* without n_nodes, ids may be names"
        ):
            Links.from_edges(bad, [0, 1], n_nodes=2)
    with pytest.raises(ValueError, match="numbered from 0"):
        Links.from_edges([0], [2**40], n_nodes=2)


def test_bad_weights_name_the_edge():
    for bad in (-2.0, math.nan, math.inf):
        with pytest.raises(ValueError, match=rf"weights\[1\], of the link \('v', 'u'\), is {bad}"):
            Links.from_edges(["u", "v"], ["v", "u"], [1, bad])
    with pytest.raises(TypeError, match="9007199254740993, which float64 would round"):
        Links.from_edges([0], [1], [2**53 + 1])


def test_edges_that_go_both_ways():
    links = Links.from_edges(["a", "b", "c", "a"], ["b", "c", "c", "b"], [2, 1, 5, 0.5], directed=False)
    same(links, np.array([[0, 2.5, 0], [2.5, 0, 1], [0, 1, 5]]))
    nx = pytest.importorskip("networkx")
    g = nx.Graph()
    g.add_weighted_edges_from([("a", "b", 2.5), ("b", "c", 1), ("c", "c", 5)])
    same(links, g)
    same(Links.from_edges([0, 1], [1, 1], directed=False, n_nodes=3), np.array([[0, 1.0, 0], [1, 1, 0], [0, 0, 0]]))


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 3)), min_size=1, max_size=30),
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=10, max_size=10, unique=True),
    st.sampled_from(["far", "near", "text", "tuple", "object"]),
)
def test_ids_do_not_change_the_ranking(edges, far, kind):
    """Whatever nodes are called, each gets the score that it has under any other name."""
    names: list[Any] = {
        "far": far,
        "near": list(range(-3, 17, 2)),
        "text": [f"page {k}" for k in range(10)],
        "tuple": [(k % 3, k) for k in range(10)],
        "object": [k if k % 2 else str(k) for k in range(10)],
    }[kind]
    source, target, weight = (np.array(column) for column in zip(*edges, strict=True))
    a = np.zeros((10, 10))
    np.add.at(a, (source, target), weight)
    occur = np.unique(np.r_[source, target])
    right = exact(a[occur][:, occur], 0.85)
    links = Links.from_edges([names[k] for k in source], [names[k] for k in target], weight)
    scores = pagerank(links, tol=1e-12)
    assert set(links.nodes) == {names[k] for k in occur}
    assert distance(scores[[links.index(names[k]) for k in occur]], right) <= 1e-12
    if kind != "object":
        assert links.nodes == sorted(links.nodes)


def test_real_ids(data_folder):
    """wiki-Vote as it is: 5.6 % of the rank was on 1183 ids that do not exist."""
    edges = np.loadtxt(data_folder / "graphs" / "wiki-Vote.txt.gz", dtype=np.int64, comments="#")
    links = Links.from_edges(*edges.T)
    ids, numbers = np.unique(edges, return_inverse=True)
    assert links.nodes == ids.tolist()
    same(links, Links.from_edges(*numbers.reshape(edges.shape).T, n_nodes=ids.size))


# ---- pickles ----


def same_links(a: Links, b: Links) -> None:
    assert (repr(a), a.nodes) == (repr(b), b.nodes)
    for part, other in zip(_core.links_state(a._core), _core.links_state(b._core), strict=True):
        np.testing.assert_array_equal(part, other)
    same_bits(pagerank(a, 0.9), pagerank(b, 0.9))


@pytest.mark.parametrize("name", GRAPHS)
def test_links_pickle(name):
    links = Links(GRAPHS[name])
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        same_links(pickle.loads(pickle.dumps(links, protocol)), links)
    for copied in (copy.copy(links), copy.deepcopy(links)):
        same_links(copied, links)
    restored = pickle.loads(pickle.dumps(links))
    same_bits(pagerank_many(restored, damping=[0.5, 0.9]), pagerank_many(links, damping=[0.5, 0.9]))


def test_links_with_names_pickle():
    for sources, targets, _ in IDS:
        links = Links.from_edges(sources, targets)
        before = pickle.dumps(links)
        assert links.nodes
        for data in (before, pickle.dumps(links)):
            same_links(pickle.loads(data), links)
        same_links(copy.deepcopy(links), links)


def test_states_that_no_links_have():
    """Each part of a state, changed in every way: refused, or it is a graph that can be ranked."""
    refusals: list[str] = []
    for a in (GRAPHS["weighted"], GRAPHS["rmat"], graphs.ring(4)):
        good = Links(a).__getstate__()
        for name, value in good.items():
            changes: list[Any] = [None, "text", -1, 2**40, [], np.empty(0), np.zeros((2, 2)), 1.5]
            if isinstance(value, np.ndarray):
                changes += [value[:-1], np.r_[value, value[-1:]], value[::-1].copy(), value.astype("f4"), value * 0]
                for k in {0, 1, value.size // 2, value.size - 1}:
                    for new in (0, value.max() + 1, np.iinfo(np.int32).max):
                        changed = value.copy()
                        changed[k] = new
                        changes.append(changed)
            elif value is not None:
                changes += [value + 1, value - 1]
            for change in changes:
                if change is value or (name == "nodes" and change is None) or np.array_equal(change, value):
                    continue
                links = Links.__new__(Links)
                try:
                    links.__setstate__({**good, name: change})
                except ValueError as error:
                    refusals.append(str(error))
                    continue
                pagerank(links)
                pagerank_many(links)
        for bad in (None, (), {}, {**good, "more": 1}):
            with pytest.raises(ValueError, match="not a state of Links"):
                Links.__new__(Links).__setstate__(bad)
    assert len(refusals) > 200
    assert all("not a state of Links" in message for message in refusals)


# ---- NetworkX's own tests of pagerank, with ours in its place ----

SERVED: Counter[str] = Counter()


def adapter(nx: Any) -> Any:
    def ranking(
        G: Any, alpha=0.85, personalization=None, max_iter=100, tol=1e-6, nstart=None, weight="weight", dangling=None
    ) -> dict[Any, float]:
        """No nodes, no steps and no weight to jump by are errors of ours, of another type; a start is not needed."""
        if len(G) == 0:
            return {}
        if max_iter == 0:
            raise nx.PowerIterationFailedConvergence(max_iter)
        if personalization is not None and not any(personalization.values()):
            with pytest.raises(ValueError, match="no positive entry"):
                pagerank(Links(G, weight=weight), alpha, personalization=personalization)
            raise ZeroDivisionError
        SERVED["pagerank"] += 1
        links = Links(G, weight=weight)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            scores = pagerank(links, alpha, personalization=personalization, dangling=dangling, tol=tol)
        return dict(zip(links.nodes, scores.tolist(), strict=True))

    return ranking


def load_networkx_tests() -> Any:
    """Its file as a module of its own, so that networkx itself stays as it is."""
    source = importlib.util.find_spec("networkx.algorithms.link_analysis.tests.test_pagerank")
    if source is None or source.origin is None:
        return None
    import networkx as nx
    from networkx.algorithms.link_analysis import pagerank_alg

    ours, names = adapter(nx), ("_pagerank_numpy", "_pagerank_python", "_pagerank_scipy")
    kept = {name: getattr(pagerank_alg, name) for name in names}
    kept_pagerank = nx.pagerank
    try:
        nx.pagerank = ours
        for name in names:
            setattr(pagerank_alg, name, ours)
        spec = importlib.util.spec_from_file_location("networkx_tests_of_mmlfast", source.origin)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        nx.pagerank = kept_pagerank
        for name, function in kept.items():
            setattr(pagerank_alg, name, function)

    class Swapped(types.SimpleNamespace):
        def __getattr__(self, name: str) -> Any:
            return getattr(nx, name)

    module.nx = Swapped(pagerank=ours)
    return module


if importlib.util.find_spec("networkx") is not None and (NETWORKX := load_networkx_tests()) is not None:
    for _name, _thing in vars(NETWORKX).items():
        if inspect.isclass(_thing) and _name.startswith("TestPageRank"):
            globals()[_name] = _thing


def test_ours_was_served():
    """The swap is real: NetworkX's tests called our function. Last in the file, for what ran before it."""
    if "TestPageRank" not in globals() or not SERVED:
        pytest.skip("NetworkX's tests were not run")
    assert SERVED["pagerank"] > 10
