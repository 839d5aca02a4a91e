// Dense networks: values, loss, gradients, and the whole training loop. All arrays are C-contiguous.
#pragma once

#include "kernels/backprop.hpp"
#include "runtime/outcome.hpp"
#include "runtime/sizes.hpp"

namespace mmlfast::drivers {

// n_layers layers between n_layers + 1 sizes; w[l] is sizes[l] x sizes[l + 1], b[l] has sizes[l + 1] numbers. A softmax
// activation is allowed in the last layer only, and goes with cross-entropy.
template <class T>
struct Network {
  int n_layers;
  const Size* sizes;
  const Activation* activations;
  T* const* w;
  T* const* b;
};

// n samples: x is n x sizes[0]; y is n x sizes[n_layers], or with softmax, labels has n class numbers in range.
template <class T>
struct Samples {
  Size n;
  const T* x;
  const T* y;
  const std::int64_t* labels;
};

template <class T>
struct Training {
  Size epochs, batch_size;
  T learning_rate, momentum;
  bool shuffle;
  std::uint64_t seed;
  double* losses;    // OUT: one per epoch, the mean over its samples of the loss before the step that used them
  Size first_epoch;  // how many went before: seed and number of an epoch give the order of its samples
  // IN and OUT, in the shapes of w and b; nullptr with momentum 0, which needs none.
  T* const* w_velocity;
  T* const* b_velocity;
  Size* finished;  // OUT: epochs that were finished, and have a loss
  bool* diverged;  // OUT: the next one left the finite numbers
  // Called after each epoch, by the calling thread; false stops the training (an exception is pending).
  bool (*report)(void* context, Size epoch, double loss);
  void* report_context;
};

// out: n x sizes[n_layers]
template <class T>
Outcome forward(const Network<T>& network, const Samples<T>& samples, T* out) noexcept;

// Mean loss over the samples; with gradients, dw[l] and db[l] of the shapes of w[l] and b[l].
template <class T>
Outcome loss(const Network<T>& network, const Samples<T>& samples, double& mean_loss) noexcept;
template <class T>
Outcome gradients(const Network<T>& network, const Samples<T>& samples, T* const* dw, T* const* db) noexcept;

// Mini-batch gradient descent. The weights of the last finished step are in w and b afterwards, interrupted or not.
// Training that leaves the finite numbers ends: w and b are those after the last epoch whose loss and weights were
// finite. What is continued from `finished` epochs has the bits of what was not interrupted.
template <class T>
Outcome fit(const Network<T>& network, const Samples<T>& samples, const Training<T>& training) noexcept;

}  // namespace mmlfast::drivers
