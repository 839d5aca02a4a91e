// The memory of a call about a network: its weights in padded rows, and room for what a chunk of samples makes of them.
#pragma once

#include <cstring>

#include "drivers/backprop.hpp"
#include "drivers/common/lane_batch.hpp"

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
  Workspace(const Network<T>& network, const Samples<T>& samples, Purpose purpose, Size chunk, bool gather);
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

  void load_weights();
  void store_weights() const;
  void store_velocities(T* const* w, T* const* b) const;
  void load_velocities(const T* const* w, const T* const* b) const;
  // wt of every layer, after a change of w.
  void transpose() const;
  static void pad(const T* from, const DenseLayer<T>& layer, T* rows);
  static void unpad(const T* rows, const DenseLayer<T>& layer, T* to);

 private:
  static void copy(const T* from, Size n, T* to) {
    if (n > 16) {
      std::memcpy(to, from, static_cast<std::size_t>(n) * sizeof(T));
    } else {
      for (Size i = 0; i < n; ++i) to[i] = from[i];
    }
  }

  void lay_out(Divider& memory, Purpose purpose);

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
