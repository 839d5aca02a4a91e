"""Mutations of groups of rows and of inequalities, for tests/mutations.py: the files, the tests that have to notice,
and texts with what they become."""

from __future__ import annotations

from typing import Any

GROUPS: tuple[tuple[Any, ...], ...] = (
    (
        "cpp/drivers/common/row_groups.cpp",
        "test_groups.py",
        ("if ((own[k] = numbers[0].number(own[k])) < 0) return -1;", "numbers[0].number(own[k]);"),
        ("mark == mark && items_.same(items_.at(i), seen(k))", "mark == mark"),
        (
            "for (Size k = 0; k + 8 < any_bytes; k += 8) other |=",
            "for (Size k = 8; k + 8 < any_bytes; k += 8) other |=",
        ),
        ("shift = others == 0 ? 0 : std::countr_zero(others);", "shift = 5;"),
        ("block_of_[static_cast<Size>(at >> block_bits)];", "block_of_[0];"),
        ("return span.last < std::uint64_t{1}", "return span.last + 1 <= std::uint64_t{1}"),
        ("capacity_ *= 4;", ""),
    ),
    (
        "cpp/kernels/covariance_groups.cpp",
        "test_groups.py",
        ("entry[j + d] += other[j + d] + all;", "entry[j + d] += other[j + d];"),
        ("apart * (2 * other[j + d] + all)", "apart * (other[j + d] + all)"),
        ("!(64 * m2 >= square)", "!(m2 >= 0)"),  # far from the first row
        ("if (count > 1 && answer == GroupAnswer::good) answer = GroupAnswer::constant;", ""),
    ),
    (
        "cpp/drivers/covariance_sums.cpp",
        "test_groups.py",
        ("static_cast<double>(row[j]) != entry[1 + j]", "static_cast<double>(row[j]) != row[j]"),
    ),
    (
        "cpp/drivers/common/row_groups.cpp",
        "test_groups.py",
        ("for (; i < to; ++i) take(i, 0);", ""),
        ("own_low < x && !low.compare_exchange_weak(x, own_low)", "!low.compare_exchange_weak(x, own_low)"),
    ),
    (
        "cpp/drivers/newton_many.cpp",
        "test_newton_many.py test_newton.py",
        ("const bool moved = !first && i < starts.n;", "const bool moved = false;"),  # from the beginning again
        ("n_converged += converged || stalled;", "n_converged += status != 0;"),
        ("doubtful = doubtful || stalled || (converged", "doubtful = doubtful || (converged"),
        ("few_steps = 2;", "few_steps = 0;"),
    ),
    (
        "cpp/drivers/common/rounds.hpp",
        "test_newton_many.py test_power_iteration.py",
        ("if (run_on > 0) left += run_on;", "if (run_on > 1) left += run_on;"),
    ),
    (
        "src/mmlfast/linalg/_exact_elimination.py",
        "test_exact_elimination.py",
        ("(most.bit_length() + _HALF)", "most.bit_length()"),  # no room for the shifted weights
        ("part = slice(first, first + _MOST_HALVES)", "part = slice(first, first + 2 * _MOST_HALVES)"),
    ),
    (
        "cpp/drivers/covariance.cpp",
        "test_moments.py test_covariance.py",
        ("for (; (k >> l) & 1; ++l) {", "for (; (k >> l) & 3; ++l) {"),
        ("; rest > 0) {", "; rest > 99) {"),
        ("if ((n_blocks >> l) & 1) nodes.merge(current", "if ((n_blocks >> l) & 2) nodes.merge(current"),
    ),
    (
        "src/mmlfast/_common/groups.py",
        "test_groups.py",
        ("missing = categories.codes < 0", "missing = categories.codes < -1"),
        ("key = (key << bits) | column", "key = (key << bits) + column + 1"),
    ),
    (
        "src/mmlfast/optimize/_inequalities.py",
        "test_inequalities.py",
        ("up, down = equal | low, equal | (high & ~low)", "up, down = equal | low, equal | low"),
        ("if look.strain > _HUGE:", "if False:"),
        ("if np.all(inward >= -1e-9) or np.all(inward <= 1e-9):", "if False:"),
        ("met = look.violated <= _VIOLATED", "met = True"),
        ("working = np.append(working, i)", "pass"),
        ("return bool(violation.max(initial=0.0) <= _VIOLATED * size)", "return False"),
    ),
    (
        "src/mmlfast/optimize/_verdict.py",
        "test_lagrange_degenerate.py",
        ("if sides == (1, -1) or sides == (-1, 1):", "if False:"),
        ("if 0 < flat.size <= _MOST_LOOKED_AT", "if False"),
        ("a = np.vstack([q.a / d, v])", "a = np.vstack([q.a / d, 0 * v])"),
    ),
    (
        "src/mmlfast/optimize/_fit_many_noise.py",
        "test_curve_fit_many_noise.py",
        ("lower = good & (found[2] < best[2])", "lower = good & (found[2] > best[2])"),
        ("> _ALIKE * (about @ about)", "> 4 * (about @ about)"),
    ),
)
