"""Every script of examples/ runs, and says what it is meant to show."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest

import mmlfast as mf

EXAMPLES = Path(__file__).parents[1] / "examples"

# What a reader should see: what each script is there to show.
SHOWN = {
    "elimination": ["an apple costs 1.11", "batch index (7,)", "99999 shops", "shop 7 is 0.0"],
    "matmul": ["all squared lengths are positive: True", "the same by vecdot and matvec: True"],
    "transformations": ["E T E^-1 is that matrix: True", "two reflections are a rotation: True", "linearly dependent"],
    "gram_schmidt": ["span 2 dimensions"],
    "simultaneous_equations": ["rank 3", "prices: [5. 4. 2.]", "singular: True, determinant 0.0", "[-2 -1  1]"],
    "eigenvectors": ["x^2 + (-5) x + (-6)", "eigenvalues [-1.  6.]", "[[43190126, 43190125]", "too few independent"],
    "cholesky": ["of NumPy's eigenvalues agree for 1000 of 1000"],
    "linear_fit": [
        "slope 0.78 +- 0.02",
        "chi-squared 6.0 for 19",
        "linear_fit is off by 0e+00",
        "Rome: +2.0 degrees a day (ok)",
        "touched by the spike: 60",
    ],
    "newton": [
        "step 3: 2.0945514816981992   9.8 digits",
        "a cycle of 2 points: 1, 0",
        "order 5: 1.100000000",
        "4e-20: 2e-10",
        "99856 of 99856 starts",
    ],
    "lagrange": [
        "minimum  at [ 0.9309 -1.2108]",
        "[1. 1. 1.], 1.000000",
        "0.2500 cubic",
        "not unique",
        "contradict each other",
    ],
    "descent": ["Newton           :", "40000 runs have converged", "depth -1.963367", "finite differences"],
    "images": ["the covariance 61", "left over: True", "80 x 80 matrix: True", "nearest images: 95.7%"],
    "sandpit": ["-0.6882 at", "finite differences", "the hollow there is -2.0689 deep"],
    "lu": ["P L U gives the matrix back: True"],
    "eigh": ["the longest axis lies along x: True", "answers 999 of 1000"],
    "rfactor": ["30000 rows", "rank 4"],
    "qr": ["the identity to 4e-03", "all of rank 2", "group [7] has rank [1]", "[ 1. -2.  3.]"],
    "exact_elimination": ["special: rank 2; column 3 = -1 * column 1 + 2 * column 2", "large numbers: det = 4"],
    "svd": ["rank 2 of 3", "one way to move: [ 1. -2.  1.]", "3 of 100000 cannot be inverted: [  7  77 777]"],
    "power_iteration": ["28.6 % live in the city", "converged: True"],
    "pagerank": [
        "scores: home 27.2 %, news 18.9 %, shop 18.9 %, terms 35.0 %",
        "damping 0: home 25.0 %",
        "L r = r: True",
        "linear system says the same: True",
        "error of 1e-12: certified to be less: True",
        "the last of them alone, agree: True",
        "damping 1: home 27.3 %",
        "[0.333333 0.333333 0.333333]",
    ],
    "affine_moments": ["[33.804 -0.999]"],
    "pixel_decays": ["1 of 4800: fewer points than parameters", "alone: True", "curve_fit: True"],
    "many_networks": ["that it has not seen", "what it is alone: True"],
    "covariance": ["same bits: True"],
    "pca": ["1.00488949e-09", "in 2 readings", "thirteen pieces, same bits: True", "from disk, same bits: True", "9.3"],
    "cluster": ["[1.   1.99 2.99 3.99 4.99 5.99 6.99 8.  ]", "explain 55.5 %", "I: True", "[0. 1. 2. 3. 4. 5. 6. 7.]"],
    "inner_product": ["[[1, 2], [2, 4]]: False", "inner product 0, angle 90.00", "1e-09; by the arc cosine 0"],
    "neighbors": ["Mahalanobis): 100% right", "67108864: 100.0%", "1500 links"],
    "projection": ["[ 5.  2. -1.]", "orthogonal to the basis: True", "orthogonal in that metric: True"],
    "curve_fit": [
        "the same place: True",
        "mean 68.17 +- 0.08 inches",
        "robust loss:  lifetime 1.5",
        "errors of a, b are inf",
        "rank 2 of 3, rate 0.666667",
    ],
    "autodiff": [
        "gradient by the chain rule: [-215.6  112.  -100. ]",
        "at 1: 1.895598607383\n         by the rules:  1.895598607383",
        "Hessians symmetric: True",
        "2998 numbers",
        "at r = 2.5: 2.500000000000",
        "at 0 and 4: [0.   0.25]",
        "tanh(t2)",
    ],
    "taylor": [
        "order 10: e = 2.718281801146385",
        "radius 1.120 from its coefficients, 1.118",
        "0 / 0: [ 1.        0.       -0.166667  0.        0.008333]",
        "sqrt of 0 is not finite",
        "with six orders along the way 0.7920142",
    ],
    "digits": ["after 20 epochs", "read correctly", "confused: "],
    "gradients_by_hand": ["less than 1e-15: True", "by autodiff: the same", "tanh(t2)", "in the table -1.236835"],
    "loss_surface": ["25 numbers", "slope 0.02", "bend  -0.059"],
    "backprop": ["0 xor 0 = 0.0", "0 xor 1 = 0.9", "1 xor 0 = 0.9", "1 xor 1 = 0.0"],
}


def test_every_example_is_tested():
    assert sorted(SHOWN) == sorted(path.stem for path in EXAMPLES.glob("*.py"))


@pytest.fixture(autouse=True)
def close_figures():
    """Nothing shows them here."""
    yield
    plt.close("all")


@pytest.mark.parametrize("name", [name for name in SHOWN if name != "cluster"])
def test_example_runs(name, capsys):
    with np.printoptions():  # which come back
        runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    out = capsys.readouterr().out
    for text in SHOWN[name]:
        assert text in out


def test_example_of_a_cluster_runs():
    """Whose processes start by the script: it has to be the main module."""
    pytest.importorskip("dask")
    pytest.importorskip("distributed")
    source = Path(mf.__file__).parents[1]
    path = os.pathsep.join(filter(None, [str(source), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / "cluster.py")],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
        timeout=900,
    )
    assert done.returncode == 0, done.stderr
    for text in SHOWN["cluster"]:
        assert text in done.stdout
