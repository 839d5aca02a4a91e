// A copy of all weights, and of the optimizer's state, of a network in training: to go back to.
#pragma once

#include <cstring>

#include "drivers/backprop_workspace.hpp"
#include "drivers/common/finite.hpp"

namespace mmlfast::drivers::backprop {

template <class T>
class Snapshot {
 public:
  explicit Snapshot(Workspace<T>& workspace) : workspace_(workspace) {
    each([this](T*, Size n) { n_numbers_ += n; });
  }
  bool holds() const { return static_cast<bool>(memory_); }
  Size n_numbers() const { return n_numbers_; }

  // False without memory.
  bool save() {
    if (!memory_) memory_ = AlignedBuffer<T>(n_numbers_);
    if (!memory_) return false;
    T* p = memory_.data();
    each([&p](T* x, Size n) { std::memcpy(p, x, static_cast<std::size_t>(n) * sizeof(T)), p += n; });
    return true;
  }
  void restore() const {
    const T* p = memory_.data();
    each([&p](T* x, Size n) { std::memcpy(x, p, static_cast<std::size_t>(n) * sizeof(T)), p += n; });
    workspace_.transpose();
  }
  // The layers as they are before anything is loaded; padding must not stay what 0 times infinity made of it.
  void clear() const {
    each([](T* x, Size n) { std::fill_n(x, n, T{0}); });
  }
  // Of what is in the layers now.
  bool finite() const {
    bool good = true;
    each([&good](T* x, Size n) { good = good && all_finite(x, n); });
    return good;
  }

 private:
  template <class Body>
  void each(Body&& body) const {
    for (int l = 0; l < workspace_.network().n_layers; ++l) {
      const DenseLayer<T>& layer = workspace_.layers()[l];
      const Size size = padded<T>(weight_rows(layer)) * layer.w_row, biases = padded<T>(layer.n_out);
      body(layer.w, size), body(layer.b, biases);
      if (layer.first != nullptr) body(layer.first, size), body(layer.b_first, biases);
      if (layer.second != nullptr) body(layer.second, size), body(layer.b_second, biases);
    }
  }

  Workspace<T>& workspace_;
  Size n_numbers_ = 0;
  AlignedBuffer<T> memory_;
};

}  // namespace mmlfast::drivers::backprop
