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
inline double log2_of_minors(double* square, Size count, Size order) noexcept {
  order = std::min(order, count);
  std::partial_sort(square, square + order, square + count, [](double x, double y) { return x > y; });
  double log2_bound = 0;
  for (Size i = 0; i < order; ++i)
    if (square[i] > 1) log2_bound += 0.5 * std::log2(square[i]);
  return log2_bound;
}

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
inline Rounded combine_residues(const std::uint32_t* prime, const std::uint32_t* residue, Size count,
                                std::uint32_t* digit, std::uint32_t* limb) noexcept {
  bool in_sequence = true;
  for (Size i = 0; i < count; ++i) {
    const std::uint32_t p = prime[i];
    in_sequence = in_sequence && p == Primes::at(i);
    std::uint64_t before = 0;
    for (Size j = i; j-- > 0;) before = (before * prime[j] + digit[j]) % p;
    std::uint64_t weight = 1;
    if (in_sequence) {
      weight = Primes::weight(i);
    } else {
      for (Size j = 0; j < i; ++j) weight = weight * prime[j] % p;
      weight = Primes::power(weight, p - 2, p);
    }
    digit[i] = static_cast<std::uint32_t>((residue[i] + p - before) % p * weight % p);
  }
  // (product - 1) / 2 has the digits (p - 1) / 2: what is larger stands for a negative number.
  Size top = count;
  while (top > 0 && digit[top - 1] == (prime[top - 1] - 1) / 2) --top;
  const bool negative = top > 0 && digit[top - 1] > (prime[top - 1] - 1) / 2;
  if (negative)
    for (Size i = 0; i < count; ++i) digit[i] = prime[i] - 1 - digit[i];  // of the absolute value less 1
  Size limbs = 0;
  const auto multiply_and_add = [&](std::uint32_t by, std::uint32_t add) {
    std::uint64_t carry = add;
    for (Size i = 0; i < limbs; ++i) {
      carry += std::uint64_t{limb[i]} * by;
      limb[i] = static_cast<std::uint32_t>(carry);
      carry >>= 32;
    }
    if (carry != 0) limb[limbs++] = static_cast<std::uint32_t>(carry);
  };
  for (Size i = count; i-- > 0;) multiply_and_add(prime[i], digit[i]);
  if (negative) multiply_and_add(1, 1);
  if (limbs == 0) return {};
  // The leading 64 bits, the last of them also telling whether anything follows, are rounded to 53 by the conversion.
  std::uint64_t lead = 0;
  Size taken = 0;
  for (; taken < 3 && taken < limbs; ++taken) {
    const std::uint64_t next = limb[limbs - 1 - taken];
    if (taken < 2) {
      lead = lead << 32 | next;
      continue;
    }
    const int room = __builtin_clzll(lead);
    if (room > 0) lead = lead << room | next >> (32 - room);
    if (static_cast<std::uint32_t>(next << room) != 0) lead |= 1;
  }
  for (Size i = taken; i < limbs; ++i)
    if (limb[limbs - 1 - i] != 0) lead |= 1;
  const Size bits = 32 * limbs - (__builtin_clz(limb[limbs - 1]));
  const double rounded = static_cast<double>(lead);  // exact if there are no more than 53 bits
  int shift = 0;
  const double fraction = std::frexp(rounded, &shift);
  const Size lead_bits = limbs == 1 ? bits : limbs == 2 ? bits : 64;
  // 2^64, to which the largest are rounded, wraps to 0, and the difference with it.
  const std::uint64_t whole = rounded < 0x1p64 ? static_cast<std::uint64_t>(rounded) : 0;
  const double rest = static_cast<double>(static_cast<std::int64_t>(lead - whole));
  return {negative ? -1 : 1, fraction, bits - lead_bits + shift, std::ldexp(rest, -shift)};
}

}  // namespace mmlfast::drivers
