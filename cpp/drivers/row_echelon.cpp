#include "drivers/row_echelon.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "drivers/common/lane_batch.hpp"
#include "drivers/common/matrix_batch.hpp"
#include "kernels/common/spread_stride.hpp"
#include "kernels/row_echelon.hpp"

namespace mmlfast::drivers {
namespace {

// The working copy of an item: columns, then rows, by powers of two, so that their largest entries are in [1/2, 1). So
// neither the unit of a column nor the factor of an equation has a say in what counts as zero.
template <class T>
struct Working {
  Size m, n, ld;
  T* a;
  T* factors;  // scratch of the kernel
  T* size;
  bool* is_pivot;
  std::int32_t* exponent;  // of the rows
  std::int32_t* unit;      // of the columns
  std::int32_t* shift;
  T* mean;  // of exponents, and other numbers of each column
  bool in_units = false, plain_units = true;

  static Size leading_dimension(Size n) noexcept { return spread_stride<T>(n); }
  static Size bytes(Size m, Size n) noexcept {
    const Size matrix = checked_product(m, leading_dimension(n) + widest_window, static_cast<Size>(sizeof(T)));
    constexpr Size integer = static_cast<Size>(sizeof(std::int32_t));
    return matrix < 0 ? -1 : matrix + (m + n) * static_cast<Size>(sizeof(T)) + (m + 2 * n) * integer + n;
  }

  Working(Size rows, Size cols, void* scratch) noexcept
      : m(rows),
        n(cols),
        ld(leading_dimension(cols)),
        a(static_cast<T*>(scratch)),
        factors(a + m * ld),
        size(factors + m * widest_window),
        is_pivot(nullptr),
        exponent(reinterpret_cast<std::int32_t*>(size + m + n)),
        unit(exponent + m),
        shift(unit + n),
        mean(size + m) {
    is_pivot = reinterpret_cast<bool*>(shift + n);
  }

  // False if there is a number that is not finite.
  bool load(const T* from, const Layout& layout) noexcept {
    T nothing = 0;
    for (Size j = 0; j < n; ++j) mean[j] = 0, unit[j] = 0;
    for (Size i = 0; i < m; ++i) {
      T* row = a + i * ld;
      exponent[i] = 0;
      for (Size j = 0; j < n; ++j) {
        row[j] = from[i * layout.row_stride + j * layout.col_stride];
        nothing += row[j] * 0;
        mean[j] = std::max(mean[j], std::fabs(row[j]));
      }
      for (Size j = n; j < ld; ++j) row[j] = 0;
    }
    if (nothing != 0) return false;
    constexpr int far = 24;
    if (level() < -far) {
      balance();
      std::fill_n(mean, n, T{0});
      for (Size i = 0; i < m; ++i)
        for (Size j = 0; j < n; ++j) mean[j] = std::max(mean[j], std::fabs(a[i * ld + j]));
      level();
    }
    return true;
  }

  // Columns, then rows, to a largest entry in [1/2, 1); columns that agree already stay. Returns the least power of two
  // by which a row was divided. `mean` holds the largest entries of the columns.
  int level() noexcept {
    bool same = true;
    int first = 0;
    for (Size j = 0, found = 0; j < n; ++j) {
      shift[j] = mean[j] > 0 ? exponent_of(mean[j]) : 0;
      if (mean[j] == 0) continue;
      if (found++ == 0) first = shift[j];
      same = same && shift[j] == first;
    }
    bool plain = true;
    if (!same) {
      in_units = true;
      for (Size j = 0; j < n; ++j) {
        unit[j] += shift[j];
        plain = plain && is_plain(shift[j]);
        if (plain) mean[j] = power_of_two(-shift[j]);
      }
    }
    int least = 0;
    for (Size i = 0; i < m; ++i) {
      T *row = a + i * ld, largest = 0;
      for (Size j = 0; j < n; ++j) {
        if (!same) row[j] = plain ? row[j] * mean[j] : std::ldexp(row[j], -shift[j]);
        largest = std::max(largest, std::fabs(row[j]));
      }
      const int by = largest > 0 ? exponent_of(largest) + 1 : 0;
      size[i] = largest > 0 ? (is_plain(by) ? largest * power_of_two(-by) : std::ldexp(largest, -by)) : T{1};
      if (by != 0) shift_row(row, -by);
      exponent[i] += by;
      least = std::min(least, same ? by - first : by);
    }
    return least;
  }

  // 2^k, if it is a normal number.
  static T power_of_two(int k) noexcept {
    using Bits = std::conditional_t<sizeof(T) == 8, std::int64_t, std::int32_t>;
    return std::bit_cast<T>(static_cast<Bits>(k + std::numeric_limits<T>::max_exponent - 1)
                            << (std::numeric_limits<T>::digits - 1));
  }
  // ilogb() of x > 0.
  static int exponent_of(T x) noexcept {
    using Bits = std::conditional_t<sizeof(T) == 8, std::int64_t, std::int32_t>;
    if (x < std::numeric_limits<T>::min()) return std::ilogb(x);
    return static_cast<int>(std::bit_cast<Bits>(x) >> (std::numeric_limits<T>::digits - 1)) -
           (std::numeric_limits<T>::max_exponent - 1);
  }

  // Whether 2^k and 2^-k are normal numbers, with room for the product of two of them.
  static bool is_plain(int k) noexcept {
    constexpr int limit = std::numeric_limits<T>::max_exponent / 2 - 4;
    return k > -limit && k < limit;
  }

  // Rows and columns by the powers of two that bring the entries nearest to one, by the squares of their exponents: to
  // the same matrix, but for rounding, from any other units. (Curtis and Reid, On the automatic scaling of matrices for
  // Gaussian elimination, J. Inst. Maths Applics 10 (1972).)
  void balance() noexcept {
    constexpr int most_rounds = 40;
    in_units = true;
    std::fill_n(mean, n, T{0});
    const auto centre = [&](Size i, Size j) { return static_cast<T>(std::ilogb(a[i * ld + j])); };
    for (int round = 0; round < most_rounds; ++round) {
      for (Size i = 0; i < m; ++i) {
        T sum = 0, count = 0;
        for (Size j = 0; j < n; ++j)
          if (a[i * ld + j] != 0) sum += centre(i, j) - mean[j], ++count;
        size[i] = count > 0 ? sum / count : 0;
      }
      for (Size j = 0; j < n; ++j) {
        T sum = 0, count = 0;
        for (Size i = 0; i < m; ++i)
          if (a[i * ld + j] != 0) sum += centre(i, j) - size[i], ++count;
        mean[j] = count > 0 ? sum / count : 0;
      }
    }
    for (Size i = 0; i < m; ++i) {
      const int by = static_cast<int>(std::lround(size[i]));
      for (Size j = 0; j < n; ++j)
        a[i * ld + j] = std::ldexp(a[i * ld + j], -by - static_cast<int>(std::lround(mean[j])));
      exponent[i] += by;
    }
    for (Size j = 0; j < n; ++j) unit[j] += static_cast<int>(std::lround(mean[j]));
  }

  // The factors of restore_row.
  void prepare_to_restore() noexcept {
    plain_units = true;
    for (Size j = 0; j < n; ++j) {
      plain_units = plain_units && is_plain(unit[j]);
      if (plain_units) mean[j] = power_of_two(unit[j]);
    }
  }

  // Row r, whose pivot is in column `pivot`, back in the units of the columns; that of the pivot stays 1 if `reduced`.
  void restore_row(Size r, Size pivot, bool reduced) const noexcept {
    T* row = a + r * ld;
    const int by = reduced ? -unit[pivot] : exponent[r];
    if (!in_units) {
      if (by != 0) shift_row(row, by);
    } else if (plain_units && is_plain(by)) {
      const T factor = power_of_two(by);
      for (Size j = 0; j < n; ++j) row[j] *= mean[j] * factor;
    } else {
      for (Size j = 0; j < n; ++j) row[j] = std::ldexp(row[j], by + unit[j]);
    }
  }

  void shift_row(T* row, int by) const noexcept {
    if (is_plain(by)) {
      const T factor = power_of_two(by);
      for (Size j = 0; j < n; ++j) row[j] *= factor;
    } else {
      for (Size j = 0; j < n; ++j) row[j] = std::ldexp(row[j], by);
    }
  }
};

template <class T>
void one_form(Size i, Working<T>& work, const Batch<const T>& a, T tol, bool reduced,
              const EchelonForms<T>& out) noexcept {
  const RowEchelon<T>& kernel = kernel_of<RowEchelon<T>>();
  const Layout& to = out.form.layout;
  double gap = std::numeric_limits<double>::quiet_NaN();
  Size rank = 0;
  if (work.load(a.item(i), a.layout)) {
    rank = kernel.eliminate(work.a, work.m, work.n, work.ld, tol, work.size, work.exponent, work.is_pivot, &gap,
                            work.factors);
    if (reduced) kernel.reduce(work.a, work.n, work.ld, rank, work.is_pivot, work.factors);
    if (work.in_units) work.prepare_to_restore();
    for (Size r = 0, j = 0; r < rank && (work.in_units || !reduced); ++r, ++j) {
      while (!work.is_pivot[j]) ++j;
      work.restore_row(r, j, reduced);
    }
  } else {
    std::fill_n(work.a, work.m * work.ld, std::numeric_limits<T>::quiet_NaN());
    std::fill_n(work.is_pivot, work.n, false);
  }
  for (Size r = 0; r < work.m; ++r)
    for (Size c = 0; c < work.n; ++c) out.form.item(i)[r * to.row_stride + c * to.col_stride] = work.a[r * work.ld + c];
  for (Size c = 0; c < work.n; ++c) out.is_pivot.item(i)[c * out.is_pivot.layout.row_stride] = work.is_pivot[c];
  *out.rank.item(i) = rank;
  *out.gap.item(i) = gap;
}

}  // namespace

template <class T>
Outcome row_echelon(Size n_items, const Batch<const T>& a, const Batch<const double>& tol, bool reduced,
                    const EchelonForms<T>& out) noexcept {
  const Size m = a.layout.rows, n = a.layout.cols;
  if (n_items == 0) return {};
  const double order = static_cast<double>(std::min(m, n));
  const double item_ns = 100 + static_cast<double>(m * n) * (3 + 0.2 * order);
  const double usual = static_cast<double>(std::max(m, n)) * static_cast<double>(std::numeric_limits<T>::epsilon());
  return run_matrices(n_items, item_ns, Working<T>::bytes(m, n), Uses::own_code, [&](Size i, void* scratch) {
    Working<T> work(m, n, scratch);
    one_form(i, work, a, static_cast<T>(tol.data == nullptr ? usual : *tol.item(i)), reduced, out);
    return Outcome{};
  });
}

#define MMLFAST_INSTANTIATE(T)                                                                   \
  template Outcome row_echelon<T>(Size, const Batch<const T>&, const Batch<const double>&, bool, \
                                  const EchelonForms<T>&) noexcept;
MMLFAST_INSTANTIATE(double)
MMLFAST_INSTANTIATE(float)

}  // namespace mmlfast::drivers
