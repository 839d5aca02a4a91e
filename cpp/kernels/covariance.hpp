// Mean and centred second moments of a table, block of rows by block of rows.
//
// A table is cut into blocks of rows_per_block(d) rows, a number that depends on d alone. A block is packed (converted
// to float64 and rearranged), centred by its own mean while it is in cache, and multiplied with itself; only the upper
// half is computed. What comes out is a node: weight, mean (as an unevaluated sum of two doubles, so that differences
// of means stay exact far from the origin) and centred second moments M2. Nodes are merged pairwise.
//
//   pack      IN  rows x cols of T, any strides      OUT  rows `first`.. of a block, float64
//   centre    IN/OUT  block (packed in, centred out, times sqrt(weight))   IN weights or null   OUT  hi, lo: the mean
//   shift     IN  strips of rows of T    OUT  block: rows less a provisional mean   OUT  hi, lo: the mean
//             OUT  delta: the mean less the provisional one
//   unshift   IN/OUT  m2 of shifted rows in, of centred rows out   IN  delta
//   narrow    shift, products or squares, and unshift for a block by columns
//   products  IN  centred block    OUT  m2 (+)= Z'Z for a rectangle of strips, upper half
//   squares   IN  centred block    OUT  the diagonal of the same, with the same bits
//   merge     IN/OUT  node a       IN  node b        SCRATCH  padded(d) doubles
//
// All buffers are float64 and 64-byte aligned; nothing is allocated.
//
// Up to `columns_limit` columns a block holds its columns one after the other and SIMD lanes run over rows; each entry
// is a sum of 8 lane sums, added in a fixed tree. Wider blocks are made of strips of 8 columns, lanes run over columns,
// and each entry is one chain over the rows. Either way the bits do not depend on the shape of the register tile. The
// last block of a narrow table, if it is short (is_short), is made of strips too: its sums are then those of
// kernels/covariance_lanes.hpp, which takes eight such tables at once.
//
// Blocks of up to 256 columns whose rows all have weight 1 are shifted by a provisional mean and summed in one reading,
// and M2 is put right after the products: kernels/covariance_narrow.hpp up to `columns_limit` columns,
// kernels/covariance_shift.hpp above (`shifted`).
//
// Flops: n d (d + 1) + 6 n d; bytes: the table once. Accumulation: float64 whatever T is. Error of an entry (i, j):
// a few u sqrt(M2_ii M2_jj) (sums run over at most 128 terms before they are
// added to the next), for any ratio of mean to standard deviation up to 1e15. A column of
// equal numbers has a variance of exactly 0. NaN and infinity in a column reach only the entries of that column.
//
// Source: Chan, Golub, LeVeque, "Algorithms for computing the sample variance", Am. Stat. 37 (1983), the corrected
// two-pass algorithm (1.7) or a shift inside blocks and the pairwise update (1.5) between them; Schubert and Gertz,
// SSDBM 2018.
//
//     z = x - numpy.average(x, axis=0, weights=w); m2 = (w * z.T) @ z
#pragma once

#include "kernels/common/layout.hpp"
#include "simd/level.hpp"

namespace mmlfast {

// A chain of sums over rows is at most this long, then it is added to the sum of those before: rounding errors stay
// small, and the rows of the four strips of a tile stay in the first cache.
inline constexpr std::ptrdiff_t rows_per_chain = 128;

// How a block of a table with d columns is laid out. A function of d only: the bits of every result depend on it.
struct CovarianceShape {
  std::ptrdiff_t d;       // columns
  std::ptrdiff_t strips;  // groups of 8 columns
  std::ptrdiff_t rows;    // rows of a full block
  std::ptrdiff_t stride;  // rows that a block has room for; chosen so that columns (strips) do not share cache sets
  bool by_columns;        // element (r, j) at j * stride + r; else at ((j / 8) * stride + r) * 8 + j % 8
  bool sequential;        // too wide for a tree of nodes: blocks are added to one node, one after the other
  bool shifted;           // blocks of weights 1 are shifted, not centred

  static constexpr std::ptrdiff_t columns_limit = 16, tree_limit = 256;

  explicit constexpr CovarianceShape(std::ptrdiff_t columns) noexcept
      : d(columns),
        strips((columns + 7) / 8),
        rows(columns <= 2               ? 2048
             : columns <= 4             ? 1024
             : columns <= 8             ? 512
             : columns <= columns_limit ? 256
             : columns <= 64            ? 512
             : columns <= tree_limit    ? 256
             : columns <= 2048          ? 512
                                        : 256),
        stride(columns <= columns_limit ? rows + 8 : rows + 1),
        by_columns(columns <= columns_limit),
        sequential(columns > tree_limit),
        shifted(!by_columns && !sequential) {}

  // Blocks of so few rows of a narrow table are reduced as strips, in the layout of short_shape(): measured, that is
  // faster in lanes and not slower alone. max_short_rows() is less than `rows`.
  constexpr bool is_short(std::ptrdiff_t n_rows) const noexcept { return by_columns && n_rows <= max_short_rows(); }
  constexpr std::ptrdiff_t max_short_rows() const noexcept { return d <= 1 || d > 8 ? 64 : 128; }
  constexpr CovarianceShape short_shape() const noexcept {
    CovarianceShape strips_of = *this;
    strips_of.rows = max_short_rows();
    strips_of.stride = max_short_rows() + 1;
    strips_of.by_columns = false;  // and not shifted
    return strips_of;
  }

  constexpr std::ptrdiff_t index(std::ptrdiff_t r, std::ptrdiff_t j) const noexcept {
    return by_columns ? j * stride + r : ((j / 8) * stride + r) * 8 + j % 8;
  }
  constexpr std::ptrdiff_t block_size() const noexcept { return by_columns ? d * stride : strips * stride * 8; }

  // A node is weight (and 7 doubles of padding), hi, lo, m2.
  constexpr std::ptrdiff_t padded() const noexcept { return strips * 8; }
  constexpr std::ptrdiff_t hi() const noexcept { return 8; }
  constexpr std::ptrdiff_t lo() const noexcept { return 8 + padded(); }
  constexpr std::ptrdiff_t m2() const noexcept { return 8 + 2 * padded(); }
  // m2 of strips (si, sj), si <= sj: a tile of 8 x 8.
  constexpr std::ptrdiff_t tile(std::ptrdiff_t si, std::ptrdiff_t sj) const noexcept {
    return (si * strips - si * (si - 1) / 2 + (sj - si)) * 64;
  }
  // Where m2 holds entry (i, j), i <= j. by_columns: the upper triangle, row by row.
  constexpr std::ptrdiff_t entry(std::ptrdiff_t i, std::ptrdiff_t j) const noexcept {
    return by_columns ? i * d - i * (i - 1) / 2 + (j - i) : tile(i / 8, j / 8) + (i % 8) * 8 + j % 8;
  }
  constexpr std::ptrdiff_t m2_size(bool full) const noexcept {
    if (!full) return padded();
    return ((by_columns ? d * (d + 1) / 2 : strips * (strips + 1) / 2 * 64) + 7) / 8 * 8;
  }
  constexpr std::ptrdiff_t node_size(bool full) const noexcept { return m2() + m2_size(full); }
};

// How much of the moments: the mean, the diagonal of M2 too, all.
enum class Want { mean, variance, covariance };

struct CovarianceKernel {
  // Puts rows x (shape by `layout`) into the block from row 0 of `block` on; a block with more rows before these is
  // passed as block + shape.index(first, 0).
  void (*pack_f64)(const CovarianceShape& shape, const double* x, const Layout& layout, double* block);
  void (*pack_f32)(const CovarianceShape& shape, const float* x, const Layout& layout, double* block);
  // Strips from .. to - 1 only (by_columns: all columns). `total` is the sum of the weights (the number of rows) and
  // not 0; `reference` is a row of positive weight. hi and lo start at column 0. Rows of weight 0 count for nothing,
  // NaN too.
  void (*centre)(const CovarianceShape& shape, double* block, std::ptrdiff_t rows, const double* weights, double total,
                 std::ptrdiff_t reference, std::ptrdiff_t from, std::ptrdiff_t to, double* hi, double* lo);
  // Strips s = 0 .. strips - 1 of 8 columns each, `rows` (at least 1) rows that begin at x + r * row_step + s *
  // strip_step. block may be null: the mean is all that is wanted. hi, lo and delta start at the first strip.
  void (*shift_f64)(const CovarianceShape& shape, const double* x, std::ptrdiff_t rows, std::ptrdiff_t row_step,
                    std::ptrdiff_t strip_step, std::ptrdiff_t strips, double* block, double* hi, double* lo,
                    double* delta);
  void (*shift_f32)(const CovarianceShape& shape, const float* x, std::ptrdiff_t rows, std::ptrdiff_t row_step,
                    std::ptrdiff_t strip_step, std::ptrdiff_t strips, double* block, double* hi, double* lo,
                    double* delta);
  void (*unshift)(const CovarianceShape& shape, bool full, std::ptrdiff_t rows, const double* delta, double* m2);
  // by_columns: rows (at least 1) of weight 1, any strides, `block` as SCRATCH, which x may lie in as it would be
  // packed. delta is SCRATCH too. As for products(), the `ahead` bytes from `next` on are fetched.
  void (*narrow_f64)(const CovarianceShape& shape, Want want, const double* x, const Layout& layout, double* block,
                     double* hi, double* lo, double* delta, double* m2, const void* next, std::ptrdiff_t ahead);
  void (*narrow_f32)(const CovarianceShape& shape, Want want, const float* x, const Layout& layout, double* block,
                     double* hi, double* lo, double* delta, double* m2, const void* next, std::ptrdiff_t ahead);
  // m2 := (add: m2 +) Z'Z for strips si0 <= si < si1, sj0 <= sj < sj1, si <= sj (by_columns: everything). Meanwhile the
  // `ahead` bytes from `next` on, the rows of the next block, are fetched.
  void (*products)(const CovarianceShape& shape, const double* block, std::ptrdiff_t rows, std::ptrdiff_t si0,
                   std::ptrdiff_t si1, std::ptrdiff_t sj0, std::ptrdiff_t sj1, bool add, double* m2, const void* next,
                   std::ptrdiff_t ahead);
  void (*squares)(const CovarianceShape& shape, const double* block, std::ptrdiff_t rows, std::ptrdiff_t from,
                  std::ptrdiff_t to, bool add, double* m2);
  // Weight and mean of a and sign * b together, in a; delta = mean(b) - mean(a). Returns the factor of delta delta' in
  // m2.
  double (*merge_means)(const CovarianceShape& shape, double* a, const double* b, double sign, double* delta);
  // By strips: mean alone, of `rows` rows (at least 1) that lie one behind the other in memory, with the bits that
  // `centre` gives it. False if a mean is not finite: hi and lo are undefined then. SCRATCH 64 * d doubles.
  bool (*means_f64)(const CovarianceShape& shape, const double* x, std::ptrdiff_t rows, double* hi, double* lo,
                    double* scratch);
  bool (*means_f32)(const CovarianceShape& shape, const float* x, std::ptrdiff_t rows, double* hi, double* lo,
                    double* scratch);
  // Many A C A', one in each lane, of maps A (m x d) and covariances C (d x d): m x m, both halves the same. Returned
  // are the lanes in which C is not symmetric to the bit, or the answer not finite, or has a negative variance. Each
  // number is two chains of fused multiply-adds. SCRATCH affine_scratch(m, d) doubles.
  LaneBits (*of_affine_map)(const double* const* a, const Layout& a_layout, const double* const* c,
                            const Layout& c_layout, double* const* mapped, const Layout& mapped_layout,
                            double* scratch);
  // The whole node: a := a + sign * b. With sign -1 the rows of b must be among those of a.
  void (*merge)(const CovarianceShape& shape, bool full, double* a, const double* b, double sign, double* delta);
};

MMLFAST_KERNEL_TABLE(CovarianceKernel, covariance_kernel)

constexpr std::ptrdiff_t affine_scratch(std::ptrdiff_t m, std::ptrdiff_t d) noexcept {
  return 8 * (2 * m * d + d * d + m * m);
}

// Vectors from one row to the next; rows of 8 or 16 vectors would put a column into a few sets of the cache.
constexpr std::ptrdiff_t covariance_lanes_row(std::ptrdiff_t d) noexcept { return d % 8 == 0 ? d + 1 : d; }

constexpr std::ptrdiff_t covariance_lanes_scratch(std::ptrdiff_t n, std::ptrdiff_t d, bool weighted) noexcept {
  return 8 * (n * covariance_lanes_row(d) + (weighted ? n : 0) + d * (d + 1) / 2 + 2 * d + d * d);
}

// Sums of squares between these bounds neither overflow nor lose digits to underflow on the way to an answer.
struct SafeSquares {
  double low, high;
};
inline constexpr SafeSquares safe_squares{0x1p-900, 0x1p1000};
inline constexpr SafeSquares safe_products{0x1p-480, 0x1p480};  // so that products of two of them are safe

// Many tables of few rows and columns, 8 at a time, one in each lane: the operations of a block of strips in the same
// order, hence the same bits; the driver takes whichever is faster (kernels/covariance_lanes.hpp).
//
//   IN       item[l]     table of lane l, n x d of T, strides by `layout`
//            weights[l]  its weights, `weights_stride` apart; null without weights
//   OUT      covariance  M2 / max(weight - ddof[l], 0), d x d of T, both halves
//            variance    its diagonal, d of T, the same bits; `deviation` the square roots
//            correlation M2_ij / sqrt(M2_ii M2_jj), d x d of T; NaN where M2_ii or M2_jj is not a positive number
//            mean        d of T
//   SCRATCH  covariance_lanes_scratch(n, d, weighted) doubles, 64-byte aligned
//
// A table of no weight gives NaN. Returned are the lanes of double in which sums of squares left the range of
// SafeSquares (mean: in which a mean is not finite) though the column is not constant: NaN, infinity, or numbers for
// which the driver takes powers of two (drivers/covariance_scaled.hpp). None for float, whose squares float64 holds.
template <class T>
struct CovarianceInLanes {
  using Items = const T* const*;
  using Numbers = const double* const*;
  LaneBits (*covariance)(Items item, const Layout& layout, Numbers weights, std::ptrdiff_t weights_stride, Numbers ddof,
                         T* const* cov, const Layout& cov_layout, double* scratch);
  LaneBits (*correlation)(Items item, const Layout& layout, Numbers weights, std::ptrdiff_t weights_stride,
                          T* const* cor, const Layout& cor_layout, double* scratch);
  LaneBits (*variance)(Items item, const Layout& layout, Numbers weights, std::ptrdiff_t weights_stride, Numbers ddof,
                       T* const* var, std::ptrdiff_t var_stride, double* scratch);
  LaneBits (*deviation)(Items item, const Layout& layout, Numbers weights, std::ptrdiff_t weights_stride, Numbers ddof,
                        T* const* std, std::ptrdiff_t std_stride, double* scratch);
  LaneBits (*mean)(Items item, const Layout& layout, Numbers weights, std::ptrdiff_t weights_stride, T* const* mean,
                   std::ptrdiff_t mean_stride, double* scratch);
};

MMLFAST_KERNEL_TABLES(CovarianceInLanes, covariance_in_lanes)

}  // namespace mmlfast
