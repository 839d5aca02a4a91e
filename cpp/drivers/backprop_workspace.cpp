#include "drivers/backprop_workspace.hpp"

#include <algorithm>

#include "kernels/common/spread_stride.hpp"

namespace mmlfast::drivers::backprop {

template <class T>
Workspace<T>::Workspace(const Network<T>& network, const Samples<T>& samples, Purpose purpose, Size chunk, bool gather)
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
  for (int l = 0; l < network_.n_layers; ++l) {
    const DenseLayer<T>& layer = layers_[l];
    unpad(layer.w, layer, network_.w[l]);
    std::copy_n(layer.b, layer.n_out, network_.b[l]);
  }
}

template <class T>
void Workspace<T>::store_velocities(T* const* w, T* const* b) const {
  for (int l = 0; l < network_.n_layers; ++l) {
    unpad(layers_[l].velocity, layers_[l], w[l]);
    std::copy_n(layers_[l].b_velocity, layers_[l].n_out, b[l]);
  }
}

template <class T>
void Workspace<T>::load_velocities(const T* const* w, const T* const* b) const {
  for (int l = 0; l < network_.n_layers; ++l) {
    pad(w[l], layers_[l], layers_[l].velocity);
    std::copy_n(b[l], layers_[l].n_out, layers_[l].b_velocity);
  }
}

template <class T>
void Workspace<T>::transpose() const {
  for (int l = 0; l < network_.n_layers; ++l) kernel_.transpose(layers_[l], 0, layers_[l].n_in);
}

template <class T>
void Workspace<T>::pad(const T* from, const DenseLayer<T>& layer, T* rows) {
  for (Size i = 0; i < layer.n_in; ++i) std::copy_n(from + i * layer.n_out, layer.n_out, rows + i * layer.w_row);
}

template <class T>
void Workspace<T>::unpad(const T* rows, const DenseLayer<T>& layer, T* to) {
  for (Size i = 0; i < layer.n_in; ++i) std::copy_n(rows + i * layer.w_row, layer.n_out, to + i * layer.n_out);
}

template <class T>
void Workspace<T>::lay_out(Divider& memory, Purpose purpose) {
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

template class Workspace<double>;
template class Workspace<float>;

}  // namespace mmlfast::drivers::backprop
