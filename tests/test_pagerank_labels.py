"""PageRank of graphs whose nodes have names: labels are matched or refused, messages name nodes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from cases import same_bits
from scipy import sparse

from mmlfast.graph import Links, pagerank, pagerank_many

# ---- labels ----


def labelled_graphs() -> Any:
    nx, pd = pytest.importorskip("networkx"), pytest.importorskip("pandas")
    edges = [("u", "v"), ("v", "w"), ("w", "u"), ("w", "x")]
    table = pd.DataFrame(0, index=list("vwux"), columns=list("vwux"))
    for source, target in edges:
        table.loc[source, target] = 1
    return [
        nx.DiGraph(edges),
        Links(nx.DiGraph(edges)),
        Links.from_edges(*zip(*edges, strict=True)),
        table,
        table[list("xuwv")],
        Links(table.loc[list("wxuv")]),
        pd.concat([table] * 1).astype("Int64"),
    ]


def by_name(graph: Any, scores: Any) -> dict[str, float]:
    nodes = (graph if isinstance(graph, Links) else Links(graph)).nodes
    return dict(zip(nodes, np.asarray(scores).tolist(), strict=True))


def test_labels_are_matched():
    """A series was used by position: .347, .295, .251, .107, where x alone is jumped to and leads nowhere."""
    pd = pytest.importorskip("pandas")
    for graph in labelled_graphs():
        p = pd.Series({"x": 1.0, "w": 0, "v": 0, "u": 0})
        assert by_name(graph, pagerank(graph, personalization=p)) == {"u": 0, "v": 0, "w": 0, "x": 1}
        p = pd.Series({"w": 3.0, "u": 1})
        right = pagerank(graph, personalization=p.to_dict(), dangling={"v": 1})
        same_bits(pagerank(graph, personalization=p, dangling=pd.Series({"v": 2.0})), right)
        rows = pd.DataFrame({"w": [3, 0.0], "x": [0, 2.0], "u": [1.0, 0]}, index=["first", "second"])
        many = pagerank_many(graph, rows)
        np.testing.assert_allclose(many[0], pagerank(graph, personalization=p), atol=3e-10)
        np.testing.assert_allclose(many[1], pagerank(graph, personalization={"x": 1}), atol=3e-10)
        np.testing.assert_array_equal(pagerank_many(graph, p), pagerank_many(graph, rows)[0])
        for bad, message in (
            (pd.Series([1, 2, 3, 4]), "unknown node 0 .*to_numpy"),
            (pd.Series([1.0, 2], index=["u", "q"]), "unknown node 'q'"),
            (pd.Series([1.0, 2], index=["u", "u"]), "two entries for the node 'u'"),
        ):
            with pytest.raises(ValueError, match=message):
                pagerank(graph, personalization=bad)
            with pytest.raises(ValueError, match=message):
                pagerank(graph, dangling=bad)
            with pytest.raises(ValueError, match=message):
                pagerank_many(graph, bad)


def test_labels_of_nodes_without_names():
    """Numbers name them; labels that are numbers in order are those of a series that was given none."""
    pd = pytest.importorskip("pandas")
    a = np.array([[0.0, 1, 1], [1, 0, 0], [0, 1, 0]])
    v = [1.0, 2, 5]
    for graph in (a, Links(a), sparse.csr_array(a), pd.DataFrame(a)):
        right = pagerank(graph, personalization=v)
        same_bits(pagerank(graph, personalization=pd.Series(v)), right)
        same_bits(pagerank(graph, personalization=pd.Series(v[::-1], index=[2, 1, 0])), right)
        np.testing.assert_array_equal(pagerank_many(graph, pd.DataFrame([v, v])), pagerank_many(graph, [v, v]))
        with pytest.raises(ValueError, match="unknown node 'a'"):
            pagerank(graph, personalization=pd.Series(v, index=list("abc")))
        with pytest.raises(ValueError, match="for each of the 3 nodes"):
            pagerank(graph, personalization=pd.Series(v[:2]))


def test_tables_whose_labels_do_not_fit_are_refused():
    pd = pytest.importorskip("pandas")
    square = pd.DataFrame(np.eye(3), index=list("abc"), columns=list("abc"))
    for bad, message in (
        (square.drop(columns="b"), "'b' labels only one of them"),
        (square.rename(columns={"a": "q"}), "'a' labels only one of them"),
        (pd.DataFrame(np.eye(3), columns=list("abc")), "labels only one of them"),
        (square.set_axis(list("aab"), axis=0).set_axis(list("aab"), axis=1), "two rows are labelled 'a'"),
    ):
        for function in (Links, pagerank, pagerank_many):
            with pytest.raises(ValueError, match=message):
                function(bad)


def test_labels_of_xarray():
    xr = pytest.importorskip("xarray")
    a = np.array([[0.0, 1, 1], [1, 0, 0], [0, 1, 0]])
    table = xr.DataArray(a[:, [2, 0, 1]], dims=("of", "to"), coords={"of": list("abc"), "to": list("cab")})
    right = pagerank(a, personalization=[1, 0, 3])
    v = xr.DataArray([3.0, 1], dims="page", coords={"page": ["c", "a"]})
    same_bits(pagerank(table, personalization=v), right)
    assert Links(table).nodes == list("abc")
    same_bits(pagerank(xr.DataArray(a), personalization=xr.DataArray([1.0, 0, 3])), right)


def test_bad_entries_name_the_node():
    """They named the position."""
    nx = pytest.importorskip("networkx")
    g = nx.DiGraph([("u", "v"), ("v", "u")])
    for bad in (-1.0, math.nan, math.inf):
        for keyword in ("personalization", "dangling"):
            with pytest.raises(ValueError, match=rf"{keyword}\['v'\] is {bad}"):
                pagerank(g, **{keyword: {"u": 1, "v": bad}})
            with pytest.raises(ValueError, match=rf"{keyword}\[1\], of the node 'v', is {bad}"):
                pagerank(g, **{keyword: [1, bad]})
        with pytest.raises(ValueError, match=rf"\[1, 1\], of the node 'v', is {bad}"):
            pagerank_many(g, [[1, 1], [1, bad]])
        pd = pytest.importorskip("pandas")
        table = pd.DataFrame([[0, bad], [1, 0]], index=list("uv"), columns=list("uv"))
        h = nx.DiGraph()
        h.add_edge("u", "v", weight=bad)
        for graph in (h, table):
            with pytest.raises(ValueError, match=rf"the link \('u', 'v'\) is {bad}"):
                pagerank(graph)
    with pytest.raises(TypeError, match=r"personalization\['u'\] is None"):
        pagerank(g, personalization={"u": None})


def test_dask_arrays_are_refused_by_name():
    da = pytest.importorskip("dask.array")
    for function in (Links, pagerank, pagerank_many):
        with pytest.raises(TypeError, match=r"mmlfast\.dask\.pagerank"):
            function(da.ones((3, 3)))
    with pytest.raises(TypeError, match="personalization is a Dask array"):
        pagerank(np.ones((3, 3)), personalization=da.ones(3))
