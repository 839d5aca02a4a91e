#include "drivers/matmul.hpp"

#include "drivers/common/column_major.hpp"
#include "drivers/common/lane_batch.hpp"
#include "kernels/matmul.hpp"
#include "runtime/aligned_buffer.hpp"

namespace mmlfast::drivers {
namespace {

constexpr double block_ns = 50'000;
constexpr double longest_ns = 1'000'000;  // of an item that is not cut

template <class T>
Batch<T> transposed(const Batch<T>& x) {
  return {x.data, x.stride, transposed(x.layout)};
}

// Items `first` .. of a batch, rows `row` .. `row + rows` of each.
template <class T>
MatrixStack<T> part(const Batch<T>& x, Size first, Size row, Size rows) {
  return {x.item(first) + row * x.layout.row_stride,
          x.stride,
          {rows, x.layout.cols, x.layout.row_stride, x.layout.col_stride}};
}

// A stack of matrices whose rows go on from item to item, times one matrix, is one tall product. Likewise for rows that
// are single ones.
template <class T>
bool is_tall(Size n_items, const Batch<const T>& a, const Batch<const T>& b, const Batch<T>& c) {
  const Size m = c.layout.rows;
  if (n_items < 2 || b.stride != 0) return false;
  return m == 1 || (a.stride == m * a.layout.row_stride && c.stride == m * c.layout.row_stride);
}

template <class T>
Batch<T> tall(Size n_items, const Batch<T>& x) {
  const Size m = x.layout.rows;
  return {x.data, 0, {m * n_items, x.layout.cols, m == 1 ? x.stride : x.layout.row_stride, x.layout.col_stride}};
}

// Calls run(first, count, row, rows, scratch) for pieces of the batch of roughly block_ns: whole items, or rows of one
// if there are too few for all threads (each piece of an item copies the same panels of b).
template <class T, class Run>
Outcome in_pieces(Size n_items, Size rows, double item_ns, Size scratch_elements, Run&& run) noexcept {
  constexpr Size row_unit = 48;  // a multiple of the heights of all tiles
  const Size scratch_bytes = checked_product(scratch_elements, static_cast<Size>(sizeof(T)));
  if (n_items == 1 && item_ns < block_ns)  // without the divisions, which take as long as a small product
    return parallel_with_scratch(1, item_ns, scratch_bytes, [&](Size, void* scratch) {
      run(Size{0}, Size{1}, Size{0}, rows, static_cast<T*>(scratch));
    });
  Size per_block = 1, rows_per_block = rows, pieces = 1;
  if (item_ns < block_ns || (item_ns < longest_ns && n_items >= 8 * get_num_threads())) {
    // Some eight blocks for each thread, since a helper comes late to a short job; four of several items where these
    // are large, since a thread asks for the next item of its block while it works on one.
    const Size threads = get_num_threads(), rounds = std::max<Size>(4, n_items / (8 * threads));
    const Size short_block = std::min(static_cast<Size>(block_ns / item_ns), n_items / (8 * threads));
    per_block = std::max(ceil_div(n_items, rounds * threads), short_block);
  } else {
    const Size units = ceil_div(rows, row_unit);
    const Size units_per_block = std::max<Size>(1, static_cast<Size>(static_cast<double>(units) * block_ns / item_ns));
    rows_per_block = units_per_block * row_unit;
    pieces = ceil_div(units, units_per_block);
  }
  const Size blocks = ceil_div(n_items, per_block) * pieces;
  const double ns = item_ns * static_cast<double>(n_items) / static_cast<double>(blocks);
  return parallel_with_scratch(blocks, ns, scratch_bytes, [&](Size block, void* scratch) {
    const Size first = block / pieces * per_block, row = block % pieces * rows_per_block;
    run(first, std::min(per_block, n_items - first), row, std::min(rows_per_block, rows - row),
        static_cast<T*>(scratch));
  });
}

// One thread's time, good to a factor of two; decides only about threads and blocks.
template <class T>
double product_ns(Size m, Size k, Size n) {
  const double half = static_cast<double>(sizeof(T)) / 8, dm = static_cast<double>(m), dk = static_cast<double>(k),
               dn = static_cast<double>(n);
  return 2 + half * (0.05 * dm * dk * dn + 0.2 * (dm * dk + dk * dn + dm * dn));
}

template <class T>
Outcome products(Size n_items, const Batch<const T>& a, const Batch<const T>& b, const Batch<T>& c) noexcept {
  const Matmul<T>& kernel = kernel_of<Matmul<T>>();
  const Size m = c.layout.rows, k = a.layout.cols, n = c.layout.cols;
  // Blocks of rows are at most that high; the scratch memory for c is for such a block.
  return in_pieces<T>(n_items, m, product_ns<T>(m, k, n), kernel.scratch_elements(n_items, m, k, n),
                      [&](Size first, Size count, Size row, Size rows, T* scratch) {
                        kernel.products(count, part(a, first, row, rows), part(b, first, 0, k),
                                        part(c, first, row, rows), scratch);
                      });
}

// y = a x with the rows of a contiguous.
template <class T>
Outcome dots(Size n_items, const Batch<const T>& a, const Batch<const T>& x, const Batch<T>& y) noexcept {
  const Matmul<T>& kernel = kernel_of<Matmul<T>>();
  const Size m = y.layout.rows, k = a.layout.cols;
  return in_pieces<T>(n_items, m, product_ns<T>(m, k, 1), kernel.scratch_elements(n_items, m, k, 1),
                      [&](Size first, Size count, Size row, Size rows, T* scratch) {
                        kernel.dots(count, part(a, first, row, rows), part(x, first, 0, k), part(y, first, row, rows),
                                    scratch);
                      });
}

}  // namespace

template <class T>
Outcome matmul(Size n_items, const Batch<const T>& a, const Batch<const T>& b, const Batch<T>& c) noexcept {
  const Size m = c.layout.rows, k = a.layout.cols, n = c.layout.cols;
  if (n_items == 0 || m == 0 || n == 0) return {};
  if (k == 0) {
    for (Size i = 0; i < n_items; ++i) set_all(c.item(i), c.layout, T{0});
    return {};
  }
  if (m == 1 && k == 1 && n == 1) {
    const Matmul<T>& kernel = kernel_of<Matmul<T>>();
    return in_pieces<T>(n_items, 1, 1.0, 1, [&](Size first, Size count, Size, Size, T*) {
      kernel.numbers(count, part(a, first, 0, 1), part(b, first, 0, 1), part(c, first, 0, 1));
    });
  }
  if (is_tall(n_items, a, b, c)) return matmul(1, tall(n_items, a), b, tall(n_items, c));
  if (n == 1 && a.layout.col_stride == 1) return dots(n_items, a, b, c);
  if (m == 1 && b.layout.row_stride == 1 && b.layout.col_stride != 1)
    return dots(n_items, transposed(b), transposed(a), transposed(c));
  return products(n_items, a, b, c);
}

// As fast as so many matrices come out of a thread's own caches, or out of what lies behind them.
template <class T>
double striped_ns(Size matrices, Size m, Size k) {
  const double dm = static_cast<double>(m), dk = static_cast<double>(k), size = sizeof(T);
  const double ns_per_byte = static_cast<double>(matrices) * dm * dk * size < 1e6 ? 0.005 : 0.04;
  return 2 + size * (ns_per_byte * dm * dk + 0.025 * (dm + dk));
}

template <class T>
Outcome matvec(Size n_items, const Batch<const T>& a, const Batch<const T>& x, const Batch<T>& y) noexcept {
  const Matmul<T>& kernel = kernel_of<Matmul<T>>();
  const Size m = y.layout.rows, k = a.layout.cols;
  if (k < least_striped || m == 0 || n_items == 0) return matmul(n_items, a, x, y);
  return in_pieces<T>(n_items, m, striped_ns<T>(a.stride == 0 ? 1 : n_items, m, k), kernel.striped_scratch(k),
                      [&](Size first, Size count, Size row, Size rows, T* scratch) {
                        kernel.striped(count, part(a, first, row, rows), part(x, first, 0, k),
                                       part(y, first, row, rows), scratch);
                      });
}

namespace {

// A long sum is cut into pieces of a fixed length, whose sums are added in order.
constexpr Size inner_piece = 32'768;

// The pieces of all items are shared out at once.
template <class T>
Outcome long_vecdot(Size n_items, const Batch<const T>& x, const Batch<const T>& y, const Batch<T>& sum) noexcept {
  const Matmul<T>& kernel = kernel_of<Matmul<T>>();
  const Size k = x.layout.rows, pieces = ceil_div(k, inner_piece), blocks = checked_product(n_items, pieces);
  const AlignedBuffer<T> sums(blocks);
  if (sums.data() == nullptr) return {Outcome::Status::no_memory};
  const Size bytes = inner_scratch_elements * static_cast<Size>(sizeof(T));
  const Outcome outcome =
      parallel_with_scratch(blocks, 0.3 * static_cast<double>(inner_piece), bytes, [&](Size block, void* scratch) {
        const Size item = block / pieces, first = block % pieces * inner_piece, rows = std::min(inner_piece, k - first);
        kernel.inner(1, part(x, item, first, rows), part(y, item, first, rows), {&sums[block], 0, {1, 1, 1, 1}},
                     static_cast<T*>(scratch));
      });
  if (!outcome.ok()) return outcome;
  for (Size item = 0; item < n_items; ++item) {
    T* total = sum.item(item);
    *total = sums[item * pieces];
    for (Size piece = 1; piece < pieces; ++piece) *total += sums[item * pieces + piece];
  }
  return {};
}

}  // namespace

template <class T>
Outcome vecdot(Size n_items, const Batch<const T>& x, const Batch<const T>& y, const Batch<T>& sum) noexcept {
  const Matmul<T>& kernel = kernel_of<Matmul<T>>();
  const Size k = x.layout.rows;
  if (k > inner_piece) return n_items == 0 ? Outcome{} : long_vecdot<T>(n_items, x, y, sum);
  const double item_ns = 2 + 0.08 * static_cast<double>(k) * static_cast<double>(sizeof(T));
  return in_pieces<T>(n_items, 1, std::min(item_ns, block_ns * 0.99), inner_scratch_elements,
                      [&](Size first, Size count, Size, Size, T* scratch) {
                        kernel.inner(count, part(x, first, 0, k), part(y, first, 0, k), part(sum, first, 0, 1),
                                     scratch);
                      });
}

#define MMLFAST_INSTANTIATE(T)                                                                              \
  template Outcome matmul<T>(Size, const Batch<const T>&, const Batch<const T>&, const Batch<T>&) noexcept; \
  template Outcome matvec<T>(Size, const Batch<const T>&, const Batch<const T>&, const Batch<T>&) noexcept; \
  template Outcome vecdot<T>(Size, const Batch<const T>&, const Batch<const T>&, const Batch<T>&) noexcept;
MMLFAST_INSTANTIATE(double)
MMLFAST_INSTANTIATE(float)

}  // namespace mmlfast::drivers
