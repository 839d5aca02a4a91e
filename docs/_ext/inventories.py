"""Lists of the names of other projects that our pages refer to, in the form in which Sphinx reads them.

The lists are here, and not fetched, so that the site builds without a network.
"""

import tempfile
import zlib
from pathlib import Path

# project: where its pages are, version, and for each kind of object the names and the address of their page
PROJECTS = {
    "python": (
        "https://docs.python.org/3/",
        {
            "py:class": (
                "library/functions.html#$",
                ["bool", "bytes", "dict", "float", "int", "list", "object", "str", "tuple"],
            ),
            "py:exception": (
                "library/exceptions.html#$",
                ["ImportError", "KeyboardInterrupt", "MemoryError", "OverflowError", "TypeError", "ValueError"],
            ),
        },
    ),
    "numpy": (
        "https://numpy.org/doc/stable/",
        {
            "py:class": ("reference/generated/$.html", ["numpy.ndarray", "numpy.dtype", "numpy.random.Generator"]),
            "py:exception": ("reference/generated/$.html", ["numpy.linalg.LinAlgError"]),
            "py:function": (
                "reference/generated/$.html",
                [
                    "numpy.cov",
                    "numpy.einsum",
                    "numpy.linalg.det",
                    "numpy.linalg.eigh",
                    "numpy.linalg.inv",
                    "numpy.linalg.lstsq",
                    "numpy.linalg.qr",
                    "numpy.linalg.solve",
                    "numpy.linalg.svd",
                ],
            ),
        },
    ),
    "scipy": (
        "https://docs.scipy.org/doc/scipy/",
        {
            "py:class": ("reference/generated/$.html", ["scipy.optimize.OptimizeResult", "scipy.sparse.csr_array"]),
            "py:function": (
                "reference/generated/$.html",
                ["scipy.optimize.curve_fit", "scipy.optimize.least_squares", "scipy.optimize.newton"],
            ),
        },
    ),
    "sklearn": (
        "https://scikit-learn.org/stable/",
        {
            "py:class": (
                "modules/generated/$.html",
                ["sklearn.decomposition.PCA", "sklearn.neighbors.NearestNeighbors"],
            ),
        },
    ),
}


def _inventory(name, kinds):
    lines = [f"{name} {kind} 1 {page} -" for kind, (page, names) in kinds.items() for name in names]
    header = (
        f"# Sphinx inventory version 2\n# Project: {name}\n# Version: \n"
        "# The remainder of this file is compressed using zlib.\n"
    )
    return header.encode() + zlib.compress(("\n".join(lines) + "\n").encode())


def mapping():
    """What Sphinx wants: for each project its address and the file with the list."""
    folder = Path(tempfile.mkdtemp(prefix="mmlfast-inventories-"))
    found = {}
    for name, (address, kinds) in PROJECTS.items():
        path = folder / f"{name}.inv"
        path.write_bytes(_inventory(name, kinds))
        found[name] = (address, str(path))
    return found
