#include "bind/gufunc.hpp"
#include "bind/registers.hpp"
#include "drivers/elimination.hpp"
#include "drivers/exact_elimination.hpp"

namespace mmlfast::bind {
namespace {

constexpr const char* singular = "Singular matrix";

template <class T, bool Vector>
auto right_hand_side(GufuncFrame& f) {
  if constexpr (Vector)
    return f.column<T>(0);
  else
    return f.matrix<T>(0, 1);
}

template <class T, bool Vector>
Outcome solve(GufuncFrame& f) {
  const auto a = f.matrix<const T>(0, 0);
  const auto b = right_hand_side<const T, Vector>(f);
  return drivers::solve<T>(f.n_items(), a, b, right_hand_side<T, Vector>(f));
}

// A matrix of I with a right-hand side of J.
template <class I, class J, bool Vector>
Outcome exact_solve(GufuncFrame& f) {
  const auto a = f.matrix<const I>(0, 0);
  const auto b = right_hand_side<const J, Vector>(f);
  return drivers::exact_solve<I, J>(f.n_items(), a, b, right_hand_side<double, Vector>(f));
}

template <bool Vector>
void add_solve(PyObject* m, const char* name, const char* signature) {
  using Signed = std::int64_t;
  using Unsigned = std::uint64_t;
  // Integers beside integers, beside floating point, and floating point alone, in the order in which NumPy looks.
  const std::array mixed{
      loop_of<Signed>('q', "tQ->d", []<class I>(GufuncFrame& f) { return exact_solve<I, Unsigned, Vector>(f); }),
      loop_of<Unsigned>('Q', "tq->d", []<class I>(GufuncFrame& f) { return exact_solve<I, Signed, Vector>(f); })};
  add_gufunc(m, {name, signature, singular},
             integers("tt->d", []<class I>(GufuncFrame& f) { return exact_solve<I, I, Vector>(f); }) + mixed +
                 integers("td->d", []<class I>(GufuncFrame& f) { return exact_solve<I, double, Vector>(f); }) +
                 floats("tt->t", []<class T>(GufuncFrame& f) { return solve<T, Vector>(f); }));
}

template <class T>
Outcome inverse(GufuncFrame& f) {
  const auto a = f.matrix<const T>(0, 0);
  return drivers::inverse<T>(f.n_items(), a, f.matrix<T>(0, 0));
}

template <class T>
Outcome determinant(GufuncFrame& f) {
  const auto a = f.matrix<const T>(0, 0);
  return drivers::determinant<T>(f.n_items(), a, f.number<T>());
}

template <class T>
Outcome log_determinant(GufuncFrame& f) {
  const auto a = f.matrix<const T>(0, 0);
  const auto sign = f.number<T>();
  return drivers::log_determinant<T>(f.n_items(), a, sign, f.number<T>());
}

template <class T>
Outcome is_exactly_singular(GufuncFrame& f) {
  const auto a = f.matrix<const T>(0, 0);
  return drivers::is_exactly_singular<T>(f.n_items(), a, f.number<bool>());
}

template <class I>
Outcome exact_inverse(GufuncFrame& f) {
  const auto a = f.matrix<const I>(0, 0);
  return drivers::exact_inverse<I>(f.n_items(), a, f.matrix<double>(0, 0));
}

template <class I>
Outcome exact_determinant(GufuncFrame& f) {
  const auto a = f.matrix<const I>(0, 0);
  return drivers::exact_determinant<I>(f.n_items(), a, f.number<double>());
}

template <class I>
Outcome exact_log_determinant(GufuncFrame& f) {
  const auto a = f.matrix<const I>(0, 0);
  const auto sign = f.number<double>();
  return drivers::exact_log_determinant<I>(f.n_items(), a, sign, f.number<double>());
}

template <class I>
Outcome is_singular(GufuncFrame& f) {
  const auto a = f.matrix<const I>(0, 0);
  return drivers::is_singular<I>(f.n_items(), a, f.number<bool>());
}

// The core dimensions of a are 0 and 1; `p` is the smaller one, which only the signature can tell. What there is of P:
// a matrix, the indices of its rows, or nothing (L is permuted then).
enum class Permutation { matrix, indices, none };

template <class T>
Outcome lu(GufuncFrame& f, Permutation form, int p) {
  const auto a = f.matrix<const T>(0, 1);
  Batch<T> matrix{};
  Batch<std::int32_t> indices{};
  if (form == Permutation::matrix) matrix = f.matrix<T>(0, 0);
  if (form == Permutation::indices) indices = f.column<std::int32_t>(0);
  const auto l = f.matrix<T>(0, p);
  return drivers::lu<T>({f.n_items(), a, form == Permutation::matrix ? &matrix : nullptr,
                         form == Permutation::indices ? &indices : nullptr, l, f.matrix<T>(p, 1)});
}

void add_lu(PyObject* m) {
  add_gufunc(m, {"lu_tall", "(m,n)->(m,m),(m,n),(n,n)", nullptr},
             floats("t->ttt", []<class T>(GufuncFrame& f) { return lu<T>(f, Permutation::matrix, 1); }));
  add_gufunc(m, {"lu_wide", "(m,n)->(m,m),(m,m),(m,n)", nullptr},
             floats("t->ttt", []<class T>(GufuncFrame& f) { return lu<T>(f, Permutation::matrix, 0); }));
  add_gufunc(m, {"lu_tall_indices", "(m,n)->(m),(m,n),(n,n)", nullptr},
             floats("t->itt", []<class T>(GufuncFrame& f) { return lu<T>(f, Permutation::indices, 1); }));
  add_gufunc(m, {"lu_wide_indices", "(m,n)->(m),(m,m),(m,n)", nullptr},
             floats("t->itt", []<class T>(GufuncFrame& f) { return lu<T>(f, Permutation::indices, 0); }));
  add_gufunc(m, {"lu_tall_permuted", "(m,n)->(m,n),(n,n)", nullptr},
             floats("t->tt", []<class T>(GufuncFrame& f) { return lu<T>(f, Permutation::none, 1); }));
  add_gufunc(m, {"lu_wide_permuted", "(m,n)->(m,m),(m,n)", nullptr},
             floats("t->tt", []<class T>(GufuncFrame& f) { return lu<T>(f, Permutation::none, 0); }));
}

}  // namespace

void register_elimination(PyObject* m) {
  add_solve<false>(m, "solve", "(n,n),(n,m)->(n,m)");
  add_solve<true>(m, "solve_vector", "(n,n),(n)->(n)");
  add_gufunc(m, {"inv", "(n,n)->(n,n)", singular},
             integers("t->d", []<class I>(GufuncFrame& f) { return exact_inverse<I>(f); }) +
                 floats("t->t", []<class T>(GufuncFrame& f) { return inverse<T>(f); }));
  // For functions of this library that judge the condition themselves.
  add_gufunc(m, {"inv_unwarned", "(n,n)->(n,n)", singular}, floats("t->t", []<class T>(GufuncFrame& f) {
               Outcome outcome = inverse<T>(f);
               outcome.rcond = 1;
               return outcome;
             }));
  add_gufunc(m, {"det", "(n,n)->()", nullptr},
             integers("t->d", []<class I>(GufuncFrame& f) { return exact_determinant<I>(f); }) +
                 floats("t->t", []<class T>(GufuncFrame& f) { return determinant<T>(f); }));
  add_gufunc(m, {"slogdet", "(n,n)->(),()", nullptr},
             integers("t->dd", []<class I>(GufuncFrame& f) { return exact_log_determinant<I>(f); }) +
                 floats("t->tt", []<class T>(GufuncFrame& f) { return log_determinant<T>(f); }));
  add_gufunc(m, {"is_exactly_singular", "(n,n)->()", nullptr},
             integers("t->?", []<class I>(GufuncFrame& f) { return is_singular<I>(f); }) +
                 floats("t->?", []<class T>(GufuncFrame& f) { return is_exactly_singular<T>(f); }));
  add_lu(m);
}

}  // namespace mmlfast::bind
