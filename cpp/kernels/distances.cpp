#include "kernels/distances.hpp"

#include "kernels/common/lanes.hpp"
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

// A pair whose square is out of range.
template <class T>
MMLFAST_NOINLINE void write_again(const T* x, const T* panel, ptrdiff_t count, ptrdiff_t d, bool squared,
                                  std::uint32_t bad, const vec<T>& square, T* out, ptrdiff_t stride) {
  alignas(vec_bytes) T squares[lanes<T>];
  store(squares, square);
  for (; bad != 0; bad &= bad - 1) {
    const int l = __builtin_ctz(bad);
    if (l >= count) break;
    out[l * stride] = static_cast<T>(again(x, panel, l, d, static_cast<double>(squares[l]), squared));
  }
}

template <class T>
MMLFAST_INLINE void write(const T* x, const T* panel, ptrdiff_t count, ptrdiff_t d, bool squared, const vec<T>& square,
                          T* out, ptrdiff_t stride) {
  const vec<T> result = squared ? square : sqrt(square);
  if (stride == 1 && count == lanes<T>) {
    store(out, result);
  } else {
    alignas(vec_bytes) T results[lanes<T>];
    store(results, result);
    for (ptrdiff_t l = 0; l < count; ++l) out[l * stride] = results[l];
  }
  const mask<T> fine = (square >= broadcast(static_cast<T>(smallest_square<T>))) &
                       (square <= broadcast(static_cast<T>(largest_square<T>)));
  if (!all(fine)) [[unlikely]]
    write_again(x, panel, count, d, squared, ~to_bitmask(fine), square, out, stride);
}

// Panels that share what is broadcast of x, where one takes a register: loads of both kinds are fewer than what two
// units can add. And rows whose sums wait for the next columns: those of so many that panels stay in L1.
constexpr int panels_at_once = vec_parts == 1 ? 2 : 1;
constexpr ptrdiff_t rows_at_once = 48, columns_at_once = 2 * block;

template <class T>
struct Tables {
  const T* x;
  ptrdiff_t x_row;
  const T* panel;
  ptrdiff_t d;
};

// Sums over the components first .. last - 1, added to total[r * Panels + p] unless they are the first ones.
template <int Rows, int Panels, class T>
void add_squares(const Tables<T>& t, ptrdiff_t first, ptrdiff_t last, vec<T>* total) {
  for (ptrdiff_t from = first; from == first || from < last; from += block) {
    const ptrdiff_t end = last - from < block ? last : from + block;
    vec<T> sum[Rows][Panels];
    _Pragma("GCC unroll 16") for (int r = 0; r < Rows; ++r) _Pragma("GCC unroll 2") for (int p = 0; p < Panels; ++p)
        sum[r][p] = zero<T>();
    for (ptrdiff_t k = from; k < end; ++k) {
      vec<T> y[Panels];
      _Pragma("GCC unroll 2") for (int p = 0; p < Panels; ++p) y[p] = load(t.panel + (p * t.d + k) * lanes<T>);
      _Pragma("GCC unroll 16") for (int r = 0; r < Rows; ++r) {
        const vec<T> x = broadcast(t.x[r * t.x_row + k]);
        _Pragma("GCC unroll 2") for (int p = 0; p < Panels; ++p) {
          const vec<T> difference = x - y[p];
          sum[r][p] = fma(difference, difference, sum[r][p]);
        }
      }
    }
    _Pragma("GCC unroll 16") for (int r = 0; r < Rows; ++r) _Pragma("GCC unroll 2") for (int p = 0; p < Panels; ++p)
        total[r * Panels + p] = from == 0 ? sum[r][p] : total[r * Panels + p] + sum[r][p];
  }
}

// Up to rows_at_once rows beside `Panels` panels.
template <int Panels, class T>
void tile_of(const Tables<T>& t, ptrdiff_t rows, ptrdiff_t count, bool squared, T* out, const Layout& l) {
  // What is written at the end is fetched while there is something to compute.
  if (l.col_stride == 1)
    for (ptrdiff_t r = 0; r < rows; ++r)
      for (ptrdiff_t p = 0; p < Panels; ++p) __builtin_prefetch(out + r * l.row_stride + p * lanes<T>, 1);
  vec<T> total[rows_at_once * Panels];
  for (ptrdiff_t first = 0; first == 0 || first < t.d; first += columns_at_once) {
    const ptrdiff_t last = t.d - first < columns_at_once ? t.d : first + columns_at_once;
    ptrdiff_t r = 0;
    const auto here = [&] { return Tables<T>{t.x + r * t.x_row, t.x_row, t.panel, t.d}; };
    for (; r + rows_of_tile <= rows; r += rows_of_tile) {
      if constexpr (Panels == 1) {  // two are fetched ahead by the processor itself
        // A part of the columns that come next, which the first of these tiles would wait for.
        constexpr ptrdiff_t share = columns_at_once * rows_of_tile / rows_at_once;
        const ptrdiff_t next = first + columns_at_once + r / rows_of_tile * share;
        for (ptrdiff_t k = next; k < next + share && t.d > columns_at_once; ++k)
          __builtin_prefetch(t.panel + k * lanes<T>, 0, 2);
      }
      add_squares<rows_of_tile, Panels>(here(), first, last, total + r * Panels);
    }
    if constexpr (rows_of_tile > 4)
      for (; r + 4 <= rows; r += 4) add_squares<4, Panels>(here(), first, last, total + r * Panels);
    for (; r < rows; ++r) add_squares<1, Panels>(here(), first, last, total + r * Panels);
  }
  for (ptrdiff_t r = 0; r < rows; ++r)
    for (ptrdiff_t p = 0; p < Panels; ++p)
      write(t.x + r * t.x_row, t.panel + p * t.d * lanes<T>, smaller(count - p * lanes<T>, lanes<T>), t.d, squared,
            total[r * Panels + p], out + r * l.row_stride + p * lanes<T> * l.col_stride, l.col_stride);
}

template <class T>
void tile(const T* x, ptrdiff_t x_row, ptrdiff_t rows, const T* panels, ptrdiff_t count, ptrdiff_t d, bool squared,
          T* out, const Layout& l) {
  ptrdiff_t j = 0;
  const auto beside = [&]<int Panels>(std::integral_constant<int, Panels>) {
    for (ptrdiff_t i = 0; i < rows; i += rows_at_once)
      tile_of<Panels>(Tables<T>{x + i * x_row, x_row, panels + j * d, d}, smaller(rows - i, rows_at_once), count - j,
                      squared, out + i * l.row_stride + j * l.col_stride, l);
    j += Panels * lanes<T>;
  };
  while (count - j > (panels_at_once - 1) * lanes<T>) beside(std::integral_constant<int, panels_at_once>{});
  if (j < count) beside(std::integral_constant<int, 1>{});
}

}  // namespace

MMLFAST_DEFINE_TABLES(Distances, distances, pack<T>, tile<T>)

}  // namespace mmlfast::MMLFAST_LEVEL
