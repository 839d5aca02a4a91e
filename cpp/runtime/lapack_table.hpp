// The few LAPACK routines that large problems are handed to. The addresses are SciPy's, put here by
// the Cython module mmlfast._lapack, which is imported when the first large problem comes: nothing
// is linked, and small problems never pay for importing SciPy. All arguments are 64-bit here;
// _lapack converts to the integer type of SciPy's build. Matrices are column-major with the least leading dimension.
// `jpvt` and `iwork` have room for 8 bytes per entry and are opaque. Each routine returns LAPACK's info. Where
// there is a `lwork`, -1 asks for its best value, which comes back in work[0]: see workspace().
#pragma once

#include <cstdint>

#include "runtime/sizes.hpp"

namespace mmlfast {

template <class T>
struct LapackRoutines {
  using Int = std::int64_t;
  // Householder QR in place.
  Int (*geqrf)(Int m, Int n, T* a, T* tau, T* work, Int lwork);
  // The first n columns of Q (m x m) from k reflections of geqrf, in place.
  Int (*orgqr)(Int m, Int n, Int k, T* a, const T* tau, T* work, Int lwork);
  // c (m x n) := Q c, or Q' c, from k reflections of geqrf in a (m x k).
  Int (*ormqr)(bool transposed, Int m, Int n, Int k, const T* a, const T* tau, T* c, T* work, Int lwork);
  // QR with column pivoting in place; jpvt must be zero.
  Int (*geqp3)(Int m, Int n, T* a, void* jpvt, T* tau, T* work, Int lwork);
  // Least squares of minimum norm by the SVD; b has max(m, n) rows, singular values in s.
  Int (*gelsd)(Int m, Int n, Int nrhs, T* a, T* b, T* s, T rcond, Int* rank, T* work, Int lwork, void* iwork);
  // SVD of an upper bidiagonal matrix, with a column more than its n rows if `wide`, by QR sweeps: singular values
  // (in any order, in d); vt (of as many rows as columns) and u (n x n) are multiplied, unless nullptr. e is
  // overwritten; work 4 n.
  Int (*lasdq)(bool wide, Int n, T* d, T* e, T* vt, Int ldvt, T* u, Int ldu, T* work);
  // SVD; job is 'A', 'S' or 'N'. u is m x m or m x k, vt n x n or k x n (k = min(m, n)). iwork 8 k.
  Int (*gesdd)(char job, Int m, Int n, T* a, T* s, T* u, T* vt, T* work, Int lwork, void* iwork);
  // The number (0-based) that entry i of a jpvt stands for.
  Int (*index)(const void* pivots, Int i);
};

struct LapackTable {
  static constexpr int current_version = 8;
  int version;
  LapackRoutines<double> f64;
  LapackRoutines<float> f32;
  // The number of threads of the BLAS behind it; nullptr if it cannot be asked.
  int (*get_blas_threads)();
  void (*set_blas_threads)(int n);
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

// The best lwork of a routine: query(T* work) calls it with lwork -1.
template <class T, class Query>
Size workspace(Query&& query) {
  T best{};
  query(&best);
  return static_cast<Size>(static_cast<double>(best) * (sizeof(T) == 4 ? 1.0000002 : 1.0)) + 1;
}

}  // namespace mmlfast
