// Eigenvalues and eigenvectors of one tridiagonal matrix by QL (kernels/eigh.hpp): the sweeps one after the other, what
// they do to the vectors in blocks of rows, over the threads of a team.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>

#include "drivers/common/batch.hpp"
#include "drivers/common/diagonals.hpp"
#include "kernels/eigh.hpp"
#include "runtime/aligned_buffer.hpp"
#include "runtime/interrupt.hpp"
#include "runtime/outcome.hpp"
#include "runtime/team.hpp"

namespace mmlfast::drivers {

template <class T>
class TridiagonalSweeps {
 public:
  explicit TridiagonalSweeps(Size n) noexcept
      : n_(n), most_rotations_(std::max(n, std::min(n * n, most_rotations))), most_sweeps_(most_rotations_ / 2 + 1) {}

  // What it needs beside its arguments.
  void lay_out(Divider& divider) noexcept {
    rotation_ = divider.take<Rotation<T>>(most_rotations_);
    sweep_ = divider.take<typename Rotations<T>::Range>(most_sweeps_);
    order_ = divider.take<std::int32_t>(n_);
  }

  // The eigenvalues, ascending, in place of d, and the eigenvectors in the columns of z (n x n, z_column numbers from
  // one to the next); e (n numbers) is overwritten. `turned` are n round_up(n, lanes) numbers of scratch.
  // False if there is no answer.
  bool solve(Team& team, T* d, T* e, T* z, Size z_column, T* turned) const noexcept {
    const Eigh<T>& kernel = kernel_of<Eigh<T>>();
    const T unit = divide_by_unit(d, e, n_);
    if (!std::isfinite(unit)) return false;
    Rotations<T> rotations = none_yet();
    Size first = 0;
    e[n_ - 1] = 0;
    const Rows at_once = rows_at_once();
    set_identity(turned, at_once);
    for (bool begun = false, last = false; !last; begun = true) {
      last = kernel.sweep_until_full(n_, d, e, floor, first, rotations, turned, at_once.stride / lanes);
      const bool finished = last && first == n_ - 1;
      if (last && !finished) return false;
      if (finished) {
        put_in_order(d);
        write_out(turned, at_once, z, z_column);
      }
      team.run(n_blocks(), [&](Team::Block block) {
        const Rows rows = rows_of(block);
        T* const block_z = turned + rows.first * n_;
        if (!begun) set_identity(block_z, rows);
        kernel.turn(rotations, block_z, static_cast<int>(rows.stride / lanes));
        if (finished) write_out(block_z, rows, z, z_column);
      });
    }
    std::sort(d, d + n_);
    for (Size i = 0; i < n_; ++i) d[i] *= unit;
    return true;
  }

  // The eigenvalues alone, likewise.
  Outcome solve_values(T* d, T* e) const noexcept {
    const T unit = divide_by_unit(d, e, n_);
    if (!std::isfinite(unit)) return {Outcome::Status::failed_items};
    Rotations<T> rotations = none_yet();
    Size first = 0;
    e[n_ - 1] = 0;
    InterruptTimer timer;
    while (!kernel_of<Eigh<T>>().sweep_until_full(n_, d, e, floor, first, rotations, nullptr, 0))
      if (timer.interrupted()) return {Outcome::Status::interrupted};
    if (first < n_ - 1) return {Outcome::Status::failed_items};
    std::sort(d, d + n_);
    for (Size i = 0; i < n_; ++i) d[i] *= unit;
    return {};
  }

 private:
  // Couplings up to there are none beside a largest number of 1 to 2.
  static constexpr T floor = sizeof(T) == 8 ? static_cast<T>(0x1p-120) : static_cast<T>(0x1p-50);

  Rotations<T> none_yet() const noexcept { return {rotation_, sweep_, most_rotations_, most_sweeps_, 0, 30 * n_}; }

  static constexpr Size lanes = items_per_group<T>;
  static constexpr Size most_rotations = Size{32} << 10;  // half of what the second-level cache holds

  // Rows of the vectors that are turned together: row i of vector k is element k * stride + i - first.
  struct Rows {
    Size first, stride;
  };

  // As many as the processor turns while the next rotation waits for its square root.
  Rows rows_at_once() const noexcept { return {0, std::min<Size>(ceil_div(n_, lanes), 8) * lanes}; }
  Size n_blocks() const noexcept {
    return ceil_div(ceil_div(n_, lanes) - rows_at_once().stride / lanes, Size{most_turned_vectors});
  }
  // Of nearly equal heights.
  Rows rows_of(Size block) const noexcept {
    const Size before = rows_at_once().stride / lanes, vectors = ceil_div(n_, lanes) - before, blocks = n_blocks();
    const Size from = before + block * vectors / blocks, to = before + (block + 1) * vectors / blocks;
    return {from * lanes, (to - from) * lanes};
  }

  void set_identity(T* z, const Rows& rows) const noexcept {
    std::fill_n(z, n_ * rows.stride, T{0});
    for (Size i = rows.first; i < std::min(n_, rows.first + rows.stride); ++i) z[i * rows.stride + i - rows.first] = 1;
  }

  void put_in_order(const T* d) const noexcept {
    std::iota(order_, order_ + n_, 0);
    std::sort(order_, order_ + n_,
              [&](std::int32_t i, std::int32_t j) { return d[i] < d[j] || (d[i] == d[j] && i < j); });
  }

  void write_out(const T* from, const Rows& rows, T* z, Size z_column) const noexcept {
    const Size count = std::min(rows.stride, n_ - rows.first);
    for (Size k = 0; k < n_; ++k) std::copy_n(from + order_[k] * rows.stride, count, z + k * z_column + rows.first);
  }

  Size n_, most_rotations_, most_sweeps_;
  Rotation<T>* rotation_ = nullptr;
  typename Rotations<T>::Range* sweep_ = nullptr;
  std::int32_t* order_ = nullptr;
};

}  // namespace mmlfast::drivers
