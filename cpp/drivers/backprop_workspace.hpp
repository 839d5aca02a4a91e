// The memory of a call about a network: its weights in padded rows, and room for what a chunk of samples makes of them.
#pragma once

#include <optional>

#include "drivers/backprop.hpp"
#include "drivers/backprop_own_functions.hpp"
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

// splitmix64 (Steele, Lea and Flood, OOPSLA 2014) as a function of a counter: the same numbers in any order of asking.
inline std::uint64_t mix(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

// What memory is needed for.
struct Needs {
  Size chunk;                          // samples at once
  bool backward = false;               // gradients
  bool inputs = false;                 // room for inputs that are gathered or converted
  Size order = 0;                      // numbers in an order of samples
  bool targets = false;                // room for targets
  bool first = false, second = false;  // state of an optimizer
  const double* dropout = nullptr;     // of each layer but the last
  bool narrow = false;                 // samples in lanes where the outputs would leave many empty
};

// Measured: what is saved on lanes without an output, on softmax and on losses is more than what turning the inputs
// takes.
template <class T>
bool suits_narrow(const Network<T>& network) {
  const int last = network.n_layers - 1;
  return last > 0 && network.sizes[last + 1] <= most_narrow && network.activations[last] != Activation::own &&
         network.loss != Loss::own;
}

// The rows of w as they are in memory.
template <class T>
Size weight_rows(const DenseLayer<T>& layer) {
  return layer.is_narrow() ? layer.n_out : layer.n_in;
}

// Whether inputs have to be copied on their way to the network.
template <class T>
bool needs_copies(const Network<T>& network, const Samples<T>& samples) {
  return samples.bytes != nullptr || samples.weights != nullptr || network.shift != nullptr;
}

// The network with padded rows, and room for what a chunk of samples makes of it.
template <class T>
class Workspace {
 public:
  Workspace(const Network<T>& network, const Needs& needs);
  bool ready() const { return ready_; }
  Size chunk() const { return needs_.chunk; }
  const Network<T>& network() const { return network_; }
  DenseLayer<T>* layers() { return layers_.data(); }
  const DenseLayer<T>& last() const { return layers_[network_.n_layers - 1]; }
  Size* order() { return order_; }
  double* partial_sums() { return partial_; }
  Size n_weights() const { return n_weights_; }
  Size n_weight_blocks() const { return n_weight_blocks_; }

  // Where samples come from. In order: as `order` says; training: with dropout and shifts of the epoch.
  void select(const Samples<T>& samples, bool in_order, bool training, const Shifts& shifts = {});
  void set_epoch(std::uint64_t seed, Size epoch);
  void set_smoothing(T smoothing) { smoothing_ = smoothing; }

  // The chunk of samples that the next calls are about: positions start .. of the order.
  void select_chunk(Size start) {
    start_ = start;
    if (!copied_) layers_[0].in = samples_->x + start * network_.sizes[0];
  }
  // The sum of the weights of positions start .. start + count - 1.
  double weight_of(Size start, Size count) const;

  // Copies the inputs and targets of samples first .. first + count - 1 of the chunk to where the kernel wants them.
  void gather(Size first, Size count);
  // Samples of a block of the chunk through all layers; and what they lose, and delta of the last layer.
  void forward(Size first, Size count);
  double output(Size first, Size count, T scale);
  // All of a step on the first `count` samples of the chunk, where there is nothing that the kernel cannot do.
  bool is_plain() const;
  double step(Size count, T scale, const UpdateRule<T>& rule);

  void load_weights();
  void store_weights() const;
  // Of the state of the optimizer: first or second.
  void load_state(T* DenseLayer<T>::* of_w, T* DenseLayer<T>::* of_b, const T* const* w, const T* const* b) const;
  void store_state(T* DenseLayer<T>::* of_w, T* DenseLayer<T>::* of_b, T* const* w, T* const* b) const;
  // wt of every layer, after a change of w.
  void transpose() const;
  static void pad(const T* from, const DenseLayer<T>& layer, T* rows);
  static void unpad(const T* rows, const DenseLayer<T>& layer, T* to);

 private:
  void* take_memory(Size bytes);
  void lay_out(Divider& memory);
  void lay_out_layer(Divider& memory, int l);
  bool is_plain(int l) const { return network_.activations[l] != Activation::own && !drops(l); }
  bool drops(int l) const {
    return training_ && needs_.dropout != nullptr && l + 1 < network_.n_layers && needs_.dropout[l] > 0;
  }
  bool keeps_slope(int l) const;
  Targets<T> targets(T scale) const;
  void take_targets(const T* from, Size s);
  void take_rows(Size first, Size count);
  void fetch_next(Size count) const;
  Size number(Size s) const { return in_order_ ? order_[start_ + s] : start_ + s; }
  void gather_weighted(Size first, Size count);
  void take_row(Size from, T* to) const;
  void take_shifted(Size from, T* to) const;
  void take_pixels(Size at, Size n, Size column, T* to) const;
  void drop(int l, Size first, Size count);
  OwnFunction own_function(int l, Size first) const;

  const Backprop<T>& kernel_ = kernel_of<Backprop<T>>();
  const Network<T>& network_;
  Needs needs_;
  const Samples<T>* samples_ = nullptr;
  Shifts shifts_;
  bool in_order_ = false, training_ = false, copied_ = false, ready_ = false;
  AlignedBuffer<DenseLayer<T>> layers_;
  AlignedBuffer<double*> own_fixed_;  // of each layer, then of the loss
  std::optional<ScratchLease> lease_;
  AlignedBuffer<char> memory_;
  Size start_ = 0, n_weights_ = 0, n_weight_blocks_ = 0, own_bytes_ = 0;
  T smoothing_ = 0;
  std::uint64_t epoch_key_ = 0;
  T *inputs_ = nullptr, *targets_ = nullptr, *weights_ = nullptr, *shift_ = nullptr, *scale_ = nullptr;
  std::int64_t* labels_ = nullptr;
  std::uint64_t* keys_ = nullptr;
  Size* numbers_ = nullptr;  // of the samples of the chunk
  double* partial_ = nullptr;
  char* own_memory_ = nullptr;
  Size* order_ = nullptr;
};

}  // namespace mmlfast::drivers::backprop
