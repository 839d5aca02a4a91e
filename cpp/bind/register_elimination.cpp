#include "bind/gufunc.hpp"
#include "bind/registers.hpp"
#include "drivers/elimination.hpp"

namespace mmlfast::bind {
namespace {

template <class T>
Outcome solve_matrix(GufuncCall<T>& call) {
  const auto a = call.template matrix<const T>(0, 0), b = call.template matrix<const T>(0, 1);
  return drivers::solve<T>(call.n_items(), a, b, call.template matrix<T>(0, 1));
}

template <class T>
Outcome solve_vector(GufuncCall<T>& call) {
  const auto a = call.template matrix<const T>(0, 0);
  const auto b = call.template column<const T>(0);
  return drivers::solve<T>(call.n_items(), a, b, call.template column<T>(0));
}

template <class T>
Outcome inverse(GufuncCall<T>& call) {
  const auto a = call.template matrix<const T>(0, 0);
  return drivers::inverse<T>(call.n_items(), a, call.template matrix<T>(0, 0));
}

template <class T>
Outcome determinant(GufuncCall<T>& call) {
  const auto a = call.template matrix<const T>(0, 0);
  return drivers::determinant<T>(call.n_items(), a, call.template number<T>());
}

template <class T>
Outcome log_determinant(GufuncCall<T>& call) {
  const auto a = call.template matrix<const T>(0, 0);
  const auto sign = call.template number<T>();
  return drivers::log_determinant<T>(call.n_items(), a, sign, call.template number<T>());
}

template <class T>
Outcome is_exactly_singular(GufuncCall<T>& call) {
  const auto a = call.template matrix<const T>(0, 0);
  return drivers::is_exactly_singular<T>(call.n_items(), a, call.template number<bool>());
}

}  // namespace

void register_elimination(py::module_& m) {
  constexpr const char* singular = "Singular matrix";
  add_gufunc(m, {"solve", "(n,n),(n,m)->(n,m)", singular}, MMLFAST_LOOPS(solve_matrix, "dd->d", "ff->f"));
  add_gufunc(m, {"solve_vector", "(n,n),(n)->(n)", singular}, MMLFAST_LOOPS(solve_vector, "dd->d", "ff->f"));
  add_gufunc(m, {"inv", "(n,n)->(n,n)", singular}, MMLFAST_LOOPS(inverse, "d->d", "f->f"));
  add_gufunc(m, {"det", "(n,n)->()", nullptr}, MMLFAST_LOOPS(determinant, "d->d", "f->f"));
  add_gufunc(m, {"slogdet", "(n,n)->(),()", nullptr}, MMLFAST_LOOPS(log_determinant, "d->dd", "f->ff"));
  add_gufunc(m, {"is_exactly_singular", "(n,n)->()", nullptr}, MMLFAST_LOOPS(is_exactly_singular, "d->?", "f->?"));
}

}  // namespace mmlfast::bind
