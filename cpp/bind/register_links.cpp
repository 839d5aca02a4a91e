#include <algorithm>

#include "bind/links_object.hpp"
#include "bind/pybind.hpp"
#include "bind/registers.hpp"

namespace mmlfast::bind {
namespace {

std::string describe(const drivers::LinksFault& fault) {
  switch (fault.kind) {
    case drivers::LinksFault::Kind::starts:
      return "indptr must ascend from 0, and does not at position " + std::to_string(fault.at);
    case drivers::LinksFault::Kind::target:
      return "index out of range at position " + std::to_string(fault.at);
    default:
      return "weight";
  }
}

template <class Index>
void build(drivers::Links& links, Size n, const py::array& starts, const py::array& targets, const double* weights,
           Size n_stored, drivers::LinksFault& fault) {
  const LinksOut<Index> out{n, static_cast<const Index*>(starts.data()), static_cast<const Index*>(targets.data()),
                            weights, n_stored};
  run_without_gil([&] { return links.build(out, fault); });
}

// From CSR arrays, checked and converted in Python: contiguous, native, starts and targets int32 or both int64, weights
// float64 or None. (links, "", -1), or (None, what was wrong, at which position).
py::tuple make_links(const py::array& starts, const py::array& targets, const py::object& weights) {
  const Size n = starts.shape(0) - 1;
  auto links = std::make_unique<LinksObject>();
  drivers::LinksFault fault;
  const double* w = weights.is_none() ? nullptr : static_cast<const double*>(py::array(weights).data());
  const Size n_stored = w == nullptr ? targets.size() : std::min(targets.size(), py::array(weights).size());
  if (starts.itemsize() == 4)
    build<std::int32_t>(links->links, n, starts, targets, w, n_stored, fault);
  else
    build<std::int64_t>(links->links, n, starts, targets, w, n_stored, fault);
  if (fault.kind == drivers::LinksFault::Kind::changed)
    throw py::value_error("links: the arrays of the matrix were written to while they were read");
  if (fault.kind == drivers::LinksFault::Kind::none) return py::make_tuple(std::move(links), "", -1);
  return py::make_tuple(py::none(), describe(fault), fault.at);
}

// What a graph consists of, as arrays: what links_from_state takes.
py::tuple links_state(const LinksObject& graph) {
  const drivers::LinksState s = graph.links.state();
  const py::array_t<std::int64_t> starts(s.n + 1, s.starts);
  const py::array_t<std::ptrdiff_t> blocks(s.n_blocks + 1, s.blocks);
  const py::array_t<Node> columns(s.n_links, s.columns), label(s.n, s.label);
  const py::array_t<double> inverse_strength(s.n, s.inverse_strength);
  py::object weights = py::none();
  if (s.weights != nullptr) weights = py::array_t<double>(s.n_links, s.weights);
  return py::make_tuple(s.n_core, s.n_core_blocks, starts, columns, weights, label, inverse_strength, blocks);
}

// An array of a state: one dimension, contiguous, of the type that was written down.
template <class T>
const T* part_of_state(const py::array& a, const char* name, Size least, Size count = -1) {
  const bool good = a.ndim() == 1 && py::isinstance<py::array_t<T, py::array::c_style>>(a) && a.shape(0) >= least &&
                    (count < 0 || a.shape(0) == count);
  if (!good) throw py::value_error(std::string("not a state of Links: ") + name);
  return static_cast<const T*>(a.data());
}

// The graph again, with the same bits; ValueError for what no graph would have written down. Nobody else may write to
// the arrays meanwhile.
std::unique_ptr<LinksObject> links_from_state(Size n_core, Size n_core_blocks, const py::array& starts,
                                              const py::array& columns, const py::object& weights,
                                              const py::array& label, const py::array& inverse_strength,
                                              const py::array& blocks) {
  drivers::LinksState s{};
  s.label = part_of_state<Node>(label, "label", 1);
  s.n = label.shape(0);
  s.n_core = n_core;
  s.n_core_blocks = n_core_blocks;
  s.starts = part_of_state<std::int64_t>(starts, "starts", 1, s.n + 1);
  s.columns = part_of_state<Node>(columns, "columns", 0);
  s.n_links = columns.shape(0);
  if (!weights.is_none()) {
    if (!py::isinstance<py::array>(weights)) throw py::value_error("not a state of Links: weights");
    s.weights = part_of_state<double>(weights.cast<py::array>(), "weights", 0, s.n_links);
  }
  s.inverse_strength = part_of_state<double>(inverse_strength, "inverse_strength", 1, s.n);
  s.blocks = part_of_state<std::ptrdiff_t>(blocks, "blocks", 2);
  s.n_blocks = blocks.shape(0) - 1;
  auto links = std::make_unique<LinksObject>();
  const char* fault = nullptr;
  run_without_gil([&] { return links->links.restore(s, fault); });
  if (fault != nullptr) throw py::value_error(std::string("not a state of Links: ") + fault);
  return links;
}

// The links in the new order of the nodes: (starts, sources, label), where the sources of the links that arrive at node
// r are sources[starts[r]:starts[r + 1]], and label the new number of each node.
py::tuple arriving_links(const LinksObject& graph) {
  const drivers::Links& links = graph.links;
  const py::array_t<std::int64_t> starts(links.n_nodes() + 1, links.starts());
  const py::array_t<Node> label(links.n_nodes(), links.label());
  py::array_t<Node> sources(links.n_links());
  const Node n_core = static_cast<Node>(links.n_core());
  for (Size e = 0; e < links.n_links(); ++e) {
    const Node column = links.columns()[e];
    sources.mutable_data()[e] = column < n_core ? column : column - n_core;
  }
  return py::make_tuple(starts, sources, label);
}

}  // namespace

void register_links(PyObject* module) {
  py::module_ m = module_of(module);
  py::class_<LinksObject>(m, "LinksObject")
      .def_property_readonly("n_nodes", [](const LinksObject& self) { return self.links.n_nodes(); })
      .def_property_readonly("n_links", [](const LinksObject& self) { return self.links.n_links(); })
      .def_property_readonly("n_dangling",
                             [](const LinksObject& self) { return self.links.n_nodes() - self.links.n_core(); })
      .def_property_readonly("has_zeros", [](const LinksObject& self) { return self.links.has_zeros(); })
      .def_property_readonly("weighted", [](const LinksObject& self) { return self.links.weighted(); });
  m.def("make_links", &make_links);
  m.def("links_state", &links_state);
  m.def("links_from_state", &links_from_state);
  m.def("arriving_links", &arriving_links);
}

}  // namespace mmlfast::bind
