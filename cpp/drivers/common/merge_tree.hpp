// What states of rows that come in pieces have in common. Rows are counted into blocks of fixed length; the rows of an
// unfinished block are kept, so that any chunking gives the same bits. Blocks are reduced to nodes in parallel, and the
// nodes merged like the digits of a binary counter: in a tree that depends on the number of blocks alone.
//
// `Nodes` says what a node is:
//
//   Size size()                                 how many doubles it is made of
//   double block_ns()                           what it takes one thread to reduce a block
//   Workspace request(int level)                memory of the calling thread to reduce 2^level blocks with, among it
//                                               `nodes` for level + 1 nodes; false if there is none
//   Workspace request_for_merging()             the same to merge nodes with
//   void merge(double* into, const double* other, const Workspace&)       into := into and what comes after it
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "drivers/common/table.hpp"
#include "runtime/aligned_buffer.hpp"
#include "runtime/interrupt.hpp"
#include "runtime/locked_state.hpp"
#include "runtime/outcome.hpp"
#include "runtime/thread_pool.hpp"

namespace mmlfast::drivers {

using Numbers = AlignedBuffer<double>;

// to := from, empty if that is. False if there is no memory.
inline bool copy(Numbers& to, const Numbers& from) noexcept {
  Numbers fresh;
  if (from) {
    fresh = Numbers(from.size());
    if (!fresh) return false;
    std::copy_n(from.data(), from.size(), fresh.data());
  }
  to = std::move(fresh);
  return true;
}

// Takes in the rows of a table, of which an unfinished block has `open_rows` already: those that fill(rows) puts into
// it, whole(rows, n_blocks), and again those that do not make a block.
template <class T, class Fill, class Whole>
Outcome take_in_blocks(const Table<T>& table, Size open_rows, Size rows_per_block, Fill&& fill,
                       Whole&& whole) noexcept {
  const Size n = table.layout.rows;
  Size taken = 0;
  if (open_rows > 0) {
    taken = std::min(n, rows_per_block - open_rows);
    const Outcome outcome = fill(table.rows(0, taken));
    if (!outcome.ok()) return outcome;
  }
  const Size blocks = (n - taken) / rows_per_block;
  if (blocks > 0) {
    const Outcome outcome = whole(table.rows(taken, blocks * rows_per_block), blocks);
    if (!outcome.ok()) return outcome;
    taken += blocks * rows_per_block;
  }
  return fill(table.rows(taken, n - taken));
}

template <class Nodes>
class MergeTree {
 public:
  using Workspace = typename Nodes::Workspace;
  static constexpr int most_levels = 48;

  std::uint64_t n_blocks() const noexcept { return n_blocks_; }

  // f(node, level) for the nodes of 2^level blocks that there are, the one of the first blocks first.
  template <class F>
  void for_each(F&& f) const {
    for (int l = most_levels - 1; l >= 0; --l)
      if (has(n_blocks_, l)) f(levels_[l].data(), l);
  }

  // Adds the node of 2^level blocks, which n_blocks() must be a multiple of; taken(level, node) in the same commit.
  template <class Taken>
  Outcome push(const Nodes& nodes, const double* node, int level, Taken&& taken) noexcept {
    Numbers current(nodes.size());
    const Workspace work = nodes.request_for_merging();
    if (!current || !work) return {Outcome::Status::no_memory};
    std::copy_n(node, nodes.size(), current.data());
    const Commit commit;
    int l = level;
    for (; has(n_blocks_, l); ++l) {
      nodes.merge(levels_[l].data(), current.data(), work);
      std::swap(levels_[l], current);
    }
    std::swap(levels_[l], current);
    n_blocks_ += std::uint64_t{1} << level;
    taken(level, node);
    return {};
  }

  // Adds blocks, of which reduce(k, node, work) makes the k-th node. After an interruption the first ones, up to some
  // block, have been taken in.
  template <class Reduce, class Taken>
  Outcome push_blocks(const Nodes& nodes, Size n_blocks, Reduce&& reduce, Taken&& taken) noexcept {
    struct Task {
      Size first;
      int level;
      bool done;
    };
    constexpr int most_tasks = 256;
    // Some tasks for each of many threads, but not so short that merging them is what takes the time.
    const double all_ns = nodes.block_ns() * static_cast<double>(n_blocks);
    const double task_ns = std::clamp(all_ns / 24, 100'000.0, 900'000.0);
    constexpr Size most_bytes = Size{32} << 20;
    Task tasks[most_tasks];
    int highest = 0;
    while (highest < 12 && nodes.block_ns() * static_cast<double>(Size{2} << highest) <= task_ns) ++highest;
    const Size size = nodes.size();
    const int tasks_per_round = static_cast<int>(std::clamp<Size>(most_bytes / (8 * size), 8, most_tasks));
    const Numbers results(std::min<Size>(tasks_per_round, n_blocks) * size);
    if (!results) return {Outcome::Status::no_memory};
    InterruptTimer timer;
    for (Size begun = 0; begun < n_blocks;) {
      int n_tasks = 0;
      Size first = begun;
      for (; n_tasks < tasks_per_round && first < n_blocks; ++n_tasks) {
        // The largest subtree of the whole tree that starts here.
        const std::uint64_t position = n_blocks_ + static_cast<std::uint64_t>(first - begun);
        int level = 0;
        while (level < highest && !has(position, level) && first + (Size{2} << level) <= n_blocks) ++level;
        tasks[n_tasks] = {first, level, false};
        first += Size{1} << level;
      }
      JoinedOutcome outcome;
      const double ns = nodes.block_ns() * static_cast<double>(first - begun);
      const bool finished = parallel_blocks(n_tasks, ns, [&](Size t) {
        const Workspace work = nodes.request(highest);
        if (!work) return outcome.join({Outcome::Status::no_memory});
        subtree(nodes, tasks[t].first, tasks[t].level, reduce, work, results.data() + t * size);
        tasks[t].done = true;
      });
      if (!finished) outcome.join({Outcome::Status::interrupted});
      for (int t = 0; t < n_tasks && tasks[t].done; ++t) {
        const Outcome pushed = push(nodes, results.data() + t * size, tasks[t].level, taken);
        if (!pushed.ok()) return pushed;
      }
      if (!finished || outcome.stopped()) return outcome.get();
      if (timer.interrupted()) return {Outcome::Status::interrupted};
      begun = first;
    }
    return {};
  }

  // False if there is no memory.
  bool copy(const MergeTree& other) noexcept {
    MergeTree fresh;
    for (int l = 0; l < most_levels; ++l)
      if (has(other.n_blocks_, l) && !drivers::copy(fresh.levels_[l], other.levels_[l])) return false;
    fresh.n_blocks_ = other.n_blocks_;
    *this = std::move(fresh);
    return true;
  }

  // The nodes, the one of the last blocks first, at the end of `to`; and back: take(node) fills each of those that
  // n_blocks make. False if one of them does.
  void save(const Nodes& nodes, std::vector<double>& to) const {
    for (int l = 0; l < most_levels; ++l)
      if (has(n_blocks_, l)) to.insert(to.end(), levels_[l].data(), levels_[l].data() + nodes.size());
  }
  template <class Take>
  bool restore(std::uint64_t n_blocks, Take&& take) {
    n_blocks_ = n_blocks;
    for (int l = 0; l < most_levels; ++l)
      if (has(n_blocks_, l) && !take(levels_[l])) return false;
    return true;
  }

 private:
  static bool has(std::uint64_t n_blocks, int level) noexcept { return (n_blocks >> level) & 1; }

  // out := the node of 2^level blocks, merged two by two.
  template <class Reduce>
  static void subtree(const Nodes& nodes, Size first, int level, Reduce&& reduce, const Workspace& work,
                      double* out) noexcept {
    double* waiting[most_levels];  // at l a node of 2^l blocks
    for (int l = 0; l < level; ++l) waiting[l] = work.nodes + l * nodes.size();
    double* current = work.nodes + level * nodes.size();
    for (Size k = 0; k < Size{1} << level; ++k) {
      reduce(first + k, current, work);
      int l = 0;
      for (; (k >> l) & 1; ++l) {
        nodes.merge(waiting[l], current, work);
        std::swap(waiting[l], current);
      }
      if (l < level) std::swap(waiting[l], current);
    }
    std::copy_n(current, nodes.size(), out);
  }

  std::uint64_t n_blocks_ = 0;  // bit l set: levels_[l] holds the node of 2^l blocks
  Numbers levels_[most_levels];
};

}  // namespace mmlfast::drivers
