// From rows to nodes: what the driver of covariance does with one block, and with the next block of a wide table.
// Included by the parts of that driver alone.
#pragma once

#include <algorithm>
#include <cmath>
#include <utility>

#include "drivers/common/table.hpp"
#include "kernels/covariance.hpp"
#include "runtime/aligned_buffer.hpp"
#include "runtime/locked_state.hpp"
#include "runtime/outcome.hpp"
#include "runtime/thread_pool.hpp"

namespace mmlfast::drivers {

inline constexpr Outcome no_memory{Outcome::Status::no_memory}, interrupted{Outcome::Status::interrupted};

template <class T>
void pack(const CovarianceKernel& kernel, const CovarianceShape& shape, const T* x, const Layout& layout,
          double* block) noexcept {
  if constexpr (sizeof(T) == 8)
    kernel.pack_f64(shape, x, layout, block);
  else
    kernel.pack_f32(shape, x, layout, block);
}

// One thread's share of the measured cost of one row, good to a factor of two; decides only about threads.
inline double row_ns(Size d, bool full) noexcept {
  const double n = static_cast<double>(d);
  return 1 + n * 0.6 + (full ? n * n * 0.04 : 0);
}

// The weights of one block: `values` (null: all 1) followed by zeros up to a multiple of 8.
struct BlockWeights {
  const double* values;
  double total;
  Size reference;  // the first row that counts

  BlockWeights(const double* w, Size rows) noexcept : values(w), total(static_cast<double>(rows)), reference(0) {
    if (w == nullptr) return;
    total = 0;
    for (Size r = 0; r < rows; ++r) total += w[r];
    while (reference < rows - 1 && w[reference] == 0) ++reference;
  }
};

inline Size weights_size(const CovarianceShape& shape) noexcept { return shape.rows + 8; }

inline const double* pack_weights(const double* from, Size stride, Size rows, double* to) noexcept {
  if (from == nullptr) return nullptr;
  for (Size r = 0; r < rows; ++r) to[r] = from[r * stride];
  for (Size r = rows; r % 8 != 0; ++r) to[r] = 0;
  return to;
}

// Do all rows count once? Weights of 1 then change no bit.
inline bool all_one(const double* weights, Size stride, Size rows) noexcept {
  for (Size r = 0; weights != nullptr && r < rows; ++r)
    if (weights[r * stride] != 1) return false;
  return true;
}

inline void multiply(const CovarianceKernel& kernel, const CovarianceShape& shape, bool full, const double* block,
                     Size rows, double* m2, const void* next = nullptr, Size ahead = 0) noexcept {
  if (full)
    kernel.products(shape, block, rows, 0, shape.strips, 0, shape.strips, false, m2, next, ahead);
  else
    kernel.squares(shape, block, rows, 0, shape.strips, false, m2);
}

// The node of the packed rows of a block, which is centred in place. The `ahead` bytes from `next` on are read next.
inline void reduce_block(const CovarianceKernel& kernel, const CovarianceShape& shape, bool full, double* block,
                         Size rows, const double* weights, double* node, const void* next = nullptr,
                         Size ahead = 0) noexcept {
  const BlockWeights w(weights, rows);
  std::fill_n(node, shape.node_size(full), 0.0);
  if (w.total == 0) return;
  node[0] = w.total;
  kernel.centre(shape, block, rows, w.values, w.total, w.reference, 0, shape.strips, node + shape.hi(),
                node + shape.lo());
  multiply(kernel, shape, full, block, rows, node + shape.m2(), next, ahead);
}

// The node of a block of which the mean is all that is asked for, or false: it takes reduce_block. SCRATCH a block.
template <class T>
bool reduce_means(const CovarianceKernel& kernel, const CovarianceShape& shape, const Table<T>& table, double* scratch,
                  double* node) noexcept {
  const Layout& l = table.layout;
  if (table.weights != nullptr || l.rows < 32 || l.col_stride != 1 || l.row_stride != l.cols) return false;
  std::fill_n(node, shape.node_size(false), 0.0);
  node[0] = static_cast<double>(l.rows);
  double *hi = node + shape.hi(), *lo = node + shape.lo();
  if constexpr (sizeof(T) == 8)
    return kernel.means_f64(shape, table.data, l.rows, hi, lo, scratch);
  else
    return kernel.means_f32(shape, table.data, l.rows, hi, lo, scratch);
}

// The node of few rows of a narrow table, CovarianceShape::few. SCRATCH block and strips: a block, and a node, of
// short_shape().
template <class T>
void reduce_few(const CovarianceKernel& kernel, const CovarianceShape& shape, bool full, const T* x,
                const Layout& layout, const double* weights, double* block, double* strips, double* node) noexcept {
  const CovarianceShape of_few = shape.short_shape();
  pack(kernel, of_few, x, layout, block);
  reduce_block(kernel, of_few, full, block, layout.rows, weights, strips);
  std::fill_n(node, shape.node_size(full), 0.0);
  std::copy_n(strips, full ? shape.m2() : shape.node_size(false), node);
  if (!full) return;
  for (Size i = 0; i < shape.d; ++i)
    for (Size j = i; j < shape.d; ++j) node[shape.m2() + shape.entry(i, j)] = strips[shape.m2() + of_few.entry(i, j)];
}

// What a thread needs to reduce 2^level blocks, and the kernel, chosen once.
struct CovarianceWorkspace {
  const CovarianceKernel& kernel = kernel_of<CovarianceKernel>();
  ScratchLease memory;
  double *block = nullptr, *weights = nullptr, *delta = nullptr, *strips = nullptr, *nodes = nullptr, *packed = nullptr;

  explicit operator bool() const noexcept { return static_cast<bool>(memory); }

  static Size bytes(const CovarianceShape& shape, bool full, int level) noexcept {
    return 8 * (block_size(shape) + 8 + weights_size(shape) + shape.padded() + few_node_size(shape, full) +
                (level + 1) * shape.node_size(full) + (shape.shifted ? shape.block_size() : 0));
  }
  static Size few_node_size(const CovarianceShape& shape, bool full) noexcept {
    return shape.by_columns ? shape.short_shape().node_size(full) : 0;
  }
  static Size block_size(const CovarianceShape& shape) noexcept {
    return shape.by_columns ? std::max(shape.block_size(), shape.short_shape().block_size()) : shape.block_size();
  }
  CovarianceWorkspace(const CovarianceShape& shape, bool full, int level) noexcept : memory(bytes(shape, full, level)) {
    if (!memory) return;
    block = static_cast<double*>(memory.data());
    weights = block + block_size(shape) / 8 * 8 + 8;
    delta = weights + weights_size(shape);
    strips = delta + shape.padded();
    nodes = strips + few_node_size(shape, full);
    packed = nodes + (level + 1) * shape.node_size(full);
  }
  // To merge nodes with: `delta` alone.
  explicit CovarianceWorkspace(const CovarianceShape& shape) noexcept
      : memory(8 * shape.padded()), delta(static_cast<double*>(memory.data())) {}
};

// Rows of weight 1 of a table that is `shifted`: strips of consecutive columns where they lie, the others by way of
// work.packed; finish() makes the node of them.
class ShiftedRows {
 public:
  ShiftedRows(const CovarianceShape& shape, Want want, Size rows, const CovarianceWorkspace& work,
              double* node) noexcept
      : shape_(shape), want_(want), rows_(rows), work_(work), node_(node) {
    std::fill_n(node, shape.node_size(want == Want::covariance), 0.0);
    node[0] = static_cast<double>(rows);
  }

  void take_strips(const double* strips, Size from = 0) const noexcept {
    if (from < shape_.strips) shift(strips, 8, shape_.stride * 8, from, shape_.strips);
  }
  template <class T>
  void take(const T* x, const Layout& l) const noexcept {
    const Size direct = l.col_stride == 1 ? shape_.d / 8 : 0, first = direct * 8;
    shift(x, l.row_stride, 8, 0, direct);
    if (first == shape_.d) return;
    pack(work_.kernel, shape_, x + first * l.col_stride, Layout{l.rows, l.cols - first, l.row_stride, l.col_stride},
         work_.packed);
    take_strips(work_.packed, direct);
  }
  void finish(const void* next = nullptr, Size ahead = 0) const noexcept {
    if (want_ == Want::mean) return;
    const bool full = want_ == Want::covariance;
    double* m2 = node_ + shape_.m2();
    multiply(work_.kernel, shape_, full, work_.block, rows_, m2, next, ahead);
    work_.kernel.unshift(shape_, full, rows_, work_.delta, m2);
  }

 private:
  template <class T>
  void shift(const T* x, Size row_step, Size strip_step, Size from, Size to) const noexcept {
    double* block = want_ == Want::mean ? nullptr : work_.block + from * shape_.stride * 8;
    const auto call = [&](auto kernel) noexcept {
      kernel(shape_, x, rows_, row_step, strip_step, to - from, block, node_ + shape_.hi() + from * 8,
             node_ + shape_.lo() + from * 8, work_.delta + from * 8);
    };
    if constexpr (sizeof(T) == 8)
      call(work_.kernel.shift_f64);
    else
      call(work_.kernel.shift_f32);
  }

  const CovarianceShape& shape_;
  Want want_;
  Size rows_;
  const CovarianceWorkspace& work_;
  double* node_;
};

// The node of rows of weight 1 of a table whose blocks are by columns; x may be the block.
template <class T>
void reduce_narrow(const CovarianceShape& shape, Want want, const T* x, const Layout& l, double* block,
                   const CovarianceWorkspace& work, double* node, const void* next, Size ahead) noexcept {
  std::fill_n(node, shape.node_size(want == Want::covariance), 0.0);
  node[0] = static_cast<double>(l.rows);
  const auto call = [&](auto kernel) noexcept {
    kernel(shape, want, x, l, block, node + shape.hi(), node + shape.lo(), work.delta, node + shape.m2(), next, ahead);
  };
  if constexpr (sizeof(T) == 8)
    call(work.kernel.narrow_f64);
  else
    call(work.kernel.narrow_f32);
}

// The node of at most shape.rows rows. What follows them in memory is taken for the rows of the next block.
template <class T>
void reduce_rows(const CovarianceShape& shape, Want want, const Table<T>& table, const CovarianceWorkspace& work,
                 double* node) noexcept {
  const Layout& l = table.layout;
  const T* next = table.data + l.rows * shape.d;
  const Size ahead = is_gapless(l) ? l.rows * shape.d * Size{sizeof(T)} : 0;
  const bool at_once = (shape.shifted || shape.by_columns) && l.rows > 0;
  if (at_once && all_one(table.weights, table.weights_stride, l.rows)) {
    if (shape.by_columns) return reduce_narrow(shape, want, table.data, l, work.block, work, node, next, ahead);
    const ShiftedRows shifted(shape, want, l.rows, work, node);
    shifted.take(table.data, l);
    return shifted.finish(next, ahead);
  }
  pack(work.kernel, shape, table.data, l, work.block);
  const double* weights = pack_weights(table.weights, table.weights_stride, l.rows, work.weights);
  reduce_block(work.kernel, shape, want == Want::covariance, work.block, l.rows, weights, node, next, ahead);
}

// The node of rows that are packed already, as they are in a block; which, if it is by columns or not shifted, is
// shifted or centred in place.
inline void reduce_packed(const CovarianceShape& shape, Want want, double* block, Size rows, const double* weights,
                          const CovarianceWorkspace& work, double* node) noexcept {
  if (!(shape.shifted || shape.by_columns) || !all_one(weights, 1, rows))
    return reduce_block(work.kernel, shape, want == Want::covariance, block, rows, weights, node);
  if (shape.by_columns)
    return reduce_narrow(shape, want, block, Layout{rows, shape.d, 1, shape.stride}, block, work, node, nullptr, 0);
  const ShiftedRows shifted(shape, want, rows, work, node);
  shifted.take_strips(block);
  shifted.finish();
}

// Adds the rows of a block to the node of everything before it. The two means differ by delta, which adds a multiple of
// delta delta' to M2: one more row of the block. pack_strips(from, to) fills in the rows. Nobody looks at the node
// before all of it is done: the caller asks for Ctrl-C afterwards.
template <class PackStrips>
Outcome add_sequential(const CovarianceShape& shape, bool full, double* node, double* block, Size rows,
                       const double* weights, PackStrips&& pack_strips) noexcept {
  constexpr Size strips_per_task = 8, strips_per_side = 16;
  const CovarianceKernel& kernel = kernel_of<CovarianceKernel>();
  const BlockWeights w(weights, rows);
  const auto leaf = AlignedBuffer<double>::zeros(shape.m2()), delta = AlignedBuffer<double>::zeros(shape.padded());
  if (!leaf || !delta) return no_memory;
  const Commit commit;  // so nothing below is interrupted
  const double ns = static_cast<double>(rows) * row_ns(shape.d, full);
  const auto strip_tasks = [&](auto&& body) noexcept {
    const auto task = [&](Size i) { body(i * strips_per_task, std::min(shape.strips, (i + 1) * strips_per_task)); };
    static_cast<void>(parallel_blocks((shape.strips + strips_per_task - 1) / strips_per_task, ns, task));
  };
  if (w.total == 0) return {};
  strip_tasks([&](Size from, Size to) {
    pack_strips(from, to);
    kernel.centre(shape, block, rows, w.values, w.total, w.reference, from, to, leaf.data() + shape.hi(),
                  leaf.data() + shape.lo());
  });
  leaf.data()[0] = w.total;
  if (node[0] == 0) {
    std::copy_n(leaf.data(), shape.m2(), node);
  } else {
    const double factor = std::sqrt(kernel.merge_means(shape, node, leaf.data(), 1, delta.data()));
    for (Size j = 0; j < shape.padded(); ++j) block[shape.index(rows, j)] = factor * delta.data()[j];
    ++rows;
  }
  double* m2 = node + shape.m2();
  if (!full) {
    strip_tasks([&](Size from, Size to) { kernel.squares(shape, block, rows, from, to, true, m2); });
  } else {
    const Size sides = (shape.strips + strips_per_side - 1) / strips_per_side;
    const auto products = [&](Size task) {
      Size i = 0;
      for (; task >= sides - i; ++i) task -= sides - i;
      const Size j = i + task;
      kernel.products(shape, block, rows, i * strips_per_side, std::min(shape.strips, (i + 1) * strips_per_side),
                      j * strips_per_side, std::min(shape.strips, (j + 1) * strips_per_side), true, m2, nullptr, 0);
    };
    static_cast<void>(parallel_blocks(sides * (sides + 1) / 2, ns, products));
  }
  return {};
}

// The nodes of a MergeTree of moments.
struct CovarianceNodes {
  using Workspace = CovarianceWorkspace;

  CovarianceShape shape;
  Want want;

  CovarianceNodes(Size d, Want wanted) noexcept : shape(d), want(wanted) {}

  bool full() const noexcept { return want == Want::covariance; }
  Size size() const noexcept { return shape.node_size(full()); }
  double block_ns() const noexcept { return static_cast<double>(shape.rows) * row_ns(shape.d, full()); }
  Workspace request(int level) const noexcept { return Workspace(shape, full(), level); }
  Workspace request_for_merging() const noexcept { return Workspace(shape); }
  // A node of no weight changes nothing, and is changed into the other one.
  void merge(double* into, const double* other, const Workspace& work) const noexcept {
    if (other[0] == 0) return;
    if (into[0] == 0)
      std::copy_n(other, size(), into);
    else
      work.kernel.merge(shape, full(), into, other, 1, work.delta);
  }
};

}  // namespace mmlfast::drivers
