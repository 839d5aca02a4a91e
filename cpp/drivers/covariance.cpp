// Batches of tables: tables of few rows and columns eight at a time, one in each lane; others one by one, several
// threads sharing them; large ones one after another, with all threads inside.
#include "drivers/covariance.hpp"

#include <algorithm>
#include <bit>

#include "drivers/common/function_ref.hpp"
#include "drivers/common/lane_batch.hpp"
#include "drivers/common/parallel.hpp"
#include "drivers/covariance_moments.hpp"
#include "drivers/covariance_results.hpp"
#include "drivers/covariance_scaled.hpp"
#include "runtime/interrupt.hpp"

namespace mmlfast::drivers {

namespace {

// The node of at most shape.rows rows.
template <class T>
void reduce_block_of(const CovarianceShape& shape, const Table<T>& table, Want want, const CovarianceWorkspace& work,
                     double* node) noexcept {
  const Layout& l = table.layout;
  if (!shape.is_short(l.rows)) {
    reduce_rows(shape, want, table, work, node);
  } else if (want != Want::mean || !reduce_means(work.kernel, shape.short_shape(), table, work.block, node)) {
    const double* packed = pack_weights(table.weights, table.weights_stride, l.rows, work.weights);
    reduce_few(work.kernel, shape, want == Want::covariance, table.data, l, packed, work.block, work.strips, node);
  }
}

// The node of any number of rows by one thread, which Moments would make, in the memory of `work`: blocks in the same
// tree, and what is left of the last one.
template <class T>
const double* reduce_blocks(const CovarianceNodes& nodes, const Table<T>& table, const CovarianceWorkspace& work,
                            int levels) noexcept {
  const Size rows = nodes.shape.rows, n_blocks = table.layout.rows / rows;
  double* waiting[64];  // at l a node of 2^l blocks
  for (int l = 0; l < levels; ++l) waiting[l] = work.nodes + l * nodes.size();
  double* current = work.nodes + levels * nodes.size();
  for (Size k = 0; k < n_blocks; ++k) {
    reduce_block_of(nodes.shape, table.rows(k * rows, rows), nodes.want, work, current);
    int l = 0;
    for (; (k >> l) & 1; ++l) {
      nodes.merge(waiting[l], current, work);
      std::swap(waiting[l], current);
    }
    std::swap(waiting[l], current);
  }
  std::fill_n(current, nodes.size(), 0.0);
  for (int l = levels; l-- > 0;)
    if ((n_blocks >> l) & 1) nodes.merge(current, waiting[l], work);
  if (const Size rest = table.layout.rows - n_blocks * rows; rest > 0) {
    reduce_block_of(nodes.shape, table.rows(n_blocks * rows, rest), nodes.want, work, waiting[0]);
    nodes.merge(current, waiting[0], work);
  }
  return current;
}

using WriteNode = FunctionRef<void, Size, const CovarianceShape&, const double*, const double*>;
template <class T>
using CallLanes = FunctionRef<LaneBits, const T* const*, const double* const*, Size, Size, double*>;

// write(item, shape, node, powers) for the node of a table. One whose numbers are too large or too small for `safe` is
// that of the columns times 2^-powers[j]; else powers is null.
template <class T>
Outcome reduce_table(const Table<T>& table, Size item, Want want, const SafeSquares& safe, bool by_one_thread,
                     const WriteNode& write) noexcept {
  const Layout& l = table.layout;
  const CovarianceNodes nodes(l.cols, want);
  const CovarianceShape& shape = nodes.shape;
  const auto written = [&](const double* node) noexcept -> Outcome {
    Numbers result, powers;
    Outcome outcome;
    if constexpr (sizeof(T) == 8) outcome = scaled_moments(table, want, safe, shape, node, result, powers);
    if (outcome.ok()) write(item, shape, result ? result.data() : node, powers.data());
    return outcome;
  };
  if (!shape.sequential && (by_one_thread || l.rows <= shape.rows)) {
    const int levels = l.rows <= shape.rows ? 0 : std::bit_width(static_cast<std::uint64_t>(l.rows / shape.rows));
    const CovarianceWorkspace work = nodes.request(levels);
    if (!work) return no_memory;
    if (levels > 0) return written(reduce_blocks(nodes, table, work, levels));
    reduce_block_of(shape, table, want, work, work.nodes);
    return written(work.nodes);
  }
  Moments moments(l.cols, want);
  Numbers node;
  Outcome outcome = moments.update(table);
  if (outcome.ok()) outcome = moments.total(node);
  return outcome.ok() ? written(node.data()) : outcome;
}

// `reduce_table` of every table.
template <class T>
Outcome for_each_table(Size n_items, const Batch<const T>& x, const Batch<const double>& weights, Want want,
                       const SafeSquares& safe, const WriteNode& write) noexcept {
  const bool full = want == Want::covariance;
  const Layout& l = x.layout;
  const double item_ns = 50 + static_cast<double>(l.rows) * row_ns(l.cols, full);
  const bool threads_inside = item_ns > (n_items == 1 ? threading_threshold_ns : 2'000'000);
  const auto reduce_item = [&](Size item) noexcept -> Outcome {
    const double* w = weights.data == nullptr ? nullptr : weights.item(item);
    const Table<T> table{x.item(item), l, w, weights.layout.row_stride};
    return reduce_table(table, item, want, safe, !threads_inside, write);
  };
  if (n_items == 1 || threads_inside) {
    InterruptTimer timer;
    for (Size i = 0; i < n_items; ++i) {
      const Outcome outcome = reduce_item(i);
      if (!outcome.ok()) return outcome;
      if (timer.interrupted()) return interrupted;
    }
    return {};
  }
  return parallel_with_scratch(n_items, item_ns, 0, [&](Size item, void*) { return reduce_item(item); });
}

// Does it pay to put the tables into lanes? Empty lanes cost as much as full ones.
bool in_lanes(Size n_items, const Layout& table) noexcept {
  return n_items >= 5 && CovarianceShape(table.cols).is_short(table.rows);
}

// call(item pointers, weight pointers or null, first, count, scratch) -> LaneBits for eight tables after the
// other; those that it returns go through `reduce_table`, if they have a column that needs a power of two.
template <class T>
Outcome for_each_lane_group(Size n_items, const Batch<const T>& x, const Batch<const double>& weights, Want want,
                            const SafeSquares& safe, const CallLanes<T>& call, const WriteNode& write) noexcept {
  const Layout& l = x.layout;
  const bool weighted = weights.data != nullptr;
  const double item_ns = 10 + static_cast<double>(l.rows) * row_ns(l.cols, want == Want::covariance) * 0.25;
  // Enough for reduce_table too, which otherwise might ask for more, and move what the next group works in.
  const Size scratch_bytes =
      std::max<Size>(8 * covariance_lanes_scratch(l.rows, l.cols, weighted),
                     CovarianceWorkspace::bytes(CovarianceShape(l.cols), want == Want::covariance, 0));
  JoinedOutcome of_left;
  Outcome outcome =
      run_in_lanes<double>(n_items, item_ns, ceil_div(scratch_bytes, 64), [&](Size first, Size count, void* memory) {
        double* scratch = static_cast<double*>(memory);
        const LaneItems<const T> items(x, first, count);
        LaneBits left;
        if (weighted) {
          left = call(items.item, LaneItems<const double>(weights, first, count).item, first, count, scratch);
        } else {
          left = call(items.item, nullptr, first, count, scratch);
        }
        if constexpr (sizeof(T) == 8) {
          for (left &= occupied(count); left != 0; left &= left - 1) {
            const Size item = first + std::countr_zero(left);
            const double* w = weighted ? weights.item(item) : nullptr;
            const Table<T> table{x.item(item), l, w, weights.layout.row_stride};
            if (has_far_column(table)) of_left.join(reduce_table(table, item, want, safe, true, write));
          }
        }
        return LaneBits{0};
      });
  outcome.join(of_left.get());
  return outcome;
}

}  // namespace

template <class T>
Outcome covariance(Size n_items, const Batch<const T>& x, const Batch<const double>& weights,
                   const Batch<const double>& ddof, const Batch<T>& cov) noexcept {
  const auto write = [&](Size i, const CovarianceShape& shape, const double* node, const double* powers) {
    write_covariance(shape, node, powers, *ddof.item(i), cov.item(i), cov.layout);
  };
  if (!in_lanes(n_items, x.layout)) return for_each_table(n_items, x, weights, Want::covariance, safe_squares, write);
  const auto& kernel = kernel_of<CovarianceInLanes<T>>();
  const auto call = [&](auto items, auto w, Size first, Size count, double* scratch) {
    return kernel.covariance(items, x.layout, w, weights.layout.row_stride,
                             LaneItems<const double>(ddof, first, count).item, LaneItems<T>(cov, first, count).item,
                             cov.layout, scratch);
  };
  return for_each_lane_group<T>(n_items, x, weights, Want::covariance, safe_squares, call, write);
}

template <class T>
Outcome correlation(Size n_items, const Batch<const T>& x, const Batch<const double>& weights,
                    const Batch<T>& cor) noexcept {
  const auto write = [&](Size i, const CovarianceShape& shape, const double* node, const double*) {
    write_correlation(shape, node, cor.item(i), cor.layout);
  };
  if (!in_lanes(n_items, x.layout)) return for_each_table(n_items, x, weights, Want::covariance, safe_products, write);
  const auto& kernel = kernel_of<CovarianceInLanes<T>>();
  const auto call = [&](auto items, auto w, Size first, Size count, double* scratch) {
    return kernel.correlation(items, x.layout, w, weights.layout.row_stride, LaneItems<T>(cor, first, count).item,
                              cor.layout, scratch);
  };
  return for_each_lane_group<T>(n_items, x, weights, Want::covariance, safe_products, call, write);
}

template <class T>
Outcome variance(Size n_items, const Batch<const T>& x, const Batch<const double>& weights,
                 const Batch<const double>& ddof, bool root, const Batch<T>& var) noexcept {
  const auto write = [&](Size i, const CovarianceShape& shape, const double* node, const double* powers) {
    write_variance(shape, node, powers, *ddof.item(i), root, var.item(i), var.layout.row_stride);
  };
  if (!in_lanes(n_items, x.layout)) return for_each_table(n_items, x, weights, Want::variance, safe_squares, write);
  const auto& kernel = kernel_of<CovarianceInLanes<T>>();
  const auto call = [&](auto items, auto w, Size first, Size count, double* scratch) {
    return (root ? kernel.deviation : kernel.variance)(
        items, x.layout, w, weights.layout.row_stride, LaneItems<const double>(ddof, first, count).item,
        LaneItems<T>(var, first, count).item, var.layout.row_stride, scratch);
  };
  return for_each_lane_group<T>(n_items, x, weights, Want::variance, safe_squares, call, write);
}

template <class T>
Outcome mean(Size n_items, const Batch<const T>& x, const Batch<const double>& weights,
             const Batch<T>& result) noexcept {
  const auto write = [&](Size i, const CovarianceShape& shape, const double* node, const double* powers) {
    write_mean(shape, node, powers, result.item(i), result.layout.row_stride);
  };
  if (!in_lanes(n_items, x.layout)) return for_each_table(n_items, x, weights, Want::mean, safe_squares, write);
  const auto& kernel = kernel_of<CovarianceInLanes<T>>();
  const auto call = [&](auto items, auto w, Size first, Size count, double* scratch) {
    return kernel.mean(items, x.layout, w, weights.layout.row_stride, LaneItems<T>(result, first, count).item,
                       result.layout.row_stride, scratch);
  };
  return for_each_lane_group<T>(n_items, x, weights, Want::mean, safe_squares, call, write);
}

Outcome affine_covariance(Size n_items, const Batch<const double>& a, const Batch<const double>& c,
                          const Batch<double>& mapped, const Batch<bool>& ordinary) noexcept {
  const Size m = a.layout.rows, d = a.layout.cols;
  const CovarianceKernel& kernel = kernel_of<CovarianceKernel>();
  const double products = static_cast<double>(m * d * (m + d));
  return run_in_lanes<double>(
      n_items, 10 + products * 0.2, affine_scratch(m, d) / 8, [&](Size first, Size count, void* scratch) {
        const LaneItems<const double> maps(a, first, count), covariances(c, first, count);
        const LaneBits left = kernel.of_affine_map(maps.item, a.layout, covariances.item, c.layout,
                                                   LaneItems<double>(mapped, first, count).item, mapped.layout,
                                                   static_cast<double*>(scratch));
        for (Size i = 0; i < count; ++i) *ordinary.item(first + i) = ((left >> i) & 1) == 0;
        return LaneBits{0};
      });
}

#define MMLFAST_INSTANTIATE(T)                                                                                        \
  template Outcome covariance<T>(Size, const Batch<const T>&, const Batch<const double>&, const Batch<const double>&, \
                                 const Batch<T>&) noexcept;                                                           \
  template Outcome correlation<T>(Size, const Batch<const T>&, const Batch<const double>&, const Batch<T>&) noexcept; \
  template Outcome variance<T>(Size, const Batch<const T>&, const Batch<const double>&, const Batch<const double>&,   \
                               bool, const Batch<T>&) noexcept;                                                       \
  template Outcome mean<T>(Size, const Batch<const T>&, const Batch<const double>&, const Batch<T>&) noexcept;
MMLFAST_INSTANTIATE(double)
MMLFAST_INSTANTIATE(float)

}  // namespace mmlfast::drivers
