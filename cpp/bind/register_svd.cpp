#include "bind/gufunc.hpp"
#include "bind/registers.hpp"
#include "drivers/svd.hpp"

namespace mmlfast::bind {
namespace {

// The smaller side of a is a core dimension of its own only by name: wide (m <= n) and tall (m >= n) matrices have
// functions of their own. Core dimension 0 is m, 1 is n.
struct Shape {
  int rows, cols;
};

template <class T>
Outcome factors(GufuncFrame& f, Shape u, int s, Shape v) {
  const auto a = f.matrix<const T>(0, 1);
  const auto left = f.matrix<T>(u.rows, u.cols);
  const auto values = f.column<T>(s);
  return drivers::svd<T>(f.n_items(), a, left, values, f.matrix<T>(v.rows, v.cols));
}

template <class T>
Outcome values(GufuncFrame& f, int s) {
  const auto a = f.matrix<const T>(0, 1);
  return drivers::singular_values<T>(f.n_items(), a, f.column<T>(s));
}

template <class T>
Outcome pseudo_inverse(GufuncFrame& f) {
  const auto a = f.matrix<const T>(0, 1);
  const auto rcond = f.number<const T>();
  return drivers::pseudo_inverse<T>(f.n_items(), a, rcond, f.matrix<T>(1, 0));
}

// What the public function does with one small matrix and its default rcond, which is NumPy's.
Outcome small_pseudo_inverse(GufuncFrame& f) {
  constexpr double rcond = 1e-15;
  const auto a = f.matrix<const double>(0, 1);
  if (!drivers::pseudo_inverse_suits_one(a.layout)) return {Outcome::Status::failed_items};
  return drivers::pseudo_inverse<double>(f.n_items(), a, {&rcond, 0, {1, 1, 1, 1}}, f.matrix<double>(1, 0));
}

template <class T>
Outcome rank(GufuncFrame& f, drivers::RankTolerance meaning) {
  const auto a = f.matrix<const T>(0, 1);
  const auto tolerance = f.number<const T>();
  return drivers::rank<T>(f.n_items(), a, tolerance, meaning, f.number<std::int64_t>());
}

template <class T>
Outcome condition(GufuncFrame& f, bool inverse) {
  const auto a = f.matrix<const T>(0, 1);
  return drivers::condition<T>(f.n_items(), a, inverse, f.number<T>());
}

}  // namespace

void register_svd(PyObject* m) {
  using drivers::RankTolerance;
  constexpr const char* no_rank = "NaN or infinity";
  add_gufunc(m, {"svd_wide_whole", "(m,n)->(m,m),(m),(n,n)", nullptr},
             floats("t->ttt", []<class T>(GufuncFrame& f) { return factors<T>(f, {0, 0}, 0, {1, 1}); }));
  add_gufunc(m, {"svd_tall_whole", "(m,n)->(m,m),(n),(n,n)", nullptr},
             floats("t->ttt", []<class T>(GufuncFrame& f) { return factors<T>(f, {0, 0}, 1, {1, 1}); }));
  add_gufunc(m, {"svd_wide", "(m,n)->(m,m),(m),(m,n)", nullptr},
             floats("t->ttt", []<class T>(GufuncFrame& f) { return factors<T>(f, {0, 0}, 0, {0, 1}); }));
  add_gufunc(m, {"svd_tall", "(m,n)->(m,n),(n),(n,n)", nullptr},
             floats("t->ttt", []<class T>(GufuncFrame& f) { return factors<T>(f, {0, 1}, 1, {1, 1}); }));
  add_gufunc(m, {"svdvals_wide", "(m,n)->(m)", nullptr},
             floats("t->t", []<class T>(GufuncFrame& f) { return values<T>(f, 0); }));
  add_gufunc(m, {"svdvals_tall", "(m,n)->(n)", nullptr},
             floats("t->t", []<class T>(GufuncFrame& f) { return values<T>(f, 1); }));
  add_gufunc(m, {"pinv", "(m,n),()->(n,m)", "badly scaled"},
             floats("tt->t", []<class T>(GufuncFrame& f) { return pseudo_inverse<T>(f); }));
  add_gufunc(m, {"pinv_small", "(m,n)->(n,m)", "badly scaled, or not small"},
             std::array{GufuncLoop{small_pseudo_inverse, 'd', "dd"}});
  add_gufunc(m, {"rank_rtol", "(m,n),()->()", no_rank},
             floats("tt->q", []<class T>(GufuncFrame& f) { return rank<T>(f, RankTolerance::relative); }));
  add_gufunc(m, {"rank_tol", "(m,n),()->()", no_rank},
             floats("tt->q", []<class T>(GufuncFrame& f) { return rank<T>(f, RankTolerance::absolute); }));
  add_gufunc(m, {"rank_of_units", "(m,n),()->()", no_rank}, floats("tt->q", []<class T>(GufuncFrame& f) {
               return rank<T>(f, RankTolerance::of_columns_of_length_one);
             }));
  add_gufunc(m, {"cond", "(m,n)->()", nullptr},
             floats("t->t", []<class T>(GufuncFrame& f) { return condition<T>(f, false); }));
  add_gufunc(m, {"cond_inverse", "(m,n)->()", nullptr},
             floats("t->t", []<class T>(GufuncFrame& f) { return condition<T>(f, true); }));
}

}  // namespace mmlfast::bind
