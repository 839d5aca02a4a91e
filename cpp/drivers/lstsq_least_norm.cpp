#include "drivers/lstsq_least_norm.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "drivers/svd_lapack.hpp"

namespace mmlfast::drivers {
namespace {

constexpr Outcome no_memory{Outcome::Status::no_memory};

// A matrix of doubles, row by row.
struct Matrix {
  double* data;
  Size rows, cols, ld;

  double* row(Size i) const noexcept { return data + i * ld; }
  double& operator()(Size i, Size j) const noexcept { return data[i * ld + j]; }
  void swap_columns(Size i, Size j) const noexcept {
    for (Size r = 0; i != j && r < rows; ++r) std::swap((*this)(r, i), (*this)(r, j));
  }
};

// ---- singular values ----

// Rows p and q of g made orthogonal over the first n columns; all of them are rotated.
bool rotate(const Matrix& g, Size n, Size p, Size q, double tolerance) noexcept {
  double *x = g.row(p), *y = g.row(q), pp = 0, qq = 0, pq = 0;
  for (Size j = 0; j < n; ++j) {
    pp += x[j] * x[j];
    qq += y[j] * y[j];
    pq += x[j] * y[j];
  }
  if (!(pq * pq > tolerance * (pp * qq))) return false;
  const double d = qq - pp, twice = 2 * pq, root = std::sqrt(d * d + twice * twice);
  const double t = twice / (d + std::copysign(root, d)), c = 1 / std::sqrt(t * t + 1), s = c * t;
  for (Size j = 0; j < g.cols; ++j) {
    const double a = x[j], b = y[j];
    x[j] = c * a - s * b;
    y[j] = s * a + c * b;
  }
  return true;
}

// Rows of g become s_i v_i' (the first n columns) and what the same rotations make of the rest.
bool orthogonalise_rows(const Matrix& g, Size n) noexcept {
  constexpr int most_sweeps = 60;
  const double relative = 0x1p-53 * static_cast<double>(g.rows), tolerance = relative * relative;
  for (int sweep = 0; sweep < most_sweeps; ++sweep) {
    bool rotated = false;
    for (Size p = 0; p + 1 < g.rows; ++p)
      for (Size q = p + 1; q < g.rows; ++q) rotated |= rotate(g, n, p, q, tolerance);
    if (!rotated) return true;
  }
  return false;
}

// Singular triples of B (p x n, in the first columns of g, with c beside it): s in falling order, order[i] the row of g
// that holds s_i v_i' and u_i'c.
bool triples_by_rotations(const Matrix& g, Size n, double* s, Size* order, double* lengths) noexcept {
  if (!orthogonalise_rows(g, n)) return false;
  for (Size i = 0; i < g.rows; ++i) lengths[i] = std::sqrt(std::inner_product(g.row(i), g.row(i) + n, g.row(i), 0.0));
  std::iota(order, order + g.rows, Size{0});
  std::sort(order, order + g.rows,
            [&](Size i, Size j) { return lengths[i] > lengths[j] || (lengths[i] == lengths[j] && i < j); });
  for (Size i = 0; i < g.rows; ++i) s[i] = lengths[order[i]];
  return true;
}

// The same by LAPACK.
Outcome triples_by_lapack(const Matrix& g, Size n, double* s, Size* order) noexcept {
  const Size p = g.rows, k = g.cols - n;
  AlignedBuffer<double> right(checked_product(p, k));
  if (!right) return no_memory;
  const Batch<const double> b{g.data, 0, {p, n, g.ld, 1}};
  return run_svd('S', 1, b, [&](Size, const auto& f) {
    for (Size i = 0; i < p; ++i) {
      order[i] = i;
      s[i] = f.s[i];
      double* to = right.data() + i * k;
      std::fill_n(to, k, 0.0);
      for (Size r = 0; r < p; ++r)
        for (Size j = 0; j < k; ++j) to[j] += f.u[r * p + i] * g(r, n + j);
    }
    for (Size i = 0; i < p; ++i) {
      for (Size j = 0; j < n; ++j) g(i, j) = f.s[i] * f.vh[i * n + j];
      std::copy_n(right.data() + i * k, k, g.row(i) + n);
    }
  });
}

// ---- reflections ----

// Takes rows step + 1 .. of column `step` of a matrix to zero; the vector stays there, below the diagonal.
struct Reflector {
  double head, factor;
};

Reflector make_reflector(const Matrix& w, Size step) noexcept {
  double below = 0;
  for (Size i = step + 1; i < w.rows; ++i) below += w(i, step) * w(i, step);
  if (below == 0) return {0, 0};
  const double alpha = w(step, step), beta = -std::copysign(std::sqrt(alpha * alpha + below), alpha);
  const double head = alpha - beta;
  w(step, step) = beta;
  return {head, 2 / (head * head + below)};
}

// Columns from .. to - 1 of y := their reflections; `sums` are as many numbers.
void apply(const Reflector& h, const Matrix& w, Size step, const Matrix& y, Size from, Size to, double* sums) noexcept {
  if (h.factor == 0) return;
  const Size count = to - from;
  const auto row = [&](Size i) { return y.row(i) + from; };
  for (Size j = 0; j < count; ++j) sums[j] = h.head * row(step)[j];
  for (Size i = step + 1; i < w.rows; ++i)
    for (Size j = 0; j < count; ++j) sums[j] += w(i, step) * row(i)[j];
  for (Size j = 0; j < count; ++j) sums[j] *= h.factor;
  for (Size j = 0; j < count; ++j) row(step)[j] -= sums[j] * h.head;
  for (Size i = step + 1; i < w.rows; ++i) {
    const double v = w(i, step);
    double* to_row = row(i);
    for (Size j = 0; j < count; ++j) to_row[j] -= sums[j] * v;
  }
}

// The first `steps` columns of w become triangular, after choose(step, left) has brought the next one forward; left[j]
// is the sum of squares that is left of column j. The reflectors go to `made`.
template <class Choose>
void triangulate(const Matrix& w, Size steps, double* left, Reflector* made, Choose&& choose) noexcept {
  for (Size step = 0; step < steps; ++step) {
    std::fill_n(left, w.cols, 0.0);
    for (Size i = step; i < w.rows; ++i)
      for (Size j = step; j < w.cols; ++j) left[j] += w(i, j) * w(i, j);
    choose(step, left);
    made[step] = make_reflector(w, step);
    apply(made[step], w, step, w, step + 1, w.cols, left);
  }
}

// Columns of y := the solution of R x = y, R the first r rows and columns of w.
void substitute(const Matrix& w, Size r, const Matrix& y) noexcept {
  for (Size i = r; i-- > 0;) {
    double* to = y.row(i);
    for (Size l = i + 1; l < r; ++l) {
      const double f = w(i, l), *from = y.row(l);
      for (Size j = 0; j < y.cols; ++j) to[j] -= f * from[j];
    }
    for (Size j = 0; j < y.cols; ++j) to[j] /= w(i, i);
  }
}

// ---- the solution ----

class LeastNorm {
 public:
  explicit LeastNorm(const SmallSystem& s) noexcept : s_(s), parts_(numbers(s)) {}

  Outcome run(double* x, Size& rank) noexcept {
    if (!parts_) return no_memory;
    constexpr Size most_rotated = 32;
    const Size p = s_.p, n = s_.n, k = s_.k;
    const Matrix g{parts_.take<double>(p * (n + k)), p, n + k, n + k};
    lengths_ = parts_.take<double>(n);
    values_ = parts_.take<double>(p);
    order_ = parts_.take<Size>(p);
    fill(g);
    if (p <= most_rotated) {
      if (!triples_by_rotations(g, n, values_, order_, parts_.take<double>(p))) return {Outcome::Status::failed_items};
    } else {
      const Outcome outcome = triples_by_lapack(g, n, values_, order_);
      if (!outcome.ok()) return outcome;
    }
    const double* s = values_;
    rank = 0;
    while (rank < p && s[rank] > s_.cut * s[0]) ++rank;
    if (rank == n) return {};
    std::fill_n(x, n * k, 0.0);
    if (rank == 0) return {};
    const double noise = std::max(16 * s_.unit, std::min(s_.cut, 0x1p-20));
    const bool by_columns = rank == p || s[rank] <= noise * s[0];
    const Size rows = by_columns ? p : rank;
    const Matrix m{parts_.take<double>(p * n), rows, n, n}, c{parts_.take<double>(p * k), rows, k, k};
    if (by_columns)
      take_columns(m, c);
    else
      take_triples(g, m, c);
    return solve(m, c, rank, 4 * noise, Matrix{x, n, k, k});
  }

 private:
  // B, which is a with columns of length one, and c.
  void fill(const Matrix& g) noexcept {
    const Size p = s_.p, n = s_.n;
    std::fill_n(lengths_, n, 0.0);
    for (Size i = 0; i < p; ++i)
      for (Size j = 0; j < n; ++j) lengths_[j] += s_.a[i * s_.a_ld + j] * s_.a[i * s_.a_ld + j];
    for (Size j = 0; j < n; ++j) lengths_[j] = std::sqrt(lengths_[j]);
    for (Size i = 0; i < p; ++i) {
      for (Size j = 0; j < n; ++j) g(i, j) = lengths_[j] > 0 ? s_.a[i * s_.a_ld + j] / lengths_[j] : 0;
      std::copy_n(s_.c + i * s_.c_ld, s_.k, g.row(i) + n);
    }
  }

  void take_columns(const Matrix& m, const Matrix& c) const noexcept {
    for (Size i = 0; i < m.rows; ++i) {
      std::copy_n(s_.a + i * s_.a_ld, m.cols, m.row(i));
      std::copy_n(s_.c + i * s_.c_ld, c.cols, c.row(i));
    }
  }

  void take_triples(const Matrix& g, const Matrix& m, const Matrix& c) const noexcept {
    for (Size i = 0; i < m.rows; ++i) {
      const double *from = g.row(order_[i]), size = values_[i];
      for (Size j = 0; j < m.cols; ++j) m(i, j) = from[j] / size * lengths_[j];
      for (Size j = 0; j < c.cols; ++j) c(i, j) = from[m.cols + j] / size;
    }
  }

  // Units of the columns, from the largest down; what is 400 powers of two below it is all one.
  void find_units() const noexcept {
    int largest = 0;
    bool any = false;
    for (Size j = 0; j < s_.n; ++j)
      if (lengths_[j] > 0) largest = any ? std::max(largest, s_.exponents[j]) : s_.exponents[j], any = true;
    for (Size j = 0; j < s_.n; ++j) units_[j] = lengths_[j] > 0 ? std::max(s_.exponents[j] - largest, -400) : -400;
  }

  // m: a', with c beside it.
  Outcome solve(const Matrix& m, const Matrix& c, Size rank, double noise, const Matrix& x) noexcept {
    const Size n = s_.n;
    place_ = parts_.take<Size>(n);
    units_ = parts_.take<int>(n);
    double* left = parts_.take<double>(std::max(n, s_.k));
    Reflector* made = parts_.take<Reflector>(rank);
    choose_columns(m, c, rank, left, made);
    const Matrix t{m.data + rank, rank, n - rank, m.ld};  // R12, and then the combinations
    const Matrix before{parts_.take<double>(rank * t.cols), rank, t.cols, t.cols};
    for (Size i = 0; i < rank; ++i) std::copy_n(t.row(i), t.cols, before.row(i));
    substitute(m, rank, t);
    substitute(m, rank, c);
    leave_out_noise(m, before, t, noise, left, made);
    const auto element = [&](Size row, Size i) {  // of [I; K']
      if (row < rank) return row == i ? 1.0 : 0.0;
      return std::clamp(std::ldexp(t(i, row - rank), unit(row) - unit(i)), -0x1p480, 0x1p480);
    };
    Size *rows = parts_.take<Size>(n), *columns = parts_.take<Size>(rank);
    std::iota(rows, rows + n, Size{0});
    const Matrix w{parts_.take<double>(n * rank), n, rank, rank};
    const Matrix h{parts_.take<double>(n * s_.k), n, s_.k, s_.k};
    for (Size row = 0; row < n; ++row)
      for (Size i = 0; i < rank; ++i) w(row, i) = element(row, i);
    std::iota(columns, columns + rank, Size{0});
    triangulate(w, rank, left, made, [&](Size step, const double* rest) {
      const Size best = std::max_element(rest + step, rest + rank) - rest;
      w.swap_columns(step, best);
      std::swap(columns[step], columns[best]);
      Size largest = step;
      for (Size row = step; row < n; ++row)
        if (std::fabs(w(row, step)) > std::fabs(w(largest, step))) largest = row;
      std::swap_ranges(w.row(step), w.row(step) + rank, w.row(largest));
      std::swap(rows[step], rows[largest]);
    });
    std::fill_n(h.data, n * h.cols, 0.0);
    for (Size i = 0; i < rank; ++i) {  // R'h = y, with y in the units of the unknowns
      for (Size e = 0; e < h.cols; ++e) h(i, e) = std::ldexp(c(columns[i], e), -unit(columns[i]));
      for (Size l = 0; l < i; ++l)
        for (Size e = 0; e < h.cols; ++e) h(i, e) -= w(l, i) * h(l, e);
      for (Size e = 0; e < h.cols; ++e) h(i, e) /= w(i, i);
    }
    for (Size step = rank; step-- > 0;) apply(made[step], w, step, h, 0, h.cols, left);
    for (Size row = 0; row < n; ++row)
      for (Size e = 0; e < h.cols; ++e) x(place_[rows[row]], e) = std::ldexp(h(row, e), unit(rows[row]));
    return {};
  }

  // Coefficients of the combinations t that are noise become zero: those that are too small to matter for the column
  // that is combined, and those that are as small as the condition of the kept columns makes errors, if the column is a
  // combination of the others to the same precision.
  void leave_out_noise(const Matrix& r, const Matrix& before, const Matrix& t, double noise, double* left,
                       Reflector* made) noexcept {
    constexpr Size most = 64;  // columns that are kept, for the second
    const Size rank = t.rows;
    const auto length = [&](Size column) { return lengths_[place_[column]]; };
    for (Size i = 0; i < rank; ++i)
      for (Size j = 0; j < t.cols; ++j)
        if (std::fabs(t(i, j)) * length(i) <= noise * length(rank + j)) t(i, j) = 0;
    if (rank > most) return;
    double *room = parts_.take<double>(rank * rank + 3 * rank), *errors = room + rank * rank, *column = errors + rank,
           *x = column + rank;
    inverse_sums(r, rank, errors, column);
    for (Size j = 0; j < t.cols; ++j) {
      Size kept[most], count = 0, amplified = 0;
      for (Size i = 0; i < rank; ++i) {
        const bool small = std::fabs(t(i, j)) <= noise * errors[i] * length(rank + j);
        if (!small) kept[count++] = i;
        if (small && t(i, j) != 0 && unit(rank + j) - unit(i) > 4) ++amplified;
      }
      if (amplified == 0) continue;
      const Matrix some{room, rank, count, std::max<Size>(count, 1)}, rest{x, rank, 1, 1};
      for (Size i = 0; i < rank; ++i) {
        rest(i, 0) = before(i, j);
        for (Size l = 0; l < count; ++l) some(i, l) = i <= kept[l] ? r(i, kept[l]) : 0;
      }
      triangulate(some, count, left, made, [](Size, const double*) {});
      for (Size step = 0; step < count; ++step) apply(made[step], some, step, rest, 0, 1, left);
      double square = 0;
      for (Size i = count; i < rank; ++i) square += x[i] * x[i];
      if (!(std::sqrt(square) <= noise * length(rank + j))) continue;
      substitute(some, count, rest);
      for (Size i = 0; i < rank; ++i) t(i, j) = 0;
      for (Size l = 0; l < count; ++l) t(kept[l], j) = x[l];
    }
  }

  // The sums of the absolute values in each row of the inverse of R.
  static void inverse_sums(const Matrix& r, Size n, double* sums, double* column) noexcept {
    std::fill_n(sums, n, 0.0);
    for (Size j = 0; j < n; ++j)
      for (Size i = j + 1; i-- > 0;) {
        double e = i == j;
        for (Size l = i + 1; l <= j; ++l) e -= r(i, l) * column[l];
        column[i] = e / r(i, i);
        sums[i] += std::fabs(column[i]);
      }
  }

  int unit(Size chosen) const noexcept { return units_[place_[chosen]]; }

  // QR of m with the columns that are kept in front. Of columns with nearly as much left as the one with the most,
  // that in the largest units is next.
  void choose_columns(const Matrix& m, const Matrix& c, Size rank, double* left, Reflector* made) const noexcept {
    constexpr double nearly = 0x1p-8;
    std::iota(place_, place_ + m.cols, Size{0});
    find_units();
    triangulate(m, rank, left, made, [&](Size step, double* rest) {
      const double most = *std::max_element(rest + step, rest + m.cols);
      Size best = step;
      for (Size j = step; j < m.cols; ++j) {
        const int here = unit(j) / 8, there = unit(best) / 8;
        if (!(rest[j] >= nearly * most)) continue;
        if (!(rest[best] >= nearly * most) || here > there || (here == there && rest[j] > rest[best])) best = j;
      }
      m.swap_columns(step, best);
      std::swap(place_[step], place_[best]);
    });
    for (Size step = 0; step < rank; ++step) apply(made[step], m, step, c, 0, c.cols, left);
  }

  static Size numbers(const SmallSystem& s) noexcept {
    const Size p = s.p, n = s.n, k = s.k, few = std::min<Size>(p, 64);
    const Size most = checked_product(n + 1, 4 * p + k + 8);
    return most < 0 ? -1 : most + 2 * p * k + 8 * p + std::max(n, k) + few * (few + 3);
  }

  SmallSystem s_;
  DividedMemory parts_;
  double *lengths_ = nullptr, *values_ = nullptr;
  Size *order_ = nullptr, *place_ = nullptr;
  int* units_ = nullptr;
};

}  // namespace

Outcome least_norm(const SmallSystem& system, double* x, Size& rank) noexcept { return LeastNorm(system).run(x, rank); }

}  // namespace mmlfast::drivers
