"""exp, log, tanh and logistic of the kernels against 200-bit arithmetic, and at the ends of their ranges."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmlfast import _core
from mmlfast._reference import simd_math as reference

FUNCTIONS = {"exp": _core.simd_exp, "log": _core.simd_log, "tanh": _core.simd_tanh, "logistic": _core.simd_logistic}
EXACT = {
    "exp": mpmath.exp,
    "log": mpmath.log,
    "tanh": mpmath.tanh,
    "logistic": lambda x: 1 / (1 + mpmath.exp(-x)),
}
# What cpp/simd/math.hpp promises, in units in the last place; the x86 baseline has no fma.
LIMITS = {"exp": 1, "log": 1, "tanh": 2, "logistic": 2}
BASELINE_LIMITS = {"exp": 1, "log": 1, "tanh": 3, "logistic": 3}
DTYPES = [np.float64, np.float32]


def limits():
    build = _core.build_config()
    without_fma = build["simd_in_use"] == "baseline" and len(build["simd_compiled"]) > 1
    return BASELINE_LIMITS if without_fma else LIMITS


def points(name, dtype, rng, n):
    """Points of the whole range and of the places where errors are largest."""
    info = np.finfo(dtype)
    lowest, highest = (-745.1, 709.7) if dtype is np.float64 else (-103.9, 88.7)
    tiny = 10.0 ** rng.uniform(np.log10(float(info.tiny)) - 5, 0, n)
    sets = {
        "exp": [rng.uniform(lowest, highest, n), rng.uniform(-1, 1, n), tiny, -tiny],
        "log": [
            10.0 ** rng.uniform(np.log10(float(info.tiny)), np.log10(float(info.max)), n),
            tiny,
            1 + tiny,
            *(rng.uniform(low, high, n) for low, high in [(0.5, 1.5), (0.69, 0.72), (1.4, 1.42)]),
        ],
        "tanh": [rng.uniform(-20, 20, n), rng.uniform(-1, 1, n), rng.uniform(0.17, 0.22, n), tiny, -tiny],
        "logistic": [rng.uniform(lowest, -lowest, n), rng.uniform(-6, 3, n), rng.uniform(-2, -1.9, n), tiny, -tiny],
    }
    return np.concatenate(sets[name]).astype(dtype)


def errors_in_ulp(name, x, y):
    info = np.finfo(x.dtype)
    out = []
    with mpmath.workprec(200):
        for argument, value in zip(x.tolist(), y.tolist(), strict=True):
            exact = EXACT[name](mpmath.mpf(argument))
            rounded = x.dtype.type(float(exact))
            unit = float(np.spacing(max(abs(rounded), info.tiny)))
            out.append(float(abs(mpmath.mpf(value) - exact)) / unit)
    return np.array(out)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_error(name, dtype, rng):
    x = points(name, dtype, rng, 1500)
    y = FUNCTIONS[name](x)
    assert y.dtype == dtype
    errors = errors_in_ulp(name, x, y)
    worst = int(errors.argmax())
    assert errors[worst] <= limits()[name], f"{name}({x[worst]!r}) is {errors[worst]:.2f} ulp off"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_error_in_float32_over_many_points(name, rng):
    """float64 arithmetic is exact enough to judge float32."""
    x = points(name, np.float32, rng, 200_000)
    y = FUNCTIONS[name](x).astype(np.float64)
    with np.errstate(over="ignore"):
        exact = getattr(reference, name)(x.astype(np.float64))
        unit = np.spacing(np.maximum(np.abs(exact), np.finfo(np.float32).tiny).astype(np.float32))
    assert np.max(np.abs(y - exact) / unit) <= limits()[name]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_special_values(name, dtype):
    info = np.finfo(dtype)
    x = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, info.max, -info.max], dtype)
    want = {
        "exp": [1, 1, np.inf, 0, np.nan, np.inf, 0],
        "log": [-np.inf, -np.inf, np.inf, np.nan, np.nan, np.log(info.max), np.nan],
        "tanh": [0, -0.0, 1, -1, np.nan, 1, -1],
        "logistic": [0.5, 0.5, 1, 0, np.nan, 1, 0],
    }[name]
    got, right = FUNCTIONS[name](x), np.array(want, dtype)
    np.testing.assert_array_equal(got, right)
    numbers = ~np.isnan(right)
    np.testing.assert_array_equal(np.signbit(got[numbers]), np.signbit(right[numbers]))
    assert FUNCTIONS["log"](np.ones(1, dtype))[0] == 0


@pytest.mark.parametrize("dtype", DTYPES)
def test_ends_of_the_range(dtype):
    info = np.finfo(dtype)
    highest = np.log(info.max)
    exp = FUNCTIONS["exp"]
    assert np.isfinite(exp(np.array([np.nextafter(highest, dtype(0))], dtype)))[0]
    assert np.isinf(exp(np.array([np.nextafter(np.nextafter(highest, dtype(1e4)), dtype(1e4))], dtype)))[0]
    lowest = dtype(np.log(np.longdouble(info.smallest_subnormal)))
    assert exp(np.array([lowest], dtype))[0] == info.smallest_subnormal
    assert exp(np.array([lowest - 1], dtype))[0] == 0
    subnormal = np.array([info.smallest_subnormal, 12345 * info.smallest_subnormal], dtype)
    np.testing.assert_array_equal(FUNCTIONS["tanh"](subnormal), subnormal)
    np.testing.assert_allclose(FUNCTIONS["log"](subnormal), np.log(subnormal.astype(np.longdouble)), rtol=info.eps)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 15, 16, 17, 33])
def test_lanes_do_not_matter(name, n, rng):
    x = rng.uniform(0.1, 3, 2 * n)[::2]
    each = np.array([FUNCTIONS[name](x[i : i + 1])[0] for i in range(n)])
    np.testing.assert_array_equal(FUNCTIONS[name](x), each)


@given(st.floats(-30, 30))
def test_laws(x):
    def value(name, v):
        return float(FUNCTIONS[name](np.array([v]))[0])

    assert value("tanh", -x) == -value("tanh", x)
    assert abs(value("logistic", x) + value("logistic", -x) - 1) <= 2**-51
    assert abs(value("log", value("exp", x)) - x) <= 2**-50 * max(1, abs(x))


def test_other_levels_keep_the_limits_too(run_python, simd_levels):
    """The level in use is tested above; here each of the others, on fewer points."""
    code = """
    import sys
    sys.path.insert(0, {tests!r})
    import numpy as np
    import test_simd_math as t
    for name, function in t.FUNCTIONS.items():
        for dtype in t.DTYPES:
            x = t.points(name, dtype, np.random.default_rng(5), 300)
            worst = t.errors_in_ulp(name, x, function(x)).max()
            print("bad" if worst > t.limits()[name] else "good", name, dtype.__name__, worst)
    """
    from pathlib import Path

    source = code.format(tests=str(Path(__file__).parent))
    for level in simd_levels:
        printed = run_python(source, MMLFAST_SIMD=level)
        assert printed.count("good") == 8, f"{level}\n{printed}"


def test_bits_do_not_depend_on_the_level(same_at_every_level):
    same_at_every_level("""
    from mmlfast import _core
    rng = np.random.default_rng(1)
    for dtype in (np.float64, np.float32):
        x = np.concatenate([rng.uniform(-110, 110, 3000), rng.uniform(-1, 1, 3000)]).astype(dtype)
        digest(_core.simd_exp(x), _core.simd_tanh(x), _core.simd_logistic(x), _core.simd_log(abs(x)))
    """)
