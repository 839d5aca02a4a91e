#include "drivers/exact_elimination_large.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <new>

#include "drivers/common/parallel.hpp"

namespace mmlfast::drivers {
namespace {

constexpr Outcome too_large{Outcome::Status::too_large};

bool is_odd(const std::ptrdiff_t* order, Size n, bool* seen) noexcept {
  std::fill_n(seen, n, false);
  bool odd = false;
  for (Size i = 0; i < n; ++i)
    for (Size j = i; !seen[j]; j = order[j]) {
      seen[j] = true;
      if (order[j] != i) odd = !odd;
    }
  return odd;
}

// Echelon forms of one matrix modulo the primes first .. first + 8 groups - 1.
class PrimeGroups {
 public:
  static Size ints(Size m, Size n) noexcept { return m + std::min(m, n) + 2; }

  Size m, n;
  IntegerMatrix matrix;

  // done(group, bad lanes, order, pivot, rank, value, work) runs in several threads.
  template <class Done>
  Outcome run(Size first, Size groups, const std::ptrdiff_t* order, Done&& done) const noexcept {
    if (first + groups * lane_count > Primes::most) return too_large;
    const ExactElimination& kernel = kernel_of<ExactElimination>();
    const Size vectors = checked_product(kernel.echelon_vectors(m, n), 64);
    const Size bytes = vectors < 0 ? -1 : vectors + 8 * ints(m, n);
    Primes::at(first + groups * lane_count - 1);
    return parallel_with_scratch(groups, group_ns(m, n), bytes, [&](Size group, void* work) {
      auto* own_order = reinterpret_cast<std::ptrdiff_t*>(static_cast<char*>(work) + vectors);
      auto* pivot = own_order + m;
      for (Size i = 0; i < m; ++i) own_order[i] = order == nullptr ? i : order[i];
      std::ptrdiff_t rank = 0;
      alignas(64) double value[lane_count];
      const LanePrimes primes(first + group * lane_count);
      const LaneBits bad = kernel.echelon(matrix, m, n, primes.p, own_order, pivot, &rank, value, work);
      done(group, primes, bad, own_order, pivot, rank, value, work);
    });
  }
};

bool better(const std::ptrdiff_t* pivot, Size rank, const std::vector<std::int64_t>& than) noexcept {
  const Size other = static_cast<Size>(than.size());
  for (Size t = 0; t < std::min(rank, other); ++t)
    if (pivot[t] != than[static_cast<std::size_t>(t)]) return pivot[t] < than[static_cast<std::size_t>(t)];
  return rank > other;
}

// The certain echelon form of one matrix: the pivots that good primes have in common, whose product is more than any
// minor that could tell otherwise. `form`: with the residues of its entries.
class Certified {
 public:
  Certified(const IntegerMatrix& matrix, Size m, Size n, EchelonForm form, ExactEchelon& result)
      : groups_{m, n, matrix}, form_(form), result_(result) {
    result_.pivot.reserve(static_cast<std::size_t>(std::min(m, n)));  // nothing grows inside of a block of work
    result_.free.reserve(static_cast<std::size_t>(n));
    order_.reserve(static_cast<std::size_t>(m));
  }

  Outcome run(Parts& parts) {
    const Size m = groups_.m, n = groups_.n;
    order_.resize(static_cast<std::size_t>(m));
    for (Size i = 0; i < m; ++i) order_[static_cast<std::size_t>(i)] = i;
    Outcome outcome = first();
    while (outcome.ok()) {
      const Size rank = static_cast<Size>(result_.pivot.size());
      const bool known = form_ == EchelonForm::none ? rank == std::min(m, n) : rank == n;
      if (known && form_ != EchelonForm::upper) return {};  // nothing to prove, and an identity matrix
      // Minors of one more row could prove a larger rank; those of as many other pivots, and are the entries.
      const Size needed = primes_for(parts.log2_bound(m, n, std::min({rank + 1, m, n})));
      if (good_ >= needed) return {};
      outcome = more(ceil_div(needed - good_, lane_count));
    }
    return outcome;
  }

 private:
  // Of the form, the product of the pivots not counted.
  Size entries() const noexcept {
    const Size rank = static_cast<Size>(result_.pivot.size());
    if (form_ == EchelonForm::none) return 0;
    return rank * (form_ == EchelonForm::upper ? groups_.n : static_cast<Size>(result_.free.size()));
  }

  void write_form(const LanePrimes& p, const std::ptrdiff_t* pivot, Size rank, double* form,
                  void* work) const noexcept {
    const ExactElimination& kernel = kernel_of<ExactElimination>();
    if (form_ == EchelonForm::upper) kernel.upper(groups_.m, groups_.n, p.p, pivot, rank, form, work);
    if (form_ == EchelonForm::reduced)
      kernel.reduced(groups_.m, groups_.n, p.p, pivot, rank, result_.free.data(),
                     static_cast<Size>(result_.free.size()), form, work);
  }

  void take_profile(const std::ptrdiff_t* order, const std::ptrdiff_t* pivot, Size rank) {
    result_.pivot.assign(pivot, pivot + rank);
    result_.free.clear();
    for (Size j = 0, t = 0; j < groups_.n; ++j) {
      if (t < rank && pivot[t] == j)
        ++t;
      else
        result_.free.push_back(j);
    }
    order_.assign(order, order + groups_.m);
    result_.prime.clear();
    result_.residue.clear();
    good_ = 0;
  }

  // One group decides on the pivots and the order of the rows. It runs again, with its order, among the others.
  Outcome first() {
    return groups_.run(next_, 1, order_.data(),
                       [&](Size, const LanePrimes&, LaneBits, std::ptrdiff_t* order, std::ptrdiff_t* pivot, Size rank,
                           const double*, void*) { take_profile(order, pivot, rank); });
  }

  Outcome more(Size count) {
    const Size rank = static_cast<Size>(result_.pivot.size()), per_group = entries() * lane_count;
    std::vector<double> values(static_cast<std::size_t>(count * lane_count));
    std::vector<double> forms(static_cast<std::size_t>(count * per_group));
    std::vector<LaneBits> bad(static_cast<std::size_t>(count), 0);
    std::vector<char> unequal(static_cast<std::size_t>(count), 0);
    const Outcome outcome =
        groups_.run(next_, count, order_.data(),
                    [&](Size group, const LanePrimes& p, LaneBits lanes, std::ptrdiff_t* order, std::ptrdiff_t* pivot,
                        Size found, const double* value, void* work) {
                      const auto g = static_cast<std::size_t>(group);
                      bad[g] = lanes;
                      if (found != rank || !std::equal(pivot, pivot + rank, result_.pivot.begin()) ||
                          !std::equal(order, order + groups_.m, order_.begin())) {
                        unequal[g] = 1;
                        return;
                      }
                      std::copy_n(value, lane_count, values.data() + group * lane_count);
                      write_form(p, pivot, rank, forms.data() + group * per_group, work);
                    });
    if (!outcome.ok()) return outcome;
    const Size start = next_;
    for (Size group = 0; group < count; ++group) {
      const auto g = static_cast<std::size_t>(group);
      if (unequal[g]) {
        // Its primes are unlucky, or all those before were: its pivots tell.
        bool restart = false;
        const Outcome again = groups_.run(start + group * lane_count, 1, order_.data(),
                                          [&](Size, const LanePrimes&, LaneBits, std::ptrdiff_t* order,
                                              std::ptrdiff_t* pivot, Size found, const double*, void*) {
                                            restart = better(pivot, found, result_.pivot);
                                            if (restart) take_profile(order, pivot, found);
                                          });
        if (!again.ok()) return again;
        if (restart) {
          next_ = start + group * lane_count;
          return {};
        }
        continue;
      }
      const LanePrimes p(start + group * lane_count);
      for (int l = 0; l < lane_count; ++l) {
        if ((bad[g] >> l) & 1) continue;
        ++good_;
        if (form_ == EchelonForm::none) continue;
        const auto prime = static_cast<std::uint32_t>(p.p[l]);
        result_.prime.push_back(prime);
        result_.residue.push_back(to_residue(values[g * lane_count + static_cast<std::size_t>(l)], prime));
        const double* form = forms.data() + group * per_group + l;
        for (Size e = 0; e < entries(); ++e) result_.residue.push_back(to_residue(form[e * lane_count], prime));
      }
    }
    next_ += count * lane_count;
    return {};
  }

  PrimeGroups groups_;
  const EchelonForm form_;
  ExactEchelon& result_;
  std::vector<std::ptrdiff_t> order_;
  Size next_ = 0, good_ = 0;
};

}  // namespace

Outcome large_determinant(Parts& parts, Size n, Rounded& det) noexcept {
  const Size needed = primes_for(parts.log2_bound(n, n, n));
  const PrimeGroups groups{n, n, parts.matrix()};
  const Size room = needed + lane_count;
  const AlignedBuffer<std::uint32_t> numbers(4 * room);
  if (!numbers) return out_of_memory;
  std::uint32_t* prime = numbers.data();
  std::uint32_t *residue = prime + room, *digit = residue + room, *limb = digit + room;
  // Lanes without a good prime are rare; further primes stand in for them.
  for (Size have = 0, next = 0; have < needed;) {
    const Size count = ceil_div(needed - have, lane_count);
    constexpr std::uint32_t none = ~0u;
    std::fill_n(residue + have, room - have, none);
    const Outcome outcome = groups.run(next, count, nullptr,
                                       [&](Size group, const LanePrimes& p, LaneBits bad, std::ptrdiff_t* order,
                                           std::ptrdiff_t*, Size rank, const double* value, void* work) {
                                         const bool odd = rank == n && is_odd(order, n, static_cast<bool*>(work));
                                         for (int l = 0; l < lane_count; ++l) {
                                           const Size at = have + group * lane_count + l;
                                           if (at >= room) continue;
                                           prime[at] = static_cast<std::uint32_t>(p.p[l]);
                                           if ((bad >> l) & 1) continue;
                                           residue[at] =
                                               rank < n ? 0 : to_residue(odd ? -value[l] : value[l], prime[at]);
                                         }
                                       });
    if (!outcome.ok()) return outcome;
    next += count * lane_count;
    const Size end = std::min(room, have + count * lane_count);
    for (Size at = have; at < end; ++at) {
      if (residue[at] == none) continue;
      prime[have] = prime[at];
      residue[have++] = residue[at];
    }
  }
  det = combine_residues(prime, residue, needed, digit, limb);
  return {};
}

Outcome certified_echelon(Parts& parts, Size m, Size n, EchelonForm form, ExactEchelon& result) noexcept {
  try {
    return Certified(parts.matrix(), m, n, form, result).run(parts);
  } catch (const std::bad_alloc&) {
    return out_of_memory;
  }
}

Outcome shifted_determinants(const Parts& parts, Size n, std::vector<std::int64_t>& prime,
                             std::vector<std::int64_t>& residue) {
  const Size shifts = n + 1;
  // The coefficients are sums of principal minors: together no more than the product of 1 + norm of each row.
  double bits = 0;
  for (Size i = 0; i < n; ++i) bits += std::log2(1 + std::sqrt(parts.row_square[i]));
  const Size needed = primes_for(bits);
  std::vector<double> shifted(static_cast<std::size_t>(n * n));
  for (Size next = 0; static_cast<Size>(prime.size()) < needed;) {
    const Size groups = ceil_div(needed - static_cast<Size>(prime.size()), lane_count);
    std::vector<double> values(static_cast<std::size_t>(groups * shifts * lane_count));
    std::vector<LaneBits> bad(static_cast<std::size_t>(groups), 0);
    std::copy_n(parts.low, n * n, shifted.data());
    for (Size x = 0; x < shifts; ++x) {
      const PrimeGroups at_x{n, n, {shifted.data(), parts.high}};
      const Outcome outcome = at_x.run(next, groups, nullptr,
                                       [&](Size group, const LanePrimes&, LaneBits lanes, std::ptrdiff_t* order,
                                           std::ptrdiff_t*, Size rank, const double* value, void* work) {
                                         const bool odd = rank == n && is_odd(order, n, static_cast<bool*>(work));
                                         bad[static_cast<std::size_t>(group)] |= lanes;
                                         for (int l = 0; l < lane_count; ++l)
                                           values[static_cast<std::size_t>((group * shifts + x) * lane_count + l)] =
                                               rank < n ? 0.0
                                               : odd    ? -value[l]
                                                        : value[l];
                                       });
      if (!outcome.ok()) return outcome;
      for (Size i = 0; i < n; ++i) shifted[static_cast<std::size_t>(i * n + i)] -= 1;
    }
    for (Size group = 0; group < groups; ++group)
      for (int l = 0; l < lane_count; ++l) {
        if ((bad[static_cast<std::size_t>(group)] >> l) & 1) continue;
        const std::uint32_t p = Primes::at(next + group * lane_count + l);
        prime.push_back(p);
        for (Size x = 0; x < shifts; ++x)
          residue.push_back(to_residue(values[static_cast<std::size_t>((group * shifts + x) * lane_count + l)], p));
      }
    next += groups * lane_count;
  }
  return {};
}

}  // namespace mmlfast::drivers
