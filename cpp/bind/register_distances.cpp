#include "bind/gufunc.hpp"
#include "bind/registers.hpp"
#include "drivers/distances.hpp"

namespace mmlfast::bind {
namespace {

// The core dimensions are numbered in order of appearance: n, d, m.
template <bool squared, class T>
Outcome all_pairs(GufuncFrame& f) {
  const auto x = f.matrix<const T>(0, 1);
  const auto y = f.matrix<const T>(2, 1);
  return drivers::distances<T>(f.n_items(), x, y, squared, f.matrix<T>(0, 2));
}

}  // namespace

void register_distances(PyObject* m) {
  add_gufunc(m, {"cdist", "(n,d),(m,d)->(n,m)", nullptr},
             floats("tt->t", []<class T>(GufuncFrame& f) { return all_pairs<false, T>(f); }));
  add_gufunc(m, {"cdist_squared", "(n,d),(m,d)->(n,m)", nullptr},
             floats("tt->t", []<class T>(GufuncFrame& f) { return all_pairs<true, T>(f); }));
}

}  // namespace mmlfast::bind
