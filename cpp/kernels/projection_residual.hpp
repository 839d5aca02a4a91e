// Residuals of points next to few directions: points in lanes, their coefficients in registers.
#pragma once

#include "kernels/common/fma.hpp"
#include "kernels/common/lanes.hpp"
#include "kernels/projection.hpp"

namespace mmlfast::MMLFAST_LEVEL {

inline constexpr int most_directions_in_registers = 8;

// Of a residual with this square, of which the square `within` is in the span again: whether it is known by their
// difference, which is then in range too. What is left of the span is rounding; where that is most of it, or squares
// are out of range, it is not.
MMLFAST_INLINE bool is_known(double square, double within) {
  return square >= 0x1p-899 && square <= __DBL_MAX__ && within <= square / 2;
}

// A group of points in lanes and what is computed of them.
template <int M>
struct LaneResiduals {
  vec<double>* x;  // d vectors: points, then residuals
  std::ptrdiff_t d;
  const double* q;  // d rows of the basis, `row` numbers apart
  std::ptrdiff_t row;
  vec<double> square, within, left[M];  // left: coefficients of the residuals

  // As many points as a register holds: their coefficients and those of their residuals are all in registers.
  void compute(int p) {
    using Part = vec<double, 1>;
    Part c[M] = {}, again[M] = {}, sum[2] = {};
    for (std::ptrdiff_t k = 0; k < d; ++k) {
      const Part own = part_of(x[k], p);
      _Pragma("GCC unroll 8") for (int j = 0; j < M; ++j) c[j] = fma(broadcast<double, 1>(q[k * row + j]), own, c[j]);
    }
    const auto subtract = [&](std::ptrdiff_t k, Part& squares) MMLFAST_INLINE_LAMBDA {
      Part r = part_of(x[k], p);
      _Pragma("GCC unroll 8") for (int j = 0; j < M; ++j) r = fnma(broadcast<double, 1>(q[k * row + j]), c[j], r);
      x[k].part[p] = r.part[0];
      squares = fma(r, r, squares);
      _Pragma("GCC unroll 8") for (int j = 0; j < M; ++j) again[j] =
          fma(broadcast<double, 1>(q[k * row + j]), r, again[j]);
    };
    std::ptrdiff_t k = 0;
    for (; k + 2 <= d; k += 2) subtract(k, sum[0]), subtract(k + 1, sum[1]);
    if (k < d) subtract(k, sum[0]);
    Part in_span{};
    _Pragma("GCC unroll 8") for (int j = 0; j < M; ++j) {
      in_span = fma(again[j], again[j], in_span);
      left[j].part[p] = again[j].part[0];
    }
    square.part[p] = (sum[0] + sum[1]).part[0];
    within.part[p] = in_span.part[0];
  }

  // Residuals less what the span still has of them, and their squares.
  MMLFAST_NOINLINE void subtract_again() {
    square = zero<double>();
    for (std::ptrdiff_t k = 0; k < d; ++k) {
      for (int j = 0; j < M; ++j) x[k] = fnma(broadcast(q[k * row + j]), left[j], x[k]);
      square = fma(x[k], x[k], square);
    }
  }
};

// residual() of projection.hpp for M directions.
template <int M, class T>
void residual_in_lanes(const T* x, const Layout& l, const PointFactors<double>& f, double* r, double* squares,
                       void* scratch) {
  LaneResiduals<M> group{static_cast<vec<double>*>(scratch), l.cols, f.first, f.m_row, {}, {}, {}};
  for (std::ptrdiff_t first = 0; first < l.rows; first += lanes<double>) {
    const std::ptrdiff_t count = smaller(l.rows - first, lanes<double>);
    const T* item[lanes<double>];
    for (std::ptrdiff_t i = 0; i < lanes<double>; ++i) item[i] = x + (first + smaller(i, count - 1)) * l.row_stride;
    pack(item, Layout{1, l.cols, l.cols, l.col_stride}, group.x, l.cols, 1);
    MMLFAST_EACH_PART group.compute(p);
    alignas(vec_bytes) double square[lanes<double>], within[lanes<double>];
    store(square, group.square);
    store(within, group.within);
    bool all_known = true;
    for (std::ptrdiff_t i = 0; i < count; ++i) {
      all_known &= is_known(square[i], within[i]);
      squares[first + i] = square[i] - within[i];
    }
    if (all_known) continue;
    group.subtract_again();
    alignas(vec_bytes) double after[lanes<double>];
    store(after, group.square);
    for (std::ptrdiff_t i = 0; i < count; ++i) {
      if (is_known(square[i], within[i])) continue;
      squares[first + i] = after[i];
      const double* own = reinterpret_cast<const double*>(group.x) + i;
      for (std::ptrdiff_t k = 0; k < l.cols; ++k) r[(first + i) * f.d_row + k] = own[k * lanes<double>];
    }
  }
}

}  // namespace mmlfast::MMLFAST_LEVEL
