#include "kernels/backprop.hpp"

#include "kernels/backprop_lanes.hpp"
#include "kernels/backprop_samples.hpp"
#include "kernels/backprop_update.hpp"
#include "kernels/common/product.hpp"

namespace mmlfast::MMLFAST_LEVEL {
namespace {

using activations::padded;

static_assert(samples_per_chunk <= k_block);

template <class T>
void forward(const DenseLayer<T>* layers, int n_layers, std::ptrdiff_t first, std::ptrdiff_t count) {
  for (int l = 0; l < n_layers; ++l) {
    const DenseLayer<T>& layer = layers[l];
    const std::ptrdiff_t cols = padded<T>(layer.n_out);
    T* out = layer.out + first * layer.out_row;
    product<T>(count, cols, layer.n_in,
               {layer.in + first * layer.in_row, layer.in_row, 1, layer.w, layer.w_row, out, layer.out_row}, Start::row,
               layer.b);
    if (layer.activation == Activation::identity && layer.slope == nullptr) continue;
    activations::activate(layer, first, count);
  }
}

template <class T>
void backward(const DenseLayer<T>* layers, int n_layers, std::ptrdiff_t first, std::ptrdiff_t count) {
  for (int l = n_layers - 1; l > 0; --l) {
    const DenseLayer<T>&layer = layers[l], &below = layers[l - 1];
    const std::ptrdiff_t cols = padded<T>(layer.n_in), at = first * below.out_row;
    product<T>(count, cols, layer.n_out,
               {layer.delta + first * layer.out_row, layer.out_row, 1, layer.wt, layer.wt_row, below.delta + at,
                below.out_row});
    activations::slope_down(below, first, count);
  }
}

template <class T>
void gradient(const DenseLayer<T>& layer, std::ptrdiff_t begin, std::ptrdiff_t end, std::ptrdiff_t count, bool add) {
  const std::ptrdiff_t cols = padded<T>(layer.n_out);
  product<T>(end - begin, cols, count,
             {layer.in + begin, 1, layer.in_row, layer.delta, layer.out_row, layer.gradient + begin * layer.w_row,
              layer.w_row},
             add ? Start::added_last : Start::zero);
  if (begin != 0) return;
  for (std::ptrdiff_t j = 0; j < cols; j += lanes<T>) {
    const T* delta = layer.delta + j;
    vec<T> sum[4] = {};  // four chains hide the latency of the addition
    std::ptrdiff_t s = 0;
    for (; s + 4 <= count; s += 4) {
      _Pragma("GCC unroll 4") for (int c = 0; c < 4; ++c) sum[c] = sum[c] + load(delta + (s + c) * layer.out_row);
    }
    _Pragma("GCC unroll 3") for (int c = 0; c < 3; ++c) {
      if (s + c < count) sum[c] = sum[c] + load(delta + (s + c) * layer.out_row);
    }
    const vec<T> all_samples = (sum[0] + sum[1]) + (sum[2] + sum[3]);
    store(layer.b_gradient + j, add ? load(layer.b_gradient + j) + all_samples : all_samples);
  }
}

template <class T>
void transpose(const DenseLayer<T>& layer, std::ptrdiff_t begin, std::ptrdiff_t end) {
  constexpr int width = native_lanes<T>;
  using Row = typename native_of<T>::unaligned;
  if (layer.wt == nullptr) return;
  for (std::ptrdiff_t i = begin; i < end; i += width) {
    for (std::ptrdiff_t j = 0; j < layer.n_out; j += width) {
      native<T> square[width];
      for (int r = 0; r < width; ++r) square[r] = *reinterpret_cast<const Row*>(layer.w + (i + r) * layer.w_row + j);
      transpose_native<T>(square);
      for (int r = 0; r < width; ++r) *reinterpret_cast<Row*>(layer.wt + (j + r) * layer.wt_row + i) = square[r];
    }
  }
}

template <class T>
void update(const DenseLayer<T>& layer, std::ptrdiff_t begin, std::ptrdiff_t end, const UpdateRule<T>& rule) {
  const std::ptrdiff_t at = begin * layer.w_row;
  updates::update<T>(
      {layer.w + at, layer.gradient + at, layer.first + at, layer.second + at, (end - begin) * layer.w_row}, rule,
      false);
  if (begin == 0)
    updates::update<T>({layer.b, layer.b_gradient, layer.b_first, layer.b_second, padded<T>(layer.n_out)}, rule, true);
  transpose(layer, begin, end);
}

}  // namespace

MMLFAST_DEFINE_TABLES(Backprop, backprop, forward<T>, losses::finish<T>, samples::drop<T>, losses::output<T>,
                      losses::weigh<T>, backward<T>, gradient<T>, update<T>, transpose<T>, updates::penalize<T>,
                      updates::squares<T>, in_lanes::run<T>, samples::take_numbers<T>, samples::take_bytes<T>)

}  // namespace mmlfast::MMLFAST_LEVEL
