#include <pybind11/stl.h>

#include <optional>
#include <vector>

#include "bind/gufunc.hpp"
#include "bind/links_object.hpp"
#include "bind/pybind.hpp"
#include "bind/registers.hpp"
#include "drivers/pagerank.hpp"
#include "drivers/pagerank_dense.hpp"

namespace mmlfast::bind {
namespace {

using Doubles = py::array_t<double, py::array::c_style>;

// personalization, dangling (or None) and start (or None): n numbers, checked and normalised in Python. (score,
// error_bound, n_iter, converged).
py::tuple pagerank(const LinksObject& graph, const Doubles& personalization, const std::optional<Doubles>& dangling,
                   double damping, double tol, Size max_iter, const std::optional<Doubles>& start) {
  Doubles score(graph.links.n_nodes());
  drivers::RankCertificate certificate;
  const drivers::RankVectors vectors{personalization.data(), dangling ? dangling->data() : nullptr,
                                     start ? start->data() : nullptr};
  double* to = score.mutable_data();
  run_without_gil([&] { return drivers::pagerank(graph.links, vectors, {damping, tol, max_iter}, to, certificate); });
  return py::make_tuple(score, certificate.error_bound, certificate.n_iter, certificate.converged);
}

// personalization: k x n numbers; damping, below 1: k numbers. Arrays of k as above.
py::tuple pagerank_many(const LinksObject& graph, const Doubles& personalization, const Doubles& damping, double tol,
                        Size max_iter) {
  const Size count = personalization.shape(0);
  Doubles score({count, graph.links.n_nodes()}), error_bound(count);
  py::array_t<std::int64_t> n_iter(count);
  py::array_t<bool> converged(count);
  std::vector<drivers::RankStop> stop(static_cast<std::size_t>(count));
  for (Size i = 0; i < count; ++i) stop[static_cast<std::size_t>(i)] = {damping.at(i), tol, max_iter};
  std::vector<drivers::RankCertificate> certificate(stop.size());
  const double* from = personalization.data();
  double* to = score.mutable_data();
  run_without_gil([&] {
    const Outcome outcome = graph.find_components();
    if (!outcome.ok()) return outcome;
    return drivers::pagerank_many(graph.links, graph.components(), count, from, stop.data(), to, certificate.data());
  });
  for (Size i = 0; i < count; ++i) {
    const drivers::RankCertificate& c = certificate[static_cast<std::size_t>(i)];
    error_bound.mutable_at(i) = c.error_bound;
    n_iter.mutable_at(i) = c.n_iter;
    converged.mutable_at(i) = c.converged;
  }
  return py::make_tuple(score, error_bound, n_iter, converged);
}

Outcome pagerank_dense(GufuncFrame& f) {
  const auto links = f.matrix<const double>(0, 0);
  const auto jumps = f.column<const double>(0), dangling = f.column<const double>(0),
             damping = f.number<const double>();
  const auto score = f.column<double>(0);
  return drivers::pagerank_dense(f.n_items(), links, jumps, dangling, damping, score, f.number<double>());
}

}  // namespace

void register_pagerank(PyObject* module) {
  py::module_ m = module_of(module);
  m.def("pagerank", &pagerank);
  m.def("pagerank_many", &pagerank_many);
  add_gufunc(module, {"pagerank_dense", "(n,n),(n),(n),()->(n),()", nullptr},
             std::array{GufuncLoop{pagerank_dense, 'd', "dddd->dd"}});
}

}  // namespace mmlfast::bind
