// Exact linear algebra of integer matrices: determinants and ranks of batches, and the reduced row echelon form of one
// matrix as residues modulo enough primes.
#pragma once

#include <vector>

#include "drivers/common/batch.hpp"
#include "runtime/outcome.hpp"

namespace mmlfast::drivers {

// I: std::int64_t or std::uint64_t. det: the float64 next to the determinant, infinite where it overflows.
template <class I>
Outcome exact_determinant(Size n_items, const Batch<const I>& a, const Batch<double>& det) noexcept;

// sign is 0 and logabs -inf for a singular matrix.
template <class I>
Outcome exact_log_determinant(Size n_items, const Batch<const I>& a, const Batch<double>& sign,
                              const Batch<double>& logabs) noexcept;

template <class I>
Outcome exact_rank(Size n_items, const Batch<const I>& a, const Batch<std::int64_t>& rank) noexcept;

template <class I>
Outcome is_singular(Size n_items, const Batch<const I>& a, const Batch<bool>& singular) noexcept;

// x = a^-1 b and a^-1: the float64 next to the exact number, but for two neighbours that are equally near to 60 bits,
// and numbers that are 0 to 100 bits beside the others. Singular (NaN, failed_items) only where a is exactly singular.
// a is n x n, b and x n x m; J: an integer type or double.
template <class I, class J>
Outcome exact_solve(Size n_items, const Batch<const I>& a, const Batch<const J>& b, const Batch<double>& x) noexcept;

template <class I>
Outcome exact_inverse(Size n_items, const Batch<const I>& a, const Batch<double>& x) noexcept;

// none: only the pivots. reduced: with d the determinant of the pivot columns of some rows, d and the entries at the
// free columns of d times the reduced row echelon form; none are given if there are no free columns. upper: d, and the
// rows of the echelon form, row t times the product of the t pivots above it.
enum class EchelonForm { none, reduced, upper };

// `pivot` is certain. The entries are integers of at most half the product of the primes; residue[k * (1 + entries)]
// belongs to d and prime k, the entries follow row by row.
struct ExactEchelon {
  std::vector<std::int64_t> pivot, prime, residue;
  std::vector<std::ptrdiff_t> free;
};

template <class I>
Outcome exact_echelon(const Batch<const I>& a, EchelonForm form, ExactEchelon& result) noexcept;

// det(a - x) for x = 0 .. n modulo enough primes for the coefficients of the characteristic polynomial of an n x n
// matrix: residue[k * (n + 1) + x].
template <class I>
Outcome exact_shifted_determinants(const Batch<const I>& a, std::vector<std::int64_t>& prime,
                                   std::vector<std::int64_t>& residue) noexcept;

}  // namespace mmlfast::drivers
