#include "bind/quick_fit.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "bind/tape_program_object.hpp"
#include "bind/watch.hpp"
#include "drivers/least_squares.hpp"
#include "drivers/least_squares_covariance.hpp"
#include "drivers/least_squares_rows.hpp"
#include "drivers/least_squares_tape.hpp"
#include "runtime/interrupt.hpp"

namespace mmlfast::bind {
namespace {

constexpr Size most_parameters = 16;
constexpr double largest_condition = 1e10;

template <class Base>
class Interruptible : public Base {
 public:
  using Base::Base;
  bool go_on(const double*, double, Size) noexcept override { return !timer_.interrupted(); }

 private:
  InterruptTimer timer_;
};

// The numbers of an array of float64 of this shape as it lies there; nullptr for anything else.
const double* numbers_of(PyObject* object, const std::vector<npy_intp>& shape) noexcept {
  if (!PyArray_CheckExact(object)) return nullptr;
  PyArrayObject* array = as_array(object);
  const bool fits = PyArray_TYPE(array) == NPY_DOUBLE && PyArray_ISCARRAY_RO(array) &&
                    static_cast<std::size_t>(PyArray_NDIM(array)) == shape.size() &&
                    std::equal(shape.begin(), shape.end(), PyArray_DIMS(array));
  return fits ? static_cast<const double*>(PyArray_DATA(array)) : nullptr;
}

// A number of Python or NumPy's float64.
bool read_number(PyObject* object, double& number) noexcept {
  if (PyFloat_Check(object)) {
    number = PyFloat_AS_DOUBLE(object);
    return std::isfinite(number);
  }
  if (!PyLong_CheckExact(object)) return false;
  number = PyLong_AsDouble(object);
  if (number == -1 && PyErr_Occurred() != nullptr) PyErr_Clear();
  return std::abs(number) < 9007199254740992.0;  // 2^53: from here on float64 rounds integers
}

bool read_start(PyObject* object, Size n, double* p) noexcept {
  if (PyList_CheckExact(object) || PyTuple_CheckExact(object)) {
    if (PySequence_Fast_GET_SIZE(object) != n) return false;
    PyObject** items = PySequence_Fast_ITEMS(object);
    return std::all_of(items, items + n, [&p](PyObject* item) { return read_number(item, *p++); });
  }
  const double* numbers = numbers_of(object, {static_cast<npy_intp>(n)});
  if (numbers == nullptr) return false;
  std::copy_n(numbers, n, p);
  return std::all_of(p, p + n, [](double v) { return std::isfinite(v); });
}

// Do two results of the model agree, but for the last digits? Both have to be finite.
bool agree(const double* a, const double* b, Size m) noexcept {
  constexpr double tolerance = 1e-12;
  bool same = true;
  for (Size i = 0; i < m; ++i) {
    const double size = std::max(std::abs(a[i]), std::abs(b[i]));
    same &= std::abs(a[i] - b[i]) <= tolerance * size;
  }
  return same;
}

// Whether squares of such numbers are far from the ends of float64.
bool is_ordinary(const double* y, Size m) noexcept {
  double largest = 0;
  for (Size i = 0; i < m; ++i) largest = std::max(largest, std::abs(y[i]));
  return largest > 1e-60 && largest < 1e60;
}

class QuickFit {
 public:
  QuickFit(py::object values, py::object jacobian, py::object second, py::object precise, py::object watch,
           const py::tuple& x_shape, bool by_point)
      : precise_object_(std::move(precise)),
        precise_(&py::cast<const drivers::TapeDoubleDouble&>(precise_object_)),
        programs_{std::move(values), std::move(jacobian), std::move(second)},
        watch_(std::move(watch)),
        by_point_(by_point) {
    for (std::size_t k = 0; k < 3; ++k) {
      program_[k] = tape_program_of(programs_[k].ptr());
      if (program_[k] == nullptr) throw py::type_error("three programs are needed");
    }
    if (as_watch(watch_.ptr()) == nullptr) throw py::type_error("a watch is needed");
    Size size = by_point ? 1 : 0;
    if (!by_point) {
      size = 1;
      for (const py::handle length : x_shape) x_shape_.push_back(length.cast<npy_intp>()), size *= x_shape_.back();
    }
    n_ = program_[0]->layout().group_sizes[by_point ? 1 : 0];
    m_ = by_point ? 0 : program_[0]->layout().n_outputs;
    const Size n_values = by_point ? 1 : m_;  // numbers that a program of values gives
    const auto fits = [&](std::size_t k, Size n_outputs, std::size_t n_groups) {
      const auto& layout = program_[k]->layout();
      return layout.n_outputs == n_outputs && layout.group_sizes.size() == n_groups && !layout.calls_python &&
             layout.group_sizes[by_point ? 1 : 0] == n_ && layout.group_sizes[by_point ? 0 : 1] == size;
    };
    if (precise_->n_outputs() != n_values || !fits(0, n_values, 2) || !fits(1, n_values * n_, 2) ||
        !fits(2, n_values, 3) || n_ > most_parameters || (!by_point && m_ <= n_))
      throw py::value_error("these programs are not those of a quick fit");
  }

  // The fit, or None if anything is out of the ordinary: Python then looks what it is. f: the model itself, which has
  // to give what the tape gives; None if it is a tape. sigma: an error for each point, or None; is_absolute: they are
  // the errors themselves.
  py::object fit(py::handle f, py::handle x_given, py::handle y_given, py::handle p0, py::handle sigma,
                 bool is_absolute) const {
    Given given;
    std::vector<npy_intp> shape = x_shape_;
    if (by_point_) shape.assign(1, PyArray_CheckExact(y_given.ptr()) ? PyArray_SIZE(as_array(y_given.ptr())) : 0);
    given.m = by_point_ ? static_cast<Size>(shape[0]) : m_;
    given.x = numbers_of(x_given.ptr(), shape);
    given.y = numbers_of(y_given.ptr(), {static_cast<npy_intp>(given.m)});
    given.is_absolute = is_absolute;
    std::vector<double> weights;
    if (given.x == nullptr || given.y == nullptr || given.m <= n_ || !read_start(p0.ptr(), n_, given.start.data()) ||
        !is_ordinary(given.y, given.m) || !(sigma.is_none() || read_weights(sigma.ptr(), given.m, weights)))
      return py::none();
    if (!weights.empty()) given.weights = weights.data();
    const Size n_x = by_point_ ? given.m : program_[0]->layout().group_sizes[1];
    if (!std::all_of(given.x, given.x + n_x, [](double v) { return std::isfinite(v); })) return py::none();
    const Watch& watch = *as_watch(watch_.ptr());
    if (!f.is_none() && !(watch.holds() && is_what_f_says(f, x_given, given) && watch.holds())) return py::none();
    return search(given);
  }

 private:
  struct Given {
    const double *x = nullptr, *y = nullptr, *weights = nullptr;
    std::array<double, most_parameters> start;
    Size m = 0;
    bool is_absolute = false;
  };

  static bool read_weights(PyObject* sigma, Size m, std::vector<double>& weights) {
    const double* errors = numbers_of(sigma, {static_cast<npy_intp>(m)});
    if (errors == nullptr) return false;
    weights.resize(static_cast<std::size_t>(m));
    bool good = true;
    for (Size i = 0; i < m; ++i) {
      good &= errors[i] > 1e-30 && errors[i] < 1e30;
      weights[static_cast<std::size_t>(i)] = 1 / errors[i];
    }
    return good;
  }

  bool is_what_f_says(py::handle f, py::handle x_given, const Given& given) const {
    const double* p = given.start.data();
    std::array<PyObject*, most_parameters + 1> arguments{};
    arguments[0] = PyArray_NewCopy(as_array(x_given.ptr()), NPY_CORDER);
    PyArray_Descr* description = PyArray_DescrFromType(NPY_DOUBLE);
    bool good = arguments[0] != nullptr;
    for (Size k = 0; good && k < n_; ++k) {
      arguments[static_cast<std::size_t>(k + 1)] = PyArray_Scalar(const_cast<double*>(p + k), description, nullptr);
      good = arguments[static_cast<std::size_t>(k + 1)] != nullptr;
    }
    const auto result = py::reinterpret_steal<py::object>(
        good ? PyObject_Vectorcall(f.ptr(), arguments.data(), static_cast<std::size_t>(n_ + 1), nullptr) : nullptr);
    Py_DECREF(description);
    for (PyObject* argument : arguments) Py_XDECREF(argument);
    if (!result) throw py::error_already_set();
    const double* plain = numbers_of(result.ptr(), {static_cast<npy_intp>(given.m)});
    if (plain == nullptr) return false;
    std::vector<double> traced(static_cast<std::size_t>(given.m));
    if (!by_point_) {
      if (!call_tape_program(programs_[0].ptr(), p, &given.x, traced.data())) throw py::error_already_set();
    } else {
      raise_unless_ok(drivers::evaluate_tape_batch(*program_[0], given.m, given.x, &p, traced.data(),
                                                   tape_callback_of(programs_[0].ptr())));
    }
    return agree(plain, traced.data(), given.m);
  }

  // The residuals of the tape, and the search for their least squares.
  drivers::LeastSquaresAnswer& minimize(const Given& given, drivers::LeastSquaresAnswer& answer) const {
    const auto solve = [&answer](auto&& function) {
      answer.outcome = function.outcome();
      if (answer.outcome.ok()) drivers::minimize_squares(function, drivers::LeastSquaresOptions{}, answer);
    };
    if (by_point_) {
      drivers::RowModel model;
      model.values = program_[0], model.jacobian = program_[1], model.second = program_[2], model.precise = precise_;
      model.x = given.x, model.m = given.m, model.y = given.y, model.weights = given.weights;
      solve(Interruptible<drivers::RowResiduals>(model));
    } else {
      const double* data[] = {given.x, nullptr};
      drivers::TapeModel model;
      model.values = program_[0], model.jacobian = program_[1], model.second = program_[2], model.precise = precise_;
      model.data = data, model.n_data = 1, model.y = given.y, model.weights = given.weights;
      solve(Interruptible<drivers::TapeResiduals>(model));
    }
    return answer;
  }

  py::object search(const Given& given) const {
    constexpr Size is_long = 1 << 14;  // residuals times parameters, from which on other threads may go on meanwhile
    std::array<std::int32_t, most_parameters> pivots;
    std::array<std::int8_t, most_parameters> active;
    std::array<double, 2 * most_parameters * most_parameters> work;
    npy_intp n = n_, m = given.m;
    const auto array = [](int n_axes, npy_intp* shape) {
      auto made = py::reinterpret_steal<py::object>(PyArray_SimpleNew(n_axes, shape, NPY_DOUBLE));
      if (!made) throw py::error_already_set();
      return made;
    };
    npy_intp square[] = {n, n};
    const py::object popt = array(1, &n), pcov = array(2, square), residuals = array(1, &m);
    const auto data_of = [](const py::object& a) { return static_cast<double*>(PyArray_DATA(as_array(a.ptr()))); };
    std::copy_n(given.start.data(), n_, data_of(popt));
    drivers::LeastSquaresAnswer answer;
    answer.p = data_of(popt), answer.residuals = data_of(residuals), answer.r = work.data();
    answer.pivots = pivots.data(), answer.active = active.data();
    {
      const ReleasedGil released(given.m * n_ > is_long);
      minimize(given, answer);
    }
    raise_unless_ok(answer.outcome);
    if (answer.status <= drivers::LeastSquaresStatus::out_of_evaluations || answer.rank != n_ ||
        answer.n_searches > 1 || !(answer.condition < largest_condition) || !std::isfinite(answer.cost))
      return py::none();
    if (explains_little(given, answer.cost)) return py::none();
    double* covariance = data_of(pcov);
    drivers::least_squares_covariance(work.data(), pivots.data(), n_, work.data() + n_ * n_, covariance);
    const double variance = given.is_absolute ? 1 : 2 * answer.cost / static_cast<double>(given.m - n_);
    for (Size i = 0; i < n_ * n_; ++i) {
      covariance[i] *= variance;
      if (!std::isfinite(covariance[i])) return py::none();
    }
    return py::make_tuple(popt, pcov, residuals, factor(work.data()), order(pivots.data()), 2 * answer.cost,
                          static_cast<int>(answer.status), answer.n_evaluations, answer.n_jacobians, answer.optimality);
  }

  // Less than half of what a constant leaves: Python then tries other ways down.
  static bool explains_little(const Given& given, double cost) noexcept {
    double sum = 0, total = 0, left = 0;
    const auto square = [](double v) { return v * v; };
    for (Size i = 0; i < given.m; ++i) {
      const double weight = given.weights == nullptr ? 1 : square(given.weights[i]);
      sum += weight * given.y[i], total += weight;
    }
    for (Size i = 0; i < given.m; ++i)
      left += (given.weights == nullptr ? 1 : square(given.weights[i])) * square(given.y[i] - sum / total);
    return !(2 * cost <= 0.5 * left);
  }

  // r, column by column, and its permutation as bytes: Python makes arrays of them if anybody asks.
  py::bytes factor(const double* r) const {
    return py::bytes(reinterpret_cast<const char*>(r), static_cast<std::size_t>(n_ * n_) * sizeof(double));
  }
  py::bytes order(const std::int32_t* pivots) const {
    return py::bytes(reinterpret_cast<const char*>(pivots), static_cast<std::size_t>(n_) * sizeof(std::int32_t));
  }

  py::object precise_object_;
  const drivers::TapeDoubleDouble* precise_;
  py::object programs_[3], watch_;
  const drivers::TapeProgram* program_[3];
  std::vector<npy_intp> x_shape_;
  Size m_ = 0, n_ = 0;
  bool by_point_;  // whether the programs are those of one point, x, for any number of them
};

}  // namespace

void add_quick_fit(py::module_& m) {
  py::class_<QuickFit>(m, "QuickFit")
      .def(py::init<py::object, py::object, py::object, py::object, py::object, const py::tuple&, bool>(),
           py::arg("values"), py::arg("jacobian"), py::arg("second"), py::arg("precise"), py::arg("watch"),
           py::arg("x_shape"), py::arg("by_point"))
      .def("__call__", &QuickFit::fit);
}

}  // namespace mmlfast::bind
