"""Does the suite see what is wrong? Breaks the sources in one place after the other, and runs the tests of that place.

    python tests/mutations.py --check                      the texts to replace are all there (seconds)
    python tests/mutations.py --scratch /some/folder       all of them (about an hour on two processors)
    python tests/mutations.py --scratch ... --only qr      those with "qr" in the file or the tests

Each mutation is a text that occurs once in the sources, what it becomes, and the test files that have to notice: a
sign, a bound, a lane, a tail, a tolerance, a merge. A table says which test did, or MISSED. The work goes on in a copy,
which has one SIMD level (the best of this machine, or --level) and is compiled with -O1: a mutation compiles only the
files that read the mutated one, and `--scratch` keeps the copy for the next time. `--tests FOLDER` runs
another suite beside this one, for comparison: one column of the table each.

It needs what the build without pip needs (CONTRIBUTING.md), and pytest. The exit code is the number of mutations that
nobody saw, of those that are to be seen: what changes no result, but only the time it takes, is no mutation.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from mutations_of_derivatives import DERIVATIVES
from mutations_of_eigenvalues import EIGENVALUES
from mutations_of_fits import FITS
from mutations_of_geometry import GEOMETRY
from mutations_of_groups import GROUPS
from mutations_of_networks import NETWORKS
from mutations_of_streams import STREAMS

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Mutation:
    """`old` occurs once in the files of `where`, a glob pattern, so that it may move from a header to a .cpp."""

    where: str
    old: str
    new: str
    tests: str

    def file(self, root: Path) -> Path:
        found = [
            (path, path.read_text(encoding="utf-8").count(self.old))
            for path in sorted(root.glob(self.where))
            if path.is_file()
        ]
        places = [path for path, count in found for _ in range(count)]
        if len(places) != 1:
            raise LookupError(f"{self.where}: {len(places)} times in {len(found)} files: {self.old!r}")
        return places[0]

    def __str__(self) -> str:
        old, new = (re.sub(r"\s+", " ", text) for text in (self.old, self.new))
        return f"{self.where}: {old} -> {new}"


MUTATIONS: list[Mutation] = []

# The rules of the house look at the sources, and need no build.
RULES = "test_codebase.py"


def mutations(where: str, tests: str, *changes: tuple[str, str]) -> None:
    MUTATIONS.extend(Mutation(where, old, new, tests) for old, new in changes)


# ---- kernels ----

mutations(
    "cpp/kernels/**/elimination*",
    "test_elimination.py test_cofactors.py test_lu.py test_condition.py test_layouts.py",
    ("reduce_add(size) * condition < static_cast<T>(0.5)", "reduce_add(size) * condition < 1e9"),
    ("distance = right - reduce_add(plain)", "distance = 0 * right"),
    ("candidate > best", "candidate < best"),  # the smallest pivot
    ("f.singular | (best == zero<T>())", "f.singular"),
    ("lane | (pivot_size < broadcast<T>(smallest))", "lane"),  # reciprocals of tiny pivots
    ("(abs(product) > low)", "(product == product)"),  # partial products that underflow
    ("scale_by_power(product, exponent)", "product"),
    ("fma(a, b, -right) + fnma(c, d, right)", "fma(a, b, -right)"),
    ("size * broadcast<T, P>(inverse_error) > bound", "size == size"),  # elimination may meet a zero
    ("take_lane<L>(taken[s], row[s]", "take_lane<0>(taken[s], row[s]"),
    ("select(here, upper[s], lower)", "lower"),  # an exchange that only copies
    ("for (; j < to; ++j) exchange_strip<1>", "for (; j + 1 < to; ++j) exchange_strip<1>"),
    ("k + v], u[v][s]", "k], u[v][s]"),  # within a panel of more than two columns
    ("search.consider(i, row += f.ld, 0)", "search.consider(i, row + f.ld, 0)"),
    ("select(entry == entry, abs(entry), broadcast<T>(-1))", "abs(entry)"),  # NaN as a pivot
    ("j < i ? entry : broadcast<T>(static_cast<T>(i == j))", "j <= i ? entry : zero<T>()"),
)
mutations(
    "cpp/kernels/elimination_blocks.cpp",
    "test_elimination.py test_elimination_large.py test_lu.py test_cholesky.py",
    ("best && best >= 0 && row < at", "best && best >= 0 && row > at"),  # the last of equal pivots
    ("return at < count ? at : none", "return at"),  # zeros after the last row as pivots
    ("a[j * ld + p] = t;", ""),
    ("if (!(square > 0)) return false", "if (square < 0) return false"),
    ("? row[i] / (pivot - native<T>{})", "? row[i] * (pivot - native<T>{})"),
    ("exchange(panel + first * ld, ld, left, pivot, next, end_of(next, right));", ""),
    ("if (i + w < rows)\n    slab<2>", "if (i + w > rows)\n    slab<2>"),  # rows that fill a register and a part
    ("r += Steps * o.r_row", "r += o.r_row"),
    ("steps = pivots - first < strip<T> ? pivots - first : strip<T>", "steps = left < strip<T> ? left : strip<T>"),
)
mutations("cpp/drivers/matmul.cpp", "test_matmul.py", ("block % pieces * inner_piece", "0 * block"))
mutations(
    "cpp/bind/watch.cpp",
    "test_traced_call.py",
    ("for (Py_ssize_t k = 0; k < 3; ++k)", "for (Py_ssize_t k = 0; k < 2; ++k)"),  # defaults by keyword
)
mutations(
    "cpp/drivers/**/elimination_[bl]*.cpp",
    "test_elimination.py test_elimination_large.py test_lu.py test_cholesky.py",
    ("both[i] = own[later[i]]", "both[i] = later[i]"),
    ("std::fill(at(rows, j), at(0, j + 1), T{0})", "std::fill(at(rows, j), at(0, j + 1), T{9})"),
    ("order[first + j] * layout.col_stride", "(first + j) * layout.col_stride"),
)
mutations(
    "cpp/kernels/**/cholesky.cpp",
    "test_cholesky.py test_layouts.py",
    ("a[k][k] > zero<T>()", "a[k][k] >= zero<T>()"),
    ("x[k][k] > zero<T>()", "x[k][k] == x[k][k]"),
    ("for (; i < f.n; ++i) factor_below<1, C>", "for (; i + 1 < f.n; ++i) factor_below<1, C>"),
    ("f.reciprocal[j + k] = broadcast<T>(1) / x[k][k]", "f.reciprocal[j] = broadcast<T>(1) / x[k][k]"),
)
mutations(
    "cpp/kernels/**/qr*",
    "test_qr.py test_column_units.py test_layouts.py",
    ("square > broadcast<T>(Range<T>::low)", "square >= zero<T>()"),  # columns too small to be squared
    ("sum -= t[i * n + k] * w[i]", "sum -= t[k * n + i] * w[i]"),
    ("x == x, x, infinity", "x == x, x, zero<T>()"),
    ("f.factor[j] * head * head", "f.factor[j] * head"),
    ("{t, transposed ? 1 : n, transposed ? n : 1", "{t, n, 1"),
)
mutations(
    "cpp/kernels/**/reflections.hpp",
    "test_qr.py test_lstsq.py",
    ("(part[0] + part[1]) + (part[2] + part[3])", "(part[0] + part[1]) + part[2]"),
)
mutations(
    "cpp/kernels/**/gram_schmidt*",
    "test_gram_schmidt.py test_column_units.py test_layouts.py",
    ("rank + select(dependent, zero<T>(), broadcast<T>(1))", "rank + broadcast<T>(1)"),
    ("w = w * h.beta[k]", "w = w + w"),
)
mutations(
    "cpp/kernels/**/lstsq.cpp",
    "test_lstsq.py test_lstsq_units.py test_layouts.py",
    ("p.a_exponent[i] - p.b_exponent[j]", "p.a_exponent[i]"),
    ("-p.b_exponent[j] - p.b_exponent[j]", "-p.b_exponent[j]"),
    ("inverse_size = fma(inverse[i] * square[i], inverse[i], inverse_size)", "inverse_size = inverse_size"),
    ("s[i + 1] = min(a, b)", "s[i + 1] = b"),
    ("if (!p.wide) squares_of_columns(p, p.r, bl.rows)", "if (!p.wide) squares_of_columns(p, p.r, bl.rows - 1)"),
)
mutations(
    "cpp/kernels/**/linear_fit*",
    "test_linear_fit.py test_linear_regression.py",
    ("low[i] = low[i] * unit;", "low[i] = zero<double>();"),
    ("weight = select(missing, zero<double>(), weight);", ""),
    ("size > number(0x1p-36) * whole", "size > whole"),  # no second step
    ("centre = first + sum /", "centre = sum /"),  # far from the rows
    ("select(w.count == k, number(1), zero<double>())", "zero<double>()"),
    ("w.dependent = w.dependent | ~(noise < own);", ""),
    ("add_product(rest, x, -w.c_high[j]);", "rest.high = fnma(x, w.c_high[j], rest.high);"),
    ("-(unit + half)", "-(unit - half)"),  # of weights that are not near one
)
mutations(
    "cpp/kernels/**/*",
    "test_elimination.py test_qr.py test_backprop.py test_projection.py test_layouts.py",
    ("while (rows >= 1) run<1", "while (rows > 1) run<1"),  # the last row of a product
    ("depth - k < k_block ? depth - k : k_block", "k_block"),
)
mutations(
    "cpp/kernels/**/covariance*",
    "test_covariance.py test_moments.py test_nan_policy.py test_layouts.py",
    ("if (i + k > j + l) continue", "if (i + k >= j + l) continue"),
    ("add || r > 0, m2, fetch", "add, m2, fetch"),  # the second chain of a block
    ("column[r] = value", "column[r] = 0"),
    ("select(good, step, zero<double>()), from_mean", "select(good, -step, zero<double>()), from_mean"),
)
mutations(
    "cpp/kernels/**/rfactor.cpp",
    "test_rfactor.py test_layouts.py",
    ("r_jj < 0 ? length : -length", "-length"),
    ("for (; k < n; ++k) apply<P, 1>", "for (; k + 1 < n; ++k) apply<P, 1>"),
    ("if (square[0][0] == 0) return 0", "if (square[0][0] < 1e-3) return 0"),
)
mutations(
    "cpp/kernels/**/*rank*",
    "test_pagerank.py test_links.py test_pagerank_near_one.py test_pagerank_labels.py",
    ("own[r] = factor[r] * a", "own[r] = a"),
    ("(v - yi) + ti", "(v - yi) - ti"),
    ("damping * broadcast<double>(factors.inverse_strength[row]) * max(", "damping * max("),
    ("rows.repeats[r] == 0", "r == first"),
    ("lost = (next - sum) - x", "lost = zero<float>()"),
    ("before + (z - before) / fnma", "before + (z - before) * fnma"),  # a link from a node to itself
    ("load(live) > zero<float>()", "load(live) >= zero<float>()"),  # a ranking that is there moves on
)
mutations(
    "cpp/kernels/pagerank_dense.cpp",
    "test_pagerank_dense.py test_pagerank.py",
    ("select(empty, s.d, none)", "none"),  # the walk from rows of zeros
    ("s.slack[i + r] = fma(l[r][c], s.slack[k + c], s.slack[i + r])", "s.slack[i + r] = s.slack[i + r]"),
    ("j = k + Columns; j < s.n", "j = k + Columns; j < s.n - 1"),
    ("(sum > broadcast(least_sum))", "(sum > none)"),  # weights that have few digits
    ("(least >= none) & ", ""),  # negative weights
    ("s.d * s.x[i], none", "none, none"),
)
mutations(
    "cpp/kernels/**/links.cpp",
    "test_links.py test_pagerank.py test_rules.py",
    ("w < broadcast<double>(infinity)", "w <= broadcast<double>(infinity)"),
    ("next[r] = sum;", "next[r] = sum + (r > 9);"),
    ("source[e] < target && source[e] >=", "source[e] >="),
)
mutations(
    "cpp/kernels/**/matmul*",
    "test_matmul.py test_einsum.py test_layouts.py",
    ("if (r >= skip)", "if (r > skip)"),  # the last square of a row
    ("load_first(b + whole * Width, columns)", "load_first(b + whole * Width, columns - 1)"),
    ("(vectors - 1) * full : full", "(vectors - 1) * full - 1 : full"),
    ("if (++r == m) r = 0, ++item", "if (++r == m) r = 1, ++item"),
    (
        "for (; k < depth; ++k)\n    for (int r = 0; r < squares * w",
        "for (; k + 1 < depth; ++k)\n    for (int r = 0; r < squares * w",
    ),
    ("striped::first(x + i, k - i), striped::first(y + i, k - i)", "load(x + i), load(y + i)"),
)
mutations(
    "cpp/kernels/**/row_echelon.cpp",
    "test_row_echelon.py test_layouts.py",
    ("here > ratio", "here >= ratio"),
    ("size[i] += magnitude(f) * growth", "size[i] += 0"),
    ("is_pivot[j] = ratio > tol", "is_pivot[j] = ratio > 0"),
    ("Index i = begin; i < t; ++i", "Index i = begin + 1; i < t; ++i"),
    ("exchange_numbers(factors + k, 0, (best - rank) * widest_window);", ";"),
    ("product<T>(1, r.ld - end, count,", "product<T>(1, r.ld - end, count / 2,"),  # a row that is used as it was
    ("{scratch, widest_window, 1, r.at(begin) + from", "{scratch, widest_window, 1, r.at(0) + from"),
)
mutations(
    "cpp/kernels/**/power_iteration.cpp",
    "test_power_iteration.py test_deflation.py test_layouts.py",
    ("leader < zero<T>()", "leader > zero<T>()"),
    ("for (; i < count; ++i) {\n    const double xi", "for (; i + 1 < count; ++i) {\n    const double xi"),
    ("r <= tol * abs(mu)", "r <= tol"),  # the unit of the matrix
    ("stops = last ? active : reached", "stops = last ? reached : reached"),
)
mutations(
    "cpp/drivers/**/exact_elimination*.cpp",
    "test_exact_elimination.py",
    ("square < most * most", "square < 1e12 * most * most"),  # floating point where it does not do
    ("known[i] + rest(product[i] * d", "known[i] - rest(product[i] * d"),
)
mutations(
    "cpp/kernels/**/exact_elimination.cpp",
    "test_exact_elimination.py test_layouts.py",
    ("if (r > top) f.reduce_column(r, j);", ""),
    ("if (any(by == zero<double>())) break;", ""),
    ("mod.element(broadcast(from.high[at + j])", "mod.element(broadcast(0.0)"),  # beyond 2^53
    ("bad |= to_bitmask(x == zero<double>())", "bad |= 0"),  # a prime that sees another pivot
    ("order[k] = was", "order[k] = order[i]"),
)
mutations(
    "cpp/kernels/**/backprop*",
    "test_backprop.py test_backprop_functions.py test_backprop_training.py test_layouts.py",
    ("d * fnma(y, y, one)", "d * (one - y)"),
    ("y <= zero<T>(), zero<T>(), d", "y < zero<T>(), zero<T>(), d"),
    ("n - j < lanes<T> ? n - j : lanes<T>", "lanes<T>"),  # the padding counts
    ("delta[label] -= factor;", "delta[label] -= 1;"),
    ("total + select(target == nothing, nothing, target * loss)", "total + target * loss"),  # 0 times infinity
    ("parts.add(j, select(target == nothing, nothing, target * loss))", "parts.add(j, target * loss)"),
    ("select(activations::columns_at<T>(full, layer.n_in), load(last), zero<T>())", "load(last)"),
    ("select(y == nothing, nothing, y * in_favour)", "y * in_favour"),
    ("select(z < zero<T>(), zero<T>(), z) + soft_corner(z)", "log1p(exp(z))"),
    ("flushed(fnma(rate, g,", "(fnma(rate, g,"),  # subnormal velocities
    ("fnma(rate, first / (sqrt(second) + epsilon)", "fnma(rate, first / sqrt(second + epsilon)"),
)
mutations(
    "cpp/drivers/**/backprop*",
    "test_backprop.py test_backprop_functions.py test_backprop_training.py test_layouts.py",
    ("if (!(weight > 0)) return;", ""),
    ("    if (weight == T{0}) {", "    if (weight != weight) {"),
    ("best_.restore();\n      state_.steps = best_steps_;", "best_.restore();"),
    ("first_ = 1 - std::pow(beta1_, t)", "first_ = 1"),
    ("state_ = good_state_;", ""),
    ("mix(key + static_cast<std::uint64_t>(numbers_[s]))", "mix(key + static_cast<std::uint64_t>(s))"),
)

mutations(
    "cpp/kernels/**/tape*",
    "test_tape.py test_tape_program.py",
    ("choose(b >= a, b, a + b)", "b"),  # NaN
    ("choose(r > a, r - number<V>(1), r)", "choose(r >= a, r - number<V>(1), r)"),
    ("choose(x < integers, with_sign((x + integers) - integers, a), a)", "(x + integers) - integers"),
    ("log1p(select(far, x - one,", "log1p(select(far, x,"),
    ("copysign(select(x > one, not_a_number<double>(), y), a)", "copysign(y, a)"),
    ("select(a == b, a + number<Vector>(ln2)", "select(a != a, a + number<Vector>(ln2)"),
    ("number<V>(1) / result : result", "result : result"),
    ("(m % 2 == 0 ? mirrored : -mirrored)", "mirrored"),
    ("if (t + j < terms) add(j, t + j)", "if (t + j + 1 < terms) add(j, t + j)"),
    ("if (j + 4 < N) part[j] = part[j] + part[j + 4]", "if (j + 5 < N) part[j] = part[j] + part[j + 4]"),
    ("for (Size t = j; t < terms; t += width)", "for (Size t = j; t + width < terms; t += width)"),
    ("fma(x, terms_of_run(row[r] + whole, left, 1), part[r])", "part[r]"),
    ("terms_of_run(a + t, terms - t, -0.0)", "terms_of_run(a + t, terms - t, 0.0)"),  # sums of -0
    ("choose(largest >= number<V>(0x1p450), number<V>(0x1p-600)", "choose(largest != largest, number<V>(0x1p-600)"),
    ("if (i + width <= n) {", "if (i + width < n) {"),  # the last of an odd number of vectors
    ("if (Point && i < n) store_some(to + i, value(i), n - i)", "if (Point && i < n) store(to + i, value(i))"),
    ("store_some(to + whole * width, load(result), left)", "store(to + whole * width, load(result))"),
    ("exchange_where(here, m, b + k * m, b + i * m)", ""),
    ("store(cosines + i * width, c)", "store(cosines + i * width, s)"),
    ("p + l < points ? p + l : last", "p + l"),
    ("two_of_three ? 0 : n - 2 - c", "two_of_three ? 0 : n - left - c"),
    ("square && k == 1 ? x[0]", "square && k == 1 ? x[2]"),
    ("if (function != nullptr) first.access |= tape_does_next;", ""),
    ("determinant = choose(here, -determinant, determinant)", ""),
)

mutations(
    "cpp/*/newton_many*",
    "test_newton_many.py test_newton.py",
    ("(length <= small * size) & (length >= moved) & ~arrived", "(length >= moved) & ~arrived"),
    ("flat = (d == none) & ~root;", "flat = (d == none);"),
    ("lost = ~(is_finite(to) | flat);", "lost = no_lanes<double>();"),
    ("const V next = select(runs & ~(flat | stalls), to, x);", "const V next = to;"),
    (
        "select(root, none, (j[0] * value[1] - j[2] * value[0]) / det)",
        "select(root, none, (j[0] * value[1] - j[1] * value[0]) / det)",
    ),
    ("if (magnitude(a[i * n + k]) > magnitude(a[pivot * n + k])) pivot = i;", ""),
    ("starts.n_iter[item] = status == 0 ? done", "starts.n_iter[item] = status != 0 ? done"),
    ("std::has_single_bit(static_cast<std::uint64_t>(k + 1))", "false"),
)

mutations(
    "cpp/*/bfgs*",
    "test_bfgs.py test_minimize.py",
    ("broadcast(c * s[i] - rho * q[i])", "broadcast(c * s[i])"),
    ("(1 + yq * rho) * rho", "(1 - yq * rho) * rho"),
    ("return ++stale_ >= (is_rounding()", "return ++stale_ > 1'000'000 * (is_rounding()"),
    ("if (fresh) {", "if (false) {"),
    ("if (fresh) return ends(BfgsEnd::no_step);", ""),
)

mutations(
    "cpp/kernels/**/tape_taylor*",
    "test_tape_taylor.py test_taylor.py",
    ("fma(a.hi, b.lo, low) + fma(a.lo, b.hi, lost)", "low + lost"),  # the digits beyond 53 bits
    ("(degree == nil) | open", "degree == nil"),
    ("k + m <= y.last || polynomials", "true"),
    ("integer || is_integer(q / 2)", "integer || is_integer(q)"),
    ("return k % 2 != 0 ? 0 : x > y ? 1 : -1", "return x > y ? 1 : -1"),
    ("leading(g, lane) / 2 % 2 == 0", "true"),
    ("const bool kink = m % 2 != 0", "const bool kink = true"),
    ("y[k] * difference - square_at(y, k, 1)", "y[k] - square_at(y, k, 1)"),
    (
        "select(b_constant, a.degree(), infinity<double>()));\n  const mask<double> b_zero",
        "a.degree());\n  const mask<double> b_zero",
    ),
    ("zeros & ~constant_b & constant_a & (b[0].hi > nil)", "zeros & ~constant_b & (b[0].hi > nil)"),
    ("f.pivot_row(i) == number(i), f.get(i, i), -f.get(i, i)", "f.pivot_row(i) == number(i), f.get(i, i), f.get(i, i)"),
    ("if (any(infinite)) y.set(0", "if (false) y.set(0"),
)

# ---- drivers ----

mutations(
    "cpp/drivers/**/tape_taylor*",
    "test_tape_taylor.py test_taylor.py",
    ("lane < count || !with_zeros ? taylor_rows", "lane <= count || !with_zeros ? taylor_rows"),
    ("std::min<Size>(lane, count - 1)", "std::min<Size>(lane, 0)"),
    ("return bounded(Size{a} + b);", "return a;"),
)

mutations(
    "cpp/drivers/**/tape*",
    "test_tape.py test_tape_program.py",
    ("!all_of(run, 0, has_no_product) && !all_of(run, 1, exact)", "!all_of(run, 1, exact) && false"),
    ("std::frexp(scaled.constant, &exponent)) == 0.5", "std::frexp(scaled.constant, &exponent)) > 0"),
    ("subtracts = subtracts != take_negatives(operands[factor])", "subtracts = take_negatives(operands[factor])"),
    ("return !is_fixed(id) && last_use_[at(id)] == r", "return !is_fixed(id) && last_use_[at(id)] >= r"),
    ("slot < 0 || slot >= run.count || slot == static_cast<std::int32_t>(i)", "true"),  # shifted operands in place
    ("for (TapeId id : listing_.outputs) last_use_[at(id)] = for_ever", ""),
    ("if (slot != slot_) {  // where numbers are depends on it", "if (slot == 0) {"),
    ("!program.taken_.exchange(true, std::memory_order_acquire)", "true"),  # two threads in the same memory
    ("if (!run.fixed && exchange) std::swap(a, b)", "static_cast<void>(exchange)"),
    ("if (ids[i] != ids[i - at(run.aux)]) return false", ""),
    ("!= places_[0] + t * run.count + i", "!= places_[0] + t * run.count"),
    ("if (run.reduces() || run.is(TapeOp::callback)) single = false", ""),
    ("number(run.is(TapeOp::sin) ? run : other, result.n_values)", "number(run, result.n_values)"),
)
mutations(
    "cpp/drivers/**/rfactor*",
    "test_rfactor.py",
    ("c * x[j] + s * row[j]", "c * x[j] - s * row[j]"),
)
mutations(
    "cpp/drivers/**/merge_tree*",
    "test_moments.py test_rfactor.py test_out_of_core.py test_states.py",
    ("first + (Size{2} << level) <= n_blocks", "first + (Size{2} << level) <= n_blocks + 1"),
    ("(k >> l) & 1", "(k >> l) & 3"),
    ("n_blocks_ += std::uint64_t{1} << level", "n_blocks_ += 1"),
)
mutations(
    "cpp/drivers/**/covariance*",
    "test_covariance.py test_moments.py test_out_of_core.py test_states.py",
    ("reference < rows - 1 && w[reference] == 0", "reference < 0"),  # the first row has no weight
)
mutations(
    "cpp/drivers/**/*pagerank*",
    "test_pagerank.py test_links.py test_pagerank_near_one.py",
    ("damping_ + first, links_.inverse_strength() + begin", "damping_, links_.inverse_strength() + begin"),
    ("links_.n_core_blocks(), links_.n_blocks()", "links_.n_core_blocks() + 1, links_.n_blocks()"),
    ("norm_before_[l] = norm_[l];", "norm_before_[l] = 0;"),  # the second correction is taken for the last
    ("if (!rest_known) pull(n_core_, n_);", ""),  # nodes that no link leaves
    ("stop.damping / (1 - stop.damping) * norm / whole_[l]", "stop.damping * norm / whole_[l]"),
    ("part_[l] / 2 * may", "part_[l] * 1e6 * may"),  # the sweep of pagerank_many stops at once
)

mutations(
    "cpp/drivers/tape_graph.cpp",
    "test_tape_graph.py test_tape_derivatives.py test_tape_pattern.py",
    ("    case TapeOp::multiply:\n    case TapeOp::equal:", "    case TapeOp::subtract:\n    case TapeOp::equal:"),
    ("ids[i] - ids[i - 1] != stride", "ids[i] - ids[i - 1] < stride"),
    ("operand.size = operand.size / count", "operand.size = 1"),  # reductions of the same terms
)
mutations(
    "cpp/drivers/tape_simplify.cpp",
    "test_tape_graph.py test_tape_derivatives.py test_tape_pattern.py",
    ("is_zero(r_.b, r_.op == TapeOp::add)", "all(r_.b, 0.0)"),  # -0 + 0
    ("if (k % 2 != 0) return {};", ""),  # |x| ** 3
    ("g_.constant_value(condition) != 0 ? r_.b : r_.c", "g_.constant_value(condition) != 0 ? r_.c : r_.b"),
    ("std::fabs(exponent) <= 64", "std::fabs(exponent) <= 2"),
    ("if (all_true == is_and && conditions(ids))", "if (all_true == is_and)"),
    ("if (g_.operand_of(at(ids, i), 0) != at(r_.a, i)) return {};", ""),
)
mutations(
    "cpp/drivers/tape_quotients.cpp",
    "test_autodiff_situations.py",
    ("emit(TapeOp::less, emit(TapeOp::absolute, grown.other), infinity)", "number(1)"),  # log(exp(t) + exp(2 t))
    ("return op == TapeOp::cosh ? tanh : emit(TapeOp::divide, number(1), tanh);", "return tanh;"),
    ("return rest < 0 ? g_.constant(1) : rest;", "return g_.constant(1);"),
    ("if (grown.part == Part::same) return relative;", ""),
)
mutations(
    "cpp/drivers/tape_point.cpp",
    "test_tape_point.py test_autodiff_branches.py",
    ("if (known_[place(r)] != 0) return;", ""),
    ("for (; i < runs.size(); ++i) known_[place(runs[i])] = 0;", ""),
    ("std::min(operand.size, 1)", "0"),
    ("run.op == TapeOp::input && run.aux == 0", "run.op == TapeOp::input"),
)
mutations(
    "cpp/drivers/tape_rules.cpp",
    "test_tape_derivatives.py",
    ("return negative(times(emit(TapeOp::sin, a())));", "return times(emit(TapeOp::sin, a()));"),
    ("multiply_add, negative(x), x, number(1)", "subtract, number(1), square(x), {}"),
    ("times(square(quotient(number(1), emit(TapeOp::cosh, a()))))", "times(one_minus_square(y()))"),
    ("times(select(both, number(0), slope))", "times(slope)"),
    ("return quotient(t_, norm(number(1), a()));", "return quotient(t_, emit(TapeOp::sqrt, one_plus(square(a()))));"),
    ("select(same_infinity, number(0.5), ", "select(emit(TapeOp::equal, x, z), number(0.5), "),
    ("emit(TapeOp::divide_or_zero, x, h)", "emit(TapeOp::divide, x, h)"),
    ("number(0), times(product(y(), logarithm)))", "times(product(y(), logarithm)), times(product(y(), logarithm)))"),
    ("i % n * n + i / n", "i"),  # cofactors of the transposed matrix
)
mutations(
    "cpp/drivers/tape_contributions.cpp",
    "test_tape_derivatives.py",
    (
        "masked(g_.emit(TapeOp::multiply, flow.t, factors, {}, 0, count), flow.masks)",
        "g_.emit(TapeOp::multiply, flow.t, factors, {}, 0, count)",
    ),
    ("plain ? ids : masked(ids, flow.masks)", "ids"),
    ("masked(share, mask)", "share"),
    ("flow.t, both(mask, flow.masks)}", "flow.t, mask}"),
    ("masks[i] == others[i]) continue;", "true) continue;"),
    ("if (simplest(conditions) == always) conditions.clear();", "conditions.clear();"),
    ("std::reverse(ids.begin(), ids.end());", "ids.pop_back();"),
    ("if (op == TapeOp::logical_not && g_.operand_of(a, 0) == b) return true;", "return true;"),
)
mutations(
    "cpp/drivers/tape_reverse.cpp",
    "test_tape_derivatives.py",
    ("adjoints_.both(mask, flow.masks)", "mask"),
    ("(i % n) * n + i / n", "i"),  # not transposed
    ("if (leaf_[place(run.first + i)] != 0) {", "if (false) {"),
)
mutations(
    "cpp/drivers/tape_forward.cpp",
    "test_tape_derivatives.py",
    ("kind == 0 ? cs : g_.emit(TapeOp::logical_not, cs)", "cs"),
    ("square ? 1 : run.n_operands()", "1"),
)
mutations(
    "cpp/drivers/tape_pattern.cpp",
    "test_tape_pattern.py",
    ("from += 64", "from += 63"),
    ("(j - i) % (run.count / run.aux) != 0", "false"),
    ("other_column || tape_vanishes(g_, run, k, j)", "other_column"),
)
mutations(
    "cpp/drivers/tape_colouring.cpp",
    "test_tape_pattern.py",
    ("hub_[place(star_[place(edge)])] == x", "false"),
    ("if (treated_[place(first.neighbour)] != v) treat(v, first.neighbour);", ""),
    ("hub_[place(star)] = w;", ""),
)
mutations(
    "cpp/drivers/tape_saved.cpp",
    "test_tape_pattern.py",
    ("hash != hash_of(in_.rest())", "false"),
    ("to.start < end && last >= 0 && last < end", "to.start < end"),
    ("need_(graph.needed(outputs, true))", "need_(graph.needed(outputs))"),
    (
        "graph.callback(run.aux + first_callback, of(run.operand[0]), run.count, {})",
        "graph.callback(run.aux, of(run.operand[0]), run.count, {})",
    ),
)
for _mutation in (*FITS, *DERIVATIVES, *GEOMETRY, *GROUPS, *NETWORKS, *EIGENVALUES, *STREAMS):
    mutations(*_mutation)

# ---- Python ----

mutations(
    "src/mmlfast/_common/weights.py",
    "test_covariance.py test_nan_policy.py test_rules.py test_arguments.py",
    ("FAR = 16", "FAR = 1 << 14"),
)
mutations(
    "src/mmlfast/linalg/_column_units.py",
    "test_svd.py test_column_units.py test_lstsq_units.py",
    ("return size + more", "return size"),
    ("rows > _MOST_ROWS_THAT_COUNT", "rows > 2 * _MOST_ROWS_THAT_COUNT"),
)

mutations(
    "src/mmlfast/autodiff/_trace.py",
    "test_autodiff_tracing.py",
    ("a, b = _spread(a, shape), _spread(b, shape)", "a, b = _spread(b, shape), _spread(a, shape)"),
    ("np.full(shape, self.scalar(0.0), np.int32)", "np.full(shape, self.scalar(1.0), np.int32)"),
)
mutations(
    "src/mmlfast/autodiff/*.py",
    "test_autodiff_tracing.py",
    ("turn = logical_and(t, other_sign, not_equal(t, rest, t.scalar(0.0)))", "turn = other_sign"),
    ("np.positive: lambda t, a: a.copy()", "np.positive: lambda t, a: a"),
    ("(row if (k + place) % 2 == 0 else minus_row)", "(row if place % 2 == 0 else minus_row)"),
    ("if x not in output and (x in labels) != (x in other):", "if x not in output and False:"),
    ("if result is NotImplemented or not self.ids.ndim:", "if result is NotImplemented:"),
)
mutations(
    "src/mmlfast/autodiff/*.py",
    "test_autodiff_watch.py",
    ("        if good.all():\n            return\n        # The", "        return\n        # The"),
    ("_RANGE = (1e-140, 1e140)", "_RANGE = (0.0, np.inf)"),
    ("if error == np.inf or abs(a - b) <= 1e3 * error:", "if error == np.inf:"),
    ("TracedArray(trace, ids[i].copy(),", "TracedArray(trace, ids[i],"),
    ('self.quick.append(("mapping", mapping, keys, items))', "pass"),
    ('self.quick.append(("bytes", numbers, "", kept))', "pass"),
    ("return repr(a) == repr(b)", "return True"),
)
mutations(
    "src/mmlfast/autodiff/_derived.py",
    "test_autodiff.py",
    ("x = trace.graph.identity(ids.ravel()).reshape(ids.shape)", "x = ids"),
)
mutations(
    "src/mmlfast/autodiff/*.py",
    "test_autodiff.py",
    ("crowd[i * n_colours + colours[j]] == 1", "crowd[i * n_colours + colours[j]] >= 1"),
    ("if list(graph.n_inputs) != sizes or len(outputs) != math.prod(shapes[1]):", "if False:"),
    ("return self._along(self.x0, self._difference(x))[1] / 2", "return self._along(self.x0, self._difference(x))[1]"),
)

mutations(
    "cpp/runtime/thread_pool.cpp",
    "test_runtime.py",
    ("helper.kept_off, true)", "helper.kept_off, false)"),
    ("allow_again(helper);  // it is awake", "// it is awake"),
)

# ---- the rules of the house ----

mutations("cpp/kernels/CMakeLists.txt", RULES, ("-march=x86-64-v3", "-march=native"))
mutations("cpp/kernels/common/short_rows.hpp", RULES, ("mmlfast::MMLFAST_LEVEL::short_rows {", "mmlfast::short_rows {"))
mutations(
    "cpp/kernels/common/sparse_rows.hpp",
    RULES,
    ('#include "simd/vec.hpp"', '#include "runtime/team.hpp"'),
    ("#pragma once", "#pragma once\n#include <vector>"),
    ("MMLFAST_LEVEL {", "MMLFAST_LEVEL {\ninline void* room(int n) { return malloc(n); }"),
)
mutations("cpp/drivers/common/rounds.hpp", RULES, ("#pragma once", "#pragma once\n#include <pybind11/pybind11.h>"))
mutations("cpp/drivers/common/table.hpp", RULES, ("#pragma once", "#pragma once\n// throw\n#define STOP throw 1"))
mutations("cpp/kernels/distances.cpp", RULES, ("kernels/common/one_vector_tile.hpp", "kernels/neighbors.hpp"))
mutations("cpp/kernels/links.hpp", RULES, ("namespace mmlfast {", "namespace mmlfast::MMLFAST_LEVEL {"))
mutations("src/mmlfast/stats/_affine_moments.py", RULES, ("mmlfast.linalg._matmul import", "mmlfast.linalg import"))
mutations("src/mmlfast/linalg/_pinv.py", RULES, ("mmlfast.linalg._elimination import", "mmlfast.linalg import"))
mutations("src/mmlfast/geometry/_distances.py", RULES, ("import _core", "import _core, _reference  # noqa"))
mutations("src/mmlfast/_reference/qr.py", RULES, ("import numpy as np", "import numpy as np\nimport mmlfast.linalg"))
mutations("src/mmlfast/_common/public.py", RULES, ("thing.__module__ = package", "pass"))
mutations(
    "src/mmlfast/_common/plain_words.py", RULES, ("import annotations", "import annotations\nimport mmlfast.dask")
)
mutations("tests/test_lu.py", RULES, ("*(x[-1] for x in factors))", "*(x[-1] for x in factors)), name"))


# ---- the copy ----


def run(command: list[str], cwd: Path, **options: object) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, **options)  # type: ignore[call-overload]
    if done.returncode:
        raise RuntimeError(f"{shlex.join(command)}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")
    return str(done.stdout)


def best_level() -> str:
    flags = Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").is_file() else ""
    return next((level for level, flag in (("v4", "avx512dq"), ("v3", "avx2")) if flag in flags), "v2")


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    if text.count(old) != 1:
        raise LookupError(f"{path}: {text.count(old)} times {old!r}")
    path.write_text(text.replace(old, new), encoding="utf-8")


class Copy:
    """The sources in `folder`/house, built with one level that is called baseline and has the instructions of another:
    the tests that compare levels have nothing to compare, or each mutation would be seen by them alone."""

    def __init__(self, folder: Path, level: str) -> None:
        self.house, self.build = folder / "house", folder / "build"
        self.bring_up_to_date(level)
        optimize = "-O1" if level == "v2" else f"-O1 -mmove-max={512 if level == 'v4' else 256}"
        configure = ["cmake", "-G", "Ninja", "-S", str(self.house), "-B", str(self.build)]
        configure += ["-DCMAKE_BUILD_TYPE=Mutation", f"-DCMAKE_CXX_FLAGS_MUTATION={optimize}"]
        configure += ["-DCMAKE_EXPORT_COMPILE_COMMANDS=ON", f"-DPython_EXECUTABLE={sys.executable}"]
        run(configure, folder)
        run(["cmake", "--build", str(self.build)], folder)
        suffix = sysconfig.get_config_var("EXT_SUFFIX")
        for name in ("_core", "_lapack"):
            shutil.copy2(self.build / f"{name}{suffix}", self.house / "src" / "mmlfast")
        self.core = self.house / "src" / "mmlfast" / f"_core{suffix}"
        self.good_core = self.build / f"_core{suffix}"
        commands = json.loads((self.build / "compile_commands.json").read_text(encoding="utf-8"))
        self.commands = {entry["command"].split(" -o ")[1].split()[0]: entry["command"] for entry in commands}
        links = run(["ninja", "-t", "commands", f"_core{suffix}"], self.build).splitlines()
        self.link = next(line for line in reversed(links) if f"-o _core{suffix}" in line)
        self.readers: dict[str, list[str]] = {}
        deps = run(["ninja", "-t", "deps"], self.build)
        for block in deps.split("\n\n"):
            if block.strip():
                head, *files = block.strip("\n").splitlines()
                for file in files:
                    path = os.path.realpath(self.build / file.strip())
                    self.readers.setdefault(path, []).append(head.split(":")[0])

    def bring_up_to_date(self, level: str) -> None:
        """Files that are as they were keep their times: they are not compiled again."""
        changes = {
            "cpp/simd/level.hpp": [("&& !defined(MMLFAST_ONE_LEVEL)", "&& 0")],
            "cpp/kernels/CMakeLists.txt": [
                ("  set(levels baseline avx2 avx512)", "  set(levels baseline)"),
                ("-march=x86-64-v2", f"-march=x86-64-{level}"),
            ],
        }
        names = run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], ROOT).split("\0")
        names = [name for name in names if name and (ROOT / name).is_file()]
        for old in self.house.rglob("*"):
            if old.suffix in (".cpp", ".hpp", ".py") and old.relative_to(self.house).as_posix() not in names:
                old.unlink()
        for name in names:
            text, to = (ROOT / name).read_bytes(), self.house / name
            for before, after in changes.get(name, []):
                if text.count(before.encode()) != 1:
                    raise LookupError(f"{name}: not once {before!r}")
                text = text.replace(before.encode(), after.encode())
            if not to.is_file() or to.read_bytes() != text:
                to.parent.mkdir(parents=True, exist_ok=True)
                to.write_bytes(text)

    def compile(self, path: Path) -> None:
        """The library with the files that read `path` compiled anew, beside the good objects."""
        outputs = [name for name in self.readers.get(os.path.realpath(path), []) if name in self.commands]
        if not outputs:
            raise LookupError(f"nothing reads {path}")
        link = self.link

        def one(output: str) -> None:
            command = self.commands[output].replace(f" -o {output}", f" -o {output}.mutant")
            command = re.sub(r" -MF \S+| -MT \S+| -MD", "", command)
            run(["sh", "-c", command], self.build)

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(one, outputs))
        for output in outputs:
            link = link.replace(f" {output} ", f" {output}.mutant ")
        link = link.replace(f"-o {self.good_core.name}", f"-o mutant-{self.good_core.name}")
        run(["sh", "-c", link], self.build)
        os.replace(self.build / f"mutant-{self.good_core.name}", self.core)

    def test(self, suite: str, files: str, timeout: float) -> str:
        """The first test that fails, or "" if none does: file after file, as to collect them all takes longer."""
        found = (
            self.test_file(suite, file, timeout) for file in files.split() if (self.house / suite / file).is_file()
        )
        return next(filter(None, found), "")

    def test_file(self, suite: str, file: str, timeout: float) -> str:
        env = os.environ | {"PYTHONPATH": str(self.house / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--tb=no"]
        command += ["-o", f"pythonpath={suite}", f"{suite}/{file}"]  # its own cases.py
        try:
            done = subprocess.run(command, cwd=self.house, env=env, capture_output=True, text=True, timeout=timeout)
        except subprocess.TimeoutExpired:
            return f"no end within {timeout:.0f} s"
        if done.returncode == 0:
            return ""
        failed = re.findall(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", done.stdout, re.MULTILINE)
        if failed:
            return failed[0].removeprefix(f"{suite}/")
        if done.returncode < 0 or done.returncode > 5:
            return f"crash ({done.returncode})"
        raise RuntimeError(f"{shlex.join(command)}: exit code {done.returncode}\n{done.stdout[-3000:]}")

    def try_out(self, mutation: Mutation, suites: list[str], timeout: float) -> list[str]:
        path = mutation.file(self.house)
        good = path.read_bytes()
        try:
            replace(path, mutation.old, mutation.new)
            if path.suffix != ".py" and mutation.tests != RULES:
                self.compile(path)
            return [self.test(suite, mutation.tests, timeout) for suite in suites]
        finally:
            path.write_bytes(good)
            shutil.copy2(self.good_core, self.core)


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # or the file at hand would stay as it is
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="only look whether the texts occur")
    parser.add_argument("--scratch", type=Path, help="where the copy is, or shall be; kept")
    parser.add_argument("--only", default="", help="a pattern for the file, the text or the tests")
    parser.add_argument("--tests", type=Path, action="append", default=[], help="the folder of another suite")
    parser.add_argument("--level", choices=("v2", "v3", "v4"), default=best_level(), help="of x86-64")
    parser.add_argument("--timeout", type=float, default=900, help="seconds for the tests of one mutation")
    parser.add_argument("--prepare", action="store_true", help="only make the copy and build it")
    options = parser.parse_args()

    lost = []
    for mutation in MUTATIONS:
        try:
            mutation.file(ROOT)
        except LookupError as error:
            lost.append(str(error))
    print(f"{len(MUTATIONS)} mutations, {len(lost)} of them without their text")
    print("\n".join(lost))
    if options.check or lost:
        return len(lost)

    with tempfile.TemporaryDirectory() as temporary:
        folder = options.scratch or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        copy = Copy(folder.resolve(), options.level)
        if options.prepare:
            return 0
        suites = ["tests"]
        for i, other in enumerate(options.tests):
            suites.append(f"tests_{i + 2}")
            shutil.rmtree(copy.house / suites[-1], ignore_errors=True)
            shutil.copytree(other, copy.house / suites[-1], ignore=shutil.ignore_patterns("__pycache__"))
        missed = 0
        for mutation in MUTATIONS:
            if not re.search(options.only, f"{mutation} {mutation.tests}"):
                continue
            start = time.perf_counter()
            answers = copy.try_out(mutation, suites, options.timeout)
            missed += not answers[0]
            columns = " | ".join(answer or "MISSED" for answer in answers)
            print(f"{mutation} | {columns} | {time.perf_counter() - start:.0f} s", flush=True)
    print(f"{missed} missed")
    return missed


if __name__ == "__main__":
    sys.exit(min(main(), 100))
