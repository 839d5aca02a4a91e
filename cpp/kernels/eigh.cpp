#include "kernels/eigh.hpp"

#include "kernels/eigh_small.hpp"
#include "kernels/eigh_sweeps.hpp"
#include "kernels/eigh_tridiagonal.hpp"

namespace mmlfast::MMLFAST_LEVEL {
namespace {

// The groups that are worked on at once: while one waits for its next rotation, the other goes on. With vectors, two
// fill the cache beyond some order; without, they have the place of the matrix in turn.
constexpr int groups_at_once(std::ptrdiff_t n, int groups, bool vectors) {
  return groups == 2 && n > 3 && (!vectors || n <= 32) ? 2 : 1;
}

// a and q of each group, or one a for all; d, e, tau, w
constexpr std::ptrdiff_t square_vectors(std::ptrdiff_t n) { return n * leading_dimension(n); }
constexpr std::ptrdiff_t group_vectors(std::ptrdiff_t n, bool vectors) {
  return vectors ? 2 * square_vectors(n) + 4 * n : 4 * n;
}
std::ptrdiff_t scratch_vectors(std::ptrdiff_t n, int groups, bool vectors) {
  return (vectors ? 0 : square_vectors(n)) + groups_at_once(n, groups, vectors) * group_vectors(n, vectors);
}

// Between these the squares of all that matters are normal numbers; lanes outside are scaled by a power of two.
template <class T>
inline constexpr T smallest_safe = sizeof(T) == 8 ? static_cast<T>(0x1p-300) : static_cast<T>(0x1p-10);
template <class T>
inline constexpr T largest_safe = sizeof(T) == 8 ? static_cast<T>(0x1p450) : static_cast<T>(0x1p50);

// What was done to the lanes before the work, to be undone in their results.
template <class T>
struct Preparation {
  vec<T> size;      // the largest element, after scaling
  vec<T> exponent;  // of the scale of each lane
  mask<T> bad;      // not all finite: worked on as zero
  bool scaled;

  MMLFAST_INLINE vec<T> floor() const { return size * broadcast<T>(relative_floor<T>); }
};

// Looks at the lower triangle.
template <class T>
MMLFAST_INLINE Preparation<T> prepare(vec<T>* a, std::ptrdiff_t n, std::ptrdiff_t ld) {
  const vec<T> infinity = broadcast<T>(static_cast<T>(__builtin_inf()));
  Preparation<T> p;
  p.size = p.exponent = zero<T>();
  mask<T> finite = ~no_lanes<T>();
  for (std::ptrdiff_t i = 0; i < n; ++i)
    for (std::ptrdiff_t j = 0; j <= i; ++j) {
      const vec<T> x = abs(a[i * ld + j]);
      finite = finite & (x < infinity);
      p.size = max(x, p.size);
    }
  p.bad = ~finite;
  const mask<T> within =
      ((p.size >= broadcast<T>(smallest_safe<T>)) & (p.size <= broadcast<T>(largest_safe<T>))) | (p.size == zero<T>());
  p.scaled = !all(within & finite);
  if (p.scaled) {
    p.size = select(p.bad, zero<T>(), p.size);
    vec<T> mantissa, exponent;
    split_exponent(p.size, mantissa, exponent);
    p.exponent = select(within, zero<T>(), exponent);
    p.size = select(within, p.size, mantissa);
    for (std::ptrdiff_t i = 0; i < n; ++i)
      for (std::ptrdiff_t j = 0; j <= i; ++j)
        a[i * ld + j] = scale_by_power(select(p.bad, zero<T>(), a[i * ld + j]), -p.exponent);
  }
  return p;
}

template <class T>
MMLFAST_INLINE vec<T> or_nan(const mask<T>& failed, const vec<T>& x) {
  return select(failed, broadcast<T>(static_cast<T>(__builtin_nan(""))), x);
}

// The eigenvalues d at the scale of the given matrices. Adding zero leaves no minus zero, whose sign would depend on
// the other lanes: they decide which lanes turn by zero.
template <class T>
MMLFAST_INLINE void unscale_values(const Preparation<T>& p, const mask<T>& failed, vec<T>* d, std::ptrdiff_t n) {
  for (std::ptrdiff_t i = 0; i < n; ++i) {
    const vec<T> x = d[i] + zero<T>();
    d[i] = or_nan(failed, p.scaled ? scale_by_power(x, p.exponent) : x);
  }
}

template <class T>
LaneBits solve_1(const T* const* a, T* const* values, std::ptrdiff_t, T* const* vectors) {
  scatter(values, gather(a));
  if (vectors != nullptr) scatter(vectors, broadcast<T>(1));
  return 0;
}

// N = 2 and 3
template <int N, bool Vectors, class T>
LaneBits solve_small(const T* const* items, const Layout& al, T* const* values, std::ptrdiff_t values_stride,
                     T* const* vectors, const Layout& vl) {
  vec<T> a[N * N], d[N], q[N * N];
  pack_sized<N, N>(items, al, a);
  const Preparation<T> p = prepare(a, N, N);
  if constexpr (N == 2) {
    const Pair<T> pair = solve_pair(a[0], a[2], a[3], p.floor());
    d[0] = pair.low;
    d[1] = pair.high;
    q[0] = -pair.y;
    q[1] = q[2] = pair.x;
    q[3] = pair.y;
  } else {
    Vector3<T> v[3];
    solve_three<Vectors>(Symmetric3<T>{a[0], a[3], a[4], a[6], a[7], a[8]}, p.floor(), d, v);
    for (int k = 0; k < 3; ++k) {
      q[k] = v[k].x;
      q[3 + k] = v[k].y;
      q[6 + k] = v[k].z;
    }
  }
  unscale_values(p, p.bad, d, N);
  unpack_sized<N, 1>(values, Layout{N, 1, values_stride, 1}, d);
  if constexpr (Vectors) {
    for (int i = 0; i < N * N; ++i) q[i] = or_nan(p.bad, q[i] + zero<T>());
    unpack_sized<N, N>(vectors, vl, q);
  }
  return N == 2 ? 0 : to_bitmask(p.bad);
}

// Every vector to length 1: the rotations leave the angles between them right to rounding, but let the lengths drift.
template <class T>
MMLFAST_NOINLINE void normalize(std::ptrdiff_t n, vec<T>* q, std::ptrdiff_t ld) {
  for (std::ptrdiff_t k = 0; k < n; ++k) {
    vec<T>* x = q + k * ld;
    vec<T> excess = broadcast<T>(-1);
    for (std::ptrdiff_t i = 0; i < n; ++i) excess = fma(x[i], x[i], excess);
    excess = excess * broadcast<T>(static_cast<T>(0.5));
    for (std::ptrdiff_t i = 0; i < n; ++i) x[i] = fnma(x[i], excess, x[i]);
  }
}

template <bool Vectors, class T>
MMLFAST_NOINLINE void write_answers(const Preparation<T>& p, const mask<T>& failed, std::ptrdiff_t n, vec<T>* d,
                                    vec<T>* q, std::ptrdiff_t ld, T* const* values, std::ptrdiff_t values_stride,
                                    T* const* vectors, const Layout& vl) {
  sort<Vectors>(n, d, q, ld);
  unscale_values(p, failed, d, n);
  unpack(values, Layout{n, 1, values_stride, 1}, d, 1, 1);
  if constexpr (Vectors) {
    normalize(n, q, ld);
    for (std::ptrdiff_t k = 0; k < n; ++k)
      for (std::ptrdiff_t i = 0; i < n; ++i) q[k * ld + i] = or_nan(failed, q[k * ld + i] + zero<T>());
    unpack(vectors, vl, q, 1, ld);
  }
}

template <bool Vectors, int Groups, class T>
LaneBits solve_any(const T* const* items, const Layout& al, T* const* values, std::ptrdiff_t values_stride,
                   T* const* vectors, const Layout& vl, vec<T>* scratch) {
  const std::ptrdiff_t n = al.rows, ld = leading_dimension(n);
  Tridiagonal<T> t[Groups];
  Preparation<T> p[Groups];
  vec<T> floor[Groups];
  mask<T> unconverged[Groups] = {};
  for (int k = 0; k < Groups; ++k) {
    vec<T>* a = scratch + (Vectors ? k * group_vectors(n, true) : 0);
    vec<T>*q = a + square_vectors(n), *d = q + (Vectors ? square_vectors(n) : k * group_vectors(n, false));
    vec<T>*e = d + n, *tau = e + n, *w = tau + n;
    t[k] = {n, d, e, q, ld, tau, w};
    pack(items + k * lanes<T>, al, a, ld, 1);
    p[k] = prepare(a, n, ld);
    floor[k] = p[k].floor();
    tridiagonalize(n, a, ld, d, e, tau, w, floor[k]);
    if constexpr (Vectors) form_vectors(n, a, ld, tau, q, w);
  }
  diagonalize<Vectors, Groups>(t, floor, unconverged);
  LaneBits bits = 0;
  for (int k = 0; k < Groups; ++k) {
    const mask<T> failed = p[k].bad | unconverged[k];
    write_answers<Vectors>(p[k], failed, n, t[k].d, t[k].q, ld, values + k * lanes<T>, values_stride,
                           vectors + k * lanes<T>, vl);
    bits |= to_bitmask(failed) << (k * lanes<T>);
  }
  return bits;
}

template <bool Vectors, class T>
LaneBits solve(int groups, const T* const* a, const Layout& al, T* const* values, std::ptrdiff_t values_stride,
               T* const* vectors, const Layout& vl, void* memory) {
  static_assert(max_eigh_groups == 2);
  vec<T>* scratch = static_cast<vec<T>*>(memory);
  const std::ptrdiff_t n = al.rows;
  if (groups_at_once(n, groups, Vectors) == 2)
    return solve_any<Vectors, 2>(a, al, values, values_stride, vectors, vl, scratch);
  LaneBits bits = 0;
  for (int k = 0; k < groups; ++k, a += lanes<T>, values += lanes<T>, vectors += lanes<T>) {
    const LaneBits these = n == 1   ? solve_1(a, values, values_stride, Vectors ? vectors : nullptr)
                           : n == 2 ? solve_small<2, Vectors>(a, al, values, values_stride, vectors, vl)
                           : n == 3 ? solve_small<3, Vectors>(a, al, values, values_stride, vectors, vl)
                                    : solve_any<Vectors, 1>(a, al, values, values_stride, vectors, vl, scratch);
    bits |= these << (k * lanes<T>);
  }
  return bits;
}

template <class T>
LaneBits eigh(int groups, const T* const* a, const Layout& al, T* const* values, std::ptrdiff_t values_stride,
              T* const* vectors, const Layout& vl, void* scratch) {
  return solve<true>(groups, a, al, values, values_stride, vectors, vl, scratch);
}

template <class T>
LaneBits eigvalsh(int groups, const T* const* a, const Layout& al, T* const* values, std::ptrdiff_t values_stride,
                  void* scratch) {
  return solve<false>(groups, a, al, values, values_stride, values, al, scratch);
}

}  // namespace

MMLFAST_DEFINE_TABLES(Eigh, eigh, scratch_vectors, eigh<T>, eigvalsh<T>, sweep_until_full<T>, turn<T>)

}  // namespace mmlfast::MMLFAST_LEVEL
