"""Graphs: PageRank with a bound on the error of every answer.

A graph is whatever gives the weights of its links: a SciPy sparse matrix or array, a dense one, a networkx or igraph
graph, or `Links`, a graph taken in once to be ranked often.
"""

from mmlfast._common.public import publish
from mmlfast.graph._links import Links
from mmlfast.graph._pagerank import PageRank, pagerank, pagerank_many

__all__ = ["Links", "PageRank", "pagerank", "pagerank_many"]

publish(__name__, __all__)
