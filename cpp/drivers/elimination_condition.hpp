// Whether the answer of an elimination has any digits left: the condition of one matrix, whatever the units of its rows
// and columns are, and the backward error of what was computed.
//
// The smallest condition number that scaling of rows and columns can reach is the spectral radius of |a| |a^-1| (Bauer;
// Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., section 7.3). First |a| |a^-1 z| is looked at for
// one vector z without structure, which costs two products of a matrix and a vector. Only where that comes near to
// trouble, rows and columns are scaled by powers of two, and the norm of the scaled inverse is found: exactly if the
// inverse is there, else from several vectors, from below and rarely by more than sqrt(n).
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "drivers/common/batch.hpp"
#include "kernels/common/with_size.hpp"
#include "kernels/elimination.hpp"
#include "runtime/aligned_buffer.hpp"

namespace mmlfast::drivers {

template <class T>
inline constexpr double unit_roundoff = static_cast<double>(std::numeric_limits<T>::epsilon()) / 2;

// Right-hand sides without structure: between 1/2 and 1, of either sign.
inline constexpr Size probe_numbers = 1024;

template <class T>
struct Probes {
  T number[probe_numbers];

  constexpr Probes() : number{} {
    std::uint64_t state = 0x9e3779b97f4a7c15;
    for (T& x : number) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      const T size = static_cast<T>(0.5) + static_cast<T>((state >> 42) & 0xfffff) / static_cast<T>(1 << 21);
      x = (state >> 63) != 0 ? size : -size;
    }
  }
};

template <class T>
inline constexpr Probes<T> probes{};

// 1 if an answer has digits, else what is to be told as reciprocal condition number. `estimate`: of the condition
// number; `backward`: the componentwise backward error, or 0 if it is no more than rounding explains.
template <class T>
double rcond_to_tell(double estimate, double backward) noexcept {
  const double lost = estimate * std::max(1.0, backward / unit_roundoff<T>);
  return lost * 4 * unit_roundoff<T> >= 1 && std::isfinite(lost) ? 1 / lost : 1;
}

// What the first look allows. One vector tells the norm of an inverse up to a factor that is rarely beyond 1000 (float:
// 16, for the range of condition numbers is not as wide) times sqrt(n).
template <class T>
struct Limits {
  T condition, backward;

  explicit Limits(Size n) noexcept
      : condition(static_cast<T>((sizeof(T) == 8 ? 4e3 : 64) * unit_roundoff<T>)),
        backward(static_cast<T>(256 + n) * static_cast<T>(unit_roundoff<T>)) {
    condition *= n <= 32 ? static_cast<T>(6) : std::sqrt(static_cast<T>(n));
  }
};

// N > 0: rows and columns, known at compile time.
template <int N, class T>
struct RowSums {
  T plain, absolute;

  // Of the products row[k] y[k].
  RowSums(const T* row, std::ptrdiff_t stride, Size n, const T* y) noexcept : plain(0), absolute(0) {
    if constexpr (N > 0) {
      _Pragma("GCC unroll 8") for (Size k = 0; k < N; ++k) add(row[k * stride] * y[k]);
    } else {
      Size k = 0;
      if (stride == 1) {  // separate sums, which the compiler may keep in vectors
        constexpr Size parts = 32 / sizeof(T);
        T sums[parts] = {}, sizes[parts] = {};
        for (; k + parts <= n; k += parts)
          for (Size l = 0; l < parts; ++l) {
            const T product = row[k + l] * y[k + l];
            sums[l] += product;
            sizes[l] += std::fabs(product);
          }
        for (Size l = 0; l < parts; ++l) plain += sums[l], absolute += sizes[l];
      }
      for (; k < n; ++k) add(row[k * stride] * y[k]);
    }
  }

 private:
  void add(T product) noexcept {
    plain += product;
    absolute += std::fabs(product);
  }
};

// The first look at y as a solution of a y = z: whether no digit can be in danger.
template <int N, class T>
bool looks_good(const T* a, const Layout& l, const T* y, const T* z) noexcept {
  const Size n = N > 0 ? N : l.rows;
  const Limits<T> limits(n);
  bool good = true;
  for (Size r = 0; r < n; ++r) {
    const RowSums<N, T> sums(a + r * l.row_stride, l.col_stride, n, y);
    const T size = std::fabs(z[r]);
    good = good & (sums.absolute * limits.condition < size) &
           (std::fabs(z[r] - sums.plain) <= limits.backward * (size + sums.absolute));
  }
  return good;
}

// The same with y a solution for some z whose numbers are of the size of 1, and x one of a x = b, whose numbers are
// `step` apart.
template <class T>
bool looks_good(const T* a, const Layout& l, const T* y, const T* x, const T* b, Size step) noexcept {
  return with_size<2, 8>(l.rows, [&]<int N>(std::integral_constant<int, N>) {
    const Size n = N > 0 ? N : l.rows;
    const Limits<T> limits(n);
    bool good = true;
    for (Size r = 0; r < n; ++r) {
      const T* row = a + r * l.row_stride;
      const T size = RowSums<N, T>(row, l.col_stride, n, y).absolute;
      const RowSums<N, T> sums(row, l.col_stride, n, x);
      const T right = b[r * step];
      good = good & (size * limits.condition < static_cast<T>(0.5)) &
             (std::fabs(right - sums.plain) <= limits.backward * (std::fabs(right) + sums.absolute));
    }
    return good;
  });
}

// The largest |b - a x| / (|b| + |a| |x|) of the rows where that is more than rounding explains. Rows beside which
// rounding cannot be told from the ends of the range of T say nothing.
template <class T>
double backward_error(const T* a, const Layout& l, const T* x, const T* b, Size step) noexcept;

// Powers of two that bring the largest element of each row, then of each column, to the size of 1.
class Scales {
 public:
  template <class T>
  Scales(const T* a, const Layout& l) noexcept;
  // False if there is no memory, or a number that is not finite.
  bool good() const noexcept { return finite_; }
  int row(Size r) const noexcept { return row_[r]; }
  int column(Size k) const noexcept { return column_[k]; }

 private:
  AlignedBuffer<int> row_, column_;
  bool finite_ = false;
};

// Row r of the scaled matrix: the sum of its sizes.
template <class T>
T scaled_row_sum(const T* a, const Layout& l, const Scales& scales, Size r) noexcept;

// ---- of an inverse that is there ----

// The norm of the scaled inverse, times that of the scaled matrix.
template <class T>
double scaled_norms(const T* a, const Layout& al, const T* x, const Layout& xl) noexcept;

// 1, or the reciprocal condition number to warn of. x: the inverse of a. `room` for 2 n numbers. z is in the units of
// the rows of a.
template <class T>
double condition_of_inverse(const T* a, const Layout& al, const T* x, const Layout& xl, T* room) noexcept {
  const Size n = al.rows;
  T *y = room, *z = room + n;
  const bool good = with_size<2, 8>(n, [&]<int N>(std::integral_constant<int, N>) {
    const Size order = N > 0 ? N : n;
    const T* probe = probes<T>.number;
    if (n > probe_numbers) {
      for (Size r = 0; r < n; ++r) y[r] = probe[r % probe_numbers];
      probe = y;
    }
    for (Size r = 0; r < order; ++r)
      z[r] = RowSums<N, T>(a + r * al.row_stride, al.col_stride, n, probe).absolute * probe[r];
    for (Size j = 0; j < order; ++j) y[j] = RowSums<N, T>(x + j * xl.row_stride, xl.col_stride, n, z).plain;
    return looks_good<N>(a, al, y, z);
  });
  return good ? 1 : rcond_to_tell<T>(scaled_norms(a, al, x, xl), backward_error(a, al, y, z, 1));
}

// ---- of one small system, which leaves lanes free ----

// The lanes of a kernel that has one system to solve. Lane 0 has it, the others solve for a probe with the same matrix.
template <class T>
class LanesOfOne {
 public:
  static constexpr int lanes = items_per_group<T>;

  // Room for `numbers(n, m)` in `room`. rhs and x: n x m.
  static Size numbers(Size n, Size m) noexcept { return 4 * n * m; }

  LanesOfOne(const Batch<const T>& a, const Batch<const T>& b, const Batch<T>& x, T* room) noexcept
      : a_(a), x_(x), layout_{a.layout.rows, b.layout.cols, b.layout.cols, 1} {
    const Size size = layout_.rows * layout_.cols;
    probe_ = probes<T>.number;
    answer_ = room;
    if (size > probe_numbers) {
      T* filled = room + size;
      for (Size i = 0; i < size; ++i) filled[i] = probe_[i % probe_numbers];
      probe_ = filled;
    }
    const T* right = b.item(0);
    T* left = x.item(0);
    if (!is_plain(b.layout)) {
      T* own = room + 2 * size;
      for (Size i = 0; i < layout_.rows; ++i)
        for (Size j = 0; j < layout_.cols; ++j)
          own[i * layout_.cols + j] = right[i * b.layout.row_stride + j * b.layout.col_stride];
      right = own;
    }
    if (!is_plain(x.layout)) left = room + 3 * size;
    for (int l = 0; l < lanes; ++l) matrix[l] = a.item(0), rhs[l] = probe_, to[l] = answer_;
    rhs[0] = right;
    to[0] = left;
  }

  const Layout& layout() const noexcept { return layout_; }

  // Puts the answer where it was asked for.
  void finish() const noexcept {
    if (to[0] == x_.item(0)) return;
    for (Size i = 0; i < layout_.rows; ++i)
      for (Size j = 0; j < layout_.cols; ++j)
        x_.item(0)[i * x_.layout.row_stride + j * x_.layout.col_stride] = to[0][i * layout_.cols + j];
  }

  // 1, or the reciprocal condition number to warn of; scaled_condition() is asked only if need be.
  template <class Scaled>
  double rcond(Scaled&& scaled_condition) const noexcept {
    const T *x = to[0], *b = rhs[0], *y = answer_;
    if (x == b) x = answer_, b = probe_;  // written over
    const Size m = layout_.cols;
    T of_probe[max_lane_order], of_b[max_lane_order];
    if (m > 1) {
      for (Size r = 0; r < layout_.rows; ++r) of_probe[r] = y[r * m], of_b[r] = x[r * m];
      y = of_probe;
      x = of_b;
    }
    if (looks_good(a_.item(0), a_.layout, y, x, b, m)) return 1;
    return rcond_to_tell<T>(scaled_condition(), backward_error(a_.item(0), a_.layout, x, b, m));
  }

  const T* matrix[lanes];
  const T* rhs[lanes];
  T* to[lanes];

 private:
  bool is_plain(const Layout& l) const noexcept {
    return l.row_stride == layout_.cols && (l.cols == 1 || l.col_stride == 1);
  }

  const Batch<const T>& a_;
  const Batch<T>& x_;
  Layout layout_;
  const T* probe_;
  T* answer_;
};

// The condition of a matrix of up to max_lane_order rows whose rows and columns have been scaled; `solve` is the
// kernel's.
template <class T, class Solve>
double scaled_condition(const T* a, const Layout& al, Size scratch_vectors, Solve&& solve) noexcept {
  const Size n = al.rows;
  const Scales scales(a, al);
  if (!scales.good()) return 0;
  constexpr int lanes = items_per_group<T>;
  const AlignedBuffer<char> scratch(64 * scratch_vectors);
  const AlignedBuffer<T> numbers(n * (n + 2 * lanes));
  if (!scratch || !numbers) return 0;
  T* scaled = numbers.data();
  T *probe = scaled + n * n, *answer = probe + n * lanes;
  for (Size r = 0; r < n; ++r) {
    for (Size k = 0; k < n; ++k)
      scaled[r * n + k] = std::ldexp(a[r * al.row_stride + k * al.col_stride], scales.row(r) + scales.column(k));
    const T sum = scaled_row_sum(a, al, scales, r);
    // The patterns of signs of three rows are all among the first four lanes.
    for (Size l = 0; l < lanes; ++l) {
      const bool minus = r == 0 ? false : r <= 3 ? (l >> (r - 1)) & 1 : probes<T>.number[l * n + r] < 0;
      probe[l * n + r] = minus ? -sum : sum;
    }
  }
  const T *matrix[lanes], *rhs[lanes];
  T* to[lanes];
  for (Size l = 0; l < lanes; ++l) matrix[l] = scaled, rhs[l] = probe + l * n, to[l] = answer + l * n;
  const Layout column{n, 1, 1, 1};
  if (solve(matrix, Layout{n, n, n, 1}, rhs, column, to, column, scratch.data()) & 1) return 0;
  T largest = 0;
  for (Size i = 0; i < n * lanes; ++i) largest = std::max(largest, std::fabs(answer[i]));
  return static_cast<double>(largest);
}

}  // namespace mmlfast::drivers
