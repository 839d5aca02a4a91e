#include "bind/gufunc.hpp"
#include "bind/registers.hpp"
#include "drivers/qr.hpp"

namespace mmlfast::bind {
namespace {

// Core dimension 0 is m, 1 is n, and p the one of R's rows: where p is m, Q is m x m; else Q is m x n and R n x n.
constexpr int m_rows = 0, n_rows = 1;

template <class T>
Outcome factor(GufuncFrame& f, int p) {
  const auto a = f.matrix<const T>(0, 1);
  const auto q = f.matrix<T>(0, p);
  return drivers::qr<T>(f.n_items(), a, q, f.matrix<T>(p, 1));
}

template <class T>
Outcome upper(GufuncFrame& f, int p) {
  const auto a = f.matrix<const T>(0, 1);
  const Batch<T> no_q{nullptr, 0, {0, 0, 0, 0}};
  return drivers::qr<T>(f.n_items(), a, no_q, f.matrix<T>(p, 1));
}

// NumPy has h transposed: as LAPACK left it. p is the smaller of m and n.
template <class T>
Outcome raw(GufuncFrame& f, int p) {
  const auto a = f.matrix<const T>(0, 1);
  auto h = f.matrix<T>(1, 0);
  h.layout = {h.layout.cols, h.layout.rows, h.layout.col_stride, h.layout.row_stride};
  return drivers::qr_raw<T>(f.n_items(), a, h, f.column<T>(p));
}

template <int p>
void add_qr(PyObject* m, const GufuncSpec& both, const GufuncSpec& only_r, const GufuncSpec& as_lapack) {
  add_gufunc(m, both, floats("t->tt", []<class T>(GufuncFrame& f) { return factor<T>(f, p); }));
  add_gufunc(m, only_r, floats("t->t", []<class T>(GufuncFrame& f) { return upper<T>(f, p); }));
  add_gufunc(m, as_lapack, floats("t->tt", []<class T>(GufuncFrame& f) { return raw<T>(f, p); }));
}

}  // namespace

void register_qr(PyObject* m) {
  add_qr<n_rows>(m, {"qr", "(m,n)->(m,n),(n,n)", nullptr}, {"qr_r", "(m,n)->(n,n)", nullptr},
                 {"qr_raw", "(m,n)->(n,m),(n)", nullptr});
  add_qr<m_rows>(m, {"qr_full", "(m,n)->(m,m),(m,n)", nullptr}, {"qr_r_full", "(m,n)->(m,n)", nullptr},
                 {"qr_raw_full", "(m,n)->(n,m),(m)", nullptr});
}

}  // namespace mmlfast::bind
