#include "drivers/exact_elimination_residues.hpp"

namespace mmlfast::drivers {

double log2_of_minors(double* square, Size count, Size order) noexcept {
  order = std::min(order, count);
  std::partial_sort(square, square + order, square + count, [](double x, double y) { return x > y; });
  double log2_bound = 0;
  for (Size i = 0; i < order; ++i)
    if (square[i] > 1) log2_bound += 0.5 * std::log2(square[i]);
  return log2_bound;
}

namespace {

// The digits in the mixed base of the primes (Garner). What is known of the number, and the product of the primes so
// far, are kept modulo each prime that is to come, in float64, which holds products of two residues exactly: these
// chains do not wait for each other, as remainders of integers would.
void find_digits(const std::uint32_t* prime, const std::uint32_t* residue, Size count, std::uint32_t* digit) noexcept {
  constexpr Size block = 64;
  double known[block], product[block], inverse[block];
  const auto rest = [](double x, double p, double reciprocal) {  // of least absolute value, or next to it
    return x - ((x * reciprocal + 0x1.8p52) - 0x1.8p52) * p;
  };
  bool in_sequence = true;
  for (Size first = 0; first < count; first += block) {
    const Size n = std::min(block, count - first);
    std::fill_n(known, n, 0.0);
    std::fill_n(product, n, 1.0);
    for (Size i = 0; i < n; ++i) inverse[i] = 1.0 / prime[first + i];
    const auto add = [&](Size from, double d, double by) {  // a digit, and its prime
      for (Size i = from; i < n; ++i) {
        const double p = prime[first + i];
        known[i] = rest(known[i] + rest(product[i] * d, p, inverse[i]), p, inverse[i]);
        product[i] = rest(product[i] * by, p, inverse[i]);
      }
    };
    for (Size j = 0; j < first; ++j) add(0, digit[j], prime[j]);
    for (Size i = 0; i < n; ++i) {
      const Size at = first + i;
      const std::uint32_t p = prime[at];
      in_sequence = in_sequence && p == Primes::at(at);
      const auto residue_of = [p](double x) { return static_cast<std::uint32_t>(x < 0 ? x + p : x) % p; };
      const std::uint64_t weight = in_sequence ? Primes::weight(at) : Primes::power(residue_of(product[i]), p - 2, p);
      digit[at] = static_cast<std::uint32_t>((residue[at] + p - residue_of(known[i])) % p * weight % p);
      add(i + 1, digit[at], p);
    }
  }
}

}  // namespace

Rounded combine_residues(const std::uint32_t* prime, const std::uint32_t* residue, Size count, std::uint32_t* digit,
                         std::uint32_t* limb) noexcept {
  find_digits(prime, residue, count, digit);
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
