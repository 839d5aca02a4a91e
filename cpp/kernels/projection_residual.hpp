// Residuals of points next to few directions: points in lanes, their coefficients in registers.
#pragma once

#include "kernels/common/fma.hpp"
#include "kernels/common/lanes.hpp"
#include "kernels/projection.hpp"

namespace mmlfast::MMLFAST_LEVEL {

inline constexpr int most_directions_in_registers = 8;

// The square of the length, next to its point, from which on a residual of d components is long. Sums of d products
// round to d 2^-54 of the point (if each rounding has the same sign), and so much of the span is left in the residual.
// It makes a residual of d^2 2^-58 of the point longer by less than 2^-51 of the point. (2^-36: up to 2^11 components.)
constexpr double long_share(std::ptrdiff_t d) {
  const double root = 0x1p-29 * static_cast<double>(d), share = root * root * root * root;
  return share > 0x1p-72 ? share : 0x1p-72;
}

// Whether a residual is so long, next to its point, that what is left of the span in it does not count. Its square is
// in range then.
MMLFAST_INLINE bool is_long(double square, double of_point, double share = 0x1p-72) {
  return square >= share * of_point && square >= 0x1p-899 && square <= __DBL_MAX__;
}

// Of a shorter one, of which the square `within` is in the span again: whether it is known by their difference, which
// is then in range too. What is left of the span is rounding; where that is most of it, or squares are out of range,
// it is not.
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
  vec<double> of_points, square, within, left[M];  // squares; coefficients of the residuals

  // As many points as a register holds, so that their coefficients are all in registers.
  using Part = vec<double, 1>;

  // Adds what N components from k on, one or two, give to the coefficients, and their squares.
  template <int N>
  MMLFAST_INLINE void add_components(int p, std::ptrdiff_t k, Part* c, Part* squares) const {
    _Pragma("GCC unroll 2") for (int i = 0; i < N; ++i) {
      const Part own = part_of(x[k + i], p);
      squares[i] = fma(own, own, squares[i]);
      _Pragma("GCC unroll 8") for (int j = 0; j < M; ++j) c[j] =
          fma(broadcast<double, 1>(q[(k + i) * row + j]), own, c[j]);
    }
  }

  // Makes residuals of these components, and adds their squares.
  template <int N>
  MMLFAST_INLINE void subtract_components(int p, std::ptrdiff_t k, const Part* c, Part* squares) {
    Part r[N];
    _Pragma("GCC unroll 2") for (int i = 0; i < N; ++i) r[i] = part_of(x[k + i], p);
    _Pragma("GCC unroll 8") for (int j = 0; j < M; ++j) {
      _Pragma("GCC unroll 2") for (int i = 0; i < N; ++i) r[i] =
          fnma(broadcast<double, 1>(q[(k + i) * row + j]), c[j], r[i]);
    }
    _Pragma("GCC unroll 2") for (int i = 0; i < N; ++i) {
      x[k + i].part[p] = r[i].part[0];
      squares[i] = fma(r[i], r[i], squares[i]);
    }
  }

  // Points to residuals, and the squares of both.
  void subtract(int p) {
    Part c[M] = {}, whole[2] = {}, rest[2] = {};
    std::ptrdiff_t k = 0;
    for (; k + 2 <= d; k += 2) add_components<2>(p, k, c, whole);
    if (k < d) add_components<1>(p, k, c, whole);
    for (k = 0; k + 2 <= d; k += 2) subtract_components<2>(p, k, c, rest);
    if (k < d) subtract_components<1>(p, k, c, rest);
    of_points.part[p] = (whole[0] + whole[1]).part[0];
    square.part[p] = (rest[0] + rest[1]).part[0];
  }

  // What the span still has of the residuals.
  void look_again(int p) {
    Part c[M] = {}, in_span{}, residuals{};
    for (std::ptrdiff_t k = 0; k < d; ++k) add_components<1>(p, k, c, &residuals);
    _Pragma("GCC unroll 8") for (int j = 0; j < M; ++j) {
      in_span = fma(c[j], c[j], in_span);
      left[j].part[p] = c[j].part[0];
    }
    within.part[p] = in_span.part[0];
  }

  // Residuals less that, and their squares.
  void subtract_again() {
    square = zero<double>();
    for (std::ptrdiff_t k = 0; k < d; ++k) {
      for (int j = 0; j < M; ++j) x[k] = fnma(broadcast(q[k * row + j]), left[j], x[k]);
      square = fma(x[k], x[k], square);
    }
  }

  // The squares of `count` residuals that are not all long, and rows of `r` where these are not known.
  MMLFAST_NOINLINE void mend(std::ptrdiff_t count, double* r, std::ptrdiff_t r_row, double* squares) {
    alignas(vec_bytes) double whole[lanes<double>], first[lanes<double>], again[lanes<double>], last[lanes<double>];
    MMLFAST_EACH_PART look_again(p);
    store(whole, of_points);
    store(first, square);
    store(again, within);
    bool all_known = true;
    for (std::ptrdiff_t i = 0; i < count; ++i) {
      if (is_long(first[i], whole[i])) continue;
      all_known &= is_known(first[i], again[i]);
      squares[i] = first[i] - again[i];
    }
    if (all_known) return;
    subtract_again();
    store(last, square);
    for (std::ptrdiff_t i = 0; i < count; ++i) {
      if (is_long(first[i], whole[i]) || is_known(first[i], again[i])) continue;
      squares[i] = last[i];
      const double* own = reinterpret_cast<const double*>(x) + i;
      for (std::ptrdiff_t k = 0; k < d; ++k) r[i * r_row + k] = own[k * lanes<double>];
    }
  }
};

// residual() of projection.hpp for M directions.
template <int M, class T>
void residual_in_lanes(const T* x, const Layout& l, const PointFactors<double>& f, double* r, double* squares,
                       void* scratch) {
  LaneResiduals<M> group{static_cast<vec<double>*>(scratch), l.cols, f.first, f.m_row, {}, {}, {}, {}};
  for (std::ptrdiff_t first = 0; first < l.rows; first += lanes<double>) {
    const std::ptrdiff_t count = smaller(l.rows - first, lanes<double>);
    const T* item[lanes<double>];
    for (std::ptrdiff_t i = 0; i < lanes<double>; ++i) item[i] = x + (first + smaller(i, count - 1)) * l.row_stride;
    pack(item, Layout{1, l.cols, l.cols, l.col_stride}, group.x, l.cols, 1);
    MMLFAST_EACH_PART group.subtract(p);
    alignas(vec_bytes) double square[lanes<double>], of_point[lanes<double>];
    store(square, group.square);
    store(of_point, group.of_points);
    bool all_long = true;
    for (std::ptrdiff_t i = 0; i < count; ++i) {
      all_long &= is_long(square[i], of_point[i]);
      squares[first + i] = square[i];
    }
    if (!all_long) group.mend(count, r + first * f.d_row, f.d_row, squares + first);
  }
}

}  // namespace mmlfast::MMLFAST_LEVEL
