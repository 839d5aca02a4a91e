#include "kernels/backprop.hpp"

#include "kernels/backprop_lanes.hpp"
#include "kernels/backprop_samples.hpp"
#include "kernels/backprop_update.hpp"
#include "kernels/common/product.hpp"

namespace mmlfast::MMLFAST_LEVEL {
namespace {

using activations::padded;

static_assert(samples_per_chunk <= k_block);

// to[j][i] = from[i][j], in squares of as many rows and columns as a native vector has lanes: both have room for whole
// ones.
template <class T>
void transpose(const T* from, std::ptrdiff_t from_row, std::ptrdiff_t rows, std::ptrdiff_t cols, T* to,
               std::ptrdiff_t to_row) {
  constexpr int width = native_lanes<T>;
  using Row = typename native_of<T>::unaligned;
  for (std::ptrdiff_t i = 0; i < rows; i += width) {
    for (std::ptrdiff_t j = 0; j < cols; j += width) {
      native<T> square[width];
      for (int r = 0; r < width; ++r) square[r] = *reinterpret_cast<const Row*>(from + (i + r) * from_row + j);
      transpose_native<T>(square);
      for (int r = 0; r < width; ++r) *reinterpret_cast<Row*>(to + (j + r) * to_row + i) = square[r];
    }
  }
}

template <class T>
void forward_narrow(const DenseLayer<T>& layer, std::ptrdiff_t first, std::ptrdiff_t count) {
  const std::ptrdiff_t cols = padded<T>(count);
  T *in = layer.in_across + first, *out = layer.out + first;
  transpose(layer.in + first * layer.in_row, layer.in_row, count, layer.n_in, in, layer.out_row);
  for (std::ptrdiff_t o = 0; o < layer.n_out; ++o)
    for (std::ptrdiff_t s = 0; s < cols; s += lanes<T>) store(out + o * layer.out_row + s, broadcast<T>(layer.b[o]));
  product<T>(layer.n_out, cols, layer.n_in, {layer.w, layer.w_row, 1, in, layer.out_row, out, layer.out_row}, Start::c);
}

template <class T>
void forward(const DenseLayer<T>* layers, int n_layers, std::ptrdiff_t first, std::ptrdiff_t count) {
  for (int l = 0; l < n_layers; ++l) {
    const DenseLayer<T>& layer = layers[l];
    if (layer.is_narrow()) {
      forward_narrow(layer, first, count);
      if (layer.activation != Activation::identity || layer.slope != nullptr)
        activations::activate(activations::turned(layer, first, count), 0, layer.n_out);
      continue;
    }
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
    if (layer.is_narrow())
      product<T>(count, cols, layer.n_out,
                 {layer.delta + first, 1, layer.out_row, layer.w, layer.w_row, below.delta + at, below.out_row});
    else
      product<T>(count, cols, layer.n_out,
                 {layer.delta + first * layer.out_row, layer.out_row, 1, layer.wt, layer.wt_row, below.delta + at,
                  below.out_row});
    activations::slope_down(below, first, count);
  }
}

// What else a narrow layer's gradient needs: zeros in the padding, as what stands in that of `in` is no unit; and the
// biases.
template <class T>
void complete_narrow(const DenseLayer<T>& layer, std::ptrdiff_t begin, std::ptrdiff_t end, std::ptrdiff_t count,
                     bool add) {
  const std::ptrdiff_t cols = padded<T>(layer.n_in), full = layer.n_in / lanes<T> * lanes<T>;
  for (std::ptrdiff_t o = begin; o < end; ++o) {
    T* last = layer.gradient + o * layer.w_row + full;
    if (full < cols) store(last, select(activations::columns_at<T>(full, layer.n_in), load(last), zero<T>()));
    const T* delta = layer.delta + o * layer.out_row;
    T sum[4] = {};
    std::ptrdiff_t s = 0;
    for (; s + 4 <= count; s += 4)
      for (int c = 0; c < 4; ++c) sum[c] += delta[s + c];
    for (int c = 0; s + c < count; ++c) sum[c] += delta[s + c];
    const T all_samples = (sum[0] + sum[1]) + (sum[2] + sum[3]);
    layer.b_gradient[o] = add ? layer.b_gradient[o] + all_samples : all_samples;
  }
}

template <class T>
void gradient_of_biases(const DenseLayer<T>& layer, std::ptrdiff_t count, bool add) {
  for (std::ptrdiff_t j = 0; j < padded<T>(layer.n_out); j += lanes<T>) {
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
void gradient(const DenseLayer<T>& layer, std::ptrdiff_t begin, std::ptrdiff_t end, std::ptrdiff_t count, bool add) {
  const Start start = add ? Start::added_last : Start::zero;
  T* to = layer.gradient + begin * layer.w_row;
  if (layer.is_narrow()) {
    product<T>(end - begin, padded<T>(layer.n_in), count,
               {layer.delta + begin * layer.out_row, layer.out_row, 1, layer.in, layer.in_row, to, layer.w_row}, start);
    return complete_narrow(layer, begin, end, count, add);
  }
  product<T>(end - begin, padded<T>(layer.n_out), count,
             {layer.in + begin, 1, layer.in_row, layer.delta, layer.out_row, to, layer.w_row}, start);
  if (begin == 0) gradient_of_biases(layer, count, add);
}

// The gradients of a narrow layer of `Above` outputs and of the layer below it of `Below` inputs: so few chains would
// wait for themselves, all of them wait half as long together.
template <int Above, int Below, class T>
void gradients_together(const DenseLayer<T>& below, const DenseLayer<T>& above, std::ptrdiff_t count) {
  for (std::ptrdiff_t j = 0; j < padded<T>(above.n_in); j += lanes<T>) {
    vec<T> up[Above] = {}, down[Below] = {};
    for (std::ptrdiff_t s = 0; s < count; ++s) {
      const vec<T> out = load(above.in + s * above.in_row + j), delta = load(below.delta + s * below.out_row + j);
      _Pragma("GCC unroll 2") for (int o = 0; o < Above; ++o) up[o] =
          fma(broadcast<T>(above.delta[o * above.out_row + s]), out, up[o]);
      _Pragma("GCC unroll 2") for (int k = 0; k < Below; ++k) down[k] =
          fma(broadcast<T>(below.in[s * below.in_row + k]), delta, down[k]);
    }
    for (int o = 0; o < Above; ++o) store(above.gradient + o * above.w_row + j, up[o]);
    for (int k = 0; k < Below; ++k) store(below.gradient + k * below.w_row + j, down[k]);
  }
  gradient_of_biases(below, count, false);
  complete_narrow(above, 0, Above, count, false);
}

// False if these two are not for that.
template <class T>
bool few_gradients(const DenseLayer<T>& below, const DenseLayer<T>& above, std::ptrdiff_t count) {
  if (!above.is_narrow() || above.n_out > 2 || below.n_in > 2) return false;
  if (above.n_out == 1 && below.n_in == 1)
    gradients_together<1, 1>(below, above, count);
  else if (above.n_out == 1)
    gradients_together<1, 2>(below, above, count);
  else if (below.n_in == 1)
    gradients_together<2, 1>(below, above, count);
  else
    gradients_together<2, 2>(below, above, count);
  return true;
}

template <class T>
void transpose(const DenseLayer<T>& layer, std::ptrdiff_t begin, std::ptrdiff_t end) {
  if (layer.wt == nullptr) return;
  transpose(layer.w + begin * layer.w_row, layer.w_row, end - begin, layer.n_out, layer.wt + begin, layer.wt_row);
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

// The gradients one after the other: those of few rows wait for the ends of their chains, the next one meanwhile
// begins.
template <class T>
double step(const DenseLayer<T>* layers, int n_layers, Loss loss, std::ptrdiff_t count, std::ptrdiff_t block,
            const Targets<T>& targets, const UpdateRule<T>& rule) {
  double sum = 0;
  forward(layers, n_layers, 0, count);
  for (std::ptrdiff_t s = 0; s < count; s += block)
    sum += losses::output(layers[n_layers - 1], loss, s, count - s < block ? count - s : block, targets);
  const auto rows = [](const DenseLayer<T>& layer) { return layer.is_narrow() ? layer.n_out : layer.n_in; };
  backward(layers, n_layers, 0, count);
  int left = n_layers;
  if (n_layers > 1 && few_gradients(layers[n_layers - 2], layers[n_layers - 1], count)) left -= 2;
  for (int l = 0; l < left; ++l) gradient(layers[l], 0, rows(layers[l]), count, false);
  for (int l = 0; l < n_layers; ++l) update(layers[l], 0, rows(layers[l]), rule);
  return sum;
}

}  // namespace

MMLFAST_DEFINE_TABLES(Backprop, backprop, forward<T>, entropies::finish<T>, samples::drop<T>, losses::output<T>,
                      losses::weigh<T>, backward<T>, gradient<T>, update<T>, transpose<T>, updates::penalize<T>,
                      updates::squares<T>, step<T>, in_lanes::run<T>, samples::take_numbers<T>, samples::take_bytes<T>)

}  // namespace mmlfast::MMLFAST_LEVEL
