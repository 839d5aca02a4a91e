"""The cases themselves: a layout that changed the values, or was not what it says, would test nothing."""

from __future__ import annotations

import cases
import numpy as np
import pytest
from cases import every_layout


@every_layout
@pytest.mark.parametrize("shape", [(), (5,), (3, 4), (2, 3, 4), (0, 3), (2, 0, 3, 3)])
def test_layouts_keep_values(layout, shape, rng):
    x = rng.standard_normal(shape)
    y = layout(x)
    np.testing.assert_array_equal(y, x)
    assert y.shape == x.shape
    assert not np.shares_memory(x, y)


def test_layouts_are_what_they_say(rng):
    x = rng.standard_normal((4, 3, 2))
    assert cases.fortran(x).swapaxes(-1, -2).flags.c_contiguous
    assert cases.all_fortran(x).flags.f_contiguous
    assert min(abs(s) for s in cases.strided(x).strides) == 16
    assert max(cases.negative(x).strides) < 0
    assert cases.negative_last(x).strides == (48, 16, -8)
    assert not cases.read_only(x).flags.writeable
    assert not cases.misaligned(x).flags.aligned
    assert not cases.byte_swapped(x).dtype.isnative


def test_every_tag_expands():
    found = cases.cases("square")
    tags = set().union(*(case.tags for case in found))
    assert {"stacked", "zero-stride", "zero-size", "ill-scaled", "ill-conditioned", "singular"} <= tags
    assert len({str(case) for case in found}) == len(found)
    assert all("singular" not in case.tags for case in cases.cases("square", without="singular zero-size"))
    for case in found:
        np.testing.assert_array_equal(case.array, case.plain)
        assert case.array.shape[:-2] == case.batch
        assert case.array.dtype.newbyteorder("=") == case.dtype
        if "zero-stride" in case.tags:
            assert case.array.strides[0] == 0


def test_same_bits_sees_the_last_bit():
    cases.same_bits(np.array([np.nan, 1.0]), np.array([np.nan, 1.0]))
    for other in ([np.nan, np.nextafter(1, 2)], [1.0, 1.0], [np.nan, np.nan]):
        with pytest.raises(AssertionError):
            cases.same_bits(np.array([np.nan, 1.0]), np.array(other))
    with pytest.raises(AssertionError):
        cases.same_bits(np.array(0.0), np.array(-0.0))


def test_backward_error_is_measured():
    a, b = np.array([[2.0, 0.0], [0.0, 1.0]]), np.array([[2.0], [3.0]])
    assert cases.backward_error(a, np.array([[1.0], [3.0]]), b) == 0
    assert cases.backward_error(a, np.array([[1.0], [4.0]]), b) == pytest.approx(1 / 11)
    assert cases.backward_error(np.zeros((0, 2, 2)), np.zeros((0, 2, 1)), np.zeros((0, 2, 1))).shape == (0,)
