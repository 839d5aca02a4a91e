#include "drivers/row_echelon.hpp"

#include <cmath>
#include <cstdint>
#include <limits>

#include "drivers/lane_batch.hpp"
#include "drivers/matrix_batch.hpp"
#include "kernels/row_echelon.hpp"

namespace mmlfast::drivers {
namespace {

// The working copy of an item: rows by powers of two, so that their largest entries are in [1/2, 1).
template <class T>
struct Working {
  Size m, n, ld;
  T* a;
  T* size;
  bool* is_pivot;
  std::int32_t* exponent;

  static Size leading_dimension(Size n) noexcept {
    return (n + items_per_group<T> - 1) / items_per_group<T> * items_per_group<T>;
  }
  static Size bytes(Size m, Size n) noexcept {
    const Size matrix = checked_product(m, leading_dimension(n), static_cast<Size>(sizeof(T)));
    return matrix < 0 ? -1 : matrix + m * static_cast<Size>(sizeof(T) + sizeof(std::int32_t)) + n;
  }

  Working(Size rows, Size cols, void* scratch) noexcept
      : m(rows),
        n(cols),
        ld(leading_dimension(cols)),
        a(static_cast<T*>(scratch)),
        size(a + m * ld),
        is_pivot(nullptr),
        exponent(reinterpret_cast<std::int32_t*>(size + m)) {
    is_pivot = reinterpret_cast<bool*>(exponent + m);
  }

  // False if there is a number that is not finite.
  bool load(const T* from, const Layout& layout) noexcept {
    bool finite = true;
    for (Size i = 0; i < m; ++i) {
      T* row = a + i * ld;
      T largest = 0;
      for (Size j = 0; j < n; ++j) {
        row[j] = from[i * layout.row_stride + j * layout.col_stride];
        const T magnitude = std::fabs(row[j]);
        finite = finite && magnitude <= std::numeric_limits<T>::max();
        largest = std::max(largest, magnitude);
      }
      std::fill(row + n, row + ld, T{0});
      int shift = 0;
      size[i] = largest > 0 ? std::frexp(largest, &shift) : T{1};
      exponent[i] = finite ? shift : 0;
      if (exponent[i] != 0) shift_row(row, -exponent[i]);
    }
    return finite;
  }

  void shift_row(T* row, int by) const noexcept {
    for (Size j = 0; j < n; ++j) row[j] = std::ldexp(row[j], by);
  }
};

template <class T>
void one_form(Size i, Working<T>& work, const Batch<const T>& a, T tol, bool reduced,
              const EchelonForms<T>& out) noexcept {
  const RowEchelon<T>& kernel = of_type<T>(row_echelon_f64, row_echelon_f32);
  const Layout& to = out.form.layout;
  double gap = std::numeric_limits<double>::quiet_NaN();
  Size rank = 0;
  if (work.load(a.item(i), a.layout)) {
    rank = kernel.eliminate(work.a, work.m, work.n, work.ld, tol, work.size, work.exponent, work.is_pivot, &gap);
    if (reduced)
      kernel.reduce(work.a, work.n, work.ld, rank, work.is_pivot);
    else
      for (Size r = 0; r < rank; ++r) work.shift_row(work.a + r * work.ld, work.exponent[r]);
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
