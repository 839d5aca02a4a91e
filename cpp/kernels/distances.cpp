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

// Pairs whose squares are out of range.
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

// Rows of a tile whose squares are known and whose roots are not. A root takes as long as a step of a tile, in a unit
// that has little else to do: roots are taken one by one among the steps of the next rows.
template <class T>
struct Waiting {
  Tables<T> t;
  ptrdiff_t rows = 0, panels = 0, count = 0;  // `count` columns from the first of these panels on
  T* out = nullptr;
  ptrdiff_t taken = 0;
  vec<T> least, zeros;  // of the squares taken: in each lane the smallest, and zero as long as all are finite
  vec<T> square[rows_of_tile * panels_at_once], root[rows_of_tile * panels_at_once];

  MMLFAST_INLINE bool is_done() const { return taken == rows * panels; }
  MMLFAST_INLINE vec<T> result(ptrdiff_t i, bool squared) {
    const vec<T> own = square[i];
    least = min(own, least);
    zeros = fma(own, zero<T>(), zeros);
    return squared ? own : sqrt(own);
  }
  MMLFAST_INLINE void take_one(bool squared) {
    root[taken] = result(taken, squared);
    ++taken;
  }
};

template <class T>
MMLFAST_NOINLINE void replace_bad(const Waiting<T>& w, bool squared, const Layout& l) {
  for (ptrdiff_t r = 0; r < w.rows; ++r) {
    for (ptrdiff_t p = 0; p < w.panels; ++p) {
      const vec<T>& square = w.square[r * w.panels + p];
      const mask<T> fine = (square >= broadcast(static_cast<T>(smallest_square<T>))) &
                           (square <= broadcast(static_cast<T>(largest_square<T>)));
      write_again(w.t.x + r * w.t.x_row, w.t.panel + p * w.t.d * lanes<T>, w.count - p * lanes<T>, w.t.d, squared,
                  ~to_bitmask(fine) & ((1u << lanes<T>)-1), square,
                  w.out + r * l.row_stride + p * lanes<T> * l.col_stride, l.col_stride);
    }
  }
}

template <class T>
MMLFAST_NOINLINE void finish(Waiting<T>& w, bool squared, const Layout& l) {
  const bool whole = l.col_stride == 1 && w.count >= w.panels * lanes<T>;
  for (ptrdiff_t r = 0, i = 0; r < w.rows; ++r) {
    T* out = w.out + r * l.row_stride;
    for (ptrdiff_t p = 0; p < w.panels; ++p, ++i) {
      const vec<T> result = i < w.taken ? w.root[i] : w.result(i, squared);
      if (whole) {
        store(out + p * lanes<T>, result);
      } else {
        alignas(vec_bytes) T results[lanes<T>];
        store(results, result);
        for (ptrdiff_t n = 0; n < smaller(w.count - p * lanes<T>, lanes<T>); ++n)
          out[(p * lanes<T> + n) * l.col_stride] = results[n];
      }
    }
  }
  if (!all((w.least >= broadcast(static_cast<T>(smallest_square<T>))) & (w.zeros == zero<T>()))) [[unlikely]]
    replace_bad(w, squared, l);
  w.rows = w.taken = 0;
}

// Sums over the components first .. last - 1, added to total[r * Panels + p] unless they are the first ones; with the
// last ones they are in `square`. Meanwhile roots of the rows before are taken.
template <int Rows, int Panels, class T>
void add_squares(const Tables<T>& t, ptrdiff_t first, ptrdiff_t last, vec<T>* total, vec<T>* square, Waiting<T>& before,
                 bool squared) {
  constexpr int steps = 2 * vec_parts;  // from root to root
  for (ptrdiff_t from = first; from == first || from < last; from += block) {
    const ptrdiff_t end = last - from < block ? last : from + block;
    vec<T> sum[Rows][Panels];
    _Pragma("GCC unroll 16") for (int r = 0; r < Rows; ++r) _Pragma("GCC unroll 2") for (int p = 0; p < Panels; ++p)
        sum[r][p] = zero<T>();
    // An address for three rows each: twelve would not be in registers.
    const T* x_of[(Rows + 2) / 3];
    _Pragma("GCC unroll 4") for (int i = 0; i < (Rows + 2) / 3; ++i) x_of[i] = t.x + 3 * i * t.x_row + from;
    const auto step = [&](ptrdiff_t k) MMLFAST_INLINE_LAMBDA {
      vec<T> y[Panels];
      _Pragma("GCC unroll 2") for (int p = 0; p < Panels; ++p) y[p] = load(t.panel + (p * t.d + k) * lanes<T>);
      _Pragma("GCC unroll 16") for (int r = 0; r < Rows; ++r) {
        const vec<T> x = broadcast(x_of[r / 3][r % 3 * t.x_row]);
        _Pragma("GCC unroll 2") for (int p = 0; p < Panels; ++p) {
          const vec<T> difference = x - y[p];
          sum[r][p] = fma(difference, difference, sum[r][p]);
        }
      }
      _Pragma("GCC unroll 4") for (int i = 0; i < (Rows + 2) / 3; ++i)++ x_of[i];
    };
    ptrdiff_t k = from;
    for (; k + steps <= end && !before.is_done(); k += steps) {
      _Pragma("GCC unroll 8") for (int i = 0; i < steps; ++i) step(k + i);
      before.take_one(squared);
    }
    for (; k < end; ++k) step(k);
    vec<T>* to = end == t.d ? square : total;
    _Pragma("GCC unroll 16") for (int r = 0; r < Rows; ++r) _Pragma("GCC unroll 2") for (int p = 0; p < Panels; ++p)
        to[r * Panels + p] = from == 0 ? sum[r][p] : total[r * Panels + p] + sum[r][p];
  }
}

// Rows beside panels, the roots of some after the sums of the next ones.
template <class T>
class Tile {
 public:
  Tile(bool squared, const Layout& l) : l_(l), squared_(squared) {}

  // Up to rows_at_once rows beside `Panels` panels.
  template <int Panels>
  void beside(const Tables<T>& t, ptrdiff_t rows, ptrdiff_t count, T* out) {
    // What is written at the end is fetched while there is something to compute.
    if (l_.col_stride == 1)
      for (ptrdiff_t r = 0; r < rows; ++r)
        for (ptrdiff_t p = 0; p < Panels; ++p) __builtin_prefetch(out + r * l_.row_stride + p * lanes<T>, 1);
    for (ptrdiff_t first = 0; first == 0 || first < t.d; first += columns_at_once) {
      const ptrdiff_t last = t.d - first < columns_at_once ? t.d : first + columns_at_once;
      ptrdiff_t r = 0;
      const auto next = [&]<int Rows>(std::integral_constant<int, Rows>) {
        add<Rows, Panels>(Tables<T>{t.x + r * t.x_row, t.x_row, t.panel, t.d}, first, last, total_ + r * Panels, count,
                          out + r * l_.row_stride);
        r += Rows;
      };
      while (r + rows_of_tile <= rows) {
        if constexpr (Panels == 1) {  // two are fetched ahead by the processor itself
          // A part of the columns that come next, which the first of these tiles would wait for.
          constexpr ptrdiff_t share = columns_at_once * rows_of_tile / rows_at_once;
          const ptrdiff_t from = first + columns_at_once + r / rows_of_tile * share;
          for (ptrdiff_t k = from; k < from + share && t.d > columns_at_once; ++k)
            __builtin_prefetch(t.panel + k * lanes<T>, 0, 2);
        }
        next(std::integral_constant<int, rows_of_tile>{});
      }
      if constexpr (rows_of_tile > 4)
        while (r + 4 <= rows) next(std::integral_constant<int, 4>{});
      while (r < rows) next(std::integral_constant<int, 1>{});
    }
  }
  void end() {
    if (waiting_[which_].rows > 0) finish(waiting_[which_], squared_, l_);
  }

 private:
  template <int Rows, int Panels>
  void add(const Tables<T>& t, ptrdiff_t first, ptrdiff_t last, vec<T>* total, ptrdiff_t count, T* out) {
    Waiting<T>&before = waiting_[which_], &own = waiting_[1 - which_];
    add_squares<Rows, Panels>(t, first, last, total, own.square, before, squared_);
    if (before.rows > 0) finish(before, squared_, l_);
    if (last < t.d) return;
    own.t = t, own.rows = Rows, own.panels = Panels, own.count = count, own.out = out;
    own.least = broadcast(static_cast<T>(largest_square<T>)), own.zeros = zero<T>();
    which_ = 1 - which_;
  }

  Layout l_;
  bool squared_;
  int which_ = 0;
  Waiting<T> waiting_[2];
  vec<T> total_[rows_at_once * panels_at_once];
};

template <class T>
void tile(const T* x, ptrdiff_t x_row, ptrdiff_t rows, const T* panels, ptrdiff_t count, ptrdiff_t d, bool squared,
          T* out, const Layout& l) {
  Tile<T> own(squared, l);
  ptrdiff_t j = 0;
  const auto beside = [&]<int Panels>(std::integral_constant<int, Panels>) {
    for (ptrdiff_t i = 0; i < rows; i += rows_at_once)
      own.template beside<Panels>(Tables<T>{x + i * x_row, x_row, panels + j * d, d}, smaller(rows - i, rows_at_once),
                                  count - j, out + i * l.row_stride + j * l.col_stride);
    j += Panels * lanes<T>;
  };
  while (count - j > (panels_at_once - 1) * lanes<T>) beside(std::integral_constant<int, panels_at_once>{});
  if (j < count) beside(std::integral_constant<int, 1>{});
  own.end();
}

}  // namespace

MMLFAST_DEFINE_TABLES(Distances, distances, pack<T>, tile<T>)

}  // namespace mmlfast::MMLFAST_LEVEL
