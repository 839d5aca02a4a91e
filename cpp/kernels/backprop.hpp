// Backpropagation through a chain of dense layers: the five moves that training is made of, each on a range of
// samples or of weights, so that a driver can share them out.
//
// Layer l computes  out = f(in W + b)  for the samples in the rows of `in`; the out of one layer is the in of the
// next. With the loss L = scale sum_s w_s l_s of weighted samples, delta is dL / d(in W + b):
//     output layer   delta = scale w (dl/dout) f'         losses of the output: squared error, Huber, absolute error
//                    delta = scale w (softmax - target)   cross-entropy, from what goes into the softmax
//                    delta = scale w (logistic - target)  binary cross-entropy, from what goes into the logistic
//     layer below    delta_below = (delta W^T) f'_below
//     weights        dL/dW = in^T delta,  dL/db = column sums of delta
// Slopes f' are taken from values where these suffice (1 - out^2, out (1 - out), out > 0, ...). For gelu, silu,
// functions of a user and layers with dropout the forward pass of a training keeps them in `slope`.
//
// All matrices have contiguous rows that are padded to whole vectors, 64-byte aligned. The padding of w, b, wt and of
// everything computed from them holds zeros in and stays without influence (a padded logistic is 1/2, but no padded
// column is ever read as an input). `in` of the first layer needs no padding and no alignment.
//
// Flops: 2 n_in n_out per sample and layer for each of forward, delta and gradient (no delta below the first layer).
// Accumulation is in T: over n_in in one chain of fma; over samples in one chain per chunk of at most k_block
// (product.hpp), the chunks added up; the loss in float64 over lanes and rows. NaN propagates into loss and gradients.
// Numbers of a velocity or a moment that became subnormal are 0: a dead unit would make each step many times as long.
//
// Source: Rumelhart, Hinton and Williams, Learning representations by back-propagating errors, Nature 323 (1986);
// softmax with the maximum subtracted and log-sum-exp: Blanchard, Higham and Higham, IMA J. Numer. Anal. 41 (2021);
// dropout: Srivastava et al., JMLR 15 (2014); Adam and its decay apart from the moments: Kingma and Ba, ICLR 2015,
// Loshchilov and Hutter, ICLR 2019.
//
//     src/mmlfast/_reference/backprop.py is the same in NumPy
#pragma once

#include "kernels/common/layout.hpp"
#include "simd/level.hpp"

namespace mmlfast {

// `own`: a function of the user's, which the driver computes; here it is the identity.
enum class Activation : int {
  identity = 0,
  logistic = 1,
  tanh = 2,
  relu = 3,
  softmax = 4,
  leaky_relu = 5,  // parameter: the slope of negative numbers
  elu = 6,         // parameter: minus the limit
  gelu = 7,
  silu = 8,
  softplus = 9,
  own = 10
};

enum class Loss : int {
  squared_error = 0,  // half the squared norm
  cross_entropy = 1,
  binary_cross_entropy = 2,
  huber = 3,  // parameter: where the square ends
  absolute_error = 4,
  own = 5
};

enum class Optimizer : int { gradient_descent = 0, momentum = 1, nesterov = 2, adam = 3 };

// Outputs of a narrow layer (DenseLayer); a constant of the results.
inline constexpr std::ptrdiff_t most_narrow = 16;

// The samples of a chunk that are summed up in one chain; a constant of the results.
inline constexpr std::ptrdiff_t samples_per_chunk = 128;

// Strides count elements. Rows of w are padded to a multiple of 64 bytes, and so is their number (for transposition).
template <class T>
struct DenseLayer {
  std::ptrdiff_t n_in, n_out;
  Activation activation;  // identity where the loss is one of what goes into softmax or logistic
  T parameter;
  const T* in;  // samples x n_in
  std::ptrdiff_t in_row;
  T *out, *delta;  // samples x n_out, stride out_row
  T* slope;        // likewise, or nullptr: taken from out
  std::ptrdiff_t out_row;
  T *w, *gradient, *first, *second;  // n_in x n_out, stride w_row; first: velocity, or first moment
  std::ptrdiff_t w_row;
  T* wt;  // W transposed, n_out x n_in, stride wt_row; nullptr for the first layer
  std::ptrdiff_t wt_row;
  T *b, *b_gradient, *b_first, *b_second;  // n_out
  // Of networks in lanes: the gradient of the chunk so far, or `gradient` if there is one chunk only; and four times
  // n_out vectors of sums for the biases.
  T *chunk, *b_chunk;
  // A narrow output layer has samples in lanes: out, delta (and y of Targets) are n_out x samples with stride out_row,
  // and w, gradient, first, second n_out x n_in with stride w_row, whose own rows are those that `begin` and `end`
  // count. This is room for n_in x samples with stride out_row; otherwise nullptr.
  T* in_across;
  bool is_narrow() const { return in_across != nullptr; }
};

// What the output of the samples is compared with: y (stride out_row of the last layer), or labels for cross-entropy.
template <class T>
struct Targets {
  const T* y;
  const std::int64_t* labels;
  const T* weights;  // of the samples
  T scale;
  T parameter;  // of the loss
  T smoothing;  // of the targets of (binary) cross-entropy; the loss that is returned is the one without
  // Of networks in lanes, where y, labels and weights have the lanes innermost: a scale for each, and where losses are
  // added up, IN and OUT. With cross-entropy those of each network; otherwise twice those of each output, in as many
  // chains as one network alone would have: sample number i, counted from `first`, in chain i % chains.
  const T* scales = nullptr;
  double* sums = nullptr;
  T* twice = nullptr;
  std::ptrdiff_t chains = 1, first = 0;
};

// What in_lanes is called for: the first and the last samples of a chunk; and whether other chunks went before, to
// whose gradient that of this one is added.
struct ChunkPart {
  bool backward, first, last, add;
};

// How a step goes on from a gradient:  g = clip (gradient + penalty w)
//     gradient_descent   w = keep w - rate g
//     momentum           first = momentum first - rate g,  w = keep w + first
//     nesterov           the same first,                   w = keep w + momentum first - rate g
//     adam               first += (1 - beta1) (g - first), second += (1 - beta2) (g^2 - second),
//                        w = keep w - rate first / (sqrt(second) + epsilon)
// with rate and epsilon of adam corrected for the start. Biases have keep = 1 and penalty = 0. Each number is there
// once for each lane: all the same for one network, and those of each for networks in lanes.
template <class T>
struct UpdateRule {
  struct alignas(64) Lanes {
    T of[items_per_group<T>];
    Lanes& operator=(T value) {
      for (T& x : of) x = value;
      return *this;
    }
  };
  Optimizer optimizer;
  Lanes rate, momentum, beta1, beta2, epsilon, keep, penalty, clip;
};

template <class T>
struct Backprop {
  // Samples first .. first + count - 1 through all layers. IN: in, w, b. OUT: out, and slope where there is one.
  void (*forward)(const DenseLayer<T>* layers, int n_layers, std::ptrdiff_t first, std::ptrdiff_t count);
  // out = softmax(out), or logistic(out), of the layer.
  void (*finish)(const DenseLayer<T>& layer, Activation activation, std::ptrdiff_t first, std::ptrdiff_t count);
  // out and slope of the samples: those units whose number is below `threshold` / 2^32 become 0, the others are
  // multiplied by `factor`. keys: of each sample; the numbers of its units follow from it.
  void (*drop)(const DenseLayer<T>& layer, std::ptrdiff_t first, std::ptrdiff_t count, const std::uint64_t* keys,
               std::uint32_t threshold, T factor);
  // IN: out. OUT: delta of the output layer. Returns the weighted sum of the samples' losses.
  double (*output)(const DenseLayer<T>& layer, Loss loss, std::ptrdiff_t first, std::ptrdiff_t count,
                   const Targets<T>& targets);
  // delta times slope, weight and scale, for a delta that holds dl/dout.
  void (*weigh)(const DenseLayer<T>& layer, std::ptrdiff_t first, std::ptrdiff_t count, const Targets<T>& targets);
  // IN: delta of the last layer, out, slope, wt. OUT: delta of the layers below.
  void (*backward)(const DenseLayer<T>* layers, int n_layers, std::ptrdiff_t first, std::ptrdiff_t count);
  // Rows begin .. end - 1 of the gradient (and b_gradient, when begin is 0) over `count` samples, at most
  // samples_per_chunk; added to what is there if `add`.
  void (*gradient)(const DenseLayer<T>& layer, std::ptrdiff_t begin, std::ptrdiff_t end, std::ptrdiff_t count,
                   bool add);
  // Rows begin .. end - 1 of w, and b when begin is 0; then wt. begin is a multiple of 64.
  void (*update)(const DenseLayer<T>& layer, std::ptrdiff_t begin, std::ptrdiff_t end, const UpdateRule<T>& rule);
  // wt from w, rows begin .. end - 1 of w.
  void (*transpose)(const DenseLayer<T>& layer, std::ptrdiff_t begin, std::ptrdiff_t end);
  // gradient += penalty w in rows begin .. end - 1. Returns the sum of the squares of these rows of the gradient, and
  // of b_gradient when begin is 0.
  double (*penalize)(const DenseLayer<T>& layer, std::ptrdiff_t begin, std::ptrdiff_t end, T penalty);
  // The sum of the squares of rows begin .. end - 1 of w.
  double (*squares)(const DenseLayer<T>& layer, std::ptrdiff_t begin, std::ptrdiff_t end);
  // to[j] = (x[j] - shift[j]) scale[j], j < n; shift nullptr: to[j] = x[j].
  // A whole step on samples 0 .. count - 1 of a network without functions of a user and dropout, at most
  // samples_per_chunk: forward, output in blocks of `block`, backward, gradient and update in one call. Returns the sum
  // of the losses.
  double (*step)(const DenseLayer<T>* layers, int n_layers, Loss loss, std::ptrdiff_t count, std::ptrdiff_t block,
                 const Targets<T>& targets, const UpdateRule<T>& rule);
  // Forward, losses and, if asked for, gradients of `count` samples of as many networks as there are lanes, in blocks
  // of `rows` samples (a multiple of 4, the rows of out, delta and slope). The lanes are innermost in all that is of a
  // network, rows are not padded, and n_out and the strides count numbers of all lanes: w is n_in x n_out / lanes x
  // lanes. Each lane has the bits that the functions above give it alone.
  void (*in_lanes)(const DenseLayer<T>* layers, int n_layers, Loss loss, std::ptrdiff_t count, std::ptrdiff_t rows,
                   const Targets<T>& targets, const ChunkPart& part);
  void (*take_numbers)(const T* x, std::ptrdiff_t n, const T* shift, const T* scale, T* to);
  void (*take_bytes)(const std::uint8_t* x, std::ptrdiff_t n, const T* shift, const T* scale, T* to);
};

MMLFAST_KERNEL_TABLES(Backprop, backprop)

}  // namespace mmlfast
