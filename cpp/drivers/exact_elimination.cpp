#include "drivers/exact_elimination.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <new>

#include "drivers/common/lane_batch.hpp"
#include "drivers/common/matrix_batch.hpp"
#include "drivers/exact_elimination_large.hpp"
#include "drivers/exact_elimination_parts.hpp"
#include "kernels/elimination.hpp"

namespace mmlfast::drivers {
namespace {

// ---- small matrices: eight of them in the lanes, or eight primes of a single one ----

// Up to this order a determinant in floating point may be good enough to be rounded to an integer.
constexpr Size rounded_order = 8;

// Residues of up to eight items. Slots are the lanes: one per item, or one per prime if there is only one item.
class SmallGroup {
 public:
  static constexpr Size most_primes = 48;  // order 12, 64 bits: 12 (64 + 1.8) / 24.98

  static Size doubles(Size m, Size n) noexcept { return lane_count * (2 * m * n) + m + n; }

  template <class I>
  SmallGroup(const Batch<const I>& a, Size first, Size count, double* room) noexcept
      : m_(a.layout.rows),
        n_(a.layout.cols),
        alone_(count == 1),
        low_(room),
        high_(room + lane_count * m_ * n_),
        squares_(high_ + lane_count * m_ * n_) {
    bool fits = true;
    for (Size l = 0; l < count; ++l) {
      const I* item = a.item(first + l);
      for (Size i = 0; i < m_; ++i)
        for (Size j = 0; j < n_; ++j) {
          const I x = load(item + i * a.layout.row_stride + j * a.layout.col_stride);
          fits = fits && fits_double(x);
          low_[(i * n_ + j) * lane_count + l] = static_cast<double>(x);
        }
    }
    has_high_ = !fits;
    if (has_high_) split(a, first, count);
    if (count < lane_count) fill_lanes(count);
  }

  // How many primes each item needs; before the first pass.
  void count_primes(Size count) noexcept {
    const Size order = std::min(m_, n_);
    for (Size l = 0; l < count; ++l) {
      double* column_square = squares_ + m_;
      std::fill_n(squares_, m_ + n_, 0.0);
      for (Size i = 0; i < m_; ++i)
        for (Size j = 0; j < n_; ++j) {
          const Size at = (i * n_ + j) * lane_count + l;
          const double value = has_high_ ? high_[at] * 0x1p32 + low_[at] : low_[at];
          squares_[i] += value * value;
          column_square[j] += value * value;
        }
      primes_[l] = primes_for(std::min(log2_of_minors(squares_, m_, order), log2_of_minors(column_square, n_, order)));
      most_ = std::max(most_, primes_[l]);
    }
  }

  // The passes that are enough for every item.
  Size passes() const noexcept { return alone_ ? ceil_div(most_, lane_count) : most_; }
  Size primes(Size l) const noexcept { return primes_[alone_ ? 0 : l]; }
  bool alone() const noexcept { return alone_; }

  void pass(Size number, double* value, double* rank, void* work) const noexcept {
    alignas(64) double p[lane_count];
    for (int l = 0; l < lane_count; ++l)
      p[l] = static_cast<double>(Primes::at(alone_ ? number * lane_count + l : number));
    kernel_of<ExactElimination>().small({low_, has_high_ ? high_ : nullptr}, m_, n_, p, value, rank, work);
  }

 private:
  template <class I>
  void split(const Batch<const I>& a, Size first, Size count) noexcept {
    for (Size l = 0; l < count; ++l)
      for (Size i = 0; i < m_; ++i)
        for (Size j = 0; j < n_; ++j) {
          const I x = load(a.item(first + l) + i * a.layout.row_stride + j * a.layout.col_stride);
          low_[(i * n_ + j) * lane_count + l] = low_part(x);
          high_[(i * n_ + j) * lane_count + l] = high_part(x);
        }
  }

  // Lanes without an item of their own repeat the last one.
  void fill_lanes(Size count) noexcept {
    for (Size e = 0; e < m_ * n_; ++e)
      for (Size l = count; l < lane_count; ++l) {
        low_[e * lane_count + l] = low_[e * lane_count + count - 1];
        if (has_high_) high_[e * lane_count + l] = high_[e * lane_count + count - 1];
      }
  }

  Size m_, n_;
  bool alone_, has_high_ = false;
  double *low_, *high_, *squares_;
  Size primes_[lane_count] = {}, most_ = 1;
};

// Whether the determinant in floating point is less than 1/2 wrong. Elimination with partial pivoting is exact for a +
// e with |e| <= n u |L| |U| (1 + ..), whose rows are at most 2^n n u times the largest row r of a (Higham, Accuracy and
// Stability of Numerical Algorithms, 2nd ed., theorem 9.3 with |l| <= 1): by Hadamard the determinant moves by no more
// than n (n u 2^n) r^n. The product of the pivots adds n u r^n, and all that is taken twice.
bool may_be_rounded(Size n, double largest_square) noexcept {
  if (n > rounded_order || largest_square >= 0x1p50) return false;
  const double order = static_cast<double>(n);
  const double wrong = 2 * order * (order * static_cast<double>(1 << n) + 1) * 0x1p-53, most = 0.45 / wrong;
  double square = 1;  // of r^n
  for (Size k = 0; k < n; ++k) square *= largest_square;
  return square < most * most;
}

// A determinant below 2^51, as Rounded has others.
struct Whole {
  double whole;
  int sign;

  explicit Whole(double x) noexcept : whole((x + 0x1.8p52) - 0x1.8p52), sign((whole > 0) - (whole < 0)) {}
  double value() const noexcept { return sign == 0 ? 0.0 : whole; }
  double log() const noexcept { return std::log(std::fabs(whole)); }
};

// Determinants in floating point of up to eight items, if that will do: then put(item, Whole) for each. `room` is for
// them one after the other, as they lie in memory.
template <class I, class Put>
bool rounded_determinants(const Batch<const I>& a, Size first, Size count, double* room, void* work,
                          Put&& put) noexcept {
  const Size n = a.layout.rows, row = a.layout.row_stride, col = a.layout.col_stride;
  double largest = 0, *to = room;
  for (Size l = 0; l < count; ++l) {
    const I* item = a.item(first + l);
    for (Size i = 0; i < n; ++i) {
      double square = 0;
      for (Size j = 0; j < n; ++j) {
        const double value = static_cast<double>(load(item + i * row + j * col));
        *to++ = value;
        square += value * value;
      }
      largest = std::max(largest, square);
    }
  }
  if (!may_be_rounded(n, largest)) return false;
  alignas(64) double value[lane_count];
  const double* item[lane_count];
  double* det[lane_count];
  for (Size l = 0; l < lane_count; ++l) item[l] = room + std::min(l, count - 1) * n * n, det[l] = value + l;
  kernel_of<Elimination<double>>().determinant(item, Layout{n, n, n, 1}, det, work);
  for (Size l = 0; l < count; ++l) put(first + l, Whole(value[l]));
  return true;
}

// put(item, Rounded or Whole) for each item of the group.
template <class I, class Put>
void small_determinants(const Batch<const I>& a, Size first, Size count, void* scratch, Put&& put) noexcept {
  const Size n = a.layout.rows;
  double* room = static_cast<double*>(scratch);
  void* work = room + (SmallGroup::doubles(n, n) + 7) / 8 * 8;
  if (n <= rounded_order && rounded_determinants(a, first, count, room, work, put)) return;
  SmallGroup group(a, first, count, room);
  alignas(64) double value[lane_count], rank[lane_count];
  group.count_primes(count);
  std::uint32_t prime[SmallGroup::most_primes], residue[lane_count][SmallGroup::most_primes];
  std::uint32_t digit[SmallGroup::most_primes], limb[SmallGroup::most_primes];
  for (Size pass = 0; pass < group.passes(); ++pass) {
    group.pass(pass, value, rank, work);
    for (Size l = 0; l < lane_count; ++l) {
      const Size at = group.alone() ? pass * lane_count + l : pass;
      prime[at] = Primes::at(at);
      residue[group.alone() ? 0 : l][at] = to_residue(value[l], prime[at]);
    }
  }
  for (Size l = 0; l < count; ++l) put(first + l, combine_residues(prime, residue[l], group.primes(l), digit, limb));
}

template <class I>
void small_ranks(const Batch<const I>& a, Size first, Size count, void* scratch, Size* found) noexcept {
  const Size m = a.layout.rows, n = a.layout.cols, full = std::min(m, n);
  double* room = static_cast<double*>(scratch);
  void* work = room + (SmallGroup::doubles(m, n) + 7) / 8 * 8;
  SmallGroup group(a, first, count, room);
  alignas(64) double value[lane_count], rank[lane_count];
  std::fill_n(found, count, Size{0});
  for (Size pass = 0;; ++pass) {
    if (pass == 1) group.count_primes(count);  // most matrices have full rank, and one prime says so
    if (pass > 0 && pass >= group.passes()) return;
    group.pass(pass, value, rank, work);
    bool all_full = true;
    for (Size l = 0; l < lane_count; ++l) {
      Size& best = found[group.alone() ? 0 : std::min(l, count - 1)];
      best = std::max(best, static_cast<Size>(rank[l]));
    }
    for (Size l = 0; l < count; ++l) all_full = all_full && found[l] == full;
    if (all_full) return;
  }
}

Size small_scratch_vectors(Size m, Size n) noexcept {
  const Size rounded = m == n && n <= rounded_order ? kernel_of<Elimination<double>>().scratch_vectors(n, 0) : 0;
  return (SmallGroup::doubles(m, n) + 7) / 8 +
         std::max<Size>(kernel_of<ExactElimination>().small_vectors(m, n), rounded);
}

double small_ns(Size m, Size n) noexcept {
  const double d = static_cast<double>(std::min(m, n));
  return 20 + static_cast<double>(m * n) * (2 + 0.5 * d);
}

// ---- all matrices ----

// Many matrices one per thread, large ones one after another with their primes in several threads.
template <class Call>
Outcome run_large(Size n_items, Size m, Size n, Call&& call) noexcept {
  const double item_ns = group_ns(m, n) * (1 + static_cast<double>(std::min(m, n)) / 16);
  return run_matrices(n_items, item_ns, 8, Uses::own_code, [&](Size i, void*) { return call(i); });
}

template <class I, class Put>
Outcome determinants(Size n_items, const Batch<const I>& a, Put&& put) noexcept {
  const Size n = a.layout.rows;
  if (n == 0) {
    for (Size i = 0; i < n_items; ++i) put(i, Rounded{1, 0.5, 1});
    return {};
  }
  if (n_items == 0) return {};
  if (n <= small_order) {
    return run_in_lanes<double>(n_items, small_ns(n, n), small_scratch_vectors(n, n),
                                [&](Size first, Size count, void* scratch) {
                                  small_determinants(a, first, count, scratch, put);
                                  return LaneBits{0};
                                });
  }
  return run_large(n_items, n, n, [&](Size i) {
    Rounded det;
    const Outcome outcome = with_parts(a, i, [&](Parts& parts) { return large_determinant(parts, n, det); });
    if (outcome.ok()) put(i, det);
    return outcome;
  });
}

template <class I>
Outcome echelon_of_item(const Batch<const I>& a, Size item, EchelonForm form, ExactEchelon& result) noexcept {
  return with_parts(a, item,
                    [&](Parts& parts) { return certified_echelon(parts, a.layout.rows, a.layout.cols, form, result); });
}

template <class I, class Put>
Outcome ranks(Size n_items, const Batch<const I>& a, Put&& put) noexcept {
  const Size m = a.layout.rows, n = a.layout.cols;
  if (m == 0 || n == 0) {
    for (Size i = 0; i < n_items; ++i) put(i, Size{0});
    return {};
  }
  if (n_items == 0) return {};
  if (std::max(m, n) <= small_order) {
    return run_in_lanes<double>(n_items, small_ns(m, n), small_scratch_vectors(m, n),
                                [&](Size first, Size count, void* scratch) {
                                  Size found[lane_count];
                                  small_ranks(a, first, count, scratch, found);
                                  for (Size l = 0; l < count; ++l) put(first + l, found[l]);
                                  return LaneBits{0};
                                });
  }
  return run_large(n_items, m, n, [&](Size i) {
    ExactEchelon echelon;
    const Outcome outcome = echelon_of_item(a, i, EchelonForm::none, echelon);
    if (outcome.ok()) put(i, static_cast<Size>(echelon.pivot.size()));
    return outcome;
  });
}

}  // namespace

template <class I>
Outcome exact_determinant(Size n_items, const Batch<const I>& a, const Batch<double>& det) noexcept {
  return determinants(n_items, a, [&](Size i, const auto& exact) { *det.item(i) = exact.value(); });
}

template <class I>
Outcome exact_log_determinant(Size n_items, const Batch<const I>& a, const Batch<double>& sign,
                              const Batch<double>& logabs) noexcept {
  return determinants(n_items, a, [&](Size i, const auto& exact) {
    *sign.item(i) = exact.sign;
    *logabs.item(i) = exact.log();
  });
}

template <class I>
Outcome exact_rank(Size n_items, const Batch<const I>& a, const Batch<std::int64_t>& rank) noexcept {
  return ranks(n_items, a, [&](Size i, Size found) { *rank.item(i) = found; });
}

template <class I>
Outcome is_singular(Size n_items, const Batch<const I>& a, const Batch<bool>& singular) noexcept {
  return ranks(n_items, a, [&](Size i, Size found) { *singular.item(i) = found < a.layout.rows; });
}

template <class I>
Outcome exact_echelon(const Batch<const I>& a, EchelonForm form, ExactEchelon& result) noexcept {
  return echelon_of_item(a, 0, form, result);
}

template <class I>
Outcome exact_shifted_determinants(const Batch<const I>& a, std::vector<std::int64_t>& prime,
                                   std::vector<std::int64_t>& residue) noexcept {
  try {
    return with_parts(a, 0,
                      [&](const Parts& parts) { return shifted_determinants(parts, a.layout.rows, prime, residue); });
  } catch (const std::bad_alloc&) {
    return out_of_memory;
  }
}

#define MMLFAST_INSTANTIATE(I)                                                                       \
  template Outcome exact_determinant<I>(Size, const Batch<const I>&, const Batch<double>&) noexcept; \
  template Outcome exact_log_determinant<I>(Size, const Batch<const I>&, const Batch<double>&,       \
                                            const Batch<double>&) noexcept;                          \
  template Outcome exact_rank<I>(Size, const Batch<const I>&, const Batch<std::int64_t>&) noexcept;  \
  template Outcome is_singular<I>(Size, const Batch<const I>&, const Batch<bool>&) noexcept;         \
  template Outcome exact_echelon<I>(const Batch<const I>&, EchelonForm, ExactEchelon&) noexcept;     \
  template Outcome exact_shifted_determinants<I>(const Batch<const I>&, std::vector<std::int64_t>&,  \
                                                 std::vector<std::int64_t>&) noexcept;
MMLFAST_INSTANTIATE(std::int64_t)
MMLFAST_INSTANTIATE(std::uint64_t)

}  // namespace mmlfast::drivers
