#include "bind/gufunc.hpp"
#include "bind/registers.hpp"
#include "drivers/row_echelon.hpp"

namespace mmlfast::bind {
namespace {

template <class T, bool Reduced, bool HasTolerance>
Outcome echelon(GufuncCall<T>& call) {
  const auto a = call.template matrix<const T>(0, 1);
  Batch<const double> tol{nullptr, 0, {1, 1, 1, 1}};
  if constexpr (HasTolerance) tol = call.template number<const double>();
  drivers::EchelonForms<T> out;
  out.form = call.template matrix<T>(0, 1);
  out.is_pivot = call.template column<bool>(1);
  out.rank = call.template number<std::int64_t>();
  out.gap = call.template number<double>();
  return drivers::row_echelon<T>(call.n_items(), a, tol, Reduced, out);
}

template <class T>
Outcome reduced(GufuncCall<T>& call) {
  return echelon<T, true, false>(call);
}
template <class T>
Outcome reduced_tol(GufuncCall<T>& call) {
  return echelon<T, true, true>(call);
}
template <class T>
Outcome upper(GufuncCall<T>& call) {
  return echelon<T, false, false>(call);
}
template <class T>
Outcome upper_tol(GufuncCall<T>& call) {
  return echelon<T, false, true>(call);
}

}  // namespace

void register_row_echelon(py::module_& m) {
  constexpr const char *plain = "(m,n)->(m,n),(n),(),()", *with_tol = "(m,n),()->(m,n),(n),(),()";
  add_gufunc(m, {"row_echelon", plain, nullptr}, MMLFAST_LOOPS(reduced, "d->d?qd", "f->f?qd"));
  add_gufunc(m, {"row_echelon_tol", with_tol, nullptr}, MMLFAST_LOOPS(reduced_tol, "dd->d?qd", "fd->f?qd"));
  add_gufunc(m, {"row_echelon_upper", plain, nullptr}, MMLFAST_LOOPS(upper, "d->d?qd", "f->f?qd"));
  add_gufunc(m, {"row_echelon_upper_tol", with_tol, nullptr}, MMLFAST_LOOPS(upper_tol, "dd->d?qd", "fd->f?qd"));
}

}  // namespace mmlfast::bind
