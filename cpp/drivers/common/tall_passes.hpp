// Passes over one tall matrix, in chunks of rows that are worked on in cache as columns of float64. The blocks of
// chunks are fixed by the shape, and their sums are added up in order: the bits do not depend on the threads.
#pragma once

#include <algorithm>
#include <cmath>

#include "drivers/common/parallel.hpp"
#include "kernels/common/spread_stride.hpp"
#include "kernels/gram_schmidt.hpp"

namespace mmlfast::drivers::tall {

inline void gather(const Columns<double>& kernel, const double* a, const Layout& l, double* to, Size ld) {
  kernel.gather_f64(a, l, to, ld);
}
inline void gather(const Columns<double>& kernel, const float* a, const Layout& l, double* to, Size ld) {
  kernel.gather_f32(a, l, to, ld);
}
inline void scatter(const Columns<double>& kernel, const double* from, Size ld, double* a, const Layout& l) {
  kernel.scatter_f64(from, ld, a, l);
}
inline void scatter(const Columns<double>& kernel, const double* from, Size ld, float* a, const Layout& l) {
  kernel.scatter_f32(from, ld, a, l);
}

template <class T>
struct View {
  T* data;
  Layout layout;

  T* at(Size row) const noexcept { return data + row * layout.row_stride; }
  Layout part(Size rows) const noexcept { return {rows, layout.cols, layout.row_stride, layout.col_stride}; }
};

// Chunks of `rows` rows, a multiple of 16, and blocks of chunks for the threads.
struct Chunks {
  Size m, n, rows, count, per_block, n_blocks, ld;

  Chunks(Size m_, Size n_, Size elements, Size least, Size most, Size block_rows) noexcept : m(m_), n(n_) {
    rows = std::clamp(elements / n / 16 * 16, round_up(least, 16), std::max(most, round_up(least, 16)));
    count = ceil_div(m, rows);
    per_block = std::max<Size>(1, block_rows / rows);
    n_blocks = ceil_div(count, per_block);
    ld = spread_stride<double>(rows);
  }
  Size first(Size chunk) const noexcept { return chunk * rows; }
  Size rows_of(Size chunk) const noexcept { return std::min(rows, m - chunk * rows); }
};

// The upper triangular matrix r (row-major n x n) with the reciprocals of its diagonal. A zero on the diagonal has
// the reciprocal zero and a row of zeros: this column becomes zero.
struct Triangle {
  AlignedBuffer<double> numbers;
  Size n;

  explicit Triangle(Size n_) noexcept : numbers(checked_product(n_, n_ + 1)), n(n_) {}
  bool has_memory() const noexcept { return numbers.data() != nullptr; }
  double* r() const noexcept { return numbers.data(); }
  double* reciprocal() const noexcept { return numbers.data() + n * n; }
  void find_reciprocals() const noexcept {
    for (Size j = 0; j < n; ++j) reciprocal()[j] = r()[j * n + j] == 0 ? 0 : 1 / r()[j * n + j];
  }
};

// R with R'R = G (lower triangle of gram). False if a pivot is not above `limit` of its diagonal element. Columns with
// a zero on the diagonal are left out if `zeros_allowed`.
inline bool cholesky(const double* gram, double limit, bool zeros_allowed, const Triangle& to) noexcept {
  const Size n = to.n;
  double* r = to.r();
  for (Size k = 0; k < n; ++k)
    for (Size j = 0; j < n; ++j) r[k * n + j] = j < k ? 0 : gram[j * n + k];
  for (Size k = 0; k < n; ++k) {
    double* row = r + k * n;
    const double diagonal = gram[k * n + k], pivot = row[k];
    if (diagonal == 0 && zeros_allowed) {
      std::fill_n(row, n, 0.0);
      continue;
    }
    if (!(diagonal > 0x1p-900 && diagonal < 0x1p900 && pivot > limit * diagonal)) return false;
    row[k] = std::sqrt(pivot);
    const double factor = 1 / row[k];
    for (Size j = k + 1; j < n; ++j) row[j] *= factor;
    for (Size i = k + 1; i < n; ++i) {
      double* below = r + i * n;
      const double f = row[i];
      for (Size j = i; j < n; ++j) below[j] -= f * row[j];
    }
  }
  to.find_reciprocals();
  return true;
}

// Is every column of R mostly its diagonal element, that is, at an angle of 30 degrees or more to those before it?
inline bool far_from_dependent(const Triangle& triangle) noexcept {
  const Size n = triangle.n;
  const double* r = triangle.r();
  for (Size j = 0; j < n; ++j) {
    double square = 0;
    for (Size i = 0; i <= j; ++i) square += r[i * n + j] * r[i * n + j];
    if (!(r[j * n + j] * r[j * n + j] >= 0.25 * square)) return false;
  }
  return true;
}

// to := left * to, upper triangular.
inline void multiply_from_left(const Triangle& left, const Triangle& to) noexcept {
  const Size n = to.n;
  const double* l = left.r();
  double* r = to.r();
  for (Size i = 0; i < n; ++i) {
    double* row = r + i * n;
    for (Size j = i; j < n; ++j) row[j] *= l[i * n + i];
    for (Size k = i + 1; k < n; ++k) {
      const double f = l[i * n + k];
      const double* other = r + k * n;
      for (Size j = k; j < n; ++j) row[j] += f * other[j];
    }
  }
}

template <class T>
class Passes {
 public:
  Passes(Size m, Size n) noexcept
      : c_(m, n, 1280, 128, 256, block_rows(n)),
        sums_(kernel_.gram_sums(c_.n)),
        partial_(checked_product(c_.n_blocks, c_.n, c_.n)) {}

  bool has_memory() const noexcept { return partial_.data() != nullptr; }

  // X = A R1^-1 R2^-1 ... for `count` triangles. q := X (data nullptr: not wanted; q may be A); total := the Gram
  // matrix (lower triangle) of X as it is written (nullptr: not wanted).
  bool run(const View<const T>& a, const Triangle* const* triangles, int count, const View<T>& q, double* total,
           Outcome& outcome) noexcept {
    const int products = std::max(1, count + (total != nullptr));
    return each_chunk(products, total, outcome, [&](Size chunk, double* x, double* sums) {
      Size rows = load(a, chunk, x);
      // Each product fetches its share of the rows of the next chunk.
      const bool last = chunk + 1 == c_.count, contiguous = a.layout.col_stride == 1 && a.layout.row_stride == c_.n;
      const Size share = last || !contiguous ? 0 : c_.rows_of(chunk + 1) * c_.n / products;
      const T* next = a.at(c_.first(chunk) + c_.rows_of(chunk));
      const Size ahead = share * Size{sizeof(T)};
      for (int t = 0; t < count; ++t, next += share)
        kernel_.solve_upper(x, c_.ld, c_.n, rows, triangles[t]->r(), triangles[t]->reciprocal(), next, ahead);
      if (q.data != nullptr) scatter(kernel_, x, c_.ld, q.at(c_.first(chunk)), q.part(c_.rows_of(chunk)));
      if (total == nullptr) return;
      if (sizeof(T) == 4 && q.data != nullptr) rows = load({q.data, q.layout}, chunk, x);
      kernel_.add_gram_in_lanes(x, c_.ld, c_.n, rows, sums, next, ahead);
    });
  }

 private:
  static Size block_rows(Size n) noexcept { return std::clamp<Size>(8'000'000 / (n * n), 256, 8192); }

  // Rows of a chunk in columns, padded with zeros to a multiple of 16 rows, which is returned.
  Size load(const View<const T>& from, Size chunk, double* x) const noexcept {
    const Size rows = c_.rows_of(chunk), whole = round_up(rows, 8), padded = round_up(rows, 16);
    gather(kernel_, from.at(c_.first(chunk)), from.part(rows), x, c_.ld);
    if (whole < padded)
      for (Size j = 0; j < c_.n; ++j) std::fill_n(x + j * c_.ld + whole, 8, 0.0);
    return padded;
  }

  // body(chunk, columns, sums) for all chunks; the sums of a block start at zero, and those of all blocks are
  // added up in `total` (nullptr: not wanted).
  template <class Body>
  bool each_chunk(int products, double* total, Outcome& outcome, Body&& body) noexcept {
    const Size n = c_.n, nn = n * n, area = c_.ld * n;
    const double ns = static_cast<double>(c_.m / c_.n_blocks * n) * (0.5 + 0.025 * products * static_cast<double>(n));
    // Each thread has a part of the matrix to itself, as far as it goes: two that write fresh pages next to each other
    // would wait for the same large page.
    const Size parts = get_num_threads(), each = c_.n_blocks / parts, more = c_.n_blocks % parts;
    outcome = parallel_with_scratch(c_.n_blocks, ns, 8 * (area + sums_), [&](Size turn, void* scratch) {
      const Size part = turn % parts, b = part * each + std::min(part, more) + turn / parts;
      double *columns = static_cast<double*>(scratch), *sums = columns + area;
      if (total != nullptr) std::fill_n(sums, sums_, 0.0);
      const Size end = std::min(c_.count, (b + 1) * c_.per_block);
      for (Size chunk = b * c_.per_block; chunk < end; ++chunk) body(chunk, columns, sums);
      if (total != nullptr) kernel_.reduce_gram(sums, n, partial_.data() + b * nn);
    });
    if (!outcome.ok()) return false;
    if (total == nullptr) return true;
    std::fill_n(total, nn, 0.0);
    for (Size b = 0; b < c_.n_blocks; ++b)
      for (Size j = 0; j < n; ++j)
        for (Size k = 0; k <= j; ++k) total[j * n + k] += partial_[b * nn + j * n + k];
    return true;
  }

  const Columns<double>& kernel_ = kernel_of<Columns<double>>();
  Chunks c_;
  Size sums_;
  AlignedBuffer<double> partial_;
};

}  // namespace mmlfast::drivers::tall
