// The memory of a call about a network: its weights in padded rows, and room for what a chunk of samples makes of them.
#pragma once

#include <algorithm>
#include <cstring>

#include "drivers/backprop.hpp"
#include "drivers/common/lane_batch.hpp"
#include "kernels/common/spread_stride.hpp"

namespace mmlfast::drivers::backprop {

// Samples and rows of weights in a block of work. Only the loss depends on the first: partial sums of that many.
inline constexpr Size block_rows = 32, block_weights = 64;

template <class T>
constexpr Size lane_count = 64 / static_cast<Size>(sizeof(T));

template <class T>
Size padded(Size n) {
  return round_up(n, lane_count<T>);
}

enum class Purpose { values, gradients, training };

// The network with padded rows, and room for what a chunk of samples makes of it.
template <class T>
class Workspace {
 public:
  Workspace(const Network<T>& network, const Samples<T>& samples, Purpose purpose, Size chunk, bool gather)
      : network_(network), samples_(samples), chunk_(std::min(chunk, padded<T>(samples.n))), gather_(gather) {
    const int n = network.n_layers;
    layers_ = AlignedBuffer<DenseLayer<T>>(n);
    if (!layers_) return;
    Divider counted;
    lay_out(counted, purpose);
    memory_ = AlignedBuffer<char>::zeros(counted.used());
    if (!memory_) return;
    Divider memory(memory_.data());
    lay_out(memory, purpose);
    load_weights();
    ready_ = true;
  }
  bool ready() const { return ready_; }
  Size chunk() const { return chunk_; }
  DenseLayer<T>* layers() { return layers_.data(); }
  const DenseLayer<T>& last() const { return layers_[network_.n_layers - 1]; }
  Size* order() { return order_; }
  double* partial_losses() { return partial_; }
  Size n_weights() const { return n_weights_; }

  // The chunk of samples that the next calls are about: positions start .. of the order.
  void select_chunk(Size start) {
    start_ = start;
    if (!gather_) layers_[0].in = samples_.x + start * network_.sizes[0];
  }

  // Copies the inputs and targets of samples first .. first + count - 1 of the chunk to where the kernel wants them.
  void gather(Size first, Size count) {
    const Size n_in = network_.sizes[0], n_out = last().n_out;
    for (Size s = first; s < first + count; ++s) {
      const Size from = order_ == nullptr ? start_ + s : order_[start_ + s];
      if (gather_) copy(samples_.x + from * n_in, n_in, inputs_ + s * layers_[0].in_row);
      if (samples_.y != nullptr) copy(samples_.y + from * n_out, n_out, targets_ + s * last().out_row);
      if (samples_.labels != nullptr) labels_[s] = samples_.labels[from];
    }
  }

  double forward_and_output(Size first, Size count, T scale) {
    gather(first, count);
    kernel_.forward(layers(), network_.n_layers, first, count);
    return kernel_.output(last(), first, count, {targets_, labels_}, scale);
  }

  void load_weights() {
    for (int l = 0; l < network_.n_layers; ++l) {
      pad(network_.w[l], layers_[l], layers_[l].w);
      std::copy_n(network_.b[l], layers_[l].n_out, layers_[l].b);
    }
    transpose();
  }
  void store_weights() const {
    for (int l = 0; l < network_.n_layers; ++l) {
      const DenseLayer<T>& layer = layers_[l];
      unpad(layer.w, layer, network_.w[l]);
      std::copy_n(layer.b, layer.n_out, network_.b[l]);
    }
  }
  void store_velocities(T* const* w, T* const* b) const {
    for (int l = 0; l < network_.n_layers; ++l) {
      unpad(layers_[l].velocity, layers_[l], w[l]);
      std::copy_n(layers_[l].b_velocity, layers_[l].n_out, b[l]);
    }
  }
  void load_velocities(const T* const* w, const T* const* b) const {
    for (int l = 0; l < network_.n_layers; ++l) {
      pad(w[l], layers_[l], layers_[l].velocity);
      std::copy_n(b[l], layers_[l].n_out, layers_[l].b_velocity);
    }
  }
  // wt of every layer, after a change of w.
  void transpose() const {
    for (int l = 0; l < network_.n_layers; ++l) kernel_.transpose(layers_[l], 0, layers_[l].n_in);
  }
  static void pad(const T* from, const DenseLayer<T>& layer, T* rows) {
    for (Size i = 0; i < layer.n_in; ++i) std::copy_n(from + i * layer.n_out, layer.n_out, rows + i * layer.w_row);
  }
  static void unpad(const T* rows, const DenseLayer<T>& layer, T* to) {
    for (Size i = 0; i < layer.n_in; ++i) std::copy_n(rows + i * layer.w_row, layer.n_out, to + i * layer.n_out);
  }

 private:
  static void copy(const T* from, Size n, T* to) {
    if (n > 16) {
      std::memcpy(to, from, static_cast<std::size_t>(n) * sizeof(T));
    } else {
      for (Size i = 0; i < n; ++i) to[i] = from[i];
    }
  }

  void lay_out(Divider& memory, Purpose purpose) {
    const bool backward = purpose != Purpose::values, training = purpose == Purpose::training;
    n_weights_ = 0;
    for (int l = 0; l < network_.n_layers; ++l) {
      const Size n_in = network_.sizes[l], n_out = network_.sizes[l + 1];
      const Size rows = padded<T>(n_in), w_row = spread_stride<T>(n_out);
      DenseLayer<T>& layer = layers_[l];
      layer = {};
      layer.n_in = n_in;
      layer.n_out = n_out;
      layer.activation = network_.activations[l];
      layer.w_row = w_row;
      layer.w = memory.template take<T>(checked_product(rows, w_row));
      layer.b = memory.template take<T>(w_row);
      layer.wt_row = spread_stride<T>(n_in);
      if (backward && l > 0) layer.wt = memory.template take<T>(checked_product(padded<T>(n_out), layer.wt_row));
      if (backward) layer.gradient = memory.template take<T>(checked_product(rows, w_row));
      if (backward) layer.b_gradient = memory.template take<T>(w_row);
      if (training) layer.velocity = memory.template take<T>(checked_product(rows, w_row));
      if (training) layer.b_velocity = memory.template take<T>(w_row);
      layer.out_row = spread_stride<T>(n_out);
      layer.out = memory.template take<T>(checked_product(chunk_, layer.out_row));
      layer.delta = memory.template take<T>(checked_product(chunk_, layer.out_row));
      if (l > 0) layer.in = layers_[l - 1].out, layer.in_row = layers_[l - 1].out_row;
      n_weights_ += rows * w_row;
    }
    layers_[0].in_row = gather_ ? spread_stride<T>(network_.sizes[0]) : network_.sizes[0];
    if (gather_) layers_[0].in = inputs_ = memory.template take<T>(checked_product(chunk_, layers_[0].in_row));
    if (samples_.y != nullptr) targets_ = memory.template take<T>(checked_product(chunk_, last().out_row));
    labels_ = memory.template take<std::int64_t>(chunk_);
    partial_ = memory.template take<double>(chunk_ / block_rows + 1);
    if (gather_) order_ = memory.template take<Size>(samples_.n);
  }

  const Backprop<T>& kernel_ = kernel_of<Backprop<T>>();
  const Network<T>& network_;
  const Samples<T>& samples_;
  AlignedBuffer<DenseLayer<T>> layers_;
  AlignedBuffer<char> memory_;
  Size chunk_, start_ = 0, n_weights_ = 0;
  bool gather_, ready_ = false;
  T *inputs_ = nullptr, *targets_ = nullptr;
  std::int64_t* labels_ = nullptr;
  double* partial_ = nullptr;
  Size* order_ = nullptr;
};

}  // namespace mmlfast::drivers::backprop
