#include "kernels/rfactor.hpp"

#include "kernels/common/long_columns.hpp"
#include "simd/vec.hpp"

namespace mmlfast::MMLFAST_LEVEL {
namespace {

using long_columns::gram_tile;
using long_columns::native_at;
using long_columns::put_native;

constexpr int panel = 4;

// P reflectors: column q of V at v + q * ld, and the coefficients of the product I - V T V'.
template <int P>
struct Reflectors {
  const double* v;
  std::ptrdiff_t ld, rows;
  double t[P][P];
};

// dot[c][q] = column q of x . column c of y.
template <int K, int C>
MMLFAST_INLINE void dots(const double* x, const double* y, std::ptrdiff_t ld, std::ptrdiff_t rows, double (*dot)[K]) {
  alignas(vec_bytes) double sums[C][K][lanes<double>];
  _Pragma("GCC unroll 4") for (int p = 0; p < vec_parts; ++p) {
    native<double> sum[C][K];
    _Pragma("GCC unroll 4") for (int c = 0; c < C; ++c) _Pragma("GCC unroll 4") for (int q = 0; q < K; ++q) sum[c][q] =
        native<double>{};
    for (std::ptrdiff_t i = 0; i < rows; i += lanes<double>) {
      native<double> left[K];
      _Pragma("GCC unroll 4") for (int q = 0; q < K; ++q) left[q] = native_at(x + q * ld + i, p);
      _Pragma("GCC unroll 4") for (int c = 0; c < C; ++c) {
        const native<double> right = native_at(y + c * ld + i, p);
        _Pragma("GCC unroll 4") for (int q = 0; q < K; ++q) sum[c][q] = op::fma(left[q], right, sum[c][q]);
      }
    }
    _Pragma("GCC unroll 4") for (int c = 0; c < C; ++c) _Pragma("GCC unroll 4") for (int q = 0; q < K; ++q)
        put_native(sums[c][q], p, sum[c][q]);
  }
  for (int c = 0; c < C; ++c)
    for (int q = 0; q < K; ++q) dot[c][q] = reduce_add(load(sums[c][q]));
}

// Column c of y -= sum over q of w[c][q] * column q of x.
template <int K, int C>
MMLFAST_INLINE void subtract(const double* x, double* y, std::ptrdiff_t ld, std::ptrdiff_t rows, const double (*w)[K]) {
  native<double> f[C][K];
  _Pragma("GCC unroll 4") for (int c = 0; c < C; ++c) _Pragma("GCC unroll 4") for (int q = 0; q < K; ++q) f[c][q] =
      w[c][q] - native<double>{};
  for (std::ptrdiff_t i = 0; i < rows; i += native_lanes<double>) {
    native<double> left[K];
    _Pragma("GCC unroll 4") for (int q = 0; q < K; ++q) left[q] = native_at(x + q * ld + i, 0);
    _Pragma("GCC unroll 4") for (int c = 0; c < C; ++c) {
      native<double> to = native_at(y + c * ld + i, 0);
      _Pragma("GCC unroll 4") for (int q = 0; q < K; ++q) to = op::fnma(f[c][q], left[q], to);
      put_native(y + c * ld + i, 0, to);
    }
  }
}

// The reflector that takes (r_jj, column) to (beta, 0); returns tau, with (I - tau [1; v] [1, v']).
MMLFAST_INLINE double reflect(double* column, std::ptrdiff_t rows, double& r_jj) {
  double square[1][1];
  dots<1, 1>(column, column, 0, rows, square);
  if (square[0][0] == 0) return 0;
  const double length = __builtin_sqrt(r_jj * r_jj + square[0][0]), beta = r_jj < 0 ? length : -length;
  const double tau = (beta - r_jj) / beta;
  long_columns::scale(column, rows, 1 / (r_jj - beta));
  r_jj = beta + 0 * square[0][0];  // infinity becomes NaN
  return tau;
}

// Factors columns j .. j + P - 1 and the rows of R beside them.
template <int P>
MMLFAST_INLINE void factor_panel(double* v, std::ptrdiff_t ld, std::ptrdiff_t n, std::ptrdiff_t rows, double* r,
                                 std::ptrdiff_t j, Reflectors<P>& to) {
  to.v = v;
  to.ld = ld;
  to.rows = rows;
  for (int c = 0; c < P; ++c) {
    double* row = r + (j + c) * n + j;
    const double tau = reflect(v + c * ld, rows, row[c]);
    for (int k = c + 1; k < P; ++k) {
      double w[1][1];
      dots<1, 1>(v + c * ld, v + k * ld, ld, rows, w);
      w[0][0] = tau * (row[k] + w[0][0]);
      row[k] -= w[0][0];
      subtract<1, 1>(v + c * ld, v + k * ld, ld, rows, w);
    }
    double inner[P > 1 ? P : 1];
    for (int q = 0; q < c; ++q) {
      double w[1][1];
      dots<1, 1>(v + q * ld, v + c * ld, ld, rows, w);
      inner[q] = w[0][0];
    }
    to.t[c][c] = tau;
    for (int p = 0; p < c; ++p) {
      double sum = 0;
      for (int q = p; q < c; ++q) sum += to.t[p][q] * inner[q];
      to.t[p][c] = -tau * sum;
    }
  }
}

// C columns at j0 + k by the P reflectors at j0: W = T' (R + V' C), R -= W, C -= V W.
template <int P, int C>
MMLFAST_INLINE void apply(const Reflectors<P>& h, double* columns, double* r, std::ptrdiff_t n) {
  double inner[C][P], w[C][P];
  dots<P, C>(h.v, columns, h.ld, h.rows, inner);
  for (int c = 0; c < C; ++c) {
    for (int q = 0; q < P; ++q) inner[c][q] += r[q * n + c];
    for (int q = 0; q < P; ++q) {
      double sum = 0;
      for (int p = 0; p <= q; ++p) sum += h.t[p][q] * inner[c][p];
      w[c][q] = sum;
      r[q * n + c] -= sum;
    }
  }
  subtract<P, C>(h.v, columns, h.ld, h.rows, w);
}

template <int P>
void panel_at(double* columns, std::ptrdiff_t ld, std::ptrdiff_t n, std::ptrdiff_t rows, double* r, std::ptrdiff_t j) {
  Reflectors<P> h;
  factor_panel<P>(columns + j * ld, ld, n, rows, r, j, h);
  std::ptrdiff_t k = j + P;
  double* row = r + j * n;
  for (; k + gram_tile <= n; k += gram_tile) apply<P, gram_tile>(h, columns + k * ld, row + k, n);
  for (; k < n; ++k) apply<P, 1>(h, columns + k * ld, row + k, n);
}

void absorb(double* columns, std::ptrdiff_t ld, std::ptrdiff_t n, std::ptrdiff_t rows, double* r) {
  std::ptrdiff_t j = 0;
  for (; j + panel <= n; j += panel) panel_at<panel>(columns, ld, n, rows, r, j);
  if (j + 2 <= n) panel_at<2>(columns, ld, n, rows, r, j), j += 2;
  if (j < n) panel_at<1>(columns, ld, n, rows, r, j);
}

}  // namespace

const RFactorKernel rfactor_f64 = {absorb};

}  // namespace mmlfast::MMLFAST_LEVEL
