#include <chrono>
#include <cmath>

#include "drivers/backprop_epochs.hpp"

namespace mmlfast::drivers {

using namespace backprop;

template <class T>
Outcome fit(const Network<T>& network, const Samples<T>& samples, const Training<T>& training) noexcept {
  *training.finished = 0;
  *training.diverged = false;
  *training.best_epoch = -1;
  *training.stopped = Stopped::after_all_epochs;
  const Size batch = std::min(training.batch_size, samples.n);
  Needs needs{std::min<Size>(samples_per_chunk, padded<T>(batch))};
  needs.backward = true;
  needs.inputs = training.shuffle || training.shifts.most > 0 || needs_copies(network, samples);
  needs.targets = samples.y != nullptr;
  needs.order = training.shuffle ? samples.n : 0;
  needs.first = training.w_first != nullptr;
  needs.second = training.w_second != nullptr;
  needs.dropout = training.dropout;
  needs.narrow = true;
  if (const Validation<T>* validation = training.validation) {
    needs.chunk = samples_per_chunk;
    needs.inputs = needs.inputs || needs_copies(network, validation->samples);
    needs.targets = needs.targets || validation->samples.y != nullptr;
  }
  Workspace<T> workspace(network, needs);
  if (!workspace.ready()) return {Outcome::Status::no_memory};
  Epochs<T> epochs(samples, training, workspace);
  epochs.load_state();
  bool finished = true;
  const bool quiet = with_team(epochs.is_threaded(), [&](Team& team) {
    InterruptTimer timer;
    Passes<T> passes(workspace, team, timer);
    finished = epochs.run(passes);
  });
  epochs.settle(finished);
  epochs.store();
  return outcome_of(finished && quiet);
}

template Outcome fit<double>(const Network<double>&, const Samples<double>&, const Training<double>&) noexcept;
template Outcome fit<float>(const Network<float>&, const Samples<float>&, const Training<float>&) noexcept;

}  // namespace mmlfast::drivers
