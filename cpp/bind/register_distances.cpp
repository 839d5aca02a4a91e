#include "bind/gufunc.hpp"
#include "bind/registers.hpp"
#include "drivers/distances.hpp"

namespace mmlfast::bind {
namespace {

template <bool squared, class T>
Outcome all_pairs(GufuncCall<T>& call) {
  const auto x = call.template matrix<const T>(0, 1);
  const auto y = call.template matrix<const T>(2, 1);
  return drivers::distances<T>(call.n_items(), x, y, squared, call.template matrix<T>(0, 2));
}

template <class T>
Outcome plain(GufuncCall<T>& call) {
  return all_pairs<false>(call);
}
template <class T>
Outcome squares(GufuncCall<T>& call) {
  return all_pairs<true>(call);
}

}  // namespace

void register_distances(py::module_& m) {
  // The core dimensions are numbered in order of appearance: n, d, m.
  add_gufunc(m, {"cdist", "(n,d),(m,d)->(n,m)", nullptr}, MMLFAST_LOOPS(plain, "dd->d", "ff->f"));
  add_gufunc(m, {"cdist_squared", "(n,d),(m,d)->(n,m)", nullptr}, MMLFAST_LOOPS(squares, "dd->d", "ff->f"));
}

}  // namespace mmlfast::bind
