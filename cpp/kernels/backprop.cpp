#include "kernels/backprop.hpp"

#include "kernels/backprop_lanes.hpp"
#include "kernels/backprop_samples.hpp"
#include "kernels/backprop_update.hpp"
#include "kernels/common/product.hpp"
#include "simd/transpose.hpp"

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

// in W + b of one or two inputs: a product so short is all beginnings and ends of tiles.
template <int Inputs, class T>
void combine(const DenseLayer<T>& layer, std::ptrdiff_t first, std::ptrdiff_t count) {
  for (std::ptrdiff_t j = 0; j < padded<T>(layer.n_out); j += lanes<T>) {
    const vec<T> b = load(layer.b + j);
    vec<T> w[Inputs];
    for (int k = 0; k < Inputs; ++k) w[k] = load(layer.w + k * layer.w_row + j);
    for (std::ptrdiff_t s = first; s < first + count; ++s) {
      vec<T> sum = b;
      for (int k = 0; k < Inputs; ++k) sum = fma(broadcast<T>(layer.in[s * layer.in_row + k]), w[k], sum);
      store(layer.out + s * layer.out_row + j, sum);
    }
  }
}

template <class T>
void combine(const DenseLayer<T>& layer, std::ptrdiff_t first, std::ptrdiff_t count) {
  if (layer.n_in == 1) return combine<1>(layer, first, count);
  if (layer.n_in == 2) return combine<2>(layer, first, count);
  product<T>(count, padded<T>(layer.n_out), layer.n_in,
             {layer.in + first * layer.in_row, layer.in_row, 1, layer.w, layer.w_row, layer.out + first * layer.out_row,
              layer.out_row},
             Start::row, layer.b);
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
    combine(layer, first, count);
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

// Backward and gradients of a hidden layer of `Below` inputs under a narrow layer of `Above` outputs, sample by sample:
// products so small would wait for themselves, and for the memory between them. With tanh delta of the hidden layer,
// the first, is computed here; otherwise it is there.
template <int Above, int Below, class T>
void backward_together(const DenseLayer<T>& below, const DenseLayer<T>& above, std::ptrdiff_t count, bool tanh) {
  for (std::ptrdiff_t j = 0; j < padded<T>(above.n_in); j += lanes<T>) {
    vec<T> up[Above] = {}, down[Below] = {}, w[Above], biases[4] = {};
    const auto turn = [&](vec<T> last) MMLFAST_INLINE_LAMBDA {
      biases[0] = biases[1], biases[1] = biases[2], biases[2] = biases[3], biases[3] = last;
    };
    for (int o = 0; o < Above; ++o) w[o] = load(above.w + o * above.w_row + j);
    std::ptrdiff_t s = 0;
    for (; s < count; ++s) {
      const vec<T> out = load(above.in + s * above.in_row + j);
      vec<T> delta = zero<T>();
      _Pragma("GCC unroll 2") for (int o = 0; o < Above; ++o) {
        const vec<T> d = broadcast<T>(above.delta[o * above.out_row + s]);
        delta = fma(d, w[o], delta);
        up[o] = fma(d, out, up[o]);
      }
      if (tanh)
        delta = activations::times_slope<Activation::tanh>(delta, out, out);
      else
        delta = load(below.delta + s * below.out_row + j);
      _Pragma("GCC unroll 2") for (int k = 0; k < Below; ++k) down[k] =
          fma(broadcast<T>(below.in[s * below.in_row + k]), delta, down[k]);
      turn(biases[0] + delta);  // the four chains of gradient_of_biases take turns
    }
    for (; s % 4 != 0; ++s) turn(biases[0]);
    for (int o = 0; o < Above; ++o) store(above.gradient + o * above.w_row + j, up[o]);
    for (int k = 0; k < Below; ++k) store(below.gradient + k * below.w_row + j, down[k]);
    store(below.b_gradient + j, (biases[0] + biases[1]) + (biases[2] + biases[3]));
  }
  complete_narrow(above, 0, Above, count, false);
}

// Backward and gradients of layers that are for that, or false.
template <class T>
bool go_back_together(const DenseLayer<T>* layers, int n_layers, std::ptrdiff_t count) {
  if (n_layers != 2 || !layers[1].is_narrow() || layers[1].n_out > 2 || layers[0].n_in > 2) return false;
  const bool tanh = layers[0].activation == Activation::tanh && layers[0].slope == nullptr;
  if (!tanh) backward(layers, 2, 0, count);
  const auto run = layers[0].n_in == 1
                       ? (layers[1].n_out == 1 ? backward_together<1, 1, T> : backward_together<2, 1, T>)
                       : (layers[1].n_out == 1 ? backward_together<1, 2, T> : backward_together<2, 2, T>);
  run(layers[0], layers[1], count, tanh);
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
  const std::ptrdiff_t cols = padded<T>(layer.is_narrow() ? layer.n_in : layer.n_out), biases = padded<T>(layer.n_out);
  updates::update<T>(
      {layer.w + at, layer.gradient + at, layer.first + at, layer.second + at, end - begin, cols, layer.w_row}, rule,
      false);
  if (begin == 0)
    updates::update<T>({layer.b, layer.b_gradient, layer.b_first, layer.b_second, 1, biases, biases}, rule, true);
  transpose(layer, begin, end);
}

// Gradient and update by rows that stay in the first-level cache between them.
template <class T>
void descend(const DenseLayer<T>& layer, std::ptrdiff_t count, const UpdateRule<T>& rule) {
  constexpr std::ptrdiff_t together = 16;  // whole squares of the transposition
  const std::ptrdiff_t rows = layer.is_narrow() ? layer.n_out : layer.n_in;
  for (std::ptrdiff_t begin = 0; begin < rows; begin += together) {
    const std::ptrdiff_t end = rows - begin < together ? rows : begin + together;
    gradient(layer, begin, end, count, false);
    update(layer, begin, end, rule);
  }
}

template <class T>
double step(const DenseLayer<T>* layers, int n_layers, Loss loss, std::ptrdiff_t count, std::ptrdiff_t block,
            const Targets<T>& targets, const UpdateRule<T>& rule) {
  double sum = 0;
  forward(layers, n_layers, 0, count);
  for (std::ptrdiff_t s = 0; s < count; s += block)
    sum += losses::output(layers[n_layers - 1], loss, s, count - s < block ? count - s : block, targets);
  if (go_back_together(layers, n_layers, count)) {
    update(layers[0], 0, layers[0].n_in, rule);
    update(layers[1], 0, layers[1].n_out, rule);
    return sum;
  }
  backward(layers, n_layers, 0, count);
  for (int l = 0; l < n_layers; ++l) descend(layers[l], count, rule);
  return sum;
}

}  // namespace

MMLFAST_DEFINE_TABLES(Backprop, backprop, forward<T>, entropies::finish<T>, samples::drop<T>, losses::output<T>,
                      losses::weigh<T>, backward<T>, gradient<T>, update<T>, transpose<T>, updates::penalize<T>,
                      updates::squares<T>, step<T>, in_lanes::run<T>, samples::take_numbers<T>, samples::take_bytes<T>)

}  // namespace mmlfast::MMLFAST_LEVEL
