#include "bind/gufunc.hpp"
#include "bind/registers.hpp"
#include "drivers/elimination.hpp"
#include "drivers/exact_elimination.hpp"

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

// For functions of this library that judge the condition themselves.
template <class T>
Outcome inverse_unwarned(GufuncCall<T>& call) {
  return {inverse<T>(call).status};
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

template <class I, class J>
Outcome exact_solve_matrix(GufuncCall<I>& call) {
  const auto a = call.template matrix<const I>(0, 0);
  const auto b = call.template matrix<const J>(0, 1);
  return drivers::exact_solve<I, J>(call.n_items(), a, b, call.template matrix<double>(0, 1));
}

template <class I, class J>
Outcome exact_solve_vector(GufuncCall<I>& call) {
  const auto a = call.template matrix<const I>(0, 0);
  const auto b = call.template column<const J>(0);
  return drivers::exact_solve<I, J>(call.n_items(), a, b, call.template column<double>(0));
}

template <class I>
Outcome exact_inverse(GufuncCall<I>& call) {
  const auto a = call.template matrix<const I>(0, 0);
  return drivers::exact_inverse<I>(call.n_items(), a, call.template matrix<double>(0, 0));
}

template <class I>
Outcome is_singular(GufuncCall<I>& call) {
  const auto a = call.template matrix<const I>(0, 0);
  return drivers::is_singular<I>(call.n_items(), a, call.template number<bool>());
}

template <class I>
Outcome exact_determinant(GufuncCall<I>& call) {
  const auto a = call.template matrix<const I>(0, 0);
  return drivers::exact_determinant<I>(call.n_items(), a, call.template number<double>());
}

template <class I>
Outcome exact_log_determinant(GufuncCall<I>& call) {
  const auto a = call.template matrix<const I>(0, 0);
  const auto sign = call.template number<double>();
  return drivers::exact_log_determinant<I>(call.n_items(), a, sign, call.template number<double>());
}

template <class T>
Outcome is_exactly_singular(GufuncCall<T>& call) {
  const auto a = call.template matrix<const T>(0, 0);
  return drivers::is_exactly_singular<T>(call.n_items(), a, call.template number<bool>());
}

// The dimensions of a are 0 and 1; `Short` is the smaller one, which only the signature can tell.
template <class T, int Short>
Outcome lu_matrix(GufuncCall<T>& call) {
  const auto a = call.template matrix<const T>(0, 1);
  const auto p = call.template matrix<T>(0, 0), l = call.template matrix<T>(0, Short);
  return drivers::lu<T>({call.n_items(), a, &p, nullptr, l, call.template matrix<T>(Short, 1)});
}

template <class T, int Short>
Outcome lu_indices(GufuncCall<T>& call) {
  const auto a = call.template matrix<const T>(0, 1);
  const auto index = call.template column<std::int32_t>(0);
  const auto l = call.template matrix<T>(0, Short);
  return drivers::lu<T>({call.n_items(), a, nullptr, &index, l, call.template matrix<T>(Short, 1)});
}

template <class T, int Short>
Outcome lu_permuted(GufuncCall<T>& call) {
  const auto a = call.template matrix<const T>(0, 1);
  const auto l = call.template matrix<T>(0, Short);
  return drivers::lu<T>({call.n_items(), a, nullptr, nullptr, l, call.template matrix<T>(Short, 1)});
}

template <class T>
Outcome lu_tall(GufuncCall<T>& call) {
  return lu_matrix<T, 1>(call);
}
template <class T>
Outcome lu_wide(GufuncCall<T>& call) {
  return lu_matrix<T, 0>(call);
}
template <class T>
Outcome lu_tall_indices(GufuncCall<T>& call) {
  return lu_indices<T, 1>(call);
}
template <class T>
Outcome lu_wide_indices(GufuncCall<T>& call) {
  return lu_indices<T, 0>(call);
}
template <class T>
Outcome lu_tall_permuted(GufuncCall<T>& call) {
  return lu_permuted<T, 1>(call);
}
template <class T>
Outcome lu_wide_permuted(GufuncCall<T>& call) {
  return lu_permuted<T, 0>(call);
}

}  // namespace

// Integers beside integers, beside floating point, and floating point alone, in the order in which NumPy looks.
#define MMLFAST_SOLVE_LOOP(body, I, J, types) \
  {[](GufuncFrame& f) { return body<I, J>(static_cast<GufuncCall<I>&>(f)); }, types}
#define MMLFAST_SOLVE_LOOPS(exact, body)                                \
  {                                                                     \
      MMLFAST_SOLVE_LOOP(exact, std::int64_t, std::int64_t, "qq->d"),   \
      MMLFAST_SOLVE_LOOP(exact, std::uint64_t, std::uint64_t, "QQ->d"), \
      MMLFAST_SOLVE_LOOP(exact, std::int64_t, std::uint64_t, "qQ->d"),  \
      MMLFAST_SOLVE_LOOP(exact, std::uint64_t, std::int64_t, "Qq->d"),  \
      MMLFAST_SOLVE_LOOP(exact, std::int64_t, double, "qd->d"),         \
      MMLFAST_SOLVE_LOOP(exact, std::uint64_t, double, "Qd->d"),        \
      MMLFAST_LOOP(body, double, "dd->d"),                              \
      MMLFAST_LOOP(body, float, "ff->f"),                               \
  }

void register_elimination(py::module_& m) {
  constexpr const char* singular = "Singular matrix";
  add_gufunc(m, {"solve", "(n,n),(n,m)->(n,m)", singular}, MMLFAST_SOLVE_LOOPS(exact_solve_matrix, solve_matrix));
  add_gufunc(m, {"solve_vector", "(n,n),(n)->(n)", singular}, MMLFAST_SOLVE_LOOPS(exact_solve_vector, solve_vector));
  add_gufunc(m, {"inv", "(n,n)->(n,n)", singular},
             MMLFAST_LOOPS_OF_INTEGERS_TOO(exact_inverse, "q->d", "Q->d", inverse, "d->d", "f->f"));
  add_gufunc(m, {"inv_unwarned", "(n,n)->(n,n)", singular}, MMLFAST_LOOPS(inverse_unwarned, "d->d", "f->f"));
  add_gufunc(m, {"det", "(n,n)->()", nullptr},
             MMLFAST_LOOPS_OF_INTEGERS_TOO(exact_determinant, "q->d", "Q->d", determinant, "d->d", "f->f"));
  add_gufunc(m, {"slogdet", "(n,n)->(),()", nullptr},
             MMLFAST_LOOPS_OF_INTEGERS_TOO(exact_log_determinant, "q->dd", "Q->dd", log_determinant, "d->dd", "f->ff"));
  add_gufunc(m, {"is_exactly_singular", "(n,n)->()", nullptr},
             MMLFAST_LOOPS_OF_INTEGERS_TOO(is_singular, "q->?", "Q->?", is_exactly_singular, "d->?", "f->?"));
  add_gufunc(m, {"lu_tall", "(m,n)->(m,m),(m,n),(n,n)", nullptr}, MMLFAST_LOOPS(lu_tall, "d->ddd", "f->fff"));
  add_gufunc(m, {"lu_wide", "(m,n)->(m,m),(m,m),(m,n)", nullptr}, MMLFAST_LOOPS(lu_wide, "d->ddd", "f->fff"));
  add_gufunc(m, {"lu_tall_indices", "(m,n)->(m),(m,n),(n,n)", nullptr},
             MMLFAST_LOOPS(lu_tall_indices, "d->idd", "f->iff"));
  add_gufunc(m, {"lu_wide_indices", "(m,n)->(m),(m,m),(m,n)", nullptr},
             MMLFAST_LOOPS(lu_wide_indices, "d->idd", "f->iff"));
  add_gufunc(m, {"lu_tall_permuted", "(m,n)->(m,n),(n,n)", nullptr}, MMLFAST_LOOPS(lu_tall_permuted, "d->dd", "f->ff"));
  add_gufunc(m, {"lu_wide_permuted", "(m,n)->(m,m),(m,n)", nullptr}, MMLFAST_LOOPS(lu_wide_permuted, "d->dd", "f->ff"));
}

}  // namespace mmlfast::bind
