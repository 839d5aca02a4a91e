#include "drivers/backprop_workspace.hpp"

#include <algorithm>
#include <cstring>

#include "kernels/common/spread_stride.hpp"

namespace mmlfast::drivers::backprop {

template <class T>
Workspace<T>::Workspace(const Network<T>& network, const Needs& needs) : network_(network), needs_(needs) {
  const int n = network.n_layers;
  layers_ = AlignedBuffer<DenseLayer<T>>(n);
  own_fixed_ = AlignedBuffer<double*>::zeros(n + 1);
  if (!layers_ || !own_fixed_) return;
  Divider counted;
  lay_out(counted);
  void* zeros = take_memory(counted.used());
  if (zeros == nullptr) return;
  Divider memory(zeros);
  lay_out(memory);
  for (int l = 0; l <= n; ++l) {
    const TapeProgram* program = l < n ? network.programs[l] : network.loss_program;
    if (program != nullptr && !OwnFunction::fill_fixed(*program, own_fixed_[l])) return;
  }
  if (network.shift != nullptr) {
    std::copy_n(network.shift, network.sizes[0], shift_);
    std::copy_n(network.scale, network.sizes[0], scale_);
  }
  load_weights();
  ready_ = true;
}

// The thread's own memory if that is enough: new pages would take longer than the steps of a small network.
template <class T>
void* Workspace<T>::take_memory(Size bytes) {
  void* memory = nullptr;
  if (bytes >= 0 && bytes <= most_kept_scratch) {
    lease_.emplace(bytes);
    memory = lease_->data();
  } else {
    memory_ = AlignedBuffer<char>(bytes);
    memory = memory_.data();
  }
  if (memory != nullptr) std::memset(memory, 0, static_cast<std::size_t>(bytes));
  return memory;
}

template <class T>
bool Workspace<T>::keeps_slope(int l) const {
  const Activation a = network_.activations[l];
  if (!needs_.backward) return false;
  return a == Activation::gelu || a == Activation::silu || a == Activation::own ||
         (needs_.dropout != nullptr && l + 1 < network_.n_layers && needs_.dropout[l] > 0);
}

template <class T>
void Workspace<T>::lay_out_layer(Divider& memory, int l) {
  const Size n_in = network_.sizes[l], n_out = network_.sizes[l + 1];
  const bool narrow = needs_.narrow && l + 1 == network_.n_layers && suits_narrow(network_);
  const Size rows = narrow ? n_out : n_in, w_row = spread_stride<T>(narrow ? n_in : n_out);
  const Size size = checked_product(padded<T>(rows), w_row), biases = padded<T>(n_out);
  const bool from_logits = l + 1 == network_.n_layers &&
                           (network_.loss == Loss::cross_entropy || network_.loss == Loss::binary_cross_entropy);
  DenseLayer<T>& layer = layers_[l];
  layer = {};
  layer.n_in = n_in;
  layer.n_out = n_out;
  layer.activation = from_logits ? Activation::identity : network_.activations[l];
  layer.parameter = network_.parameters[l];
  layer.w_row = w_row;
  layer.w = memory.template take<T>(size);
  layer.b = memory.template take<T>(biases);
  layer.wt_row = spread_stride<T>(n_in);
  if (needs_.backward) {
    if (l > 0 && !narrow) layer.wt = memory.template take<T>(checked_product(padded<T>(n_out), layer.wt_row));
    layer.gradient = memory.template take<T>(size);
    layer.b_gradient = memory.template take<T>(biases);
  }
  if (needs_.first) layer.first = memory.template take<T>(size), layer.b_first = memory.template take<T>(biases);
  if (needs_.second) layer.second = memory.template take<T>(size), layer.b_second = memory.template take<T>(biases);
  layer.out_row = spread_stride<T>(narrow ? needs_.chunk : n_out);
  const Size tile = checked_product(narrow ? n_out : needs_.chunk, layer.out_row);
  layer.out = memory.template take<T>(tile);
  layer.delta = memory.template take<T>(tile);
  if (narrow) layer.in_across = memory.template take<T>(checked_product(padded<T>(n_in), layer.out_row));
  if (keeps_slope(l)) layer.slope = memory.template take<T>(tile);
  if (l > 0) layer.in = layers_[l - 1].out, layer.in_row = layers_[l - 1].out_row;
  n_weights_ += size;
  n_weight_blocks_ += ceil_div(rows, block_weights);
  own_fixed_[l] = OwnFunction::take_fixed(memory, network_.programs[l]);
  own_bytes_ = std::max(own_bytes_, OwnFunction::scratch_bytes(network_.programs[l]));
}

template <class T>
void Workspace<T>::lay_out(Divider& memory) {
  n_weights_ = n_weight_blocks_ = 0;
  for (int l = 0; l < network_.n_layers; ++l) lay_out_layer(memory, l);
  own_fixed_[network_.n_layers] = OwnFunction::take_fixed(memory, network_.loss_program);
  own_bytes_ = std::max(own_bytes_, OwnFunction::scratch_bytes(network_.loss_program));
  const Size n_in = network_.sizes[0], chunk = needs_.chunk, n_blocks = chunk / block_rows + 1;
  if (needs_.inputs) inputs_ = memory.template take<T>(checked_product(chunk, spread_stride<T>(n_in)));
  if (needs_.targets)
    targets_ = memory.template take<T>(checked_product(std::max(chunk, last().n_out), last().out_row));
  if (network_.shift != nullptr) shift_ = memory.template take<T>(n_in), scale_ = memory.template take<T>(n_in);
  weights_ = memory.template take<T>(chunk);
  labels_ = memory.template take<std::int64_t>(chunk);
  keys_ = memory.template take<std::uint64_t>(chunk);
  numbers_ = memory.template take<Size>(chunk);
  partial_ = memory.template take<double>(std::max(n_blocks, n_weight_blocks_));
  own_memory_ = memory.template take<char>(checked_product(n_blocks, own_bytes_));
  if (needs_.order > 0) order_ = memory.template take<Size>(needs_.order);
}

// ---- samples ----

template <class T>
void Workspace<T>::select(const Samples<T>& samples, bool in_order, bool training, const Shifts& shifts) {
  samples_ = &samples;
  shifts_ = shifts;
  in_order_ = in_order;
  training_ = training;
  copied_ = in_order || shifts.most > 0 || needs_copies(network_, samples);
  if (samples.weights == nullptr) std::fill_n(weights_, needs_.chunk, T{1});
  layers_[0].in = inputs_;
  layers_[0].in_row = copied_ ? spread_stride<T>(network_.sizes[0]) : network_.sizes[0];
}

template <class T>
void Workspace<T>::set_epoch(std::uint64_t seed, Size epoch) {
  epoch_key_ = mix(mix(mix(seed) + static_cast<std::uint64_t>(epoch)));
}

template <class T>
double Workspace<T>::weight_of(Size start, Size count) const {
  if (samples_->weights == nullptr) return static_cast<double>(count);
  double sum = 0;
  for (Size i = start; i < start + count; ++i) sum += static_cast<double>(samples_->weights[in_order_ ? order_[i] : i]);
  return sum;
}

namespace {

template <class T>
void copy(const T* from, Size n, T* to) {
  if (n > 16) {
    std::memcpy(to, from, static_cast<std::size_t>(n) * sizeof(T));
  } else {
    for (Size i = 0; i < n; ++i) to[i] = from[i];
  }
}

}  // namespace

// n numbers at `at` in the samples, of columns `column` ..
template <class T>
void Workspace<T>::take_pixels(Size at, Size n, Size column, T* to) const {
  const T* shift = shift_ == nullptr ? nullptr : shift_ + column;
  if (samples_->bytes != nullptr)
    kernel_.take_bytes(samples_->bytes + at, n, shift, scale_ + (shift_ == nullptr ? 0 : column), to);
  else if (shift != nullptr)
    kernel_.take_numbers(samples_->x + at, n, shift, scale_ + column, to);
  else
    copy(samples_->x + at, n, to);
}

template <class T>
void Workspace<T>::take_row(Size from, T* to) const {
  const Size n = network_.sizes[0];
  if (shifts_.most > 0 && training_)
    take_shifted(from, to);
  else
    take_pixels(from * n, n, 0, to);
}

// An image moved by a number of pixels that follows from the epoch and the number of the sample.
template <class T>
void Workspace<T>::take_shifted(Size from, T* to) const {
  const Size height = shifts_.height, width = shifts_.width, channels = shifts_.channels, n = network_.sizes[0];
  const std::uint64_t r = mix(epoch_key_ - static_cast<std::uint64_t>(from) - 1);
  const auto choices = static_cast<std::uint64_t>(2 * shifts_.most + 1);
  const Size down = static_cast<Size>((r >> 32) * choices >> 32) - shifts_.most;
  const Size right = static_cast<Size>((r & 0xffffffff) * choices >> 32) - shifts_.most;
  const Size row = width * channels, kept = (width - std::abs(right)) * channels;
  const Size skipped = std::max<Size>(right, 0) * channels, source = std::max<Size>(-right, 0) * channels;
  for (Size j = 0; j < n; ++j) to[j] = shift_ == nullptr ? T{0} : (T{0} - shift_[j]) * scale_[j];
  for (Size y = std::max<Size>(down, 0); y < std::min(height, height + down); ++y)
    take_pixels(from * n + (y - down) * row + source, kept, y * row + skipped, to + y * row + skipped);
}

// Those of sample s, or zeros.
template <class T>
void Workspace<T>::take_targets(const T* from, Size s) {
  const DenseLayer<T>& layer = last();
  const Size column = layer.is_narrow() ? layer.out_row : 1;
  T* to = targets_ + (layer.is_narrow() ? s : s * layer.out_row);
  for (Size j = 0; j < layer.n_out; ++j) to[j * column] = from == nullptr ? T{0} : from[j];
}

// What a sample of weight 0 comes to would be NaN, times 0, if it is infinite: all of it is 0.
template <class T>
void Workspace<T>::gather_weighted(Size first, Size count) {
  const Size n_in = network_.sizes[0], n_out = last().n_out, in_row = layers_[0].in_row;
  const Samples<T>& samples = *samples_;
  for (Size s = first; s < first + count; ++s) {
    const Size from = in_order_ ? order_[start_ + s] : start_ + s;
    const T weight = samples.weights[from];
    numbers_[s] = from;
    weights_[s] = weight;
    if (weight == T{0}) {
      std::fill_n(inputs_ + s * in_row, n_in, T{0});
      if (samples.y != nullptr) take_targets(nullptr, s);
      labels_[s] = 0;
      continue;
    }
    if (copied_) take_row(from, inputs_ + s * in_row);
    if (samples.y != nullptr) take_targets(samples.y + from * n_out, s);
    if (samples.labels != nullptr) labels_[s] = samples.labels[from];
  }
}

template <class T>
void Workspace<T>::take_rows(Size first, Size count) {
  const Size n = network_.sizes[0], in_row = layers_[0].in_row;
  if (shifts_.most > 0 || samples_->bytes != nullptr || shift_ != nullptr) {
    for (Size s = first; s < first + count; ++s) take_row(number(s), inputs_ + s * in_row);
  } else {
    for (Size s = first; s < first + count; ++s) copy(samples_->x + number(s) * n, n, inputs_ + s * in_row);
  }
}

template <class T>
void Workspace<T>::gather(Size first, Size count) {
  const Samples<T>& samples = *samples_;
  if (samples.weights != nullptr) return gather_weighted(first, count);
  const DenseLayer<T>& layer = last();
  const Size end = first + count;
  if (needs_.dropout != nullptr)
    for (Size s = first; s < end; ++s) numbers_[s] = number(s);
  if (copied_) take_rows(first, count);
  if (samples.labels != nullptr) {
    for (Size s = first; s < end; ++s) labels_[s] = samples.labels[number(s)];
  } else if (samples.y != nullptr && layer.is_narrow()) {
    for (Size j = 0; j < layer.n_out; ++j)
      for (Size s = first; s < end; ++s) targets_[j * layer.out_row + s] = samples.y[number(s) * layer.n_out + j];
  } else if (samples.y != nullptr) {
    for (Size s = first; s < end; ++s)
      copy(samples.y + number(s) * layer.n_out, layer.n_out, targets_ + s * layer.out_row);
  }
}

// ---- layers ----

template <class T>
OwnFunction Workspace<T>::own_function(int l, Size first) const {
  const TapeProgram* program = l < network_.n_layers ? network_.programs[l] : network_.loss_program;
  return OwnFunction(*program, own_fixed_[l], own_memory_ + first / block_rows * own_bytes_);
}

template <class T>
void Workspace<T>::drop(int l, Size first, Size count) {
  const double p = needs_.dropout[l];
  const std::uint64_t key = mix(epoch_key_ + static_cast<std::uint64_t>(l) + 1);
  for (Size s = first; s < first + count; ++s) keys_[s] = mix(key + static_cast<std::uint64_t>(numbers_[s]));
  kernel_.drop(layers_[l], first, count, keys_, static_cast<std::uint32_t>(p * 4294967296.0),
               static_cast<T>(1 / (1 - p)));
}

template <class T>
void Workspace<T>::forward(Size first, Size count) {
  const int n = network_.n_layers;
  for (int begin = 0, end; begin < n; begin = end) {
    for (end = begin + 1; end < n && is_plain(end - 1);) ++end;
    kernel_.forward(layers_.data() + begin, end - begin, first, count);
    const int l = end - 1;
    const DenseLayer<T>& layer = layers_[l];
    const Size at = first * layer.out_row;
    if (layer.activation == Activation::own) {
      own_function(l, first).activate(layer.out + at, layer.slope == nullptr ? nullptr : layer.slope + at, count,
                                      layer.n_out, layer.out_row);
    }
    if (drops(l)) drop(l, first, count);
  }
}

template <class T>
Targets<T> Workspace<T>::targets(T scale) const {
  return {targets_,  samples_->labels == nullptr ? nullptr : labels_, weights_, scale, network_.loss_parameter,
          smoothing_};
}

template <class T>
bool Workspace<T>::is_plain() const {
  for (int l = 0; l < network_.n_layers; ++l)
    if (!is_plain(l)) return false;
  return network_.loss != Loss::own;
}

// The samples that follow, in good time; what is not there is not fetched.
template <class T>
void Workspace<T>::fetch_next(Size count) const {
  const Size bytes = count * layers_[0].in_row * static_cast<Size>(sizeof(T));
  const std::uintptr_t next = reinterpret_cast<std::uintptr_t>(layers_[0].in) + static_cast<std::uintptr_t>(bytes);
  for (Size at = 0; at < std::min(bytes, Size{1} << 15); at += 64)
    __builtin_prefetch(reinterpret_cast<const void*>(next + static_cast<std::uintptr_t>(at)), 0, 2);
}

template <class T>
double Workspace<T>::step(Size count, T scale, const UpdateRule<T>& rule) {
  gather(0, count);
  if (!copied_) fetch_next(count);
  return kernel_.step(layers_.data(), network_.n_layers, network_.loss, count, block_rows, targets(scale), rule);
}

template <class T>
double Workspace<T>::output(Size first, Size count, T scale) {
  const DenseLayer<T>& layer = last();
  const Targets<T> targets = this->targets(scale);
  if (network_.loss != Loss::own) return kernel_.output(layer, network_.loss, first, count, targets);
  const Size at = first * layer.out_row;
  const double sum =
      own_function(network_.n_layers, first)
          .lose(layer.out + at, targets_ + at, layer.delta + at, weights_ + first, count, layer.n_out, layer.out_row);
  kernel_.weigh(layer, first, count, targets);
  return sum;
}

// ---- weights ----

template <class T>
void Workspace<T>::load_weights() {
  for (int l = 0; l < network_.n_layers; ++l) {
    pad(network_.w[l], layers_[l], layers_[l].w);
    std::copy_n(network_.b[l], layers_[l].n_out, layers_[l].b);
  }
  transpose();
}

template <class T>
void Workspace<T>::store_weights() const {
  store_state(&DenseLayer<T>::w, &DenseLayer<T>::b, network_.w, network_.b);
}

template <class T>
void Workspace<T>::store_state(T* DenseLayer<T>::* of_w, T* DenseLayer<T>::* of_b, T* const* w, T* const* b) const {
  for (int l = 0; l < network_.n_layers; ++l) {
    unpad(layers_[l].*of_w, layers_[l], w[l]);
    std::copy_n(layers_[l].*of_b, layers_[l].n_out, b[l]);
  }
}

template <class T>
void Workspace<T>::load_state(T* DenseLayer<T>::* of_w, T* DenseLayer<T>::* of_b, const T* const* w,
                              const T* const* b) const {
  for (int l = 0; l < network_.n_layers; ++l) {
    pad(w[l], layers_[l], layers_[l].*of_w);
    std::copy_n(b[l], layers_[l].n_out, layers_[l].*of_b);
  }
}

template <class T>
void Workspace<T>::transpose() const {
  for (int l = 0; l < network_.n_layers; ++l) kernel_.transpose(layers_[l], 0, layers_[l].n_in);
}

template <class T>
void Workspace<T>::pad(const T* from, const DenseLayer<T>& layer, T* rows) {
  if (layer.is_narrow()) {
    for (Size i = 0; i < layer.n_in; ++i)
      for (Size j = 0; j < layer.n_out; ++j) rows[j * layer.w_row + i] = from[i * layer.n_out + j];
    return;
  }
  for (Size i = 0; i < layer.n_in; ++i) std::copy_n(from + i * layer.n_out, layer.n_out, rows + i * layer.w_row);
}

template <class T>
void Workspace<T>::unpad(const T* rows, const DenseLayer<T>& layer, T* to) {
  if (layer.is_narrow()) {
    for (Size i = 0; i < layer.n_in; ++i)
      for (Size j = 0; j < layer.n_out; ++j) to[i * layer.n_out + j] = rows[j * layer.w_row + i];
    return;
  }
  for (Size i = 0; i < layer.n_in; ++i) std::copy_n(rows + i * layer.w_row, layer.n_out, to + i * layer.n_out);
}

template class Workspace<double>;
template class Workspace<float>;

}  // namespace mmlfast::drivers::backprop
