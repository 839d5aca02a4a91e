#include <algorithm>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "bind/pybind.hpp"
#include "bind/registers.hpp"
#include "bind/tape_graph_object.hpp"
#include "bind/tape_ids.hpp"
#include "bind/tape_point_object.hpp"
#include "bind/tape_program_object.hpp"
#include "bind/tape_taylor_object.hpp"
#include "bind/traced_call.hpp"
#include "bind/traced_numbers.hpp"
#include "bind/watch.hpp"
#include "drivers/tape_derivatives.hpp"
#include "drivers/tape_pattern.hpp"
#include "drivers/tape_saved.hpp"
#include "runtime/sizes.hpp"

namespace mmlfast::bind {
namespace {

using drivers::TapeGraph;
using drivers::TapeId;
using drivers::TapeIds;
using drivers::TapeOperand;
using drivers::TapeRun;
using drivers::TapeView;

void require(bool good, const char* what) {
  if (!good) throw py::value_error(what);
}

std::int32_t checked_count(Size count) {
  require(count >= 0 && count <= INT32_MAX, "count must be 0 to 2147483647");
  return static_cast<std::int32_t>(count);
}

// How many values emit() is asked for; ValueError if the operands do not go together.
std::int32_t count_of(TapeOp op, const TapeArgument (&operands)[3], std::int32_t aux, Size count) {
  const int n = tape_operands(op);
  for (int k = 0; k < 3; ++k) require((operands[k].size() > 0) == (k < n), "the operation takes other operands");
  const auto size = [&](int k) { return static_cast<Size>(operands[k].size()); };
  if (op == TapeOp::solve || op == TapeOp::determinant) {
    require(aux > 0 && size(0) == Size{aux} * aux, "aux must be n, and a have n * n elements");
    require(op == TapeOp::determinant || size(1) % aux == 0, "b must have a multiple of n elements");
    return op == TapeOp::determinant ? 1 : checked_count(size(1));
  }
  if (op == TapeOp::integer_power || op == TapeOp::polygamma)
    require(drivers::tape_good_order(op, aux), "aux must be the exponent or the order");
  const Size terms = drivers::tape_reduces(op) ? aux : 1;
  require(terms >= 1, "aux must be the number of terms");
  const Size most = std::max({size(0), size(1), size(2)});
  if (count < 0) count = ceil_div(most, terms);
  for (int k = 0; k < n; ++k)
    require(size(k) == 1 || size(k) == checked_product(count, terms), "operands of unequal lengths");
  return checked_count(count);
}

py::array emit(TapeGraph& graph, int op, py::handle a, py::handle b, py::handle c, std::int32_t aux, Size count) {
  require(op >= 0 && op < tape_op_count, "op is no operation");
  const auto which = static_cast<TapeOp>(op);
  require(which != TapeOp::input && which != TapeOp::constant && which != TapeOp::callback,
          "op: inputs, constants and callbacks have methods of their own");
  if (a.is_none() || PyArray_Check(a.ptr()) == 0 || PyArray_SIZE(as_array(a.ptr())) > 0 || count > 0) {
    const TapeArgument operands[3] = {{graph, a, "a"}, {graph, b, "b"}, {graph, c, "c"}};
    const std::int32_t n = count_of(which, operands, aux, count);
    if (which == TapeOp::identity) return ids_to_python(graph, graph.identity(operands[0]));
    return ids_to_python(graph, graph.emit(which, operands[0], operands[1], operands[2], aux, n));
  }
  return ids_to_python(TapeIds{});
}

py::array constants(TapeGraph& graph, py::handle values) {
  const auto array =
      py::reinterpret_steal<py::array>(PyArray_FROMANY(values.ptr(), NPY_DOUBLE, 0, 0, NPY_ARRAY_CARRAY_RO));
  if (!array) throw py::error_already_set();
  const auto* data = static_cast<const double*>(array.data());
  const py::array ids = ids_to_python(graph, graph.constants({data, static_cast<std::size_t>(array.size())}));
  return py::reinterpret_borrow<py::array>(ids).reshape(
      std::vector<py::ssize_t>(array.shape(), array.shape() + array.ndim()));
}

TapeId input(TapeGraph& graph, Size count) {
  const TapeId first = graph.input(checked_count(count));
  ids_to_python(graph, {});
  return first;
}

py::array callback(TapeGraph& graph, std::int32_t index, py::handle a, Size count, py::handle jacobian) {
  const TapeArgument operand(graph, a, "a"), partials(graph, jacobian, "jacobian");
  const std::int32_t n = checked_count(count);
  require(operand.size() > 0 && n > 0, "a callback takes and gives at least one value");
  require(partials.size() == 0 || static_cast<Size>(partials.size()) == Size{n} * static_cast<Size>(operand.size()),
          "jacobian must have count * a.size elements");
  return ids_to_python(graph, graph.callback(index, operand, n, partials));
}

py::object operand_to_python(const TapeRun& run, int k) {
  if (k >= run.n_operands()) return py::none();
  const TapeOperand& operand = run.operand[k];
  TapeIds ids(static_cast<std::size_t>(operand.size));
  for (std::int32_t i = 0; i < operand.size; ++i) ids[static_cast<std::size_t>(i)] = operand[i];
  return ids_to_python(ids);
}

// [(op, first, count, aux, a, b, c)] in order, for readers: all, or what the outputs need.
py::list runs(const TapeGraph& graph, py::handle outputs) {
  std::vector<std::uint8_t> need(graph.runs().size(), 1);
  if (!outputs.is_none()) need = graph.needed(TapeArgument(graph, outputs, "outputs"));
  py::list list;
  for (std::size_t r = 0; r < need.size(); ++r) {
    if (need[r] == 0) continue;
    const TapeRun& run = graph.runs()[r];
    list.append(py::make_tuple(tape_name(run.op), run.first, run.count, run.aux, operand_to_python(run, 0),
                               operand_to_python(run, 1), operand_to_python(run, 2)));
  }
  return list;
}

py::array is_constant(const TapeGraph& graph, py::handle argument) {
  const TapeArgument argument_ids(graph, argument, "ids");
  const TapeView ids = argument_ids;
  py::array_t<bool> result(static_cast<py::ssize_t>(ids.size()));
  std::transform(ids.begin(), ids.end(), result.mutable_data(), [&](TapeId id) { return graph.is_constant(id); });
  return result;
}

py::array values(const TapeGraph& graph, py::handle argument) {
  const TapeArgument argument_ids(graph, argument, "ids");
  const TapeView ids = argument_ids;
  require(std::all_of(ids.begin(), ids.end(), [&](TapeId id) { return graph.is_constant(id); }),
          "ids: not all are constants");
  py::array_t<double> result(static_cast<py::ssize_t>(ids.size()));
  std::transform(ids.begin(), ids.end(), result.mutable_data(), [&](TapeId id) { return graph.constant_value(id); });
  return result;
}

py::array answered(const TapeGraph& graph, const drivers::TapeAnswer& answer) {
  if (answer.fault != nullptr) throw py::value_error(answer.fault);
  return ids_to_python(graph, answer.ids);
}

// seeds and tangents: ids, -1 for 0.
py::array vjp(TapeGraph& graph, py::handle outputs, py::handle seeds, py::handle wrt) {
  const TapeArgument y(graph, outputs, "outputs"), bar(graph, seeds, "seeds", true), x(graph, wrt, "wrt");
  require(y.size() == bar.size(), "outputs and seeds of unequal lengths");
  return answered(graph, drivers::tape_reverse(graph, y, bar, x));
}

py::array jvp(TapeGraph& graph, py::handle wrt, py::handle tangents, py::handle outputs) {
  const TapeArgument x(graph, wrt, "wrt"), dot(graph, tangents, "tangents", true), y(graph, outputs, "outputs");
  require(x.size() == dot.size(), "wrt and tangents of unequal lengths");
  return answered(graph, drivers::tape_forward(graph, x, dot, y));
}

// (indptr, indices): which outputs depend on which of wrt.
py::tuple pattern(const TapeGraph& graph, py::handle outputs, py::handle wrt) {
  const TapeArgument y(graph, outputs, "outputs"), x(graph, wrt, "wrt");
  const drivers::TapePattern found = drivers::tape_pattern(graph, y, x);
  return py::make_tuple(py::array_t<std::int64_t>(static_cast<py::ssize_t>(found.starts.size()), found.starts.data()),
                        ids_to_python(found.columns));
}

using Starts = py::array_t<std::int64_t, py::array::c_style | py::array::forcecast>;
using Columns = py::array_t<std::int32_t, py::array::c_style | py::array::forcecast>;

py::array colour_columns(const Starts& indptr, const Columns& indices, Size n_columns) {
  const std::span starts(indptr.data(), static_cast<std::size_t>(indptr.size()));
  const std::span columns(indices.data(), static_cast<std::size_t>(indices.size()));
  const std::int32_t n = checked_count(n_columns);
  if (const char* fault = drivers::tape_pattern_fault(starts, columns, n)) throw py::value_error(fault);
  return ids_to_python(drivers::tape_colour_columns(starts, columns, n));
}

py::array colour_star(const Starts& indptr, const Columns& indices) {
  const std::span starts(indptr.data(), static_cast<std::size_t>(indptr.size()));
  const std::span columns(indices.data(), static_cast<std::size_t>(indices.size()));
  const std::int32_t n = checked_count(indptr.size() - 1);
  if (const char* fault = drivers::tape_pattern_fault(starts, columns, n)) throw py::value_error(fault);
  return ids_to_python(drivers::tape_colour_star(starts, columns));
}

py::array inline_graph(TapeGraph& graph, const TapeGraph& other, const py::sequence& input_ids, py::handle outputs,
                       std::int32_t first_callback) {
  require(&graph != &other, "a graph cannot be copied into itself");
  const TapeArgument y(other, outputs, "outputs");
  require(input_ids.size() == other.input_groups().size(), "input_ids must have an array for each group of inputs");
  std::vector<TapeArgument> arguments;
  std::vector<TapeView> inputs;
  for (std::size_t k = 0; k < input_ids.size(); ++k) {
    arguments.emplace_back(graph, input_ids[k], "input_ids");
    inputs.push_back(arguments.back());
    require(static_cast<Size>(arguments.back().size()) == other.input_groups()[k],
            "input_ids: not as many as the group has");
  }
  return ids_to_python(graph, drivers::tape_inline(graph, other, inputs, y, first_callback));
}

py::bytes to_bytes(const TapeGraph& graph, py::handle outputs) {
  const std::vector<std::uint8_t> bytes = drivers::tape_save(graph, TapeArgument(graph, outputs, "outputs"));
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// (graph, outputs), or ValueError for what to_bytes would not have given.
py::tuple from_bytes(const py::bytes& data) {
  const std::string_view bytes = data;
  auto graph = std::make_unique<TapeGraph>();
  TapeIds outputs;
  const char* fault =
      drivers::tape_load({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()}, *graph, outputs);
  if (fault != nullptr) throw py::value_error(std::string("not a saved function: ") + fault);
  const py::array ids = ids_to_python(outputs);
  return py::make_tuple(py::cast(std::move(graph)), ids);
}

py::list n_inputs(const TapeGraph& graph) {
  py::list sizes;
  for (std::int32_t count : graph.input_groups()) sizes.append(count);
  return sizes;
}

}  // namespace

TapeGraph* tape_graph_of(PyObject* object) noexcept {
  py::detail::make_caster<TapeGraph> caster;
  return caster.load(object, false) ? static_cast<TapeGraph*>(caster) : nullptr;
}

void register_tape(PyObject* module) {
  py::module_ m = module_of(module);
  py::dict ops;
  for (int op = 0; op < tape_op_count; ++op) ops[tape_name(static_cast<TapeOp>(op))] = op;
  m.attr("tape_ops") = ops;

  add_tape_program_type(module);
  add_watch(module);
  add_traced_call(module);
  add_traced_numbers(module);
  py::class_<TapeGraph>(m, "TapeGraph")
      .def(py::init<bool>(), py::arg("as_written") = false)
      .def("input", &input)
      .def("constants", &constants)
      .def("emit", &emit, py::arg("op"), py::arg("a"), py::arg("b") = py::none(), py::arg("c") = py::none(),
           py::arg("aux") = 0, py::arg("count") = -1)
      .def("identity",
           [](TapeGraph& graph, py::handle ids) {
             return ids_to_python(graph, graph.identity(TapeArgument(graph, ids, "ids")));
           })
      .def("callback", &callback, py::arg("index"), py::arg("a"), py::arg("count"), py::arg("jacobian") = py::none())
      .def("vjp", &vjp, py::arg("outputs"), py::arg("seeds"), py::arg("wrt"))
      .def("jvp", &jvp, py::arg("wrt"), py::arg("tangents"), py::arg("outputs"))
      .def("pattern", &pattern, py::arg("outputs"), py::arg("wrt"))
      .def("inline", &inline_graph, py::arg("other"), py::arg("input_ids"), py::arg("outputs"),
           py::arg("first_callback") = 0)
      .def("to_bytes", &to_bytes, py::arg("outputs"))
      .def_static("from_bytes", &from_bytes, py::arg("data"))
      .def("is_constant", &is_constant)
      .def("values", &values)
      .def("runs", &runs, py::arg("outputs") = py::none())
      .def_property_readonly("n_values", &TapeGraph::n_values)
      .def_property_readonly("n_runs", [](const TapeGraph& graph) { return graph.runs().size(); })
      .def_property_readonly("n_inputs", &n_inputs);
  m.def("tape_colour_columns", &colour_columns, py::arg("indptr"), py::arg("indices"), py::arg("n_columns"));
  m.def("tape_colour_star", &colour_star, py::arg("indptr"), py::arg("indices"));
  add_tape_point_type(module);
  add_taylor_plan_type(module);
}

}  // namespace mmlfast::bind
