#include "drivers/gram_schmidt_chunks.hpp"

#include <algorithm>
#include <cmath>

#include "drivers/common/tall_passes.hpp"

namespace mmlfast::drivers {
namespace {

using namespace tall;

template <class T>
class ByChunks {
 public:
  explicit ByChunks(const LargeGramSchmidt<T>& item) noexcept
      : item_(item),
        a_{item.a, item.a_layout},
        q_{item.q, item.q_layout},
        c_(item.a_layout.rows, item.a_layout.cols, 12288, 4 * item.a_layout.cols, 1024, 8192),
        big_(checked_product(c_.n_blocks, c_.n)),
        gram_(c_.n * c_.n),
        scale_(c_.n),
        stack_(checked_product(c_.count, c_.n, c_.n)) {}

  Outcome run(bool& done) noexcept {
    const Size n = c_.n;
    if (big_.data() == nullptr || gram_.data() == nullptr || scale_.data() == nullptr || stack_.data() == nullptr)
      return {Outcome::Status::no_memory};
    Outcome outcome;
    if (!find_scales(outcome)) return outcome;
    for (Size j = 0; j < n; ++j)
      if (std::isinf(scale_[j])) return {};  // the caller knows what to do with columns that are not finite
    if (!each_chunk(4, outcome, [&](Size chunk, double* x, double* c) {
          const Size rows = load(a_, chunk, x);
          for (Size j = 0; j < n; ++j) kernel_.scale(x + j * c_.ld, rows, scale_[j]);
          factor(x, c_.ld, n, rows, stack_.data() + chunk * n * n, c);
          scatter(kernel_, x, c_.ld, q_.at(c_.first(chunk)), q_.part(c_.rows_of(chunk)));
        }))
      return outcome;
    std::int64_t rank = 0;
    outcome = reduce(stack_.data(), c_.count * n, rank);
    if (!outcome.ok()) return outcome;
    if (!each_chunk(2, outcome, [&](Size chunk, double* x, double* y) {
          const Size rows = load(View<const T>{q_.data, q_.layout}, chunk, y);
          kernel_.multiply(y, c_.ld, n, rows, stack_.data() + chunk * n * n, x);
          scatter(kernel_, x, c_.ld, q_.at(c_.first(chunk)), q_.part(c_.rows_of(chunk)));
        }))
      return outcome;
    Passes<T> passes(c_.m, n);
    if (!passes.has_memory()) return {Outcome::Status::no_memory};
    if (!passes.run({q_.data, q_.layout}, nullptr, 0, {nullptr, {}}, gram_.data(), outcome)) return outcome;
    *item_.rank = rank;
    *item_.orthogonality = static_cast<T>(distance_from_identity(gram_.data(), n));
    done = true;
    return {};
  }

 private:
  // body(chunk, columns, spare) for all chunks.
  template <class Body>
  bool each_chunk(double products, Outcome& outcome, Body&& body) noexcept {
    const double n = static_cast<double>(c_.n), ns = n * (0.5 + 0.05 * products * n);
    const Size area = c_.ld * c_.n;
    const double block_ns = ns * static_cast<double>(c_.m / c_.n_blocks);
    outcome = parallel_with_scratch(c_.n_blocks, block_ns, 16 * area, [&](Size b, void* scratch) {
      double* columns = static_cast<double*>(scratch);
      const Size end = std::min(c_.count, (b + 1) * c_.per_block);
      for (Size chunk = b * c_.per_block; chunk < end; ++chunk) body(chunk, columns, columns + area);
    });
    return outcome.ok();
  }

  // Copies a chunk into columns; returns its rows, rounded up to whole vectors (the added ones are zero).
  Size load(const View<const T>& from, Size chunk, double* x) const noexcept {
    const Size rows = c_.rows_of(chunk);
    gather(kernel_, from.at(c_.first(chunk)), from.part(rows), x, c_.ld);
    return round_up(rows, 8);
  }

  // Powers of two that bring the largest element of each column near one, exactly and without leaving the range;
  // infinity for a column that is not finite.
  bool find_scales(Outcome& outcome) noexcept {
    std::fill_n(big_.data(), c_.n_blocks * c_.n, 0.0);
    if (!each_chunk(1, outcome, [&](Size chunk, double* x, double*) {
          const Size rows = load(a_, chunk, x);
          double* mine = big_.data() + chunk / c_.per_block * c_.n;
          for (Size j = 0; j < c_.n; ++j) mine[j] = std::max(mine[j], kernel_.largest(x + j * c_.ld, rows));
        }))
      return false;
    for (Size j = 0; j < c_.n; ++j) {
      double most = 0;
      for (Size b = 0; b < c_.n_blocks; ++b) most = std::max(most, big_[b * c_.n + j]);
      int exponent = 0;
      if (most > 0 && std::isfinite(most)) std::frexp(most, &exponent);
      scale_[j] = std::isfinite(most) ? std::ldexp(1.0, std::min(-exponent, 1000)) : most;
    }
    return true;
  }

  // Orthonormalises the columns of a chunk in place, as often as it takes; r (row-major n x n) gets the coefficients, c
  // has room for n numbers. A column of which nothing but rounding noise of rounding noise is left becomes zero, and so
  // does its row of r.
  void factor(double* x, Size ld, Size n, Size rows, double* r, double* c) const noexcept {
    std::fill_n(r, n * n, 0.0);
    for (Size j = 0; j < n; ++j) {
      double* v = x + j * ld;
      double length = std::sqrt(kernel_.subtract(x, ld, 0, nullptr, v, rows));
      bool settled = j == 0;
      for (int pass = 0; pass < 6 && !settled && length > 0; ++pass) {
        const double before = length;
        kernel_.dots(x, ld, j, v, rows, c);
        length = std::sqrt(kernel_.subtract(x, ld, j, c, v, rows));
        for (Size k = 0; k < j; ++k) r[k * n + j] += c[k];
        settled = pass > 0 && length > 0.1 * before;
      }
      if (settled && length > 0x1p-500) {
        r[j * n + j] = length;
        kernel_.scale(v, rows, 1 / length);
      } else {
        std::fill_n(v, rows, 0.0);
      }
    }
  }

  // The orthonormal basis of the stacked R factors (m x n, row-major), in place, with the decision about the rank.
  Outcome reduce(double* stack, Size m, std::int64_t& rank) noexcept {
    const Size n = c_.n;
    double orthogonality;
    const LargeGramSchmidt<double> item{
        Orthogonalization::cgs2, stack, Layout{m, n, n, 1}, static_cast<double>(item_.rtol), stack,
        Layout{m, n, n, 1},      &rank, &orthogonality};
    if (m < 8 * c_.rows) return gram_schmidt_by_columns(item);
    ByChunks<double> next(item);
    bool done = false;
    return next.run(done);
  }

  const Columns<double>& kernel_ = kernel_of<Columns<double>>();
  const LargeGramSchmidt<T>& item_;
  View<const T> a_;
  View<T> q_;
  Chunks c_;
  AlignedBuffer<double> big_, gram_, scale_, stack_;
};

}  // namespace

template <class T>
Outcome gram_schmidt_by_chunks(const LargeGramSchmidt<T>& item, bool& done) noexcept {
  return ByChunks<T>(item).run(done);
}

template Outcome gram_schmidt_by_chunks(const LargeGramSchmidt<double>&, bool&) noexcept;
template Outcome gram_schmidt_by_chunks(const LargeGramSchmidt<float>&, bool&) noexcept;

}  // namespace mmlfast::drivers
