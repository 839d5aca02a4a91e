#include "bind/tape_point_object.hpp"

#include <memory>
#include <numeric>
#include <utility>
#include <vector>

#include "bind/pybind.hpp"
#include "bind/tape_ids.hpp"
#include "bind/tape_program_object.hpp"
#include "drivers/tape_point.hpp"

namespace mmlfast::bind {
namespace {

using drivers::TapeGraph;

// The point with its graph, of which ids are checked.
struct Point {
  const TapeGraph& graph;
  drivers::TapePoint numbers;

  Point(const TapeGraph& of, std::vector<double> inputs) : graph(of), numbers(of, std::move(inputs)) {}
};

std::unique_ptr<Point> make_point(const TapeGraph& graph, py::handle inputs) {
  const auto array =
      py::reinterpret_steal<py::array>(PyArray_FROMANY(inputs.ptr(), NPY_DOUBLE, 0, 0, NPY_ARRAY_CARRAY_RO));
  if (!array) throw py::error_already_set();
  const auto& sizes = graph.input_groups();
  if (array.size() != std::accumulate(sizes.begin(), sizes.end(), py::ssize_t{0}))
    throw py::value_error("inputs: not as many as the graph has");
  const auto* data = static_cast<const double*>(array.data());
  return std::make_unique<Point>(graph, std::vector<double>(data, data + array.size()));
}

py::array values(Point& point, py::handle argument, const py::tuple& callbacks) {
  const TapeArgument ids(point.graph, argument, "ids");
  py::array_t<double> result(static_cast<py::ssize_t>(ids.size()));
  if (!point.numbers.find(ids, tape_callback_by(callbacks.ptr()), result.mutable_data())) throw py::error_already_set();
  return result;
}

}  // namespace

void add_tape_point_type(PyObject* module) {
  py::class_<Point>(module_of(module), "TapePoint")
      .def(py::init(&make_point), py::arg("graph"), py::arg("inputs"), py::keep_alive<1, 2>())
      .def("values", &values, py::arg("ids"), py::arg("callbacks") = py::tuple())
      .def(
          "depends_on_x",
          [](Point& point, py::handle ids) {
            return point.numbers.depends_on_x(TapeArgument(point.graph, ids, "ids"));
          },
          py::arg("ids"));
}

}  // namespace mmlfast::bind
