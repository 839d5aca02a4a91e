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
Batch<T> square(GufuncFrame& f) {
  return f.matrix<T>(0, 0);
}

template <class T>
Outcome inverse(GufuncFrame& f) {
  return f.run(drivers::inverse<T>, {square<const T>(f), square<T>(f)});
}

// The core dimensions of a are 0 and 1; `p` is the smaller one, which only the signature can tell. What there is of P:
// a matrix, the indices of its rows, or nothing (L is permuted then).
enum class Permutation { matrix, indices, none };

template <Permutation form, class T>
Outcome lu(GufuncFrame& f, int p) {
  const auto a = f.matrix<const T>(0, 1);
  Batch<T> matrix{};
  Batch<std::int32_t> indices{};
  if (form == Permutation::matrix) matrix = f.matrix<T>(0, 0);
  if (form == Permutation::indices) indices = f.column<std::int32_t>(0);
  const auto l = f.matrix<T>(0, p);
  return drivers::lu<T>({f.n_items(), a, form == Permutation::matrix ? &matrix : nullptr,
                         form == Permutation::indices ? &indices : nullptr, l, f.matrix<T>(p, 1)});
}

template <Permutation form>
void add_lu(PyObject* m, const char* types, const GufuncSpec& tall, const GufuncSpec& wide) {
  add_gufunc(m, tall, floats(types, []<class T>(GufuncFrame& f) { return lu<form, T>(f, 1); }));
  add_gufunc(m, wide, floats(types, []<class T>(GufuncFrame& f) { return lu<form, T>(f, 0); }));
}

void add_inverse(PyObject* m) {
  add_gufunc(m, {"inv", "(n,n)->(n,n)", singular},
             integers("t->d", []<class I>(GufuncFrame& f) {
               return f.run(drivers::exact_inverse<I>, {square<const I>(f), square<double>(f)});
             }) + floats("t->t", []<class T>(GufuncFrame& f) { return inverse<T>(f); }));
  // For functions of this library that judge the condition themselves.
  add_gufunc(m, {"inv_unwarned", "(n,n)->(n,n)", singular}, floats("t->t", []<class T>(GufuncFrame& f) {
               const Outcome outcome = inverse<T>(f);
               return outcome.ok() ? Outcome{} : outcome;
             }));
}

void add_determinants(PyObject* m) {
  add_gufunc(m, {"det", "(n,n)->()", nullptr},
             integers("t->d", []<class I>(GufuncFrame& f) {
               return f.run(drivers::exact_determinant<I>, {square<const I>(f), f.number<double>()});
             }) + floats("t->t", []<class T>(GufuncFrame& f) {
               return f.run(drivers::determinant<T>, {square<const T>(f), f.number<T>()});
             }));
  add_gufunc(m, {"slogdet", "(n,n)->(),()", nullptr},
             integers("t->dd", []<class I>(GufuncFrame& f) {
               return f.run(drivers::exact_log_determinant<I>,
                            {square<const I>(f), f.number<double>(), f.number<double>()});
             }) + floats("t->tt", []<class T>(GufuncFrame& f) {
               return f.run(drivers::log_determinant<T>, {square<const T>(f), f.number<T>(), f.number<T>()});
             }));
  add_gufunc(m, {"is_exactly_singular", "(n,n)->()", nullptr},
             integers("t->?", []<class I>(GufuncFrame& f) {
               return f.run(drivers::is_singular<I>, {square<const I>(f), f.number<bool>()});
             }) + floats("t->?", []<class T>(GufuncFrame& f) {
               return f.run(drivers::is_exactly_singular<T>, {square<const T>(f), f.number<bool>()});
             }));
}

}  // namespace

void register_elimination(PyObject* m) {
  add_solve<false>(m, "solve", "(n,n),(n,m)->(n,m)");
  add_solve<true>(m, "solve_vector", "(n,n),(n)->(n)");
  add_inverse(m);
  add_determinants(m);
  add_lu<Permutation::matrix>(m, "t->ttt", {"lu_tall", "(m,n)->(m,m),(m,n),(n,n)", nullptr},
                              {"lu_wide", "(m,n)->(m,m),(m,m),(m,n)", nullptr});
  add_lu<Permutation::indices>(m, "t->itt", {"lu_tall_indices", "(m,n)->(m),(m,n),(n,n)", nullptr},
                               {"lu_wide_indices", "(m,n)->(m),(m,m),(m,n)", nullptr});
  add_lu<Permutation::none>(m, "t->tt", {"lu_tall_permuted", "(m,n)->(m,n),(n,n)", nullptr},
                            {"lu_wide_permuted", "(m,n)->(m,m),(m,n)", nullptr});
}

}  // namespace mmlfast::bind
