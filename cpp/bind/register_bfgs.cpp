#include <algorithm>
#include <vector>

#include "bind/registers.hpp"
#include "bind/tape_arguments.hpp"
#include "drivers/bfgs.hpp"

namespace mmlfast::bind {
namespace {

py::array_t<double> copy_of(const double* numbers, Size n) {
  py::array_t<double> copy(n);
  std::copy_n(numbers, n, copy.mutable_data());
  return copy;
}

// Calls a function of Python after each step, if there is one.
class Stepped : public drivers::BfgsFunction {
 public:
  Stepped(py::object callback, Size n) : callback_(std::move(callback)), n_(n) {}

  bool stepped(const double* x, double value) noexcept override {
    if (callback_.is_none()) return true;
    try {
      callback_(copy_of(x, n_), value);
    } catch (py::error_already_set& error) {
      error.restore();
      return false;
    }
    return true;
  }

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

}  // namespace

void register_bfgs(PyObject* module) { module_of(module).def("bfgs", &bfgs); }

}  // namespace mmlfast::bind
