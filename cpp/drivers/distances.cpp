#include "drivers/distances.hpp"

#include "drivers/common/lane_batch.hpp"
#include "runtime/aligned_buffer.hpp"

namespace mmlfast::drivers {
namespace {

// Rows of x that are in L2 together, and the rows of a tile on any processor.
constexpr Size most_block_bytes = 1 << 19, tile_rows = 12;

template <class T>
struct Item {
  const T* x;
  const T* y;
  T* out;
  Layout x_layout, y_layout, out_layout;
  bool squared;
  const Distances<T>& kernel;

  Size d() const noexcept { return x_layout.cols; }
  Size n_panels() const noexcept { return ceil_div(y_layout.rows, panel_rows<T>); }
  Size panel_size() const noexcept { return checked_product(d(), panel_rows<T>); }
  // As many for each thread, if there are many.
  Size block_rows() const noexcept {
    const Size row_bytes = (d() + 1) * static_cast<Size>(sizeof(T)), n_threads = get_num_threads();
    const Size most = std::clamp<Size>(most_block_bytes / row_bytes, tile_rows, 48) / tile_rows * tile_rows;
    const Size n_blocks = ceil_div(ceil_div(x_layout.rows, most), n_threads) * n_threads;
    return ceil_div(ceil_div(x_layout.rows, n_blocks), tile_rows) * tile_rows;
  }
  double ns() const noexcept {
    return (1 + 0.03 * static_cast<double>(sizeof(T) * static_cast<std::size_t>(d()))) *
           static_cast<double>(x_layout.rows) * static_cast<double>(y_layout.rows);
  }

  void pack(Size p, T* panel) const noexcept {
    const Size first = p * panel_rows<T>;
    kernel.pack(y + first * y_layout.row_stride, y_layout.row_stride, y_layout.col_stride,
                std::min<Size>(panel_rows<T>, y_layout.rows - first), d(), panel);
  }

  // Rows first .. first + n; `rows` has room for them if they are not contiguous.
  void block(Size first, Size n, const T* panels, T* rows) const noexcept {
    const T* from = x + first * x_layout.row_stride;
    Size from_row = x_layout.row_stride;
    if (x_layout.col_stride != 1) {
      for (Size i = 0; i < n; ++i)
        for (Size k = 0; k < d(); ++k) rows[i * d() + k] = from[i * x_layout.row_stride + k * x_layout.col_stride];
      from = rows;
      from_row = d();
    }
    kernel.tile(from, from_row, n, panels, y_layout.rows, d(), squared, out + first * out_layout.row_stride,
                out_layout);
  }
};

// The threads share one item: panels are packed once for all of them.
template <class T>
Outcome one_item(const Item<T>& item) noexcept {
  const AlignedBuffer<T> panels(checked_product(item.n_panels(), item.panel_size()));
  if (!panels) return {Outcome::Status::no_memory};
  const double copy_ns = static_cast<double>(item.y_layout.rows) * static_cast<double>(item.d());
  const bool finished =
      parallel_blocks(item.n_panels(), copy_ns, [&](Size p) { item.pack(p, panels.data() + p * item.panel_size()); });
  if (!finished) return {Outcome::Status::interrupted};
  const Size rows = item.block_rows(), n_blocks = ceil_div(item.x_layout.rows, rows);
  const Size bytes = checked_product(rows, item.d() + 1, static_cast<Size>(sizeof(T)));
  return parallel_with_scratch(n_blocks, item.ns() / static_cast<double>(n_blocks), bytes, [&](Size b, void* scratch) {
    item.block(b * rows, std::min(rows, item.x_layout.rows - b * rows), panels.data(), static_cast<T*>(scratch));
  });
}

}  // namespace

template <class T>
Outcome distances(Size n_items, const Batch<const T>& x, const Batch<const T>& y, bool squared,
                  const Batch<T>& out) noexcept {
  const Distances<T>& kernel = kernel_of<Distances<T>>();
  const auto item = [&](Size i) {
    return Item<T>{x.item(i), y.item(i), out.item(i), x.layout, y.layout, out.layout, squared, kernel};
  };
  if (n_items == 0 || x.layout.rows == 0 || y.layout.rows == 0) return {};
  const Item<T> first = item(0);
  constexpr double large_ns = 1'000'000;
  if (n_items == 1 || first.ns() > large_ns) {
    Outcome outcome;
    for (Size i = 0; i < n_items && outcome.ok(); ++i) outcome = one_item(item(i));
    return outcome;
  }
  const Size panels = checked_product(first.n_panels(), first.panel_size());
  const Size rows = checked_product(first.x_layout.rows, first.d());
  const Size bytes = checked_product(panels < 0 || rows < 0 ? -1 : panels + rows + 1, static_cast<Size>(sizeof(T)));
  return parallel_with_scratch(n_items, first.ns() + 50, bytes, [&](Size i, void* scratch) {
    T* packed = static_cast<T*>(scratch);
    const Item<T> own = item(i);
    for (Size p = 0; p < own.n_panels(); ++p) own.pack(p, packed + p * own.panel_size());
    own.block(0, own.x_layout.rows, packed, packed + panels);
  });
}

template Outcome distances<double>(Size, const Batch<const double>&, const Batch<const double>&, bool,
                                   const Batch<double>&) noexcept;
template Outcome distances<float>(Size, const Batch<const float>&, const Batch<const float>&, bool,
                                  const Batch<float>&) noexcept;

}  // namespace mmlfast::drivers
