#include <cmath>
#include <string>
#include <vector>

#include "bind/pybind.hpp"
#include "bind/quick_fit.hpp"
#include "bind/registers.hpp"
#include "bind/residuals_object.hpp"
#include "bind/row_residuals_object.hpp"
#include "drivers/least_squares.hpp"
#include "drivers/least_squares_covariance.hpp"

namespace mmlfast::bind {
namespace {

using drivers::LeastSquaresAnswer;
using drivers::LeastSquaresOptions;
using drivers::Loss;

// What minimize_squares gives.
struct SquaresMinimum {
  py::array_t<double> x, residuals, r, gradient;
  py::object jacobian = py::none();  // m x n if it was wanted
  py::array_t<std::int32_t> permutation;
  py::array_t<std::int8_t> active;
  int rank = 0, rank_at_start = 0, status = 0;
  double condition = 0, cost = 0, optimality = 0;
  Size n_evaluations = 0, n_jacobians = 0, n_difference_evaluations = 0;
  bool accelerated = false, used_precise = false, lost = false;
  int n_searches = 1;
};

// A loss as scipy.optimize.least_squares takes it: z -> rho and its derivatives, (3, m).
class CalledLoss : public drivers::OtherLoss {
 public:
  explicit CalledLoss(py::handle f) noexcept : f_(f) {}
  bool rho(const double* z, Size m, double* three) noexcept override {
    npy_intp size = m;
    PyObject* argument = PyArray_SimpleNew(1, &size, NPY_DOUBLE);
    if (argument == nullptr) return false;
    std::copy_n(z, m, static_cast<double*>(PyArray_DATA(as_array(argument))));
    PyObject* given = PyObject_CallOneArg(f_.ptr(), argument);
    Py_DECREF(argument);
    PyObject* numbers = given == nullptr ? nullptr : PyArray_FROMANY(given, NPY_DOUBLE, 0, 0, NPY_ARRAY_CARRAY_RO);
    Py_XDECREF(given);
    if (numbers == nullptr) return false;
    const bool good = PyArray_NDIM(as_array(numbers)) == 2 && PyArray_DIM(as_array(numbers), 0) == 3 &&
                      PyArray_DIM(as_array(numbers), 1) == m;
    if (good)
      std::copy_n(static_cast<const double*>(PyArray_DATA(as_array(numbers))), 3 * m, three);
    else
      PyErr_Format(PyExc_ValueError, "loss must give rho(z) and its first two derivatives, an array of shape (3, %zd)",
                   static_cast<Py_ssize_t>(m));
    Py_DECREF(numbers);
    return good;
  }

 private:
  py::handle f_;
};

Loss loss_named(const std::string& name) {
  static const char* const names[] = {"linear", "soft_l1", "huber", "cauchy", "arctan"};
  for (int k = 0; k < 5; ++k)
    if (name == names[k]) return static_cast<Loss>(k);
  throw py::value_error("loss: not one of linear, soft_l1, huber, cauchy, arctan");
}

// n numbers of float64 in a row, or nothing.
py::array_t<double> parameters(py::handle object, Size n, const char* name) {
  if (object.is_none()) return py::array_t<double>(0);
  auto array = py::array_t<double, py::array::c_style | py::array::forcecast>::ensure(object);
  if (!array) throw py::error_already_set();
  if (array.size() != n) throw py::value_error(std::string(name) + ": not as many numbers as parameters");
  return array;
}
const double* data_or_none(const py::array_t<double>& array) { return array.size() == 0 ? nullptr : array.data(); }

SquaresMinimum minimize(Residuals& model, py::handle p0, py::handle lower, py::handle upper, py::object loss,
                        double loss_scale, double ftol, double xtol, double gtol, Size max_evaluations,
                        py::handle scale, bool acceleration, double first_step, py::object on_step,
                        bool with_jacobian) {
  drivers::ResidualFunction& function = model.function();
  const Size n = function.n_parameters(), m = function.n_residuals();
  const py::array_t<double> start = parameters(p0, n, "p0"), low = parameters(lower, n, "lower"),
                            high = parameters(upper, n, "upper"), by = parameters(scale, n, "scale");
  SquaresMinimum minimum{py::array_t<double>(n),
                         py::array_t<double>(m),
                         py::array_t<double>({n, n}),
                         py::array_t<double>(n),
                         py::none(),
                         py::array_t<std::int32_t>(n),
                         py::array_t<std::int8_t>(n)};
  std::copy_n(start.data(), n, minimum.x.mutable_data());
  std::vector<double> columns(static_cast<std::size_t>(n * n));
  LeastSquaresAnswer answer;
  answer.p = minimum.x.mutable_data(), answer.residuals = minimum.residuals.mutable_data(), answer.r = columns.data();
  answer.pivots = minimum.permutation.mutable_data(), answer.active = minimum.active.mutable_data();
  answer.gradient = minimum.gradient.mutable_data();
  py::array_t<double> jacobian(with_jacobian ? std::vector<Size>{n, m} : std::vector<Size>{0});
  if (with_jacobian) answer.jacobian = jacobian.mutable_data();
  LeastSquaresOptions options;
  options.lower = data_or_none(low), options.upper = data_or_none(high), options.scale = data_or_none(by);
  CalledLoss called(loss);
  const bool is_called = PyCallable_Check(loss.ptr()) != 0;
  options.loss = is_called ? Loss::other : loss_named(py::cast<std::string>(loss));
  options.loss_scale = loss_scale, options.other_loss = &called;
  options.ftol = ftol, options.xtol = xtol, options.gtol = gtol, options.max_evaluations = max_evaluations;
  options.acceleration = acceleration, options.first_step = first_step;
  model.begin(options.lower, options.upper, std::move(on_step));
  {
    const ReleasedGil released(!model.calls_python() && !is_called);
    drivers::minimize_squares(function, options, answer);
  }
  if (PyErr_Occurred() != nullptr) throw py::error_already_set();
  raise_unless_ok(answer.outcome);
  double* r = minimum.r.mutable_data();  // rows now
  for (Size i = 0; i < n; ++i)
    for (Size k = 0; k < n; ++k) r[i * n + k] = columns[static_cast<std::size_t>(k * n + i)];
  if (with_jacobian) minimum.jacobian = jacobian.attr("T");
  minimum.rank_at_start = answer.rank_at_start;
  minimum.rank = answer.rank, minimum.status = static_cast<int>(answer.status);
  minimum.condition = answer.condition, minimum.cost = answer.cost, minimum.optimality = answer.optimality;
  minimum.n_evaluations = answer.n_evaluations, minimum.n_jacobians = answer.n_jacobians;
  minimum.n_difference_evaluations = model.n_difference_evaluations();
  minimum.accelerated = answer.accelerated, minimum.used_precise = answer.used_precise;
  minimum.n_searches = answer.n_searches;
  minimum.lost = answer.lost;
  return minimum;
}

// inverse(J'J) in the order of the parameters, or None if it is not all of what there is to know: where a combination
// of the parameters is undetermined (or nearly), and where a bound holds one.
py::object inverse_of(const SquaresMinimum& minimum) {
  constexpr double largest_condition = 1e10;
  const Size n = minimum.x.size();
  bool plain = minimum.rank == n && minimum.condition < largest_condition;
  for (Size i = 0; plain && i < n; ++i) plain = minimum.active.data()[i] == 0;
  if (!plain) return py::none();
  std::vector<double> columns(static_cast<std::size_t>(2 * n * n));
  for (Size i = 0; i < n; ++i)
    for (Size k = 0; k < n; ++k) columns[static_cast<std::size_t>(k * n + i)] = minimum.r.data()[i * n + k];
  py::array_t<double> inverse({n, n});
  drivers::least_squares_covariance(columns.data(), minimum.permutation.data(), n, columns.data() + n * n,
                                    inverse.mutable_data());
  return inverse;
}

}  // namespace

void register_least_squares(PyObject* module) {
  py::module_ m = module_of(module);
  add_residuals(m);
  add_row_residuals(m);
  add_quick_fit(m);
  py::class_<SquaresMinimum>(m, "SquaresMinimum")
      .def_readonly("x", &SquaresMinimum::x)
      .def_readonly("residuals", &SquaresMinimum::residuals)
      .def_readonly("r", &SquaresMinimum::r)
      .def_readonly("gradient", &SquaresMinimum::gradient)
      .def_readonly("jacobian", &SquaresMinimum::jacobian)
      .def_readonly("permutation", &SquaresMinimum::permutation)
      .def_readonly("active", &SquaresMinimum::active)
      .def_readonly("rank", &SquaresMinimum::rank)
      .def_readonly("rank_at_start", &SquaresMinimum::rank_at_start)
      .def_readonly("status", &SquaresMinimum::status)
      .def_readonly("condition", &SquaresMinimum::condition)
      .def_readonly("cost", &SquaresMinimum::cost)
      .def_readonly("optimality", &SquaresMinimum::optimality)
      .def_readonly("n_evaluations", &SquaresMinimum::n_evaluations)
      .def_readonly("n_jacobians", &SquaresMinimum::n_jacobians)
      .def_readonly("n_difference_evaluations", &SquaresMinimum::n_difference_evaluations)
      .def_readonly("accelerated", &SquaresMinimum::accelerated)
      .def_property_readonly("inverse", &inverse_of)
      .def_readonly("used_precise", &SquaresMinimum::used_precise)
      .def_readonly("lost", &SquaresMinimum::lost)
      .def_readonly("n_searches", &SquaresMinimum::n_searches);
  m.def("minimize_squares", &minimize, py::arg("model"), py::arg("p0"), py::arg("lower") = py::none(),
        py::arg("upper") = py::none(), py::arg("loss") = "linear", py::arg("loss_scale") = 1.0, py::arg("ftol") = 1e-8,
        py::arg("xtol") = 1e-8, py::arg("gtol") = 1e-8, py::arg("max_evaluations") = 1000,
        py::arg("scale") = py::none(), py::arg("acceleration") = true, py::arg("first_step") = 100.0,
        py::arg("on_step") = py::none(), py::arg("with_jacobian") = false);
}

}  // namespace mmlfast::bind
