#include "drivers/rfactor.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>

#include "drivers/common/tall_passes.hpp"
#include "drivers/rfactor_state.hpp"
#include "kernels/rfactor.hpp"
#include "runtime/aligned_buffer.hpp"
#include "runtime/interrupt.hpp"
#include "runtime/locked_state.hpp"

namespace mmlfast::drivers {
namespace {

constexpr Outcome no_memory{Outcome::Status::no_memory}, interrupted{Outcome::Status::interrupted};
constexpr Size chunk_rows = 256;

// Is the sum of squares of each column of R in the range where squares neither overflow nor lose digits?
bool in_range(const double* r, Size n, double* sums) noexcept {
  std::fill_n(sums, n, 0.0);
  for (Size i = 0; i < n; ++i)
    for (Size j = i; j < n; ++j) sums[j] += r[i * n + j] * r[i * n + j];
  return std::all_of(sums, sums + n, [](double s) { return s > 0x1p-900 && s < 0x1p900; });
}

// The exponent of a power of two that brings `largest` near one; 0 if it is zero or not finite.
int exponent_of(double largest) noexcept {
  int exponent = 0;
  if (largest > 0 && std::isfinite(largest)) std::frexp(largest, &exponent);
  return exponent;
}
// x * 2^exponent, in two steps: the power itself may be out of range.
double scaled(double x, int exponent) noexcept {
  return std::ldexp(std::ldexp(x, exponent / 2), exponent - exponent / 2);
}

void scale_columns(double* r, Size n, const double* exponents, int sign) noexcept {
  for (Size i = 0; i < n; ++i)
    for (Size j = i; j < n; ++j) r[i * n + j] = scaled(r[i * n + j], sign * static_cast<int>(exponents[j]));
}

// Memory of a thread: chunk_rows rows in columns and as they were, n numbers, and `nodes` R factors.
struct Workspace {
  Size ld;
  double *columns, *numbers, *nodes;

  static Workspace request(Size n, Size nodes) noexcept {
    const Size ld = chunk_rows + 8, room = round_up(2 * n, 8);
    double* all = static_cast<double*>(thread_scratch(8 * (ld * n + room + nodes * n * n)));
    if (all == nullptr) return {};
    return {ld, all, all + ld * n, all + ld * n + room};
  }
};

// r := R of the rows, with column j multiplied by 2^-exponents[j] (nullptr: as they are).
template <class T>
void leaf_scaled(const T* rows, const Layout& layout, const double* exponents, const Workspace& work,
                 double* r) noexcept {
  const Size n = layout.cols;
  std::fill_n(r, n * n, 0.0);
  for (Size first = 0; first < layout.rows; first += chunk_rows) {
    const Size count = std::min(chunk_rows, layout.rows - first), padded = round_up(count, 8);
    tall::gather(rows + first * layout.row_stride, Layout{count, n, layout.row_stride, layout.col_stride}, work.columns,
                 work.ld);
    if (exponents != nullptr)
      for (Size j = 0; j < n; ++j)
        for (Size i = 0; i < padded; ++i) {
          double& x = work.columns[j * work.ld + i];
          x = scaled(x, -static_cast<int>(exponents[j]));
        }
    rfactor_f64().absorb(work.columns, work.ld, n, padded, r);
  }
}

template <class T>
void leaf(const T* rows, const Layout& layout, const Workspace& work, double* r) noexcept {
  const Size n = layout.cols;
  leaf_scaled(rows, layout, nullptr, work, r);
  if (in_range(r, n, work.numbers)) return;
  double* exponents = work.numbers;
  for (Size j = 0; j < n; ++j) {
    double largest = 0;
    for (Size i = 0; i < layout.rows; ++i)
      largest = std::max(largest, std::fabs(static_cast<double>(rows[i * layout.row_stride + j * layout.col_stride])));
    exponents[j] = exponent_of(largest);
  }
  leaf_scaled(rows, layout, exponents, work, r);
  scale_columns(r, n, exponents, 1);
}

// into := R of [into; other].
void combine(double* into, const double* other, Size n, const Workspace& work) noexcept {
  double* exponents = work.numbers;
  const auto largest = [n](const double* r, Size j) {
    double most = 0;
    for (Size i = 0; i <= j; ++i) most = std::max(most, std::fabs(r[i * n + j]));
    return most;
  };
  bool scale = false;
  for (Size j = 0; j < n; ++j) {
    const int exponent = exponent_of(std::max(largest(into, j), largest(other, j)));
    exponents[j] = std::abs(exponent) > 400 ? exponent : 0;
    scale = scale || exponents[j] != 0;
  }
  if (scale) scale_columns(into, n, exponents, -1);
  for (Size first = 0; first < n; first += chunk_rows) {
    const Size count = std::min(chunk_rows, n - first), padded = round_up(count, 8);
    for (Size j = 0; j < n; ++j) {
      double* column = work.columns + j * work.ld;
      for (Size i = 0; i < padded; ++i) column[i] = i < count ? other[(first + i) * n + j] : 0;
      if (scale)
        for (Size i = 0; i < count; ++i) column[i] = scaled(column[i], -static_cast<int>(exponents[j]));
    }
    rfactor_f64().absorb(work.columns, work.ld, n, padded, into);
  }
  if (scale) scale_columns(into, n, exponents, 1);
}

// R of 2^level whole leaves, merged two by two, in work.nodes (the first of level + 1).
template <class T>
void subtree(const T* rows, const Layout& layout, int level, const Workspace& work, double* out) noexcept {
  const Size n = layout.cols, leaf_rows = RFactor::leaf_rows(n), nn = n * n;
  for (Size k = 0; k < Size{1} << level; ++k) {
    int depth = 0;  // nodes [0, depth) wait: one for each bit of k
    for (Size rest = k; rest != 0; rest &= rest - 1) ++depth;
    double* current = work.nodes + depth * nn;
    leaf(rows + k * leaf_rows * layout.row_stride, Layout{leaf_rows, n, layout.row_stride, layout.col_stride}, work,
         current);
    for (Size l = k; l & 1; l >>= 1) {
      combine(current - nn, current, n, work);
      current -= nn;
    }
  }
  std::copy_n(work.nodes, nn, out);
}

double row_ns(Size n) noexcept { return static_cast<double>(n) * (0.5 + 0.08 * static_cast<double>(n)); }

// R of R'R - x x' (Dongarra, Moler, Bunch and Stewart, LINPACK Users' Guide, 1979, chapter 10, dchdd): rotations that
// take the solution p of R'p = x, with sqrt(1 - |p|^2) below it, to a unit vector. False if |p| is not below one.
bool remove_row(double* r, Size n, double* x, double* p) noexcept {
  double square = 0;
  for (Size j = 0; j < n; ++j) {
    double s = x[j];
    for (Size k = 0; k < j; ++k) s -= r[k * n + j] * p[k];
    if (s == 0) {
      p[j] = 0;
    } else {
      p[j] = s / r[j * n + j];
    }
    square += p[j] * p[j];
  }
  constexpr double least = 0x1p-48;  // of the square: less is rounding noise of the sum
  if (!(1 - square > least)) return false;
  double alpha = std::sqrt(1 - square);
  std::fill_n(x, n, 0.0);
  for (Size k = n; k-- > 0;) {
    const double length = std::hypot(alpha, p[k]), c = alpha / length, s = p[k] / length;
    alpha = length;
    double* row = r + k * n;
    for (Size j = k; j < n; ++j) {
      const double t = c * x[j] + s * row[j];
      row[j] = c * row[j] - s * x[j];
      x[j] = t;
    }
  }
  return true;
}

}  // namespace

void make_diagonal_nonnegative(double* r, Size n) noexcept {
  for (Size i = 0; i < n; ++i) {
    const bool flip = r[i * n + i] < 0;
    for (Size j = i; j < n; ++j) r[i * n + j] = (flip ? -r[i * n + j] : r[i * n + j]) + 0.0;
  }
}

// ---- RFactor ----

RFactor::RFactor(Size n) noexcept : n_(n) {}

Size RFactor::leaf_rows(Size n) noexcept {
  return std::max(round_up(4 * n, chunk_rows),
                  std::clamp<Size>(65536 / std::max<Size>(n, 1) / chunk_rows * chunk_rows, chunk_rows, 4096));
}

// Adds R of 2^level leaves, which n_leaves_ must be a multiple of.
Outcome RFactor::push(const double* node, int level) noexcept {
  Doubles current;
  if (!current.allocate(node_size())) return no_memory;
  const Workspace work = Workspace::request(n_, 0);
  if (work.columns == nullptr) return no_memory;
  std::copy_n(node, node_size(), current.data());
  const Commit commit;
  int l = level;
  for (; (n_leaves_ >> l) & 1; ++l) {
    combine(levels_[l].data(), current.data(), n_, work);
    std::swap(levels_[l], current);
  }
  std::swap(levels_[l], current);
  n_leaves_ += std::uint64_t{1} << level;
  return {};
}

template <class T>
Outcome RFactor::fill_open(const T* rows, const Layout& layout) noexcept {
  if (layout.rows == 0) return {};
  const Commit commit;
  const Size most = leaf_rows(n_);
  if (!open_ && !open_.allocate(checked_product(most, n_))) return no_memory;
  for (Size i = 0; i < layout.rows; ++i)
    for (Size j = 0; j < n_; ++j)
      open_.data()[(open_rows_ + i) * n_ + j] =
          static_cast<double>(rows[i * layout.row_stride + j * layout.col_stride]);
  open_rows_ += layout.rows;
  count_ += layout.rows;
  if (open_rows_ < most) return {};
  Doubles node;
  const Workspace work = Workspace::request(n_, 0);
  if (work.columns == nullptr || !node.allocate(node_size())) return no_memory;
  leaf(open_.data(), Layout{open_rows_, n_, n_, 1}, work, node.data());
  const Outcome outcome = push(node.data(), 0);
  if (outcome.ok()) open_rows_ = 0;
  return outcome;
}

template <class T>
Outcome RFactor::whole_leaves(const T* rows, const Layout& layout, Size n_leaves) noexcept {
  struct Task {
    Size first;
    int level;
  };
  constexpr int most_tasks = 256;
  constexpr double task_ns = 1'000'000;
  Task tasks[most_tasks];
  const Size per_leaf = leaf_rows(n_);
  const double leaf_ns = static_cast<double>(per_leaf) * row_ns(n_);
  int highest = 0;
  while (highest < 12 && leaf_ns * static_cast<double>(Size{2} << highest) <= task_ns) ++highest;
  const int tasks_per_round = static_cast<int>(std::clamp<Size>((Size{32} << 20) / (8 * node_size()), 8, most_tasks));
  Doubles results, done_flags;
  const Size room = std::min<Size>(tasks_per_round, n_leaves);
  if (!results.allocate(room * node_size()) || !done_flags.allocate(room)) return no_memory;
  InterruptTimer timer;
  for (Size done = 0; done < n_leaves;) {
    int n_tasks = 0;
    Size first = done;
    for (; n_tasks < tasks_per_round && first < n_leaves; ++n_tasks) {
      // The largest subtree of the whole tree that starts here.
      const std::uint64_t position = n_leaves_ + static_cast<std::uint64_t>(first - done);
      int level = 0;
      while (level < highest && ((position >> level) & 1) == 0 && first + (Size{2} << level) <= n_leaves) ++level;
      tasks[n_tasks] = {first, level};
      done_flags.data()[n_tasks] = 0;
      first += Size{1} << level;
    }
    std::atomic<bool> memory{true};
    const bool finished = parallel_blocks(n_tasks, leaf_ns * static_cast<double>(first - done), [&](std::int64_t t) {
      const Workspace work = Workspace::request(n_, highest + 1);
      if (work.columns == nullptr) {
        memory.store(false, std::memory_order_relaxed);
        return;
      }
      subtree(rows + tasks[t].first * per_leaf * layout.row_stride, layout, tasks[t].level, work,
              results.data() + t * node_size());
      done_flags.data()[t] = 1;
    });
    for (int t = 0; t < n_tasks; ++t) {
      if (done_flags.data()[t] == 0) return memory ? interrupted : no_memory;
      const Commit commit;
      const Outcome outcome = push(results.data() + t * node_size(), tasks[t].level);
      if (!outcome.ok()) return outcome;
      count_ += per_leaf << tasks[t].level;
    }
    if (!finished || timer.interrupted()) return interrupted;
    done = first;
  }
  return {};
}

template <class T>
Outcome RFactor::update(const T* rows, const Layout& layout) noexcept {
  const Size n = layout.rows, per_leaf = leaf_rows(n_);
  if (n_ == 0) {
    count_ += n;
    return {};
  }
  const auto part = [&](Size from, Size count, auto&& take) {
    return take(rows + from * layout.row_stride, Layout{count, n_, layout.row_stride, layout.col_stride});
  };
  const auto fill = [&](const T* from, const Layout& l) { return fill_open(from, l); };
  Size taken = 0;
  Outcome outcome;
  if (open_rows_ > 0) {
    taken = std::min(n, per_leaf - open_rows_);
    outcome = part(0, taken, fill);
    if (!outcome.ok()) return outcome;
  }
  const Size leaves = (n - taken) / per_leaf;
  if (leaves > 0) {
    outcome =
        part(taken, leaves * per_leaf, [&](const T* from, const Layout& l) { return whole_leaves(from, l, leaves); });
    if (!outcome.ok()) return outcome;
    taken += leaves * per_leaf;
  }
  return part(taken, n - taken, fill);
}

Outcome RFactor::before_removal(Doubles& r) const noexcept {
  if (!r.allocate(node_size())) return no_memory;
  const Workspace work = Workspace::request(n_, 1);
  if (work.columns == nullptr) return no_memory;
  bool empty = true;
  const auto add = [&](const double* node) {
    if (empty)
      std::copy_n(node, node_size(), r.data());
    else
      combine(r.data(), node, n_, work);
    empty = false;
  };
  for (int l = most_levels - 1; l >= 0; --l)
    if ((n_leaves_ >> l) & 1) add(levels_[l].data());
  if (open_rows_ > 0) {
    leaf(open_.data(), Layout{open_rows_, n_, n_, 1}, work, work.nodes);
    add(work.nodes);
  }
  if (merged_) add(merged_.data());
  return {};
}

Outcome RFactor::difference(Doubles& r, bool& possible) const noexcept {
  const Outcome outcome = before_removal(r);
  possible = outcome.ok();
  if (!outcome.ok() || !removed_) return outcome;
  AlignedBuffer<double> x(n_), p(n_);
  if (x.data() == nullptr || p.data() == nullptr) return no_memory;
  for (Size i = 0; i < n_ && possible; ++i) {
    for (Size j = 0; j < n_; ++j) x[j] = j < i ? 0 : removed_.data()[i * n_ + j];
    possible = remove_row(r.data(), n_, x.data(), p.data());
  }
  return {};
}

Outcome RFactor::total(Doubles& r) const noexcept {
  bool possible;
  const Outcome outcome = difference(r, possible);
  if (!outcome.ok()) return outcome;
  if (!possible) std::fill_n(r.data(), node_size(), std::numeric_limits<double>::quiet_NaN());
  make_diagonal_nonnegative(r.data(), n_);
  return {};
}

Outcome RFactor::copy(const RFactor& other) noexcept {
  RFactor fresh(other.n_);
  for (int l = 0; l < most_levels; ++l)
    if (((other.n_leaves_ >> l) & 1) && !fresh.levels_[l].copy(other.levels_[l])) return no_memory;
  if (other.open_rows_ > 0 && !fresh.open_.copy(other.open_)) return no_memory;
  if (!fresh.merged_.copy(other.merged_) || !fresh.removed_.copy(other.removed_)) return no_memory;
  fresh.count_ = other.count_;
  fresh.n_leaves_ = other.n_leaves_;
  fresh.open_rows_ = other.open_rows_;
  const Commit commit;
  std::swap(n_, fresh.n_);
  std::swap(count_, fresh.count_);
  std::swap(n_leaves_, fresh.n_leaves_);
  for (int l = 0; l < most_levels; ++l) std::swap(levels_[l], fresh.levels_[l]);
  std::swap(open_, fresh.open_);
  std::swap(open_rows_, fresh.open_rows_);
  std::swap(merged_, fresh.merged_);
  std::swap(removed_, fresh.removed_);
  return {};
}

Outcome RFactor::merge(const RFactor& other) noexcept {
  const Commit commit;
  if (count_ == 0 && !removed_) return copy(other);
  Doubles theirs;
  Outcome outcome = other.before_removal(theirs);
  if (!outcome.ok()) return outcome;
  const Workspace work = Workspace::request(n_, 0);
  if (work.columns == nullptr) return no_memory;
  Doubles merged, removed;
  if (!merged.copy(merged_ ? merged_ : theirs)) return no_memory;
  if (merged_) combine(merged.data(), theirs.data(), n_, work);
  if (other.removed_) {
    if (!removed.copy(removed_ ? removed_ : other.removed_)) return no_memory;
    if (removed_) combine(removed.data(), other.removed_.data(), n_, work);
    std::swap(removed_, removed);
  }
  std::swap(merged_, merged);
  count_ += other.count_;
  return {};
}

Outcome RFactor::remove(const RFactor& other, bool& possible) noexcept {
  const Commit commit;
  possible = true;
  Doubles theirs, before;
  Outcome outcome = other.total(theirs);
  if (!outcome.ok() || other.count_ == 0) return outcome;
  const Workspace work = Workspace::request(n_, 0);
  if (work.columns == nullptr) return no_memory;
  if (removed_) combine(theirs.data(), removed_.data(), n_, work);
  std::swap(removed_, theirs);
  Doubles r;
  outcome = difference(r, possible);
  if (!possible)
    std::swap(removed_, theirs);
  else
    count_ -= other.count_;
  return outcome;
}

template <class T>
Outcome r_of_rows(const T* table, const Layout& layout, double* r) noexcept {
  if (layout.rows <= RFactor::leaf_rows(layout.cols) && layout.cols > 0) {  // one leaf: the same without a state
    const Workspace work = Workspace::request(layout.cols, 0);
    if (work.columns == nullptr) return no_memory;
    leaf(table, layout, work, r);
    make_diagonal_nonnegative(r, layout.cols);
    return {};
  }
  RFactor state(layout.cols);
  Outcome outcome = state.update(table, layout);
  Doubles total;
  if (outcome.ok()) outcome = state.total(total);
  if (outcome.ok()) std::copy_n(total.data(), layout.cols * layout.cols, r);
  return outcome;
}

template Outcome RFactor::update<double>(const double*, const Layout&) noexcept;
template Outcome RFactor::update<float>(const float*, const Layout&) noexcept;
template Outcome r_of_rows<double>(const double*, const Layout&, double*) noexcept;
template Outcome r_of_rows<float>(const float*, const Layout&, double*) noexcept;

}  // namespace mmlfast::drivers
