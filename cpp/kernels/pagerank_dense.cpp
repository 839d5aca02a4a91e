#include "kernels/pagerank_dense.hpp"

#include "kernels/common/lanes.hpp"

namespace mmlfast::MMLFAST_LEVEL {
namespace {

using Vec = vec<double>;

// Columns that are eliminated together, and rows from which they are taken out together.
constexpr std::ptrdiff_t panel = 4;
constexpr int rows_at_once = vec_parts == 1 ? 2 : 1;

// Sums of rows below this lose digits of their weights.
constexpr double least_sum = 1e-250;

struct System {
  std::ptrdiff_t n, ld;
  Vec* a;        // a[i * ld + j]: the weights
  Vec* g;        // g[i * ld + j]: d P, then the factors: -U above the diagonal, -L below; nothing on the diagonal
  Vec *v, *w;    // jumps
  Vec* slack;    // what leaves each node by jumps, with all that was eliminated before it
  Vec* inverse;  // 1 / pivots
  Vec* x;        // solution
  Vec* scale;    // d / sum of each row of weights, 0 for rows of zeros
  Vec d;
};

std::ptrdiff_t scratch_vectors(std::ptrdiff_t n) { return 2 * n * leading_dimension(n) + 6 * n; }

System system_in(Vec* scratch, std::ptrdiff_t n, const Vec& d) {
  const std::ptrdiff_t ld = leading_dimension(n);
  Vec* rest = scratch + 2 * n * ld;
  return {n, ld, scratch, scratch + n * ld, rest, rest + n, rest + 2 * n, rest + 3 * n, rest + 4 * n, rest + 5 * n, d};
}

// term(j) for first <= j < last, in four chains.
template <class Term>
MMLFAST_INLINE Vec sum_of(std::ptrdiff_t first, std::ptrdiff_t last, Term&& term) {
  Vec sum[4] = {zero<double>(), zero<double>(), zero<double>(), zero<double>()};
  std::ptrdiff_t j = first;
  for (; j + 4 <= last; j += 4) unrolled(0, 4, [&](int k) MMLFAST_INLINE_LAMBDA { sum[k] = sum[k] + term(j + k); });
  for (; j < last; ++j) sum[0] = sum[0] + term(j);
  return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

// d P from the weights. Lanes with weights that do not do are left out of what is returned.
mask<double> divide_rows(const System& s) {
  const Vec none = zero<double>(), infinite = broadcast(__builtin_inf());
  mask<double> good = ~no_lanes<double>();
  for (std::ptrdiff_t i = 0; i < s.n; ++i) {
    const Vec* row = s.a + i * s.ld;
    Vec *to = s.g + i * s.ld, least = row[0];
    const Vec sum = sum_of(0, s.n, [&](std::ptrdiff_t j) MMLFAST_INLINE_LAMBDA {
      least = min(row[j], least);
      return row[j];
    });
    const mask<double> empty = sum == none;
    good = good & (least >= none) & (sum < infinite) & (empty | (sum > broadcast(least_sum)));
    const Vec scale = select(empty, none, s.d / select(empty, broadcast(1.0), sum));
    s.scale[i] = scale;
    s.slack[i] = broadcast(1.0) - s.d;
    for (std::ptrdiff_t j = 0; j < s.n; ++j) to[j] = row[j] * scale;
    if (!any(empty)) continue;
    const Vec back = select(empty, s.d, none);
    for (std::ptrdiff_t j = 0; j < s.n; ++j) to[j] = fma(back, s.w[j], to[j]);
  }
  return good;
}

// The rows i .. i + Rows - 1 without the columns k .. k + Columns - 1, whose rows are done.
template <int Rows, int Columns>
MMLFAST_INLINE void take_out(const System& s, std::ptrdiff_t k, std::ptrdiff_t i) {
  Vec l[Rows][Columns];
  const Vec* done = s.g + k * s.ld;
  unrolled(0, Rows, [&](int r) MMLFAST_INLINE_LAMBDA {
    Vec* row = s.g + (i + r) * s.ld + k;
    unrolled(0, Columns, [&](int c) MMLFAST_INLINE_LAMBDA { l[r][c] = row[c]; });
    unrolled(0, Columns, [&](int c) MMLFAST_INLINE_LAMBDA {
      l[r][c] = l[r][c] * s.inverse[k + c];
      unrolled(c + 1, Columns,
               [&](int j) MMLFAST_INLINE_LAMBDA { l[r][j] = fma(l[r][c], done[c * s.ld + k + j], l[r][j]); });
      s.slack[i + r] = fma(l[r][c], s.slack[k + c], s.slack[i + r]);
      row[c] = l[r][c];
    });
  });
  for (std::ptrdiff_t j = k + Columns; j < s.n; ++j) {
    Vec x[Rows];
    unrolled(0, Rows, [&](int r) MMLFAST_INLINE_LAMBDA { x[r] = s.g[(i + r) * s.ld + j]; });
    unrolled(0, Columns, [&](int c) MMLFAST_INLINE_LAMBDA {
      const Vec u = done[c * s.ld + j];
      unrolled(0, Rows, [&](int r) MMLFAST_INLINE_LAMBDA { x[r] = fma(l[r][c], u, x[r]); });
    });
    unrolled(0, Rows, [&](int r) MMLFAST_INLINE_LAMBDA { s.g[(i + r) * s.ld + j] = x[r]; });
  }
}

// The row k, which is done: 1 / what leaves its node for those after it.
MMLFAST_INLINE void invert_pivot(const System& s, std::ptrdiff_t k) {
  const Vec* row = s.g + k * s.ld;
  s.inverse[k] = broadcast(1.0) /
                 (s.slack[k] + sum_of(k + 1, s.n, [&](std::ptrdiff_t j) MMLFAST_INLINE_LAMBDA { return row[j]; }));
}

void factor(const System& s) {
  std::ptrdiff_t k = 0;
  for (; k + panel <= s.n; k += panel) {
    for (std::ptrdiff_t c = k; c < k + panel; ++c) {
      invert_pivot(s, c);
      for (std::ptrdiff_t i = c + 1; i < k + panel; ++i) take_out<1, 1>(s, c, i);
    }
    std::ptrdiff_t i = k + panel;
    for (; i + rows_at_once <= s.n; i += rows_at_once) take_out<rows_at_once, panel>(s, k, i);
    for (; i < s.n; ++i) take_out<1, panel>(s, k, i);
  }
  for (; k < s.n; ++k) {
    invert_pivot(s, k);
    for (std::ptrdiff_t i = k + 1; i < s.n; ++i) take_out<1, 1>(s, k, i);
  }
}

// x with sum 1. Forward a row at a time, backward a row at a time: columns are not in a row of memory.
void solve(const System& s) {
  const std::ptrdiff_t n = s.n;
  const Vec of_jumps = broadcast(1.0) - s.d;
  for (std::ptrdiff_t j = 0; j < n; ++j) s.x[j] = of_jumps * s.v[j];
  for (std::ptrdiff_t k = 0; k < n; ++k) {
    const Vec* row = s.g + k * s.ld;
    const Vec x = s.x[k] = s.x[k] * s.inverse[k];
    for (std::ptrdiff_t j = k + 1; j < n; ++j) s.x[j] = fma(x, row[j], s.x[j]);
  }
  for (std::ptrdiff_t k = n - 1; k > 0; --k) {
    const Vec *row = s.g + k * s.ld, x = s.x[k];
    for (std::ptrdiff_t j = 0; j < k; ++j) s.x[j] = fma(x, row[j], s.x[j]);
  }
  const Vec of_sum = broadcast(1.0) / sum_of(0, n, [&](std::ptrdiff_t j) MMLFAST_INLINE_LAMBDA { return s.x[j]; });
  for (std::ptrdiff_t j = 0; j < n; ++j) s.x[j] = s.x[j] * of_sum;
}

// One step of the power method from x, into `image`. Returns the norm of what it changes.
Vec step(const System& s, Vec* image) {
  const std::ptrdiff_t n = s.n;
  const Vec none = zero<double>(), of_jumps = broadcast(1.0) - s.d;
  for (std::ptrdiff_t j = 0; j < n; ++j) image[j] = of_jumps * s.v[j];
  for (std::ptrdiff_t i = 0; i < n; ++i) {
    const Vec *row = s.a + i * s.ld, sent = s.x[i] * s.scale[i];
    for (std::ptrdiff_t j = 0; j < n; ++j) image[j] = fma(sent, row[j], image[j]);
  }
  const Vec lost = sum_of(
      0, n, [&](std::ptrdiff_t i) MMLFAST_INLINE_LAMBDA { return select(s.scale[i] == none, s.d * s.x[i], none); });
  for (std::ptrdiff_t j = 0; j < n; ++j) image[j] = fma(lost, s.w[j], image[j]);
  return sum_of(0, n, [&](std::ptrdiff_t j) MMLFAST_INLINE_LAMBDA { return abs(image[j] - s.x[j]); });
}

LaneBits rank(const DenseLinks& links, const DenseScores& scores, void* scratch) {
  const std::ptrdiff_t n = links.links_layout.rows;
  const System s = system_in(static_cast<Vec*>(scratch), n, gather<double>(links.damping));
  pack(links.links, links.links_layout, s.a, s.ld, 1);
  pack(links.jumps, links.jumps_layout, s.v, 1, 1);
  pack(links.dangling, links.dangling_layout, s.w, 1, 1);
  const mask<double> good = divide_rows(s);
  factor(s);
  solve(s);
  Vec* image = s.inverse;
  const Vec change = step(s, image);
  const Vec nan = broadcast(__builtin_nan(""));
  const Vec of_sum = broadcast(1.0) / sum_of(0, n, [&](std::ptrdiff_t j) MMLFAST_INLINE_LAMBDA { return image[j]; });
  for (std::ptrdiff_t j = 0; j < n; ++j) image[j] = select(good, image[j] * of_sum, nan);
  unpack(scores.score, scores.score_layout, image, 1, 1);
  const Vec rounding = broadcast(static_cast<double>(n + 8) * 0x1p-53);
  const Vec bound = fma(broadcast(2.0) * s.d, change, rounding) / (broadcast(1.0) - s.d);
  scatter(scores.bound, select(good, min(bound, broadcast(2.0)), nan));
  return to_bitmask(~good) & to_bitmask(~no_lanes<double>());
}

}  // namespace

MMLFAST_DEFINE_TABLE(PagerankDense, pagerank_dense, scratch_vectors, rank)

}  // namespace mmlfast::MMLFAST_LEVEL
