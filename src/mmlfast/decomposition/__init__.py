"""Principal component analysis of tables of any size, with scikit-learn's names.

`PCA` and `IncrementalPCA` are scikit-learn estimators where scikit-learn is installed, and work without it.
"""

from mmlfast._common.public import publish
from mmlfast.decomposition._batched_pca import PrincipalComponents, pca
from mmlfast.decomposition._incremental_pca import IncrementalPCA
from mmlfast.decomposition._pca import PCA

__all__ = ["IncrementalPCA", "PCA", "PrincipalComponents", "pca"]  # noqa: RUF022

publish(__name__, __all__)
