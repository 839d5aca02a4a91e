// Passes of a team through a chunk of samples, and over the weights.
#pragma once

#include <atomic>

#include "drivers/backprop_workspace.hpp"
#include "runtime/interrupt.hpp"
#include "runtime/team.hpp"

namespace mmlfast::drivers::backprop {

template <class T>
double ns_per_sample(const Network<T>& network, double passes) {
  double weights = 0;
  for (int l = 0; l < network.n_layers; ++l) {
    weights += static_cast<double>(network.sizes[l] + 16) * static_cast<double>(padded<T>(network.sizes[l + 1]));
  }
  return weights * passes * static_cast<double>(sizeof(T)) / 8 / 25;
}

inline Outcome outcome_of(bool finished) { return {finished ? Outcome::Status::ok : Outcome::Status::interrupted}; }

// One pass of forward, output and backward over a mini-batch, chunk by chunk, in phases shared by the team.
template <class T>
class Passes {
 public:
  Passes(Workspace<T>& workspace, Team& team, InterruptTimer& timer) : work_(workspace), team_(team), timer_(timer) {}

  bool stopped() const { return stop_.load(std::memory_order_relaxed); }

  // body(first, count) for the blocks of `count` samples of the chunk.
  template <class Body>
  void each_block(Size count, Body&& body) {
    if (count <= block_rows) return body(Size{0}, count);
    team_.run(
        ceil_div(count, block_rows),
        [&](Size block) {
          if (stopped()) return;
          const Size first = block * block_rows;
          body(first, std::min(block_rows, count - first));
        },
        [&] { poll_interrupt(); });
  }

  // Adds the losses of the chunk's samples to `sum`, times their weights. With backward: delta of every layer, scaled.
  void run_samples(Size count, T scale, bool backward, double& sum) {
    double* partial = work_.partial_sums();
    each_block(count, [&, partial](Size first, Size rows) {
      work_.gather(first, rows);
      work_.forward(first, rows);
      partial[first / block_rows] = work_.output(first, rows, scale);
      if (backward) kernel_.backward(work_.layers(), work_.network().n_layers, first, rows);
    });
    for (Size block = 0; block * block_rows < count; ++block) sum += partial[block];
  }

  // body(layer, begin, end, number of the block) over blocks of rows of all weights.
  template <class Body>
  void run_weights(bool may_stop, Body&& body) {
    const DenseLayer<T>* layers = work_.layers();
    team_.run(
        work_.n_weight_blocks(),
        [&](Size number) {
          if (may_stop && stopped()) return;
          int l = 0;
          Size block = number;
          for (Size n; block >= (n = ceil_div(weight_rows(layers[l]), block_weights)); ++l) block -= n;
          const Size begin = block * block_weights;
          body(layers[l], begin, std::min(begin + block_weights, weight_rows(layers[l])), number);
        },
        [&] {
          if (may_stop) poll_interrupt();
        });
  }
  // The sum over these blocks of what body returns.
  template <class Body>
  double sum_over_weights(bool may_stop, Body&& body) {
    double* partial = work_.partial_sums();
    run_weights(may_stop, [&, partial](const DenseLayer<T>& layer, Size begin, Size end, Size number) {
      partial[number] = body(layer, begin, end);
    });
    double sum = 0;
    for (Size block = 0; block < work_.n_weight_blocks(); ++block) sum += partial[block];
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
  Workspace<T>& work_;
  Team& team_;
  InterruptTimer& timer_;
  std::atomic<bool> stop_{false};
  Size since_polled_ = 0;
};

}  // namespace mmlfast::drivers::backprop
