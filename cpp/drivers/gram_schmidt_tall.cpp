#include "drivers/gram_schmidt_tall.hpp"

#include <algorithm>
#include <cmath>

#include "drivers/common/tall_passes.hpp"
#include "drivers/gram_schmidt.hpp"
#include "drivers/gram_schmidt_chunks.hpp"
#include "drivers/rfactor.hpp"

namespace mmlfast::drivers {
namespace {

using namespace tall;

// The sum of squares of each column of R.
void column_squares(const double* r, Size n, double* to) noexcept {
  std::fill_n(to, n, 0.0);
  for (Size i = 0; i < n; ++i)
    for (Size j = i; j < n; ++j) to[j] += r[i * n + j] * r[i * n + j];
}

// Is Q = X R^-1 orthonormal to rounding level, X being a matrix whose Gram matrix is R'R? If the inverse of R with
// columns of unit length is small [Higham, Accuracy and Stability, section 10.1: scaling changes nothing].
bool close_to_orthonormal(const Triangle& triangle, double* lengths, double* row) noexcept {
  const Size n = triangle.n;
  const double* r = triangle.r();
  column_squares(r, n, lengths);
  double sum = 0;  // of the squares of the inverse
  for (Size i = n; i-- > 0;) {
    for (Size j = i; j < n; ++j) row[j] = j == i;
    for (Size k = i; k < n; ++k) {
      row[k] *= triangle.reciprocal()[k];
      const double f = row[k];
      sum += f * f * lengths[i];
      for (Size j = k + 1; j < n; ++j) row[j] -= f * r[k * n + j];
    }
  }
  return sum < 4 * static_cast<double>(n);
}

// Triangles R0, R1, ... such that A R0^-1 R1^-1 ... is orthonormal, for a tall A of any condition: the first two steps.
template <class T>
class Ladder {
 public:
  // q: where Q will be written, or nullptr. rtol: what counts as dependent (gram_schmidt); less than zero: all columns
  // are kept, as far as they go.
  Ladder(const View<const T>& a, const View<T>& q, double rtol) noexcept
      : a_(a),
        q_(q),
        n_(a.layout.cols),
        rank_(n_),
        rtol_(rtol),
        passes_(a.layout.rows, n_),
        total_(n_ * n_),
        row_(n_),
        r_(n_),
        one_(n_),
        two_(n_),
        three_(n_) {}

  bool has_memory() const noexcept {
    return passes_.has_memory() && total_.data() != nullptr && row_.data() != nullptr && r_.has_memory() &&
           one_.has_memory() && two_.has_memory() && three_.has_memory();
  }

  // found: the triangles are there. Else A is not finite, or too close to dependent for this way.
  Outcome find(bool& found) noexcept {
    Outcome outcome;
    found = false;
    const Start start = from_sample();
    if (start == Start::no_memory) return {Outcome::Status::no_memory};
    if (start != Start::all_rows) {
      outcome = settle(start == Start::sample, found);
      if (found || !outcome.ok()) return outcome;
    }
    outcome = r_of_rows(a_.data, a_.layout, one_.r());
    if (!outcome.ok()) return outcome;
    for (Size e = 0; e < n_ * n_; ++e)
      if (!std::isfinite(one_.r()[e])) return {};
    if (!usable(one_.r(), 0)) {
      if (rtol_ < 0) return {};
      outcome = leave_out(one_.r());
      if (!outcome.ok()) return outcome;
    }
    one_.find_reciprocals();
    return settle(true, found);
  }

  // Writes q; gram gets the Gram matrix of q if it is not nullptr.
  Outcome write(double* gram) noexcept {
    Outcome outcome;
    pass(q_, gram, outcome);
    return outcome;
  }

  // Gives R, and the Q that will be written, the signs that Householder's reflections would give: those of LU of the
  // first rows of Q, with the sign of each pivot that keeps it large (Ballard, Demmel, Grigori, Jacquelin, Knight and
  // Nguyen, Reconstructing Householder vectors from tall-skinny QR, 2015, algorithm 5).
  bool sign_like_reflections() noexcept {
    const Size padded = round_up(n_, 16);
    AlignedBuffer<double> columns(checked_product(n_, padded)), rows(checked_product(n_, n_));
    if (columns.data() == nullptr || rows.data() == nullptr) return false;
    std::fill_n(columns.data(), n_ * padded, 0.0);
    const View<const T> from = source();
    const Columns<double>& kernel = kernel_of<Columns<double>>();
    gather(kernel, from.data, from.part(n_), columns.data(), padded);
    for (int t = in_q_; t < count_; ++t)
      kernel.solve_upper(columns.data(), padded, n_, padded, triangles_[t]->r(), triangles_[t]->reciprocal(), nullptr,
                         0);
    for (Size i = 0; i < n_; ++i)
      for (Size j = 0; j < n_; ++j) rows[i * n_ + j] = columns[j * padded + i];
    const Triangle& last = *triangles_[count_ - 1];
    for (Size j = 0; j < n_; ++j) {
      const double* row = rows.data() + j * n_;
      const double sign = row[j] < 0 ? 1 : -1, reciprocal = 1 / (row[j] - sign);
      for (Size i = j + 1; i < n_; ++i) {
        double* below = rows.data() + i * n_;
        const double f = below[j] * reciprocal;
        for (Size k = j + 1; k < n_; ++k) below[k] -= f * row[k];
      }
      if (sign > 0) continue;
      for (Size k = j; k < n_; ++k) r_.r()[j * n_ + k] = -r_.r()[j * n_ + k];
      for (Size k = j; k < n_; ++k) last.r()[j * n_ + k] = -last.r()[j * n_ + k];
      last.reciprocal()[j] = -last.reciprocal()[j];
    }
    return true;
  }

  const Triangle& r() const noexcept { return r_; }
  Size rank() const noexcept { return rank_; }
  // Is the Gram matrix of q sure to be near I?
  bool certain() noexcept {
    return n_ <= 128 && close_to_orthonormal(*triangles_[count_ - 1], row_.data(), total_.data());
  }

 private:
  enum class Start { no_memory, plain, sample, all_rows };

  // Is every diagonal element above `limit` of its column?
  bool usable(const double* r, double limit) noexcept {
    column_squares(r, n_, row_.data());
    for (Size j = 0; j < n_; ++j) {
      const double d = r[j * n_ + j];
      if (!(d > limit * std::sqrt(row_[j]))) return false;
    }
    return true;
  }

  // One row of each of `rows` parts of A, at a place that a fixed sequence of random numbers says (splitmix64).
  bool take_sample(Size rows, T* to) const noexcept {
    if (to == nullptr) return false;
    std::uint64_t state = 0x9e3779b97f4a7c15u;
    const Size m = a_.layout.rows;
    for (Size i = 0; i < rows; ++i) {
      const Size first = m / rows * i + std::min(i, m % rows), count = m / rows + (i < m % rows);
      std::uint64_t z = state += 0x9e3779b97f4a7c15u;
      z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
      z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
      z ^= z >> 31;
      const T* from = a_.at(first + static_cast<Size>(z % static_cast<std::uint64_t>(count)));
      for (Size j = 0; j < n_; ++j) to[i * n_ + j] = from[j * a_.layout.col_stride];
    }
    return true;
  }

  Start from_sample() noexcept {
    const Size rows = std::max<Size>(128, (a_.layout.rows >= 128 * n_ ? 8 : 4) * n_);
    if (a_.layout.rows < 4 * rows) return Start::plain;
    AlignedBuffer<T> sample(checked_product(rows, n_));
    if (!take_sample(rows, sample.data())) return Start::no_memory;
    if (!r_of_rows(sample.data(), Layout{rows, n_, n_, 1}, one_.r()).ok()) return Start::no_memory;
    if (!usable(one_.r(), 0)) return Start::plain;  // zeros that need not be zeros in other rows, or NaN
    if (!usable(one_.r(), 0x1p-51)) return Start::all_rows;
    const double all = std::sqrt(static_cast<double>(a_.layout.rows) / static_cast<double>(rows));
    for (Size e = 0; e < n_ * n_; ++e) one_.r()[e] *= all;  // what R of all rows would be, roughly
    one_.find_reciprocals();
    for (Size j = 0; j < n_; ++j)
      if (!std::isfinite(one_.reciprocal()[j])) return Start::all_rows;
    const bool in_range =
        std::all_of(row_.data(), row_.data() + n_, [](double s) { return s > 0x1p-600 && s < 0x1p600; });
    return in_range && far_from_dependent(one_) ? Start::plain : Start::sample;
  }

  // The triangles and R, beginning with one_ if `begun`.
  Outcome settle(bool begun, bool& found) noexcept {
    triangles_[0] = begun ? &one_ : &two_;
    triangles_[1] = begun ? &two_ : &three_;
    triangles_[2] = begun ? &three_ : &one_;
    count_ = begun ? 1 : 0;
    bool dropped = rank_ < n_;
    in_q_ = 0;
    for (int attempt = 0; attempt < 2; ++attempt) {
      Outcome outcome;
      if (!refine(dropped, outcome)) return outcome;
      std::copy_n(triangles_[0]->r(), n_ * n_, r_.r());
      for (int t = 1; t < count_; ++t) multiply_from_left(*triangles_[t], r_);
      found = rtol_ < 0 || dropped || usable(r_.r(), 8 * rtol_);
      if (found) return {};
      if (attempt > 0) return {};
      std::copy_n(r_.r(), n_ * n_, one_.r());
      outcome = leave_out(one_.r());
      found = rank_ == n_;
      if (found || !outcome.ok()) return outcome;
      one_.find_reciprocals();
      dropped = true;
      in_q_ = 0;
      triangles_[0] = &one_, triangles_[1] = &two_, triangles_[2] = &three_;
      count_ = 1;
    }
    return {};
  }

  View<const T> source() const noexcept { return in_q_ > 0 ? View<const T>{q_.data, q_.layout} : a_; }
  bool pass(const View<T>& to, double* gram, Outcome& outcome) noexcept {
    return passes_.run(source(), triangles_ + in_q_, count_ - in_q_, to, gram, outcome);
  }

  // More triangles until the Gram matrix says that it is enough.
  bool refine(bool dropped, Outcome& outcome) noexcept {
    const double limit = 1e-14 * static_cast<double>(n_ + 10);
    while (count_ < 3) {
      const Triangle& next = *triangles_[count_];
      // What has been solved for many columns is better kept than made again.
      const bool keep = sizeof(T) == 8 && q_.data != nullptr && n_ >= 32 && count_ > 0;
      if (!pass(keep ? q_ : View<T>{nullptr, {}}, total_.data(), outcome)) return false;
      if (keep) in_q_ = count_;
      if (!cholesky(total_.data(), limit, dropped, next)) return false;
      ++count_;
      if (far_from_dependent(next)) return true;
    }
    return false;
  }

  // Which columns of R are independent, in order; the others become zero in R, and R is made triangular again.
  Outcome leave_out(double* r) noexcept {
    AlignedBuffer<bool> independent(n_);
    AlignedBuffer<double> columns(checked_product(n_, n_));
    if (independent.data() == nullptr || columns.data() == nullptr) return {Outcome::Status::no_memory};
    for (Size i = 0; i < n_; ++i)
      for (Size j = 0; j < n_; ++j) columns[j * n_ + i] = r[i * n_ + j];
    Outcome outcome = independent_columns<double>(columns.data(), n_, n_, n_, rtol_, independent.data());
    if (!outcome.ok()) return outcome;
    rank_ = std::count(independent.data(), independent.data() + n_, true);
    if (rank_ == n_) return {};
    if (rank_ == 0) {
      std::fill_n(r, n_ * n_, 0.0);
      return {};
    }
    Size to = 0;
    for (Size j = 0; j < n_; ++j)
      if (independent[j]) std::copy_n(columns.data() + j * n_, n_, columns.data() + n_ * to++);
    AlignedBuffer<double> small(checked_product(rank_, rank_));
    if (small.data() == nullptr) return {Outcome::Status::no_memory};
    outcome = r_of_rows(columns.data(), Layout{n_, rank_, 1, n_}, small.data());
    if (!outcome.ok()) return outcome;
    std::fill_n(r, n_ * n_, 0.0);
    for (Size i = 0, row = 0; i < n_; ++i) {
      if (!independent[i]) continue;
      for (Size j = i, column = row; j < n_; ++j)
        if (independent[j]) r[i * n_ + j] = small[row * rank_ + column++];
      ++row;
    }
    return {};
  }

  View<const T> a_;
  View<T> q_;
  Size n_, rank_;
  double rtol_;
  Passes<T> passes_;
  AlignedBuffer<double> total_, row_;
  Triangle r_, one_, two_, three_;
  const Triangle* triangles_[3] = {};
  int count_ = 0, in_q_ = 0;  // triangles, and those of them that q has been solved with already
};

}  // namespace

template <class T>
Outcome tall_gram_schmidt(const LargeGramSchmidt<T>& item, bool& done) noexcept {
  const Size n = item.a_layout.cols;
  Ladder<T> ladder({item.a, item.a_layout}, {item.q, item.q_layout}, static_cast<double>(item.rtol));
  AlignedBuffer<double> gram(n * n);
  if (!ladder.has_memory() || gram.data() == nullptr) return {Outcome::Status::no_memory};
  bool found = false;
  Outcome outcome = ladder.find(found);
  if (outcome.ok() && found) {
    outcome = ladder.write(gram.data());
    const double defect = distance_from_identity(gram.data(), n);
    constexpr double u = sizeof(T) == 8 ? 0x1p-53 : 0x1p-24;
    done = outcome.ok() && defect < 8 * u * static_cast<double>(n + 1);
    if (done) {
      *item.rank = ladder.rank();
      *item.orthogonality = static_cast<T>(defect);
    }
  }
  if (outcome.ok() && !done) {
    outcome = gram_schmidt_by_chunks(item, done);
  }
  return outcome;
}

template <class T>
Outcome tall_qr(const T* a, const Layout& a_layout, T* q, const Layout& q_layout, T* r, const Layout& r_layout,
                bool& done) noexcept {
  const Size n = a_layout.cols;
  done = false;
  Ladder<T> ladder({a, a_layout}, {q, q_layout}, -1);
  if (!ladder.has_memory()) return {Outcome::Status::no_memory};
  Outcome outcome = ladder.find(done);
  const bool certain = outcome.ok() && done && ladder.certain();
  if (outcome.ok() && done && !ladder.sign_like_reflections()) return {Outcome::Status::no_memory};
  if (outcome.ok() && done && q != nullptr) {
    AlignedBuffer<double> gram(certain ? 1 : n * n);
    if (gram.data() == nullptr) return {Outcome::Status::no_memory};
    outcome = ladder.write(certain ? nullptr : gram.data());
    constexpr double u = sizeof(T) == 8 ? 0x1p-53 : 0x1p-24;
    done = outcome.ok() && (certain || distance_from_identity(gram.data(), n) < 8 * u * static_cast<double>(n + 1));
  }
  if (done && r != nullptr) {
    for (Size i = 0; i < n; ++i)
      for (Size j = 0; j < n; ++j)
        r[i * r_layout.row_stride + j * r_layout.col_stride] = static_cast<T>(j < i ? 0 : ladder.r().r()[i * n + j]);
  }
  return outcome;
}

#define MMLFAST_INSTANTIATE(T)                                                    \
  template Outcome tall_gram_schmidt(const LargeGramSchmidt<T>&, bool&) noexcept; \
  template Outcome tall_qr(const T*, const Layout&, T*, const Layout&, T*, const Layout&, bool&) noexcept;
MMLFAST_INSTANTIATE(double)
MMLFAST_INSTANTIATE(float)

}  // namespace mmlfast::drivers
