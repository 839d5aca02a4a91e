#include "bind/gufunc.hpp"
#include "bind/registers.hpp"
#include "drivers/row_echelon.hpp"

namespace mmlfast::bind {
namespace {

template <class T>
Outcome echelon(GufuncFrame& f, bool reduced, bool has_tolerance) {
  const auto a = f.matrix<const T>(0, 1);
  Batch<const double> tol{nullptr, 0, {1, 1, 1, 1}};
  if (has_tolerance) tol = f.number<const double>();
  drivers::EchelonForms<T> out;
  out.form = f.matrix<T>(0, 1);
  out.is_pivot = f.column<bool>(1);
  out.rank = f.number<std::int64_t>();
  out.gap = f.number<double>();
  return drivers::row_echelon<T>(f.n_items(), a, tol, reduced, out);
}

}  // namespace

void register_row_echelon(PyObject* m) {
  constexpr const char *plain = "(m,n)->(m,n),(n),(),()", *with_tol = "(m,n),()->(m,n),(n),(),()";
  add_gufunc(m, {"row_echelon", plain, nullptr},
             floats("t->t?qd", []<class T>(GufuncFrame& f) { return echelon<T>(f, true, false); }));
  add_gufunc(m, {"row_echelon_tol", with_tol, nullptr},
             floats("td->t?qd", []<class T>(GufuncFrame& f) { return echelon<T>(f, true, true); }));
  add_gufunc(m, {"row_echelon_upper", plain, nullptr},
             floats("t->t?qd", []<class T>(GufuncFrame& f) { return echelon<T>(f, false, false); }));
  add_gufunc(m, {"row_echelon_upper_tol", with_tol, nullptr},
             floats("td->t?qd", []<class T>(GufuncFrame& f) { return echelon<T>(f, false, true); }));
}

}  // namespace mmlfast::bind
