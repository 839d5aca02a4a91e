#include "kernels/exact_elimination.hpp"

#include "simd/vec.hpp"

namespace mmlfast::MMLFAST_LEVEL {
namespace {

using D = vec<double>;
using Index = std::ptrdiff_t;

constexpr int lane_count = lanes<double>;

// Columns that are eliminated together before the rest of the matrix hears of it, in two halves, the first of which is
// taken off the second without a reduction. 16 products of 2^48 and a residue stay below 2^53.
constexpr Index panel = 16, half = 8, most_products = 16;
static_assert(panel == 2 * half && panel <= most_products);

// Rows and columns that are updated in registers: sums and their operands fill 32 or 16 of them. A block of so many
// columns of the pivot rows of a panel stays in the first cache.
constexpr Index tile_rows = 4, tile_cols = native_bytes == 64 ? 4 : 2, block_cols = 16;

// Rows that lie a multiple of 512 bytes apart would share a few sets of the cache.
constexpr Index leading_dimension(Index n) { return n % 8 == 0 ? n + 1 : n; }

MMLFAST_INLINE D nearest(const D& x) {
  const D shift = broadcast(0x1.8p52);  // integers have no room for a fraction up there
  return (x + shift) - shift;
}

// The residue of least absolute value, for |x| <= 2^52 + 2^24. The quotient may be off by one next to ties, if |x| is
// above 2^50: whatever leaves this file is a product of two residues, and the same at every level.
template <int P>
MMLFAST_INLINE vec<double, P> least(const vec<double, P>& x, const vec<double, P>& p,
                                    const vec<double, P>& reciprocal) {
  const vec<double, P> shift = broadcast<double, P>(0x1.8p52);
  return fnma(fma(x, reciprocal, shift) - shift, p, x);
}

struct Modulus {
  D p, reciprocal;

  explicit Modulus(const double* prime) : p(load(prime)), reciprocal(broadcast(1.0) / p) {}

  MMLFAST_INLINE D reduce(const D& x) const { return least(x, p, reciprocal); }

  MMLFAST_INLINE D element(const D& low) const { return reduce(low); }
  MMLFAST_INLINE D element(const D& high, const D& low) const {
    const D two32 = reduce(broadcast(0x1p32));
    return reduce(fma(reduce(high), two32, reduce(low)));
  }

  // Euclid's algorithm with least remainders, in all lanes until the last has ended. 0 for 0.
  MMLFAST_NOINLINE D inverse(const D& x) const {
    D r0 = p, r1 = x, s0 = zero<double>(), s1 = broadcast(1.0);
    for (;;) {
      const mask<double> going = r1 != zero<double>();
      if (!any(going)) return reduce(s0 * r0);  // r0 is 1 or -1
      const D q = select(going, nearest(r0 / select(going, r1, broadcast(1.0))), zero<double>());
      const D r2 = fnma(q, r1, r0), s2 = fnma(q, s1, s0);
      r0 = select(going, r1, r0);
      r1 = select(going, r2, r1);
      s0 = select(going, s1, s0);
      s1 = select(going, s2, s1);
    }
  }
};

// ---- one matrix, eight primes ----

struct Factors {
  const Modulus mod;
  const Index m, n, ld;
  D* const a;        // m x n, row by row: the pivot rows of U, and the multipliers below their pivots
  D* const inverse;  // of the pivots

  Factors(const double* prime, Index m_, Index n_, void* work)
      : mod(prime), m(m_), n(n_), ld(leading_dimension(n_)), a(static_cast<D*>(work)), inverse(a + m_ * ld) {}

  MMLFAST_INLINE D* row(Index i) const { return a + i * ld; }

  void load_matrix(const IntegerMatrix& from, const Index* order) const {
    for (Index i = 0; i < m; ++i) {
      const Index at = order[i] * n;
      D* to = row(i);
      if (from.high == nullptr) {
        for (Index j = 0; j < n; ++j) to[j] = mod.element(broadcast(from.low[at + j]));
      } else {
        for (Index j = 0; j < n; ++j) to[j] = mod.element(broadcast(from.high[at + j]), broadcast(from.low[at + j]));
      }
    }
  }

  // The first row from `from` on where a lane outside of `bad` has something in column j; m if there is none.
  Index find_pivot(Index from, Index j, LaneBits bad) const {
    for (Index i = from; i < m; ++i)
      if (to_bitmask(row(i)[j] != zero<double>()) & ~bad) return i;
    return m;
  }

  void exchange(Index i, Index k, Index* order) const {
    if (i == k) return;
    const Index was = order[i];
    order[i] = order[k];
    order[k] = was;
    D *x = row(i), *y = row(k);
    for (Index j = 0; j < n; ++j) {
      const D t = x[j];
      x[j] = y[j];
      y[j] = t;
    }
  }

  // The inverses of the pivots in rows r .. and columns j .. end - 1 if no row is moved. One inverse of their product
  // is the only chain of divisions: the block is eliminated without them, the rows that are left being multiplied by
  // the pivot, so that pivot k is w[k][k] / before[k]. Returns how many there are before one is 0 in any lane: no row
  // is moved before that.
  Index foresee(Index r, Index j, Index end, D* inverses) const {
    const Index size = end - j < m - r ? end - j : m - r;
    D w[half][half], before[half + 1];  // before[k]: w[0][0] w[1][1] .. w[k - 1][k - 1]
    for (Index x = 0; x < size; ++x)
      for (Index y = 0; y < size; ++y) w[x][y] = mod.reduce(row(r + x)[j + y]);
    before[0] = broadcast(1.0);
    Index found = 0;
    for (; found < size; ++found) {
      const Index k = found;
      const D by = w[k][k];
      if (any(by == zero<double>())) break;
      before[k + 1] = mod.reduce(before[k] * by);
      for (Index x = k + 1; x < size; ++x)
        for (Index y = k + 1; y < size; ++y) w[x][y] = mod.reduce(fnma(w[x][k], w[k][y], by * w[x][y]));
    }
    D rest = mod.inverse(before[found]);
    for (Index k = found; k-- > 0;) {
      inverses[k] = mod.reduce(mod.reduce(before[k] * before[k]) * rest);
      rest = mod.reduce(rest * w[k][k]);
    }
    return found;
  }

  // Column j, with its pivot in row r, is cleared below it; columns j + 1 .. end - 1 follow, and are not reduced yet: a
  // panel adds no more products than one number can hold.
  void eliminate(Index r, Index j, Index end) const {
    D* const pivot_row = row(r);
    for (Index c = j + 1; c < end; ++c) pivot_row[c] = mod.reduce(pivot_row[c]);
    const D by = inverse[r];
    for (Index i = r + 1; i < m; ++i) {
      D* to = row(i);
      const D f = mod.reduce(to[j] * by);
      to[j] = f;
      for (Index c = j + 1; c < end; ++c) to[c] = fnma(f, pivot_row[c], to[c]);
    }
  }

  // Column j of the rows that have no pivot yet.
  void reduce_column(Index r, Index j) const {
    for (Index i = r; i < m; ++i) row(i)[j] = mod.reduce(row(i)[j]);
  }

  // Rows i .. i + R - 1, columns c .. c + C - 1, less the products with `count` pivot rows from row `first` on.
  template <Index R, Index C>
  MMLFAST_INLINE void update_tile(Index i, Index c, Index first, Index count, const Index* pivot, bool reduce) const {
    _Pragma("GCC unroll 1") for (int p = 0; p < vec_parts; ++p) {
      vec<double, 1> sum[R][C];
      for (Index x = 0; x < R; ++x)
        for (Index y = 0; y < C; ++y) sum[x][y] = part_of(row(i + x)[c + y], p);
      for (Index k = 0; k < count; ++k) {
        const D* u = row(first + k) + c;
        vec<double, 1> f[R];
        for (Index x = 0; x < R; ++x) f[x] = part_of(row(i + x)[pivot[first + k]], p);
        for (Index y = 0; y < C; ++y) {
          const vec<double, 1> right = part_of(u[y], p);
          for (Index x = 0; x < R; ++x) sum[x][y] = fnma(f[x], right, sum[x][y]);
        }
      }
      const vec<double, 1> prime = part_of(mod.p, p), reciprocal = part_of(mod.reciprocal, p);
      if (reduce)
        for (Index x = 0; x < R; ++x)
          for (Index y = 0; y < C; ++y) sum[x][y] = least(sum[x][y], prime, reciprocal);
      for (Index x = 0; x < R; ++x)
        for (Index y = 0; y < C; ++y) row(i + x)[c + y].part[p] = sum[x][y].part[0];
    }
  }

  template <Index R, Index C>
  MMLFAST_NOINLINE void update_rows(Index i, Index c, Index end, Index first, Index count, const Index* pivot,
                                    bool reduce) const {
    for (; c + C <= end; c += C) update_tile<R, C>(i, c, first, count, pivot, reduce);
    for (; c < end; ++c) update_tile<R, 1>(i, c, first, count, pivot, reduce);
  }

  // Columns from .. end - 1: the pivot rows first .. r - 1, then all rows below them, these reduced if `reduce` says
  // so.
  void update(Index from, Index end, Index first, Index r, const Index* pivot, bool reduce) const {
    if (r == first) return;
    for (; from < end; from += block_cols) {
      const Index to = from + block_cols < end ? from + block_cols : end;
      for (Index t = first + 1; t < r; ++t) update_rows<1, 8>(t, from, to, first, t - first, pivot, true);
      Index i = r;
      for (; i + tile_rows <= m; i += tile_rows)
        update_rows<tile_rows, tile_cols>(i, from, to, first, r - first, pivot, reduce);
      for (; i < m; ++i) update_rows<1, 8>(i, from, to, first, r - first, pivot, reduce);
    }
  }
};

Index echelon_vectors(Index m, Index n) { return m * leading_dimension(n) + (m < n ? m : n); }

LaneBits echelon(const IntegerMatrix& a, Index m, Index n, const double* prime, Index* order, Index* pivot, Index* rank,
                 double* value, void* work) {
  const Factors f(prime, m, n, work);
  f.load_matrix(a, order);
  D product = broadcast(1.0);
  LaneBits bad = 0;
  Index r = 0;
  for (Index start = 0; start < n && r < m; start += panel) {
    const Index stop = start + panel < n ? start + panel : n, top = r;
    for (Index from = start; from < stop && r < m; from += half) {
      const Index end = from + half < stop ? from + half : stop, first = r;
      D foreseen[half];
      const Index n_foreseen = f.foresee(r, from, end, foreseen);
      for (Index j = from; j < end && r < m; ++j) {
        if (r > top) f.reduce_column(r, j);
        const Index i = f.find_pivot(r, j, bad);
        if (i == m) continue;
        f.exchange(r, i, order);
        const D x = f.row(r)[j];
        bad |= to_bitmask(x == zero<double>());
        product = f.mod.reduce(product * x);
        f.inverse[r] = j - from < n_foreseen ? foreseen[j - from] : f.mod.inverse(x);
        pivot[r] = j;
        f.eliminate(r, j, end);
        ++r;
      }
      f.update(end, stop, first, r, pivot, false);
    }
    f.update(stop, n, top, r, pivot, true);
  }
  *rank = r;
  store(value, product);
  return bad;
}

// Back substitution for C free columns at once.
template <Index C>
void reduced_columns(const Factors& f, const Index* pivot, Index rank, const Index* column, const D& product,
                     double* form, Index form_row) {
  for (Index t = rank - 1; t >= 0; --t) {
    const D* u = f.row(t);
    D sum[C];
    for (Index y = 0; y < C; ++y) sum[y] = u[column[y]];
    for (Index s = t + 1; s < rank;) {
      const Index stop = s + most_products < rank ? s + most_products : rank;
      for (; s < stop; ++s) {
        const D by = u[pivot[s]];
        for (Index y = 0; y < C; ++y) sum[y] = fnma(by, f.row(s)[column[y]], sum[y]);
      }
      for (Index y = 0; y < C; ++y) sum[y] = f.mod.reduce(sum[y]);
    }
    for (Index y = 0; y < C; ++y) f.row(t)[column[y]] = f.mod.reduce(sum[y] * f.inverse[t]);
  }
  for (Index t = 0; t < rank; ++t)
    for (Index y = 0; y < C; ++y)
      store(form + (t * form_row + y) * lane_count, f.mod.reduce(f.row(t)[column[y]] * product));
}

void reduced(Index m, Index n, const double* prime, const Index* pivot, Index rank, const Index* column, Index n_free,
             double* form, void* work) {
  const Factors f(prime, m, n, work);
  D product = broadcast(1.0);
  for (Index t = 0; t < rank; ++t) product = f.mod.reduce(product * f.row(t)[pivot[t]]);
  Index c = 0;
  for (; c + 4 <= n_free; c += 4)
    reduced_columns<4>(f, pivot, rank, column + c, product, form + c * lane_count, n_free);
  for (; c < n_free; ++c) reduced_columns<1>(f, pivot, rank, column + c, product, form + c * lane_count, n_free);
}

void upper(Index m, Index n, const double* prime, const Index* pivot, Index rank, double* form, void* work) {
  const Factors f(prime, m, n, work);
  D product = broadcast(1.0);
  for (Index t = 0; t < rank; ++t) {
    const D* u = f.row(t);
    for (Index j = 0; j < n; ++j)  // multipliers are where the zeros are
      store(form + (t * n + j) * lane_count, j < pivot[t] ? zero<double>() : f.mod.reduce(u[j] * product));
    product = f.mod.reduce(product * u[pivot[t]]);
  }
}

// ---- eight matrices, one prime each ----

// No row is moved: a lane marks the rows that it has used as pivots. Nothing is divided: the rows that are left are
// multiplied by the pivot instead, and the determinant is divided once by all these factors, the product over k of the
// first k pivots.
Index small_vectors(Index m, Index n) { return m * n + n + m; }

void small(const IntegerMatrix& from, Index m, Index n, const double* prime, double* value, double* rank, void* work) {
  const Modulus mod(prime);
  D* const a = static_cast<D*>(work);
  D* const pivot_row = a + m * n;
  D* const is_free = pivot_row + n;  // 1 for a row that this lane has not used
  const D one = broadcast(1.0), none = zero<double>();
  for (Index e = 0; e < m * n; ++e) {
    const D low = load(from.low + e * lane_count);
    a[e] = from.high == nullptr ? mod.element(low) : mod.element(load(from.high + e * lane_count), low);
  }
  for (Index i = 0; i < m; ++i) is_free[i] = one;
  D product = one, scale = one, unsigned_product = one, count = none;
  for (Index j = 0; j < n; ++j) {
    // The first unused row with something in column j. Each unused row that it is taken past changes the sign.
    mask<double> missing = one == one;
    for (Index c = j; c < n; ++c) pivot_row[c] = none;
    for (Index i = 0; i < m; ++i) {
      const D* row = a + i * n;
      const mask<double> unused = is_free[i] == one;
      const mask<double> here = missing & unused & (row[j] != none);
      product = select(missing & unused & ~here, -product, product);
      missing = missing & ~here;
      if (!any(here)) continue;
      for (Index c = j; c < n; ++c) pivot_row[c] = select(here, row[c], pivot_row[c]);
      is_free[i] = select(here, none, is_free[i]);
    }
    product = mod.reduce(product * pivot_row[j]);  // 0 where there is no pivot
    count = select(missing, count, count + one);
    const D pivot = select(missing, one, pivot_row[j]);
    scale = mod.reduce(scale * unsigned_product);
    unsigned_product = mod.reduce(unsigned_product * pivot);
    for (Index i = 0; i < m; ++i) {  // rows that are used come out as nonsense, which nobody looks at
      D* row = a + i * n;
      const D f = row[j];
      for (Index c = j + 1; c < n; ++c) row[c] = mod.reduce(fnma(f, pivot_row[c], row[c] * pivot));
    }
  }
  product = mod.reduce(product * mod.inverse(scale));
  store(value, product);
  store(rank, count);
}

}  // namespace

MMLFAST_DEFINE_TABLE(ExactElimination, exact_elimination, echelon_vectors, echelon, reduced, upper, small_vectors,
                     small)

}  // namespace mmlfast::MMLFAST_LEVEL
