#include "kernels/least_squares.hpp"

#include "simd/vec.hpp"

namespace mmlfast::MMLFAST_LEVEL {
namespace {

using Vector = vec<double>;
constexpr int parts = 4;  // sums that do not wait for each other

// body(i, part) for each vector of rows, the parts taking turns.
template <class Body>
MMLFAST_INLINE void in_turn(std::ptrdiff_t rows, Body&& body) {
  constexpr std::ptrdiff_t step = lanes<double>;
  std::ptrdiff_t i = 0;
  for (; i + parts * step <= rows; i += parts * step) {
    _Pragma("GCC unroll 4") for (int part = 0; part < parts; ++part) body(i + part * step, part);
  }
  for (; i < rows; i += step) body(i, 0);
}

MMLFAST_INLINE double total(const Vector* sum) { return reduce_add((sum[0] + sum[1]) + (sum[2] + sum[3])); }

double dot(const double* x, const double* y, std::ptrdiff_t rows) {
  Vector sum[parts] = {};
  in_turn(rows, [&](std::ptrdiff_t i, int part)
                    MMLFAST_INLINE_LAMBDA { sum[part] = fma(load(x + i), load(y + i), sum[part]); });
  return total(sum);
}

double square(const double* x, std::ptrdiff_t rows) { return dot(x, x, rows); }

// y -= factor * x; the sum of squares of what is left.
double subtract(double factor, const double* x, double* y, std::ptrdiff_t rows) {
  const Vector f = broadcast(factor);
  Vector sum[parts] = {};
  in_turn(rows, [&](std::ptrdiff_t i, int part) MMLFAST_INLINE_LAMBDA {
    const Vector left = fnma(f, load(x + i), load(y + i));
    store(y + i, left);
    sum[part] = fma(left, left, sum[part]);
  });
  return total(sum);
}

void exchange_columns(double* x, double* y, std::ptrdiff_t rows) {
  for (std::ptrdiff_t i = 0; i < rows; i += lanes<double>) {
    const Vector left = load(x + i);
    store(x + i, load(y + i));
    store(y + i, left);
  }
}

// The component of y along a column of this length, which is taken out of y.
double component(const double* column, double length, double* y, std::ptrdiff_t rows) {
  if (length == 0) return 0;
  const double along = dot(column, y, rows) / length;
  subtract(along / length, column, y, rows);
  return along;
}

void factor(double* columns, std::ptrdiff_t ld, std::ptrdiff_t rows, std::ptrdiff_t n, double* y, double* r, double* z,
            std::int32_t* pivots) {
  // The squares of what is left of each column are in z until its turn comes.
  for (std::ptrdiff_t j = 0; j < n; ++j) {
    pivots[j] = static_cast<std::int32_t>(j);
    z[j] = square(columns + j * ld, rows);
    for (std::ptrdiff_t i = 0; i < n; ++i) r[j * n + i] = 0;
  }
  for (std::ptrdiff_t k = 0; k < n; ++k) {
    std::ptrdiff_t longest = k;
    for (std::ptrdiff_t j = k + 1; j < n; ++j)
      if (z[j] > z[longest]) longest = j;
    if (longest != k) {
      exchange_columns(columns + k * ld, columns + longest * ld, rows);
      for (std::ptrdiff_t i = 0; i < k; ++i) {
        const double above = r[k * n + i];
        r[k * n + i] = r[longest * n + i];
        r[longest * n + i] = above;
      }
      const double left = z[k];
      z[k] = z[longest], z[longest] = left;
      const std::int32_t pivot = pivots[k];
      pivots[k] = pivots[longest], pivots[longest] = pivot;
    }
    const double* column = columns + k * ld;
    const double length = __builtin_sqrt(z[k]);
    r[k * n + k] = length;
    if (length != 0)
      for (std::ptrdiff_t j = k + 1; j < n; ++j) {
        const double along = dot(column, columns + j * ld, rows) / length;
        r[j * n + k] = along;
        z[j] = subtract(along / length, column, columns + j * ld, rows);
      }
    z[k] = component(column, length, y, rows);
  }
}

void project(const double* columns, std::ptrdiff_t ld, std::ptrdiff_t rows, std::ptrdiff_t n, const double* r,
             double* y, double* z) {
  for (std::ptrdiff_t k = 0; k < n; ++k) z[k] = component(columns + k * ld, r[k * n + k], y, rows);
}

}  // namespace

MMLFAST_DEFINE_TABLE(LeastSquaresKernel, least_squares, square, factor, project)

}  // namespace mmlfast::MMLFAST_LEVEL
