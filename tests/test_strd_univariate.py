"""NIST StRD, univariate summary statistics: mean, standard deviation and lag-1 autocorrelation of all nine sets.

The certified values belong to decimal data. float64 cannot hold 10000000.2, and the rounding of the data alone moves
the standard deviation of NumAcc4 in its 9th digit (NumAcc3: in its 10th). So every set is done twice: as integers, the
decimals times a power of ten, which float64 holds exactly, against the certified values; and as float64 reads the file,
against exact rational arithmetic on those very numbers.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from math import isqrt

import numpy as np
import pytest

from mmlfast import stats

NAMES = ("Lew", "Lottery", "Mavro", "Michelso", "NumAcc1", "NumAcc2", "NumAcc3", "NumAcc4", "PiDigits")
# Digits of mean, standard deviation and autocorrelation that the exact values of the float64 data share with the
# certified ones, where the data allow less than 13.
ROUNDED_DATA = {"NumAcc3": (13, 9, 12), "NumAcc4": (13, 8, 10)}


@pytest.fixture
def strd(data_folder, monkeypatch):
    monkeypatch.syspath_prepend(str(data_folder))
    return pytest.importorskip("strd")


def ours(y):
    """Mean, standard deviation (n - 1), lag-1 autocorrelation of a column, from what our functions return.

    The autocorrelation centres both of its columns, y_t and y_t+1, by the mean of all of y; their own covariance plus
    the product of the differences of the means, (m - y_n) (m - y_1) / (n - 1)^2, is the same.
    """
    n = len(y)
    mean, variance = stats.mean(y)[0], stats.variance(y)[0]
    lagged = stats.covariance(np.hstack([y[:-1], y[1:]]), ddof=0)[0, 1]
    product = (n - 1) * lagged + (mean - y[0, 0]) * (mean - y[-1, 0]) / (n - 1)
    return mean, np.sqrt(variance), product / ((n - 1) * variance)


def exact(y):
    """The same in rational arithmetic, rounded once (the square root to 60 more bits first)."""
    numbers = [Fraction(float(v)) for v in y[:, 0]]
    mean = sum(numbers) / len(numbers)
    z = [v - mean for v in numbers]
    squares = sum(v * v for v in z)
    variance = squares / (len(z) - 1)
    root = Fraction(isqrt(int(variance * 4**120)), 2**120)
    lagged = sum(a * b for a, b in pairwise(z))
    return float(mean), float(root), float(lagged / squares)


def test_these_are_all_sets(strd):
    assert set(strd.load_all("univariate")) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_certified_values_to_13_digits(name, strd):
    d = strd.load(name)
    places = max(len(repr(float(v)).partition(".")[2].rstrip("0")) for v in d.y)
    integers = np.rint(d.y * 10**places).reshape(-1, 1)
    np.testing.assert_array_equal(integers[:, 0] / 10**places, d.y)
    mean, sd, autocorrelation = ours(integers)
    digits = strd.lre(np.array([mean / 10**places, sd / 10**places, autocorrelation]), d.params)
    assert digits.min() >= 13


@pytest.mark.parametrize("name", NAMES)
def test_float64_data_to_the_digits_of_their_exact_values(name, strd):
    d = strd.load(name)
    y = d.y.reshape(-1, 1)
    best = np.array(exact(y))
    assert strd.lre(np.array(ours(y)), best).min() >= 13.9
    assert (strd.lre(np.array(ours(y)), d.params) >= ROUNDED_DATA.get(name, (13, 13, 13))).all()
    assert (strd.lre(best, d.params) < 13).any() == (name in ROUNDED_DATA)  # the data, not the sums, are the limit


@pytest.mark.parametrize("name", NAMES)
def test_in_pieces_and_in_a_stack(name, strd):
    """The same values from Moments, and with copies of the column in the lanes."""
    y = strd.load(name).y.reshape(-1, 1)
    m = stats.Moments()
    for piece in np.array_split(y, min(7, len(y))):
        m.update(piece)
    assert m.mean[0] == stats.mean(y)[0]
    assert m.covariance()[0, 0] == stats.variance(y)[0]
    assert (stats.variance(np.stack([y] * 9)) == stats.variance(y)).all()
