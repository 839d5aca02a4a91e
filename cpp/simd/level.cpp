#include "simd/level.hpp"

#include "simd/dot_products.hpp"

#include <cstdlib>
#include <cstring>

#if MMLFAST_X86_LEVELS
#if defined(_MSC_VER)
#include <intrin.h>
#else
#include <cpuid.h>
#endif
#include <cstdint>
#endif

namespace mmlfast::simd {
namespace {

constexpr const char* names[n_levels] = {"baseline", "avx2", "avx512"};

#if MMLFAST_X86_LEVELS
struct Registers {
  std::uint32_t a, b, c, d;
};

Registers cpuid(std::uint32_t leaf, std::uint32_t subleaf) noexcept {
  Registers r{};
#if defined(_MSC_VER)
  int out[4];
  __cpuidex(out, static_cast<int>(leaf), static_cast<int>(subleaf));
  std::memcpy(&r, out, sizeof out);
#else
  __get_cpuid_count(leaf, subleaf, &r.a, &r.b, &r.c, &r.d);
#endif
  return r;
}

// Which register files the operating system saves on a context switch: a level whose registers it
// does not save must not be offered, whatever the processor can do.
__attribute__((target("xsave"))) std::uint64_t saved_registers() noexcept {
#if defined(_MSC_VER)
  return _xgetbv(0);
#else
  std::uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (static_cast<std::uint64_t>(high) << 32) | low;
#endif
}

bool all(std::uint32_t word, std::uint32_t bits) noexcept { return (word & bits) == bits; }

Level detect() noexcept {
  const Registers one = cpuid(1, 0), seven = cpuid(7, 0), extended = cpuid(0x80000001u, 0);
  constexpr std::uint32_t fma = 1u << 12, movbe = 1u << 22, osxsave = 1u << 27, avx = 1u << 28, f16c = 1u << 29;
  if (!all(one.c, fma | movbe | osxsave | avx | f16c)) return Level::baseline;
  const std::uint64_t saved = saved_registers();
  constexpr std::uint32_t bmi1 = 1u << 3, avx2 = 1u << 5, bmi2 = 1u << 8, lzcnt = 1u << 5;
  if ((saved & 0x6) != 0x6 || !all(seven.b, bmi1 | avx2 | bmi2) || !all(extended.c, lzcnt)) return Level::baseline;
  constexpr std::uint32_t f = 1u << 16, dq = 1u << 17, cd = 1u << 28, bw = 1u << 30, vl = 1u << 31;
  if ((saved & 0xe6) != 0xe6 || !all(seven.b, f | dq | cd | bw | vl)) return Level::avx2;
  return Level::avx512;
}
// To be asked only where the level is AVX-512.
bool detect_dot_products() noexcept { return all(cpuid(7, 0).c, 1u << 11); }
#else
Level detect() noexcept { return Level::baseline; }
bool detect_dot_products() noexcept { return false; }
#endif

struct Choice {
  Level level;
  const char* refused;
  bool dot_products = false;
};

Choice choose() noexcept {
  const Level best = detected();
  const char* wanted = std::getenv("MMLFAST_SIMD");
  if (wanted == nullptr || *wanted == '\0') return {best, nullptr, best == Level::avx512 && detect_dot_products()};
  for (int i = 0; i < n_levels; ++i) {
    const Level level = static_cast<Level>(i);
    if (std::strcmp(wanted, names[i]) == 0 && compiled(level) && level <= best) return {level, nullptr};
  }
  return {best, wanted};
}

const Choice& choice() noexcept {
  static const Choice chosen = choose();
  return chosen;
}

}  // namespace

const char* name(Level level) noexcept { return names[static_cast<int>(level)]; }

bool compiled(Level level) noexcept { return MMLFAST_X86_LEVELS || level == Level::baseline; }

Level detected() noexcept {
  static const Level level = detect();
  return level;
}

Level current() noexcept { return choice().level; }

bool dot_products() noexcept { return choice().dot_products; }

const char* refused_request() noexcept { return choice().refused; }

}  // namespace mmlfast::simd
