"""The elementary functions of the kernels against 200-bit arithmetic, and at special values as the C library."""

from __future__ import annotations

from pathlib import Path

import mpmath
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmlfast import _core
from mmlfast._reference import simd_math as reference

EXACT = {
    "exp": mpmath.exp,
    "expm1": mpmath.expm1,
    "log": mpmath.log,
    "log1p": mpmath.log1p,
    "sin": mpmath.sin,
    "cos": mpmath.cos,
    "tan": mpmath.tan,
    "asin": mpmath.asin,
    "acos": mpmath.acos,
    "atan": mpmath.atan,
    "sinh": mpmath.sinh,
    "cosh": mpmath.cosh,
    "tanh": mpmath.tanh,
    "sqrt": mpmath.sqrt,
    "cbrt": lambda x: mpmath.sign(x) * mpmath.cbrt(abs(x)),
    "erf": mpmath.erf,
    "erfc": lambda x: mpmath.erfc(max(-100, min(x, 100))),
    "lgamma": mpmath.loggamma,
    "logistic": lambda x: 1 / (1 + mpmath.exp(-x)),
    "softplus": lambda x: mpmath.log1p(mpmath.exp(x)),
    "atan2": mpmath.atan2,
    "pow": mpmath.power,
}
FUNCTIONS = {name: getattr(_core, f"simd_{name}") for name in EXACT}
TWO_ARGUMENTS = ("atan2", "pow")
UNARY = [name for name in EXACT if name not in TWO_ARGUMENTS]
# What cpp/simd/math promises, in units in the last place; the x86 baseline has no fma.
LIMITS = dict.fromkeys(EXACT, 2) | dict.fromkeys(("exp", "log", "sin", "cos", "sqrt"), 1)
# Below this the errors are absolute ones.
FLOOR = {"lgamma": 2.0**-5}
DTYPES = [np.float64, np.float32]
# Where the functions have numbers as values, and where they change most.
DOMAIN = dict.fromkeys(("log", "sqrt", "lgamma"), (0, np.inf)) | dict.fromkeys(("asin", "acos"), (-1, 1))
DOMAIN["log1p"] = (-1, np.inf)
DENSE = {
    "exp": [(-746, 710), (-104, 89), (-1, 1)],
    "expm1": [(-40, 710), (-2, 2), (-0.2, 0.2)],
    "log": [(0.5, 1.5), (0.69, 0.72), (1.4, 1.42)],
    "log1p": [(-1, 1), (1, 1e6)],
    "asin": [(-1, 1), (0.49, 0.51), (0.999, 1)],
    "acos": [(-1, 1), (0.49, 0.51), (0.999, 1)],
    "atan": [(-10, 10), (0.4, 0.43)],
    "sinh": [(-711, 711), (-89.5, 89.5), (-1, 1)],
    "cosh": [(-711, 711), (-89.5, 89.5), (-1, 1)],
    "tanh": [(-20, 20), (-1, 1), (0.17, 0.22)],
    "erf": [(-6, 6), (-1, 1), (0.74, 0.76)],
    "erfc": [(-6, 27.3), (-1, 10.1), (0.74, 0.76)],
    "lgamma": [(0, 3), (3, 20), (0.9, 1.1), (1.9, 2.1)],
    "logistic": [(-746, 40), (-104, 20), (-6, 3)],
    "softplus": [(-746, 40), (-104, 20), (-6, 3)],
}
SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, 3.0, -3.0, 2.5, -2.5, 1e30, -1e30, np.inf, -np.inf, np.nan]


def limit(name):
    build = _core.build_config()
    without_fma = build["simd_in_use"] == "baseline" and len(build["simd_compiled"]) > 1
    return LIMITS[name] + without_fma


def all_exponents(dtype, rng, n):
    """Finite numbers of random bits."""
    x = rng.integers(0, 256, (2 * n, dtype(0).itemsize), np.uint8).view(dtype)[:, 0]
    return x[np.isfinite(x)][:n]


def points(name, dtype, rng, n):
    """Points of all exponents, and of the places where errors are largest."""
    if name in TWO_ARGUMENTS:
        x, y = (all_exponents(dtype, rng, n) for _ in "xy")
        m = min(len(x), len(y))
        near = rng.uniform(0.1, 3, (2, n)).astype(dtype)
        if name == "atan2":
            return np.concatenate([x[:m], near[0], -near[0]]), np.concatenate([y[:m], near[1], -near[1]])
        with np.errstate(all="ignore"):
            whole = rng.integers(-30, 30, m).astype(dtype)
            powers = (rng.uniform(-700, 700, n) / np.log(near[0])).astype(dtype)
        return np.concatenate([abs(x[:m]), near[0], x[:m]]), np.concatenate([y[:m], powers, whole])
    low, high = DOMAIN.get(name, (-np.inf, np.inf))
    tiny = 10.0 ** rng.uniform(np.log10(float(np.finfo(dtype).tiny)) - 5, 0, n)
    sets = [all_exponents(dtype, rng, 2 * n), tiny, -tiny]
    sets += [rng.uniform(*ends, n) for ends in DENSE.get(name, [(-10, 10), (-1000, 1000)])]
    if name in ("sin", "cos", "tan"):  # multiples of pi/2, as near as numbers come
        sets.append(np.arange(-n, n) * (np.pi / 2))
        sets.append(np.array([6381956970095103 * 2.0**797, 5319372648326541 * 2.0**128]))  # Kahan's; Muller's Handbook
    with np.errstate(over="ignore"):
        x = np.concatenate([s.astype(dtype) for s in sets])
    return (x[np.isfinite(x) & (x > low) & (x < high)],)


def errors_in_ulp(name, x, got):
    """`x` is a tuple of arguments. Overflow is right where the largest number is less than half a unit away."""
    info = np.finfo(got.dtype)
    out = []
    with mpmath.workprec(200), np.errstate(over="ignore"):
        for argument, value in zip(zip(*(a.tolist() for a in x), strict=True), got.tolist(), strict=True):
            exact = EXACT[name](*map(mpmath.mpf, argument))
            rounded = got.dtype.type(float(exact))
            if not np.isfinite(rounded):
                out.append(0.0 if abs(value) >= info.max and np.sign(value) == np.sign(rounded) else np.inf)
                continue
            unit = float(np.spacing(got.dtype.type(max(abs(rounded), info.tiny, FLOOR.get(name, 0)))))
            out.append(float(abs(mpmath.mpf(value) - exact)) / unit)
    return np.array(out)


def assert_right(name, dtype, rng, n):
    x = points(name, dtype, rng, n)
    y = FUNCTIONS[name](*x)
    assert y.dtype == dtype
    errors = errors_in_ulp(name, x, y)
    worst = int(np.nan_to_num(errors, nan=np.inf).argmax())
    arguments = [float(a[worst]) for a in x]
    assert errors[worst] <= limit(name), f"{name}{arguments} is {errors[worst]:.2f} ulp off"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", EXACT)
def test_error(name, dtype, rng):
    assert_right(name, dtype, rng, 400)


@pytest.mark.parametrize("name", EXACT)
def test_error_in_float32_over_many_points(name, rng):
    """float64 arithmetic is exact enough to judge float32."""
    x = points(name, np.float32, rng, 100_000)
    y = FUNCTIONS[name](*x).astype(np.float64)
    with np.errstate(all="ignore"):
        exact = getattr(reference, name)(*(a.astype(np.float64) for a in x))
        rounded = exact.astype(np.float32)
        unit = np.spacing(np.maximum(np.abs(rounded), max(np.finfo(np.float32).tiny, FLOOR.get(name, 0))))
        errors = np.where(np.isfinite(rounded), np.abs(y - exact) / unit, np.where(y == rounded, 0, np.inf))
    assert errors.max() <= limit(name)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", EXACT)
def test_special_values(name, dtype):
    info = np.finfo(dtype)
    ends = [info.max, info.smallest_subnormal, info.tiny]
    values = np.array([*SPECIAL, *ends, *(-end for end in ends)], dtype)
    x = np.meshgrid(values, values) if name in TWO_ARGUMENTS else [values]
    x = [a.ravel() for a in x]
    got = FUNCTIONS[name](*x)
    with np.errstate(all="ignore"):
        want = getattr(reference, name)(*x)
        unit = np.spacing(np.maximum(np.abs(want), dtype(name == "lgamma")))
        close = (got == want) | (np.isnan(got) & np.isnan(want)) | (np.abs(got - want) <= 3 * unit)
    # SciPy and NumPy lose subnormal results here and there: those are in test_error.
    close |= np.abs(want) < info.tiny
    assert close.all(), [(name, *a, g, w) for *a, g, w in zip(*x, got, want, strict=True)][int(np.argmin(close))]
    special = ~np.isfinite(want) | (want == 0)
    numbers = special & ~np.isnan(want) & (np.isin(x[0], [0, np.inf, -np.inf]))
    np.testing.assert_array_equal(np.signbit(got[numbers]), np.signbit(want[numbers]))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", EXACT)
def test_lanes_do_not_touch_one_another(name, dtype, rng):
    """NaN, infinity, zero, a large and a tiny number in each lane in turn: the others stay as they are to the bit."""
    n = 64 // dtype(0).itemsize + 1
    x = [rng.uniform(0.1, 0.9, n).astype(dtype) for _ in range(1 + (name in TWO_ARGUMENTS))]
    plain = FUNCTIONS[name](*x)
    for value in (np.nan, np.inf, -np.inf, 0.0, -3.5, 1e30, -1e30, np.finfo(dtype).smallest_subnormal):
        alone = FUNCTIONS[name](*(np.array([value, *a[:1]], dtype) for a in x))[0]
        for lane in range(n):
            changed = [a.copy() for a in x]
            for a, original in zip(changed, x, strict=True):
                a[lane] = value
                a[(lane + 1) % n] = original[(lane + 1) % n]
            y = FUNCTIONS[name](*changed)
            others = np.arange(n) != lane
            np.testing.assert_array_equal(y[others], plain[others])
            np.testing.assert_array_equal(y[lane], alone)
    assert np.isnan(FUNCTIONS[name](*(np.full(n, np.nan, dtype) for _ in x))).all()


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
    for name in ("tanh", "sin", "tan", "asin", "atan", "sinh", "expm1", "log1p"):
        np.testing.assert_array_equal(FUNCTIONS[name](subnormal), subnormal)
        np.testing.assert_array_equal(FUNCTIONS[name](-subnormal), -subnormal)
    assert FUNCTIONS["log"](np.ones(1, dtype))[0] == 0


@pytest.mark.parametrize("name", EXACT)
@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 15, 16, 17, 33, 130])
def test_places_and_strides_do_not_matter(name, n, rng):
    x = [rng.uniform(0.1, 0.9, 2 * n)[::2] for _ in range(1 + (name in TWO_ARGUMENTS))]
    each = np.array([FUNCTIONS[name](*(a[i : i + 1] for a in x))[0] for i in range(n)])
    np.testing.assert_array_equal(FUNCTIONS[name](*x), each)
    np.testing.assert_array_equal(FUNCTIONS[name](*(a.copy() for a in x)), each)
    out = np.full(2 * n, -7.0)
    FUNCTIONS[name](*(a.copy()[::-1] for a in x), out=out[1::2])
    np.testing.assert_array_equal(out[1::2][::-1], each)
    assert (out[::2] == -7).all()


@given(st.floats(-30, 30))
def test_laws(x):
    def value(name, v):
        return float(FUNCTIONS[name](np.array([v]))[0])

    for odd in ("tanh", "sin", "tan", "atan", "sinh", "cbrt", "erf"):
        assert value(odd, -x) == -value(odd, x)
    assert value("cos", -x) == value("cos", x)
    assert abs(value("logistic", x) + value("logistic", -x) - 1) <= 2**-51
    assert abs(value("log", value("exp", x)) - x) <= 2**-50 * max(1, abs(x))
    assert abs(value("sin", x) ** 2 + value("cos", x) ** 2 - 1) <= 2**-51


def test_lgamma_of_negative_numbers(rng):
    x = np.concatenate([-rng.uniform(0, 30, 500), -(10.0 ** rng.uniform(-15, 12, 500))])
    with mpmath.workprec(200):
        terms = [(mpmath.loggamma(-mpmath.mpf(v)), mpmath.loggamma(mpmath.mpf(v)).real) for v in x.tolist()]
    largest = np.array([max(abs(float(mirror)), abs(float(value)), 1) for mirror, value in terms])
    exact = np.array([float(value) for _, value in terms])
    np.testing.assert_array_less(np.abs(_core.simd_lgamma(x) - exact), 4 * np.spacing(largest))


def test_baseline_keeps_the_limits_too(run_python, simd_levels, fused_simd_levels):
    """The level in use is tested above, and others with fused multiply-add have its bits; on fewer points."""
    code = """
    import sys
    sys.path.insert(0, {tests!r})
    import numpy as np
    import test_simd_math as t
    rng = np.random.default_rng(5)
    for name in t.EXACT:
        for dtype in t.DTYPES:
            t.assert_right(name, dtype, rng, 60)
            print("good")
    """
    source = code.format(tests=str(Path(__file__).parent))
    for level in set(simd_levels) - set(fused_simd_levels):
        printed = run_python(source, MMLFAST_SIMD=level)
        assert printed.count("good") == 2 * len(EXACT), f"{level}\n{printed}"


def test_bits_do_not_depend_on_the_level(same_at_every_level):
    same_at_every_level("""
    from mmlfast import _core
    rng = np.random.default_rng(1)
    names = "exp expm1 log log1p sin cos tan asin acos atan sinh cosh tanh"
    names += " sqrt cbrt erf erfc lgamma logistic softplus"
    for dtype in (np.float64, np.float32):
        x = rng.integers(0, 256, (4000, dtype(0).itemsize), np.uint8).view(dtype)[:, 0]
        x = x[np.isfinite(x)]
        x = np.concatenate([x, rng.uniform(-110, 110, 3000), rng.uniform(-1, 1, 3000)]).astype(dtype)
        digest(*(_core.__dict__["simd_" + name](x) for name in names.split()))
        digest(_core.simd_pow(abs(x), x[::-1]), _core.simd_pow(x, np.round(x[::-1])), _core.simd_atan2(x, x[::-1]))
    """)
