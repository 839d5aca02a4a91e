"""The functions of mmlfast on data in partitions, on one machine or on a cluster of them, run by Dask.

Each function takes Dask collections or delayed partitions and works with any scheduler: threads, processes, or a
``distributed.Client``. Needs the extra ``mmlfast[dask]``, which is imported when a function is called.
"""

from mmlfast._common.public import publish
from mmlfast.dask._covariance import covariance
from mmlfast.dask._fit_many import fit_many
from mmlfast.dask._pagerank import pagerank
from mmlfast.dask._pca import pca
from mmlfast.dask._tall import lstsq, qr

__all__ = ["covariance", "fit_many", "lstsq", "pagerank", "pca", "qr"]

publish(__name__, __all__)
