// Activations and losses of the user's own: traced functions, run over the numbers of a tile as points.
#pragma once

#include "drivers/backprop.hpp"
#include "runtime/aligned_buffer.hpp"

namespace mmlfast::drivers::backprop {

// One program of one network in one call, with the numbers that it holds fixed. Tiles go through it in pieces, in
// memory of the caller's: `scratch_bytes` for each thread.
class OwnFunction {
 public:
  // Lays out or fills `fixed`.
  static double* take_fixed(Divider& memory, const TapeProgram* program) noexcept;
  // False without memory.
  static bool fill_fixed(const TapeProgram& program, double* fixed) noexcept;
  static Size scratch_bytes(const TapeProgram* program) noexcept;

  OwnFunction(const TapeProgram& program, const double* fixed, void* scratch) noexcept;

  // z = f(z) in rows x columns numbers, and slope = f'(z) unless it is nullptr.
  template <class T>
  void activate(T* z, T* slope, Size rows, Size columns, Size stride) const noexcept;

  // delta = dl/dout. Returns the sum over rows of weight times the losses of a row.
  template <class T>
  double lose(const T* out, const T* y, T* delta, const T* weights, Size rows, Size columns,
              Size stride) const noexcept;

 private:
  template <class Load, class Store>
  void each(Size rows, Size columns, Size stride, Load&& load, Store&& store) const noexcept;

  const TapeProgram& program_;
  const double* fixed_;
  double* memory_;
};

}  // namespace mmlfast::drivers::backprop
