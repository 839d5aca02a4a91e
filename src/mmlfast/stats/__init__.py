"""Statistics of tables: samples in rows, features in columns.

One centred pass over the table, in float64 whatever the input is, so that a large mean or float32 loses nothing.
The same rows give the same bits for any number of threads, any memory layout and any chunking.
"""

from mmlfast._common.public import publish
from mmlfast.stats._affine_moments import AffineMoments, affine_moments
from mmlfast.stats._covariance import correlation, covariance, mean, std, variance
from mmlfast.stats._moments import Moments

__all__ = ["AffineMoments", "Moments", "affine_moments", "correlation", "covariance", "mean", "std", "variance"]

publish(__name__, __all__)
