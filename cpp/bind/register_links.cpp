#include <algorithm>

#include "bind/links_object.hpp"
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
  Outcome outcome;
  {
    const ReleasedGil unlocked;
    outcome = links.build(out, fault);
  }
  raise_unless_ok(outcome);
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

void register_links(py::module_& m) {
  py::class_<LinksObject>(m, "LinksObject")
      .def_property_readonly("n_nodes", [](const LinksObject& self) { return self.links.n_nodes(); })
      .def_property_readonly("n_links", [](const LinksObject& self) { return self.links.n_links(); })
      .def_property_readonly("n_dangling",
                             [](const LinksObject& self) { return self.links.n_nodes() - self.links.n_core(); })
      .def_property_readonly("has_zeros", [](const LinksObject& self) { return self.links.has_zeros(); })
      .def_property_readonly("weighted", [](const LinksObject& self) { return self.links.weighted(); });
  m.def("make_links", &make_links);
  m.def("arriving_links", &arriving_links);
}

}  // namespace mmlfast::bind
