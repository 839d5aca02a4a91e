// Between matrices in memory and matrices in lanes: element (i, j) of 8 (16) items becomes one
// vector and back.
//
// item[l] points to the first element of the item in lane l. Runs of consecutive elements are
// transposed in registers; other strides are gathered one by one. Nothing outside the items is read
// or written. Items of float may go into lanes of double: T is the type in memory, C the one in lanes.
//
// pack() and unpack() are compiled once per level, in lanes.cpp: they move hundreds of bytes per call. Inlined are
// pack_sized() and unpack_sized(), for small matrices of a size known at compile time, and pack_inlined().
#pragma once

#include "kernels/common/layout.hpp"
#include "simd/transpose.hpp"
#include "simd/vec.hpp"

namespace mmlfast::MMLFAST_LEVEL {

// Vectors from one row of n to the next. Rows that are a multiple of 512 bytes apart would put whole columns into a few
// sets of the cache; rows of one vector less make the processor take what is read along a column for what was written
// one row up, since it first compares the last twelve bits of addresses.
constexpr std::ptrdiff_t leading_dimension(std::ptrdiff_t n) {
  if (n < 15) return n;
  return n % 8 == 0 ? n + 1 : n % 8 == 7 ? n + 2 : n;
}

constexpr std::ptrdiff_t smaller(std::ptrdiff_t m, std::ptrdiff_t n) { return m < n ? m : n; }

// dst[i * dst_row + j * dst_col] = element (i, j) of every item.
template <class T, class C>
void pack(const T* const* item, const Layout& layout, vec<C>* dst, std::ptrdiff_t dst_row, std::ptrdiff_t dst_col);

// Element (i, j) of every item = src[i * src_row + j * src_col].
template <class T, class C>
void unpack(T* const* item, const Layout& layout, const vec<C>* src, std::ptrdiff_t src_row, std::ptrdiff_t src_col);

// dst[e * dst_step] = element `offset` + e of every item, for `count` consecutive elements; and back.
template <class T, class C>
void pack_run(const T* const* item, std::ptrdiff_t offset, std::ptrdiff_t count, vec<C>* dst, std::ptrdiff_t dst_step);
template <class T, class C>
void unpack_run(T* const* item, std::ptrdiff_t offset, std::ptrdiff_t count, const vec<C>* src,
                std::ptrdiff_t src_step);

#define MMLFAST_LANES(keyword, T, C)                                                                        \
  keyword template void pack(const T* const*, const Layout&, vec<C>*, std::ptrdiff_t, std::ptrdiff_t);      \
  keyword template void unpack(T* const*, const Layout&, const vec<C>*, std::ptrdiff_t, std::ptrdiff_t);    \
  keyword template void pack_run(const T* const*, std::ptrdiff_t, std::ptrdiff_t, vec<C>*, std::ptrdiff_t); \
  keyword template void unpack_run(T* const*, std::ptrdiff_t, std::ptrdiff_t, const vec<C>*, std::ptrdiff_t);
MMLFAST_LANES(extern, double, double)
MMLFAST_LANES(extern, float, float)
MMLFAST_LANES(extern, float, double)

namespace native_squares {

// Element `offset` of every item.
template <class C, class T>
MMLFAST_INLINE vec<C> gather_element(const T* const* item, std::ptrdiff_t offset) {
  alignas(vec_bytes) C x[lanes<C>];
  _Pragma("GCC unroll 16") for (int l = 0; l < lanes<C>; ++l) x[l] = static_cast<C>(item[l][offset]);
  return load(x);
}
template <class C, class T>
MMLFAST_INLINE void scatter_element(T* const* item, std::ptrdiff_t offset, const vec<C>& value) {
  alignas(vec_bytes) C x[lanes<C>];
  store(x, value);
  _Pragma("GCC unroll 16") for (int l = 0; l < lanes<C>; ++l) item[l][offset] = static_cast<T>(x[l]);
}

// As pack_run(): one square of native registers, elements e to e + width - 1.
template <class T, class C>
MMLFAST_INLINE void pack_square(const T* const* item, std::ptrdiff_t offset, std::ptrdiff_t e, vec<C>* dst,
                                std::ptrdiff_t dst_step) {
  constexpr int width = native_lanes<C>;
  // The items four groups on, if they lie like these: what pack reads in turn from many items is
  // too irregular for the processor to fetch ahead by itself. A prefetch of memory that is not there does nothing.
  const std::uintptr_t ahead = 4 * lanes<C> * sizeof(T) * static_cast<std::size_t>(item[1] - item[0]);
  _Pragma("GCC unroll 4") for (int p = 0; p < vec_parts; ++p) {
    native<C> row[width];
    _Pragma("GCC unroll 16") for (int r = 0; r < width; ++r) {
      const T* from = item[p * width + r] + offset + e;
      row[r] = load_part<C>(from);
      __builtin_prefetch(reinterpret_cast<const void*>(reinterpret_cast<std::uintptr_t>(from) + ahead), 0, 2);
    }
    transpose_native<C>(row);
    _Pragma("GCC unroll 16") for (int r = 0; r < width; ++r) dst[(e + r) * dst_step].part[p] = row[r];
  }
}

template <class T, class C>
MMLFAST_INLINE void unpack_square(T* const* item, std::ptrdiff_t offset, std::ptrdiff_t e, const vec<C>* src,
                                  std::ptrdiff_t src_step) {
  constexpr int width = native_lanes<C>;
  const std::uintptr_t ahead = lanes<C> * sizeof(T) * static_cast<std::size_t>(item[1] - item[0]);  // see pack_square
  _Pragma("GCC unroll 4") for (int p = 0; p < vec_parts; ++p) {
    native<C> row[width];
    _Pragma("GCC unroll 16") for (int r = 0; r < width; ++r) row[r] = src[(e + r) * src_step].part[p];
    transpose_native<C>(row);
    _Pragma("GCC unroll 16") for (int r = 0; r < width; ++r) {
      T* to = item[p * width + r] + offset + e;
      store_part(to, row[r]);
      __builtin_prefetch(reinterpret_cast<const void*>(reinterpret_cast<std::uintptr_t>(to) + ahead), 1);
    }
  }
}

// Squares that cover `count` elements, at least one square: the last one overlaps the one before it instead of going
// past the end. body(e). Where the number is known and a few registers hold them all, without a loop: then the vectors
// need not be in memory.
template <int Width, class Body>
MMLFAST_INLINE void each_square(std::ptrdiff_t count, Body&& body) {
  for (std::ptrdiff_t done = 0; done < count; done += Width) body(done + Width <= count ? done : count - Width);
}
template <int Width, int Count, class Body>
MMLFAST_INLINE void each_square_of(Body&& body) {
  if constexpr (Count > 4 * Width)
    each_square<Width>(Count, body);
  else
    unrolled(0, (Count + Width - 1) / Width,
             [&](int k) MMLFAST_INLINE_LAMBDA { body((k + 1) * Width <= Count ? k * Width : Count - Width); });
}

}  // namespace native_squares

// An item as runs of consecutive elements, or of elements `step` apart where there are none.
struct Runs {
  std::ptrdiff_t count, stride, length, step;
  std::ptrdiff_t lanes_stride, lanes_step;  // of the vectors
};

MMLFAST_INLINE Runs runs_of(const Layout& l, std::ptrdiff_t row, std::ptrdiff_t col) {
  if (is_gapless(l) && col == 1 && row == l.cols) return {1, 0, l.rows * l.cols, 1, 0, 1};
  if (l.col_stride != 1 && l.row_stride == 1) return {l.cols, l.col_stride, l.rows, 1, col, row};
  return {l.rows, l.row_stride, l.cols, l.col_stride, row, col};
}

// As pack_run(), elements `step` apart.
template <class T, class C>
MMLFAST_INLINE void pack_elements(const T* const* item, std::ptrdiff_t offset, std::ptrdiff_t count,
                                  std::ptrdiff_t step, vec<C>* dst, std::ptrdiff_t dst_step) {
  if (step == 1 && count >= native_lanes<C>)
    return native_squares::each_square<native_lanes<C>>(count, [&](std::ptrdiff_t e) MMLFAST_INLINE_LAMBDA {
      native_squares::pack_square(item, offset, e, dst, dst_step);
    });
  for (std::ptrdiff_t e = 0; e < count; ++e)
    dst[e * dst_step] = native_squares::gather_element<C>(item, offset + e * step);
}

// pack() for where the call would cost several per cent: groups of small matrices.
template <class T, class C>
MMLFAST_INLINE void pack_inlined(const T* const* item, const Layout& layout, vec<C>* dst, std::ptrdiff_t dst_row,
                                 std::ptrdiff_t dst_col) {
  const Runs runs = runs_of(layout, dst_row, dst_col);
  for (std::ptrdiff_t k = 0; k < runs.count; ++k)
    pack_elements(item, k * runs.stride, runs.length, runs.step, dst + k * runs.lanes_stride, runs.lanes_step);
}

// Matrices of a size known at compile time, without gaps in lanes: dst[i * Cols + j].
template <int Rows, int Cols, class T, class C>
MMLFAST_INLINE void pack_sized(const T* const* item, const Layout& layout, vec<C>* dst) {
  constexpr int count = Rows * Cols;
  if (layout.row_stride == Cols && (Cols == 1 || layout.col_stride == 1)) {
    if constexpr (count >= native_lanes<C>)
      native_squares::each_square_of<native_lanes<C>, count>(
          [&](std::ptrdiff_t e) MMLFAST_INLINE_LAMBDA { native_squares::pack_square(item, 0, e, dst, 1); });
    else
      _Pragma("GCC unroll 16") for (int e = 0; e < count; ++e) dst[e] = native_squares::gather_element<C>(item, e);
  } else {
    vec<C> moved[count];  // not dst: its address in a call would keep it out of registers
    pack(item, Layout{Rows, Cols, layout.row_stride, Cols == 1 ? 1 : layout.col_stride}, moved, Cols, 1);
    _Pragma("GCC unroll 64") for (int e = 0; e < count; ++e) dst[e] = moved[e];
  }
}
template <int Rows, int Cols, class T, class C>
MMLFAST_INLINE void unpack_sized(T* const* item, const Layout& layout, const vec<C>* src) {
  constexpr int count = Rows * Cols;
  if (layout.row_stride == Cols && (Cols == 1 || layout.col_stride == 1)) {
    if constexpr (count >= native_lanes<C>)
      native_squares::each_square_of<native_lanes<C>, count>(
          [&](std::ptrdiff_t e) MMLFAST_INLINE_LAMBDA { native_squares::unpack_square(item, 0, e, src, 1); });
    else
      _Pragma("GCC unroll 16") for (int e = 0; e < count; ++e) native_squares::scatter_element(item, e, src[e]);
  } else {
    vec<C> moved[count];
    _Pragma("GCC unroll 64") for (int e = 0; e < count; ++e) moved[e] = src[e];
    unpack(item, Layout{Rows, Cols, layout.row_stride, Cols == 1 ? 1 : layout.col_stride}, moved, Cols, 1);
  }
}

// One number per item.
template <class T>
MMLFAST_INLINE vec<T> gather(const T* const* from) {
  return native_squares::gather_element<T>(from, 0);
}

template <class T>
MMLFAST_INLINE void scatter(T* const* to, const vec<T>& x) {
  native_squares::scatter_element(to, 0, x);
}

}  // namespace mmlfast::MMLFAST_LEVEL
