"""Mutations of branches and of formulas written by hand, for tests/mutations.py: as in mutations_of_fits.py."""

from __future__ import annotations

from typing import Any

DERIVATIVES: tuple[tuple[Any, ...], ...] = (
    (
        "src/mmlfast/autodiff/*.py",
        "test_autodiff_branches.py",
        ("return self.guard.holds(arguments[argnum].values, parameters)", "return True"),
        ("here = entry.guard.holding(rows[left], parameters)", "pass"),
        ("    decisions.ask(t, u.less_equal(t, low, high))", "    pass"),
        ("self.ids.size == 1 and decisions is not None and not decisions.depends_on_x(self.owner, self.ids)", "True"),
    ),
    (
        "src/mmlfast/autodiff/_elementwise.py",
        "test_autodiff_series.py",
        ("is_run = len(ids) == n == count and (np.diff(ids) == 1).all()", "is_run = len(ids) == n == count"),
    ),
    (
        "cpp/simd/**/*",
        "test_simd_math.py",
        ("const native<double> square = x * x;", "const native<double> square = x + x;"),
        ("return fma(part[0], x, part[1]);", "return fma(part[1], x, part[0]);"),
        (
            "(x >= constant<double>(0.5)) & (x < constant<double>(3))",
            "(x >= constant<double>(0.5)) & (x < constant<double>(2))",
        ),
        ("if (!all(large | inside)) return select(inside, tabulated(x), special(x));", ""),
        ("const vec<double> z = select(large, x, first), log_z", "const vec<double> z = first, log_z"),
    ),
    (
        "cpp/drivers/tape_*.cpp",
        "test_autodiff_situations.py",
        ("return is_length ? select(emit(TapeOp::equal, y(), number(0)), number(0), slope) : slope;", "return slope;"),
        ("if (run.op == TapeOp::integer_power) continue;", "return false;"),
        ("if (never_zero(run.operand[0][i], depth)) return", "return"),
        ("if (all(r_.a, TapeOp::exp)) return emit(TapeOp::softplus, operands_of(r_.a, 0));", ""),
    ),
    (
        "cpp/bind/public_function.cpp",
        "test_autodiff_watch.py",
        ("if (PyTuple_GET_ITEM(all, k) == args[0])", ""),
    ),
    (
        "cpp/bind/traced_numbers.cpp",
        "test_autodiff_traced_numbers.py",
        ("if (!is_mask(a) && !is_mask(b)) {", "{"),
        ("swapped ? how.swapped_name : how.name", "how.name"),
        ("if ((code & swaps) != 0) std::swap(operands[0], operands[1]);", ""),
        ("if (self_of(object).owner != owner) return false;", ""),
        ("if (found != nullptr && PyArray_IsScalar(found, Generic))", "if (found == nullptr)"),
    ),
)
