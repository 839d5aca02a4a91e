#include "bind/gufunc.hpp"
#include "bind/registers.hpp"
#include "drivers/eigh.hpp"

namespace mmlfast::bind {
namespace {

using drivers::Triangle;

template <class T>
Outcome eigh_of(GufuncFrame& f, Triangle which) {
  const auto a = f.matrix<const T>(0, 0);
  const auto values = f.column<T>(0);
  return drivers::eigh<T>(f.n_items(), a, which, values, f.matrix<T>(0, 0));
}

template <class T>
Outcome eigvalsh_of(GufuncFrame& f, Triangle which) {
  const auto a = f.matrix<const T>(0, 0);
  return drivers::eigvalsh<T>(f.n_items(), a, which, f.column<T>(0));
}

}  // namespace

void register_eigh(PyObject* m) {
  constexpr const char* failed = "Eigenvalues did not converge";
  add_gufunc(m, {"eigh", "(n,n)->(n),(n,n)", failed},
             floats("t->tt", []<class T>(GufuncFrame& f) { return eigh_of<T>(f, Triangle::lower); }));
  add_gufunc(m, {"eigh_upper", "(n,n)->(n),(n,n)", failed},
             floats("t->tt", []<class T>(GufuncFrame& f) { return eigh_of<T>(f, Triangle::upper); }));
  add_gufunc(m, {"eigvalsh", "(n,n)->(n)", failed},
             floats("t->t", []<class T>(GufuncFrame& f) { return eigvalsh_of<T>(f, Triangle::lower); }));
  add_gufunc(m, {"eigvalsh_upper", "(n,n)->(n)", failed},
             floats("t->t", []<class T>(GufuncFrame& f) { return eigvalsh_of<T>(f, Triangle::upper); }));
}

}  // namespace mmlfast::bind
