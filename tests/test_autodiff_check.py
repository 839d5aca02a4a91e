"""check_gradient: it does not condemn what is right (F2), and finds what is wrong (F3)."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import scipy.special
from cases import saying

from mmlfast.autodiff import check_gradient, grad, jacobian, primitive


def agrees(f, x, *parameters, **options):
    found = check_gradient(f, np.asarray(x), *parameters, **options)
    assert found.verdict == "agrees", str(found)
    assert found
    return found


RIGHT = {
    "abs, maximum and a tiny entry": (lambda v: np.sum(np.abs(v) * v + np.maximum(v, 0)), [-2.0, 3, 1e-9]),
    "abs": (lambda v: np.sum(np.abs(v)), [-2.0, 3, -1e-3]),
    "arctan2": (lambda v: np.arctan2(v[0], v[1]), [-2.0, -3.0]),
    "norm": (np.linalg.norm, [3.0, -4.0, 1e-6]),
    "where": (lambda v: np.sum(np.where(v > 0, v * v, -v)), [-1.0, 2.0]),
    "max": (np.max, [1.0, 3.0, 2.0]),
    "sign": (lambda v: np.sum(np.sign(v) * v**2), [-1.0, 2.0]),
    "edge of a domain": (lambda v: np.sum(np.sqrt(v)), [1e-8, 1e-12, 4.0]),
    "log at the edge": (lambda v: np.sum(np.log(v)), [1e-3, 1e-9, 1e-300]),
    "arccos at the edge": (lambda v: np.sum(np.arccos(v)), [1 - 1e-10, -1 + 1e-12]),
    "x of 1e-9": (lambda v: np.sum(v**2), [1e-9, 2e-9]),
    "x of 1e9": (lambda v: np.sum(v**2), [1e9, -2e9]),
    "x of 1e-150": (lambda v: np.sum(v**2), [1e-150]),
    "x of 1e150": (lambda v: np.sum(np.sqrt(v)), [1e150]),
    "entries of very different size": (lambda v: 1e12 * v[0] + v[1] ** 2 + 1e-12 * np.sin(v[2]), [1.0, 2.0, 3.0]),
    "cancellation": (lambda v: 1e10 + np.sum(v**2), [1.0, 2.0]),
    "fast oscillation": (lambda v: np.sum(np.sin(1e6 * v)), [1.0]),
    "constant": (lambda v: 3.0 + 0 * v[0], [1.0, 2.0]),
    "zero slope": (lambda v: np.sum(np.cos(v)), [0.0, np.pi]),
    "a slope that changes no bit": (lambda v: 1e17 + np.sum(v), [1.0, 2.0]),
    "an array": (lambda v: np.stack([v[0] * v[1], np.exp(v[1]), v[0]]), [1.0, 2.0]),
    "numpy without complex numbers": (lambda v: np.sum(np.floor(v) * v + scipy.special.gammaln(v)), [1.5, 2.7]),
    "complex numbers give nonsense": (lambda v: np.sum(np.real(v) ** 2), [1.5, 2.7]),
}


@pytest.mark.parametrize("name", RIGHT)
def test_f2_what_is_right_is_not_condemned(name):
    f, x = RIGHT[name]
    if "nonsense" in name:
        agrees(f, x, derivatives=2 * np.array(x))
        return
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        agrees(f, x)


def test_f2_float32():
    agrees(lambda v: np.sum(np.sin(v) * v), np.array([0.3, -1.2], np.float32))
    agrees(lambda v: np.sum(np.exp(v)), np.array([0.3, 20.0], np.float32))


def test_f2_a_number_a_matrix_and_parameters():
    agrees(lambda t: t**3, 2.0)
    agrees(lambda m: np.linalg.det(m), np.array([[1.0, 2], [2, 4]]))
    agrees(lambda v, a, b: a * np.sum(v**2) + np.sum(b), [1.0, 2.0], 3.0, np.ones(4))


def test_f2_a_kink_is_not_wrong():
    for f, x in [
        (lambda v: np.sum(np.abs(v)), [0.0, 1.0]),
        (lambda v: np.maximum(v[0], v[1]), [2.0, 2.0]),
        (lambda v: np.sum(np.maximum(v, 0)), [0.0]),
        (lambda v: np.sum(np.clip(v, -1, 1)), [1.0, 0.5]),
        (lambda v: np.max(v), [3.0, 7.0, 7.0]),
    ]:
        found = check_gradient(f, np.array(x))
        assert found.verdict == "kink", str(found)
        assert found
        assert "kink" in str(found)
        assert found.entry is not None


def test_f2_a_slope_outside_of_the_kink_is_wrong():
    found = check_gradient(lambda v: np.sum(np.abs(v)), np.array([0.0, 1.0]), derivatives=np.array([1.5, 1.0]))
    assert found.verdict == "wrong"
    assert found.entry == (0,)


def test_f3_it_finds_what_is_wrong():
    x = np.array([0.7, -1.9, 2.4])
    f = lambda v: np.sum(np.exp(v) * v) + v[0] * v[1]  # noqa: E731
    right = grad(f)(x)
    agrees(f, x, derivatives=right)
    agrees(f, x, derivatives=grad(f))
    for i, wrong in [(0, 1.001), (1, -1.0), (2, 1.0001), (2, 0.0)]:
        derivatives = right.copy()
        derivatives[i] *= wrong
        with saying(i, wrong):
            found = check_gradient(f, x, derivatives=derivatives)
            assert found.verdict == "wrong"
            assert not found
            assert found.entry == (i,)
            assert f"[{i}]" in str(found)
            assert "wrong" in str(found)
    found = check_gradient(f, x, derivatives=right - np.array([0, x[0], 0]))  # a term was forgotten
    assert found.entry == (1,)


def test_f3_a_transposed_jacobian():
    def f(v):
        return np.stack([v[0] ** 2 * v[1], np.sin(v[1])])

    x = np.array([0.7, 1.9])
    j = jacobian(f)(x)
    agrees(f, x, derivatives=j)
    found = check_gradient(f, x, derivatives=j.T)
    assert found.verdict == "wrong"
    assert found.entry in [(0, 1), (1, 0)]


def wrong_factor(t):
    return np.cos(t) * 1.001


def wrong_sign(t):
    return -np.cos(t)


def forgotten_term(t):
    return np.cos(t) - 0.01


@pytest.mark.parametrize("slope", [np.cos, wrong_factor, wrong_sign, forgotten_term], ids=lambda f: f.__name__)
def test_f3_a_primitive(slope):
    sine = primitive(np.sin, derivative=slope)
    found = check_gradient(lambda v: np.sum(sine(v) * v), np.array([0.4, 1.1]))
    assert found.verdict == ("agrees" if slope is np.cos else "wrong"), str(found)
    assert found.entry is None or len(found.entry) == 1


def test_f3_a_primitive_with_a_transposed_jacobian():
    m = np.array([[1.0, 2], [3, 4]])
    for jacobian_of, verdict in [(lambda v: m, "agrees"), (lambda v: m.T, "wrong")]:
        product = primitive(lambda v: m @ v, jacobian=jacobian_of, shape=(2,))
        found = check_gradient(lambda v, p=product: p(v), np.array([0.4, 1.1]))
        assert found.verdict == verdict, str(found)
        if verdict == "wrong":
            assert found.entry in [(0, 1), (1, 0)]
            assert str(list(found.entry)) in str(found)


def test_the_tape_of_a_random_program_agrees():
    rng = np.random.default_rng(8)
    for _ in range(20):
        a, b, c = rng.standard_normal((3, 3, 3))
        agrees(
            lambda v, a=a, b=b, c=c: np.sum(np.tanh(a @ v) * np.exp(-((b @ v) ** 2))) + np.linalg.norm(c @ v),
            rng.standard_normal(3),
        )


def test_smooth_minima_are_no_corners():
    """Beside a minimum of value 0 the values are squares of rounded steps: sharper than the steps themselves."""
    rng = np.random.default_rng(5)
    for _ in range(20):
        c = rng.normal(size=2) * 10.0 ** rng.integers(-6, 7)
        for f in (
            lambda v, c=c: np.sum((v - c) ** 2),
            lambda v, c=c: np.linalg.norm(v - c) ** 2,
            lambda v, c=c: np.sum(1 - np.cos((v - c) / np.abs(c))),
        ):
            assert check_gradient(f, c).verdict == "agrees"
        assert check_gradient(lambda v, c=c: np.sum(np.abs(v - c)), c).verdict == "kink"
        assert check_gradient(lambda v, c=c: np.sum((v - c) ** 2), c, derivatives=2e-3 * c).verdict == "wrong"
