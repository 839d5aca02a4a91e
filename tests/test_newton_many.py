"""Newton's method from many starts, beside one start at a time in NumPy."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import mmlfast as mf
from mmlfast._reference.newton_many import newton_many as reference
from mmlfast.optimize import newton_many

quiet = pytest.mark.filterwarnings("ignore::mmlfast.ConvergenceWarning")


def cubic(x):
    return x**3 - 2 * x - 5


def cube(z):
    """z**3 = 1 in the complex plane, as two real equations."""
    x, y = z[0], z[1]
    return np.stack([x**3 - 3 * x * y**2 - 1, 3 * x**2 * y - y**3])


def cube_jacobian(z):
    x, y = z
    return np.array([[3 * x**2 - 3 * y**2, -6 * x * y], [6 * x * y, 3 * x**2 - 3 * y**2]])


def test_roots_of_one_number():
    x0 = np.linspace(1, 40, 1001)
    found = newton_many(cubic, x0)
    expected = reference(lambda x: cubic(x), lambda x: np.array([[3 * x[0] ** 2 - 2]]), x0[:, np.newaxis], 100)[:, 0]
    assert found.converged.all()
    assert found.derivatives == "exact"
    np.testing.assert_allclose(found.x, expected, rtol=4e-16)


@pytest.mark.parametrize("n", [2, 3, 5])
def test_systems(n):
    rng = np.random.default_rng(n)
    mix = rng.uniform(-0.3, 0.3, (n, n)) + np.eye(n)
    right = mix @ np.arange(1.0, n + 1) ** 2

    def f(v):
        return mix @ v**2 - right

    x0 = rng.uniform(1, 3, (200, n))
    found = newton_many(f, x0)
    expected = reference(f, lambda v: 2 * mix * v, x0, 100)
    assert found.converged.all()
    np.testing.assert_allclose(found.x, expected, rtol=1e-14)
    np.testing.assert_allclose(found.x, np.broadcast_to(np.arange(1.0, n + 1), x0.shape), rtol=1e-13)


@quiet
def test_basins_of_the_cube_roots():
    side = np.linspace(-1.5, 1.5, 60)
    starts = np.stack(np.meshgrid(side, side), axis=-1)
    found = newton_many(cube, starts)
    assert found.x.shape == starts.shape
    assert found.status.shape == starts.shape[:2]
    z = found.x[found.converged] @ np.array([1, 1j])
    np.testing.assert_allclose(z**3, 1, rtol=1e-14)
    expected = reference(cube, cube_jacobian, starts.reshape(-1, 2), 100).reshape(starts.shape)
    near = np.abs(found.x - expected) < 1e-12
    assert np.mean(near.all(axis=-1)) > 0.99  # between basins a rounding decides


def test_a_triple_root_in_the_rounding_of_f_is_no_pole():
    starts = np.random.default_rng(3).uniform(-9, 9, 500)
    found = newton_many(lambda x: ((x - 3) * x + 3) * x - 1, starts)
    assert found.converged.all()
    np.testing.assert_allclose(found.x, 1, rtol=1e-3)


@quiet
def test_ends_that_are_no_roots():
    found = newton_many(lambda x: x**3 - 2 * x + 2, [0.0, -2.0, 0.1])  # 0 and 1 lead to each other
    assert found.status.tolist() == [5, 1, 5]
    assert np.isnan(found.x[[0, 2]]).all()
    assert newton_many(lambda x: x**2 + 1, [0.0, 0.7]).status.tolist() == [3, 0]
    assert newton_many(lambda x: x**2 - 4, [np.nan, 1.0, np.inf]).status.tolist() == [4, 1, 4]
    assert newton_many(np.tan, [np.pi / 2, np.pi / 2 - 1e-7]).status.tolist() == [6, 6]  # a pole is no root
    # At rest after a step; by rounding; and where what is looked at beside it is the pole.
    for pole in (np.pi / 2, np.pi / 2 - 1e-7, -89.53548891981178, 17.278765073417567):
        assert newton_many(np.tan, [pole]).status.tolist() == [6]
    assert not newton_many(lambda x: np.exp(-x), [1.0]).converged.any()


def test_starts_that_are_roots_and_lanes_that_have_ended():
    """Of a root without a slope; a lane that has ended stays where it is while others go on."""
    assert newton_many(lambda x: x**2, [0.0]).status.tolist() == [1]
    found = newton_many(lambda x: x**2 + np.where(x < 0.5, 1, -9), [0.0, 1.0, 1e8], disp=False)
    assert found.status.tolist() == [3, 1, 1]
    np.testing.assert_array_equal(found.last, [0, 3, 3])


def test_pivots():
    found = newton_many(lambda v: np.stack([v[1] - 1, v[0] - 2, v[1] + v[2] ** 3 - 9]), [[0.0, 0.0, 1.0], [5, 5, 5]])
    np.testing.assert_allclose(found.x, [[2, 1, 2], [2, 1, 2]], rtol=1e-15)


def test_a_warning_says_how_many():
    with pytest.warns(mf.ConvergenceWarning, match=r"1 of 2 starts have converged; 1: the derivative is zero"):
        newton_many(lambda x: x**2 - 4, [0.0, 1.0])


def test_roots_of_any_size():
    for scale in (1e-150, 1e-9, 1.0, 1e150):
        found = newton_many(lambda x, s: x * x - (2 * s) ** 2, [scale, 5 * scale], (scale,))
        np.testing.assert_allclose(found.x, 2 * scale, rtol=4e-16)


def test_bits_do_not_depend_on_the_neighbours():
    x0 = np.random.default_rng(0).uniform(-30, 30, 3001)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        together = newton_many(cubic, x0)
        for i in (0, 1, 63, 64, 777, 3000):
            alone = newton_many(cubic, x0[i])
            assert alone.x.tobytes() == together.x[i].tobytes()
            assert alone.n_iter == together.n_iter[i]


def test_same_bits_at_every_level(same_at_every_level):
    same_at_every_level("""
import numpy as np
from mmlfast.optimize import newton_many
x0 = np.linspace(-3, 3, 999)
one = newton_many(lambda x: np.sin(x) - x / 2, x0, disp=False)
starts = np.stack([x0, x0[::-1]], -1)
two = newton_many(lambda v: np.stack([v[0] ** 2 + v[1] - 2, v[1] ** 2 - v[0] - 1]), starts, disp=False)
digest(one.last, one.n_iter, two.last, two.status)
""")


@quiet
def test_functions_that_are_not_traced():
    def f(x):
        return float(x) ** 2 - 4

    found = newton_many(f, [1.0, -3.0, 0.0])
    np.testing.assert_allclose(found.x[:2], [2, -2], rtol=1e-12)
    assert found.derivatives == "finite differences"
    assert "cannot be traced" in found.message
    given = newton_many(lambda x: x**2 - 4, np.array([1.0, -3.0, 0.0]), fprime=lambda x: 2 * x)
    assert given.derivatives == "given"
    np.testing.assert_array_equal(given.x, [2, -2, np.nan])


def test_arguments_are_seen_and_named():
    with pytest.raises(ValueError, match="max_iter"):
        newton_many(cubic, [1.0], max_iter=0)
    with pytest.raises(TypeError, match="f must be a function"):
        newton_many(3, [1.0])
    with pytest.raises(ZeroDivisionError):
        newton_many(lambda v: v[0] / (1 // 0), [[1.0, 2.0]])
    with pytest.raises(ValueError, match="as many numbers as it takes"):
        newton_many(lambda v: v[0] + np.arange(3), [[1.0, 2.0]])
    assert newton_many(cubic, np.empty((0,))).x.shape == (0,)


def test_interrupt(run_python):
    """Ctrl-C ends a call that would take minutes."""
    answer = run_python("""
        import numpy as np
        from interrupts import interrupt
        from mmlfast.optimize import newton_many
        many = np.ones(4_000_000)
        interrupt(lambda: newton_many(lambda x: np.exp(-x) + 1e-300 * x, many, max_iter=10**6, disp=False))
        print("stopped")
    """)
    assert answer.strip() == "stopped"


def test_arguments_of_each_start():
    """They used to be taken for a system of as many equations: one answer for all of them, and n^2 numbers."""
    levels = np.array([1.0, -1.0, 4.0, -4.0])
    found = newton_many(lambda x, a: x**2 - a, np.full(4, 1.7), args=(levels,), disp=False)
    assert found.converged.tolist() == [True, False, True, False]
    np.testing.assert_allclose(found.x, [1, np.nan, 2, np.nan], rtol=1e-14)
    many = np.linspace(1, 9, 30_000).reshape(3, -1)
    np.testing.assert_allclose(
        newton_many(lambda x, a, k: k * (x**2 - a), np.full(many.shape, 3.0), (many, 2.0)).x, np.sqrt(many)
    )
    coupled = newton_many(lambda v, a: np.sum(v) * v - a, [1.0, 1.5], args=(np.array([3.0, 6.0]),))
    assert coupled.converged.shape == ()
    np.testing.assert_allclose(coupled.x, [1, 2])
