// Between matrices in memory and matrices in lanes: element (i, j) of 8 (16) items becomes one
// vector and back.
//
// item[l] points to the first element of the item in lane l. Runs of consecutive elements are
// transposed in registers; other strides are gathered one by one. Nothing outside the items is read
// or written. Items of float may go into lanes of double: T is the type in memory, C the one in lanes.
#pragma once

#include "kernels/common/layout.hpp"
#include "simd/vec.hpp"

namespace mmlfast::MMLFAST_LEVEL {

namespace run {

// dst[e * dst_stride] = element e of every item, for `count` consecutive elements.
template <class T, class C>
MMLFAST_INLINE void pack(const T* const* item, std::ptrdiff_t offset, std::ptrdiff_t count, vec<C>* dst,
                         std::ptrdiff_t dst_stride) {
  constexpr int width = native_lanes<C>;
  if (count < width) {
    for (std::ptrdiff_t e = 0; e < count; ++e) {
      alignas(vec_bytes) C x[lanes<C>];
      for (int l = 0; l < lanes<C>; ++l) x[l] = static_cast<C>(item[l][offset + e]);
      dst[e * dst_stride] = load(x);
    }
    return;
  }
  // The items four groups on, if they lie like these: what pack reads in turn from many items is
  // too irregular for the processor to fetch ahead by itself. A prefetch of memory that is not there does nothing.
  const std::uintptr_t ahead = 4 * lanes<C> * sizeof(T) * static_cast<std::size_t>(item[1] - item[0]);
  for (std::ptrdiff_t done = 0; done < count; done += width) {
    // The last square overlaps the one before it instead of reading past the end.
    const std::ptrdiff_t e = done + width <= count ? done : count - width;
    _Pragma("GCC unroll 4") for (int p = 0; p < vec_parts; ++p) {
      native<C> row[width];
      for (int r = 0; r < width; ++r) {
        const T* from = item[p * width + r] + offset + e;
        row[r] = load_part<C>(from);
        __builtin_prefetch(reinterpret_cast<const void*>(reinterpret_cast<std::uintptr_t>(from) + ahead), 0, 2);
      }
      transpose_native<C>(row);
      for (int r = 0; r < width; ++r) dst[(e + r) * dst_stride].part[p] = row[r];
    }
  }
}

template <class T, class C>
MMLFAST_INLINE void unpack(T* const* item, std::ptrdiff_t offset, std::ptrdiff_t count, const vec<C>* src,
                           std::ptrdiff_t src_stride) {
  constexpr int width = native_lanes<C>;
  if (count < width) {
    for (std::ptrdiff_t e = 0; e < count; ++e) {
      alignas(vec_bytes) C x[lanes<C>];
      store(x, src[e * src_stride]);
      for (int l = 0; l < lanes<C>; ++l) item[l][offset + e] = static_cast<T>(x[l]);
    }
    return;
  }
  const std::uintptr_t ahead = lanes<C> * sizeof(T) * static_cast<std::size_t>(item[1] - item[0]);  // see pack
  for (std::ptrdiff_t done = 0; done < count; done += width) {
    const std::ptrdiff_t e = done + width <= count ? done : count - width;
    _Pragma("GCC unroll 4") for (int p = 0; p < vec_parts; ++p) {
      native<C> row[width];
      for (int r = 0; r < width; ++r) row[r] = src[(e + r) * src_stride].part[p];
      transpose_native<C>(row);
      for (int r = 0; r < width; ++r) {
        T* to = item[p * width + r] + offset + e;
        store_part(to, row[r]);
        __builtin_prefetch(reinterpret_cast<const void*>(reinterpret_cast<std::uintptr_t>(to) + ahead), 1);
      }
    }
  }
}

}  // namespace run

// dst[i * dst_row + j * dst_col] = element (i, j) of every item.
template <class T, class C>
MMLFAST_INLINE void pack(const T* const* item, const Layout& layout, vec<C>* dst, std::ptrdiff_t dst_row,
                         std::ptrdiff_t dst_col) {
  const auto [rows, cols, row_stride, col_stride] = layout;
  if (col_stride == 1 && row_stride == cols && dst_col == 1 && dst_row == cols) {
    run::pack(item, 0, rows * cols, dst, 1);
  } else if (col_stride == 1) {
    for (std::ptrdiff_t i = 0; i < rows; ++i) run::pack(item, i * row_stride, cols, dst + i * dst_row, dst_col);
  } else if (row_stride == 1) {
    for (std::ptrdiff_t j = 0; j < cols; ++j) run::pack(item, j * col_stride, rows, dst + j * dst_col, dst_row);
  } else {
    for (std::ptrdiff_t i = 0; i < rows; ++i)
      for (std::ptrdiff_t j = 0; j < cols; ++j)
        run::pack(item, i * row_stride + j * col_stride, 1, dst + i * dst_row + j * dst_col, 1);
  }
}

template <class T, class C>
MMLFAST_INLINE void unpack(T* const* item, const Layout& layout, const vec<C>* src, std::ptrdiff_t src_row,
                           std::ptrdiff_t src_col) {
  const auto [rows, cols, row_stride, col_stride] = layout;
  if (col_stride == 1 && row_stride == cols && src_col == 1 && src_row == cols) {
    run::unpack(item, 0, rows * cols, src, 1);
  } else if (col_stride == 1) {
    for (std::ptrdiff_t i = 0; i < rows; ++i) run::unpack(item, i * row_stride, cols, src + i * src_row, src_col);
  } else if (row_stride == 1) {
    for (std::ptrdiff_t j = 0; j < cols; ++j) run::unpack(item, j * col_stride, rows, src + j * src_col, src_row);
  } else {
    for (std::ptrdiff_t i = 0; i < rows; ++i)
      for (std::ptrdiff_t j = 0; j < cols; ++j)
        run::unpack(item, i * row_stride + j * col_stride, 1, src + i * src_row + j * src_col, 1);
  }
}

// One number per item.
template <class T>
MMLFAST_INLINE vec<T> gather(const T* const* from) {
  vec<T> x;
  run::pack(from, 0, 1, &x, 1);
  return x;
}

template <class T>
MMLFAST_INLINE void scatter(T* const* to, const vec<T>& x) {
  run::unpack(to, 0, 1, &x, 1);
}

}  // namespace mmlfast::MMLFAST_LEVEL
