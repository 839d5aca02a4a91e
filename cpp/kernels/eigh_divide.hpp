// The eigenvalues of a diagonal matrix plus rho z z', roots of a sum of poles, and what its eigenvectors need. Part of
// kernels/eigh: the driver divides a tridiagonal matrix in two and joins their answers by these.
#pragma once

#include "kernels/common/fma.hpp"
#include "kernels/eigh.hpp"
#include "simd/vec.hpp"

namespace mmlfast::MMLFAST_LEVEL::divided {

using std::ptrdiff_t;

struct Sums {
  double value = 0, slope = 0;
};

// Sums of z[i]^2 / (d[i] - y) and of z[i]^2 / (d[i] - y)^2 for y = origin + tau, eight poles at a time from `first` on
// in steps of `step`, until `end` is passed.
MMLFAST_INLINE Sums sum_poles(const double* d, const double* z, double origin, double tau, ptrdiff_t first,
                              ptrdiff_t blocks, ptrdiff_t step) {
  const vec<double> from = broadcast<double>(origin), shift = broadcast<double>(tau);
  vec<double> value = zero<double>(), slope = zero<double>();
  for (ptrdiff_t i = first; blocks > 0; --blocks, i += step) {
    const vec<double> weight = load(z + i), quotient = weight / ((load(d + i) - from) - shift);
    value = fma(weight, quotient, value);
    slope = fma(quotient, quotient, slope);
  }
  return {reduce_add(value), reduce_add(slope)};
}

// The poles up to j and those behind it, seen from a point between them.
struct Function {
  ptrdiff_t k, j;
  const double *d, *z;
  double inverse_rho;

  struct At {
    Sums before, behind;
    double value, error;
  };
  At at(double origin, double tau) const {
    constexpr ptrdiff_t w = lanes<double>;
    At f;
    f.before = sum_poles(d, z, origin, tau, j + 1 - w, (j + w) / w, -w);
    f.behind = sum_poles(d, z, origin, tau, j + 1, (k - 1 - j + w - 1) / w, w);
    f.value = inverse_rho + f.before.value + f.behind.value;
    const double size = tau < 0 ? -tau : tau;
    f.error =
        0x1p-53 * (8 * (f.behind.value - f.before.value) + 2 * inverse_rho + size * (f.before.slope + f.behind.slope));
    return f;
  }
};

inline double root_of_size(double x) { return __builtin_sqrt(x < 0 ? -x : x); }

// The root that is wanted of c x^2 - a x + b: of the smaller size, without cancellation, between the poles; beyond the
// last one the larger.
inline double quadratic_step(double a, double b, double c, bool last) {
  const double root = root_of_size(fma(a, a, -4 * b * c));
  if (last) return a >= 0 ? (a + root) / (2 * c) : 2 * b / (a - root);
  return a <= 0 ? (a - root) / (2 * c) : 2 * b / (a + root);
}

struct Bracket {
  double low, high;
};

// tau in the bracket with inverse_rho + sum = 0 at origin + tau: by steps to the root of two poles, those beside it,
// that have the sums' values and slopes (R.-C. Li's middle way), and by halves where a step leads out of the bracket.
inline double find_root(const Function& f, double origin, double tau, Bracket in) {
  const bool last = f.j == f.k - 1;
  const ptrdiff_t left = last ? f.j - 1 : f.j, right = left + 1;
  double before = __builtin_inf();
  for (int turn = 0; turn < 100; ++turn) {
    const Function::At at = f.at(origin, tau);
    const double size = at.value < 0 ? -at.value : at.value;
    if (!(size > at.error)) break;
    (at.value < 0 ? in.low : in.high) = tau;
    const double to_left = (f.d[left] - origin) - tau, to_right = (f.d[right] - origin) - tau;
    double left_slope = at.before.slope, right_slope = at.behind.slope;
    if (last) {
      const double q = f.z[right] / to_right;
      right_slope = q * q;
      left_slope = at.before.slope - right_slope;
    }
    const double slope = left_slope + right_slope;
    double c = fnma(to_right, right_slope, fnma(to_left, left_slope, at.value));
    if (last && c < 0) c = -c;
    const double a = (to_left + to_right) * at.value - to_left * to_right * slope, b = to_left * to_right * at.value;
    double step = c == 0 ? b / a : quadratic_step(a, b, c, last);
    if (!(at.value * step < 0)) step = -at.value / slope;
    const double next = tau + step;
    // Slow progress is no progress: the rest by halves.
    if (!(next > in.low && next < in.high) || (turn > 8 && size > before / 4))
      step = (at.value < 0 ? in.high - tau : in.low - tau) / 2;
    before = size;
    const double moved = tau + step;
    if (moved == tau || !(moved > in.low && moved < in.high)) break;
    tau = moved;
    if ((step < 0 ? -step : step) <= 0x1p-52 * (tau < 0 ? -tau : tau)) break;
  }
  return tau;
}

// As eigh.hpp says.
inline double pole_root(ptrdiff_t k, ptrdiff_t j, const double* d, const double* z, double rho, double* difference) {
  const Function f{k, j, d, z, 1 / rho};
  double origin = d[j], tau;
  if (k == 1) {
    tau = rho * z[0] * z[0];
  } else if (j == k - 1) {
    double square = 0;
    for (ptrdiff_t i = 0; i < k; ++i) square = fma(z[i], z[i], square);
    const double all = rho * square, middle = all / 2, gap = d[j] - d[j - 1];
    const Function::At at = f.at(origin, middle);
    const double l = z[j - 1] * z[j - 1], r = z[j] * z[j];
    const double c = at.value + l / (gap + middle) + r / middle;  // of all other poles
    // c - l / (gap + tau) - r / tau = 0
    const double a = c * gap - l - r, root = root_of_size(fma(a, a, 4 * c * r * gap));
    tau = a < 0 ? (root - a) / (2 * c) : 2 * r * gap / (root + a);
    const Bracket in = at.value < 0 ? Bracket{middle, all * (1 + 0x1p-50)} : Bracket{0, middle};
    if (!(tau > in.low && tau < in.high)) tau = in.low == 0 ? in.high / 2 : (in.low + in.high) / 2;
    tau = find_root(f, origin, tau, in);
  } else {
    const double gap = d[j + 1] - d[j], middle = gap / 2;
    const Function::At at = f.at(origin, middle);
    const double l = z[j] * z[j], r = z[j + 1] * z[j + 1];
    const double c = at.value + (l - r) / middle;
    if (at.value >= 0) {
      const double a = c * gap + l + r, b = l * gap;
      tau = quadratic_step(a, b, c, false);
      const Bracket in{0, middle};
      tau = find_root(f, origin, tau > in.low && tau < in.high ? tau : in.high / 2, in);
    } else {
      origin = d[j + 1];
      const double a = c * gap - l - r, b = r * gap, root = root_of_size(fma(a, a, 4 * b * c));
      tau = a < 0 ? 2 * b / (a - root) : -(a + root) / (2 * c);
      const Bracket in{-middle, 0};
      tau = find_root(f, origin, tau > in.low && tau < in.high ? tau : in.low / 2, in);
    }
  }
  for (ptrdiff_t i = 0; i < k; i += lanes<double>)
    store(difference + i, (load(d + i) - broadcast<double>(origin)) - broadcast<double>(tau));
  return origin + tau;
}

inline void joined_weights(ptrdiff_t k, ptrdiff_t first, const double* d, const double* z, const double* differences,
                           ptrdiff_t stride, double* weight) {
  constexpr int w = lanes<double>;
  const vec<double> here = load(d + first), one = broadcast<double>(1.0);
  vec<double> product = one;
  for (ptrdiff_t j = 0; j < k; ++j) {
    const vec<double> difference = load(differences + j * stride + first), gap = here - broadcast<double>(d[j]);
    if (j >= first && j < first + w) {
      alignas(vec_bytes) double gaps[w];
      store(gaps, gap);
      gaps[j - first] = 1;
      product = product * (difference / load(gaps));
    } else {
      product = product * (difference / gap);
    }
  }
  alignas(vec_bytes) double products[w];
  store(products, product);
  for (int l = 0; l < w && first + l < k; ++l) {
    const double size = root_of_size(products[l]);
    weight[first + l] = z[first + l] < 0 ? -size : size;
  }
}

template <class T>
void joined_vector(ptrdiff_t k, const double* weight, double* difference, const std::int32_t* order, T* vector) {
  vec<double> square = zero<double>();
  for (ptrdiff_t i = 0; i < k; i += lanes<double>) {
    const vec<double> x = load(weight + i) / load(difference + i);
    store(difference + i, x);
    square = fma(x, x, square);
  }
  const double inverse = 1 / __builtin_sqrt(reduce_add(square));
  for (ptrdiff_t i = 0; i < k; ++i) vector[i] = static_cast<T>(difference[order[i]] * inverse);
}

}  // namespace mmlfast::MMLFAST_LEVEL::divided
