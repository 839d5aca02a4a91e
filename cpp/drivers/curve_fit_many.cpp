#include "drivers/curve_fit_many.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <memory>
#include <new>
#include <optional>

#include "drivers/least_squares_loss.hpp"
#include "kernels/curve_fit_many.hpp"
#include "runtime/aligned_buffer.hpp"
#include "runtime/interrupt.hpp"
#include "runtime/thread_pool.hpp"

namespace mmlfast::drivers {
namespace {

constexpr Size width = tape_lanes;
// Within these, squares of residuals and of derivatives are far from overflow and underflow.
constexpr double least_sum = 1e-200, most_sum = 1e200;
constexpr double nan = std::numeric_limits<double>::quiet_NaN();

// What all workers share.
struct Job {
  const CurveFits& fits;
  const CurveFitResults& results;
  const double* staged;  // of x, if all fits have the same
  std::atomic<Size> next{0};
  std::atomic<bool> no_memory{false};
};

FitStatus status_of(double state) noexcept {
  switch (static_cast<CurveFitState>(static_cast<int>(state))) {
    case CurveFitState::converged:
      return FitStatus::converged;
    case CurveFitState::undetermined:
      return FitStatus::undetermined;
    case CurveFitState::not_finite:
      return FitStatus::model_not_finite;
    case CurveFitState::stagnated:
      return FitStatus::stagnated;
    default:
      return FitStatus::too_many_steps;
  }
}

// Eight fits on their way.
class Worker {
 public:
  // Without memory, only counts.
  Worker(const Job& job, void* memory)
      : job_(job), fits_(job.fits), n_(fits_.n), n_sums_(curve_fit::n_sums(n_)), divider_(memory) {
    const Size rows = fits_.n_rows, n_all = fits_.model->n_parameters(), k = fits_.model->n_staged();
    const auto vectors = [&](Size count) { return divider_.take<double>(checked_product(count, width)); };
    y_ = vectors(rows);
    weights_ = fits_.weights.data != nullptr ? vectors(rows) : nullptr;
    staged_ = job.staged == nullptr ? vectors(checked_product(rows, k)) : nullptr;
    one_staged_ = job.staged == nullptr ? divider_.take<double>(checked_product(rows, k)) : nullptr;
    lanes_.n = n_;
    lanes_.x = vectors(n_);
    lanes_.trial = vectors(n_all);
    const bool bounded = fits_.lower.data != nullptr;
    lower_ = vectors(bounded ? n_ : 0);
    upper_ = vectors(bounded ? n_ : 0);
    lanes_.lower = bounded ? lower_ : nullptr;
    lanes_.upper = bounded ? upper_ : nullptr;
    lanes_.scale = vectors(n_);
    lanes_.gram = vectors(n_sums_);
    lanes_.sums = vectors(n_sums_);
    for (double** number : {&lanes_.radius, &lanes_.damping, &lanes_.predicted, &lanes_.slope, &lanes_.length,
                            &lanes_.data2, &lanes_.evaluations, &lanes_.accepted, &lanes_.state})
      *number = vectors(1);
    lanes_.held = vectors(n_);
    lanes_.work = vectors(std::max(curve_fit::work_vectors(n_), 3 * curve_fit::triangle(n_) + n_));
    row_work_ = vectors(n_ > curve_fit::most_in_registers ? (n_ + 1) * fits_.model->block_rows() : 0);
    const bool has_loss = fits_.loss != Loss::linear;
    loss_y_ = vectors(has_loss ? fits_.model->block_rows() : 0);
    loss_weights_ = vectors(has_loss ? fits_.model->block_rows() : 0);
    loss_sums_ = has_loss ? vectors(n_sums_) : lanes_.gram;
    at_end_ = vectors(has_loss ? n_all : 0);
    done_gram_ = vectors(n_sums_);
    done_held_ = vectors(n_);
    inverse_ = vectors(curve_fit::triangle(n_) + 1);
    tape_memory_ = divider_.take<double>(TapeRows::Lanes::numbers_for(*fits_.model));
    outputs_ = divider_.take<const double*>(n_ + 1);
    strides_ = divider_.take<std::ptrdiff_t>(n_ + 1);
    bytes_ = divider_.used();
    if (memory == nullptr) return;
    std::fill_n(static_cast<char*>(memory), bytes_, char{0});
    std::fill_n(lanes_.state, width, static_cast<double>(CurveFitState::converged));  // lanes are empty
    tape_.emplace(*fits_.model, tape_memory_);
  }
  Size bytes() const noexcept { return bytes_; }

  // Goes on for some evaluations. False once there is nothing left to do.
  bool work(Job& job, Size evaluations) noexcept {
    for (Size i = 0; i < evaluations; ++i) {
      if (!fill(job)) {
        flush();
        return false;
      }
      evaluate(lanes_.trial, lanes_.sums, Curvature::for_search);
      const LaneBits stopped = kernel_.advance(lanes_, fits_.most_evaluations);
      if (fits_.loss != Loss::linear && any_stopped(stopped)) evaluate_ends();
      for (int l = 0; l < width; ++l)
        if (fit_[l] >= 0 && (stopped >> l & 1) != 0) take_out(l);
    }
    return true;
  }

 private:
  // Fits into empty lanes, while there are any. False if all lanes are empty.
  bool fill(Job& job) noexcept {
    bool any = false;
    for (int l = 0; l < width; ++l) {
      while (fit_[l] < 0 && !exhausted_) {
        const Size fit = job.next.fetch_add(1, std::memory_order_relaxed);
        if (fit >= fits_.n_fits)
          exhausted_ = true;
        else if (!put_in(l, fit))
          job.no_memory = exhausted_ = true;
      }
      any = any || fit_[l] >= 0;
    }
    return any;
  }

  // False if there is no memory.
  bool put_in(int l, Size fit) noexcept {
    const Size rows = fits_.n_rows, n_all = fits_.model->n_parameters();
    const double *y = fits_.y.of(fit), *weights = fits_.weights.of(fit), *start = fits_.start.of(fit);
    double sum = 0;
    Size used = rows;
    if (weights == nullptr) {
      for (Size i = 0; i < rows; ++i) {
        y_[i * width + l] = y[i];
        sum += y[i] * y[i];
      }
    } else {
      used = 0;
      for (Size i = 0; i < rows; ++i) {
        const double weight = weights[i], value = weight == 0 ? 0 : y[i];
        y_[i * width + l] = value;
        weights_[i * width + l] = weight;
        sum += value * weight * (value * weight);
        used += weight != 0;
      }
    }
    job_.results.n_used[fit] = static_cast<std::int32_t>(used);
    if (used < n_) return give_up(fit, FitStatus::too_few_rows);
    if (!(sum > least_sum && sum < most_sum)) {
      const FitStatus status = status_of_numbers(y, weights);
      if (status != FitStatus::converged) return give_up(fit, status);
    }
    for (Size j = 0; j < n_all; ++j) {
      lanes_.trial[j * width + l] = start[j];
      if (!std::isfinite(start[j])) return give_up(fit, FitStatus::bad_start);
    }
    if (lanes_.lower != nullptr)
      for (Size j = 0; j < n_; ++j) {
        lower_[j * width + l] = fits_.lower.of(fit)[j];
        upper_[j * width + l] = fits_.upper.of(fit)[j];
      }
    if (job_.staged == nullptr && !stage(l, fit)) return false;
    lanes_.data2[l] = sum;
    for (Size j = 0; j < n_; ++j) lanes_.scale[j * width + l] = lanes_.held[j * width + l] = 0;
    for (double* number : {lanes_.damping, lanes_.predicted, lanes_.slope, lanes_.length, lanes_.evaluations,
                           lanes_.accepted, lanes_.state})
      number[l] = 0;
    fit_[l] = fit;
    return true;
  }

  // Of numbers whose sum of squares is none, or very large or small.
  FitStatus status_of_numbers(const double* y, const double* weights) const noexcept {
    FitStatus status = FitStatus::converged;
    for (Size i = 0; i < fits_.n_rows; ++i) {
      const double value = weights == nullptr ? y[i] : weights[i] == 0 ? 0 : y[i] * weights[i];
      if (!std::isfinite(weights == nullptr || weights[i] != 0 ? y[i] : 0)) return FitStatus::bad_data;
      if (value != 0) status = FitStatus::out_of_range;
    }
    return status;
  }

  bool stage(int l, Size fit) noexcept {
    const Size rows = fits_.n_rows, k = fits_.model->n_staged();
    if (k == 0) return true;
    if (!fits_.model->stage(rows, fits_.x.of(fit), one_staged_)) return false;
    for (Size i = 0; i < rows * k; ++i) staged_[i * width + l] = one_staged_[i];
    return true;
  }

  bool any_stopped(LaneBits stopped) const noexcept {
    for (int l = 0; l < width; ++l)
      if (fit_[l] >= 0 && (stopped >> l & 1) != 0) return true;
    return false;
  }

  // With a loss: sums for the covariances of fits that have stopped, whose rows keep less of the curvature than those
  // of the search.
  void evaluate_ends() noexcept {
    const Size n_all = fits_.model->n_parameters();
    std::copy_n(lanes_.x, n_ * width, at_end_);
    std::copy_n(lanes_.trial + n_ * width, (n_all - n_) * width, at_end_ + n_ * width);
    evaluate(at_end_, loss_sums_, Curvature::as_scipy);
  }

  // Rows of a block as plain least squares has them for the loss: y and weights in loss_y_ and loss_weights_.
  void scale_rows(Size rows, const double* y, const double* weights, Curvature curvature, double* total) noexcept {
    const double scale = fits_.loss_scale;
    for (Size i = 0; i < rows; ++i)
      for (Size l = 0; l < width; ++l) {
        const Size at = i * width + l;
        const double weight = weights == nullptr ? 1 : weights[at], f = outputs_[0][i * strides_[0] + l];
        loss_y_[at] = loss_weights_[at] = 0;
        if (weight == 0) continue;
        const double r = (f - y[at]) * weight, z = r / scale * (r / scale);
        const Rho rho = rho_of(fits_.loss, z);
        const double factor = row_factor(curvature, rho, z);
        loss_weights_[at] = weight * factor;
        loss_y_[at] = f - r * (rho.first / (factor * factor)) / weight;
        total[l] += rho.value;
      }
  }

  void evaluate(const double* parameters, double* sums, Curvature curvature) noexcept {
    double total[width] = {};
    const bool has_loss = fits_.loss != Loss::linear;
    const Size k = fits_.model->n_staged(), block = fits_.model->block_rows();
    tape_->set_rows(std::min(block, fits_.n_rows));
    tape_->set_parameters(parameters);
    std::fill_n(sums, n_sums_ * width, 0.0);
    for (Size first = 0; first < fits_.n_rows; first += block) {
      const Size rows = std::min(block, fits_.n_rows - first);
      tape_->set_rows(rows);
      for (Size s = 0; s < k; ++s) {
        double* to = tape_->staged(s);
        if (job_.staged != nullptr)
          for (Size i = 0; i < rows; ++i) std::fill_n(to + i * width, width, job_.staged[(first + i) * k + s]);
        else
          for (Size i = 0; i < rows; ++i) std::copy_n(staged_ + ((first + i) * k + s) * width, width, to + i * width);
      }
      tape_->run();
      for (Size j = 0; j <= n_; ++j) outputs_[j] = tape_->output(j, strides_[j]);
      const double *y = y_ + first * width, *weights = weights_ == nullptr ? nullptr : weights_ + first * width;
      if (has_loss) {
        scale_rows(rows, y, weights, curvature, total);
        y = loss_y_;
        weights = loss_weights_;
      }
      kernel_.add_rows(n_, rows, outputs_, strides_, y, weights, sums, row_work_);
    }
    if (!has_loss) return;
    for (Size l = 0; l < width; ++l) sums[(n_sums_ - 1) * width + l] = fits_.loss_scale * fits_.loss_scale * total[l];
  }

  // True, for put_in.
  bool give_up(Size fit, FitStatus status) noexcept {
    const CurveFitResults& to = job_.results;
    to.status[fit] = static_cast<std::int8_t>(status);
    std::fill_n(to.parameters + fit * n_, n_, nan);
    std::fill_n(to.inverse + fit * n_ * n_, n_ * n_, nan);
    to.cost[fit] = to.condition[fit] = nan;
    return true;
  }

  void take_out(int l) noexcept {
    const Size fit = fit_[l];
    fit_[l] = -1;
    const CurveFitResults& to = job_.results;
    to.evaluations[fit] = static_cast<std::int32_t>(lanes_.evaluations[l]);
    const FitStatus status = status_of(lanes_.state[l]);
    if (status < FitStatus::not_done) {
      give_up(fit, status);
      return;
    }
    to.status[fit] = static_cast<std::int8_t>(status);
    for (Size j = 0; j < n_; ++j) {
      to.parameters[fit * n_ + j] = lanes_.x[j * width + l];
      done_held_[j * width + n_done_] = lanes_.held[j * width + l];
    }
    for (Size s = 0; s < n_sums_; ++s) done_gram_[s * width + n_done_] = loss_sums_[s * width + l];
    to.cost[fit] = lanes_.gram[(n_sums_ - 1) * width + l];
    done_[n_done_++] = fit;
    if (n_done_ == width) flush();
  }

  // The covariances of fits that are done.
  void flush() noexcept {
    if (n_done_ == 0) return;
    double* condition = inverse_ + curve_fit::triangle(n_) * width;
    kernel_.covariance(n_, done_gram_, done_held_, inverse_, condition, lanes_.work);
    for (int l = 0; l < n_done_; ++l) {
      const CurveFitResults& to = job_.results;
      double* x = to.inverse + done_[l] * n_ * n_;
      for (Size j = 0, s = 0; j < n_; ++j)
        for (Size k = 0; k <= j; ++k, ++s) x[j * n_ + k] = x[k * n_ + j] = inverse_[s * width + l];
      to.condition[done_[l]] = condition[l];
      for (Size j = 0; j < n_; ++j) to.held[done_[l] * n_ + j] = static_cast<std::uint8_t>(done_held_[j * width + l]);
    }
    n_done_ = 0;
  }

  const Job& job_;
  const CurveFits& fits_;
  const CurveFit& kernel_ = kernel_of<CurveFit>();
  Size n_, n_sums_;
  Divider divider_;
  Size bytes_ = 0;
  CurveFitLanes lanes_{};
  double *y_, *weights_, *staged_, *one_staged_, *lower_, *upper_, *row_work_, *tape_memory_;
  const double** outputs_;
  std::ptrdiff_t* strides_;
  double *loss_y_, *loss_weights_, *loss_sums_, *at_end_;
  double *done_gram_, *done_held_, *inverse_;
  std::optional<TapeRows::Lanes> tape_;
  Size fit_[width] = {-1, -1, -1, -1, -1, -1, -1, -1}, done_[width] = {};
  int n_done_ = 0;
  bool exhausted_ = false;
};

// Workers that threads take up and put down: a block of work is some evaluations of one of them.
class Workers {
 public:
  Workers(Job& job, Size count) noexcept
      : job_(job),
        count_(count),
        memory_(checked_product(count, Worker(job, nullptr).bytes())),
        places_(new (std::nothrow) Place[static_cast<std::size_t>(count)]) {
    if (!*this) return;
    for (Size i = 0; i < count; ++i) places_[i].worker.emplace(job, memory_.data() + i * (memory_.size() / count));
  }
  explicit operator bool() const noexcept { return memory_ && places_ != nullptr; }

  // False if nobody has anything left to do.
  bool any_left() const noexcept {
    for (Size i = 0; i < count_; ++i)
      if (!places_[i].finished) return true;
    return false;
  }
  // Some evaluations of whichever worker is free.
  void work(Size evaluations) noexcept {
    for (Size i = 0; i < count_; ++i) {
      Place& place = places_[i];
      if (place.taken.exchange(true, std::memory_order_acquire)) continue;
      const bool left = !place.finished;
      if (left) place.finished = !place.worker->work(job_, evaluations);
      place.taken.store(false, std::memory_order_release);
      if (left) return;
    }
  }

 private:
  struct Place {
    std::optional<Worker> worker;
    std::atomic<bool> taken{false};
    bool finished = false;
  };
  Job& job_;
  Size count_;
  AlignedBuffer<char> memory_;
  std::unique_ptr<Place[]> places_;
};

Outcome run(Job& job) noexcept {
  const CurveFits& fits = job.fits;
  const double n = static_cast<double>(fits.n);
  const double ns = 8 * static_cast<double>(fits.n_rows) * (fits.model->ns_per_row() + .02 * n * n) + 40 * n * n * n;
  constexpr double block_ns = 300'000;
  const auto evaluations = static_cast<Size>(std::clamp(block_ns / ns, 1.0, 4096.0));
  const bool threaded = 2 * ns * static_cast<double>(fits.n_fits) > threading_threshold_ns;
  const Size count = threaded ? std::clamp<Size>(fits.n_fits / 32, 1, get_num_threads()) : 1;
  Workers workers(job, count);
  if (!workers) return {Outcome::Status::no_memory};
  InterruptTimer timer;
  while (workers.any_left()) {
    if (count == 1)
      workers.work(evaluations);
    else if (!parallel_blocks(16 * count, 1e9, [&](Size) { workers.work(evaluations); }))
      return {Outcome::Status::interrupted};
    if (job.no_memory) return {Outcome::Status::no_memory};
    if (timer.interrupted()) return {Outcome::Status::interrupted};
  }
  return {};
}

}  // namespace

Outcome curve_fit_many(const CurveFits& fits, const CurveFitResults& results) noexcept {
  if (fits.n_fits == 0) return {};
  const TapeRows& model = *fits.model;
  std::fill_n(results.status, fits.n_fits, static_cast<std::int8_t>(FitStatus::not_done));
  std::fill_n(results.evaluations, fits.n_fits, 0);
  std::fill_n(results.n_used, fits.n_fits, 0);
  std::fill_n(results.held, fits.n_fits * fits.n, std::uint8_t{0});
  AlignedBuffer<double> staged;
  const bool shared = fits.x.stride == 0;
  if (shared) {
    staged = AlignedBuffer<double>(checked_product(fits.n_rows, model.n_staged()));
    if (!staged) return {Outcome::Status::no_memory};
    const bool any = model.n_staged() > 0 && fits.n_rows > 0;
    if (any && !model.stage(fits.n_rows, fits.x.data, staged.data())) return {Outcome::Status::no_memory};
  }
  Job job{fits, results, shared ? staged.data() : nullptr};
  return run(job);
}

}  // namespace mmlfast::drivers
