#include <atomic>
#include <bit>
#include <cmath>
#include <memory>
#include <new>
#include <optional>

#include "drivers/backprop_judge.hpp"
#include "drivers/backprop_lanes.hpp"
#include "drivers/backprop_rates.hpp"
#include "runtime/interrupt.hpp"
#include "runtime/thread_pool.hpp"

namespace mmlfast::drivers {

using namespace backprop;

namespace {

// What all workers share.
template <class T>
struct Queue {
  const Member<T>* members;
  Size n, most_batch, most_samples;
  bool* done;
  std::atomic<Size> next{0};
};

// One network on its way.
template <class T>
struct Lane {
  Size number = -1;  // of the member
  Member<T> member{};
  TrainingState state;
  std::optional<Rates> rates;
  Size batch = 0, epochs = 0, start = 0, step = 0, best_steps = 0, best_epoch = -1;
  double sum = 0, weight = 0;
  bool ordered = false;  // whether `order` is that of the epoch
  std::uint32_t* order = nullptr;
  T* best = nullptr;

  bool busy() const { return number >= 0; }
  const Training<T>& training() const { return *member.training; }
  Size epoch() const { return state.epoch + epochs; }
  Size count() const { return std::min(batch, member.samples->n - start); }
  // Whether the order of the epoch is the same.
  bool same_order(const Lane& o) const {
    return member.samples->n == o.member.samples->n && epoch() == o.epoch() && training().seed == o.training().seed &&
           training().shuffle && o.training().shuffle;
  }
};

// As many networks as there are lanes, one step after the other.
template <class T>
class Worker {
 public:
  static constexpr int width = items_per_group<T>;

  // Without memory, only counts.
  Worker(Queue<T>& queue, void* memory)
      : queue_(queue),
        divider_(memory),
        memory_(*queue.members[0].network, *queue.members[0].training, queue.most_batch, divider_) {
    const Training<T>& training = *queue.members[0].training;
    for (Lane<T>& lane : lanes_) {
      lane.order = divider_.template take<std::uint32_t>(queue.most_samples);
      lane.best = divider_.template take<T>(memory_.n_numbers());
    }
    bytes_ = divider_.used();
    if (memory == nullptr) return;
    memory_.set_smoothing(training.smoothing);
    rule_.optimizer = training.optimizer;
    for (auto* number : {&rule_.rate, &rule_.momentum, &rule_.beta1, &rule_.beta2, &rule_.epsilon, &rule_.penalty})
      *number = T{0};
    rule_.keep = rule_.clip = rule_.epsilon = T{1};
  }
  Size bytes() const { return bytes_; }

  // Goes on for some steps. False once there is nothing left to do.
  bool work(Size steps) {
    for (Size i = 0; i < steps; ++i) {
      if (!fill()) return false;
      step();
    }
    return true;
  }

  // After an interruption: what the networks are now.
  void leave() {
    for (int l = 0; l < width; ++l)
      if (lanes_[l].busy()) take_out(l, Stopped::after_all_epochs);
  }

 private:
  bool fill() {
    bool any = false;
    for (int l = 0; l < width; ++l) {
      while (!lanes_[l].busy() && !exhausted_) {
        const Size number = queue_.next.fetch_add(1, std::memory_order_relaxed);
        if (number >= queue_.n)
          exhausted_ = true;
        else if (queue_.done[number])  // it suits lanes
          put_in(l, number);
      }
      any = any || lanes_[l].busy();
    }
    return any;
  }

  void put_in(int l, Size number) {
    Lane<T>& lane = lanes_[l];
    std::uint32_t* order = lane.order;
    T* best = lane.best;
    lane = {};
    lane.order = order, lane.best = best;
    lane.number = number;
    lane.member = queue_.members[number];
    const Training<T>& t = lane.training();
    const Samples<T>& samples = *lane.member.samples;
    lane.state = *t.state;
    lane.batch = std::min(t.batch_size, samples.n);
    lane.rates.emplace(t.rate, samples.n, ceil_div(samples.n, lane.batch));
    lane.weight = weight_of({lane.member.network, &samples, nullptr, 0, samples.n});
    memory_.load(l, lane.member);
    rule_.momentum.of[l] = static_cast<T>(t.momentum);
    rule_.beta1.of[l] = static_cast<T>(t.beta1);
    rule_.beta2.of[l] = static_cast<T>(t.beta2);
  }

  static double weight_of(const LaneSamples<T>& of) {
    if (of.samples->weights == nullptr) return static_cast<double>(of.count);
    double sum = 0;
    for (Size i = 0; i < of.count; ++i) sum += static_cast<double>(of.samples->weights[of.number(i)]);
    return sum;
  }

  void empty(int l) {
    memory_.clear(l, lanes_[l].member);
    lanes_[l].number = -1;
    rule_.rate.of[l] = rule_.momentum.of[l] = T{0};
    memory_.scales()[l] = T{0};
  }
  // Left to fit().
  void abandon(int l) {
    queue_.done[lanes_[l].number] = false;
    empty(l);
  }

  // Lanes with the same seed have one order: it is made once as long as they go together.
  const std::uint32_t* order_of(int l) {
    Lane<T>& lane = lanes_[l];
    if (!lane.training().shuffle) return nullptr;
    if (lane.ordered) return lane.order;
    for (int o = 0; o < width; ++o) {
      const Lane<T>& other = lanes_[o];
      if (o == l || !other.busy() || !other.ordered || !lane.same_order(other)) continue;
      if (lane.start == other.start && lane.count() == other.count()) return other.order;
      std::copy_n(other.order, lane.member.samples->n, lane.order);
      lane.ordered = true;
      return lane.order;
    }
    shuffle(lane.order, lane.member.samples->n, lane.training().seed, lane.epoch(), [] { return false; });
    lane.ordered = true;
    return lane.order;
  }

  void step() {
    LaneSamples<T> of[width];
    for (int l = 0; l < width; ++l) {
      Lane<T>& lane = lanes_[l];
      if (!lane.busy()) continue;
      of[l] = {lane.member.network, lane.member.samples, order_of(l), lane.start, lane.count()};
      const double weight = weight_of(of[l]);
      if (!(weight > 0)) {  // no step: nothing that the other lanes could share
        of[l] = {};
        abandon(l);
        continue;
      }
      memory_.scales()[l] = T{1} / static_cast<T>(weight);
      const double rate = lane.rates->at(lane.epoch(), lane.step, lane.state.rate_factor);
      const StepNumbers<T> numbers = starts_.at(lane.training(), rate, lane.state.steps);
      rule_.rate.of[l] = numbers.rate;
      rule_.epsilon.of[l] = lane.training().optimizer == Optimizer::adam ? numbers.epsilon : T{1};
      rule_.keep.of[l] = numbers.keep;
    }
    double losses[width] = {};
    memory_.run(of, true, losses);
    memory_.update(rule_);
    advance(losses);
  }

  void advance(const double* losses) {
    LaneBits ended = 0;
    for (int l = 0; l < width; ++l) {
      Lane<T>& lane = lanes_[l];
      if (!lane.busy()) continue;
      lane.sum += losses[l];
      lane.start += lane.batch;
      ++lane.step;
      ++lane.state.steps;
      if (lane.start >= lane.member.samples->n) ended |= LaneBits{1} << l;
    }
    if (ended != 0) end_epochs(ended);
  }

  void end_epochs(LaneBits ended) {
    LaneSamples<T> held_out[width];
    bool any = false;
    for (int l = 0; l < width; ++l) {
      if ((ended >> l & 1) == 0) continue;
      Lane<T>& lane = lanes_[l];
      lane.training().losses[lane.epochs] = lane.sum / lane.weight;
      if (const Validation<T>* validation = lane.training().validation) {
        held_out[l] = {lane.member.network, &validation->samples, nullptr, 0, validation->samples.n};
        any = true;
      }
    }
    double losses[width] = {};
    if (any) memory_.run(held_out, false, losses);
    for (int l = 0; l < width; ++l) {
      if ((ended >> l & 1) == 0) continue;
      if (held_out[l].samples != nullptr)
        lanes_[l].training().validation->losses[lanes_[l].epochs] = losses[l] / weight_of(held_out[l]);
      end_epoch(l);
    }
  }

  void end_epoch(int l) {
    Lane<T>& lane = lanes_[l];
    const Training<T>& t = lane.training();
    const Size done = lane.epochs;
    if (!std::isfinite(t.losses[done]) || (t.validation != nullptr && !std::isfinite(t.validation->losses[done])))
      return abandon(l);
    bool enough = false;
    if (t.stopping.monitor != Monitor::nothing) {
      const Verdict verdict = judge(t, done, lane.state);
      enough = verdict.enough;
      if (verdict.best && t.stopping.keep_best) {
        memory_.save(l, lane.member, lane.best);
        lane.best_steps = lane.state.steps;
        lane.best_epoch = done;
      }
    }
    ++lane.epochs;
    lane.sum = 0;
    lane.start = lane.step = 0;
    lane.ordered = false;
    if (enough || lane.epochs == t.epochs) take_out(l, enough ? Stopped::no_improvement : Stopped::after_all_epochs);
  }

  // Done; or left to fit() if a number of it is not finite.
  void take_out(int l, Stopped why) {
    Lane<T>& lane = lanes_[l];
    if (!memory_.finite(l, lane.member)) return abandon(l);
    const Training<T>& t = lane.training();
    if (lane.best_epoch >= 0) {
      memory_.restore(l, lane.member, lane.best);
      lane.state.steps = lane.best_steps;
    }
    memory_.store(l, lane.member);
    lane.state.epoch += lane.epochs;
    *t.state = lane.state;
    *t.finished = lane.epochs;
    *t.diverged = false;
    *t.best_epoch = lane.best_epoch;
    *t.stopped = why;
    empty(l);
  }

  Queue<T>& queue_;
  Divider divider_;
  LaneMemory<T> memory_;
  Size bytes_ = 0;
  Lane<T> lanes_[width];
  UpdateRule<T> rule_{};
  AdamStart<T> starts_;
  bool exhausted_ = false;
};

// Workers that threads take up and put down: a block of work is some steps of one of them.
template <class T>
class Workers {
 public:
  Workers(Queue<T>& queue, Size count)
      : count_(count), places_(new (std::nothrow) Place[static_cast<std::size_t>(count)]) {
    const Size bytes = Worker<T>(queue, nullptr).bytes();
    memory_ = AlignedBuffer<char>(checked_product(count, bytes));
    if (!*this) return;
    std::memset(memory_.data(), 0, static_cast<std::size_t>(count * bytes));
    for (Size i = 0; i < count; ++i) places_[i].worker.emplace(queue, memory_.data() + i * bytes);
  }
  explicit operator bool() const { return memory_ && places_ != nullptr; }

  bool any_left() const {
    for (Size i = 0; i < count_; ++i)
      if (!places_[i].finished) return true;
    return false;
  }
  // Some steps of whichever worker is free.
  void work(Size steps) {
    for (Size i = 0; i < count_; ++i) {
      Place& place = places_[i];
      if (place.taken.exchange(true, std::memory_order_acquire)) continue;
      const bool left = !place.finished;
      if (left) place.finished = !place.worker->work(steps);
      place.taken.store(false, std::memory_order_release);
      if (left) return;
    }
  }
  void leave() {
    for (Size i = 0; i < count_; ++i) places_[i].worker->leave();
  }

 private:
  struct Place {
    std::optional<Worker<T>> worker;
    std::atomic<bool> taken{false};
    bool finished = false;
  };
  Size count_;
  AlignedBuffer<char> memory_;
  std::unique_ptr<Place[]> places_;
};

template <class T>
double ns_per_step(const Network<T>& network, Size batch) {
  double products = 0;
  for (int l = 0; l < network.n_layers; ++l)
    products += static_cast<double>(network.sizes[l] + 4) * static_cast<double>(network.sizes[l + 1]);
  return products * static_cast<double>(batch);
}

constexpr std::int64_t most_in_order = std::int64_t{1} << 32;

// Whether lanes are for what this member asks for, beside `first`.
template <class T>
bool suits(const Member<T>& member, const Member<T>& first) {
  const Training<T>&t = *member.training, &t1 = *first.training;
  for (int l = 0; l < member.network->n_layers; ++l)
    if (member.network->activations[l] == Activation::own) return false;
  const auto labelled = [](const Samples<T>& samples) { return samples.labels != nullptr; };
  if ((t.validation == nullptr) != (t1.validation == nullptr)) return false;
  if (t.validation != nullptr &&
      (t.validation->score != Score::none || labelled(t.validation->samples) != labelled(t1.validation->samples)))
    return false;
  return member.samples->n <= most_in_order && labelled(*member.samples) == labelled(*first.samples) &&
         t.optimizer == t1.optimizer && t.smoothing == t1.smoothing && member.network->loss != Loss::own &&
         t.epochs > 0 && t.report == nullptr && t.dropout == nullptr && t.shifts.most == 0 && t.penalty == 0 &&
         !std::isfinite(t.clip_norm) && !std::isfinite(t.stopping.seconds);
}

// Of n networks, how many to train in lanes: those that fill lanes well enough to be faster than one after the other.
// Measured: that takes five of 2-8-2, eight of 4-16-3 and eleven of 8-32-4, and more lanes than there are beyond.
template <class T>
Size count_for_lanes(const Network<T>& network, Size n) {
  constexpr Size width = Worker<T>::width;
  Size weights = 0;
  for (int l = 0; l < network.n_layers; ++l) weights += (network.sizes[l] + 1) * network.sizes[l + 1];
  const Size fewest = 4 + weights / 50;
  if (fewest > width) return 0;
  return n % width < fewest ? n - n % width : n;
}

}  // namespace

template <class T>
Outcome fit_many(const Member<T>* members, Size n, bool* done) noexcept {
  std::fill_n(done, n, false);
  if (n > 0) n = count_for_lanes(*members[0].network, n);
  if (n == 0) return {};
  Queue<T> queue{members, n, 1, 1, done};
  double ns = 0;
  for (Size i = 0; i < n; ++i) {
    done[i] = suits(members[i], members[0]);
    if (!done[i]) continue;
    const Size samples = members[i].samples->n;
    queue.most_samples = std::max(queue.most_samples, samples);
    queue.most_batch = std::max(queue.most_batch, std::min(samples, members[i].training->batch_size));
    ns += ns_per_step(*members[i].network, samples) * static_cast<double>(members[i].training->epochs);
  }
  const Size groups = ceil_div(n, Worker<T>::width);
  const Size count = ns > threading_threshold_ns ? std::clamp<Size>(groups, 1, get_num_threads()) : 1;
  Workers<T> workers(queue, count);
  if (!workers) return {Outcome::Status::no_memory};
  constexpr double block_ns = 300'000;
  const Size steps = static_cast<Size>(
      std::clamp(block_ns / (ns_per_step(*members[0].network, queue.most_batch) * Worker<T>::width), 1.0, 4096.0));
  InterruptTimer timer;
  while (workers.any_left()) {
    bool quiet = true;
    if (count == 1)
      workers.work(steps);
    else
      quiet = parallel_blocks(16 * count, 1e9, [&](Size) { workers.work(steps); });
    if (quiet && !timer.interrupted()) continue;
    workers.leave();
    for (Size i = queue.next; i < n; ++i) done[i] = false;
    return {Outcome::Status::interrupted};
  }
  return {};
}

template Outcome fit_many<double>(const Member<double>*, Size, bool*) noexcept;
template Outcome fit_many<float>(const Member<float>*, Size, bool*) noexcept;

}  // namespace mmlfast::drivers
