#include "drivers/covariance.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <utility>

#include "drivers/common/saved_numbers.hpp"
#include "drivers/covariance_batch.hpp"
#include "drivers/covariance_blocks.hpp"
#include "runtime/interrupt.hpp"

namespace mmlfast::drivers {

// ---- Moments ----

Moments::Moments(Size d, Want want) noexcept : shape_(d), want_(want), full_(want == Want::covariance) {}

double Moments::weight() const noexcept {
  return closed_weight_ + open_weight_ + (merged_ ? merged_.data()[0] : 0) - (removed_ ? removed_.data()[0] : 0);
}

// Adds the node of 2^level blocks, which n_blocks_ must be a multiple of.
Outcome Moments::push(const double* node, int level) noexcept {
  Doubles current, delta;
  if (!current.allocate(node_size()) || !delta.allocate(shape_.padded())) return no_memory;
  std::copy_n(node, node_size(), current.data());
  const Commit commit;
  int l = level;
  for (; (n_blocks_ >> l) & 1; ++l) {
    combine(shape_, full_, levels_[l].data(), current.data(), delta.data());
    std::swap(levels_[l], current);
  }
  std::swap(levels_[l], current);
  n_blocks_ += std::uint64_t{1} << level;
  closed_weight_ += node[0];
  return {};
}

Outcome Moments::join(Doubles& into, const Doubles& node, double sign) const noexcept {
  if (!into) return into.copy(node) ? Outcome{} : no_memory;
  Doubles delta;
  if (!delta.allocate(shape_.padded())) return no_memory;
  if (sign > 0) {
    combine(shape_, full_, into.data(), node.data(), delta.data());
  } else if (into.data()[0] <= node.data()[0]) {
    std::fill_n(into.data(), node_size(), 0.0);
  } else if (node.data()[0] > 0) {
    covariance_kernel().merge(shape_, full_, into.data(), node.data(), -1, delta.data());
    for (Size j = 0; j < shape_.d; ++j) {  // rounding must not make a variance negative
      double& square = into.data()[shape_.m2() + (full_ ? shape_.entry(j, j) : j)];
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
  if (!open_ && !open_.allocate(shape_.block_size())) return no_memory;
  if (table.weights != nullptr && !open_weights_) {
    if (!open_weights_.allocate(weights_size(shape_))) return no_memory;
    std::fill_n(open_weights_.data(), open_rows_, 1.0);
  }
  pack(shape_, table.data, table.layout, open_.data() + shape_.index(open_rows_, 0));
  if (open_weights_) {
    for (Size r = 0; r < rows; ++r) {
      const double w = table.weights == nullptr ? 1 : table.weights[r * table.weights_stride];
      open_weights_.data()[open_rows_ + r] = w;
      open_weight_ += w;
    }
  } else {
    open_weight_ += static_cast<double>(rows);
  }
  open_rows_ += rows;
  return open_rows_ == shape_.rows ? close_open() : Outcome{};
}

Outcome Moments::close_open() noexcept {
  const double* weights = open_weights_ ? open_weights_.data() : nullptr;
  Outcome outcome;
  if (shape_.sequential) {
    if (!levels_[0] && !levels_[0].allocate(node_size())) return no_memory;
    outcome = add_sequential(shape_, full_, levels_[0].data(), open_.data(), open_rows_, weights, [](Size, Size) {});
    if (outcome.status == Outcome::Status::no_memory) return outcome;
    n_blocks_ = 1;
    closed_weight_ = levels_[0].data()[0];
  } else {
    const Workspace work = Workspace::request(shape_, full_, 0);
    if (work.nodes == nullptr) return no_memory;
    reduce_packed(shape_, want_, open_.data(), open_rows_, weights, work, work.nodes);
    outcome = push(work.nodes, 0);
    if (!outcome.ok()) return outcome;
  }
  open_rows_ = 0;
  open_weight_ = 0;
  open_weights_ = Doubles{};
  return outcome;
}

template <class T>
Outcome Moments::sequential_block(const Table<T>& table) noexcept {
  if (!open_ && !open_.allocate(shape_.block_size())) return no_memory;
  if (!levels_[0] && !levels_[0].allocate(node_size())) return no_memory;
  Doubles packed;
  if (table.weights != nullptr && !packed.allocate(weights_size(shape_))) return no_memory;
  const Layout& l = table.layout;
  const double* weights = pack_weights(table.weights, table.weights_stride, l.rows, packed.data());
  const Commit commit;
  const auto pack_strips = [&](Size from, Size to) noexcept {
    const Size first = from * 8, cols = std::min(shape_.d, to * 8) - first;
    pack(shape_, table.data + first * l.col_stride, Layout{l.rows, cols, l.row_stride, l.col_stride},
         open_.data() + shape_.index(0, first));
  };
  const Outcome outcome = add_sequential(shape_, full_, levels_[0].data(), open_.data(), l.rows, weights, pack_strips);
  n_blocks_ = 1;
  closed_weight_ = levels_[0].data()[0];
  return outcome;
}

template <class T>
Outcome Moments::whole_blocks(const Table<T>& table, Size n_blocks) noexcept {
  const CovarianceShape& shape = shape_;
  InterruptTimer timer;
  if (shape.sequential) {
    for (Size k = 0; k < n_blocks; ++k) {
      const Outcome outcome = sequential_block(table.rows(k * shape.rows, shape.rows));
      if (!outcome.ok()) return outcome;
      if (timer.interrupted()) return interrupted;
    }
    return {};
  }
  struct Task {
    Size first;
    int level;
  };
  constexpr int most_tasks = 256;
  constexpr double task_ns = 900'000;
  Task tasks[most_tasks];
  const double block_ns = static_cast<double>(shape.rows) * row_ns(shape.d, full_);
  int highest = 0;
  while (highest < 12 && block_ns * static_cast<double>(Size{2} << highest) <= task_ns) ++highest;
  const Size node_bytes = 8 * node_size();
  const int tasks_per_round = static_cast<int>(std::clamp<Size>((Size{32} << 20) / node_bytes, 8, most_tasks));
  Doubles results;
  if (!results.allocate(std::min<Size>(tasks_per_round, n_blocks) * node_size())) return no_memory;
  for (Size done = 0; done < n_blocks;) {
    int n_tasks = 0;
    Size first = done;
    for (; n_tasks < tasks_per_round && first < n_blocks; ++n_tasks) {
      // The largest subtree of the whole tree that starts here.
      const std::uint64_t position = n_blocks_ + static_cast<std::uint64_t>(first - done);
      int level = 0;
      while (level < highest && ((position >> level) & 1) == 0 && first + (Size{2} << level) <= n_blocks) ++level;
      tasks[n_tasks] = {first, level};
      results.data()[n_tasks * node_size()] = -1;  // not done
      first += Size{1} << level;
    }
    std::atomic<bool> memory{true};
    const double ns = block_ns * static_cast<double>(first - done);
    const bool finished = parallel_blocks(n_tasks, ns, [&](std::int64_t t) {
      const Task task = tasks[t];
      const Workspace work = Workspace::request(shape, full_, highest);
      if (work.nodes == nullptr) {
        memory.store(false, std::memory_order_relaxed);
        return;
      }
      reduce_subtree(shape, want_, table.rows(task.first * shape.rows, shape.rows << task.level), task.level, work,
                     results.data() + t * node_size());
    });
    for (int t = 0; t < n_tasks; ++t) {
      const double* node = results.data() + t * node_size();
      if (node[0] < 0) return memory ? interrupted : no_memory;
      const Outcome outcome = push(node, tasks[t].level);
      if (!outcome.ok()) return outcome;
    }
    if (!finished || timer.interrupted()) return interrupted;
    done = first;
  }
  return {};
}

template <class T>
Outcome Moments::update(const Table<T>& table) noexcept {
  const Size n = table.layout.rows;
  if (table.weights != nullptr) weighted_ = true;
  Size taken = 0;
  Outcome outcome;
  if (open_rows_ > 0) {
    taken = std::min(n, shape_.rows - open_rows_);
    outcome = fill_open(table.rows(0, taken));
    if (!outcome.ok()) return outcome;
  }
  const Size blocks = (n - taken) / shape_.rows;
  if (blocks > 0) {
    outcome = whole_blocks(table.rows(taken, blocks * shape_.rows), blocks);
    if (!outcome.ok()) return outcome;
    taken += blocks * shape_.rows;
  }
  return fill_open(table.rows(taken, n - taken));
}

Outcome Moments::total(Doubles& node) const noexcept {
  Doubles delta;
  if (!node.allocate(node_size()) || !delta.allocate(shape_.padded())) return no_memory;
  for (int l = most_levels - 1; l >= 0; --l)
    if ((n_blocks_ >> l) & 1) combine(shape_, full_, node.data(), levels_[l].data(), delta.data());
  if (open_rows_ > 0) {
    Doubles block;
    const double* weights = open_weights_ ? open_weights_.data() : nullptr;
    if (shape_.is_short(open_rows_)) {
      const Workspace work = Workspace::request(shape_, full_, 0);
      if (work.nodes == nullptr) return no_memory;
      reduce_few(shape_, full_, open_.data(), Layout{open_rows_, shape_.d, 1, shape_.stride}, weights, work.block,
                 work.strips, work.nodes);
      combine(shape_, full_, node.data(), work.nodes, delta.data());
    } else if (!block.copy(open_)) {
      return no_memory;
    } else if (shape_.sequential) {
      const Outcome outcome =
          add_sequential(shape_, full_, node.data(), block.data(), open_rows_, weights, [](Size, Size) {});
      if (!outcome.ok()) return outcome;
    } else {
      const Workspace work = Workspace::request(shape_, full_, 0);
      if (work.nodes == nullptr) return no_memory;
      reduce_packed(shape_, want_, block.data(), open_rows_, weights, work, work.nodes);
      combine(shape_, full_, node.data(), work.nodes, delta.data());
    }
  }
  if (merged_) combine(shape_, full_, node.data(), merged_.data(), delta.data());
  return removed_ ? join(node, removed_, -1) : Outcome{};
}

Outcome Moments::copy(const Moments& other) noexcept {
  Moments fresh(other.shape_.d, other.want_);
  for (int l = 0; l < most_levels; ++l)
    if (((other.n_blocks_ >> l) & 1) && !fresh.levels_[l].copy(other.levels_[l])) return no_memory;
  if (other.open_rows_ > 0 && (!fresh.open_.copy(other.open_) || !fresh.open_weights_.copy(other.open_weights_)))
    return no_memory;
  if (!fresh.merged_.copy(other.merged_) || !fresh.removed_.copy(other.removed_)) return no_memory;
  fresh.weighted_ = other.weighted_;
  fresh.n_blocks_ = other.n_blocks_;
  fresh.open_rows_ = other.open_rows_;
  fresh.open_weight_ = other.open_weight_;
  fresh.closed_weight_ = other.closed_weight_;
  const Commit commit;
  *this = std::move(fresh);
  return {};
}

Outcome Moments::merge(const Moments& other) noexcept {
  const Commit commit;
  if (n_blocks_ == 0 && open_rows_ == 0 && !merged_ && !removed_) {
    const bool weighted = weighted_ || other.weighted_;
    const Outcome outcome = copy(other);
    weighted_ = weighted;
    return outcome;
  }
  Doubles node;
  Outcome outcome = other.total(node);
  if (outcome.ok()) outcome = join(merged_, node, 1);
  if (outcome.ok()) weighted_ = weighted_ || other.weighted_;
  return outcome;
}

Outcome Moments::remove(const Moments& other) noexcept {
  const Commit commit;
  Doubles node;
  Outcome outcome = other.total(node);
  if (outcome.ok()) outcome = join(removed_, node, 1);
  if (!outcome.ok()) return outcome;
  const bool weighted = weighted_ || other.weighted_;
  if (weight() == 0) *this = Moments(shape_.d, want_);
  weighted_ = weighted;
  return {};
}

// ---- results ----

namespace {

double denominator(double weight, double ddof) noexcept {
  if (weight == 0) return std::numeric_limits<double>::quiet_NaN();
  return weight > ddof ? weight - ddof : 0;
}

double scaled_back(double value, const double* powers, Size j) noexcept {
  return powers == nullptr ? value : std::ldexp(value, static_cast<int>(powers[j]));
}

}  // namespace

template <class T>
void Moments::write_mean(const CovarianceShape& shape, const double* node, const double* powers, T* mean,
                         Size stride) noexcept {
  for (Size j = 0; j < shape.d; ++j) {
    const double value = scaled_back(node[shape.hi() + j] + node[shape.lo() + j], powers, j);
    mean[j * stride] = static_cast<T>(node[0] == 0 ? std::numeric_limits<double>::quiet_NaN() : value);
  }
}

template <class T>
void Moments::write_covariance(const CovarianceShape& shape, const double* node, const double* powers, double ddof,
                               T* cov, const Layout& layout) noexcept {
  const double by = denominator(node[0], ddof);
  for (Size i = 0; i < shape.d; ++i) {
    for (Size j = i; j < shape.d; ++j) {
      const double quotient = node[shape.m2() + shape.entry(i, j)] / by;
      const T value =
          static_cast<T>(powers == nullptr ? quotient : std::ldexp(quotient, static_cast<int>(powers[i] + powers[j])));
      cov[i * layout.row_stride + j * layout.col_stride] = value;
      cov[j * layout.row_stride + i * layout.col_stride] = value;
    }
  }
}

template <class T>
void Moments::write_variance(const CovarianceShape& shape, const double* node, const double* powers, double ddof,
                             bool root, T* variance, Size stride) noexcept {
  const double by = denominator(node[0], ddof);
  for (Size j = 0; j < shape.d; ++j) {
    const double value = node[shape.m2() + j] / by;
    const double result =
        root ? scaled_back(std::sqrt(value), powers, j) : scaled_back(scaled_back(value, powers, j), powers, j);
    variance[j * stride] = static_cast<T>(result);
  }
}

template <class T>
void Moments::write_correlation(const CovarianceShape& shape, const double* node, T* cor,
                                const Layout& layout) noexcept {
  const double* m2 = node + shape.m2();
  const auto varies = [&](Size j) {
    const double square = m2[shape.entry(j, j)];
    return node[0] > 0 && square > 0 && square <= std::numeric_limits<double>::max();
  };
  for (Size i = 0; i < shape.d; ++i) {
    cor[i * layout.row_stride + i * layout.col_stride] = varies(i) ? T{1} : std::numeric_limits<T>::quiet_NaN();
    for (Size j = i + 1; j < shape.d; ++j) {
      double r = std::numeric_limits<double>::quiet_NaN();
      if (varies(i) && varies(j)) r = m2[shape.entry(i, j)] / std::sqrt(m2[shape.entry(i, i)] * m2[shape.entry(j, j)]);
      r = r > 1 ? 1 : r < -1 ? -1 : r;
      cor[i * layout.row_stride + j * layout.col_stride] = static_cast<T>(r);
      cor[j * layout.row_stride + i * layout.col_stride] = static_cast<T>(r);
    }
  }
}

// ---- state as numbers ----

bool Moments::save(std::vector<double>& to) const {
  const auto append = [&](const Doubles& node) { to.insert(to.end(), node.data(), node.data() + node_size()); };
  to = {1,
        static_cast<double>(shape_.d),
        static_cast<double>(full_),
        static_cast<double>(weighted_),
        static_cast<double>(n_blocks_),
        static_cast<double>(open_rows_),
        static_cast<double>(static_cast<bool>(open_weights_)),
        static_cast<double>(static_cast<bool>(merged_)),
        static_cast<double>(static_cast<bool>(removed_)),
        closed_weight_,
        open_weight_};
  for (int l = 0; l < most_levels; ++l)
    if ((n_blocks_ >> l) & 1) append(levels_[l]);
  if (merged_) append(merged_);
  if (removed_) append(removed_);
  for (Size r = 0; r < open_rows_; ++r)
    for (Size j = 0; j < shape_.d; ++j) to.push_back(open_.data()[shape_.index(r, j)]);
  if (open_weights_) to.insert(to.end(), open_weights_.data(), open_weights_.data() + open_rows_);
  return true;
}

namespace {

// Could it be a sum of weights? Without weights it is a number of rows.
bool is_weight(double x, bool weighted) noexcept { return weighted ? x >= 0 : is_whole(x, 0x1p53); }

// Is it a sum that rounding alone tells from the other?
bool about(double x, double y) noexcept { return x == y || std::fabs(x - y) <= 1e-6 * std::fmax(x, y); }

}  // namespace

// Could update(), merge() and remove() have led here? What the numbers are measured by; not what they measure.
bool Moments::consistent() const noexcept {
  if (shape_.sequential && n_blocks_ > 1) return false;
  if (open_weights_ && (!weighted_ || open_rows_ == 0)) return false;
  double closed = 0, open = static_cast<double>(open_rows_);
  for (int l = 0; l < most_levels; ++l) {
    if (((n_blocks_ >> l) & 1) == 0) continue;
    const double weight = levels_[l].data()[0], rows = std::ldexp(static_cast<double>(shape_.rows), l);
    if (!is_weight(weight, weighted_)) return false;
    if (!weighted_ && (shape_.sequential ? weight < 1 : weight != rows)) return false;
    closed += weight;
  }
  if (open_weights_) {
    open = 0;
    for (Size r = 0; r < open_rows_; ++r) {
      const double weight = open_weights_.data()[r];
      if (!(weight >= 0 && weight < std::numeric_limits<double>::infinity())) return false;
      open += weight;
    }
  }
  if (!about(closed_weight_, closed) || !about(open_weight_, open)) return false;
  if (!weighted_ && (closed_weight_ != closed || open_weight_ != open)) return false;
  for (const Doubles* node : {&merged_, &removed_})
    if (*node && !is_weight(node->data()[0], weighted_)) return false;
  const double all = closed + open + (merged_ ? merged_.data()[0] : 0);
  const double removed = removed_ ? removed_.data()[0] : 0;
  if (!(removed <= all || about(removed, all))) return false;
  const auto squares_are_negative = [&](const Doubles& node) {
    if (!node) return false;
    for (Size j = 0; j < shape_.d; ++j)
      if (node.data()[shape_.m2() + (full_ ? shape_.entry(j, j) : j)] < 0) return true;
    return false;
  };
  return !std::any_of(levels_, levels_ + most_levels, squares_are_negative) && !squares_are_negative(merged_) &&
         !squares_are_negative(removed_);
}

bool Moments::restore(const std::vector<double>& from) {
  constexpr std::size_t header = 11;
  if (from.size() < header || from[0] != 1 || from[1] != static_cast<double>(shape_.d)) return false;
  if (from[2] != (full_ ? 1 : 0)) return false;
  for (const std::size_t flag : {3, 6, 7, 8})
    if (from[flag] != 0 && from[flag] != 1) return false;
  Moments fresh(shape_.d, want_);
  fresh.weighted_ = from[3] != 0;
  if (!is_whole(from[4], 0x1p47) || !is_whole(from[5], static_cast<double>(shape_.rows))) return false;
  fresh.n_blocks_ = static_cast<std::uint64_t>(from[4]);
  fresh.open_rows_ = static_cast<Size>(from[5]);
  fresh.closed_weight_ = from[9];
  fresh.open_weight_ = from[10];
  std::size_t at = header;
  const auto left = [&] { return static_cast<Size>(from.size() - at); };
  const auto take = [&](Doubles& node) {
    if (left() < fresh.node_size() || !node.allocate(fresh.node_size())) return false;
    std::copy_n(from.data() + at, fresh.node_size(), node.data());
    at += static_cast<std::size_t>(fresh.node_size());
    return true;
  };
  for (int l = 0; l < most_levels; ++l)
    if (((fresh.n_blocks_ >> l) & 1) && !take(fresh.levels_[l])) return false;
  if (from[7] != 0 && !take(fresh.merged_)) return false;
  if (from[8] != 0 && !take(fresh.removed_)) return false;
  const bool has_weights = from[6] != 0;
  if (left() != fresh.open_rows_ * (shape_.d + (has_weights ? 1 : 0))) return false;
  if (fresh.open_rows_ > 0) {
    if (!fresh.open_.allocate(shape_.block_size())) return false;
    const double* rows = from.data() + at;
    pack(shape_, rows, Layout{fresh.open_rows_, shape_.d, shape_.d, 1}, fresh.open_.data());
    if (has_weights) {
      if (!fresh.open_weights_.allocate(weights_size(shape_))) return false;
      std::copy_n(rows + fresh.open_rows_ * shape_.d, fresh.open_rows_, fresh.open_weights_.data());
    }
  }
  if (has_weights && !fresh.open_weights_) return false;
  if (!fresh.consistent()) return false;
  *this = std::move(fresh);
  return true;
}

#define MMLFAST_INSTANTIATE(T)                                                                                        \
  template Outcome Moments::update<T>(const Table<T>&) noexcept;                                                      \
  template void Moments::write_mean<T>(const CovarianceShape&, const double*, const double*, T*, Size) noexcept;      \
  template void Moments::write_variance<T>(const CovarianceShape&, const double*, const double*, double, bool, T*,    \
                                           Size) noexcept;                                                            \
  template void Moments::write_covariance<T>(const CovarianceShape&, const double*, const double*, double, T*,        \
                                             const Layout&) noexcept;                                                 \
  template void Moments::write_correlation<T>(const CovarianceShape&, const double*, T*, const Layout&) noexcept;     \
  template Outcome covariance<T>(Size, const Batch<const T>&, const Batch<const double>&, const Batch<const double>&, \
                                 const Batch<T>&) noexcept;                                                           \
  template Outcome correlation<T>(Size, const Batch<const T>&, const Batch<const double>&, const Batch<T>&) noexcept; \
  template Outcome variance<T>(Size, const Batch<const T>&, const Batch<const double>&, const Batch<const double>&,   \
                               bool, const Batch<T>&) noexcept;                                                       \
  template Outcome mean<T>(Size, const Batch<const T>&, const Batch<const double>&, const Batch<T>&) noexcept;
MMLFAST_INSTANTIATE(double)
MMLFAST_INSTANTIATE(float)

}  // namespace mmlfast::drivers
