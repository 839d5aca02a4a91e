#include <memory>
#include <string>

#include "bind/pybind.hpp"
#include "bind/registers.hpp"
#include "bind/tape_ids.hpp"
#include "drivers/curve_fit_many.hpp"

namespace mmlfast::bind {
namespace {

using drivers::TapeRows;

std::unique_ptr<TapeRows> make_rows(const drivers::TapeGraph& graph, py::handle outputs) {
  const TapeArgument ids(graph, outputs, "outputs");
  auto rows = std::make_unique<TapeRows>(graph, ids);
  if (rows->fault() != nullptr) throw py::value_error(rows->fault());
  return rows;
}

void require(bool good, const char* what) {
  if (!good) throw py::value_error(what);
}

// An array of `shape` for each fit, or one for all; None: none.
drivers::FitNumbers numbers(py::handle given, Size n_fits, Size each, const char* what) {
  if (given.is_none()) return {};
  require(py::isinstance<py::array_t<double, py::array::c_style>>(given), what);
  const auto array = py::reinterpret_borrow<py::array>(given);
  require(array.size() == each || array.size() == checked_product(n_fits, each), what);
  require(reinterpret_cast<std::uintptr_t>(array.data()) % alignof(double) == 0, what);
  return {static_cast<const double*>(array.data()), array.ndim() > 0 && array.size() != each ? each : 0};
}

template <class T>
py::array_t<T> result(Size a, Size b = -1, Size c = -1) {
  std::vector<py::ssize_t> shape{a};
  if (b >= 0) shape.push_back(b);
  if (c >= 0) shape.push_back(c);
  return py::array_t<T>(shape);
}

py::tuple fit_many(const TapeRows& model, Size n_fits, Size n_rows, Size n, py::handle x, py::handle y,
                   py::handle weights, py::handle start, py::handle lower, py::handle upper, double most_evaluations,
                   int loss, double loss_scale) {
  require(loss >= 0 && loss < static_cast<int>(drivers::Loss::other), "loss must be one of those that have a number");
  require(n >= 1 && n <= model.n_parameters(), "n must be a number of parameters");
  drivers::CurveFits fits{};
  fits.model = &model;
  fits.n_fits = n_fits;
  fits.n_rows = n_rows;
  fits.n = n;
  fits.x = numbers(x, n_fits, checked_product(n_rows, model.n_row()), "x");
  fits.y = numbers(y, n_fits, n_rows, "y");
  fits.weights = numbers(weights, n_fits, n_rows, "weights");
  fits.start = numbers(start, n_fits, model.n_parameters(), "start");
  fits.lower = numbers(lower, n_fits, n, "lower");
  fits.upper = numbers(upper, n_fits, n, "upper");
  require((fits.lower.data == nullptr) == (fits.upper.data == nullptr), "lower and upper go together");
  fits.most_evaluations = most_evaluations;
  fits.loss = static_cast<drivers::Loss>(loss);
  fits.loss_scale = loss_scale;
  auto parameters = result<double>(n_fits, n), inverse = result<double>(n_fits, n, n), cost = result<double>(n_fits),
       condition = result<double>(n_fits);
  auto evaluations = result<std::int32_t>(n_fits), used = result<std::int32_t>(n_fits);
  auto status = result<std::int8_t>(n_fits);
  auto held = result<std::uint8_t>(n_fits, n);
  const drivers::CurveFitResults results{parameters.mutable_data(), inverse.mutable_data(),     cost.mutable_data(),
                                         condition.mutable_data(),  evaluations.mutable_data(), used.mutable_data(),
                                         status.mutable_data(),     held.mutable_data()};
  const Outcome outcome = outcome_without_gil([&] { return drivers::curve_fit_many(fits, results); });
  if (outcome.status != Outcome::Status::interrupted) raise_unless_ok(outcome);
  const bool interrupted = PyErr_Occurred() != nullptr;
  if (interrupted) PyErr_Clear();
  return py::make_tuple(parameters, inverse, cost, condition, evaluations, used, status, held, interrupted);
}

}  // namespace

void register_curve_fit_many(PyObject* module) {
  py::module_ m = module_of(module);
  py::class_<TapeRows>(m, "TapeRows")
      .def(py::init(&make_rows), py::arg("graph"), py::arg("outputs"))
      .def_property_readonly("n_parameters", &TapeRows::n_parameters)
      .def_property_readonly("n_staged", &TapeRows::n_staged);
  m.def("curve_fit_many", &fit_many, py::arg("model"), py::arg("n_fits"), py::arg("n_rows"), py::arg("n"), py::arg("x"),
        py::arg("y"), py::arg("weights"), py::arg("start"), py::arg("lower"), py::arg("upper"),
        py::arg("most_evaluations"), py::arg("loss") = 0, py::arg("loss_scale") = 1.0);
}

}  // namespace mmlfast::bind
