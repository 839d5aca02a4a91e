#include "bind/gufunc.hpp"
#include "bind/registers.hpp"
#include "drivers/cholesky.hpp"

namespace mmlfast::bind {
namespace {

template <class T>
Outcome factor(GufuncFrame& f, bool upper) {
  const auto a = f.matrix<const T>(0, 0);
  return drivers::cholesky<T>(f.n_items(), a, f.matrix<T>(0, 0), upper);
}

}  // namespace

void register_cholesky(PyObject* m) {
  constexpr const char* not_positive = "Matrix is not positive definite";
  add_gufunc(m, {"cholesky", "(n,n)->(n,n)", not_positive},
             floats("t->t", []<class T>(GufuncFrame& f) { return factor<T>(f, false); }));
  add_gufunc(m, {"cholesky_upper", "(n,n)->(n,n)", not_positive},
             floats("t->t", []<class T>(GufuncFrame& f) { return factor<T>(f, true); }));
}

}  // namespace mmlfast::bind
