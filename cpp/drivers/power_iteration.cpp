#include "drivers/power_iteration.hpp"

#include <atomic>
#include <cmath>
#include <limits>

#include "drivers/common/lane_batch.hpp"
#include "drivers/common/rounds.hpp"
#include "kernels/power_iteration.hpp"
#include "runtime/interrupt.hpp"
#include "runtime/team.hpp"

namespace mmlfast::drivers {
namespace {

// In lanes up to here; of several matrices one per thread as long as a sweep is short.
constexpr Size most_in_lanes = 32, most_per_thread = 512;

// Of a sweep: what threads that stay together can share.
constexpr double worth_a_team_ns = 20'000;

template <class T>
double tolerance(const PowerStop& stop) {
  const double floor = 8 * static_cast<double>(std::numeric_limits<T>::epsilon());
  return std::min(std::max(stop.tol, floor), 1e6);
}

template <class T>
void set_failed(const PowerPairs<T>& pairs, Size item, Size n_iter) {
  constexpr T nan = std::numeric_limits<T>::quiet_NaN();
  *pairs.value.item(item) = *pairs.residual.item(item) = nan;
  *pairs.n_iter.item(item) = n_iter;
  *pairs.converged.item(item) = false;
  const Layout& l = pairs.vector.layout;
  for (Size i = 0; i < l.rows; ++i) pairs.vector.item(item)[i * l.row_stride] = nan;
}

// ---- one matrix, dense or sparse: an Operator knows n, its fixed blocks of rows, and how to multiply one ----

template <class T>
struct DenseOperator {
  const T* a;
  Layout layout;
  const PowerIteration<T>& kernel;

  static constexpr Size block_entries = 65'536;
  Size n() const { return layout.rows; }
  Size rows_per_block() const { return std::max<Size>(4, (block_entries / n() + 3) / 4 * 4); }
  Size n_blocks() const { return ceil_div(n(), rows_per_block()); }
  Size first_row(Size block) const { return std::min(n(), block * rows_per_block()); }
  double ns() const { return 0.12 * static_cast<double>(n()) * static_cast<double>(n()); }
  void multiply(Size block, const T* x, T* y, double scale, double* sums) const {
    kernel.rows(a, layout, first_row(block), first_row(block + 1), x, y, scale, sums);
  }
};

template <class T, class Index>
struct SparseOperator {
  CsrMatrix<T, Index> a;
  const PowerIteration<T>& kernel;

  static constexpr Size block_work = 32'768;
  Size n() const { return a.n; }
  // What rows before `row` cost: their entries, and a few for each row.
  Size work_before(Size row) const { return static_cast<Size>(a.starts[row]) + 4 * row; }
  Size n_blocks() const { return std::max<Size>(1, ceil_div(work_before(n()), block_work)); }
  Size first_row(Size block) const {
    Size low = 0, high = n();  // the first row with work_before(row) >= block * block_work
    while (low < high) {
      const Size middle = low + (high - low) / 2;
      if (work_before(middle) < block * block_work)
        low = middle + 1;
      else
        high = middle;
    }
    return low;
  }
  double ns() const { return 1.0 * static_cast<double>(work_before(n())); }
  void multiply(Size block, const T* x, T* y, double scale, double* sums) const {
    const CsrRows<T, Index> rows{a.data, a.columns, a.starts};
    const Size first = first_row(block), last = first_row(block + 1);
    if constexpr (sizeof(Index) == 4)
      kernel.sparse_rows_32(rows, first, last, x, y, scale, sums);
    else
      kernel.sparse_rows_64(rows, first, last, x, y, scale, sums);
  }
};

constexpr Size piece_rows = 16'384;

// The working memory of one iteration.
template <class T>
struct Vectors {
  T *x, *y;
  double* sums;  // two per block of rows, and one per piece of a vector
  static Size bytes(Size n, Size n_blocks) {
    const Size vector = (n * static_cast<Size>(sizeof(T)) + 63) / 64 * 64;
    return 2 * vector + 8 * std::max(2 * n_blocks, n / piece_rows + 1);
  }
  Vectors(void* memory, Size n) {
    const Size vector = (n * static_cast<Size>(sizeof(T)) + 63) / 64 * 64;
    char* p = static_cast<char*>(memory);
    x = reinterpret_cast<T*>(p);
    y = reinterpret_cast<T*>(p + vector);
    sums = reinterpret_cast<double*>(p + 2 * vector);
  }
};

// A power of two near 1 / x, kept within what a product of two of them can undo.
double inverse_power(double x) {
  int e;
  std::frexp(x, &e);
  return std::ldexp(1.0, std::min(std::max(-e, -1000), 1000));
}

template <class T>
double largest_entry(const T* x, Size n) {  // NaN if one is NaN
  double m = 0;
  for (Size i = 0; i < n; ++i) {
    const double v = std::fabs(static_cast<double>(x[i]));
    if (!(v <= m)) m = v;
    if (std::isnan(m)) return m;
  }
  return m;
}

template <class T>
double scale_to_unit(T* x, Size n) {  // the factor, a power of two; 0 if that is not possible
  const double m = largest_entry(x, n);
  if (!(m > 0) || !std::isfinite(m)) return 0;
  const double p = inverse_power(m);
  for (Size i = 0; i < n; ++i) x[i] = static_cast<T>(static_cast<double>(x[i]) * p);
  return p;
}

enum class Progress { running, stopped, interrupted };

// Sweeps from the vector in v.x (state of an earlier call, or a start vector). `done` sweeps came before; up to
// `until`.
template <class T, class Operator>
class Iteration {
 public:
  // `team` shares the sweeps; `timer`, which only the leading thread may ask, looks for Ctrl-C. Or nullptr.
  Iteration(const Operator& op, const Vectors<T>& v, const PowerStop& stop, Team* team, InterruptTimer* timer)
      : op_(op),
        x_(v.x),
        y_(v.y),
        sums_(v.sums),
        tol_(tolerance<T>(stop)),
        max_iter_(stop.max_iter),
        team_(team),
        timer_(timer),
        n_blocks_(op.n_blocks()) {}

  Progress run(Size done, Size until) {
    n_iter = done;
    if (scale_to_unit(x_, op_.n()) == 0) return fail();
    dots(x_);
    s_ = total(1);
    double scale = 1;
    const double look = std::max(4 * tol_ * tol_, 1e-11);
    while (n_iter < until) {
      if (!over_blocks(n_blocks_, [&](Size block) { op_.multiply(block, x_, y_, scale, sums_ + 2 * block); }))
        return Progress::interrupted;
      ++n_iter;
      double d = total(0), q = total(1);
      if (!(q > 1e-200 && q < 1e200)) {  // out of range, not finite, or A x = 0
        const double m = largest_entry(y_, op_.n());
        if (!std::isfinite(m)) return fail();
        if (m > 0) {
          scale *= scale_to_unit(y_, op_.n());
          dots(y_);
          d = total(0);
          q = total(1);
        }
      }
      const double mu = d / s_;
      const bool last = n_iter == max_iter_;
      if (last || q * s_ - d * d <= look * d * d) {
        const double r = residual(mu);
        if (std::isnan(r)) return Progress::interrupted;
        converged = r <= tol_ * std::fabs(mu);
        if (converged || last) {
          value_ = mu / scale;
          residual_ = r / scale;
          return Progress::stopped;
        }
      }
      std::swap(x_, y_);
      const double norm = std::sqrt(q), growth = norm / std::sqrt(s_);
      s_ = q;
      scale = std::min(std::max(scale * inverse_power(norm * growth), 0x1p-1000), 0x1p1000);
      if (scale == 0x1p1000 && s_ < 0.01) {  // denormal numbers in A: this scale alone does not keep x near 1
        scale_to_unit(x_, op_.n());
        dots(x_);
        s_ = total(1);
      }
      if (timer_ != nullptr && timer_->interrupted()) return Progress::interrupted;
    }
    return Progress::running;
  }

  // After `stopped`: the unit vector with its largest component positive.
  void finish(const PowerPairs<T>& pairs, Size item) const {
    if (failed_) return set_failed(pairs, item, n_iter);
    *pairs.value.item(item) = static_cast<T>(value_);
    *pairs.residual.item(item) = static_cast<T>(residual_);
    *pairs.n_iter.item(item) = n_iter;
    *pairs.converged.item(item) = converged;
    Size leader = 0;
    for (Size i = 1; i < op_.n(); ++i)
      if (std::fabs(x_[i]) > std::fabs(x_[leader])) leader = i;
    const double norm = x_[leader] < 0 ? -std::sqrt(s_) : std::sqrt(s_);
    const Size stride = pairs.vector.layout.row_stride;
    T* to = pairs.vector.item(item);
    for (Size i = 0; i < op_.n(); ++i) to[i * stride] = static_cast<T>(static_cast<double>(x_[i]) / norm);
  }

  // After `running`: the state to go on from.
  const T* state() const { return x_; }

  Size n_iter = 0;
  bool converged = false;

 private:
  Progress fail() {
    failed_ = true;
    converged = false;
    return Progress::stopped;
  }
  // body(block) over blocks; false if interrupted.
  template <class Body>
  bool over_blocks(Size n_blocks, Body&& body) {
    if (team_ == nullptr) {
      for (Size block = 0; block < n_blocks; ++block) body(block);
      return true;
    }
    std::atomic<bool> stopped{false};
    team_->run(
        n_blocks,
        [&](Size block) {
          if (!stopped.load(std::memory_order_relaxed)) body(block);
        },
        [&] {
          if (timer_ != nullptr && timer_->interrupted()) stopped.store(true, std::memory_order_relaxed);
        });
    return !stopped.load(std::memory_order_relaxed);
  }
  double total(int which) const {
    double sum = 0;
    for (Size block = 0; block < n_blocks_; ++block) sum += sums_[2 * block + which];
    return sum;
  }
  // sums_: x'v and v'v by blocks.
  void dots(const T* v) {
    for (Size block = 0; block < n_blocks_; ++block) {
      double d = 0, q = 0;
      const Size end = op_.first_row(block + 1);
      for (Size i = op_.first_row(block); i < end; ++i) {
        const double vi = static_cast<double>(v[i]);
        d += static_cast<double>(x_[i]) * vi;
        q += vi * vi;
      }
      sums_[2 * block] = d;
      sums_[2 * block + 1] = q;
    }
  }
  // norm(y - mu x) / norm(x); NaN if interrupted.
  double residual(double mu) {
    const Size n = op_.n(), n_pieces = ceil_div(n, piece_rows);
    const bool finished = over_blocks(n_pieces, [&](Size piece) {
      sums_[piece] = op_.kernel.residual(x_, y_, mu, piece * piece_rows, std::min(n, (piece + 1) * piece_rows));
    });
    if (!finished) return std::numeric_limits<double>::quiet_NaN();
    double sum = 0;
    for (Size piece = 0; piece < n_pieces; ++piece) sum += sums_[piece];
    return std::sqrt(sum / s_);
  }

  const Operator& op_;
  T *x_, *y_;
  double* sums_;
  double tol_;
  Size max_iter_;
  Team* team_;
  InterruptTimer* timer_;
  Size n_blocks_;
  double s_ = 0, value_ = 0, residual_ = 0;
  bool failed_ = false;
};

// ---- many items, in rounds ----

// A running item keeps its state in `vector`, and minus the sweeps done in `n_iter`.
template <class T>
Outcome run_lanes(Size n_items, const Batch<const T>& a, const Batch<const T>& x0, const PowerStop& stop,
                  const PowerPairs<T>& pairs) noexcept {
  constexpr int width = items_per_group<T>;
  const PowerIteration<T>& kernel = kernel_of<PowerIteration<T>>();
  const Size n = a.layout.rows, scratch_bytes = 64 * kernel.scratch_vectors(n);
  const T tol = static_cast<T>(tolerance<T>(stop));
  const Rounds r(32, 25 + 0.4 * static_cast<double>(n * n));
  const auto still_runs = [&](Size i) { return *pairs.n_iter.item(i) < 0; };
  const auto advance = [&](const Size* items, Size count, Size done, Size until, void* scratch) {
    const Batch<const T> state{pairs.vector.data, pairs.vector.stride, pairs.vector.layout};
    const Batch<const T>& start = done == 0 ? x0 : state;
    const T *matrix[width], *from[width];
    T *to[width], *value[width], *residual[width];
    for (int l = 0; l < width; ++l) {
      matrix[l] = a.item(items[l]);
      from[l] = start.item(items[l]);
      to[l] = pairs.vector.item(items[l]);
      value[l] = pairs.value.item(items[l]);
      residual[l] = pairs.residual.item(items[l]);
    }
    std::int64_t n_sweeps[width];
    const PowerStopped bits =
        kernel.lanes(matrix, a.layout,
                     {from, start.layout.row_stride, to, pairs.vector.layout.row_stride, value, residual, n_sweeps},
                     {tol, until - done, until == stop.max_iter}, scratch);
    for (Size l = 0; l < count; ++l) {
      *pairs.n_iter.item(items[l]) = (bits.stopped >> l) & 1 ? done + n_sweeps[l] : -until;
      *pairs.converged.item(items[l]) = (bits.converged >> l) & 1;
    }
  };
  return in_rounds<width>(n_items, stop.max_iter, r, scratch_bytes, still_runs, advance);
}

template <class T>
void load_vector(const T* from, const Layout& layout, T* x) {
  for (Size i = 0; i < layout.rows; ++i) x[i] = from[i * layout.row_stride];
}

template <class T>
Outcome run_items(Size n_items, const Batch<const T>& a, const Batch<const T>& x0, const PowerStop& stop,
                  const PowerPairs<T>& pairs) noexcept {
  const PowerIteration<T>& kernel = kernel_of<PowerIteration<T>>();
  const Size n = a.layout.rows;
  const DenseOperator<T> any{nullptr, a.layout, kernel};
  const Rounds r(32, any.ns() + 50);
  const Size scratch_bytes = Vectors<T>::bytes(n, any.n_blocks());
  const auto still_runs = [&](Size i) { return *pairs.n_iter.item(i) < 0; };
  Team* together = nullptr;
  const auto advance = [&](const Size* items, Size, Size done, Size until, void* scratch) {
    const Size item = items[0];
    const DenseOperator<T> op{a.item(item), a.layout, kernel};
    const Vectors<T> v(scratch, n);
    const T* start = done == 0 ? x0.item(item) : pairs.vector.item(item);
    load_vector(start, done == 0 ? x0.layout : pairs.vector.layout, v.x);
    Iteration<T, DenseOperator<T>> iteration(op, v, stop, together, nullptr);
    if (iteration.run(done, until) == Progress::stopped) {
      iteration.finish(pairs, item);
    } else {
      const Size stride = pairs.vector.layout.row_stride;
      for (Size i = 0; i < n; ++i) pairs.vector.item(item)[i * stride] = iteration.state()[i];
      *pairs.n_iter.item(item) = -until;
    }
  };
  const auto all_rounds = [&] { return in_rounds<1>(n_items, stop.max_iter, r, scratch_bytes, still_runs, advance); };
  if (n_items > 1 || any.ns() < worth_a_team_ns) return all_rounds();
  Outcome outcome;
  const bool finished = with_team(true, [&](Team& team) {
    together = &team;
    outcome = all_rounds();
  });
  return finished ? outcome : Outcome{Outcome::Status::interrupted};
}

// One matrix on all threads. x0 is a vector at any stride.
template <class T, class Operator>
Outcome run_threaded(const Operator& op, const T* x0, const Layout& x0_layout, const PowerStop& stop,
                     const PowerPairs<T>& pairs, Size item) noexcept {
  const AlignedBuffer<char> memory(Vectors<T>::bytes(op.n(), op.n_blocks()));
  if (memory.data() == nullptr) return {Outcome::Status::no_memory};
  const Vectors<T> v(memory.data(), op.n());
  load_vector(x0, x0_layout, v.x);
  Progress progress = Progress::running;
  const bool finished = with_team(op.ns() >= worth_a_team_ns, [&](Team& team) {
    InterruptTimer timer;
    Iteration<T, Operator> iteration(op, v, stop, &team, &timer);
    progress = iteration.run(0, stop.max_iter);
    if (progress == Progress::stopped) iteration.finish(pairs, item);
  });
  return {!finished || progress == Progress::interrupted ? Outcome::Status::interrupted : Outcome::Status::ok};
}

}  // namespace

template <class T>
Outcome power_iteration(Size n_items, const Batch<const T>& a, const Batch<const T>& x0, const PowerStop& stop,
                        const PowerPairs<T>& pairs) noexcept {
  const Size n = a.layout.rows;
  if (n == 0 || n_items == 0) return {};
  if (n <= most_in_lanes) return run_lanes(n_items, a, x0, stop, pairs);
  if (n <= most_per_thread) return run_items(n_items, a, x0, stop, pairs);
  const PowerIteration<T>& kernel = kernel_of<PowerIteration<T>>();
  for (Size item = 0; item < n_items; ++item) {
    const DenseOperator<T> op{a.item(item), a.layout, kernel};
    const Outcome outcome = run_threaded(op, x0.item(item), x0.layout, stop, pairs, item);
    if (!outcome.ok()) return outcome;
  }
  return {};
}

template <class T, class Index>
bool well_formed(const CsrMatrix<T, Index>& a) noexcept {
  if (a.starts[0] != 0 || static_cast<Size>(a.starts[a.n]) > a.n_stored) return false;
  for (Size i = 0; i < a.n; ++i)
    if (a.starts[i + 1] < a.starts[i]) return false;
  bool inside = true;
  for (Size k = 0, end = static_cast<Size>(a.starts[a.n]); k < end; ++k)
    inside &= a.columns[k] >= 0 && static_cast<Size>(a.columns[k]) < a.n;
  return inside;
}

template <class T, class Index>
Outcome power_iteration(const CsrMatrix<T, Index>& a, const T* x0, const PowerStop& stop,
                        const PowerPairs<T>& pair) noexcept {
  return run_threaded(SparseOperator<T, Index>{a, kernel_of<PowerIteration<T>>()}, x0, Layout{a.n, 1, 1, 1}, stop, pair,
                      0);
}

#define MMLFAST_INSTANTIATE_SPARSE(T, Index)                                                         \
  template bool well_formed<T, Index>(const CsrMatrix<T, Index>&) noexcept;                          \
  template Outcome power_iteration<T, Index>(const CsrMatrix<T, Index>&, const T*, const PowerStop&, \
                                             const PowerPairs<T>&) noexcept;
#define MMLFAST_INSTANTIATE(T)                                                                              \
  template Outcome power_iteration<T>(Size, const Batch<const T>&, const Batch<const T>&, const PowerStop&, \
                                      const PowerPairs<T>&) noexcept;                                       \
  MMLFAST_INSTANTIATE_SPARSE(T, std::int32_t)                                                               \
  MMLFAST_INSTANTIATE_SPARSE(T, std::int64_t)
MMLFAST_INSTANTIATE(double)
MMLFAST_INSTANTIATE(float)

}  // namespace mmlfast::drivers
