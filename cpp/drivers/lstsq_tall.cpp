#include "drivers/lstsq_tall.hpp"

#include <cstdlib>

#include "drivers/common/column_major.hpp"
#include "drivers/lstsq_least_norm.hpp"
#include "drivers/rfactor.hpp"
#include "drivers/svd_lapack.hpp"
#include "runtime/aligned_buffer.hpp"

namespace mmlfast::drivers {
namespace {

// Numbers times this power of two are at a size near one if their largest is far from it.
int exponent_if_far(double largest) noexcept {
  constexpr int far = 400;
  const int e = largest > 0 ? std::ilogb(largest) : 0;
  return std::abs(e) > far ? -e : 0;
}

template <class T>
class TallLstsq {
 public:
  TallLstsq(Size m, Size n, Size k) noexcept
      : m_(m), n_(n), k_(k), chunk_(std::min(k, std::max<Size>(n, 32))), width_(n + chunk_) {}

  // Problem i. Many right-hand sides are taken some at a time.
  Outcome run(const LstsqCall<T>& c, Size i) const noexcept {
    Memory of(*this);
    if (!of.parts) return {Outcome::Status::no_memory};
    for (Size from = 0; from < k_; from += chunk_) {
      const Size k = std::min(chunk_, k_ - from);
      of.width = n_ + k;
      if (!pack(c, i, from, k, of)) return {Outcome::Status::failed_items};
      Outcome outcome = r_of_rows<double>(of.table, Layout{m_, of.width, of.width, 1}, of.r);
      if (outcome.ok()) outcome = from == 0 ? decide(c, i, of) : Outcome{};
      if (outcome.ok()) outcome = solve(c, i, from, k, of);
      if (!outcome.ok()) return outcome;
    }
    return {};
  }

 private:
  struct Memory {
    DividedMemory parts;
    double *table, *r, *x, *numbers, *a;
    int *exponents, *units;  // of the powers of two that the columns were multiplied with; what their lengths are then
    Size width = 0;          // columns of `table` and r, n of A and some of b
    bool full = true;

    explicit Memory(const TallLstsq& t) noexcept : parts(t.needed()) {
      if (!parts) return;
      table = parts.take<double>(t.m_ * t.width_);
      r = parts.take<double>(t.width_ * t.width_);
      x = parts.take<double>(t.n_ * t.chunk_);
      numbers = parts.take<double>(3 * t.width_);
      a = parts.take<double>(t.n_ * t.n_);
      exponents = parts.take<int>(2 * t.width_);
      units = parts.take<int>(t.n_);
    }
    double* lengths() const noexcept { return numbers; }  // of the columns of R
  };

  Size needed() const noexcept {
    const Size most = checked_product(m_ + 2 * width_ + n_ + 8, width_);
    return most < 0 ? -1 : most + 8;
  }

  // [A b], rows one after the other, each column at a safe scale; false if it is not finite.
  bool pack(const LstsqCall<T>& c, Size i, Size from, Size k, const Memory& of) const noexcept {
    const Layout &a = c.a.layout, &b = c.b.layout;
    double* table = of.table;
    to_columns(c.a.item(i), Layout{n_, m_, a.col_stride, a.row_stride}, table, of.width);
    to_columns(c.b.item(i) + from * b.col_stride, Layout{k, m_, b.col_stride, b.row_stride}, table + n_, of.width);
    double *largest = of.lengths() + width_, *nothing = largest + width_;
    std::fill_n(largest, 2 * width_, 0.0);
    for (Size row = 0; row < m_; ++row)
      for (Size j = 0; j < n_ + k; ++j) {
        const double x = table[row * of.width + j];
        largest[j] = std::max(largest[j], std::fabs(x));
        nothing[j] += x * 0;
      }
    for (Size j = 0; j < n_ + k; ++j) {
      if (nothing[j] != 0) return false;
      const int exponent = of.exponents[j] = exponent_if_far(largest[j]);
      for (Size row = 0; exponent != 0 && row < m_; ++row)
        table[row * of.width + j] = std::ldexp(table[row * of.width + j], exponent);
    }
    return true;
  }

  // The rank, as far as it is full, and the singular values if they are wanted.
  Outcome decide(const LstsqCall<T>& c, Size i, Memory& of) const noexcept {
    const double *r = of.r, limit = threshold(*c.rcond.item(i), n_);
    double longest = 0;
    std::fill_n(of.lengths(), n_, 0.0);
    for (Size row = 0; row < n_; ++row)
      for (Size j = row; j < n_; ++j) of.lengths()[j] += r[row * of.width + j] * r[row * of.width + j];
    for (Size j = 0; j < n_; ++j) longest = std::max(longest, of.lengths()[j] = std::sqrt(of.lengths()[j]));
    double smallest = 0;
    if (c.s.data != nullptr) {
      const Outcome outcome = singular_values(c, i, of, smallest);
      if (!outcome.ok()) return outcome;
    }
    // With columns of length one, the smallest singular value is not less than `smallest` / `longest`, and the largest
    // not more than the root of n.
    const double margin = 2 * limit * std::sqrt(static_cast<double>(n_));
    of.full = smallest > margin * longest || inverse_is_small(of, margin);
    return {};
  }

  // Of A itself; `smallest` is that of R at the scale it has, or 0 if the columns are at several scales.
  Outcome singular_values(const LstsqCall<T>& c, Size i, const Memory& of, double& smallest) const noexcept {
    const int* exponents = of.exponents;
    const bool one_scale = std::all_of(exponents, exponents + n_, [](int e) { return e == 0; });
    int largest = 0;
    const AlignedBuffer<double> copy(one_scale ? 1 : checked_product(n_, n_)), s(n_);
    if (!copy || !s) return {Outcome::Status::no_memory};
    Batch<const double> square{of.r, 0, {n_, n_, of.width, 1}};
    if (!one_scale) {
      bool any = false;
      for (Size j = 0; j < n_; ++j) {
        if (!(of.lengths()[j] > 0)) continue;
        const int own = std::ilogb(of.lengths()[j]) - exponents[j];
        largest = any ? std::max(largest, own) : own;
        any = true;
      }
      for (Size row = 0; row < n_; ++row)
        for (Size j = 0; j < n_; ++j)
          copy[row * n_ + j] = std::ldexp(of.r[row * of.width + j], -exponents[j] - largest);
      square = {copy.data(), 0, {n_, n_, n_, 1}};
    }
    const Outcome outcome =
        run_svd('N', 1, square, [&](Size, const auto& factors) { std::copy_n(factors.s, n_, s.data()); });
    if (!outcome.ok()) return outcome;
    if (one_scale) smallest = s[n_ - 1];
    multiply_by_power(s.data(), n_, largest);
    from_columns(s.data(), n_, c.s.item(i), c.s.layout);
    return {};
  }

  // Is norm(B^-1) less than 1 / margin, B being R with columns of length one?
  bool inverse_is_small(const Memory& of, double margin) const noexcept {
    const double* r = of.r;
    double *row_of_inverse = of.lengths() + width_, sum = 0;
    for (Size i = n_; i-- > 0;) {  // row i of R^-1, times the length of column i
      std::fill_n(row_of_inverse, n_, 0.0);
      row_of_inverse[i] = of.lengths()[i];
      for (Size j = i; j < n_; ++j) {
        const double e = row_of_inverse[j] /= r[j * of.width + j];
        sum += e * e;
        for (Size l = j + 1; l < n_; ++l) row_of_inverse[l] -= e * r[j * of.width + l];
      }
      if (!(std::sqrt(sum) * margin < 1)) return false;
    }
    return true;
  }

  Outcome solve(const LstsqCall<T>& c, Size i, Size from, Size k, const Memory& of) const noexcept {
    const double* r = of.r;
    const double* x = of.x;
    Size rank = n_;
    if (!of.full) {
      const Outcome outcome = without_full_rank(c, i, k, of, rank);
      if (!outcome.ok()) return outcome;
    }
    if (rank == n_) substitute(of, k);
    const Layout &xl = c.x.layout, &rl = c.residuals.layout;
    for (Size j = 0; j < k; ++j) {
      double sum = 0;
      for (Size row = n_; row <= n_ + j; ++row) sum += r[row * of.width + n_ + j] * r[row * of.width + n_ + j];
      for (Size row = 0; rank < n_ && row < n_; ++row) {
        double left = r[row * of.width + n_ + j];
        for (Size l = row; l < n_; ++l) left -= r[row * of.width + l] * x[l * k + j];
        sum += left * left;
      }
      const int exponent = of.exponents[n_ + j];
      c.residuals.item(i)[(from + j) * rl.row_stride] = static_cast<T>(std::ldexp(sum, -2 * exponent));
      for (Size l = 0; l < n_; ++l)
        c.x.item(i)[l * xl.row_stride + (from + j) * xl.col_stride] =
            static_cast<T>(std::ldexp(x[l * k + j], of.exponents[l] - exponent));
    }
    *c.rank.item(i) = rank;
    return {};
  }

  // x := R^-1 b, row by row.
  void substitute(const Memory& of, Size k) const noexcept {
    const double* r = of.r;
    double* x = of.x;
    for (Size row = n_; row-- > 0;)
      for (Size j = 0; j < k; ++j) {
        double sum = r[row * of.width + n_ + j];
        for (Size col = row + 1; col < n_; ++col) sum -= r[row * of.width + col] * x[col * k + j];
        x[row * k + j] = sum / r[row * of.width + row];
      }
  }

  // The same with columns of R at lengths near one, if its rank is not full.
  Outcome without_full_rank(const LstsqCall<T>& c, Size i, Size k, const Memory& of, Size& rank) const noexcept {
    const double* r = of.r;
    double* a = of.a;
    int *units = of.units, *near_one = of.exponents + width_;
    for (Size j = 0; j < n_; ++j) {
      near_one[j] = of.lengths()[j] > 0 ? std::ilogb(of.lengths()[j]) : 0;
      units[j] = near_one[j] - of.exponents[j];
    }
    for (Size row = 0; row < n_; ++row)
      for (Size j = 0; j < n_; ++j) a[row * n_ + j] = std::ldexp(r[row * of.width + j], -near_one[j]);
    constexpr double unit = std::numeric_limits<T>::epsilon() / 2;
    const double limit = threshold(*c.rcond.item(i), n_);
    const Outcome outcome = least_norm({n_, n_, k, a, n_, units, r + n_, of.width, limit, unit}, of.x, rank);
    for (Size j = 0; outcome.ok() && rank < n_ && j < n_; ++j)
      for (Size e = 0; e < k; ++e) of.x[j * k + e] = std::ldexp(of.x[j * k + e], -near_one[j]);
    return outcome;
  }

  Size m_, n_, k_, chunk_, width_;
};

}  // namespace

template <class T>
Outcome tall_lstsq(const LstsqCall<T>& c, Size i) noexcept {
  return TallLstsq<T>(c.a.layout.rows, c.a.layout.cols, c.b.layout.cols).run(c, i);
}

template Outcome tall_lstsq(const LstsqCall<double>&, Size) noexcept;
template Outcome tall_lstsq(const LstsqCall<float>&, Size) noexcept;

}  // namespace mmlfast::drivers
