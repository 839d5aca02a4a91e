#include "bind/gufunc.hpp"
#include "bind/registers.hpp"
#include "drivers/svd.hpp"

namespace mmlfast::bind {
namespace {

// The smaller side is a dimension of its own only by name: wide (m <= n) and tall (m >= n) matrices have loops of their
// own. U, s and V' have the core dimensions given.
template <class T, int URows, int UCols, int S, int VRows, int VCols>
Outcome factors(GufuncCall<T>& call) {
  const auto a = call.template matrix<const T>(0, 1);
  const auto u = call.template matrix<T>(URows, UCols);
  const auto s = call.template column<T>(S);
  return drivers::svd<T>(call.n_items(), a, u, s, call.template matrix<T>(VRows, VCols));
}

template <class T>
Outcome wide_whole(GufuncCall<T>& call) {
  return factors<T, 0, 0, 0, 1, 1>(call);
}
template <class T>
Outcome tall_whole(GufuncCall<T>& call) {
  return factors<T, 0, 0, 1, 1, 1>(call);
}
template <class T>
Outcome wide(GufuncCall<T>& call) {
  return factors<T, 0, 0, 0, 0, 1>(call);
}
template <class T>
Outcome tall(GufuncCall<T>& call) {
  return factors<T, 0, 1, 1, 1, 1>(call);
}

template <class T>
Outcome wide_values(GufuncCall<T>& call) {
  const auto a = call.template matrix<const T>(0, 1);
  return drivers::singular_values<T>(call.n_items(), a, call.template column<T>(0));
}
template <class T>
Outcome tall_values(GufuncCall<T>& call) {
  const auto a = call.template matrix<const T>(0, 1);
  return drivers::singular_values<T>(call.n_items(), a, call.template column<T>(1));
}

template <class T>
Outcome pseudo_inverse(GufuncCall<T>& call) {
  const auto a = call.template matrix<const T>(0, 1);
  const auto rcond = call.template number<const T>();
  return drivers::pseudo_inverse<T>(call.n_items(), a, rcond, call.template matrix<T>(1, 0));
}

template <class T, drivers::RankTolerance Meaning>
Outcome rank(GufuncCall<T>& call) {
  const auto a = call.template matrix<const T>(0, 1);
  const auto tolerance = call.template number<const T>();
  return drivers::rank<T>(call.n_items(), a, tolerance, Meaning, call.template number<std::int64_t>());
}
template <class T>
Outcome rank_rtol(GufuncCall<T>& call) {
  return rank<T, drivers::RankTolerance::relative>(call);
}
template <class T>
Outcome rank_tol(GufuncCall<T>& call) {
  return rank<T, drivers::RankTolerance::absolute>(call);
}

template <class T>
Outcome rank_of_units(GufuncCall<T>& call) {
  return rank<T, drivers::RankTolerance::of_columns_of_length_one>(call);
}

template <class T, bool Inverse>
Outcome condition(GufuncCall<T>& call) {
  const auto a = call.template matrix<const T>(0, 1);
  return drivers::condition<T>(call.n_items(), a, Inverse, call.template number<T>());
}
template <class T>
Outcome largest_by_smallest(GufuncCall<T>& call) {
  return condition<T, false>(call);
}
template <class T>
Outcome smallest_by_largest(GufuncCall<T>& call) {
  return condition<T, true>(call);
}

}  // namespace

void register_svd(py::module_& m) {
  add_gufunc(m, {"svd_wide_whole", "(m,n)->(m,m),(m),(n,n)", nullptr}, MMLFAST_LOOPS(wide_whole, "d->ddd", "f->fff"));
  add_gufunc(m, {"svd_tall_whole", "(m,n)->(m,m),(n),(n,n)", nullptr}, MMLFAST_LOOPS(tall_whole, "d->ddd", "f->fff"));
  add_gufunc(m, {"svd_wide", "(m,n)->(m,m),(m),(m,n)", nullptr}, MMLFAST_LOOPS(wide, "d->ddd", "f->fff"));
  add_gufunc(m, {"svd_tall", "(m,n)->(m,n),(n),(n,n)", nullptr}, MMLFAST_LOOPS(tall, "d->ddd", "f->fff"));
  add_gufunc(m, {"svdvals_wide", "(m,n)->(m)", nullptr}, MMLFAST_LOOPS(wide_values, "d->d", "f->f"));
  add_gufunc(m, {"svdvals_tall", "(m,n)->(n)", nullptr}, MMLFAST_LOOPS(tall_values, "d->d", "f->f"));
  add_gufunc(m, {"pinv", "(m,n),()->(n,m)", "badly scaled"}, MMLFAST_LOOPS(pseudo_inverse, "dd->d", "ff->f"));
  constexpr const char* no_rank = "NaN or infinity";
  add_gufunc(m, {"rank_rtol", "(m,n),()->()", no_rank}, MMLFAST_LOOPS(rank_rtol, "dd->q", "ff->q"));
  add_gufunc(m, {"rank_tol", "(m,n),()->()", no_rank}, MMLFAST_LOOPS(rank_tol, "dd->q", "ff->q"));
  add_gufunc(m, {"rank_of_units", "(m,n),()->()", no_rank}, MMLFAST_LOOPS(rank_of_units, "dd->q", "ff->q"));
  add_gufunc(m, {"cond", "(m,n)->()", nullptr}, MMLFAST_LOOPS(largest_by_smallest, "d->d", "f->f"));
  add_gufunc(m, {"cond_inverse", "(m,n)->()", nullptr}, MMLFAST_LOOPS(smallest_by_largest, "d->d", "f->f"));
}

}  // namespace mmlfast::bind
