#include "drivers/rfactor.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "drivers/common/length.hpp"
#include "drivers/common/saved_numbers.hpp"
#include "drivers/common/tall_passes.hpp"
#include "runtime/aligned_buffer.hpp"

namespace mmlfast::drivers {
namespace {

using Workspace = RFactorNodes::Workspace;

constexpr Outcome no_memory{Outcome::Status::no_memory};
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

// r := R of the rows, with column j multiplied by 2^-exponents[j] (nullptr: as they are).
template <class T>
void leaf_scaled(const T* rows, const Layout& layout, const double* exponents, const Workspace& work,
                 double* r) noexcept {
  const Size n = layout.cols;
  std::fill_n(r, n * n, 0.0);
  for (Size first = 0; first < layout.rows; first += chunk_rows) {
    const Size count = std::min(chunk_rows, layout.rows - first), padded = round_up(count, 8);
    tall::gather(work.to_columns, rows + first * layout.row_stride,
                 Layout{count, n, layout.row_stride, layout.col_stride}, work.columns, work.ld);
    if (exponents != nullptr)
      for (Size j = 0; j < n; ++j)
        for (Size i = 0; i < padded; ++i) {
          double& x = work.columns[j * work.ld + i];
          x = scaled(x, -static_cast<int>(exponents[j]));
        }
    work.kernel.absorb(work.columns, work.ld, n, padded, r);
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
    const double length = length_of(alpha, p[k]), c = alpha / length, s = p[k] / length;
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

// ---- nodes ----

Size RFactorNodes::block_rows() const noexcept {
  return std::max(round_up(4 * n, chunk_rows),
                  std::clamp<Size>(65536 / std::max<Size>(n, 1) / chunk_rows * chunk_rows, chunk_rows, 4096));
}

double RFactorNodes::block_ns() const noexcept {
  const double columns = static_cast<double>(n);
  return static_cast<double>(block_rows()) * columns * (0.5 + 0.08 * columns);
}

namespace {

constexpr Size chunk_ld = chunk_rows + 8;
Size numbers_of(Size n) noexcept { return round_up(2 * n, 8); }

}  // namespace

RFactorNodes::Workspace::Workspace(const RFactorNodes& of, int level) noexcept
    : memory(8 * (chunk_ld * of.n + numbers_of(of.n) + (level + 1) * of.size())), ld(chunk_ld) {
  if (!memory) return;
  columns = static_cast<double*>(memory.data());
  numbers = columns + ld * of.n;
  nodes = numbers + numbers_of(of.n);
}

void RFactorNodes::merge(double* into, const double* other, const Workspace& work) const noexcept {
  double* exponents = work.numbers;
  const auto largest = [this](const double* r, Size j) {
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
    work.kernel.absorb(work.columns, work.ld, n, padded, into);
  }
  if (scale) scale_columns(into, n, exponents, 1);
}

// ---- RFactor ----

template <class T>
Outcome RFactor::fill_open(const Table<T>& table) noexcept {
  const Layout& l = table.layout;
  if (l.rows == 0) return {};
  const Commit commit;
  const Size n = columns(), most = nodes_.block_rows();
  if (!open_) open_ = Numbers(checked_product(most, n));
  if (!open_) return no_memory;
  for (Size i = 0; i < l.rows; ++i)
    for (Size j = 0; j < n; ++j)
      open_[(open_rows_ + i) * n + j] = static_cast<double>(table.data[i * l.row_stride + j * l.col_stride]);
  open_rows_ += l.rows;
  count_ += l.rows;
  if (open_rows_ < most) return {};
  const Numbers node(nodes_.size());
  {
    const Workspace work = nodes_.request_for_merging();
    if (!work || !node) return no_memory;
    leaf(open_.data(), Layout{open_rows_, n, n, 1}, work, node.data());
  }
  return tree_.push(nodes_, node.data(), 0, [this](int, const double*) { open_rows_ = 0; });
}

template <class T>
Outcome RFactor::update(const Table<T>& table) noexcept {
  if (columns() == 0) {
    count_ += table.layout.rows;
    return {};
  }
  const Size rows = nodes_.block_rows();
  const auto whole = [&](const Table<T>& blocks, Size n_blocks) {
    const auto reduce = [&](Size k, double* node, const Workspace& work) {
      const Table<T> block = blocks.rows(k * rows, rows);
      leaf(block.data, block.layout, work, node);
    };
    return tree_.push_blocks(nodes_, n_blocks, reduce, [&](int level, const double*) { count_ += rows << level; });
  };
  return take_in_blocks(table, open_rows_, rows, [&](const Table<T>& part) { return fill_open(part); }, whole);
}

Outcome RFactor::before_removal(Numbers& r) const noexcept {
  const Size n = columns();
  r = Numbers::zeros(nodes_.size());
  const Workspace work = nodes_.request(0);
  if (!r || !work) return no_memory;
  bool empty = true;
  const auto add = [&](const double* node, int = 0) {
    if (empty)
      std::copy_n(node, nodes_.size(), r.data());
    else
      nodes_.merge(r.data(), node, work);
    empty = false;
  };
  tree_.for_each(add);
  if (open_rows_ > 0) {
    leaf(open_.data(), Layout{open_rows_, n, n, 1}, work, work.nodes);
    add(work.nodes);
  }
  if (merged_) add(merged_.data());
  return {};
}

Outcome RFactor::difference(Numbers& r, bool& possible) const noexcept {
  const Size n = columns();
  const Outcome outcome = before_removal(r);
  possible = outcome.ok();
  if (!outcome.ok() || !removed_) return outcome;
  const Numbers x(n), p(n);
  if (!x || !p) return no_memory;
  for (Size i = 0; i < n && possible; ++i) {
    for (Size j = 0; j < n; ++j) x[j] = j < i ? 0 : removed_[i * n + j];
    possible = remove_row(r.data(), n, x.data(), p.data());
  }
  return {};
}

Outcome RFactor::total(Numbers& r) const noexcept {
  bool possible;
  const Outcome outcome = difference(r, possible);
  if (!outcome.ok()) return outcome;
  if (!possible) std::fill_n(r.data(), nodes_.size(), std::numeric_limits<double>::quiet_NaN());
  make_diagonal_nonnegative(r.data(), columns());
  return {};
}

Outcome RFactor::copy(const RFactor& other) noexcept {
  RFactor fresh(other.columns());
  if (!fresh.tree_.copy(other.tree_) || (other.open_rows_ > 0 && !drivers::copy(fresh.open_, other.open_)) ||
      !drivers::copy(fresh.merged_, other.merged_) || !drivers::copy(fresh.removed_, other.removed_))
    return no_memory;
  fresh.count_ = other.count_;
  fresh.open_rows_ = other.open_rows_;
  const Commit commit;
  *this = std::move(fresh);
  return {};
}

// into := R of [into; other], or `other` if that is empty.
static Outcome merge_into(const RFactorNodes& nodes, Numbers& into, const Numbers& other) noexcept {
  if (!into) return drivers::copy(into, other) ? Outcome{} : no_memory;
  const Workspace work = nodes.request_for_merging();
  if (!work) return no_memory;
  nodes.merge(into.data(), other.data(), work);
  return {};
}

Outcome RFactor::merge(const RFactor& other) noexcept {
  const Commit commit;
  if (count_ == 0 && !removed_) return copy(other);
  Numbers theirs, merged, removed;
  Outcome outcome = other.before_removal(theirs);
  if (!outcome.ok()) return outcome;
  if (!drivers::copy(merged, merged_) || !drivers::copy(removed, removed_)) return no_memory;
  outcome = merge_into(nodes_, merged, theirs);
  if (outcome.ok() && other.removed_) outcome = merge_into(nodes_, removed, other.removed_);
  if (!outcome.ok()) return outcome;
  std::swap(merged_, merged);
  std::swap(removed_, removed);
  count_ += other.count_;
  return {};
}

Outcome RFactor::remove(const RFactor& other, bool& possible) noexcept {
  const Commit commit;
  possible = true;
  Numbers theirs, r;
  Outcome outcome = other.total(theirs);
  if (!outcome.ok() || other.count_ == 0) return outcome;
  if (removed_) outcome = merge_into(nodes_, theirs, removed_);
  if (!outcome.ok()) return outcome;
  std::swap(removed_, theirs);
  outcome = difference(r, possible);
  if (!possible)
    std::swap(removed_, theirs);
  else
    count_ -= other.count_;
  return outcome;
}

// ---- state as numbers ----

void RFactor::save(std::vector<double>& to) const {
  const auto append = [&](const Numbers& numbers, Size n) { to.insert(to.end(), numbers.data(), numbers.data() + n); };
  to = {1,
        static_cast<double>(columns()),
        static_cast<double>(count_),
        static_cast<double>(tree_.n_blocks()),
        static_cast<double>(open_rows_),
        merged_ ? 1.0 : 0.0,
        removed_ ? 1.0 : 0.0};
  tree_.save(nodes_, to);
  if (open_rows_ > 0) append(open_, open_rows_ * columns());
  for (const Numbers* node : {&merged_, &removed_})
    if (*node) append(*node, nodes_.size());
}

// Could update(), merge() and remove() have led here?
bool RFactor::consistent() const noexcept {
  const Size n = columns();
  if (n == 0 && (tree_.n_blocks() != 0 || open_rows_ != 0)) return false;
  const double own = static_cast<double>(tree_.n_blocks()) * static_cast<double>(nodes_.block_rows()) +
                     static_cast<double>(open_rows_),
               count = static_cast<double>(count_);
  if (n > 0 && ((!merged_ && count > own) || (!removed_ && count < own))) return false;
  bool triangular = true;
  const auto check = [&](const double* r, int = 0) {
    for (Size i = 0; i < n; ++i)
      triangular = triangular && std::all_of(r + i * n, r + i * n + i, [](double x) { return x == 0; });
  };
  tree_.for_each(check);
  if (merged_) check(merged_.data());
  if (removed_) check(removed_.data());
  return triangular;
}

bool RFactor::restore(const std::vector<double>& from) {
  constexpr std::size_t header = 7;
  if (from.size() < header || from[0] != 1 || !is_whole(from[1], 0x1p24) || !is_whole(from[2], 0x1p53) ||
      !is_whole(from[3], 0x1p47))
    return false;
  for (const std::size_t flag : {5, 6})
    if (from[flag] != 0 && from[flag] != 1) return false;
  RFactor fresh(static_cast<Size>(from[1]));
  const Size n = fresh.columns(), rows = fresh.nodes_.block_rows();
  fresh.count_ = static_cast<Size>(from[2]);
  if (!is_whole(from[4], static_cast<double>(rows))) return false;
  fresh.open_rows_ = static_cast<Size>(from[4]);
  NumberReader reader(from, header);
  const auto take_node = [&](Numbers& node) { return reader.take(node, n * n, n * n); };
  if (!fresh.tree_.restore(static_cast<std::uint64_t>(from[3]), take_node)) return false;
  if (fresh.open_rows_ > 0 && !reader.take(fresh.open_, fresh.open_rows_ * n, rows * n)) return false;
  if (from[5] != 0 && !take_node(fresh.merged_)) return false;
  if (from[6] != 0 && !take_node(fresh.removed_)) return false;
  if (!reader.at_end() || !fresh.consistent()) return false;
  *this = std::move(fresh);
  return true;
}

template <class T>
Outcome r_of_rows(const T* table, const Layout& layout, double* r) noexcept {
  const RFactorNodes nodes{layout.cols};
  if (layout.rows < 2 * nodes.block_rows() && layout.cols > 0) {  // a block, and part of one: the same without a state
    const Workspace work = nodes.request(0);
    if (!work) return no_memory;
    const Table<T> rows{table, layout};
    const Size first = std::min(layout.rows, nodes.block_rows()), rest = layout.rows - first;
    leaf(table, rows.rows(0, first).layout, work, r);
    if (rest > 0) {
      const Table<T> others = rows.rows(first, rest);
      leaf(others.data, others.layout, work, work.nodes);
      nodes.merge(r, work.nodes, work);
    }
    make_diagonal_nonnegative(r, layout.cols);
    return {};
  }
  RFactor state(layout.cols);
  Outcome outcome = state.update(Table<T>{table, layout});
  Numbers total;
  if (outcome.ok()) outcome = state.total(total);
  if (outcome.ok()) std::copy_n(total.data(), layout.cols * layout.cols, r);
  return outcome;
}

template Outcome RFactor::update<double>(const Table<double>&) noexcept;
template Outcome RFactor::update<float>(const Table<float>&) noexcept;
template Outcome r_of_rows<double>(const double*, const Layout&, double*) noexcept;
template Outcome r_of_rows<float>(const float*, const Layout&, double*) noexcept;

}  // namespace mmlfast::drivers
