#include "bind/gufunc.hpp"
#include "bind/registers.hpp"
#include "drivers/eigh.hpp"

namespace mmlfast::bind {
namespace {

using drivers::Triangle;

template <Triangle Which, class T>
Outcome eigh_of(GufuncCall<T>& call) {
  const auto a = call.template matrix<const T>(0, 0);
  const auto values = call.template column<T>(0);
  return drivers::eigh<T>(call.n_items(), a, Which, values, call.template matrix<T>(0, 0));
}

template <Triangle Which, class T>
Outcome eigvalsh_of(GufuncCall<T>& call) {
  const auto a = call.template matrix<const T>(0, 0);
  return drivers::eigvalsh<T>(call.n_items(), a, Which, call.template column<T>(0));
}

}  // namespace

void register_eigh(py::module_& m) {
  constexpr const char* failed = "Eigenvalues did not converge";
  add_gufunc(m, {"eigh", "(n,n)->(n),(n,n)", failed}, MMLFAST_LOOPS(eigh_of<Triangle::lower>, "d->dd", "f->ff"));
  add_gufunc(m, {"eigh_upper", "(n,n)->(n),(n,n)", failed}, MMLFAST_LOOPS(eigh_of<Triangle::upper>, "d->dd", "f->ff"));
  add_gufunc(m, {"eigvalsh", "(n,n)->(n)", failed}, MMLFAST_LOOPS(eigvalsh_of<Triangle::lower>, "d->d", "f->f"));
  add_gufunc(m, {"eigvalsh_upper", "(n,n)->(n)", failed}, MMLFAST_LOOPS(eigvalsh_of<Triangle::upper>, "d->d", "f->f"));
}

}  // namespace mmlfast::bind
