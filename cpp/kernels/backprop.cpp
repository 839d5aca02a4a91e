#include "kernels/backprop.hpp"

#include "kernels/common/product.hpp"
#include "simd/math/hyperbolic.hpp"
#include "simd/math/logarithm.hpp"
#include "simd/math/logistic.hpp"

namespace mmlfast::MMLFAST_LEVEL {
namespace {

static_assert(samples_per_chunk <= k_block);

template <class T>
MMLFAST_INLINE std::ptrdiff_t padded(std::ptrdiff_t n) {
  return (n + lanes<T> - 1) / lanes<T> * lanes<T>;
}

// The lanes of the vector at column j that belong to one of n columns.
template <class T>
MMLFAST_INLINE mask<T> columns_at(std::ptrdiff_t j, std::ptrdiff_t n) {
  alignas(vec_bytes) T number[lanes<T>];
  for (int l = 0; l < lanes<T>; ++l) number[l] = static_cast<T>(l);
  const std::ptrdiff_t left = n - j < lanes<T> ? n - j : lanes<T>;
  return load(number) < broadcast<T>(static_cast<T>(left));
}

template <Activation A, class T>
MMLFAST_INLINE vec<T> value(const vec<T>& z) {
  if constexpr (A == Activation::logistic) return logistic(z);
  if constexpr (A == Activation::tanh) return tanh(z);
  // z < 0 rather than z > 0: NaN stays NaN.
  if constexpr (A == Activation::relu) return select(z < zero<T>(), zero<T>(), z);
  return z;
}

// d * f'(z), from y = f(z).
template <Activation A, class T>
MMLFAST_INLINE vec<T> times_slope(const vec<T>& d, const vec<T>& y) {
  const vec<T> one = broadcast<T>(1);
  if constexpr (A == Activation::logistic) return d * (y * (one - y));
  if constexpr (A == Activation::tanh) return d * fnma(y, y, one);
  // Not y > 0: the error of a NaN goes on down.
  if constexpr (A == Activation::relu) return select(y <= zero<T>(), zero<T>(), d);
  return d;
}

// body(std::integral_constant of the activation), chosen outside the loops.
template <class Body>
MMLFAST_INLINE void with_activation(Activation activation, Body&& body) {
  switch (activation) {
    case Activation::logistic:
      return body(std::integral_constant<Activation, Activation::logistic>{});
    case Activation::tanh:
      return body(std::integral_constant<Activation, Activation::tanh>{});
    case Activation::relu:
      return body(std::integral_constant<Activation, Activation::relu>{});
    default:
      return body(std::integral_constant<Activation, Activation::identity>{});
  }
}

template <class T>
void forward(const DenseLayer<T>* layers, int n_layers, std::ptrdiff_t first, std::ptrdiff_t count) {
  for (int l = 0; l < n_layers; ++l) {
    const DenseLayer<T>& layer = layers[l];
    const std::ptrdiff_t cols = padded<T>(layer.n_out);
    T* out = layer.out + first * layer.out_row;
    product<T>(count, cols, layer.n_in,
               {layer.in + first * layer.in_row, layer.in_row, 1, layer.w, layer.w_row, out, layer.out_row}, Start::row,
               layer.b);
    if (layer.activation == Activation::identity || layer.activation == Activation::softmax) continue;
    with_activation(layer.activation, [&](auto a) {
      for (std::ptrdiff_t s = 0; s < count; ++s) {
        for (std::ptrdiff_t j = 0; j < cols; j += lanes<T>) {
          T* at = out + s * layer.out_row + j;
          store(at, value<a()>(load(at)));
        }
      }
    });
  }
}

// z := exp(z - max) in one row of n numbers, zeros in the padding; returns the sum, and the maximum in `highest`.
template <class T>
MMLFAST_INLINE T exponentials(T* z, std::ptrdiff_t n, T& highest) {
  const vec<T> lowest = broadcast<T>(static_cast<T>(-__builtin_inf()));
  vec<T> top = lowest, sum = zero<T>();
  for (std::ptrdiff_t j = 0; j < n; j += lanes<T>) top = max(select(columns_at<T>(j, n), load(z + j), lowest), top);
  highest = reduce_max(top);
  for (std::ptrdiff_t j = 0; j < n; j += lanes<T>) {
    const vec<T> e = select(columns_at<T>(j, n), exp(load(z + j) - broadcast<T>(highest)), zero<T>());
    sum = sum + e;
    store(z + j, e);
  }
  return reduce_add(sum);
}

template <class T>
void softmax(const DenseLayer<T>& layer, std::ptrdiff_t first, std::ptrdiff_t count) {
  for (std::ptrdiff_t s = first; s < first + count; ++s) {
    T* z = layer.out + s * layer.out_row;
    T highest;
    const vec<T> sum = broadcast<T>(exponentials(z, layer.n_out, highest));
    for (std::ptrdiff_t j = 0; j < layer.n_out; j += lanes<T>) store(z + j, load(z + j) / sum);
  }
}

template <class T>
double cross_entropy(const DenseLayer<T>& layer, std::ptrdiff_t first, std::ptrdiff_t count, const std::int64_t* labels,
                     T scale) {
  double total = 0;
  const std::ptrdiff_t cols = padded<T>(layer.n_out);
  for (std::ptrdiff_t s = first; s < first + count; ++s) {
    const T* z = layer.out + s * layer.out_row;
    T* delta = layer.delta + s * layer.out_row;
    for (std::ptrdiff_t j = 0; j < cols; j += lanes<T>) store(delta + j, load(z + j));
    T highest;
    const T sum = exponentials(delta, layer.n_out, highest);
    const vec<T> factor = broadcast<T>(scale / sum);
    for (std::ptrdiff_t j = 0; j < cols; j += lanes<T>) store(delta + j, load(delta + j) * factor);
    delta[labels[s]] -= scale;
    const T logarithm = first_lane(log(broadcast<T>(sum)));
    total += static_cast<double>(logarithm) - static_cast<double>(z[labels[s]] - highest);
  }
  return total;
}

template <class T>
double squared_error(const DenseLayer<T>& layer, std::ptrdiff_t first, std::ptrdiff_t count, const T* y, T scale) {
  vec<T> total = zero<T>();
  with_activation(layer.activation, [&](auto a) {
    for (std::ptrdiff_t j = 0; j < layer.n_out; j += lanes<T>) {
      const mask<T> real = columns_at<T>(j, layer.n_out);
      vec<T> column = zero<T>();
      for (std::ptrdiff_t s = first; s < first + count; ++s) {
        const std::ptrdiff_t at = s * layer.out_row + j;
        const vec<T> out = load(layer.out + at);
        const vec<T> error = select(real, out - load(y + at), zero<T>());
        column = fma(error, error, column);
        store(layer.delta + at, times_slope<a()>(error, out) * broadcast<T>(scale));
      }
      total = total + column;
    }
  });
  alignas(vec_bytes) T lane[lanes<T>];
  store(lane, total);
  double sum = 0;
  for (int l = 0; l < lanes<T>; ++l) sum += static_cast<double>(lane[l]);
  return sum / 2;
}

template <class T>
double output(const DenseLayer<T>& layer, std::ptrdiff_t first, std::ptrdiff_t count, const Targets<T>& targets,
              T scale) {
  if (layer.activation == Activation::softmax) return cross_entropy(layer, first, count, targets.labels, scale);
  return squared_error(layer, first, count, targets.y, scale);
}

template <class T>
void backward(const DenseLayer<T>* layers, int n_layers, std::ptrdiff_t first, std::ptrdiff_t count) {
  for (int l = n_layers - 1; l > 0; --l) {
    const DenseLayer<T>&layer = layers[l], &below = layers[l - 1];
    const std::ptrdiff_t cols = padded<T>(layer.n_in), at = first * below.out_row;
    product<T>(count, cols, layer.n_out,
               {layer.delta + first * layer.out_row, layer.out_row, 1, layer.wt, layer.wt_row, below.delta + at,
                below.out_row});
    if (below.activation == Activation::identity) continue;
    with_activation(below.activation, [&](auto a) {
      for (std::ptrdiff_t s = 0; s < count; ++s) {
        for (std::ptrdiff_t j = 0; j < cols; j += lanes<T>) {
          const std::ptrdiff_t i = at + s * below.out_row + j;
          store(below.delta + i, times_slope<a()>(load(below.delta + i), load(below.out + i)));
        }
      }
    });
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
    for (; s < count; ++s) sum[0] = sum[0] + load(delta + s * layer.out_row);
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
MMLFAST_INLINE void step(T* w, const T* gradient, T* velocity, std::ptrdiff_t count, T rate, T momentum) {
  const vec<T> r = broadcast<T>(rate), m = broadcast<T>(momentum);
  if (momentum == 0) {
    for (std::ptrdiff_t i = 0; i < count; i += lanes<T>) store(w + i, fnma(r, load(gradient + i), load(w + i)));
    return;
  }
  for (std::ptrdiff_t i = 0; i < count; i += lanes<T>) {
    const vec<T> v = fnma(r, load(gradient + i), m * load(velocity + i));
    store(velocity + i, v);
    store(w + i, load(w + i) + v);
  }
}

template <class T>
void update(const DenseLayer<T>& layer, std::ptrdiff_t begin, std::ptrdiff_t end, T rate, T momentum) {
  const std::ptrdiff_t at = begin * layer.w_row;
  step(layer.w + at, layer.gradient + at, layer.velocity + at, (end - begin) * layer.w_row, rate, momentum);
  if (begin == 0) step(layer.b, layer.b_gradient, layer.b_velocity, padded<T>(layer.n_out), rate, momentum);
  transpose(layer, begin, end);
}

}  // namespace

MMLFAST_DEFINE_TABLES(Backprop, backprop, forward<T>, softmax<T>, output<T>, backward<T>, gradient<T>, update<T>,
                      transpose<T>)

}  // namespace mmlfast::MMLFAST_LEVEL
