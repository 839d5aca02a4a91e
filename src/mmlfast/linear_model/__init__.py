"""Linear regression: straight lines, polynomials and any columns, one fit or millions of them.

`linear_fit` gives coefficients with their errors, for one set of rows, a batch, groups of rows or windows.
`LinearRegression` is a scikit-learn estimator where scikit-learn is installed, and works without it.
"""

from mmlfast._common.bands import Band
from mmlfast._common.public import publish
from mmlfast.linear_model._fit_result import LinearFit
from mmlfast.linear_model._linear_fit import linear_fit
from mmlfast.linear_model._linear_regression import LinearRegression

__all__ = ["Band", "LinearFit", "LinearRegression", "linear_fit"]

publish(__name__, __all__)
