"""Mutations of distances and nearest neighbours, for tests/mutations.py: as in mutations_of_fits.py."""

from __future__ import annotations

from typing import Any

GEOMETRY: tuple[tuple[Any, ...], ...] = (
    (
        "cpp/drivers/neighbors_tree.cpp",
        "test_neighbors.py",
        ("square == last.score && least < last.index", "square < 0 && least < last.index"),  # ties: the smaller number
        ("return sum * (1 - 4", "return sum * (1.05 - 4"),  # a box is nearer than it is said to be
        ("count == answer_.k", "count + 1 == answer_.k"),  # the last place
        ("if (all >= k) std::nth", "if (all > k) std::nth"),  # the last of exactly k
        ("min(i, k), candidates[i]", "min(i, k - 1), candidates[i]"),  # one of k that is thrown away
    ),
    (
        "cpp/kernels/**/neighbors_tree.cpp",
        "test_neighbors.py",
        ("* width)) >= reach_", "* width)) > reach_"),  # ties that leave the last place open
        ("if (index != first)", "if (index + 1 != first)"),  # a leaf twice
        ("reach[l] > farthest_ ?", "reach[l] < farthest_ ?"),  # the reach of one query for all
        ("broadcast(box[0]) - query_[j]", "query_[j] - broadcast(box[0])"),
        ("i % at_once != 0; ++i)", "i % 2 != 0; ++i)"),  # keys of an earlier leaf
    ),
    (
        "cpp/drivers/neighbors_point_tree.cpp",
        "test_neighbors.py",
        ("all.join(read_box(level - 1, child), d_);", "all = read_box(level - 1, child);"),
        ("least_[leaf] = std::min(least_[leaf], order_[i]);", "least_[leaf] = order_[i];"),  # ties: the smaller number
        ("std::exchange(blocks[b].next[bin], place)", "std::exchange(blocks[b].next[bin], place + b)"),
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
        (
            "broadcast(o.limit[query + r]); },\n        [&](int r, double* scores)",
            "broadcast(o.limit[query]); },\n        [&](int r, double* scores)",
        ),
        ("i + c < count ? i + c : count - 1", "i"),
    ),
    (
        "cpp/kernels/neighbors_candidates.hpp",
        "test_neighbors.py test_layouts.py",
        ("moves = own > shifted", "moves = own > list"),
        ("first_point + l)", "first_point + l + (l > 6))"),
    ),
    (
        "cpp/kernels/neighbors_scan.cpp",
        "test_neighbors.py test_layouts.py",
        ("o, panel + p, query", "o, panel, query"),  # the second panel of a tile
        ("panel + panels_at_once <= o.last_panel", "true"),  # an odd number of panels
    ),
    (
        "cpp/kernels/**/distances.cpp",
        "test_distances.py test_layouts.py",
        ("from == 0 ? sum[r][p] : total[r * Panels + p] + sum[r][p]", "sum[r][p]"),  # more than 64 columns
        ("square < smallest_square<T> ? 0x1p600", "square < smallest_square<T> ? 0x1p500"),
        ("while (r < rows) next", "while (r + 1 < rows) next"),
        ("i < w.taken ? w.root[i] : w.result(i, squared)", "w.root[i]"),  # too few steps for all roots
        ("zeros = fma(own, zero<T>(), zeros);", ""),  # squares that are infinite
        ("least = min(own, least);", ""),
        ("panels + j * d, d}", "panels, d}"),
    ),
    (
        "cpp/kernels/**/inner_product.cpp",
        "test_inner_product.py test_layouts.py",
        ("first + l < count ? first + l : count - 1) * x.next", "first) * x.next"),
        ("select(obtuse, cosine, sine)", "select(obtuse, sine, cosine)"),
        ("-8.750608600031904122785e-1", "-8.750608600031904e-2"),
        ("again() * up * up", "again() * up"),
        ("gathered(px + at * x.step, x.step, d - at)", "gathered(px + at * x.step, x.step, group)"),
        ("x * g.of[2], y * g.of[0]", "x, y * g.of[0]"),  # partial sums out of range
        ("any_range && needs_scale(yy, f.of[0])) yy", "any_range && false) yy"),  # a direction out of range
        ("items.d > 0 ? to_bitmask(yy", "items.d > 1 ? to_bitmask(yy"),  # one zero number as a direction
    ),
)
