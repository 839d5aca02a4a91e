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


@pytest.mark.parametrize("n", [3, 4, 5, 8, 12])
def test_magic_squares(n):
    m, whole = cases.magic(n), n * (n * n + 1) / 2
    np.testing.assert_array_equal(np.sort(m, axis=None), np.arange(1, n * n + 1))
    assert (m.sum(0) == whole).all()
    assert (m.sum(1) == whole).all()
    assert np.trace(m) == np.trace(m[::-1]) == whole
    assert np.linalg.matrix_rank(m) == (3 if n % 4 == 0 else n)


def test_known_matrices_are_what_they_say(rng):
    assert np.linalg.det(cases.frank(8)) == pytest.approx(1)
    h = cases.hadamard(16)
    np.testing.assert_array_equal(h.T @ h, 16 * np.eye(16))
    assert np.linalg.cond(cases.of_condition(rng, 9, 6, 1e6)) == pytest.approx(1e6)
    np.testing.assert_allclose(np.linalg.eigvalsh(cases.repeated_eigenvalues(rng, 6)), [1, 1, 1, 2, 2, 2])
    np.testing.assert_allclose(np.linalg.eigvalsh(cases.clustered_eigenvalues(rng, 6)), [1e-3, 1, 1, 1, 1, 1])
    np.testing.assert_allclose(np.linalg.svd(cases.lauchli(4), compute_uv=False), [2, 1e-7, 1e-7, 1e-7])
    for dtype in (np.float64, np.float32):
        d = cases.denormal(rng, 5, 3, dtype)
        assert d.dtype == dtype
        assert d.any()
        assert np.abs(d).max() < np.finfo(dtype).tiny
    for n in (1, 2, 6):
        assert all(a.shape == (n, n) and np.isfinite(a).all() for _, a in cases.hard_squares(rng, n))
        assert all(a.shape == (8, n) and np.isfinite(a).all() for _, a in cases.hard_rectangles(rng, 8, n))


@cases.every_matrix_market_file(largest=3000)
def test_real_matrices_are_read(path):
    a = cases.read_matrix_market(path)
    assert np.isfinite(a).all()
    assert a.any()
    assert max(a.shape) <= 3000


def test_without_data_a_test_skips_with_a_reason(monkeypatch, tmp_path):
    monkeypatch.setenv("MMLFAST_DATA", str(tmp_path / "nowhere"))
    (only,) = cases.matrix_market_files()
    assert "MMLFAST_DATA" in only.marks[0].kwargs["reason"]
