#include "bind/gufunc.hpp"
#include "bind/registers.hpp"
#include "drivers/cholesky.hpp"

namespace mmlfast::bind {
namespace {

template <class T>
Outcome lower(GufuncCall<T>& call) {
  const auto a = call.template matrix<const T>(0, 0);
  return drivers::cholesky<T>(call.n_items(), a, call.template matrix<T>(0, 0), false);
}

template <class T>
Outcome upper(GufuncCall<T>& call) {
  const auto a = call.template matrix<const T>(0, 0);
  return drivers::cholesky<T>(call.n_items(), a, call.template matrix<T>(0, 0), true);
}

}  // namespace

void register_cholesky(py::module_& m) {
  constexpr const char* not_positive = "Matrix is not positive definite";
  add_gufunc(m, {"cholesky", "(n,n)->(n,n)", not_positive}, MMLFAST_LOOPS(lower, "d->d", "f->f"));
  add_gufunc(m, {"cholesky_upper", "(n,n)->(n,n)", not_positive}, MMLFAST_LOOPS(upper, "d->d", "f->f"));
}

}  // namespace mmlfast::bind
