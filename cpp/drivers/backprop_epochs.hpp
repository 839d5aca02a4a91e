// The epochs of a training: steps, validation, what is best so far, and when to stop. Part of drivers/backprop_fit.
#pragma once

#include <chrono>
#include <cmath>

#include "drivers/backprop_judge.hpp"
#include "drivers/backprop_passes.hpp"
#include "drivers/backprop_rates.hpp"
#include "drivers/backprop_snapshot.hpp"
#include "drivers/backprop_validation.hpp"

namespace mmlfast::drivers::backprop {

// Weights up to here (2 MB of them) are updated by the block that made their gradient; a larger network has a phase of
// its own for the update, which is short, so that Ctrl-C may drop an unfinished step.
inline constexpr Size fused_update_limit = Size{1} << 18;

// From time to time the weights are looked at and saved; when they, or a loss, are not finite the epochs since are done
// again from what was saved, and looked at one by one: they are the same to the bit. A training that compares epochs is
// looked at after each.
template <class T>
class Epochs {
 public:
  Epochs(const Samples<T>& samples, const Training<T>& training, Workspace<T>& workspace)
      : samples_(samples),
        training_(training),
        work_(workspace),
        batch_(std::min(training.batch_size, samples.n)),
        step_ns_(ns_per_sample(workspace.network(), 3) * static_cast<double>(batch_)),
        rates_(training.rate, samples.n, ceil_div(samples.n, batch_)),
        saved_(workspace),
        best_(workspace),
        state_(*training.state) {
    work_.set_smoothing(training.smoothing);
    select();
    total_weight_ = samples.weights == nullptr ? static_cast<double>(samples.n) : sum_of_weights(samples);
    at_once_ = !is_threaded() && work_.is_plain() && training.penalty == 0 && !std::isfinite(training.clip_norm) &&
               work_.n_weights() <= fused_update_limit;
    rule_.optimizer = training.optimizer;
    rule_.momentum = static_cast<T>(training.momentum);
    rule_.beta1 = static_cast<T>(training.beta1);
    rule_.beta2 = static_cast<T>(training.beta2);
  }
  bool is_threaded() const { return step_ns_ > threading_threshold_ns / 2; }

  // The velocity or the moments; the weights are there.
  void load_state() {
    if (training_.w_first != nullptr)
      work_.load_state(&DenseLayer<T>::first, &DenseLayer<T>::b_first, training_.w_first, training_.b_first);
    if (training_.w_second != nullptr)
      work_.load_state(&DenseLayer<T>::second, &DenseLayer<T>::b_second, training_.w_second, training_.b_second);
  }
  void store() {
    work_.store_weights();
    if (training_.w_first != nullptr)
      work_.store_state(&DenseLayer<T>::first, &DenseLayer<T>::b_first, training_.w_first, training_.b_first);
    if (training_.w_second != nullptr)
      work_.store_state(&DenseLayer<T>::second, &DenseLayer<T>::b_second, training_.w_second, training_.b_second);
    state_.epoch += *training_.finished;
    *training_.state = state_;
  }

  // At the end: the best weights if they are wanted; after an interruption the last finished step, if that is finite.
  void settle(bool finished) {
    if (training_.stopping.keep_best && best_.holds()) {
      best_.restore();
      state_.steps = best_steps_;
    } else if (!finished && !saved_.finite()) {
      restore();
      *training_.finished = good_;
    }
  }

  // False if the training was interrupted.
  bool run(Passes<T>& passes) {
    const auto begin = std::chrono::steady_clock::now();
    const Size patience = epochs_between_looks();
    Size& done = *training_.finished;
    while (done < training_.epochs) {
      if (!one(passes, done)) return false;
      const bool finite = has_finite_losses(done);
      const bool look = finite && (done + 1 - good_ >= patience || done + 1 == training_.epochs);
      if (!finite || (look && !saved_.finite())) {
        const Size failed = done;
        restore();
        done = good_;
        return creep(passes, failed);
      }
      if (look && done + 1 < training_.epochs) save(done + 1);
      const bool enough = compares() && judge(done);
      // An exception that is pending is not to meet a callback.
      const auto answer = passes.stopped() ? Answer::failed : report(done);
      ++done;
      if (answer == Answer::failed) return false;
      if (answer == Answer::stop) return end(Stopped::by_callback);
      if (enough) return end(Stopped::no_improvement);
      if (std::isfinite(training_.stopping.seconds) && training_.stopping.seconds < seconds_since(begin))
        return end(Stopped::out_of_time);
    }
    return !passes.stopped();
  }

 private:
  using Answer = typename Training<T>::Answer;

  bool has_finite_losses(Size epoch) const {
    return std::isfinite(training_.losses[epoch]) &&
           (training_.validation == nullptr || std::isfinite(training_.validation->losses[epoch]));
  }
  static double seconds_since(std::chrono::steady_clock::time_point begin) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  }
  bool end(Stopped why) {
    *training_.stopped = why;
    return true;
  }
  bool compares() const { return training_.stopping.monitor != Monitor::nothing; }
  bool attentive() const { return compares() || training_.validation != nullptr || training_.report_needs_weights; }
  void select() { work_.select(samples_, training_.shuffle, true, training_.shifts); }

  // About the time that saving takes is to be a hundredth of what was done since.
  Size epochs_between_looks() const {
    if (attentive()) return 1;
    const double save_ns = 100 + 1.0 * static_cast<double>(saved_.n_numbers());
    const double epoch_ns = (step_ns_ + 500) * static_cast<double>(ceil_div(samples_.n, batch_));
    return static_cast<Size>(std::min(100 * save_ns / epoch_ns, 1e6)) + 1;
  }

  // Epoch number `done` of this training: its loss, and whether all its steps were taken.
  bool one(Passes<T>& passes, Size done) {
    const Size epoch = state_.epoch + done;
    if (training_.shuffle &&
        !shuffle(work_.order(), samples_.n, training_.seed, epoch, [&] { return passes.poll_interrupt(); }))
      return false;
    select();
    work_.set_epoch(training_.seed, epoch);
    const auto work = static_cast<Size>(std::min(step_ns_, 1e6)) + 500;
    double sum = 0;
    Size number = 0;
    for (Size start = 0; start < samples_.n; start += batch_, ++number) {
      if (passes.stopped()) return false;
      step(passes, start, rates_.at(epoch, number, state_.rate_factor), sum);
      if (passes.stopped()) return false;  // the step was not taken
      passes.poll_interrupt_at_times(work);
    }
    training_.losses[done] = sum / total_weight_;
    return training_.validation == nullptr || validate(passes, work_, *training_.validation, done);
  }

  // One step of gradient descent on the samples from position `start` on, all of it or, if passes.stopped(), nothing
  // of it. Adds to `sum` the losses of the samples, and what the penalty was.
  void step(Passes<T>& passes, Size start, double rate, double& sum) {
    const Size count = std::min(batch_, samples_.n - start);
    const double weight = work_.weight_of(start, count);
    if (!(weight > 0)) return;
    const T scale = T{1} / static_cast<T>(weight);
    const bool clips = std::isfinite(training_.clip_norm);
    const bool fused = !clips && work_.n_weights() <= fused_update_limit;
    const T penalty = set_rule(rate, weight);
    if (at_once_ && count <= samples_per_chunk) {
      work_.select_chunk(start);
      sum += work_.step(count, scale, rule_);
      ++state_.steps;
      return;
    }
    double losses = 0, squares = 0;
    for (Size done = 0; done < count; done += samples_per_chunk) {
      const Size n = std::min<Size>(samples_per_chunk, count - done);
      work_.select_chunk(start + done);
      passes.run_samples(n, scale, true, losses);
      if (passes.stopped()) return;
      const bool update_too = fused && done + n == count;
      const auto gradients = [&](const DenseLayer<T>& layer, Size begin, Size end) {
        kernel_.gradient(layer, begin, end, n, done > 0);
        const double square = update_too && penalty != T{0} ? kernel_.squares(layer, begin, end) : 0;
        if (update_too) kernel_.update(layer, begin, end, rule_);
        return square;
      };
      squares = passes.sum_over_weights(!update_too, gradients);
      if (passes.stopped()) return;
    }
    if (!fused) squares = update_apart(passes, clips, penalty);
    ++state_.steps;
    sum += losses + training_.penalty / 2 * squares;
  }

  // The update in a phase of its own, after the gradients of all weights are known.
  double update_apart(Passes<T>& passes, bool clips, T penalty) {
    double squares = 0;
    if (penalty != T{0})
      squares = passes.sum_over_weights(
          false, [&](const DenseLayer<T>& layer, Size begin, Size end) { return kernel_.squares(layer, begin, end); });
    if (clips) {
      const double norm =
          std::sqrt(passes.sum_over_weights(false, [&](const DenseLayer<T>& layer, Size begin, Size end) {
            return kernel_.penalize(layer, begin, end, penalty);
          }));
      rule_.penalty = 0;
      if (norm > training_.clip_norm) rule_.clip = static_cast<T>(training_.clip_norm / norm);
    }
    passes.run_weights(false, [&](const DenseLayer<T>& layer, Size begin, Size end, Size) {
      kernel_.update(layer, begin, end, rule_);
    });
    return squares;
  }

  // Returns the penalty.
  T set_rule(double rate, double weight) {
    const StepNumbers<T> numbers = starts_.at(training_, rate, state_.steps);
    const T penalty = static_cast<T>(training_.penalty / weight);
    rule_.keep = numbers.keep;
    rule_.rate = numbers.rate;
    rule_.epsilon = numbers.epsilon;
    rule_.penalty = penalty;
    rule_.clip = 1;
    return penalty;
  }

  // ---- the best epoch, and the end ----

  // Whether that is enough.
  bool judge(Size done) {
    const Verdict verdict = backprop::judge(training_, done, state_);
    if (verdict.best && training_.stopping.keep_best && best_.save()) {
      best_steps_ = state_.steps;
      *training_.best_epoch = done;
    }
    return verdict.enough;
  }

  Answer report(Size epoch) {
    if (training_.report == nullptr) return Answer::go_on;
    if (!training_.report_needs_weights) return call_report(epoch);
    work_.store_weights();
    const Answer answer = call_report(epoch);
    work_.load_weights();  // a callback may have changed them
    if (saved_.holds() && saved_.finite()) saved_.save();
    return answer;
  }
  Answer call_report(Size epoch) { return training_.report(training_.report_context, epoch, training_.losses[epoch]); }

  // ---- back to the last finite weights ----

  void save(Size epochs) {
    if (!saved_.save()) return;
    good_ = epochs;
    good_state_ = state_;
  }

  // From what was saved, epoch by epoch, until the one that fails (`failed`, or one before).
  bool creep(Passes<T>& passes, Size failed) {
    Size& done = *training_.finished;
    for (; done < failed; ++done) {
      if (!one(passes, done)) return false;
      if (!has_finite_losses(done) || !saved_.finite()) break;
      if (!saved_.save()) break;
      good_ = done + 1;
      good_state_ = state_;
    }
    restore();
    *training_.diverged = true;
    return !passes.stopped();
  }

  // To good_ epochs; nothing was saved before the first look, and the caller's arrays are still what they were.
  void restore() {
    if (saved_.holds()) {
      saved_.restore();
      state_ = good_state_;
      return;
    }
    saved_.clear();
    work_.load_weights();
    load_state();
    state_ = *training_.state;
  }

  const Backprop<T>& kernel_ = kernel_of<Backprop<T>>();
  const Samples<T>& samples_;
  const Training<T>& training_;
  Workspace<T>& work_;
  Size batch_, good_ = 0, best_steps_ = 0;  // good_: the finished epochs when saved_ was saved
  double step_ns_, total_weight_ = 0;
  bool at_once_ = false;  // whether a step is one call of the kernel
  Rates rates_;
  Snapshot<T> saved_, best_;
  TrainingState state_, good_state_;
  UpdateRule<T> rule_{};
  AdamStart<T> starts_;
};

}  // namespace mmlfast::drivers::backprop
