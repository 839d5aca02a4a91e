#include "drivers/backprop_own_functions.hpp"

#include <algorithm>

#include "drivers/tape_blocks.hpp"

namespace mmlfast::drivers::backprop {

namespace {
Size points_at_once(const TapeProgram& program) { return program.rows() * tape_lanes; }
}  // namespace

double* OwnFunction::take_fixed(Divider& memory, const TapeProgram* program) noexcept {
  return program == nullptr ? nullptr : memory.take<double>(program->layout().n_fixed + 2 * tape_padding);
}

bool OwnFunction::fill_fixed(const TapeProgram& program, double* fixed) noexcept {
  const TapeProgram::Numbers numbers = program.numbers();
  if (!numbers) return false;
  std::copy_n(numbers.fixed(), program.layout().n_fixed, fixed);
  return true;
}

Size OwnFunction::scratch_bytes(const TapeProgram* program) noexcept {
  return program == nullptr ? 0 : round_up(TapeBlock::bytes(*program, points_at_once(*program)), 64);
}

OwnFunction::OwnFunction(const TapeProgram& program, const double* fixed, void* scratch) noexcept
    : program_(program), fixed_(fixed), memory_(static_cast<double*>(scratch)) {}

// load(at, block, i) and store(at, block, i) for each number of a tile, `at` being its place and i its point.
template <class Load, class Store>
void OwnFunction::each(Size rows, Size columns, Size stride, Load&& load, Store&& store) const noexcept {
  const Size total = rows * columns, most = points_at_once(program_);
  TapeBlock block(program_, fixed_, most, memory_);
  for (Size first = 0; first < total; first += most) {
    const Size count = std::min(most, total - first), filled = block.set_points(count);
    const auto place = [&](Size i) { return (first + i) / columns * stride + (first + i) % columns; };
    for (Size i = 0; i < filled; ++i) load(place(std::min(i, count - 1)), block, i);  // the last one again
    block.run();
    for (Size i = 0; i < count; ++i) store(place(i), block, i);
  }
}

template <class T>
void OwnFunction::activate(T* z, T* slope, Size rows, Size columns, Size stride) const noexcept {
  each(
      rows, columns, stride,
      [&](Size at, const TapeBlock& block, Size i) { block.input(0)[i] = static_cast<double>(z[at]); },
      [&](Size at, const TapeBlock& block, Size i) {
        z[at] = static_cast<T>(block.output(0)[i]);
        if (slope != nullptr) slope[at] = static_cast<T>(block.output(1)[i]);
      });
}

template <class T>
double OwnFunction::lose(const T* out, const T* y, T* delta, const T* weights, Size rows, Size columns,
                         Size stride) const noexcept {
  double total = 0;
  each(
      rows, columns, stride,
      [&](Size at, const TapeBlock& block, Size i) {
        block.input(0)[i] = static_cast<double>(out[at]);
        block.input(1)[i] = static_cast<double>(y[at]);
      },
      [&](Size at, const TapeBlock& block, Size i) {
        total += static_cast<double>(weights[at / stride]) * block.output(0)[i];
        delta[at] = static_cast<T>(block.output(1)[i]);
      });
  return total;
}

#define MMLFAST_INSTANTIATE(T)                                                     \
  template void OwnFunction::activate<T>(T*, T*, Size, Size, Size) const noexcept; \
  template double OwnFunction::lose<T>(const T*, const T*, T*, const T*, Size, Size, Size) const noexcept;
MMLFAST_INSTANTIATE(double)
MMLFAST_INSTANTIATE(float)

}  // namespace mmlfast::drivers::backprop
