#include "bind/gufunc.hpp"
#include "bind/registers.hpp"
#include "drivers/qr.hpp"

namespace mmlfast::bind {
namespace {

// Core dimension 0 is m, 1 is n. Where Full, Q is m x m and R m x n; else Q is m x n and R n x n.
template <bool Full, class T>
Outcome factor(GufuncCall<T>& call) {
  constexpr int p = Full ? 0 : 1;
  const auto a = call.template matrix<const T>(0, 1);
  const auto q = call.template matrix<T>(0, p);
  return drivers::qr<T>(call.n_items(), a, q, call.template matrix<T>(p, 1));
}

template <bool Full, class T>
Outcome upper(GufuncCall<T>& call) {
  const auto a = call.template matrix<const T>(0, 1);
  const Batch<T> no_q{nullptr, 0, {0, 0, 0, 0}};
  return drivers::qr<T>(call.n_items(), a, no_q, call.template matrix<T>(Full ? 0 : 1, 1));
}

// NumPy has h transposed: as LAPACK left it.
template <bool Wide, class T>
Outcome raw(GufuncCall<T>& call) {
  const auto a = call.template matrix<const T>(0, 1);
  auto h = call.template matrix<T>(1, 0);
  h.layout = {h.layout.cols, h.layout.rows, h.layout.col_stride, h.layout.row_stride};
  return drivers::qr_raw<T>(call.n_items(), a, h, call.template column<T>(Wide ? 0 : 1));
}

template <bool Full>
void add(py::module_& m, const char* name, const char* name_r, const char* name_raw) {
  static constexpr auto both = [](auto& call) { return factor<Full>(call); };
  static constexpr auto only_r = [](auto& call) { return upper<Full>(call); };
  static constexpr auto lapack = [](auto& call) { return raw<Full>(call); };
  const char* signature = Full ? "(m,n)->(m,m),(m,n)" : "(m,n)->(m,n),(n,n)";
  add_gufunc(m, {name, signature, nullptr}, MMLFAST_LOOPS(both, "d->dd", "f->ff"));
  add_gufunc(m, {name_r, Full ? "(m,n)->(m,n)" : "(m,n)->(n,n)", nullptr}, MMLFAST_LOOPS(only_r, "d->d", "f->f"));
  add_gufunc(m, {name_raw, Full ? "(m,n)->(n,m),(m)" : "(m,n)->(n,m),(n)", nullptr},
             MMLFAST_LOOPS(lapack, "d->dd", "f->ff"));
}

}  // namespace

void register_qr(py::module_& m) {
  add<false>(m, "qr", "qr_r", "qr_raw");
  add<true>(m, "qr_full", "qr_r_full", "qr_raw_full");
}

}  // namespace mmlfast::bind
