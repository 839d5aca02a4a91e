// The few LAPACK routines that large problems are handed to. The addresses are SciPy's, put here by
// the Cython module mmlfast._lapack, which is imported when the first large problem comes: nothing
// is linked, and small problems never pay for importing SciPy. All arguments are 64-bit here;
// _lapack converts to the integer type of SciPy's build. Matrices are column-major. `ipiv` has room
// for 8 bytes per entry and is opaque.
#pragma once

#include <cstdint>

namespace mmlfast {

template <class T>
struct LapackRoutines {
  // LU with partial pivoting in place; returns info.
  std::int64_t (*getrf)(std::int64_t n, T* a, void* ipiv);
  // b := a^-1 b, or a'^-1 b, from getrf's factors, nrhs columns; returns info.
  std::int64_t (*getrs)(bool transposed, std::int64_t n, std::int64_t nrhs, const T* a, const void* ipiv, T* b);
  // Householder QR in place (m >= n) with work of n * 64 elements; returns info.
  std::int64_t (*geqrf)(std::int64_t m, std::int64_t n, T* a, T* tau, T* work, std::int64_t lwork);
  // Q of m x n from geqrf's factors, in place; returns info.
  std::int64_t (*orgqr)(std::int64_t m, std::int64_t n, T* a, const T* tau, T* work, std::int64_t lwork);
  // Was row i (0-based) exchanged with another one in getrf?
  bool (*exchanged)(const void* ipiv, std::int64_t i);
};

struct LapackTable {
  static constexpr int current_version = 2;
  int version;
  LapackRoutines<double> f64;
  LapackRoutines<float> f32;
};

// The table, loaded on demand through the function that cpp/bind installs; nullptr if it cannot be
// had. May be called without the GIL.
const LapackTable* lapack() noexcept;
using LapackLoader = const LapackTable* (*)();
void set_lapack_loader(LapackLoader loader) noexcept;
bool lapack_loaded() noexcept;

template <class T>
const LapackRoutines<T>* lapack_routines() noexcept;
template <>
inline const LapackRoutines<double>* lapack_routines<double>() noexcept {
  const LapackTable* table = lapack();
  return table == nullptr ? nullptr : &table->f64;
}
template <>
inline const LapackRoutines<float>* lapack_routines<float>() noexcept {
  const LapackTable* table = lapack();
  return table == nullptr ? nullptr : &table->f32;
}

}  // namespace mmlfast
