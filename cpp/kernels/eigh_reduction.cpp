#include "kernels/eigh_reduction.hpp"

#include "kernels/common/long_columns.hpp"
#include "kernels/common/product.hpp"

namespace mmlfast::MMLFAST_LEVEL {
namespace {

using std::ptrdiff_t;

// Rows that are multiplied at once, and vectors of a sum: as many as the registers hold.
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int rows_at_once = 8, vectors_at_once = 4;
#else
constexpr int rows_at_once = 4, vectors_at_once = 2;
#endif

// rows_at_once rows from row r on, in whose tile both sides of the diagonal are there. `own`, of the rows of the tile,
// are not added yet: the order of sums must not depend on rows_at_once.
template <class T>
MMLFAST_INLINE void symmetric_rows(const T* a, ptrdiff_t row, ptrdiff_t tile, ptrdiff_t r, ptrdiff_t end, const T* v,
                                   T* y, T* own) {
  constexpr int rows = rows_at_once;
  const T* const from = a + r * row;
  vec<T> factor[rows], sum[rows];
  _Pragma("GCC unroll 8") for (int k = 0; k < rows; ++k) {
    factor[k] = broadcast<T>(v[r + k]);
    sum[k] = zero<T>();
  }
  for (ptrdiff_t i = tile; i < tile + reduction_tile; i += lanes<T>) {
    vec<T> here = load(y + i);
    _Pragma("GCC unroll 8") for (int k = 0; k < rows; ++k) here = fma(load(from + k * row + i), factor[k], here);
    store(y + i, here);
  }
  for (ptrdiff_t i = tile + reduction_tile; i < end; i += lanes<T>) {
    vec<T> here = load(y + i);
    const vec<T> other = load(v + i);
    _Pragma("GCC unroll 8") for (int k = 0; k < rows; ++k) {
      const vec<T> x = load(from + k * row + i);
      here = fma(x, factor[k], here);
      sum[k] = fma(x, other, sum[k]);
    }
    store(y + i, here);
  }
  _Pragma("GCC unroll 8") for (int k = 0; k < rows; ++k) own[r - tile + k] = reduce_add(sum[k]);
}

// body(r) for the rows of tiles part, part + parts, .. from `first` on, rows_at_once from r on; after(tile) behind
// each. Tiles keep their parts, so that a thread finds its rows in its cache.
template <class Body, class After>
MMLFAST_INLINE void for_each_rows(ptrdiff_t first, ptrdiff_t rows, ptrdiff_t part, ptrdiff_t parts, Body&& body,
                                  After&& after) {
  constexpr ptrdiff_t height = reduction_tile;
  const ptrdiff_t before = first / height;
  for (ptrdiff_t t = before + (part - before % parts + parts) % parts; t * height < rows; t += parts) {
    for (ptrdiff_t r = t * height; r < (t + 1) * height; r += rows_at_once)
      if (r + rows_at_once > first && r < rows) body(r);
    after(t * height);
  }
}
template <class Body>
MMLFAST_INLINE void for_each_rows(ptrdiff_t first, ptrdiff_t rows, ptrdiff_t part, ptrdiff_t parts, Body&& body) {
  for_each_rows(first, rows, part, parts, body, [](ptrdiff_t) {});
}

template <class T>
void symmetric(const T* a, ptrdiff_t row, ptrdiff_t first, ptrdiff_t n, ptrdiff_t part, ptrdiff_t parts, const T* v,
               T* y) {
  constexpr ptrdiff_t height = reduction_tile;
  const ptrdiff_t end = (n + height - 1) / height * height;
  for (ptrdiff_t i = first / height * height; i < end; ++i) y[i] = 0;
  T own[height] = {};
  for_each_rows(
      first, n, part, parts,
      [&](ptrdiff_t r) MMLFAST_INLINE_LAMBDA { symmetric_rows(a, row, r / height * height, r, end, v, y, own); },
      [&](ptrdiff_t tile) {
        for (ptrdiff_t k = 0; k < height; ++k) {
          y[tile + k] += own[k];
          own[k] = 0;
        }
      });
}

template <class T>
void multiply(const T* a, ptrdiff_t row, ptrdiff_t first, ptrdiff_t n, ptrdiff_t part, ptrdiff_t parts, ptrdiff_t begin,
              ptrdiff_t end, const T* v, T* y) {
  for_each_rows(first, n, part, parts, [&](ptrdiff_t r) MMLFAST_INLINE_LAMBDA {
    vec<T> sum[rows_at_once];
    _Pragma("GCC unroll 8") for (int k = 0; k < rows_at_once; ++k) sum[k] = zero<T>();
    for (ptrdiff_t i = begin; i < end; i += lanes<T>) {
      const vec<T> x = load(v + i);
      _Pragma("GCC unroll 8") for (int k = 0; k < rows_at_once; ++k) sum[k] =
          fma(load(a + (r + k) * row + i), x, sum[k]);
    }
    _Pragma("GCC unroll 8") for (int k = 0; k < rows_at_once; ++k) y[r + k] = reduce_add(sum[k]);
  });
}

template <class T>
void transposed(const T* a, ptrdiff_t row, ptrdiff_t first, ptrdiff_t n, ptrdiff_t part, ptrdiff_t parts,
                ptrdiff_t begin, ptrdiff_t end, const T* u, T* y) {
  for (ptrdiff_t i = begin; i < end; ++i) y[i] = 0;
  for_each_rows(first, n, part, parts, [&](ptrdiff_t r) MMLFAST_INLINE_LAMBDA {
    vec<T> factor[rows_at_once];
    _Pragma("GCC unroll 8") for (int k = 0; k < rows_at_once; ++k) factor[k] = broadcast<T>(u[r + k]);
    for (ptrdiff_t i = begin; i < end; i += lanes<T>) {
      vec<T> here = load(y + i);
      _Pragma("GCC unroll 8") for (int k = 0; k < rows_at_once; ++k) here =
          fma(load(a + (r + k) * row + i), factor[k], here);
      store(y + i, here);
    }
  });
}

template <int Vectors, class T>
MMLFAST_INLINE void correct_vectors(ptrdiff_t i, const Corrections<T>& c, ptrdiff_t parts, const T* sums,
                                    ptrdiff_t sums_step, const T* row, T* y, T* next) {
  vec<T> sum[Vectors], other[Vectors];
  _Pragma("GCC unroll 4") for (int k = 0; k < Vectors; ++k) {
    sum[k] = load(sums + i + k * lanes<T>);
    other[k] = load(row + i + k * lanes<T>);
  }
  for (ptrdiff_t p = 1; p < parts; ++p) {
    _Pragma("GCC unroll 4") for (int k = 0; k < Vectors; ++k) sum[k] =
        sum[k] + load(sums + p * sums_step + i + k * lanes<T>);
  }
  for (ptrdiff_t j = 0; j < c.count; ++j) {
    const T *const left = c.left + j * c.step + i, *const right = c.right + j * c.step + i;
    const vec<T> y_left = broadcast<T>(c.y_left[j]), y_right = broadcast<T>(c.y_right[j]);
    const vec<T> next_left = broadcast<T>(c.next_left[j]), next_right = broadcast<T>(c.next_right[j]);
    _Pragma("GCC unroll 4") for (int k = 0; k < Vectors; ++k) {
      const vec<T> l = load(left + k * lanes<T>), r = load(right + k * lanes<T>);
      sum[k] = fma(r, y_right, fma(l, y_left, sum[k]));
      other[k] = fma(r, next_right, fma(l, next_left, other[k]));
    }
  }
  _Pragma("GCC unroll 4") for (int k = 0; k < Vectors; ++k) {
    store(y + i + k * lanes<T>, sum[k]);
    store(next + i + k * lanes<T>, other[k]);
  }
}

template <class T>
void correct(ptrdiff_t begin, ptrdiff_t end, const Corrections<T>& c, ptrdiff_t parts, const T* sums,
             ptrdiff_t sums_step, const T* row, T* y, T* next) {
  ptrdiff_t i = begin;
  constexpr ptrdiff_t wide = vectors_at_once * lanes<T>;
  for (; i + wide <= end; i += wide) correct_vectors<vectors_at_once>(i, c, parts, sums, sums_step, row, y, next);
  for (; i < end; i += lanes<T>) correct_vectors<1>(i, c, parts, sums, sums_step, row, y, next);
}

template <class T>
void finish(ptrdiff_t begin, ptrdiff_t end, ptrdiff_t j, T tau, const T* v, T* y, T* next) {
  const vec<T> factor = broadcast<T>(-tau);
  if (v == nullptr) {
    for (ptrdiff_t i = begin; i < end; i += lanes<T>) {
      const vec<T> x = factor * load(y + i);
      store(y + i, x);
      store(next + i, x + load(next + i));
    }
    return;
  }
  T product;
  long_columns::dots<T>(v + begin, 0, 1, y + begin, end - begin, &product);
  const vec<T> share = broadcast<T>(tau * tau / 2 * product);
  for (ptrdiff_t i = begin; i < end; i += lanes<T>) store(y + i, fma(share, load(v + i), factor * load(y + i)));
  const vec<T> yj = broadcast<T>(y[j]);
  for (ptrdiff_t i = begin; i < end; i += lanes<T>) store(next + i, fma(yj, load(v + i), load(y + i) + load(next + i)));
}

template <class T>
void add(ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t depth, const T* a, ptrdiff_t a_step, const T* b, ptrdiff_t b_step,
         T* c, ptrdiff_t row) {
  product<T>(rows, cols, depth, {a, 1, a_step, b, b_step, c, row}, Start::c);
}

}  // namespace

MMLFAST_DEFINE_TABLES(Reduction, eigh_reduction, long_columns::reflect<T>, symmetric<T>, multiply<T>, transposed<T>,
                      long_columns::dots<T>, correct<T>, finish<T>, add<T>)

}  // namespace mmlfast::MMLFAST_LEVEL
