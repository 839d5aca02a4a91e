"""Mutations of what streams long tables, for tests/mutations.py: as in mutations_of_fits.py."""

from __future__ import annotations

from typing import Any

STREAMS: tuple[tuple[Any, ...], ...] = (
    (
        "cpp/kernels/projection.cpp",
        "test_projection.py test_layouts.py",
        ("x = fnma(t[i * m + k], r[j * m + k], x)", "x = fnma(t[i * m + k], r[k * m + j], x)"),
        ("const V own = diagonal ? l[k] : l[k * d + k]", "const V own = l[k * d + k]"),
        (
            "k < i && !diagonal; ++k)\n        for (std::ptrdiff_t j = 0; j < m; ++j) e[k",
            "k + 1 < i && !diagonal; ++k)\n        for (std::ptrdiff_t j = 0; j < m; ++j) e[k",
        ),
        ("(gapless && r * l.cols", "(r * l.cols"),  # what lies beside the result
        ("const T* from = x + (done + first)", "const T* from = x + (done + 0 * first)"),
    ),
    (
        "cpp/kernels/projection_residual.hpp",
        "test_inner_product.py test_projection.py test_layouts.py",
        ("within <= square / 2", "within <= 2 * square"),  # of rows in the span
        ("square >= 0x1p-899 && square <= __DBL_MAX__ && within", "square >= 0 && square <= __DBL_MAX__ && within"),
        ("square >= share * of_point", "square >= 0 * of_point"),  # and what rounding leaves of the span in others
        ("square >= 0x1p-899 && square <= __DBL_MAX__;", "square >= 0x1p-899;"),  # squares that overflow
        ("share > 0x1p-72 ? share : 0x1p-72", "0x1p-72"),  # many components
        ("if (is_long(first[i], whole[i])) continue", ""),  # of those beside them
        ("if (k < d) subtract", "if (k + 1 < d) subtract"),  # an odd number of components
        ("item[i] = x + (first + smaller(i, count - 1))", "item[i] = x + first"),
    ),
    (
        "cpp/kernels/common/gapless_rows.hpp",
        "test_projection.py test_matmul.py",
        ("(Q * w + L) % D == K", "(Q * w + L + 1) % D == K"),
        ("if (lane_of<D, W>(k, r) == l) return r", "if (lane_of<D, W>(k, r) == l) return W - 1 - r"),
        ("by_turns<T, w / 2>(x[1], x[3]", "by_turns<T, 0>(x[1], x[3]"),
    ),
    (
        "cpp/kernels/matmul_points.hpp",
        "test_matmul.py",
        ("!is_gapless(a_layout) || !is_gapless(c_layout)", "!is_gapless(a_layout)"),
    ),
    (
        "cpp/kernels/covariance_narrow.hpp",
        "test_covariance.py test_moments.py",
        ("store(delta + j, step);", "store(delta + j, zero<double>());"),
        ("load(sum + e) + load(sum + half + e)", "load(sum + e) - load(sum + half + e)"),
        ("lanes_of_sum[j * group + r % group] += z;", ""),  # the last few rows
        ("d - width, std::integral_constant<int, width - C>{}", "d - width, std::integral_constant<int, 0>{}"),
    ),
    (
        "cpp/kernels/covariance_lanes.hpp",
        "test_affine_moments.py",
        ("good = good & (cov[i * d + j] == cov[j * d + i])", "good = good"),
        ("good = good & (abs(sum) <= broadcast(__DBL_MAX__))", "good = good"),
        ("good = good & (out[i * m + i] >= none)", "good = good"),
        ("fma(half[i * d + k], map[j * d + k], sum)", "fma(half[i * d + k], map[i * d + k], sum)"),
    ),
)
