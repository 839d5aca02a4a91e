#include "drivers/covariance_moments.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "drivers/common/saved_numbers.hpp"
#include "runtime/interrupt.hpp"

namespace mmlfast::drivers {

double Moments::weight() const noexcept {
  return closed_weight_ + open_weight_ + (merged_ ? merged_.data()[0] : 0) - (removed_ ? removed_.data()[0] : 0);
}

bool Moments::empty() const noexcept {
  return tree_.n_blocks() == 0 && !sequential_ && open_rows_ == 0 && !merged_ && !removed_;
}

Outcome Moments::merge_node(double* into, const double* node) const noexcept {
  const CovarianceWorkspace work = nodes_.request_for_merging();
  if (!work) return no_memory;
  nodes_.merge(into, node, work);
  return {};
}

// into := into + sign * node.
Outcome Moments::join(Numbers& into, const Numbers& node, double sign) const noexcept {
  if (!into) return drivers::copy(into, node) ? Outcome{} : no_memory;
  if (sign > 0) return merge_node(into.data(), node.data());
  const CovarianceWorkspace work = nodes_.request_for_merging();
  if (!work) return no_memory;
  if (into[0] <= node[0]) {
    std::fill_n(into.data(), node_size(), 0.0);
  } else if (node[0] > 0) {
    work.kernel.merge(shape(), nodes_.full(), into.data(), node.data(), -1, work.delta);
    for (Size j = 0; j < shape().d; ++j) {  // rounding must not make a variance negative
      double& square = into[square_of_column(j)];
      if (square < 0) square = 0;
    }
  }
  return {};
}

template <class T>
Outcome Moments::fill_open(const Table<T>& table) noexcept {
  const Size rows = table.layout.rows;
  if (rows == 0) return {};
  const Commit commit;
  if (!open_) open_ = Numbers::zeros(shape().block_size());
  if (!open_) return no_memory;
  if (table.weights != nullptr && !open_weights_) {
    open_weights_ = Numbers::zeros(weights_size(shape()));
    if (!open_weights_) return no_memory;
    std::fill_n(open_weights_.data(), open_rows_, 1.0);
  }
  pack(kernel_of<CovarianceKernel>(), shape(), table.data, table.layout, open_.data() + shape().index(open_rows_, 0));
  if (open_weights_) {
    for (Size r = 0; r < rows; ++r) {
      const double w = table.weights == nullptr ? 1 : table.weights[r * table.weights_stride];
      open_weights_[open_rows_ + r] = w;
      open_weight_ += w;
    }
  } else {
    open_weight_ += static_cast<double>(rows);
  }
  open_rows_ += rows;
  return open_rows_ == shape().rows ? close_open() : Outcome{};
}

Outcome Moments::close_open() noexcept {
  const double* weights = open_weights_.data();
  Outcome outcome;
  if (shape().sequential) {
    outcome = add_to_sequential(open_rows_, weights, [](Size, Size) {});
  } else {
    const Numbers node(node_size());
    {
      const CovarianceWorkspace work = nodes_.request(0);
      if (!work || !node) return no_memory;
      reduce_packed(shape(), nodes_.want, open_.data(), open_rows_, weights, work, node.data());
    }
    outcome = tree_.push(nodes_, node.data(), 0, [this](int, const double* pushed) { closed_weight_ += pushed[0]; });
  }
  if (!outcome.ok()) return outcome;
  open_rows_ = 0;
  open_weight_ = 0;
  open_weights_ = Numbers{};
  return {};
}

// Adds a block, the rows of which pack_strips puts into open_.
template <class PackStrips>
Outcome Moments::add_to_sequential(Size rows, const double* weights, PackStrips&& pack_strips) noexcept {
  Numbers fresh;
  if (!sequential_) fresh = Numbers::zeros(node_size());
  double* node = sequential_ ? sequential_.data() : fresh.data();
  if (node == nullptr) return no_memory;
  const Commit commit;
  const Outcome outcome = add_sequential(shape(), nodes_.full(), node, open_.data(), rows, weights, pack_strips);
  if (!outcome.ok()) return outcome;
  if (!sequential_) sequential_ = std::move(fresh);
  closed_weight_ = sequential_[0];
  return {};
}

template <class T>
Outcome Moments::sequential_block(const Table<T>& table) noexcept {
  if (!open_) open_ = Numbers::zeros(shape().block_size());
  Numbers packed;
  if (table.weights != nullptr) packed = Numbers(weights_size(shape()));
  if (!open_ || (table.weights != nullptr && !packed)) return no_memory;
  const Layout& l = table.layout;
  const CovarianceKernel& kernel = kernel_of<CovarianceKernel>();
  const double* weights = pack_weights(table.weights, table.weights_stride, l.rows, packed.data());
  return add_to_sequential(l.rows, weights, [&](Size from, Size to) noexcept {
    const Size first = from * 8, cols = std::min(shape().d, to * 8) - first;
    pack(kernel, shape(), table.data + first * l.col_stride, Layout{l.rows, cols, l.row_stride, l.col_stride},
         open_.data() + shape().index(0, first));
  });
}

template <class T>
Outcome Moments::whole_blocks(const Table<T>& table, Size n_blocks) noexcept {
  const Size rows = shape().rows;
  if (!shape().sequential) {
    const auto reduce = [&](Size k, double* node, const CovarianceWorkspace& work) {
      reduce_rows(shape(), nodes_.want, table.rows(k * rows, rows), work, node);
    };
    return tree_.push_blocks(nodes_, n_blocks, reduce, [this](int, const double* node) { closed_weight_ += node[0]; });
  }
  InterruptTimer timer;
  for (Size k = 0; k < n_blocks; ++k) {
    const Outcome outcome = sequential_block(table.rows(k * rows, rows));
    if (!outcome.ok()) return outcome;
    if (timer.interrupted()) return interrupted;
  }
  return {};
}

template <class T>
Outcome Moments::update(const Table<T>& table) noexcept {
  if (table.weights != nullptr) weighted_ = true;
  return take_in_blocks(
      table, open_rows_, shape().rows, [&](const Table<T>& rows) { return fill_open(rows); },
      [&](const Table<T>& rows, Size n_blocks) { return whole_blocks(rows, n_blocks); });
}

// node := node + the rows of the unfinished block, of which there are some.
Outcome Moments::add_open(double* node) const noexcept {
  const double* weights = open_weights_.data();
  Numbers block, of_open;
  if (!shape().is_short(open_rows_) && !drivers::copy(block, open_)) return no_memory;  // which is centred in place
  if (shape().sequential)
    return add_sequential(shape(), nodes_.full(), node, block.data(), open_rows_, weights, [](Size, Size) {});
  const CovarianceWorkspace work = nodes_.request(0);
  if (!work) return no_memory;
  if (shape().is_short(open_rows_))
    reduce_few(work.kernel, shape(), nodes_.full(), open_.data(), Layout{open_rows_, shape().d, 1, shape().stride},
               weights, work.block, work.strips, work.nodes);
  else
    reduce_packed(shape(), nodes_.want, block.data(), open_rows_, weights, work, work.nodes);
  nodes_.merge(node, work.nodes, work);
  return {};
}

Outcome Moments::total(Numbers& node) const noexcept {
  node = Numbers::zeros(node_size());
  {
    const CovarianceWorkspace work = nodes_.request_for_merging();
    if (!node || !work) return no_memory;
    tree_.for_each([&](const double* of_blocks, int) { nodes_.merge(node.data(), of_blocks, work); });
    if (sequential_) nodes_.merge(node.data(), sequential_.data(), work);
  }
  Outcome outcome;
  if (open_rows_ > 0) outcome = add_open(node.data());
  if (outcome.ok() && merged_) outcome = merge_node(node.data(), merged_.data());
  if (outcome.ok() && removed_) outcome = join(node, removed_, -1);
  return outcome;
}

Outcome Moments::copy(const Moments& other) noexcept {
  Moments fresh(other.columns(), other.nodes_.want);
  const bool open = other.open_rows_ > 0;
  if (!fresh.tree_.copy(other.tree_) || !drivers::copy(fresh.sequential_, other.sequential_) ||
      (open && !(drivers::copy(fresh.open_, other.open_) && drivers::copy(fresh.open_weights_, other.open_weights_))) ||
      !drivers::copy(fresh.merged_, other.merged_) || !drivers::copy(fresh.removed_, other.removed_))
    return no_memory;
  fresh.weighted_ = other.weighted_;
  fresh.open_rows_ = other.open_rows_;
  fresh.open_weight_ = other.open_weight_;
  fresh.closed_weight_ = other.closed_weight_;
  const Commit commit;
  *this = std::move(fresh);
  return {};
}

Outcome Moments::merge(const Moments& other) noexcept {
  const Commit commit;
  const bool weighted = weighted_ || other.weighted_;
  Numbers node;
  Outcome outcome = empty() ? copy(other) : other.total(node);
  if (outcome.ok() && node) outcome = join(merged_, node, 1);
  if (outcome.ok()) weighted_ = weighted;
  return outcome;
}

Outcome Moments::remove(const Moments& other) noexcept {
  const Commit commit;
  Numbers node;
  Outcome outcome = other.total(node);
  if (outcome.ok()) outcome = join(removed_, node, 1);
  if (!outcome.ok()) return outcome;
  const bool weighted = weighted_ || other.weighted_;
  if (weight() == 0) *this = Moments(columns(), nodes_.want);
  weighted_ = weighted;
  return {};
}

// ---- state as numbers ----

void Moments::save(std::vector<double>& to) const {
  const auto append = [&](const Numbers& numbers, Size n) { to.insert(to.end(), numbers.data(), numbers.data() + n); };
  to = {1,
        static_cast<double>(shape().d),
        static_cast<double>(nodes_.full()),
        static_cast<double>(weighted_),
        sequential_ ? 1.0 : static_cast<double>(tree_.n_blocks()),
        static_cast<double>(open_rows_),
        static_cast<double>(static_cast<bool>(open_weights_)),
        static_cast<double>(static_cast<bool>(merged_)),
        static_cast<double>(static_cast<bool>(removed_)),
        closed_weight_,
        open_weight_};
  tree_.save(nodes_, to);
  for (const Numbers* node : {&sequential_, &merged_, &removed_})
    if (*node) append(*node, node_size());
  for (Size r = 0; r < open_rows_; ++r)
    for (Size j = 0; j < shape().d; ++j) to.push_back(open_[shape().index(r, j)]);
  if (open_weights_) append(open_weights_, open_rows_);
}

namespace {

// Could it be a sum of weights? Without weights it is a number of rows.
bool is_weight(double x, bool weighted) noexcept { return weighted ? x >= 0 : is_whole(x, 0x1p53); }

// Is it a sum that rounding alone tells from the other?
bool about(double x, double y) noexcept { return x == y || std::fabs(x - y) <= 1e-6 * std::fmax(x, y); }

}  // namespace

// Could update(), merge() and remove() have led here? What the numbers are measured by; not what they measure.
bool Moments::consistent() const noexcept {
  if (open_weights_ && (!weighted_ || open_rows_ == 0)) return false;
  double closed = 0, open = static_cast<double>(open_rows_);
  bool good = true;
  const auto check_node = [&](const double* node) {
    good = good && is_weight(node[0], weighted_);
    for (Size j = 0; j < shape().d; ++j) good = good && !(node[square_of_column(j)] < 0);
  };
  tree_.for_each([&](const double* node, int level) {
    check_node(node);
    good = good && (weighted_ || node[0] == std::ldexp(static_cast<double>(shape().rows), level));
    closed += node[0];
  });
  if (sequential_) {
    check_node(sequential_.data());
    good = good && (weighted_ || sequential_[0] >= 1);
    closed = sequential_[0];
  }
  if (merged_) check_node(merged_.data());
  if (removed_) check_node(removed_.data());
  if (!good) return false;
  if (open_weights_) {
    open = 0;
    for (Size r = 0; r < open_rows_; ++r) {
      const double weight = open_weights_[r];
      if (!(weight >= 0 && weight < std::numeric_limits<double>::infinity())) return false;
      open += weight;
    }
  }
  if (!about(closed_weight_, closed) || !about(open_weight_, open)) return false;
  if (!weighted_ && (closed_weight_ != closed || open_weight_ != open)) return false;
  const double all = closed + open + (merged_ ? merged_[0] : 0), removed = removed_ ? removed_[0] : 0;
  return removed <= all || about(removed, all);
}

bool Moments::restore(const std::vector<double>& from) {
  constexpr std::size_t header = 11;
  if (from.size() < header || from[0] != 1 || !is_whole(from[1], 0x1p31) || from[2] != 1) return false;
  for (const std::size_t flag : {3, 6, 7, 8})
    if (from[flag] != 0 && from[flag] != 1) return false;
  Moments fresh(static_cast<Size>(from[1]));
  const CovarianceShape& s = fresh.shape();
  fresh.weighted_ = from[3] != 0;
  if (!is_whole(from[4], s.sequential ? 2 : 0x1p47) || !is_whole(from[5], static_cast<double>(s.rows))) return false;
  fresh.open_rows_ = static_cast<Size>(from[5]);
  fresh.closed_weight_ = from[9];
  fresh.open_weight_ = from[10];
  NumberReader reader(from, header);
  const auto take_node = [&](Numbers& node) { return reader.take(node, fresh.node_size(), fresh.node_size()); };
  if (s.sequential ? from[4] != 0 && !take_node(fresh.sequential_)
                   : !fresh.tree_.restore(static_cast<std::uint64_t>(from[4]), take_node))
    return false;
  if (from[7] != 0 && !take_node(fresh.merged_)) return false;
  if (from[8] != 0 && !take_node(fresh.removed_)) return false;
  if (fresh.open_rows_ > 0) {
    Numbers rows;
    if (!reader.take(rows, fresh.open_rows_ * s.d, fresh.open_rows_ * s.d)) return false;
    fresh.open_ = Numbers::zeros(s.block_size());
    if (!fresh.open_) return false;
    pack(kernel_of<CovarianceKernel>(), s, rows.data(), Layout{fresh.open_rows_, s.d, s.d, 1}, fresh.open_.data());
  }
  if (from[6] != 0 && !reader.take(fresh.open_weights_, fresh.open_rows_, weights_size(s))) return false;
  if (!reader.at_end() || !fresh.consistent()) return false;
  *this = std::move(fresh);
  return true;
}

template Outcome Moments::update<double>(const Table<double>&) noexcept;
template Outcome Moments::update<float>(const Table<float>&) noexcept;

}  // namespace mmlfast::drivers
