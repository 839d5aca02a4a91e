#include "drivers/gram_schmidt_large.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "drivers/common/lane_batch.hpp"
#include "runtime/interrupt.hpp"
#include "runtime/lapack_table.hpp"
#include "runtime/thread_pool.hpp"

namespace mmlfast::drivers {
namespace {

constexpr Size block_rows = 2048;

// A matrix copied into columns, scaled so that no square leaves the range, with the sums over its rows taken in fixed
// blocks.
template <class T>
class Sweep {
 public:
  Sweep(Size m, Size n) noexcept
      : m_(m),
        n_(n),
        ld_(round_up(m, items_per_group<T>)),
        n_blocks_(ceil_div(m, block_rows)),
        columns_(checked_product(ld_, n)),
        partial_(checked_product(n_blocks_, n * std::max<Size>(n, 2))),
        sums_(n),
        coefficients_(n) {}

  bool has_memory() const noexcept {
    return columns_.data() != nullptr && partial_.data() != nullptr && sums_.data() != nullptr &&
           coefficients_.data() != nullptr;
  }
  bool interrupted() const noexcept { return interrupted_; }
  T* column(Size k) const noexcept { return columns_.data() + k * ld_; }

  void copy_in(const T* a, const Layout& layout) noexcept {
    each_block(static_cast<double>(n_), [&](Size, Size first, Size rows) {
      const Layout part{rows, n_, layout.row_stride, layout.col_stride};
      const T* from = a + first * layout.row_stride;
      if constexpr (sizeof(T) == 8)
        kernel_.gather_f64(from, part, column(0) + first, ld_);
      else
        kernel_.gather_f32(from, part, column(0) + first, ld_);
    });
  }
  void copy_out(T* a, const Layout& layout) noexcept {
    each_block(static_cast<double>(n_), [&](Size, Size first, Size rows) {
      const Layout part{rows, n_, layout.row_stride, layout.col_stride};
      T* to = a + first * layout.row_stride;
      if constexpr (sizeof(T) == 8)
        kernel_.scatter_f64(column(0) + first, ld_, to, part);
      else
        kernel_.scatter_f32(column(0) + first, ld_, to, part);
    });
  }

  // Scales column j by a power of two if its squares need it. False if it holds NaN or infinity.
  bool make_safe(Size j) noexcept {
    each_block(1, [&](Size b, Size first, Size rows) {
      partial_[b] = kernel_.largest(column(j) + first, round_up(rows, items_per_group<T>));
    });
    const T big = *std::max_element(partial_.data(), partial_.data() + n_blocks_);
    if (!std::isfinite(big)) return false;
    constexpr int safe = std::numeric_limits<T>::max_exponent / 4;
    int exponent;
    std::frexp(big, &exponent);
    if (big == 0 || (exponent > -safe && exponent < safe)) return true;
    // In two steps: the power itself may be out of range.
    scale(j, std::ldexp(T{1}, -exponent / 2));
    scale(j, std::ldexp(T{1}, -exponent + exponent / 2));
    return true;
  }

  // column j -= sum over k in [from, from + count) of coefficient[k - from] * column k, then sums[k] = column k .
  // column j for k in [dot_from, dot_from + dot_count): both in one sweep over the rows. Returns the length of what
  // is left of column j.
  T step(Size j, Size from, Size count, Size dot_from, Size dot_count) noexcept {
    std::copy_n(sums_.data(), count, coefficients_.data());
    each_block(static_cast<double>(count + dot_count + 1), [&](Size b, Size first, Size rows) {
      rows = round_up(rows, items_per_group<T>);
      T* v = column(j) + first;
      T* out = partial_.data() + b * (n_ + 1);
      out[dot_count] = kernel_.subtract(column(from) + first, ld_, count, coefficients_.data(), v, rows);
      kernel_.dots(column(dot_from) + first, ld_, dot_count, v, rows, out);
    });
    T square = 0;
    std::fill_n(sums_.data(), dot_count, T{0});
    for (Size b = 0; b < n_blocks_; ++b) {
      const T* part = partial_.data() + b * (n_ + 1);
      for (Size k = 0; k < dot_count; ++k) sums_[k] += part[k];
      square += part[dot_count];
    }
    return std::sqrt(square);
  }

  void scale(Size j, T factor) noexcept {
    each_block(1, [&](Size, Size first, Size rows) {
      kernel_.scale(column(j) + first, round_up(rows, items_per_group<T>), factor);
    });
  }
  void clear(Size j) noexcept { std::fill_n(column(j), ld_, T{0}); }
  void set_nan(Size j) noexcept { std::fill_n(column(j), ld_, std::numeric_limits<T>::quiet_NaN()); }

  // The Frobenius norm of Q'Q - I over the first `n` columns.
  double orthogonality(Size n) noexcept {
    each_block(static_cast<double>(n * n), [&](Size b, Size first, Size rows) {
      T* gram = partial_.data() + b * n_ * n_;
      std::fill_n(gram, n * n, T{0});
      kernel_.add_gram(column(0) + first, ld_, n, round_up(rows, items_per_group<T>), gram);
    });
    for (Size b = 1; b < n_blocks_; ++b)
      for (Size e = 0; e < n * n; ++e) partial_[e] += partial_[b * n_ * n_ + e];
    return distance_from_identity(partial_.data(), n);
  }

 private:
  template <class Body>
  void each_block(double columns_touched, Body&& body) noexcept {
    if (n_blocks_ == 1) return body(Size{0}, Size{0}, m_);
    const double ns = static_cast<double>(m_) * columns_touched * 0.3;
    if (!parallel_blocks(n_blocks_, ns,
                         [&](Size b) { body(b, b * block_rows, std::min(block_rows, m_ - b * block_rows)); }))
      interrupted_ = true;
  }

  const Columns<T>& kernel_ = kernel_of<Columns<T>>();
  Size m_, n_, ld_, n_blocks_;
  AlignedBuffer<T> columns_, partial_, sums_, coefficients_;
  bool interrupted_ = false;
};

// Column j after all those before it, by the method; returns whether it is dependent.
template <class T>
bool orthogonalise(Sweep<T>& sweep, Orthogonalization method, Size j, T rtol) noexcept {
  const bool modified = method == Orthogonalization::mgs, twice = method == Orthogonalization::cgs2;
  const T before = sweep.step(j, 0, 0, 0, modified ? std::min<Size>(j, 1) : j);
  T length = before;
  bool noise = false;
  if (modified) {
    for (Size k = 0; k < j; ++k) length = sweep.step(j, k, 1, k + 1 < j ? k + 1 : k, k + 1 < j ? 1 : 0);
  } else if (j > 0) {
    length = sweep.step(j, 0, j, 0, twice ? j : 0);
    if (twice) {
      const T once = length;
      length = sweep.step(j, 0, j, 0, 0);
      noise = length <= once * static_cast<T>(0.1);
    }
  }
  if (noise || length <= rtol * before) {
    sweep.clear(j);
    return true;
  }
  sweep.scale(j, T{1} / length);
  return false;
}

}  // namespace

template <class T>
double distance_from_identity(const T* gram, Size n) noexcept {
  double sum = 0;
  for (Size j = 0; j < n; ++j) {
    const double diagonal = static_cast<double>(gram[j * n + j]), own = diagonal == 0 ? 0 : diagonal - 1;
    for (Size k = 0; k < j; ++k) {
      const double x = static_cast<double>(gram[j * n + k]);
      sum += 2 * x * x;
    }
    sum += own * own;
  }
  return __builtin_sqrt(sum);
}

template <class T>
Outcome independent_columns(const T* r, Size ld, Size k, Size n, T rtol, bool* independent) noexcept {
  Sweep<T> sweep(k, n);
  AlignedBuffer<T> upper(k * n);
  if (!sweep.has_memory() || upper.data() == nullptr) return {Outcome::Status::no_memory};
  for (Size j = 0; j < n; ++j)
    for (Size i = 0; i < k; ++i) upper[j * k + i] = i <= j ? r[j * ld + i] : T{0};
  sweep.copy_in(upper.data(), Layout{k, n, 1, k});
  for (Size j = 0; j < n; ++j) {
    sweep.make_safe(j);
    independent[j] = !orthogonalise(sweep, Orthogonalization::cgs2, j, rtol);
  }
  return {};
}

template <class T>
Outcome gram_schmidt_by_lapack(const LargeGramSchmidt<T>& item) noexcept {
  const Size m = item.a_layout.rows, n = item.a_layout.cols, k = std::min(m, n);
  if (!fits_blas_int(m) || !fits_blas_int(n)) return {Outcome::Status::too_large};
  const LapackRoutines<T>* lapack = lapack_routines<T>();
  if (lapack == nullptr) return {Outcome::Status::no_lapack};
  AlignedBuffer<T> a(checked_product(m, n)), tau(n), sign(n), work(n * 64);
  AlignedBuffer<bool> independent(n);
  Sweep<T> sweep(m, n);
  if (a.data() == nullptr || tau.data() == nullptr || sign.data() == nullptr || work.data() == nullptr ||
      independent.data() == nullptr || !sweep.has_memory())
    return {Outcome::Status::no_memory};
  sweep.copy_in(item.a, item.a_layout);
  Size finite = 0;
  while (finite < n && sweep.make_safe(finite)) ++finite;
  for (Size j = 0; j < finite; ++j) std::copy_n(sweep.column(j), m, a.data() + j * m);
  lapack->geqrf(m, finite, a.data(), tau.data(), work.data(), n * 64);
  Outcome outcome = independent_columns(a.data(), m, std::min(k, finite), finite, item.rtol, independent.data());
  if (!outcome.ok()) return outcome;
  const Size rank = std::count(independent.data(), independent.data() + finite, true);
  if (rank < finite) {  // once more, without the dependent columns
    for (Size j = 0, to = 0; j < finite; ++j)
      if (independent[j]) std::copy_n(sweep.column(j), m, a.data() + m * to++);
    lapack->geqrf(m, rank, a.data(), tau.data(), work.data(), n * 64);
  }
  for (Size j = 0; j < rank; ++j) sign[j] = a[j * m + j] < 0 ? T{-1} : T{1};
  if (rank > 0) lapack->orgqr(m, rank, rank, a.data(), tau.data(), work.data(), n * 64);
  for (Size j = 0, from = 0; j < n; ++j) {
    if (j >= finite) {
      sweep.set_nan(j);
    } else if (!independent[j]) {
      sweep.clear(j);
    } else {
      for (Size i = 0; i < m; ++i) sweep.column(j)[i] = sign[from] * a[from * m + i];
      ++from;
    }
  }
  *item.rank = rank + (n - finite);
  *item.orthogonality = finite < n ? std::numeric_limits<T>::quiet_NaN() : static_cast<T>(sweep.orthogonality(n));
  sweep.copy_out(item.q, item.q_layout);
  return {sweep.interrupted() ? Outcome::Status::interrupted : Outcome::Status::ok};
}

template <class T>
Outcome gram_schmidt_by_columns(const LargeGramSchmidt<T>& item) noexcept {
  const Size m = item.a_layout.rows, n = item.a_layout.cols;
  Sweep<T> sweep(m, n);
  if (!sweep.has_memory()) return {Outcome::Status::no_memory};
  sweep.copy_in(item.a, item.a_layout);
  InterruptTimer timer;
  Size rank = 0, finite = 0;
  for (; finite < n && sweep.make_safe(finite); ++finite) {
    if (!orthogonalise(sweep, item.method, finite, item.rtol)) ++rank;
    if (sweep.interrupted() || timer.interrupted()) return {Outcome::Status::interrupted};
  }
  for (Size j = finite; j < n; ++j) sweep.set_nan(j);
  *item.rank = rank + (n - finite);
  *item.orthogonality = finite < n ? std::numeric_limits<T>::quiet_NaN() : static_cast<T>(sweep.orthogonality(n));
  sweep.copy_out(item.q, item.q_layout);
  return {sweep.interrupted() ? Outcome::Status::interrupted : Outcome::Status::ok};
}

#define MMLFAST_INSTANTIATE(T)                                                         \
  template double distance_from_identity(const T*, Size) noexcept;                     \
  template Outcome independent_columns(const T*, Size, Size, Size, T, bool*) noexcept; \
  template Outcome gram_schmidt_by_columns(const LargeGramSchmidt<T>&) noexcept;       \
  template Outcome gram_schmidt_by_lapack(const LargeGramSchmidt<T>&) noexcept;
MMLFAST_INSTANTIATE(double)
MMLFAST_INSTANTIATE(float)

}  // namespace mmlfast::drivers
