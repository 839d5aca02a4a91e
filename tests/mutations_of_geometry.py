"""Mutations of distances and nearest neighbours, for tests/mutations.py: as in mutations_of_fits.py."""

from __future__ import annotations

from typing import Any

GEOMETRY: tuple[tuple[Any, ...], ...] = (
    (
        "cpp/drivers/neighbors_tree.cpp",
        "test_neighbors.py",
        ("square == last.score && points_.least(node) < last.index", "false"),  # ties: the smaller number
        ("return sum * (1 - 4", "return sum * (1.05 - 4"),  # a box is nearer than it is said to be
        ("count == answer_.k", "count + 1 == answer_.k"),  # the last place
        ("min(i, k), candidates[i]", "min(i, k - 1), candidates[i]"),  # one of k that is thrown away
    ),
    (
        "cpp/drivers/neighbors_direct.cpp",
        "test_neighbors.py",
        (" && !all_finite(y_.row(from), points * y_.d)", ""),  # squares that leave float32
    ),
    (
        "cpp/kernels/**/neighbors.cpp",
        "test_neighbors.py test_layouts.py",
        ("zeros += sum[0] * T{0};", ""),  # what is not finite, in a reading for few queries
        ("moves = own > shifted", "moves = own > list"),
        ("first_point + l", "first_point + l + (l > 6)"),
        (
            "broadcast(o.limit[query + r]); },\n        [&](int r, double* scores)",
            "broadcast(o.limit[query]); },\n        [&](int r, double* scores)",
        ),
        ("i + c < count ? i + c : count - 1", "i"),
    ),
    (
        "cpp/kernels/**/distances.cpp",
        "test_distances.py test_layouts.py",
        ("from == 0 ? sum[r][p] : total[r * Panels + p] + sum[r][p]", "sum[r][p]"),  # more than 64 columns
        ("square < smallest_square<T> ? 0x1p600", "square < smallest_square<T> ? 0x1p500"),
        ("for (; r < rows; ++r) add_squares<1", "for (; r + 1 < rows; ++r) add_squares<1"),
        ("panels + j * d, d}", "panels, d}"),
    ),
)
