#include "kernels/distances.hpp"

#include "kernels/common/one_vector_tile.hpp"

namespace mmlfast::MMLFAST_LEVEL {
namespace {

using std::ptrdiff_t;

constexpr ptrdiff_t block = 64;

template <class T>
void pack(const T* y, ptrdiff_t row_stride, ptrdiff_t col_stride, ptrdiff_t count, ptrdiff_t d, T* panel) {
  for (ptrdiff_t k = 0; k < d; ++k)
    for (ptrdiff_t l = 0; l < lanes<T>; ++l)
      panel[k * lanes<T> + l] = l < count ? y[l * row_stride + k * col_stride] : T{0};
}

// Squares below the first may have lost digits to underflow, those above the second do not exist.
template <class T>
constexpr double smallest_square = sizeof(T) == 8 ? 0x1p-900 : 0x1p-90;
template <class T>
constexpr double largest_square = sizeof(T) == 8 ? __DBL_MAX__ : __FLT_MAX__;

// The distance of one pair whose square in T was out of range, or that square as far as float64 can hold it.
template <class T>
double again(const T* x, const T* panel, ptrdiff_t lane, ptrdiff_t d, double square, bool squared) {
  double scale = 1;
  if (sizeof(T) == 8) scale = square < smallest_square<T> ? 0x1p600 : 0x1p-600;
  double sum = 0;
  for (ptrdiff_t k = 0; k < d; ++k) {
    const double c = (static_cast<double>(x[k]) - static_cast<double>(panel[k * lanes<T> + lane])) * scale;
    sum += c * c;
  }
  return squared ? sum / scale / scale : __builtin_sqrt(sum) / scale;
}

template <class T>
void write(const T* x, const T* panel, ptrdiff_t count, ptrdiff_t d, bool squared, const vec<T>& square, T* out,
           ptrdiff_t stride) {
  alignas(vec_bytes) T result[lanes<T>];
  const mask<T> fine = (square >= broadcast(static_cast<T>(smallest_square<T>))) &
                       (square <= broadcast(static_cast<T>(largest_square<T>)));
  store(result, squared ? square : sqrt(square));
  if (!all(fine)) {
    alignas(vec_bytes) T squares[lanes<T>];
    store(squares, square);
    for (std::uint32_t bad = ~to_bitmask(fine); bad != 0; bad &= bad - 1) {
      const int l = __builtin_ctz(bad);
      if (l >= count) break;
      result[l] = static_cast<T>(again(x, panel, l, d, static_cast<double>(squares[l]), squared));
    }
  }
  if (stride == 1 && count == lanes<T>) return store(out, load(result));
  for (ptrdiff_t l = 0; l < count; ++l) out[l * stride] = result[l];
}

template <int Rows, class T>
void tile_of(const T* x, ptrdiff_t x_row, const T* panel, ptrdiff_t count, ptrdiff_t d, bool squared, T* out,
             const Layout& l) {
  vec<T> total[Rows];
  for (ptrdiff_t from = 0; from == 0 || from < d; from += block) {
    const ptrdiff_t end = d - from < block ? d : from + block;
    vec<T> sum[Rows];
    _Pragma("GCC unroll 16") for (int r = 0; r < Rows; ++r) sum[r] = zero<T>();
    for (ptrdiff_t k = from; k < end; ++k) {
      const vec<T> y = load(panel + k * lanes<T>);
      _Pragma("GCC unroll 16") for (int r = 0; r < Rows; ++r) {
        const vec<T> difference = broadcast(x[r * x_row + k]) - y;
        sum[r] = fma(difference, difference, sum[r]);
      }
    }
    _Pragma("GCC unroll 16") for (int r = 0; r < Rows; ++r) total[r] = from == 0 ? sum[r] : total[r] + sum[r];
  }
  for (int r = 0; r < Rows; ++r)
    write(x + r * x_row, panel, count, d, squared, total[r], out + r * l.row_stride, l.col_stride);
}

template <class T>
void tile(const T* x, ptrdiff_t x_row, ptrdiff_t rows, const T* panel, ptrdiff_t count, ptrdiff_t d, bool squared,
          T* out, const Layout& l) {
  const auto advance = [&](ptrdiff_t n) {
    x += n * x_row;
    out += n * l.row_stride;
    rows -= n;
  };
  while (rows >= rows_of_tile) tile_of<rows_of_tile>(x, x_row, panel, count, d, squared, out, l), advance(rows_of_tile);
  while (rows >= 2) tile_of<2>(x, x_row, panel, count, d, squared, out, l), advance(2);
  if (rows == 1) tile_of<1>(x, x_row, panel, count, d, squared, out, l);
}

}  // namespace

MMLFAST_DEFINE_TABLES(Distances, distances, pack<T>, tile<T>)

}  // namespace mmlfast::MMLFAST_LEVEL
