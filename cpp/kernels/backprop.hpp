// Backpropagation through a chain of dense layers: the five moves that training is made of, each on a range of
// samples or of weights, so that a driver can share them out.
//
// Layer l computes  out = f(in W + b)  for the samples in the rows of `in`; the out of one layer is the in of the
// next. With the loss L of the samples, delta is dL / d(in W + b):
//     output layer   delta = (out - y) f'                 squared error
//                    delta = softmax - one_hot(label)     cross-entropy
//     layer below    delta_below = (delta W^T) f'_below
//     weights        dL/dW = in^T delta,  dL/db = column sums of delta
// Derivatives of all four activations are taken from their values: 1 - out^2, out (1 - out), out > 0, 1.
//
// All matrices have contiguous rows that are padded to whole vectors, 64-byte aligned. The padding of w, b, wt and of
// everything computed from them holds zeros in and stays without influence (a padded logistic is 1/2, but no padded
// column is ever read as an input). `in` of the first layer needs no padding and no alignment.
//
// Flops: 2 n_in n_out per sample and layer for each of forward, delta and gradient (no delta below the first layer).
// Accumulation is in T: over n_in in one chain of fma; over samples in one chain per chunk of at most k_block
// (product.hpp), the chunks added up; the loss in float64 over lanes and rows. NaN propagates into loss and gradients.
//
// Source: Rumelhart, Hinton and Williams, Learning representations by back-propagating errors, Nature 323 (1986);
// softmax with the maximum subtracted and log-sum-exp: Blanchard, Higham and Higham, IMA J. Numer. Anal. 41 (2021).
//
//     src/mmlfast/_reference/backprop.py is the same in NumPy
#pragma once

#include "kernels/common/layout.hpp"
#include "simd/level.hpp"

namespace mmlfast {

enum class Activation : int { identity = 0, logistic = 1, tanh = 2, relu = 3, softmax = 4 };

// The samples of a chunk that are summed up in one chain; a constant of the results.
inline constexpr std::ptrdiff_t samples_per_chunk = 128;

// Strides count elements. Rows of w are padded to a multiple of 64 bytes, and so is their number (for transposition).
template <class T>
struct DenseLayer {
  std::ptrdiff_t n_in, n_out;
  Activation activation;
  const T* in;  // samples x n_in
  std::ptrdiff_t in_row;
  T *out, *delta;  // samples x n_out, stride out_row
  std::ptrdiff_t out_row;
  T *w, *gradient, *velocity;  // n_in x n_out, stride w_row
  std::ptrdiff_t w_row;
  T* wt;  // W transposed, n_out x n_in, stride wt_row; nullptr for the first layer
  std::ptrdiff_t wt_row;
  T *b, *b_gradient, *b_velocity;  // n_out
};

// What the output of the samples is compared with: y (stride out_row of the last layer), or labels for softmax.
template <class T>
struct Targets {
  const T* y;
  const std::int64_t* labels;
};

template <class T>
struct Backprop {
  // Samples first .. first + count - 1 through all layers. IN: in, w, b. OUT: out of every layer; of a softmax layer
  // what goes into the softmax.
  void (*forward)(const DenseLayer<T>* layers, int n_layers, std::ptrdiff_t first, std::ptrdiff_t count);
  // out = softmax(out) of the layer.
  void (*softmax)(const DenseLayer<T>& layer, std::ptrdiff_t first, std::ptrdiff_t count);
  // IN: out. OUT: delta of the output layer times `scale`. Returns the sum of the samples' losses.
  double (*output)(const DenseLayer<T>& layer, std::ptrdiff_t first, std::ptrdiff_t count, const Targets<T>& targets,
                   T scale);
  // IN: delta of the last layer, out, wt. OUT: delta of the layers below.
  void (*backward)(const DenseLayer<T>* layers, int n_layers, std::ptrdiff_t first, std::ptrdiff_t count);
  // Rows begin .. end - 1 of the gradient (and b_gradient, when begin is 0) over `count` samples, at most
  // samples_per_chunk; added to what is there if `add`.
  void (*gradient)(const DenseLayer<T>& layer, std::ptrdiff_t begin, std::ptrdiff_t end, std::ptrdiff_t count,
                   bool add);
  // velocity = momentum velocity - rate gradient, w += velocity (momentum 0: w -= rate gradient, velocity unused) in
  // rows begin .. end - 1, and in b when begin is 0; then wt. begin is a multiple of 64.
  void (*update)(const DenseLayer<T>& layer, std::ptrdiff_t begin, std::ptrdiff_t end, T rate, T momentum);
  // wt from w, rows begin .. end - 1 of w.
  void (*transpose)(const DenseLayer<T>& layer, std::ptrdiff_t begin, std::ptrdiff_t end);
};

MMLFAST_KERNEL_TABLES(Backprop, backprop)

}  // namespace mmlfast
