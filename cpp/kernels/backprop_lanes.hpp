// Networks in lanes: a pass over samples for as many networks of one architecture as a vector has lanes. Part of
// kernels/backprop.
//
// The order of operations within a lane is that of one network alone (product.hpp, backprop_losses.hpp, backprop.cpp):
// chains over the inputs of a unit, over the samples of a chunk, over the outputs above; four chains for each bias.
#pragma once

#include "kernels/backprop_losses.hpp"

namespace mmlfast::MMLFAST_LEVEL::in_lanes {

#if defined(__AVX512F__) || defined(__aarch64__)
inline constexpr int tile_cols = 4;
#else
inline constexpr int tile_cols = 2;
#endif

// c[r][j] = from[r][j] + sum_d a[r][d] b[d][j], for vectors of lanes: every number is one. c and from have columns side
// by side; from: nullptr for zero.
template <class T>
struct Operands {
  const T* a;
  std::ptrdiff_t a_row, a_depth;
  const T* b;
  std::ptrdiff_t b_depth, b_col;
  T* c;
  std::ptrdiff_t c_row;
  const T* from;
  std::ptrdiff_t from_row;
};

template <int Rows, int Cols, class T>
void tile(std::ptrdiff_t depth, const Operands<T>& o, std::ptrdiff_t row, std::ptrdiff_t col) {
  using Vector = typename native_of<T>::unaligned;
  const auto at = [](const T* p) { return *reinterpret_cast<const Vector*>(p); };
  for (std::ptrdiff_t part = 0; part < lanes<T>; part += native_lanes<T>) {
    const T *a = o.a + row * o.a_row + part, *b = o.b + col * o.b_col + part;
    native<T> sum[Rows][Cols];
    _Pragma("GCC unroll 4") for (int r = 0; r < Rows; ++r) {
      _Pragma("GCC unroll 4") for (int j = 0; j < Cols; ++j) sum[r][j] =
          o.from == nullptr ? native<T>{} : at(o.from + (row + r) * o.from_row + (col + j) * lanes<T> + part);
    }
    for (std::ptrdiff_t d = 0; d < depth; ++d, a += o.a_depth, b += o.b_depth) {
      native<T> y[Cols];
      _Pragma("GCC unroll 4") for (int j = 0; j < Cols; ++j) y[j] = at(b + j * o.b_col);
      _Pragma("GCC unroll 4") for (int r = 0; r < Rows; ++r) {
        const native<T> x = at(a + r * o.a_row);
        _Pragma("GCC unroll 4") for (int j = 0; j < Cols; ++j) sum[r][j] = op::fma(x, y[j], sum[r][j]);
      }
    }
    _Pragma("GCC unroll 4") for (int r = 0; r < Rows; ++r) {
      _Pragma("GCC unroll 4") for (int j = 0; j < Cols; ++j) *
          reinterpret_cast<Vector*>(o.c + (row + r) * o.c_row + (col + j) * lanes<T> + part) = sum[r][j];
    }
  }
}

template <int Cols, class T>
void columns(std::ptrdiff_t rows, std::ptrdiff_t depth, const Operands<T>& o, std::ptrdiff_t col) {
  std::ptrdiff_t row = 0;
  for (; row + 4 <= rows; row += 4) tile<4, Cols>(depth, o, row, col);
  for (; row + 2 <= rows; row += 2) tile<2, Cols>(depth, o, row, col);
  if (row < rows) tile<1, Cols>(depth, o, row, col);
}

template <class T>
void product(std::ptrdiff_t rows, std::ptrdiff_t cols, std::ptrdiff_t depth, const Operands<T>& o) {
  std::ptrdiff_t col = 0;
  if constexpr (tile_cols == 4) {
    for (; col + 4 <= cols; col += 4) columns<4>(rows, depth, o, col);
  }
  for (; col + 2 <= cols; col += 2) columns<2>(rows, depth, o, col);
  if (col < cols) columns<1>(rows, depth, o, col);
}

template <class T>
std::ptrdiff_t units(const DenseLayer<T>& layer) {
  return layer.n_out / lanes<T>;
}

template <class T>
void forward(const DenseLayer<T>& layer, std::ptrdiff_t count) {
  product<T>(count, units(layer), layer.n_in,
             {layer.in, layer.in_row, lanes<T>, layer.w, layer.w_row, lanes<T>, layer.out, layer.out_row, layer.b, 0});
  if (layer.activation != Activation::identity || layer.slope != nullptr) activations::activate(layer, 0, count);
}

template <class T>
void backward(const DenseLayer<T>& layer, const DenseLayer<T>& below, std::ptrdiff_t count) {
  product<T>(
      count, layer.n_in, units(layer),
      {layer.delta, layer.out_row, lanes<T>, layer.w, lanes<T>, layer.w_row, below.delta, below.out_row, nullptr, 0});
  activations::slope_down(below, 0, count);
}

// Of a chunk: from nothing on, or further.
template <class T>
void gradient(const DenseLayer<T>& layer, std::ptrdiff_t count, bool first) {
  product<T>(layer.n_in, units(layer), count,
             {layer.in, lanes<T>, layer.in_row, layer.delta, layer.out_row, lanes<T>, layer.chunk, layer.w_row,
              first ? nullptr : layer.chunk, layer.w_row});
  for (int c = 0; c < 4; ++c) {
    T* to = layer.b_chunk + c * layer.n_out;
    for (std::ptrdiff_t j = 0; j < layer.n_out; j += lanes<T>) {
      vec<T> sum = first ? zero<T>() : load(to + j);
      for (std::ptrdiff_t s = c; s < count; s += 4) sum = sum + load(layer.delta + s * layer.out_row + j);
      store(to + j, sum);
    }
  }
}

// The gradient of a chunk to that of the batch.
template <class T>
void join(const DenseLayer<T>& layer, bool add) {
  const std::ptrdiff_t n = layer.n_out;
  for (std::ptrdiff_t j = 0; j < n; j += lanes<T>) {
    const T* chain = layer.b_chunk + j;
    const vec<T> sum = (load(chain) + load(chain + n)) + (load(chain + 2 * n) + load(chain + 3 * n));
    store(layer.b_gradient + j, add ? load(layer.b_gradient + j) + sum : sum);
  }
  if (layer.chunk == layer.gradient) return;
  for (std::ptrdiff_t i = 0; i < layer.n_in * layer.w_row; i += lanes<T>) {
    const vec<T> sum = load(layer.chunk + i);
    store(layer.gradient + i, add ? load(layer.gradient + i) + sum : sum);
  }
}

// ---- all of it ----

template <class T>
void run(const DenseLayer<T>* layers, int n_layers, Loss loss, std::ptrdiff_t count, std::ptrdiff_t rows,
         const Targets<T>& targets, const ChunkPart& part) {
  for (std::ptrdiff_t start = 0; start < count; start += rows) {
    const std::ptrdiff_t n = count - start < rows ? count - start : rows;
    DenseLayer<T> bottom = layers[0];
    bottom.in += start * bottom.in_row;
    const auto layer = [&](int l) MMLFAST_INLINE_LAMBDA -> const DenseLayer<T>& { return l == 0 ? bottom : layers[l]; };
    for (int l = 0; l < n_layers; ++l) forward(layer(l), n);
    const DenseLayer<T>& last = layer(n_layers - 1);
    Targets<T> here = targets;
    if (targets.y != nullptr) here.y += start * last.out_row;
    if (targets.labels != nullptr) here.labels += start * lanes<T>;
    here.weights += start * lanes<T>;
    here.first = start;
    if (loss == Loss::cross_entropy)
      entropies::cross_entropy_in_lanes(last, n, here);
    else
      losses::output(last, loss, 0, n, here);
    if (!part.backward) continue;
    for (int l = n_layers - 1; l >= 0; --l) {
      gradient(layer(l), n, part.first && start == 0);
      if (l > 0) backward(layer(l), layer(l - 1), n);
    }
  }
  if (!part.backward || !part.last) return;
  for (int l = 0; l < n_layers; ++l) join(layers[l], part.add);
}

}  // namespace mmlfast::MMLFAST_LEVEL::in_lanes
