#include "drivers/elimination_blocks.hpp"

#include "runtime/aligned_buffer.hpp"

namespace mmlfast::drivers {
namespace {

// Calls body(first column, columns) for bands of the columns of a matrix, by all threads where that is worth it.
template <class Body>
bool by_bands(Size rows, Size cols, Body&& body) {
  constexpr Size band = 32;
  constexpr double element_ns = 0.3;
  return parallel_blocks(ceil_div(cols, band), element_ns * static_cast<double>(rows) * static_cast<double>(cols),
                         [&](Size block) { body(block * band, std::min(band, cols - block * band)); });
}

template <class T>
class BlockedLu {
 public:
  BlockedLu(const BlockMatrix<T>& a, std::int32_t* pivot)
      : a_(a),
        steps_(std::min(a.rows, a.cols)),
        width_(panel_width(steps_)),
        pivot_(pivot),
        multiplications_(static_cast<double>(a.rows) * static_cast<double>(a.cols) * static_cast<double>(steps_) / 3),
        interrupted_(multiplications_),
        order_(orders()) {}

  // Whether solutions have to divide by pivots.
  bool divides() const { return divides_; }

  Outcome run() {
    if (!order_) return {Outcome::Status::no_memory};
    if (steps_ == 0) return {};
    factor(0);
    const bool finished = with_team(is_worth_a_team(multiplications_), [&](Team& team) {
      for (Size first = 0; first < steps_ && !interrupted_.stopped(); first += width_) right_of(first, team);
      if (!interrupted_.stopped()) exchange_left(team);
    });
    return {finished && !interrupted_.stopped() ? Outcome::Status::ok : Outcome::Status::interrupted};
  }

 private:
  // Whole lanes of columns: what is right of the last pivot, or zeros.
  Size end_of(Size first) const { return first + std::min(width_, ceil_div(steps_ - first, most_lanes) * most_lanes); }
  Size last_row(Size first) const { return std::min(end_of(first), steps_); }
  Size orders() const { return checked_product(ceil_div(steps_, width_) * 4, a_.rows); }
  std::int32_t* order(Size panel) const { return static_cast<std::int32_t*>(order_.data()) + panel * a_.rows; }

  // The panel of columns from `first` on, whose numbers are up to date.
  void factor(Size first) {
    std::int32_t pivot[widest_panel];
    divides_ = kernel_.lu(a_.at(first, first), a_.step(), a_.rows - first, end_of(first) - first, pivot,
                          last_row(first) - first, divides_);
    for (Size k = first; k < last_row(first); ++k) pivot_[k] = static_cast<std::int32_t>(first) + pivot[k - first];
  }

  // What the panel from `first` on means to columns [from, to).
  void apply(Size first, Size from, Size to) {
    const Size end = last_row(first), depth = end - first, rows = a_.rows - end, step = a_.step();
    for (Size j = from; j < to; ++j) {
      T* c = a_.at(0, j);
      const T* coming = c + (j + 2 < to ? 2 * step : 0);  // rows that are exchanged lie anywhere
      for (Size k = first; k < end; ++k) {
        __builtin_prefetch(coming + pivot_[k], 1, 3);
        std::swap(c[k], c[pivot_[k]]);
      }
    }
    T* x = a_.at(first, from);
    kernel_.solve_lower(a_.at(first, first), step, depth, x, step, to - from);
    if (rows > 0) kernel_.update(a_.at(end, first), step, rows, depth, x, 1, step, a_.at(end, from), step, to - from);
  }

  void right_of(Size first, Team& team) {
    const Size end = std::min(end_of(first), a_.cols), ahead = end < steps_ ? std::min(end_of(end), a_.cols) : end;
    const Size leading = ahead > end ? 1 : 0;
    const auto block_of_columns = [&](Size block) {
      if (interrupted_.stopped()) return;
      if (block < leading) {
        apply(first, end, ahead);
        factor(end);
      } else {
        const Size from = ahead + (block - leading) * width_;
        apply(first, from, std::min(from + width_, a_.cols));
      }
    };
    team.run(leading + ceil_div(a_.cols - ahead, width_), block_of_columns, [&] { interrupted_.ask(); });
  }

  // The multipliers of a panel hear of the exchanges of all later ones at once: row i is then what row order[i] was.
  void exchange_left(Team& team) {
    const Size panels = ceil_div(steps_, width_), rows = a_.rows;
    if (panels < 2) return;
    std::int32_t* both = order(0);  // not used otherwise
    for (Size p = panels - 1; p > 0; --p) {
      std::int32_t* own = order(p);
      const Size first = p * width_, end = last_row(first);
      for (Size i = first; i < rows; ++i) own[i] = static_cast<std::int32_t>(i);
      for (Size k = first; k < end; ++k) std::swap(own[k], own[pivot_[k]]);
      if (p + 1 == panels) continue;
      const std::int32_t* later = order(p + 1);
      for (Size i = end; i < rows; ++i) both[i] = own[later[i]];
      std::copy(both + end, both + rows, own + end);
    }
    team.run(panels - 1, [&](Size p) {
      const Size first = p * width_, end = last_row(first);
      const std::int32_t* later = order(p + 1);
      const ScratchLease lease(rows * static_cast<Size>(sizeof(T)));
      T* column = static_cast<T*>(lease.data());
      for (Size j = first; j < end; ++j) {
        T* c = a_.at(0, j);
        if (column == nullptr) {  // no memory: one exchange after the other
          for (Size k = end; k < steps_; ++k) std::swap(c[k], c[pivot_[k]]);
          continue;
        }
        for (Size i = end; i < rows; ++i) column[i] = c[later[i]];
        std::copy(column + end, column + rows, c + end);
      }
    });
  }

  const BlockMatrix<T>& a_;
  const Size steps_, width_;
  std::int32_t* const pivot_;
  const double multiplications_;
  InterruptedFactors interrupted_;
  bool divides_ = false;
  const ScratchLease order_;
  const EliminationBlocks<T>& kernel_ = kernel_of<EliminationBlocks<T>>();
};

}  // namespace

template <class T>
Outcome BlockMatrix<T>::take(const T* item, const Layout& l, bool lower) const noexcept {
  const bool finished = by_bands(rows, cols, [&](Size first, Size count) {
    const Size top = lower ? first : 0;
    const T* from = item + top * l.row_stride + first * l.col_stride;
    if (l.col_stride == 1 && l.row_stride != 1)
      kernel_of<EliminationBlocks<T>>().transpose(from, l.row_stride, at(top, first), step(), rows - top, count);
    else
      to_columns(from, Layout{rows - top, count, l.row_stride, l.col_stride}, at(top, first), step());
    for (Size j = first; j < first + count; ++j) std::fill(at(rows, j), at(0, j + 1), T{0});
  });
  std::fill(at(0, cols), data + elements(rows, cols), T{0});
  return {finished ? Outcome::Status::ok : Outcome::Status::interrupted};
}

template <class T>
void give_block(const T* from, Size step, T* item, const Layout& l) noexcept {
  if (l.col_stride == 1 && l.row_stride != 1)
    kernel_of<EliminationBlocks<T>>().transpose(from, step, item, l.row_stride, l.cols, l.rows);
  else if (l.row_stride == 1)
    for (Size j = 0; j < l.cols; ++j) std::copy_n(from + j * step, l.rows, item + j * l.col_stride);
  else
    from_columns(from, step, item, l);
}

template <class T>
Outcome lu_in_blocks(const BlockMatrix<T>& a, std::int32_t* pivot, bool* divides) noexcept {
  BlockedLu<T> factors(a, pivot);
  const Outcome outcome = factors.run();
  *divides = factors.divides();
  return outcome;
}

template <class T>
void solve_in_blocks(const BlockMatrix<T>& lu, bool divides, const BlockMatrix<T>& x, Size first) noexcept {
  constexpr Size width = solved_band;
  const EliminationBlocks<T>& kernel = kernel_of<EliminationBlocks<T>>();
  const Size n = lu.rows, step = lu.step(), x_step = x.step(), cols = x.cols;
  for (Size k = first; k < n; k += width) {
    const Size end = std::min(k + width, n);
    kernel.solve_lower(lu.at(k, k), step, end - k, x.at(k, 0), x_step, cols);
    if (end < n)
      kernel.update(lu.at(end, k), step, n - end, end - k, x.at(k, 0), 1, x_step, x.at(end, 0), x_step, cols);
  }
  for (Size k = (n - 1) / width * width; k >= 0; k -= width) {
    const Size end = std::min(k + width, n);
    kernel.solve_upper(lu.at(k, k), step, divides, end - k, x.at(k, 0), x_step, cols);
    // From the last column to the first, as everywhere on the way back.
    if (k > 0)
      kernel.update(lu.at(0, end - 1), -step, k, end - k, x.at(end - 1, 0), -1, x_step, x.at(0, 0), x_step, cols);
  }
}

template <class T>
Outcome cholesky_in_blocks(const BlockMatrix<T>& a) noexcept {
  const EliminationBlocks<T>& kernel = kernel_of<EliminationBlocks<T>>();
  const Size n = a.rows, width = panel_width(n), step = a.step();
  const auto end_of = [&](Size first) { return std::min(first + width, n); };
  // The columns [from, to), given the panel at `first`.
  const auto apply = [&](Size first, Size from, Size to) {
    const T* l = a.at(from, first);
    kernel.update(l, step, n - from, end_of(first) - first, l, step, 1, a.at(from, from), step, to - from);
  };
  const auto factor = [&](Size first) {
    return kernel.cholesky(a.at(first, first), step, n - first, end_of(first) - first);
  };
  bool good = factor(0);
  const double order = static_cast<double>(n), multiplications = order * order * order / 6;
  InterruptedFactors interrupted(multiplications);
  const bool finished = with_team(is_worth_a_team(multiplications), [&](Team& team) {
    for (Size first = 0; first + width < n && good && !interrupted.stopped(); first += width) {
      const Size end = end_of(first), ahead = end_of(end);
      bool next = true;
      const auto block_of_columns = [&](Size block) {
        if (interrupted.stopped()) return;
        const Size from = end + block * width;
        apply(first, from, end_of(from));
        if (block == 0) next = factor(end);
      };
      team.run(1 + ceil_div(n - ahead, width), block_of_columns, [&] { interrupted.ask(); });
      good = next;
    }
  });
  if (!finished || interrupted.stopped()) return {Outcome::Status::interrupted};
  return {good ? Outcome::Status::ok : Outcome::Status::failed_items};
}

#define MMLFAST_INSTANTIATE(T)                                                                      \
  template Outcome BlockMatrix<T>::take(const T*, const Layout&, bool) const noexcept;              \
  template void give_block(const T*, Size, T*, const Layout&) noexcept;                             \
  template Outcome lu_in_blocks(const BlockMatrix<T>&, std::int32_t*, bool*) noexcept;              \
  template void solve_in_blocks(const BlockMatrix<T>&, bool, const BlockMatrix<T>&, Size) noexcept; \
  template Outcome cholesky_in_blocks(const BlockMatrix<T>&) noexcept;
MMLFAST_INSTANTIATE(double)
MMLFAST_INSTANTIATE(float)

}  // namespace mmlfast::drivers
