#include "drivers/backprop.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "drivers/backprop_workspace.hpp"
#include "runtime/interrupt.hpp"
#include "runtime/team.hpp"

namespace mmlfast::drivers {

using namespace backprop;

namespace {

// Weights up to here (2 MB of them) are updated by the block that made their gradient; a larger network has a phase of
// its own for the update, which is short, so that Ctrl-C may drop an unfinished step.
constexpr Size fused_update_limit = Size{1} << 18;
// forward() and loss() keep nothing of a chunk, so theirs can be longer than samples_per_chunk.
constexpr Size long_chunk = 1024;

// splitmix64 (Steele, Lea and Flood, OOPSLA 2014) as a function of a counter: the same numbers in any order of asking.
std::uint64_t mix(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

// The permutation of an epoch: Fisher and Yates, from the end. False if stop() said so in between.
template <class Stop>
bool shuffle(Size* order, Size n, std::uint64_t seed, Size epoch, Stop&& stop) {
  const std::uint64_t key = mix(mix(seed) + static_cast<std::uint64_t>(epoch));
  for (Size i = 0; i < n; ++i) order[i] = i;
  for (Size i = n - 1; i > 0; --i) {
    if ((i & 0xffff) == 0 && stop()) return false;
    const std::uint64_t r = mix(key + static_cast<std::uint64_t>(i));
    const auto j = static_cast<Size>((static_cast<unsigned __int128>(r) * static_cast<std::uint64_t>(i + 1)) >> 64);
    std::swap(order[i], order[j]);
  }
  return true;
}

template <class T>
double ns_per_sample(const Network<T>& network, double passes) {
  double weights = 0;
  for (int l = 0; l < network.n_layers; ++l) {
    weights += static_cast<double>(network.sizes[l] + 16) * static_cast<double>(padded<T>(network.sizes[l + 1]));
  }
  return weights * passes * static_cast<double>(sizeof(T)) / 8 / 25;
}

// One pass of forward, output and backward over a mini-batch, chunk by chunk, in phases shared by the team.
template <class T>
class Passes {
 public:
  Passes(const Network<T>& network, Workspace<T>& workspace, Team& team, InterruptTimer& timer)
      : network_(network), work_(workspace), team_(team), timer_(timer) {}

  bool stopped() const { return stop_.load(std::memory_order_relaxed); }

  // The sum of the losses of the chunk's samples. With backward: delta of every layer, scaled.
  double run_samples(Size count, T scale, bool backward) {
    const Size n_blocks = ceil_div(count, block_rows);
    double* partial = work_.partial_losses();
    team_.run(
        n_blocks,
        [&, partial](Size block) {
          if (stopped()) return;
          const Size first = block * block_rows, rows = std::min(block_rows, count - first);
          partial[block] = work_.forward_and_output(first, rows, scale);
          if (backward) kernel_.backward(work_.layers(), network_.n_layers, first, rows);
        },
        [&] { poll_interrupt(); });
    double sum = 0;
    for (Size block = 0; block < n_blocks; ++block) sum += partial[block];
    return sum;
  }

  // body(layer, begin, end) over blocks of rows of all weights.
  template <class Body>
  void run_weights(bool may_stop, Body&& body) {
    Size n_blocks = 0;
    for (int l = 0; l < network_.n_layers; ++l) n_blocks += ceil_div(network_.sizes[l], block_weights);
    team_.run(
        n_blocks,
        [&](Size block) {
          if (may_stop && stopped()) return;
          int l = 0;
          for (Size n; block >= (n = ceil_div(network_.sizes[l], block_weights)); ++l) block -= n;
          const Size begin = block * block_weights;
          body(work_.layers()[l], begin, std::min(begin + block_weights, network_.sizes[l]));
        },
        [&] {
          if (may_stop) poll_interrupt();
        });
  }

  // One step of gradient descent on positions start .. start + count - 1, all of it or, if stopped(), nothing of it.
  double step(Size start, Size count, T rate, T momentum) {
    const T scale = T{1} / static_cast<T>(count);
    const bool fused = work_.n_weights() <= fused_update_limit;
    double sum = 0;
    for (Size done = 0; done < count; done += samples_per_chunk) {
      const Size n = std::min<Size>(samples_per_chunk, count - done);
      work_.select_chunk(start + done);
      sum += run_samples(n, scale, true);
      if (stopped()) return 0;
      const bool update_too = fused && done + n == count;
      run_weights(!update_too, [&](const DenseLayer<T>& layer, Size begin, Size end) {
        kernel_.gradient(layer, begin, end, n, done > 0);
        if (update_too) kernel_.update(layer, begin, end, rate, momentum);
      });
      if (stopped()) return 0;
    }
    if (!fused) {
      run_weights(false, [&](const DenseLayer<T>& layer, Size begin, Size end) {
        kernel_.update(layer, begin, end, rate, momentum);
      });
    }
    return sum;
  }

  // Between steps; a clock reading each time would show in the smallest networks.
  void poll_interrupt_at_times(Size work) {
    since_polled_ += work;
    if (since_polled_ < 100'000) return;
    since_polled_ = 0;
    poll_interrupt();
  }

  bool poll_interrupt() {
    if (timer_.interrupted()) stop_.store(true, std::memory_order_relaxed);
    return stopped();
  }

 private:
  const Backprop<T>& kernel_ = kernel_of<Backprop<T>>();
  const Network<T>& network_;
  Workspace<T>& work_;
  Team& team_;
  InterruptTimer& timer_;
  std::atomic<bool> stop_{false};
  Size since_polled_ = 0;
};

Outcome outcome_of(bool finished) { return {finished ? Outcome::Status::ok : Outcome::Status::interrupted}; }

// body(start, count, passes) for each chunk of all samples, in order, led by this thread.
template <class T, class Body>
Outcome each_chunk(const Network<T>& network, const Samples<T>& samples, Workspace<T>& workspace, double passes_made,
                   Body&& body) noexcept {
  bool finished = true;
  const double total_ns = ns_per_sample(network, passes_made) * static_cast<double>(samples.n);
  finished &= with_team(total_ns > 2 * threading_threshold_ns, [&](Team& team) {
    InterruptTimer timer;
    Passes<T> passes(network, workspace, team, timer);
    for (Size start = 0; start < samples.n && !passes.stopped(); start += workspace.chunk()) {
      const Size count = std::min(workspace.chunk(), samples.n - start);
      workspace.select_chunk(start);
      body(start, count, team, passes);
      passes.poll_interrupt();
    }
    finished = !passes.stopped();
  });
  return outcome_of(finished);
}

}  // namespace

template <class T>
Outcome forward(const Network<T>& network, const Samples<T>& samples, T* out) noexcept {
  const Backprop<T>& kernel = kernel_of<Backprop<T>>();
  Workspace<T> workspace(network, samples, Purpose::values, long_chunk, false);
  if (!workspace.ready()) return {Outcome::Status::no_memory};
  const DenseLayer<T>& last = workspace.last();
  return each_chunk(network, samples, workspace, 1, [&](Size start, Size count, Team& team, Passes<T>& passes) {
    team.run(
        ceil_div(count, block_rows),
        [&](Size block) {
          if (passes.stopped()) return;
          const Size first = block * block_rows, rows = std::min(block_rows, count - first);
          kernel.forward(workspace.layers(), network.n_layers, first, rows);
          if (last.activation == Activation::softmax) kernel.softmax(last, first, rows);
          for (Size s = first; s < first + rows; ++s)
            std::copy_n(last.out + s * last.out_row, last.n_out, out + (start + s) * last.n_out);
        },
        [&] { passes.poll_interrupt(); });
  });
}

template <class T>
Outcome loss(const Network<T>& network, const Samples<T>& samples, double& mean_loss) noexcept {
  Workspace<T> workspace(network, samples, Purpose::values, long_chunk, false);
  if (!workspace.ready()) return {Outcome::Status::no_memory};
  double sum = 0;
  const Outcome outcome = each_chunk(network, samples, workspace, 1, [&](Size, Size count, Team&, Passes<T>& passes) {
    sum += passes.run_samples(count, T{1}, false);
  });
  mean_loss = sum / static_cast<double>(samples.n);
  return outcome;
}

template <class T>
Outcome gradients(const Network<T>& network, const Samples<T>& samples, T* const* dw, T* const* db) noexcept {
  const Backprop<T>& kernel = kernel_of<Backprop<T>>();
  Workspace<T> workspace(network, samples, Purpose::gradients, samples_per_chunk, false);
  if (!workspace.ready()) return {Outcome::Status::no_memory};
  const T scale = T{1} / static_cast<T>(samples.n);
  const Outcome outcome =
      each_chunk(network, samples, workspace, 3, [&](Size start, Size count, Team&, Passes<T>& passes) {
        passes.run_samples(count, scale, true);
        passes.run_weights(true, [&](const DenseLayer<T>& layer, Size begin, Size end) {
          kernel.gradient(layer, begin, end, count, start > 0);
        });
      });
  if (!outcome.ok()) return outcome;
  for (int l = 0; l < network.n_layers; ++l) {
    const DenseLayer<T>& layer = workspace.layers()[l];
    Workspace<T>::unpad(layer.gradient, layer, dw[l]);
    std::copy_n(layer.b_gradient, layer.n_out, db[l]);
  }
  return outcome;
}

namespace {

// Whether none of n numbers is NaN or infinite: without a branch, so that it runs in vectors.
template <class T>
bool all_finite(const T* x, Size n) {
  using Bits = std::conditional_t<sizeof(T) == 8, std::uint64_t, std::uint32_t>;
  constexpr Bits exponent = sizeof(T) == 8 ? static_cast<Bits>(0x7ff0000000000000) : static_cast<Bits>(0x7f800000);
  Bits bad = 0;
  for (Size i = 0; i < n; ++i) {
    Bits bits;
    std::memcpy(&bits, x + i, sizeof(T));
    bad |= static_cast<Bits>((bits & exponent) == exponent);
  }
  return bad == 0;
}

// A copy of all weights and velocities of a network in training, to go back to when it leaves the finite numbers.
template <class T>
class Snapshot {
 public:
  Snapshot(DenseLayer<T>* layers, int n_layers, bool velocities)
      : layers_(layers), n_layers_(n_layers), velocities_(velocities), sizes_(n_layers) {
    if (!sizes_) return;
    for (int l = 0; l < n_layers; ++l) {
      sizes_[l] = padded<T>(layers[l].n_in) * layers[l].w_row;
      n_numbers_ += sizes_[l] + layers[l].w_row;
    }
  }
  bool ready() const { return static_cast<bool>(sizes_); }
  bool holds() const { return static_cast<bool>(memory_); }
  Size n_numbers() const { return n_numbers_; }

  // False without memory.
  bool save() {
    if (!memory_) memory_ = AlignedBuffer<T>(velocities_ ? 2 * n_numbers_ : n_numbers_);
    if (!memory_) return false;
    T* p = memory_.data();
    each([&p](T* x, Size n) { std::memcpy(p, x, static_cast<std::size_t>(n) * sizeof(T)), p += n; });
    return true;
  }
  void restore() const {
    const T* p = memory_.data();
    each([&p](T* x, Size n) { std::memcpy(x, p, static_cast<std::size_t>(n) * sizeof(T)), p += n; });
  }
  // The layers as they are before anything is loaded; padding must not stay what 0 times infinity made of it.
  void clear() const {
    each([](T* x, Size n) { std::fill_n(x, n, T{0}); });
  }
  // Of what is in the layers now. A velocity that is not finite makes the weights so.
  bool finite() const {
    bool good = true;
    for (int l = 0; l < n_layers_; ++l)
      good = good && all_finite(layers_[l].w, sizes_[l]) && all_finite(layers_[l].b, layers_[l].w_row);
    return good;
  }

 private:
  template <class Body>
  void each(Body&& body) const {
    for (int l = 0; l < n_layers_; ++l) {
      const DenseLayer<T>& layer = layers_[l];
      body(layer.w, sizes_[l]);
      body(layer.b, layer.w_row);
      if (velocities_) body(layer.velocity, sizes_[l]), body(layer.b_velocity, layer.w_row);
    }
  }

  DenseLayer<T>* layers_;
  int n_layers_;
  bool velocities_;
  Size n_numbers_ = 0;
  AlignedBuffer<T> memory_;
  AlignedBuffer<Size> sizes_;
};

// The epochs of a training. From time to time the weights are looked at and saved; when they, or a loss, are not finite
// the epochs since are done again from what was saved, and looked at one by one: they are the same to the bit.
template <class T>
class Epochs {
 public:
  Epochs(const Network<T>& network, const Samples<T>& samples, const Training<T>& training, Workspace<T>& workspace)
      : samples_(samples),
        training_(training),
        workspace_(workspace),
        batch_(std::min(training.batch_size, samples.n)),
        step_ns_(ns_per_sample(network, 3) * static_cast<double>(batch_)),
        saved_(workspace.layers(), network.n_layers, training.momentum != T{0}) {}
  bool ready() const { return saved_.ready(); }
  double step_ns() const { return step_ns_; }

  // After an interruption: the last finished step, if that is finite.
  void settle() {
    if (saved_.finite()) return;
    restore();
    *training_.finished = good_;
  }

  // False if the training was interrupted.
  bool run(Passes<T>& passes) {
    // About the time that saving takes is to be a hundredth of what was done since.
    const double save_ns = 100 + 1.0 * static_cast<double>(saved_.n_numbers());
    const double epoch_ns = (step_ns_ + 500) * static_cast<double>(ceil_div(samples_.n, batch_));
    const auto patience = static_cast<Size>(std::min(100 * save_ns / epoch_ns, 1e6)) + 1;
    Size& done = *training_.finished;
    while (done < training_.epochs) {
      if (!one(passes, done, training_.losses[done])) return false;
      const bool finite = std::isfinite(training_.losses[done]);
      const bool look = finite && (done + 1 - good_ >= patience || done + 1 == training_.epochs);
      if (!finite || (look && !saved_.finite())) {
        const Size failed = done;
        restore();
        done = good_;
        return creep(passes, failed);
      }
      if (look && done + 1 < training_.epochs && saved_.save()) good_ = done + 1;
      if (!report(done++)) return false;
    }
    return !passes.stopped();
  }

 private:
  // Epoch number `epoch` of this training: its loss, and whether all its steps were taken.
  bool one(Passes<T>& passes, Size epoch, double& loss) {
    if (training_.shuffle && !shuffle(workspace_.order(), samples_.n, training_.seed, training_.first_epoch + epoch,
                                      [&] { return passes.poll_interrupt(); }))
      return false;
    const auto work = static_cast<Size>(std::min(step_ns_, 1e6)) + 500;
    double sum = 0;
    for (Size start = 0; start < samples_.n; start += batch_) {
      if (passes.stopped()) return false;
      sum += passes.step(start, std::min(batch_, samples_.n - start), training_.learning_rate, training_.momentum);
      if (passes.stopped()) return false;  // the step was not taken
      passes.poll_interrupt_at_times(work);
    }
    loss = sum / static_cast<double>(samples_.n);
    return true;
  }

  // From what was saved, epoch by epoch, until the one that fails (`failed`, or one before).
  bool creep(Passes<T>& passes, Size failed) {
    Size& done = *training_.finished;
    for (; done <= failed; ++done) {
      if (!one(passes, done, training_.losses[done])) return false;
      if (!std::isfinite(training_.losses[done]) || !saved_.finite()) break;
      if (!saved_.save()) break;
      good_ = done + 1;
    }
    restore();
    *training_.diverged = true;
    return !passes.stopped();
  }

  // To good_ epochs; nothing was saved before the first look, and the caller's arrays are still what they were.
  void restore() {
    if (saved_.holds()) {
      saved_.restore();
      workspace_.transpose();
      return;
    }
    saved_.clear();
    workspace_.load_weights();
    if (training_.w_velocity != nullptr) workspace_.load_velocities(training_.w_velocity, training_.b_velocity);
  }

  bool report(Size epoch) const {
    return training_.report == nullptr || training_.report(training_.report_context, epoch, training_.losses[epoch]);
  }

  const Samples<T>& samples_;
  const Training<T>& training_;
  Workspace<T>& workspace_;
  Size batch_, good_ = 0;  // good_: the finished epochs when saved_ was saved
  double step_ns_;
  Snapshot<T> saved_;
};

}  // namespace

template <class T>
Outcome fit(const Network<T>& network, const Samples<T>& samples, const Training<T>& training) noexcept {
  *training.finished = 0;
  *training.diverged = false;
  const Size batch = std::min(training.batch_size, samples.n);
  Workspace<T> workspace(network, samples, Purpose::training, std::min<Size>(samples_per_chunk, padded<T>(batch)),
                         training.shuffle);
  if (!workspace.ready()) return {Outcome::Status::no_memory};
  if (training.w_velocity != nullptr) workspace.load_velocities(training.w_velocity, training.b_velocity);
  Epochs<T> epochs(network, samples, training, workspace);
  if (!epochs.ready()) return {Outcome::Status::no_memory};
  bool finished = true;
  const bool quiet = with_team(epochs.step_ns() > threading_threshold_ns / 2, [&](Team& team) {
    InterruptTimer timer;
    Passes<T> passes(network, workspace, team, timer);
    finished = epochs.run(passes);
  });
  if (!finished) epochs.settle();
  workspace.store_weights();
  if (training.w_velocity != nullptr) workspace.store_velocities(training.w_velocity, training.b_velocity);
  return outcome_of(finished && quiet);
}

#define MMLFAST_INSTANTIATE(T)                                                                        \
  template Outcome forward<T>(const Network<T>&, const Samples<T>&, T*) noexcept;                     \
  template Outcome loss<T>(const Network<T>&, const Samples<T>&, double&) noexcept;                   \
  template Outcome gradients<T>(const Network<T>&, const Samples<T>&, T* const*, T* const*) noexcept; \
  template Outcome fit<T>(const Network<T>&, const Samples<T>&, const Training<T>&) noexcept;
MMLFAST_INSTANTIATE(double)
MMLFAST_INSTANTIATE(float)

}  // namespace mmlfast::drivers
