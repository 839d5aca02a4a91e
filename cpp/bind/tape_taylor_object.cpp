#include <memory>
#include <string>

#include "bind/pybind.hpp"
#include "bind/tape_ids.hpp"
#include "bind/tape_taylor_object.hpp"
#include "drivers/tape_taylor.hpp"

namespace mmlfast::bind {
namespace {

using drivers::TapeGraph;
using drivers::TaylorPlan;

constexpr int most_order = 1000;

std::unique_ptr<TaylorPlan> make_plan(const TapeGraph& graph, py::handle outputs, int n_coefficients, int order) {
  if (order < 0 || order > most_order) throw py::value_error("order must be 0 to 1000");
  if (n_coefficients < 1) throw py::value_error("the inputs have at least one coefficient");
  return std::make_unique<TaylorPlan>(graph, TapeArgument(graph, outputs, "outputs"), n_coefficients, order);
}

// The arguments of a call: coefficients (points, inputs, n_coefficients), then an array for each group of parameters.
struct TaylorArguments {
  std::vector<py::array> arrays;
  std::vector<const double*> data;
  Size n_points = 0;

  TaylorArguments(const TaylorPlan& plan, const py::args& args) {
    const auto& groups = plan.input_groups();
    if (plan.has_callback()) throw py::type_error("a function of the user's own has no Taylor series");
    if (args.size() != groups.size()) throw py::type_error("an array for each group of inputs, please");
    for (std::size_t g = 0; g < groups.size(); ++g) {
      auto array =
          py::reinterpret_steal<py::array>(PyArray_FROMANY(args[g].ptr(), NPY_DOUBLE, 0, 0, NPY_ARRAY_CARRAY_RO));
      if (!array) throw py::error_already_set();
      if (g == 0) {
        if (array.ndim() != 3 || array.shape(1) != groups[0] || array.shape(2) != plan.n_coefficients())
          throw py::value_error("coefficients must be points x inputs x n_coefficients");
        n_points = array.shape(0);
      } else if (array.size() != groups[g]) {
        throw py::value_error("parameters of another size");
      }
      data.push_back(static_cast<const double*>(array.data()));
      arrays.push_back(std::move(array));
    }
    if (data.empty()) throw py::value_error("the graph has no inputs");
  }
};

py::array evaluate(const TaylorPlan& plan, const py::args& args) {
  const TaylorArguments from(plan, args);
  py::array_t<double> result({from.n_points, plan.n_outputs(), Size{plan.order()} + 1});
  double* to = result.mutable_data();
  if (from.n_points > 0)
    run_without_gil([&] { return plan.evaluate(from.n_points, from.data[0], from.data.data() + 1, to); });
  return result;
}

// (id, name of the operation, values of its first two operands), or None.
py::object find_failure(const TaylorPlan& plan, const py::args& args) {
  const TaylorArguments from(plan, args);
  if (from.n_points != 1) throw py::value_error("one point, please");
  drivers::TaylorFailure failure;
  raise_unless_ok(plan.find_failure(from.data[0], from.data.data() + 1, failure));
  if (failure.op == TapeOp::input) return py::none();
  return py::make_tuple(failure.id, tape_name(failure.op), failure.operand[0], failure.operand[1]);
}

}  // namespace

void add_taylor_plan_type(PyObject* module) {
  py::class_<TaylorPlan>(module_of(module), "TaylorPlan")
      .def(py::init(&make_plan), py::keep_alive<1, 2>())
      .def("__call__", &evaluate)
      .def("find_failure", &find_failure)
      .def_property_readonly("order", &TaylorPlan::order)
      .def_property_readonly("n_outputs", &TaylorPlan::n_outputs)
      .def_property_readonly("has_callback", &TaylorPlan::has_callback);
}

}  // namespace mmlfast::bind
