// Gram-Schmidt of one tall matrix; part of gram_schmidt.cpp.
//
// Every pass reads A once, in chunks of rows that are worked on in cache as columns of float64.
//
// CholeskyQR: R from the Gram matrix of A, and Q = A R^-1. Columns that are far from dependent need no more; the Gram
// matrix of Q, which is made with it, says so.
//
// CholeskyQR2: R1 from the Gram matrix of A, R2 from that of Q1 = A R1^-1, and Q = Q1 R2^-1. Nothing but Q is written:
// Q1 is made again when it is needed, which costs less than writing and reading it. It is used if both Gram matrices
// say that it is safe; the Gram matrix of Q has the last word.
//
// TSQR otherwise: each chunk is orthonormalised by itself, and then the stack of their R factors, which is tall again.
#pragma once

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>

#include "drivers/gram_schmidt_large.hpp"
#include "runtime/scratch.hpp"
#include "runtime/thread_pool.hpp"

namespace mmlfast::drivers {

namespace tall {

inline const Columns<double>& kernel() { return columns_f64(); }

inline void gather(const double* a, const Layout& l, double* to, Size ld) { kernel().gather_f64(a, l, to, ld); }
inline void gather(const float* a, const Layout& l, double* to, Size ld) { kernel().gather_f32(a, l, to, ld); }
inline void scatter(const double* from, Size ld, double* a, const Layout& l) { kernel().scatter_f64(from, ld, a, l); }
inline void scatter(const double* from, Size ld, float* a, const Layout& l) { kernel().scatter_f32(from, ld, a, l); }

// A matrix with many rows, in chunks that fit the L2 cache as columns, and blocks of chunks for the threads.
struct Chunks {
  Size m, n, rows, count, per_block, n_blocks, ld;

  Chunks(Size m_, Size n_) noexcept : m(m_), n(n_) {
    constexpr Size elements = 12288, least = 64, most = 1024;
    rows = std::max({least, round_up(4 * n, 16), std::min(most, elements / n / 16 * 16)});
    count = (m + rows - 1) / rows;
    per_block = std::max<Size>(1, 8192 / rows);
    n_blocks = (count + per_block - 1) / per_block;
    ld = rows + 8;  // not a multiple of a page: the columns do not fight for the same cache lines
  }
  Size first(Size chunk) const noexcept { return chunk * rows; }
  Size rows_of(Size chunk) const noexcept { return std::min(rows, m - chunk * rows); }
};

struct Status {
  std::atomic<bool> no_memory{false};
  bool interrupted = false;

  Outcome outcome() const noexcept {
    if (no_memory) return {Outcome::Status::no_memory};
    return {interrupted ? Outcome::Status::interrupted : Outcome::Status::ok};
  }
  bool ok() const noexcept { return !no_memory && !interrupted; }
};

template <class T>
struct View {
  T* data;
  Layout layout;

  T* at(Size row) const noexcept { return data + row * layout.row_stride; }
  Layout part(Size rows) const noexcept { return {rows, layout.cols, layout.row_stride, layout.col_stride}; }
};

// body(chunk, columns, spare, gram) for all chunks; columns and spare have room for one chunk each, gram is the n x n
// sum of the block, which starts at zero. The sums of all blocks are added up in `total` (nullptr: not wanted).
template <class Body>
bool each_chunk(const Chunks& c, double ns_per_row, double* partial, double* total, Status& status, Body&& body) {
  const Size nn = c.n * c.n, bytes = 8 * (2 * c.ld * c.n);
  const bool finished = parallel_blocks(c.n_blocks, ns_per_row * static_cast<double>(c.m), [&](Size b) {
    double* scratch = static_cast<double*>(Scratch::request(bytes));
    if (scratch == nullptr) {
      status.no_memory.store(true, std::memory_order_relaxed);
      return;
    }
    double* gram = partial == nullptr ? nullptr : partial + b * nn;
    if (gram != nullptr) std::fill_n(gram, nn, 0.0);
    const Size end = std::min(c.count, (b + 1) * c.per_block);
    for (Size chunk = b * c.per_block; chunk < end; ++chunk) body(chunk, scratch, scratch + c.ld * c.n, gram);
  });
  if (!finished) status.interrupted = true;
  if (!status.ok()) return false;
  if (total != nullptr) {
    std::fill_n(total, nn, 0.0);
    for (Size b = 0; b < c.n_blocks; ++b)
      for (Size e = 0; e < nn; ++e) total[e] += partial[b * nn + e];
  }
  return true;
}

// R with R'R = G (lower triangle of gram), and 1 / r_jj. False if a pivot is not above `limit` of its diagonal element.
inline bool cholesky(const double* gram, Size n, double limit, double* r, double* reciprocal) noexcept {
  std::fill_n(r, n * n, 0.0);
  for (Size j = 0; j < n; ++j) {
    for (Size k = 0; k < j; ++k) {
      double s = gram[j * n + k];
      for (Size i = 0; i < k; ++i) s -= r[i * n + k] * r[i * n + j];
      r[k * n + j] = s * reciprocal[k];
    }
    const double diagonal = gram[j * n + j];
    double s = diagonal;
    for (Size i = 0; i < j; ++i) s -= r[i * n + j] * r[i * n + j];
    if (!(diagonal > 0x1p-900 && diagonal < 0x1p900 && s > limit * diagonal)) return false;
    r[j * n + j] = std::sqrt(s);
    reciprocal[j] = 1 / r[j * n + j];
  }
  return true;
}

// Is every column of R mostly its diagonal element, that is, at an angle of 30 degrees or more to those before it?
inline bool far_from_dependent(const double* r, Size n) noexcept {
  for (Size j = 0; j < n; ++j) {
    double square = 0;
    for (Size i = 0; i <= j; ++i) square += r[i * n + j] * r[i * n + j];
    if (r[j * n + j] * r[j * n + j] < 0.25 * square) return false;
  }
  return true;
}

template <class T>
class Tall {
 public:
  explicit Tall(const LargeGramSchmidt<T>& item) noexcept
      : item_(item),
        a_{item.a, item.a_layout},
        q_{item.q, item.q_layout},
        c_(item.a_layout.rows, item.a_layout.cols),
        partial_(checked_product(c_.n_blocks, c_.n, c_.n)),
        total_(c_.n * c_.n),
        r1_(c_.n * (c_.n + 1)),
        r2_(c_.n * (c_.n + 1)) {}

  // done is left false if the Gram matrices say that this way is not safe.
  Outcome cholesky_qr2(bool& done) noexcept {
    const Size n = c_.n;
    double *inverse1 = r1_.data() + n * n, *inverse2 = r2_.data() + n * n;
    if (!has_memory()) return {Outcome::Status::no_memory};
    Status status;
    if (!each_chunk(c_, ns(1), partial_.data(), total_.data(), status,
                    [&](Size chunk, double* x, double*, double* gram) {
                      const Size rows = load(a_, chunk, x);
                      kernel().add_gram(x, c_.ld, n, rows, gram);
                    }))
      return status.outcome();
    // The pivots carry errors of about n u of the diagonal element: they must stand well above them, and above what
    // rtol calls dependent.
    const double rtol = static_cast<double>(item_.rtol);
    const double limit = std::max(1e-14 * static_cast<double>(n + 10), rtol * rtol * 1.01);
    if (!cholesky(total_.data(), n, limit, r1_.data(), inverse1)) return {};
    if (far_from_dependent(r1_.data(), n)) {
      const Outcome outcome = write_basis(
          status, done, [&](double* x, Size rows) { kernel().solve_upper(x, c_.ld, n, rows, r1_.data(), inverse1); });
      if (done || !outcome.ok()) return outcome;
    }
    if (!each_chunk(c_, ns(2), partial_.data(), total_.data(), status,
                    [&](Size chunk, double* x, double*, double* gram) {
                      const Size rows = load(a_, chunk, x);
                      kernel().solve_upper(x, c_.ld, n, rows, r1_.data(), inverse1);
                      kernel().add_gram(x, c_.ld, n, rows, gram);
                    }))
      return status.outcome();
    if (!(distance_from_identity(total_.data(), n) < 0.5) || !cholesky(total_.data(), n, 0.01, r2_.data(), inverse2))
      return {};
    return write_basis(status, done, [&](double* x, Size rows) {
      kernel().solve_upper(x, c_.ld, n, rows, r1_.data(), inverse1);
      kernel().solve_upper(x, c_.ld, n, rows, r2_.data(), inverse2);
    });
  }

  Outcome tsqr(bool& done) noexcept {
    const Size n = c_.n;
    Room<double> scale(n), stack(checked_product(c_.count, n, n));
    if (!has_memory() || scale.data() == nullptr || stack.data() == nullptr) return {Outcome::Status::no_memory};
    Status status;
    if (!find_scales(scale.data(), status)) return status.outcome();
    for (Size j = 0; j < n; ++j)
      if (std::isinf(scale[j])) return {};  // the caller knows what to do with columns that are not finite
    if (!each_chunk(c_, ns(4), nullptr, nullptr, status, [&](Size chunk, double* x, double* c, double*) {
          const Size rows = load(a_, chunk, x);
          for (Size j = 0; j < n; ++j) kernel().scale(x + j * c_.ld, rows, scale[j]);
          factor(x, c_.ld, n, rows, stack.data() + chunk * n * n, c);
          scatter(x, c_.ld, q_.at(c_.first(chunk)), q_.part(c_.rows_of(chunk)));
        }))
      return status.outcome();
    Size rank = 0;
    const Outcome outcome = reduce(stack.data(), c_.count * n, rank);
    if (!outcome.ok()) return outcome;
    if (!each_chunk(c_, ns(3), partial_.data(), total_.data(), status,
                    [&](Size chunk, double* x, double* y, double* gram) {
                      const Size rows = load(q_, chunk, y);
                      kernel().multiply(y, c_.ld, n, rows, stack.data() + chunk * n * n, x);
                      save(x, chunk, gram);
                    }))
      return status.outcome();
    *item_.rank = rank;
    *item_.orthogonality = static_cast<T>(distance_from_identity(total_.data(), n));
    done = true;
    return {};
  }

 private:
  bool has_memory() const noexcept {
    return partial_.data() != nullptr && total_.data() != nullptr && r1_.data() != nullptr && r2_.data() != nullptr;
  }
  // The last pass of CholeskyQR: transform(x, rows) makes rows of Q from rows of A. `done` stays false if Q is not
  // orthonormal to rounding level.
  template <class Transform>
  Outcome write_basis(Status& status, bool& done, Transform&& transform) noexcept {
    if (!each_chunk(c_, ns(3), partial_.data(), total_.data(), status,
                    [&](Size chunk, double* x, double*, double* gram) {
                      transform(x, load(a_, chunk, x));
                      save(x, chunk, gram);
                    }))
      return status.outcome();
    const double defect = distance_from_identity(total_.data(), c_.n);
    constexpr double u = sizeof(T) == 8 ? 0x1p-53 : 0x1p-24;
    if (!(defect < 8 * u * static_cast<double>(c_.n + 1))) return {};
    *item_.rank = c_.n;
    *item_.orthogonality = static_cast<T>(defect);
    done = true;
    return {};
  }

  // Estimated time per row of a pass with `products` products of n columns with n.
  double ns(double products) const noexcept {
    const double n = static_cast<double>(c_.n);
    return n * (0.5 + 0.05 * products * n);
  }

  // Copies a chunk into columns; returns its rows, rounded up to whole vectors (the added ones are zero).
  template <class U>
  Size load(const View<U>& from, Size chunk, double* x) const noexcept {
    const Size rows = c_.rows_of(chunk);
    gather(from.at(c_.first(chunk)), from.part(rows), x, c_.ld);
    return round_up(rows, 8);
  }

  // Writes a chunk of Q and adds the Gram matrix of what was written.
  void save(double* x, Size chunk, double* gram) const noexcept {
    scatter(x, c_.ld, q_.at(c_.first(chunk)), q_.part(c_.rows_of(chunk)));
    if constexpr (sizeof(T) == 4) load(q_, chunk, x);
    kernel().add_gram(x, c_.ld, c_.n, round_up(c_.rows_of(chunk), 8), gram);
  }

  // Powers of two that bring the largest element of each column near one, exactly and without leaving the range;
  // infinity for a column that is not finite.
  bool find_scales(double* scale, Status& status) noexcept {
    double* big = partial_.data();  // n numbers per block
    std::fill_n(big, c_.n_blocks * c_.n, 0.0);
    if (!each_chunk(c_, ns(1), nullptr, nullptr, status, [&](Size chunk, double* x, double*, double*) {
          const Size rows = load(a_, chunk, x);
          double* mine = big + chunk / c_.per_block * c_.n;
          for (Size j = 0; j < c_.n; ++j) mine[j] = std::max(mine[j], kernel().largest(x + j * c_.ld, rows));
        }))
      return false;
    for (Size j = 0; j < c_.n; ++j) {
      double most = 0;
      for (Size b = 0; b < c_.n_blocks; ++b) most = std::max(most, big[b * c_.n + j]);
      int exponent = 0;
      if (most > 0 && std::isfinite(most)) std::frexp(most, &exponent);
      scale[j] = std::isfinite(most) ? std::ldexp(1.0, std::min(-exponent, 1000)) : most;
    }
    return true;
  }

  // Orthonormalises the columns of a chunk in place, as often as it takes; r (row-major n x n) gets the coefficients, c
  // has room for n numbers. A column of which nothing but rounding noise of rounding noise is left becomes zero, and so
  // does its row of r.
  static void factor(double* x, Size ld, Size n, Size rows, double* r, double* c) noexcept {
    std::fill_n(r, n * n, 0.0);
    for (Size j = 0; j < n; ++j) {
      double* v = x + j * ld;
      double length = std::sqrt(kernel().subtract(x, ld, 0, nullptr, v, rows));
      bool settled = j == 0;
      for (int pass = 0; pass < 6 && !settled && length > 0; ++pass) {
        const double before = length;
        kernel().dots(x, ld, j, v, rows, c);
        length = std::sqrt(kernel().subtract(x, ld, j, c, v, rows));
        for (Size k = 0; k < j; ++k) r[k * n + j] += c[k];
        settled = pass > 0 && length > 0.1 * before;
      }
      if (settled && length > 0x1p-500) {
        r[j * n + j] = length;
        kernel().scale(v, rows, 1 / length);
      } else {
        std::fill_n(v, rows, 0.0);
      }
    }
  }

  // The orthonormal basis of the stacked R factors (m x n, row-major), in place, with the decision about the rank.
  Outcome reduce(double* stack, Size m, Size& rank) noexcept {
    const Size n = c_.n;
    double orthogonality;
    const LargeGramSchmidt<double> item{
        Orthogonalization::cgs2, stack, Layout{m, n, n, 1}, static_cast<double>(item_.rtol), stack,
        Layout{m, n, n, 1},      &rank, &orthogonality};
    if (m < 8 * c_.rows) return gram_schmidt_by_columns(item);
    Tall<double> next(item);
    bool done = false;
    return next.tsqr(done);
  }

  const LargeGramSchmidt<T>& item_;
  View<const T> a_;
  View<T> q_;
  Chunks c_;
  Room<double> partial_, total_, r1_, r2_;
};

}  // namespace tall

// cgs2 of a tall matrix (m >= 4 n), whatever its condition and rank. `done` is left false if it holds NaN or infinity:
// nothing is promised of q then, and the caller takes another way.
template <class T>
Outcome tall_gram_schmidt(const LargeGramSchmidt<T>& item, bool& done) noexcept {
  tall::Tall<T> matrix(item);
  Outcome outcome = matrix.cholesky_qr2(done);
  if (outcome.ok() && !done) outcome = matrix.tsqr(done);
  Scratch::trim();
  return outcome;
}

}  // namespace mmlfast::drivers
