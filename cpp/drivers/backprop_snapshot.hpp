// A copy of all weights and velocities of a network in training, to go back to when it leaves the finite numbers.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "kernels/backprop.hpp"
#include "runtime/aligned_buffer.hpp"

namespace mmlfast::drivers {

// Whether none of n numbers is NaN or infinite: without a branch, so that it runs in vectors.
template <class T>
bool all_finite(const T* x, Size n) {
  using Bits = std::conditional_t<sizeof(T) == 8, std::uint64_t, std::uint32_t>;
  constexpr Bits exponent = sizeof(T) == 8 ? static_cast<Bits>(0x7ff0000000000000) : static_cast<Bits>(0x7f800000);
  Bits bad = 0;
  for (Size i = 0; i < n; ++i) {
    Bits bits;
    std::memcpy(&bits, x + i, sizeof(T));
    bad |= static_cast<Bits>((bits & exponent) == exponent);
  }
  return bad == 0;
}

template <class T>
class Snapshot {
 public:
  // `layers` have matrices of padded(n_in) rows; rows(layer) is that number.
  template <class Rows>
  Snapshot(DenseLayer<T>* layers, int n_layers, bool velocities, Rows&& rows)
      : layers_(layers), n_layers_(n_layers), velocities_(velocities), sizes_(n_layers) {
    if (!sizes_) return;
    for (int l = 0; l < n_layers; ++l) {
      sizes_[l] = rows(layers[l]) * layers[l].w_row;
      n_numbers_ += sizes_[l] + layers[l].w_row;
    }
  }
  bool ready() const { return static_cast<bool>(sizes_); }
  bool holds() const { return static_cast<bool>(memory_); }
  Size n_numbers() const { return n_numbers_; }

  // False without memory.
  bool save() {
    if (!memory_) memory_ = AlignedBuffer<T>(velocities_ ? 2 * n_numbers_ : n_numbers_);
    if (!memory_) return false;
    T* p = memory_.data();
    each([&p](T* x, Size n) { std::memcpy(p, x, static_cast<std::size_t>(n) * sizeof(T)), p += n; });
    return true;
  }
  void restore() const {
    const T* p = memory_.data();
    each([&p](T* x, Size n) { std::memcpy(x, p, static_cast<std::size_t>(n) * sizeof(T)), p += n; });
  }
  // The layers as they are before anything is loaded; padding must not stay what 0 times infinity made of it.
  void clear() const {
    each([](T* x, Size n) { std::fill_n(x, n, T{0}); });
  }
  // Of what is in the layers now. A velocity that is not finite makes the weights so.
  bool finite() const {
    bool good = true;
    for (int l = 0; l < n_layers_; ++l)
      good = good && all_finite(layers_[l].w, sizes_[l]) && all_finite(layers_[l].b, layers_[l].w_row);
    return good;
  }

 private:
  template <class Body>
  void each(Body&& body) const {
    for (int l = 0; l < n_layers_; ++l) {
      const DenseLayer<T>& layer = layers_[l];
      body(layer.w, sizes_[l]);
      body(layer.b, layer.w_row);
      if (velocities_) body(layer.velocity, sizes_[l]), body(layer.b_velocity, layer.w_row);
    }
  }

  DenseLayer<T>* layers_;
  int n_layers_;
  bool velocities_;
  Size n_numbers_ = 0;
  AlignedBuffer<T> memory_;
  AlignedBuffer<Size> sizes_;
};

}  // namespace mmlfast::drivers
