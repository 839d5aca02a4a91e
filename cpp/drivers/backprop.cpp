#include "drivers/backprop.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>
#include <new>

#include "runtime/interrupt.hpp"
#include "runtime/team.hpp"

namespace mmlfast::drivers {
namespace {

template <class T>
const Backprop<T>& kernel() {
  if constexpr (sizeof(T) == 8)
    return backprop_f64();
  else
    return backprop_f32();
}

// Weights up to here (2 MB of them) are updated by the block that made their gradient; a larger network has a phase of
// its own for the update, which is short, so that Ctrl-C may drop an unfinished step.
constexpr Size fused_update_limit = Size{1} << 18;
// Samples and rows of weights in a block of work. Only the loss depends on the first: partial sums of that many.
constexpr Size block_rows = 32, block_weights = 64;
// forward() and loss() keep nothing of a chunk, so theirs can be longer than samples_per_chunk.
constexpr Size long_chunk = 1024;

template <class T>
constexpr Size lane_count = 64 / static_cast<Size>(sizeof(T));

template <class T>
Size padded(Size n) {
  return (n + lane_count<T> - 1) / lane_count<T> * lane_count<T>;
}

// Whole vectors; an odd number of them where a power of two would crowd the rows into few sets of the cache.
template <class T>
Size row_stride(Size n) {
  const Size vectors = padded<T>(n) / lane_count<T>;
  return (vectors >= 4 && vectors % 2 == 0 ? vectors + 1 : vectors) * lane_count<T>;
}

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

// Divides one piece of memory; with no memory given, only counts.
class Arena {
 public:
  explicit Arena(void* memory) : memory_(static_cast<char*>(memory)) {}
  template <class U>
  U* take(Size rows, Size cols = 1) {
    const Size bytes = checked_product(checked_product(rows, cols), static_cast<Size>(sizeof(U)));
    if (bytes < 0 || used_ < 0 || bytes > (Size{1} << 60) || used_ > (Size{1} << 60)) {
      used_ = -1;
      return nullptr;
    }
    U* r = memory_ == nullptr ? nullptr : reinterpret_cast<U*>(memory_ + used_);
    used_ += (bytes + 63) / 64 * 64;
    return r;
  }
  Size used() const { return used_; }

 private:
  char* memory_;
  Size used_ = 0;
};

enum class Purpose { values, gradients, training };

// The network with padded rows, and room for what a chunk of samples makes of it.
template <class T>
class Workspace {
 public:
  Workspace(const Network<T>& network, const Samples<T>& samples, Purpose purpose, Size chunk, bool gather)
      : network_(network), samples_(samples), chunk_(std::min(chunk, padded<T>(samples.n))), gather_(gather) {
    const int n = network.n_layers;
    layers_.reset(new (std::nothrow) DenseLayer<T>[static_cast<std::size_t>(n)]);
    if (layers_ == nullptr) return;
    Arena counted(nullptr);
    lay_out(counted, purpose);
    if (counted.used() < 0) return;
    const auto bytes = static_cast<std::size_t>(counted.used());
    memory_.reset(static_cast<char*>(::operator new(bytes, std::align_val_t{64}, std::nothrow)));
    if (memory_ == nullptr) return;
    std::memset(memory_.get(), 0, bytes);
    Arena arena(memory_.get());
    lay_out(arena, purpose);
    load_weights();
    ready_ = true;
  }
  bool ready() const { return ready_; }
  Size chunk() const { return chunk_; }
  DenseLayer<T>* layers() { return layers_.get(); }
  const DenseLayer<T>& last() const { return layers_[network_.n_layers - 1]; }
  Size* order() { return order_; }
  double* partial_losses() { return partial_; }
  Size n_weights() const { return n_weights_; }

  // The chunk of samples that the next calls are about: positions start .. of the order.
  void aim(Size start) {
    start_ = start;
    if (!gather_) layers_[0].in = samples_.x + start * network_.sizes[0];
  }

  // Copies the inputs and targets of samples first .. first + count - 1 of the chunk to where the kernel wants them.
  void gather(Size first, Size count) {
    const Size n_in = network_.sizes[0], n_out = last().n_out;
    for (Size s = first; s < first + count; ++s) {
      const Size from = order_ == nullptr ? start_ + s : order_[start_ + s];
      if (gather_) copy(samples_.x + from * n_in, n_in, inputs_ + s * layers_[0].in_row);
      if (samples_.y != nullptr) copy(samples_.y + from * n_out, n_out, targets_ + s * last().out_row);
      if (samples_.labels != nullptr) labels_[s] = samples_.labels[from];
    }
  }

  double forward_and_output(Size first, Size count, T scale) {
    gather(first, count);
    kernel<T>().forward(layers(), network_.n_layers, first, count);
    return kernel<T>().output(last(), first, count, {targets_, labels_}, scale);
  }

  void store_weights() const {
    for (int l = 0; l < network_.n_layers; ++l) {
      const DenseLayer<T>& layer = layers_[l];
      unpad(layer.w, layer, network_.w[l]);
      std::copy_n(layer.b, layer.n_out, network_.b[l]);
    }
  }
  static void unpad(const T* rows, const DenseLayer<T>& layer, T* to) {
    for (Size i = 0; i < layer.n_in; ++i) std::copy_n(rows + i * layer.w_row, layer.n_out, to + i * layer.n_out);
  }

 private:
  static void copy(const T* from, Size n, T* to) {
    if (n > 16) {
      std::memcpy(to, from, static_cast<std::size_t>(n) * sizeof(T));
    } else {
      for (Size i = 0; i < n; ++i) to[i] = from[i];
    }
  }

  void lay_out(Arena& arena, Purpose purpose) {
    const bool backward = purpose != Purpose::values, training = purpose == Purpose::training;
    n_weights_ = 0;
    for (int l = 0; l < network_.n_layers; ++l) {
      const Size n_in = network_.sizes[l], n_out = network_.sizes[l + 1];
      const Size rows = padded<T>(n_in), w_row = row_stride<T>(n_out);
      DenseLayer<T>& layer = layers_[l];
      layer = {};
      layer.n_in = n_in;
      layer.n_out = n_out;
      layer.activation = network_.activations[l];
      layer.w_row = w_row;
      layer.w = arena.template take<T>(rows, w_row);
      layer.b = arena.template take<T>(w_row);
      layer.wt_row = row_stride<T>(n_in);
      if (backward && l > 0) layer.wt = arena.template take<T>(padded<T>(n_out), layer.wt_row);
      if (backward) layer.gradient = arena.template take<T>(rows, w_row);
      if (backward) layer.b_gradient = arena.template take<T>(w_row);
      if (training) layer.velocity = arena.template take<T>(rows, w_row);
      if (training) layer.b_velocity = arena.template take<T>(w_row);
      layer.out_row = row_stride<T>(n_out);
      layer.out = arena.template take<T>(chunk_, layer.out_row);
      layer.delta = arena.template take<T>(chunk_, layer.out_row);
      if (l > 0) layer.in = layers_[l - 1].out, layer.in_row = layers_[l - 1].out_row;
      n_weights_ += rows * w_row;
    }
    layers_[0].in_row = gather_ ? row_stride<T>(network_.sizes[0]) : network_.sizes[0];
    if (gather_) layers_[0].in = inputs_ = arena.template take<T>(chunk_, layers_[0].in_row);
    if (samples_.y != nullptr) targets_ = arena.template take<T>(chunk_, last().out_row);
    labels_ = arena.template take<std::int64_t>(chunk_);
    partial_ = arena.template take<double>(chunk_ / block_rows + 1);
    if (gather_) order_ = arena.template take<Size>(samples_.n);
  }

  void load_weights() {
    for (int l = 0; l < network_.n_layers; ++l) {
      const DenseLayer<T>& layer = layers_[l];
      for (Size i = 0; i < layer.n_in; ++i)
        std::copy_n(network_.w[l] + i * layer.n_out, layer.n_out, layer.w + i * layer.w_row);
      std::copy_n(network_.b[l], layer.n_out, layer.b);
      kernel<T>().transpose(layer, 0, layer.n_in);
    }
  }

  const Network<T>& network_;
  const Samples<T>& samples_;
  std::unique_ptr<DenseLayer<T>[]> layers_;
  // Not of Scratch: a signal handler or a report in the middle of a long training may call other functions.
  struct Free {
    void operator()(char* memory) const { ::operator delete(memory, std::align_val_t{64}); }
  };
  std::unique_ptr<char, Free> memory_;
  Size chunk_, start_ = 0, n_weights_ = 0;
  bool gather_, ready_ = false;
  T *inputs_ = nullptr, *targets_ = nullptr;
  std::int64_t* labels_ = nullptr;
  double* partial_ = nullptr;
  Size* order_ = nullptr;
};

template <class T>
double ns_per_sample(const Network<T>& network, double passes) {
  double weights = 0;
  for (int l = 0; l < network.n_layers; ++l) {
    weights += static_cast<double>(network.sizes[l] + 16) * static_cast<double>(padded<T>(network.sizes[l + 1]));
  }
  return weights * passes * static_cast<double>(sizeof(T)) / 8 / 25;
}

Size blocks_of(Size n, Size block) { return (n + block - 1) / block; }

// One pass of forward, output and backward over a mini-batch, chunk by chunk, in phases shared by the team.
template <class T>
class Passes {
 public:
  Passes(const Network<T>& network, Workspace<T>& workspace, Team& team, InterruptTimer& timer)
      : network_(network), work_(workspace), team_(team), timer_(timer) {}

  bool stopped() const { return stop_.load(std::memory_order_relaxed); }

  // The sum of the losses of the chunk's samples. With backward: delta of every layer, scaled.
  double run_samples(Size count, T scale, bool backward) {
    const Size n_blocks = blocks_of(count, block_rows);
    double* partial = work_.partial_losses();
    team_.run(
        n_blocks,
        [&, partial](Size block) {
          if (stopped()) return;
          const Size first = block * block_rows, rows = std::min(block_rows, count - first);
          partial[block] = work_.forward_and_output(first, rows, scale);
          if (backward) kernel<T>().backward(work_.layers(), network_.n_layers, first, rows);
        },
        [&] { ask(); });
    double sum = 0;
    for (Size block = 0; block < n_blocks; ++block) sum += partial[block];
    return sum;
  }

  // body(layer, begin, end) over blocks of rows of all weights.
  template <class Body>
  void run_weights(bool may_stop, Body&& body) {
    Size n_blocks = 0;
    for (int l = 0; l < network_.n_layers; ++l) n_blocks += blocks_of(network_.sizes[l], block_weights);
    team_.run(
        n_blocks,
        [&](Size block) {
          if (may_stop && stopped()) return;
          int l = 0;
          for (Size n; block >= (n = blocks_of(network_.sizes[l], block_weights)); ++l) block -= n;
          const Size begin = block * block_weights;
          body(work_.layers()[l], begin, std::min(begin + block_weights, network_.sizes[l]));
        },
        [&] {
          if (may_stop) ask();
        });
  }

  // One step of gradient descent on positions start .. start + count - 1, all of it or, if stopped(), nothing of it.
  double step(Size start, Size count, T rate, T momentum) {
    const T scale = T{1} / static_cast<T>(count);
    const bool fused = work_.n_weights() <= fused_update_limit;
    double sum = 0;
    for (Size done = 0; done < count; done += samples_per_chunk) {
      const Size n = std::min<Size>(samples_per_chunk, count - done);
      work_.aim(start + done);
      sum += run_samples(n, scale, true);
      if (stopped()) return 0;
      const bool update_too = fused && done + n == count;
      run_weights(!update_too, [&](const DenseLayer<T>& layer, Size begin, Size end) {
        kernel<T>().gradient(layer, begin, end, n, done > 0);
        if (update_too) kernel<T>().update(layer, begin, end, rate, momentum);
      });
      if (stopped()) return 0;
    }
    if (!fused) {
      run_weights(false, [&](const DenseLayer<T>& layer, Size begin, Size end) {
        kernel<T>().update(layer, begin, end, rate, momentum);
      });
    }
    return sum;
  }

  // Between steps; a clock reading each time would show in the smallest networks.
  void ask_now_and_then(Size work) {
    since_asked_ += work;
    if (since_asked_ < 100'000) return;
    since_asked_ = 0;
    ask();
  }

  bool ask() {
    if (timer_.interrupted()) stop_.store(true, std::memory_order_relaxed);
    return stopped();
  }

 private:
  const Network<T>& network_;
  Workspace<T>& work_;
  Team& team_;
  InterruptTimer& timer_;
  std::atomic<bool> stop_{false};
  Size since_asked_ = 0;
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
      workspace.aim(start);
      body(start, count, team, passes);
      passes.ask();
    }
    finished = !passes.stopped();
  });
  return outcome_of(finished);
}

}  // namespace

template <class T>
Outcome forward(const Network<T>& network, const Samples<T>& samples, T* out) noexcept {
  Workspace<T> workspace(network, samples, Purpose::values, long_chunk, false);
  if (!workspace.ready()) return {Outcome::Status::no_memory};
  const DenseLayer<T>& last = workspace.last();
  return each_chunk(network, samples, workspace, 1, [&](Size start, Size count, Team& team, Passes<T>& passes) {
    team.run(
        blocks_of(count, block_rows),
        [&](Size block) {
          if (passes.stopped()) return;
          const Size first = block * block_rows, rows = std::min(block_rows, count - first);
          kernel<T>().forward(workspace.layers(), network.n_layers, first, rows);
          if (last.activation == Activation::softmax) kernel<T>().softmax(last, first, rows);
          for (Size s = first; s < first + rows; ++s)
            std::copy_n(last.out + s * last.out_row, last.n_out, out + (start + s) * last.n_out);
        },
        [&] { passes.ask(); });
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
  Workspace<T> workspace(network, samples, Purpose::gradients, samples_per_chunk, false);
  if (!workspace.ready()) return {Outcome::Status::no_memory};
  const T scale = T{1} / static_cast<T>(samples.n);
  const Outcome outcome =
      each_chunk(network, samples, workspace, 3, [&](Size start, Size count, Team&, Passes<T>& passes) {
        passes.run_samples(count, scale, true);
        passes.run_weights(true, [&](const DenseLayer<T>& layer, Size begin, Size end) {
          kernel<T>().gradient(layer, begin, end, count, start > 0);
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

template <class T>
Outcome fit(const Network<T>& network, const Samples<T>& samples, const Training<T>& training) noexcept {
  const Size batch = std::min(training.batch_size, samples.n);
  Workspace<T> workspace(network, samples, Purpose::training, std::min<Size>(samples_per_chunk, padded<T>(batch)),
                         training.shuffle);
  if (!workspace.ready()) return {Outcome::Status::no_memory};
  bool finished = true;
  const double step_ns = ns_per_sample(network, 3) * static_cast<double>(batch);
  const auto work = static_cast<Size>(std::min(step_ns, 1e6)) + 500;
  const bool quiet = with_team(step_ns > threading_threshold_ns / 2, [&](Team& team) {
    InterruptTimer timer;
    Passes<T> passes(network, workspace, team, timer);
    for (Size epoch = 0; epoch < training.epochs && finished; ++epoch) {
      if (training.shuffle)
        finished = shuffle(workspace.order(), samples.n, training.seed, epoch, [&] { return passes.ask(); });
      double sum = 0;
      for (Size start = 0; start < samples.n && finished; start += batch) {
        sum += passes.step(start, std::min(batch, samples.n - start), training.learning_rate, training.momentum);
        passes.ask_now_and_then(work);
        finished = !passes.stopped();
      }
      training.losses[epoch] = sum / static_cast<double>(samples.n);
      if (finished && training.report != nullptr)
        finished = training.report(training.report_context, epoch, training.losses[epoch]);
    }
  });
  workspace.store_weights();
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
