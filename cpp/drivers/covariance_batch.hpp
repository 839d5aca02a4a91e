// Batches of tables: tables of few rows and columns eight at a time, one in each lane; others one by one, several
// threads sharing them; large ones one after another, with all threads inside. Included by
// drivers/covariance.cpp alone.
#pragma once

#include <algorithm>
#include <atomic>

#include "drivers/covariance.hpp"
#include "drivers/covariance_blocks.hpp"
#include "drivers/lane_batch.hpp"
#include "runtime/interrupt.hpp"

namespace mmlfast::drivers {

namespace {

// write(item, shape, node) for the node of every table.
template <class T, class Write>
Outcome for_each_table(Size n_items, const Batch<const T>& x, const Batch<const double>& weights, Want want,
                       Write&& write) noexcept {
  const bool full = want == Want::covariance;
  const Layout& l = x.layout;
  const MomentShape shape(l.cols);
  const bool one_block = l.rows <= shape.rows && !shape.sequential;
  const auto reduce_item = [&](Size item) noexcept -> Outcome {
    const Table<T> table{x.item(item), l, weights.data == nullptr ? nullptr : weights.item(item),
                         weights.layout.row_stride};
    if (one_block) {
      const Workspace work = Workspace::request(shape, full, 0);
      if (work.nodes == nullptr) return no_memory;
      if (!shape.few(l.rows)) {
        reduce_rows(shape, want, table, work, work.nodes);
      } else if (want != Want::mean || !reduce_means(shape.of_few(), table, work.block, work.nodes)) {
        const double* packed = pack_weights(table.weights, table.weights_stride, l.rows, work.weights);
        reduce_few(shape, full, table.data, l, packed, work.block, work.strips, work.nodes);
      }
      write(item, shape, work.nodes);
      return {};
    }
    Moments moments(l.cols, want);
    Doubles node;
    Outcome outcome = moments.update(table);
    if (outcome.ok()) outcome = moments.total(node);
    if (outcome.ok()) write(item, shape, node.data());
    return outcome;
  };
  const double item_ns = 50 + static_cast<double>(l.rows) * row_ns(l.cols, full);
  if (n_items == 1 || item_ns > 2'000'000) {  // threads inside
    InterruptTimer timer;
    for (Size i = 0; i < n_items; ++i) {
      const Outcome outcome = reduce_item(i);
      if (!outcome.ok()) return outcome;
      if (timer.interrupted()) return interrupted;
    }
    return {};
  }
  const Size per_block = std::max<Size>(1, static_cast<Size>(50'000 / item_ns));
  std::atomic<Outcome::Status> worst{Outcome::Status::ok};
  const bool finished =
      parallel_blocks((n_items + per_block - 1) / per_block, item_ns * static_cast<double>(n_items), [&](Size block) {
        for (Size i = block * per_block; i < std::min(n_items, (block + 1) * per_block); ++i) {
          const Outcome outcome = reduce_item(i);
          if (!outcome.ok()) worst.store(outcome.status, std::memory_order_relaxed);
        }
      });
  if (worst != Outcome::Status::ok) return {worst};
  return finished ? Outcome{} : interrupted;
}

// Does it pay to put the tables into lanes? Empty lanes cost as much as full ones.
bool in_lanes(Size n_items, const Layout& table) noexcept {
  return n_items >= 5 && MomentShape(table.cols).few(table.rows);
}

// call(kernel, item pointers, weight pointers or null, first, count, scratch) for eight tables after the other.
template <class T, class Call>
Outcome for_each_lane_group(Size n_items, const Batch<const T>& x, const Batch<const double>& weights, bool full,
                            Call&& call) noexcept {
  const Layout& l = x.layout;
  const bool weighted = weights.data != nullptr;
  const auto& kernel = of_type<T>(moment_lanes_f64, moment_lanes_f32);
  const double item_ns = 10 + static_cast<double>(l.rows) * row_ns(l.cols, full) * 0.25;
  const Size scratch_vectors = moment_lanes_scratch(l.rows, l.cols, weighted) / 8;
  return run_in_lanes<double>(n_items, item_ns, scratch_vectors, [&](Size first, Size count, void* scratch) {
    const LaneItems<const T> items(x, first, count);
    if (weighted) {
      const LaneItems<const double> of_rows(weights, first, count);
      call(kernel, items.item, of_rows.item, first, count, static_cast<double*>(scratch));
    } else {
      call(kernel, items.item, nullptr, first, count, static_cast<double*>(scratch));
    }
    return LaneBits{0};
  });
}

}  // namespace

template <class T>
Outcome covariance(Size n_items, const Batch<const T>& x, const Batch<const double>& weights,
                   const Batch<const double>& ddof, const Batch<T>& cov) noexcept {
  if (in_lanes(n_items, x.layout)) {
    return for_each_lane_group(n_items, x, weights, true,
                               [&](const auto& kernel, auto items, auto w, Size first, Size count, double* scratch) {
                                 kernel.covariance(items, x.layout, w, weights.layout.row_stride,
                                                   LaneItems<const double>(ddof, first, count).item,
                                                   LaneItems<T>(cov, first, count).item, cov.layout, scratch);
                               });
  }
  return for_each_table(n_items, x, weights, Want::covariance,
                        [&](Size i, const MomentShape& shape, const double* node) {
                          Moments::write_covariance(shape, node, *ddof.item(i), cov.item(i), cov.layout);
                        });
}

template <class T>
Outcome variance(Size n_items, const Batch<const T>& x, const Batch<const double>& weights,
                 const Batch<const double>& ddof, const Batch<T>& var) noexcept {
  if (in_lanes(n_items, x.layout)) {
    return for_each_lane_group(n_items, x, weights, false,
                               [&](const auto& kernel, auto items, auto w, Size first, Size count, double* scratch) {
                                 kernel.variance(items, x.layout, w, weights.layout.row_stride,
                                                 LaneItems<const double>(ddof, first, count).item,
                                                 LaneItems<T>(var, first, count).item, var.layout.row_stride, scratch);
                               });
  }
  return for_each_table(n_items, x, weights, Want::variance, [&](Size i, const MomentShape& shape, const double* node) {
    Moments::write_variance(shape, node, *ddof.item(i), var.item(i), var.layout.row_stride);
  });
}

template <class T>
Outcome mean(Size n_items, const Batch<const T>& x, const Batch<const double>& weights,
             const Batch<T>& result) noexcept {
  if (in_lanes(n_items, x.layout)) {
    return for_each_lane_group(n_items, x, weights, false,
                               [&](const auto& kernel, auto items, auto w, Size first, Size count, double* scratch) {
                                 kernel.mean(items, x.layout, w, weights.layout.row_stride,
                                             LaneItems<T>(result, first, count).item, result.layout.row_stride,
                                             scratch);
                               });
  }
  return for_each_table(n_items, x, weights, Want::mean, [&](Size i, const MomentShape& shape, const double* node) {
    Moments::write_mean(shape, node, result.item(i), result.layout.row_stride);
  });
}

}  // namespace mmlfast::drivers
