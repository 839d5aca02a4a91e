#include "bind/gufunc.hpp"
#include "bind/registers.hpp"
#include "drivers/matmul.hpp"

namespace mmlfast::bind {
namespace {

template <class T>
Outcome matmul(GufuncCall<T>& call) {
  const auto a = call.template matrix<const T>(0, 1);
  const auto b = call.template matrix<const T>(1, 2);
  return drivers::matmul<T>(call.n_items(), a, b, call.template matrix<T>(0, 2));
}

template <class T>
Outcome matvec(GufuncCall<T>& call) {
  const auto a = call.template matrix<const T>(0, 1);
  const auto x = call.template column<const T>(1);
  return drivers::matvec<T>(call.n_items(), a, x, call.template column<T>(0));
}

template <class T>
Outcome vecdot(GufuncCall<T>& call) {
  const auto x = call.template column<const T>(0);
  const auto y = call.template column<const T>(0);
  return drivers::vecdot<T>(call.n_items(), x, y, call.template number<T>());
}

}  // namespace

void register_matmul(py::module_& m) {
  add_gufunc(m, {"matmul", "(m?,k),(k,n?)->(m?,n?)", nullptr}, MMLFAST_LOOPS(matmul, "dd->d", "ff->f"));
  add_gufunc(m, {"matvec", "(m,k),(k)->(m)", nullptr}, MMLFAST_LOOPS(matvec, "dd->d", "ff->f"));
  add_gufunc(m, {"vecdot", "(k),(k)->()", nullptr}, MMLFAST_LOOPS(vecdot, "dd->d", "ff->f"));
}

}  // namespace mmlfast::bind
