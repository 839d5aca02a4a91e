#include "drivers/backprop.hpp"

#include <algorithm>

#include "drivers/backprop_passes.hpp"

namespace mmlfast::drivers {

using namespace backprop;

namespace {

// forward() and loss() keep nothing of a chunk, so theirs can be longer than samples_per_chunk.
constexpr Size long_chunk = 1024;

template <class T>
Needs needs_of(const Network<T>& network, const Samples<T>& samples, Size chunk) {
  Needs needs{std::min(chunk, padded<T>(samples.n))};
  needs.inputs = needs_copies(network, samples);
  needs.targets = samples.y != nullptr;
  return needs;
}

// body(start, count, passes) for each chunk of all samples, in order, led by this thread.
template <class T, class Body>
Outcome each_chunk(const Network<T>& network, const Samples<T>& samples, Workspace<T>& workspace, double passes_made,
                   Body&& body) noexcept {
  bool finished = true;
  workspace.select(samples, false, false);
  const double total_ns = ns_per_sample(network, passes_made) * static_cast<double>(samples.n);
  finished &= with_team(total_ns > 2 * threading_threshold_ns, [&](Team& team) {
    InterruptTimer timer;
    Passes<T> passes(workspace, team, timer);
    for (Size start = 0; start < samples.n && !passes.stopped(); start += workspace.chunk()) {
      const Size count = std::min(workspace.chunk(), samples.n - start);
      workspace.select_chunk(start);
      body(start, count, passes);
      passes.poll_interrupt();
    }
    finished = !passes.stopped();
  });
  return outcome_of(finished);
}

}  // namespace

template <class T>
Outcome forward(const Network<T>& network, const Samples<T>& samples, bool finished, T* out) noexcept {
  const Backprop<T>& kernel = kernel_of<Backprop<T>>();
  Workspace<T> workspace(network, needs_of(network, samples, long_chunk));
  if (!workspace.ready()) return {Outcome::Status::no_memory};
  const DenseLayer<T>& last = workspace.last();
  const Activation output = network.activations[network.n_layers - 1];
  return each_chunk(network, samples, workspace, 1, [&](Size start, Size count, Passes<T>& passes) {
    passes.each_block(count, [&](Size first, Size rows) {
      workspace.gather(first, rows);
      workspace.forward(first, rows);
      if (finished && last.activation != output) kernel.finish(last, output, first, rows);
      for (Size s = first; s < first + rows; ++s)
        std::copy_n(last.out + s * last.out_row, last.n_out, out + (start + s) * last.n_out);
    });
  });
}

template <class T>
Outcome loss(const Network<T>& network, const Samples<T>& samples, double& mean_loss) noexcept {
  Needs needs = needs_of(network, samples, long_chunk);
  needs.narrow = true;
  Workspace<T> workspace(network, needs);
  if (!workspace.ready()) return {Outcome::Status::no_memory};
  double sum = 0;
  const Outcome outcome = each_chunk(network, samples, workspace, 1, [&](Size, Size count, Passes<T>& passes) {
    passes.run_samples(count, T{1}, false, sum);
  });
  mean_loss = sum / workspace.weight_of(0, samples.n);
  return outcome;
}

template <class T>
Outcome gradients(const Network<T>& network, const Samples<T>& samples, double& mean_loss, T* const* dw,
                  T* const* db) noexcept {
  const Backprop<T>& kernel = kernel_of<Backprop<T>>();
  Needs needs = needs_of(network, samples, samples_per_chunk);
  needs.backward = needs.narrow = true;
  Workspace<T> workspace(network, needs);
  if (!workspace.ready()) return {Outcome::Status::no_memory};
  workspace.select(samples, false, false);
  const double total = workspace.weight_of(0, samples.n);
  const T scale = T{1} / static_cast<T>(total);
  double sum = 0;
  const Outcome outcome = each_chunk(network, samples, workspace, 3, [&](Size start, Size count, Passes<T>& passes) {
    passes.run_samples(count, scale, true, sum);
    passes.run_weights(true, [&](const DenseLayer<T>& layer, Size begin, Size end, Size) {
      kernel.gradient(layer, begin, end, count, start > 0);
    });
  });
  mean_loss = sum / total;
  if (!outcome.ok()) return outcome;
  workspace.store_state(&DenseLayer<T>::gradient, &DenseLayer<T>::b_gradient, dw, db);
  return outcome;
}

#define MMLFAST_INSTANTIATE(T)                                                          \
  template Outcome forward<T>(const Network<T>&, const Samples<T>&, bool, T*) noexcept; \
  template Outcome loss<T>(const Network<T>&, const Samples<T>&, double&) noexcept;     \
  template Outcome gradients<T>(const Network<T>&, const Samples<T>&, double&, T* const*, T* const*) noexcept;
MMLFAST_INSTANTIATE(double)
MMLFAST_INSTANTIATE(float)

}  // namespace mmlfast::drivers
