// The way back from residues to integers: the primes, how many of them a matrix needs, and the Chinese remainder
// theorem.
#pragma once

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>

#include "runtime/sizes.hpp"

namespace mmlfast::drivers {

// Primes below 2^25, the largest first. All that are handed out are above 2^24.98.
class Primes {
 public:
  static constexpr Size most = 16384;
  static constexpr double bits = 24.98;

  static std::uint32_t at(Size index) noexcept {
    Table& t = table();
    Size known = t.known.load(std::memory_order_acquire);
    if (index < known) return t.prime[index].load(std::memory_order_relaxed);
    // Threads that come here at the same time write the same numbers.
    std::uint32_t p = known == 0 ? 1u << 25 : t.prime[known - 1].load(std::memory_order_relaxed);
    for (Size i = known; i <= index; ++i) {
      while (!is_prime(--p)) {
      }
      t.prime[i].store(p, std::memory_order_relaxed);
    }
    while (known <= index && !t.known.compare_exchange_weak(known, index + 1, std::memory_order_release)) {
    }
    return p;
  }

  // The inverse, modulo prime number `index`, of the product of all primes before it.
  static std::uint32_t weight(Size index) noexcept {
    std::atomic<std::uint32_t>& place = table().weight[index];
    if (const std::uint32_t known = place.load(std::memory_order_relaxed)) return known;
    const std::uint32_t p = at(index);
    std::uint64_t product = 1;
    for (Size i = 0; i < index; ++i) product = product * at(i) % p;
    const std::uint32_t found = power(static_cast<std::uint32_t>(product), p - 2, p);
    place.store(found, std::memory_order_relaxed);
    return found;
  }

  static std::uint32_t power(std::uint64_t base, std::uint32_t exponent, std::uint32_t p) noexcept {
    std::uint64_t result = 1;
    for (; exponent != 0; exponent >>= 1, base = base * base % p)
      if (exponent & 1) result = result * base % p;
    return static_cast<std::uint32_t>(result);
  }

 private:
  struct Table {
    std::atomic<Size> known{0};
    std::atomic<std::uint32_t> prime[most]{}, weight[most]{};
  };
  static Table& table() noexcept {
    static Table t;
    return t;
  }

  // Miller and Rabin's test: with these bases it is a proof below 3.2e9 (Pomerance, Selfridge and Wagstaff 1980).
  static bool is_prime(std::uint32_t n) noexcept {
    if (n % 2 == 0) return false;
    std::uint32_t odd = n - 1;
    int twos = 0;
    for (; odd % 2 == 0; odd /= 2) ++twos;
    for (const std::uint32_t base : {2u, 3u, 5u, 7u}) {
      std::uint64_t x = power(base, odd, n);
      bool passes = x == 1 || x == n - 1;
      for (int i = 1; i < twos && !passes; ++i) {
        x = x * x % n;
        passes = x == n - 1;
      }
      if (!passes) return false;
    }
    return true;
  }
};

// Primes whose product is more than twice 2^log2_bound.
inline Size primes_for(double log2_bound) noexcept {
  return static_cast<Size>((log2_bound + 1.01) / Primes::bits) + 1;  // 0.01: far more than the logarithms are wrong by
}

// log2 of a bound on all minors with up to `order` rows: the product of the norms of the `order` largest rows
// (Hadamard). square[i] is the square of the norm of row i; reordered.
double log2_of_minors(double* square, Size count, Size order) noexcept;

// An integer of any size, rounded once: sign * fraction * 2^exponent, with the fraction in [0.5, 1], or 0. `rest` is
// what the fraction lacks, to 2^-64.
struct Rounded {
  int sign = 0;
  double fraction = 0;
  Size exponent = 0;
  double rest = 0;

  double value() const noexcept {
    return sign * std::ldexp(fraction, static_cast<int>(std::min<Size>(exponent, 100'000)));
  }
  double log() const noexcept {
    if (sign == 0) return -HUGE_VAL;
    if (exponent <= 1000) return std::log(std::fabs(value()));
    return std::log(fraction) + static_cast<double>(exponent) * 0.693147180559945309417;
  }
};

// The integer of least absolute value with these residues modulo these primes. Garner's algorithm (Knuth, The Art of
// Computer Programming, volume 2, section 4.3.2) and Horner's rule. `digit` and `limb`: room for `count` numbers each.
Rounded combine_residues(const std::uint32_t* prime, const std::uint32_t* residue, Size count, std::uint32_t* digit,
                         std::uint32_t* limb) noexcept;

}  // namespace mmlfast::drivers
