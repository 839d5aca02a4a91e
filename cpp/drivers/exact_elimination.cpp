#include "drivers/exact_elimination.hpp"

#include "drivers/common/lane_batch.hpp"
#include "drivers/common/matrix_batch.hpp"
#include "drivers/exact_elimination_large.hpp"
#include "drivers/exact_elimination_small.hpp"
#include "drivers/exact_elimination_solve.hpp"

namespace mmlfast::drivers {
namespace {

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
    const Outcome outcome = large_determinant(a, i, det);
    if (outcome.ok()) put(i, det);
    return outcome;
  });
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
    const Outcome outcome = certified_echelon(a, i, EchelonForm::none, echelon);
    if (outcome.ok()) put(i, static_cast<Size>(echelon.pivot.size()));
    return outcome;
  });
}

}  // namespace

template <class I>
Outcome exact_determinant(Size n_items, const Batch<const I>& a, const Batch<double>& det) noexcept {
  return determinants(n_items, a, [&](Size i, const Rounded& exact) { *det.item(i) = exact.value(); });
}

template <class I>
Outcome exact_log_determinant(Size n_items, const Batch<const I>& a, const Batch<double>& sign,
                              const Batch<double>& logabs) noexcept {
  return determinants(n_items, a, [&](Size i, const Rounded& exact) {
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
Outcome exact_inverse(Size n_items, const Batch<const I>& a, const Batch<double>& x) noexcept {
  const Size n = a.layout.rows;
  if (n_items == 0 || n == 0) return {};
  const auto put = [&](Size i, Size r, Size c, double value) {
    x.item(i)[r * x.layout.row_stride + c * x.layout.col_stride] = value;
  };
  try {
    return solve_exactly(n_items, a, IdentityRight{n}, put);
  } catch (const std::bad_alloc&) {
    return out_of_memory;
  }
}

template <class I, class J>
Outcome exact_solve(Size n_items, const Batch<const I>& a, const Batch<const J>& b, const Batch<double>& x) noexcept {
  if (n_items == 0 || a.layout.rows == 0 || b.layout.cols == 0) return {};
  const auto put = [&](Size i, Size r, Size c, double value) {
    x.item(i)[r * x.layout.row_stride + c * x.layout.col_stride] = value;
  };
  try {
    return solve_exactly(n_items, a, IntegerRight<J>{b}, put);
  } catch (const std::bad_alloc&) {
    return out_of_memory;
  }
}

template <class I>
Outcome exact_echelon(const Batch<const I>& a, EchelonForm form, ExactEchelon& result) noexcept {
  return certified_echelon(a, 0, form, result);
}

template <class I>
Outcome exact_shifted_determinants(const Batch<const I>& a, std::vector<std::int64_t>& prime,
                                   std::vector<std::int64_t>& residue) noexcept {
  try {
    return shifted_determinants(a, prime, residue);
  } catch (const std::bad_alloc&) {
    return out_of_memory;
  }
}

#define MMLFAST_INSTANTIATE(I)                                                                                   \
  template Outcome exact_determinant<I>(Size, const Batch<const I>&, const Batch<double>&) noexcept;             \
  template Outcome exact_log_determinant<I>(Size, const Batch<const I>&, const Batch<double>&,                   \
                                            const Batch<double>&) noexcept;                                      \
  template Outcome exact_rank<I>(Size, const Batch<const I>&, const Batch<std::int64_t>&) noexcept;              \
  template Outcome exact_solve<I, double>(Size, const Batch<const I>&, const Batch<const double>&,               \
                                          const Batch<double>&) noexcept;                                        \
  template Outcome exact_solve<I, std::int64_t>(Size, const Batch<const I>&, const Batch<const std::int64_t>&,   \
                                                const Batch<double>&) noexcept;                                  \
  template Outcome exact_solve<I, std::uint64_t>(Size, const Batch<const I>&, const Batch<const std::uint64_t>&, \
                                                 const Batch<double>&) noexcept;                                 \
  template Outcome exact_inverse<I>(Size, const Batch<const I>&, const Batch<double>&) noexcept;                 \
  template Outcome is_singular<I>(Size, const Batch<const I>&, const Batch<bool>&) noexcept;                     \
  template Outcome exact_echelon<I>(const Batch<const I>&, EchelonForm, ExactEchelon&) noexcept;                 \
  template Outcome exact_shifted_determinants<I>(const Batch<const I>&, std::vector<std::int64_t>&,              \
                                                 std::vector<std::int64_t>&) noexcept;
MMLFAST_INSTANTIATE(std::int64_t)
MMLFAST_INSTANTIATE(std::uint64_t)

}  // namespace mmlfast::drivers
