#include <algorithm>
#include <memory>
#include <vector>

#include "bind/registers.hpp"
#include "bind/tape_arguments.hpp"
#include "drivers/bfgs_equations.hpp"
#include "drivers/bfgs_minimum.hpp"
#include "drivers/bfgs_newton.hpp"

namespace mmlfast::bind {
namespace {

py::array_t<double> copy_of(const double* numbers, Size n) {
  py::array_t<double> copy(n);
  std::copy_n(numbers, n, copy.mutable_data());
  return copy;
}

// callback(x, value), if there is one; false if it has raised an exception, which is set.
bool call_after_step(const py::object& callback, const double* x, Size n, double value) noexcept {
  if (callback.is_none()) return true;
  try {
    callback(copy_of(x, n), value);
  } catch (py::error_already_set& error) {
    error.restore();
    return false;
  }
  return true;
}

// Calls a function of Python after each step, if there is one.
class Stepped : public drivers::BfgsFunction {
 public:
  Stepped(py::object callback, Size n) : callback_(std::move(callback)), n_(n) {}

  bool stepped(const double* x, double value) noexcept override { return call_after_step(callback_, x, n_, value); }

 protected:
  py::object callback_;
  Size n_;
};

// A tape that gives the value and the gradient.
class OfTape : public Stepped {
 public:
  OfTape(const TapeArguments& tape, py::object callback, Size n)
      : Stepped(std::move(callback), n),
        tape_(tape.program, tape.parameters.data(), {}),
        results_(static_cast<std::size_t>(n + 1)) {}

  bool evaluate(const double* x, double& value, double* gradient) noexcept override {
    const Outcome outcome = tape_(x, results_.data());
    value = results_[0];
    std::copy_n(results_.data() + 1, n_, gradient);
    return outcome.ok();
  }
  const Outcome& outcome() const noexcept { return tape_.outcome(); }

 private:
  drivers::TapeEvaluator tape_;
  std::vector<double> results_;
};

// A function of Python: x -> (value, gradient).
class OfPython : public Stepped {
 public:
  OfPython(py::object function, py::object callback, Size n)
      : Stepped(std::move(callback), n), function_(std::move(function)) {}

  bool evaluate(const double* x, double& value, double* gradient) noexcept override {
    try {
      const auto answer = py::cast<py::tuple>(function_(copy_of(x, n_)));
      const auto slopes = py::array_t<double, py::array::c_style | py::array::forcecast>::ensure(answer[1]);
      if (!slopes || slopes.size() != n_) throw py::value_error("the gradient has another size");
      value = py::cast<double>(answer[0]);
      std::copy_n(slopes.data(), n_, gradient);
    } catch (py::error_already_set& error) {
      error.restore();
      return false;
    } catch (const py::builtin_exception& error) {
      error.set_error();
      return false;
    } catch (const std::exception& error) {
      PyErr_SetString(PyExc_ValueError, error.what());
      return false;
    }
    return true;
  }

 private:
  py::object function_;
};

// (gradient, inverse Hessian, how it ended, steps, evaluations, value, what is left to gain); x is changed in place.
py::tuple bfgs(py::object function, const py::tuple& parameters, const py::array& x, const py::array& diagonal,
               double tol, double noise, Size max_iter, py::object callback) {
  const Size n = x.size();
  double* at = work_of<double>(x, n, "x");
  const double* scales = work_of<double>(diagonal, n, "diagonal");
  py::array_t<double> gradient(n), inverse({n, n});
  drivers::BfgsResult result;
  const drivers::BfgsLimits limits{tol, noise, max_iter};
  if (tape_program_of(function.ptr()) != nullptr) {
    const TapeArguments tape(function, parameters);
    if (tape.program.layout().group_sizes[0] != n || tape.program.layout().n_outputs != n + 1)
      throw py::value_error("program: other numbers of inputs or outputs");
    OfTape f(tape, std::move(callback), n);
    raise_unless_ok(f.outcome());
    raise_unless_ok(drivers::bfgs(f, n, at, gradient.mutable_data(), scales, limits, inverse.mutable_data(), result));
  } else {
    OfPython f(std::move(function), std::move(callback), n);
    raise_unless_ok(drivers::bfgs(f, n, at, gradient.mutable_data(), scales, limits, inverse.mutable_data(), result));
  }
  return py::make_tuple(gradient, inverse, static_cast<int>(result.end), result.n_iter, result.n_evaluations,
                        result.value, result.decrease);
}

// Tapes of value and gradient, and of the Hessian.
class WithHessian : public drivers::NewtonFunction {
 public:
  WithHessian(const TapeArguments& slopes, const TapeArguments& curvatures, py::object callback, Size n)
      : slopes_(slopes.program, slopes.parameters.data(), {}),
        curvatures_(curvatures.program, curvatures.parameters.data(), {}),
        results_(static_cast<std::size_t>(n + 1)),
        callback_(std::move(callback)),
        n_(n) {}

  bool evaluate(const double* x, double& value, double* gradient) noexcept override {
    const Outcome outcome = slopes_(x, results_.data());
    value = results_[0];
    std::copy_n(results_.data() + 1, n_, gradient);
    return outcome.ok();
  }
  bool hessian(const double* x, double* h) noexcept override { return curvatures_(x, h).ok(); }
  bool stepped(const double* x, double value) noexcept override { return call_after_step(callback_, x, n_, value); }
  Outcome outcome() const noexcept {
    Outcome both = slopes_.outcome();
    both.join(curvatures_.outcome());
    return both;
  }

 private:
  drivers::TapeEvaluator slopes_, curvatures_;
  std::vector<double> results_;
  py::object callback_;
  Size n_;
};

// (gradient, Hessian, how it ended, steps, evaluations, Hessians, value, what is left to gain, leap); x is changed in
// place.
py::tuple newton_minimum(const py::object& function, const py::object& hessian, const py::tuple& parameters,
                         const py::array& x, double tol, Size max_iter, py::object callback) {
  const Size n = x.size();
  double* at = work_of<double>(x, n, "x");
  const TapeArguments slopes(function, parameters), curvatures(hessian, parameters);
  if (slopes.program.layout().group_sizes[0] != n || slopes.program.layout().n_outputs != n + 1 ||
      curvatures.program.layout().group_sizes[0] != n || curvatures.program.layout().n_outputs != n * n)
    throw py::value_error("program: other numbers of inputs or outputs");
  py::array_t<double> gradient(n), h({n, n});
  drivers::NewtonResult result;
  WithHessian f(slopes, curvatures, std::move(callback), n);
  raise_unless_ok(f.outcome());
  raise_unless_ok(drivers::newton(f, n, at, gradient.mutable_data(), tol, max_iter, h.mutable_data(), result));
  return py::make_tuple(gradient, h, static_cast<int>(result.end), result.n_iter, result.n_evaluations,
                        result.n_hessians, result.value, result.decrease, result.leap);
}

// Tapes of value and gradient, of values and Jacobian of each constraint, and of the Hessian of the Lagrangian.
class UnderEquations : public drivers::EquationsFunction {
 public:
  UnderEquations(const TapeArguments& slopes, const std::vector<TapeArguments>& equations,
                 const TapeArguments& curvatures, Size n, Size m)
      : slopes_(slopes.program, slopes.parameters.data(), {}),
        curvatures_(curvatures.program),
        results_(static_cast<std::size_t>((n + 1) * std::max(m, Size{1}))),
        n_(n) {
    for (const TapeArguments& equation : equations) {
      equations_.push_back(std::make_unique<drivers::TapeEvaluator>(equation.program, equation.parameters.data(),
                                                                    drivers::TapeCallback{}));
      sizes_.push_back(equation.program.layout().n_outputs / (n + 1));
    }
  }

  bool evaluate(const double* x, double& value, double* gradient, double* c, double* jacobian) noexcept override {
    if (!slopes_(x, results_.data()).ok()) return false;
    value = results_[0];
    std::copy_n(results_.data() + 1, n_, gradient);
    for (std::size_t k = 0; k < equations_.size(); ++k) {
      if (!(*equations_[k])(x, results_.data()).ok()) return false;
      std::copy_n(results_.data(), sizes_[k], c);
      std::copy_n(results_.data() + sizes_[k], sizes_[k] * n_, jacobian);
      c += sizes_[k];
      jacobian += sizes_[k] * n_;
    }
    return true;
  }
  bool hessian(const double* x, const double* multipliers, double* h) noexcept override {
    return drivers::evaluate_tape(curvatures_, x, &multipliers, h, {}).ok();
  }
  Outcome outcome() const noexcept {
    Outcome all = slopes_.outcome();
    for (const auto& equation : equations_) all.join(equation->outcome());
    return all;
  }

 private:
  drivers::TapeEvaluator slopes_;
  const drivers::TapeProgram& curvatures_;
  std::vector<std::unique_ptr<drivers::TapeEvaluator>> equations_;
  std::vector<Size> sizes_;
  std::vector<double> results_;
  Size n_;
};

// (x, gradient, values of the constraints, multipliers, scales, value, steps, evaluations), or None unless it is a
// minimum without a doubt. equations: (program, parameters) of each constraint.
py::object minimum_under_equations(const py::object& function, const py::tuple& parameters, const py::list& equations,
                                   const py::object& hessian, const py::array& start, Size max_iter) {
  const Size n = start.size();
  const TapeArguments slopes(function, parameters);
  std::vector<TapeArguments> of_constraints;
  Size m = 0;
  for (const py::handle one : equations) {
    const auto pair = py::cast<py::tuple>(one);
    of_constraints.emplace_back(pair[0], py::cast<py::tuple>(pair[1]));
    const auto& layout = of_constraints.back().program.layout();
    if (layout.group_sizes[0] != n || layout.n_outputs % (n + 1) != 0)
      throw py::value_error("equations: other numbers of inputs or outputs");
    m += layout.n_outputs / (n + 1);
  }
  if (m < 1 || m > n) return py::none();
  py::array_t<double> x(n), gradient(n), scales(n), c(m), multipliers(m);
  std::copy_n(work_of<double>(start, n, "start"), n, x.mutable_data());
  const TapeArguments curvatures(hessian, py::make_tuple(multipliers));
  if (slopes.program.layout().group_sizes[0] != n || slopes.program.layout().n_outputs != n + 1 ||
      curvatures.program.layout().group_sizes[0] != n || curvatures.program.layout().n_outputs != n * n)
    throw py::value_error("program: other numbers of inputs or outputs");
  UnderEquations f(slopes, of_constraints, curvatures, n, m);
  raise_unless_ok(f.outcome());
  drivers::EquationsResult result;
  const drivers::EquationsPoint point{x.mutable_data(), gradient.mutable_data(), c.mutable_data(),
                                      multipliers.mutable_data(), scales.mutable_data()};
  raise_unless_ok(drivers::minimize_under_equations(f, n, m, point, max_iter, result));
  if (!result.found) return py::none();
  return py::make_tuple(x, gradient, c, multipliers, scales, result.value, result.n_iter, result.n_evaluations);
}

// (whether the gradient is not zero, what is left to gain, the step there, the way, the size, the curvature on the
// way), or None unless the Hessian is without a doubt that of a minimum.
py::object clear_minimum(const py::array& h, const py::array& gradient, const py::array& x, const py::array& start,
                         double part) {
  const Size n = x.size();
  drivers::ClearMinimum found;
  raise_unless_ok(drivers::clear_minimum(doubles_of(h, n * n, "h"), doubles_of(gradient, n, "gradient"),
                                         doubles_of(x, n, "x"), doubles_of(start, n, "start"), n, part, found));
  if (!found.is_clear) return py::none();
  return py::make_tuple(found.pulls, found.gain, found.step, found.way, found.size, found.curvature_on_way);
}

}  // namespace

void register_bfgs(PyObject* module) {
  module_of(module).def("bfgs", &bfgs);
  module_of(module).def("newton_minimum", &newton_minimum);
  module_of(module).def("clear_minimum", &clear_minimum);
  module_of(module).def("minimum_under_equations", &minimum_under_equations);
}

}  // namespace mmlfast::bind
