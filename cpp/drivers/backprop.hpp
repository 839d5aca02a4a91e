// Dense networks: values, loss, gradients, and the whole training loop. All arrays are C-contiguous.
#pragma once

#include <limits>

#include "drivers/tape_program.hpp"
#include "kernels/backprop.hpp"
#include "runtime/outcome.hpp"
#include "runtime/sizes.hpp"

namespace mmlfast::drivers {

// n_layers layers between n_layers + 1 sizes; w[l] is sizes[l] x sizes[l + 1], b[l] has sizes[l + 1] numbers. A softmax
// activation is allowed in the last layer only, and goes with cross-entropy; binary cross-entropy goes with logistic.
template <class T>
struct Network {
  int n_layers;
  const Size* sizes;
  const Activation* activations;
  const T* parameters;                 // of the activations
  const TapeProgram* const* programs;  // of layers with a function of the user's: z -> its value and slope
  Loss loss;
  T loss_parameter;
  const TapeProgram* loss_program;  // out, target -> the loss of one number and its derivative by out
  T* const* w;
  T* const* b;
  // The network takes (x - shift) scale, column by column, unless these are nullptr.
  const T *shift, *scale;
};

// n samples: x is n x sizes[0], in T or in bytes; y is n x sizes[n_layers]; or with cross-entropy, labels has n class
// numbers in range. weights: nullptr for 1 each. What stands in a sample of weight 0 does not matter.
template <class T>
struct Samples {
  Size n;
  const T* x;
  const std::uint8_t* bytes;
  const T* y;
  const std::int64_t* labels;
  const T* weights;
};

// constant: peak; step: peak factor^(epochs passed / every); cosine: peak (1 + cos(pi p)) / 2, p the part of the steps
// that are passed; one_cycle: in a straight line up over a fifth of the steps and down to 0 over the others;
// inverse_scaling: peak / (samples passed + 1)^power, epoch by epoch; adaptive: peak, divided by 5 whenever patience
// is at its end.
enum class Schedule : int { constant, step, cosine, one_cycle, inverse_scaling, adaptive };

struct LearningRate {
  Schedule schedule = Schedule::constant;
  double peak = 0;
  Size first_epoch = 0, epochs = 1;  // of cosine and one_cycle: where it begins, in epochs of all trainings
  Size every = 1;
  double factor = 1, power = 0.5;
};

// What is compared from epoch to epoch: to find the best weights, and to stop.
enum class Monitor : int { nothing, training_loss, validation_loss, validation_score };

struct Stopping {
  Monitor monitor = Monitor::nothing;
  bool keep_best = false;  // the weights at the end are those of the best epoch
  // More epochs than that one after the other without an improvement of more than tolerance end the training.
  Size patience = std::numeric_limits<Size>::max();
  double tolerance = 0;
  double seconds = std::numeric_limits<double>::infinity();
};

// Of images in the rows of x: each moves by up to `most` pixels in both directions; zeros come in.
struct Shifts {
  Size height = 0, width = 0, channels = 1, most = 0;
};

enum class Score : int { none, accuracy, r2 };

// Samples that are not trained on. score: of the output; r2: 1 - sum_j of column_weights[j] times the weighted sum of
// squared errors of column j.
template <class T>
struct Validation {
  Samples<T> samples{};
  Score score = Score::none;
  const double* column_weights = nullptr;
  double *losses = nullptr, *scores = nullptr;  // OUT: one per epoch
};

enum class Stopped : int { after_all_epochs, no_improvement, by_callback, out_of_time };

// IN and OUT: what a training takes with it from call to call, besides weights and moments.
struct TrainingState {
  Size epoch = 0;  // how many went before: seed and number of an epoch give the order of its samples
  Size steps = 0;  // of adam
  // Of Stopping and of the schedule adaptive.
  double best = std::numeric_limits<double>::infinity(), rate_factor = 1;
  Size epochs_without_improvement = 0;
  double best_loss = std::numeric_limits<double>::infinity();  // of equal scores
};

template <class T>
struct Training {
  Size epochs = 0, batch_size = 1;
  bool shuffle = true;
  std::uint64_t seed = 0;
  Optimizer optimizer = Optimizer::gradient_descent;
  LearningRate rate;
  double momentum = 0, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;
  double weight_decay = 0;  // w -= rate weight_decay w
  double penalty = 0;       // the loss has penalty / (2 sum of weights) times the squared weights besides
  double clip_norm = std::numeric_limits<double>::infinity();
  T smoothing = 0;
  const double* dropout = nullptr;  // of each layer but the last
  Shifts shifts;
  Stopping stopping;
  const Validation<T>* validation = nullptr;
  // IN and OUT, in the shapes of w and b; nullptr where the optimizer needs none.
  T *const *w_first = nullptr, *const *b_first = nullptr, *const *w_second = nullptr, *const *b_second = nullptr;
  TrainingState* state = nullptr;
  double* losses = nullptr;  // OUT: one per epoch, the mean over its samples of the loss before the step that used them
  Size* finished = nullptr;  // OUT: epochs that were finished, and have a loss
  bool* diverged = nullptr;  // OUT: the next one left the finite numbers
  Size* best_epoch = nullptr;  // OUT, with keep_best: whose weights these are; -1: those from before
  Stopped* stopped = nullptr;  // OUT
  // Called after each epoch, by the calling thread.
  enum class Answer { go_on, stop, failed };  // failed: an exception is pending
  Answer (*report)(void* context, Size epoch, double loss) = nullptr;
  void* report_context = nullptr;
  bool report_needs_weights = false;  // w and b are those of the moment
};

// out: n x sizes[n_layers]; finished: with softmax or logistic of cross-entropies, otherwise what goes into these.
template <class T>
Outcome forward(const Network<T>& network, const Samples<T>& samples, bool finished, T* out) noexcept;

// Mean loss over the samples; with gradients, dw[l] and db[l] of the shapes of w[l] and b[l].
template <class T>
Outcome loss(const Network<T>& network, const Samples<T>& samples, double& mean_loss) noexcept;
template <class T>
Outcome gradients(const Network<T>& network, const Samples<T>& samples, double& mean_loss, T* const* dw,
                  T* const* db) noexcept;

// Mini-batch gradient descent. The weights of the last finished step are in w and b afterwards, interrupted or not; or
// with keep_best, those of the best epoch. Training that leaves the finite numbers ends: w and b are those after the
// last epoch whose loss and weights were finite. What is continued from `finished` epochs has the bits of what was not
// interrupted.
template <class T>
Outcome fit(const Network<T>& network, const Samples<T>& samples, const Training<T>& training) noexcept;

// One of several trainings.
template <class T>
struct Member {
  const Network<T>* network;
  const Samples<T>* samples;
  const Training<T>* training;
};

// Trainings side by side, networks in SIMD lanes, each with the bits of fit(). The members have sizes, activations,
// loss and optimizer of the first. OUT: done; those that are not are as before, and left to fit(): because lanes do not
// suit what they ask for, their size or their number, or because they left the finite numbers.
template <class T>
Outcome fit_many(const Member<T>* members, Size n, bool* done) noexcept;

}  // namespace mmlfast::drivers
