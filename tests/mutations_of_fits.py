"""Mutations of descent, fits, least squares and minima under equations, for tests/mutations.py: the files, the tests
that have to notice, and texts with what they become."""

from __future__ import annotations

from typing import Any

FITS: tuple[tuple[Any, ...], ...] = (
    (
        "cpp/*/gradient_descent*",
        "test_gradient_descent.py",
        ("nesterov ? fma(momentum, step, next) : next", "next"),
        ("const Part next = all_run ? to : select(runs, to, x);", "const Part next = to;"),
        ("may_arrive = any(arrived);", "may_arrive = all(arrived);"),
        ("any(runs & (arrived | lost |", "any(runs & (arrived |"),
        ("abs(change) <= tol * max(abs(x), abs(x - start))", "abs(change) <= tol"),
        ("select(goes, rate + rate, rate * broadcast(0.5))", "select(goes, rate, rate * broadcast(0.5))"),
        ("there <= here - broadcast(gains) * rate * square", "there == there"),
        ("static_cast<Size>(work.n_iter[l])", "static_cast<Size>(0)"),
        ("(k)] < k) return false", "(k)] < k) return true"),  # a derivative that is written over
    ),
    (
        "cpp/kernels/least_squares.cpp",
        "test_least_squares.py test_strd_nonlinear.py",
        ("if (z[j] > z[longest]) longest = j", ""),  # no pivots
        ("for (; i < rows; i += step) body(i, 0)", ""),
        ("pivots[k] = pivots[longest], pivots[longest] = pivot", ""),
    ),
    (
        "cpp/drivers/least_squares*",
        "test_least_squares.py test_least_squares_problems.py test_strd_nonlinear.py test_curve_fit.py",
        ("influence_[j] = std::max(influence_[j], norms_[j])", "influence_[j] = 1"),  # a unit
        ("if (near_[j] >= 0) lower_[j] *= 0.9", ""),
        ("step_[j] += 0.5 * second_step_[j]", "step_[j] += second_step_[j]"),
        ("p_[j] >= options_.upper[j] && gradient_[j] < 0", "p_[j] >= options_.upper[j]"),
        ("if (!std::isfinite(column[i])) column[i] = 0", ""),
        ("fixed_[k] < 0 ? -gradient : gradient", "gradient"),
        ("z_[k] = 0;\n", ""),  # what is left by chance
        ("sum -= row[j] * r[j]", "sum += row[j] * r[j]"),
        ("precise_[i] - model_.y[i]", "precise_[i]"),
        ("answer.rank < answer.rank_at_start && !search.is_bowl(start);\n  const", "false;\n  const"),
        ("floor = curvature == Curvature::for_search ? 0.01 * rho.first : 0", "floor = 0.01 * rho.first"),
    ),
    (
        "cpp/drivers/least_squares_finish.cpp",
        "test_curve_fit_called.py test_curve_fit_models.py",
        ("if (arrived) return project_again();", "return project_again();"),
        ("std::clamp(length / last, ratio, 1.0)", "1e-6"),  # what is left is nothing
        ("if (!does && left <=", "if (left <="),  # both sides always
    ),
    (
        "cpp/bind/residuals_object.cpp",
        "test_curve_fit_models.py test_curve_fit.py",
        ("PyErr_ExceptionMatches(PyExc_Exception) != 0) PyErr_Clear();", "false) PyErr_Clear();"),
        ("PyArray_NewCopy(as_array(given), NPY_CORDER));\n    // It", "Py_NewRef(given));\n    // It"),
    ),
    (
        "cpp/drivers/common/double_double.*",
        "test_least_squares.py",
        ("std::fma(a, b, -p)", "0"),
        ("- Double2(k * half_pi_third)", ""),
        ("std::abs(x.high) < 0.34 ? small_expm1(x)", "false ? small_expm1(x)"),
    ),
    (
        "cpp/kernels/curve_fit_many*",
        "test_curve_fit_many.py",
        ("store_part(to, load_part<double>(to) + sum[s].part[0]);", "store_part(to, sum[s].part[0]);"),
        ("select(counts, column[k] * weight, Part{})", "column[k] * weight"),
        ("select(predicted <= old * number(1e-6), gain_by_slopes(), old - cost)", "old - cost"),
        ("max(now, old), old));", "now, old));"),
        ("s <= max(cost * number(none), rounding)", "s <= max(cost * number(1e-8), rounding)"),
        ("number(100) * sqrt(max(parameters, slopes))", "number(100) * sqrt(parameters)"),
    ),
    (
        "cpp/drivers/curve_fit_many.cpp",
        "test_curve_fit_many.py",
        ("used += weight != 0;", "++used;"),
        ("value = weight == 0 ? 0 : y[i];", "value = y[i];"),
        ("if (n_done_ == width) flush();", ""),
        ("lanes_.scale[j * width + l] = lanes_.held[j * width + l] = 0;", "lanes_.held[j * width + l] = 0;"),
    ),
    (
        "cpp/drivers/tape_rows.cpp",
        "test_curve_fit_many.py",
        ("mmlfast::drivers::run(tape_.layout_.copies.block, frame_);\n}\n\n// Where", "}\n\n// Where"),
        ("return !run.fixed && depends[at(run.first)] == 0;", "return !run.fixed;"),
    ),
    (
        "src/mmlfast/optimize/_fit_covariance.py",
        "test_curve_fit_cases.py test_curve_fit_scipy.py",
        ("out[self.held] = out[:, self.held] = np.nan", "out[self.held] = out[:, self.held] = 0.0"),
        ("undetermined[without] = True", "pass"),
    ),
    (
        "src/mmlfast/optimize/_fit_points.py",
        "test_curve_fit_models.py",
        ("if len(set(found)) > 1:", "if False:"),
        ("if not np.array_equal(indices % n, np.repeat(np.arange(n), np.diff(indptr))):", "if False:"),
    ),
    (
        "src/mmlfast/optimize/_fit_tape.py",
        "test_curve_fit.py test_curve_fit_models.py",
        (" or _kind_of(found) != key", ""),
        ("key += tuple(map(id, f.__closure__))", "pass"),
    ),
    (
        "src/mmlfast/optimize/_fit_search.py",
        "test_curve_fit_models.py",
        ('== "linear" and _explains_little(best, data)', '== "linear" and False'),
    ),
    (
        "src/mmlfast/optimize/_fit_result.py",
        "test_curve_fit.py",
        ("variance + self._outcome.noise * errors**2", "variance + errors**2"),
    ),
    (
        "cpp/bind/quick_fit.cpp",
        "test_curve_fit.py test_curve_fit_models.py",
        ("weights[static_cast<std::size_t>(i)] = 1 / errors[i];", "weights[static_cast<std::size_t>(i)] = errors[i];"),
        ("same &= std::abs(a[i] - b[i]) <= tolerance * size;", "(void)size, (void)tolerance;"),
    ),
    (
        "cpp/drivers/least_squares_rows.cpp",
        "test_curve_fit.py",
        ("column[i] = rows[i * n + j];\n    weigh(column);", "column[i] = rows[i * n + j];"),
    ),
    (
        "cpp/drivers/bfgs_equations.cpp",
        "test_lagrange.py",
        ("if (!(length > dependent)) return false;", ""),  # the same equation twice
        ("for (Size j = 0; j < i; ++j) sum -= r_[i * n_ + j] * small_[j];", ""),
        ("for (Size j = i + 1; j < m_; ++j) sum -= r_[j * n_ + i] * small_[j];", ""),
        ("slope_[j] + dot(h_ + j * n_, normal_, n_)", "slope_[j]"),
        ("if (k_ > 0 && !(model_.values[0] > flat", "if (k_ > 0 && !(model_.values[0] < flat"),
    ),
)
