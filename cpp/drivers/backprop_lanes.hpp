// The memory of networks in lanes, and passes over their samples. Part of drivers/backprop_many.
#pragma once

#include <algorithm>

#include "drivers/backprop_snapshot.hpp"
#include "drivers/backprop_workspace.hpp"

namespace mmlfast::drivers::backprop {

// Which samples a lane has in a pass: positions start .. start + count - 1 of an order, or of the samples as they are.
template <class T>
struct LaneSamples {
  const Network<T>* network = nullptr;
  const Samples<T>* samples = nullptr;
  const std::uint32_t* order = nullptr;  // half the memory: 16 of them leave the first cache
  Size start = 0, count = 0;

  Size number(Size i) const { return order == nullptr ? start + i : static_cast<Size>(order[start + i]); }
  bool plain() const { return samples->x != nullptr && samples->weights == nullptr && network->shift == nullptr; }
  bool same(const LaneSamples& o) const {
    return samples->x == o.samples->x && samples->y == o.samples->y && samples->labels == o.samples->labels &&
           order == o.order && start == o.start && count == o.count && plain() && o.plain();
  }
};

template <class T>
class LaneMemory {
 public:
  static constexpr Size lanes = items_per_group<T>;

  // Networks like this one, batches of up to `batch` samples. Without memory, only counts bytes.
  LaneMemory(const Network<T>& network, const Training<T>& training, Size batch, Divider& divider)
      : network_(network), layers_(divider.template take<DenseLayer<T>>(network.n_layers)) {
    const bool counts = layers_ == nullptr;
    Size row = 0;
    for (int l = 0; l < network.n_layers; ++l) row += 2 * network.sizes[l + 1];
    rows_ = std::clamp<Size>(tile_bytes / (row * vector_bytes) / 4 * 4, 4, block_rows);
    const Size kinds = 1 + (training.w_first != nullptr) + (training.w_second != nullptr);
    const T* below = nullptr;
    for (int l = 0; l < network.n_layers; ++l) {
      const DenseLayer<T> layer = lay_out(divider, l, training, batch > samples_per_chunk, below);
      below = layer.out;
      n_numbers_ += (network.sizes[l] + 1) * network.sizes[l + 1] * kinds;
      if (!counts) layers_[l] = layer;
    }
    inputs_ = divider.template take<T>(checked_product(block_rows, network.sizes[0] * lanes));
    targets_ = divider.template take<T>(checked_product(block_rows, n_out() * lanes));
    labels_ = divider.template take<std::int64_t>(block_rows * lanes);
    weights_ = divider.template take<T>(block_rows * lanes);
    row_ = divider.template take<T>(network.sizes[0]);
    scales_ = divider.template take<T>(lanes);
    chains_ = suits_narrow(network) ? lanes : 1;
    twice_ = divider.template take<T>(checked_product(n_out(), lanes * chains_));
    if (!counts) layers_[0].in = inputs_, layers_[0].in_row = network.sizes[0] * lanes;
  }

  Size n_numbers() const { return n_numbers_; }  // of one lane: weights and moments
  T* scales() { return scales_; }
  void set_smoothing(T smoothing) { smoothing_ = smoothing; }

  // visit(array of all lanes, numbers of one lane, what the member has: its w, b, first, second)
  template <class Visit>
  void each(const Member<T>& member, Visit&& visit) const {
    const Training<T>& t = *member.training;
    for (int l = 0; l < network_.n_layers; ++l) {
      const DenseLayer<T>& layer = layers_[l];
      const Size n = layer.n_out / lanes, size = layer.n_in * n;
      visit(layer.w, size, member.network->w[l]), visit(layer.b, n, member.network->b[l]);
      if (layer.first != nullptr) visit(layer.first, size, t.w_first[l]), visit(layer.b_first, n, t.b_first[l]);
      if (layer.second != nullptr) visit(layer.second, size, t.w_second[l]), visit(layer.b_second, n, t.b_second[l]);
    }
  }
  void load(int lane, const Member<T>& member) {
    each(member, [lane](T* all, Size n, const T* from) { put(all + lane, n, from); });
  }
  void store(int lane, const Member<T>& member) const {
    each(member, [lane](const T* all, Size n, T* to) { take(all + lane, n, to); });
  }
  void clear(int lane, const Member<T>& member) {
    each(member, [lane](T* all, Size n, const T*) {
      for (Size i = 0; i < n; ++i) all[i * lanes + lane] = T{0};
    });
  }
  bool finite(int lane, const Member<T>& member) const {
    bool good = true;
    each(member, [lane, &good](const T* all, Size n, const T*) {
      for (Size i = 0; i < n; ++i) good = good && all_finite(all + i * lanes + lane, 1);
    });
    return good;
  }
  // To and from n_numbers() numbers.
  void save(int lane, const Member<T>& member, T* to) const {
    each(member, [lane, &to](const T* all, Size n, const T*) { take(all + lane, n, to), to += n; });
  }
  void restore(int lane, const Member<T>& member, const T* from) {
    each(member, [lane, &from](T* all, Size n, const T*) { put(all + lane, n, from), from += n; });
  }

  // The samples of all lanes through the networks; adds their losses. A lane with fewer samples than others has zeros
  // of no weight at its end.
  void run(const LaneSamples<T>* of, bool backward, double* losses) {
    Size most = 0;
    for (int l = 0; l < lanes; ++l) most = std::max(most, of[l].count);
    const int leader = leader_of(of);
    for (Size start = 0; start < most; start += block_rows) {
      const Size rows = std::min(block_rows, most - start), end = start + rows;
      if (leader >= 0)
        gather_for_all(of[leader], start, rows);
      else if (have_one_table(of, end))
        gather_from_one_table(of, start, rows);
      else
        for (int l = 0; l < lanes; ++l) gather(of[l], l, start, rows);
      double sums[lanes] = {};
      std::fill_n(twice_, n_out() * lanes * chains_, T{0});
      const bool labelled = network_.loss == Loss::cross_entropy && has_labels_;
      const Targets<T> targets{labelled ? nullptr : targets_,
                               labelled ? labels_ : nullptr,
                               weights_,
                               T{0},
                               network_.loss_parameter,
                               smoothing_,
                               scales_,
                               sums,
                               twice_,
                               chains_};
      const bool last = end == most || end % samples_per_chunk == 0;
      kernel_.in_lanes(layers_, network_.n_layers, network_.loss, rows, rows_, targets,
                       {backward, start % samples_per_chunk == 0, last, start >= samples_per_chunk});
      add_losses(sums, losses);
    }
  }
  void update(const UpdateRule<T>& rule) {
    for (int l = 0; l < network_.n_layers; ++l) kernel_.update(layers_[l], 0, layers_[l].n_in, rule);
  }

 private:
  static constexpr Size tile_bytes = 24 * 1024, vector_bytes = 64;

  static void put(T* all, Size n, const T* from) {
    for (Size i = 0; i < n; ++i) all[i * lanes] = from[i];
  }
  static void take(const T* all, Size n, T* to) {
    for (Size i = 0; i < n; ++i) to[i] = all[i * lanes];
  }
  Size n_out() const { return network_.sizes[network_.n_layers]; }
  DenseLayer<T> lay_out(Divider& divider, int l, const Training<T>& training, bool chunks, const T* below) {
    DenseLayer<T> layer{};
    const auto take = [&](Size n) { return divider.template take<T>(checked_product(n, lanes)); };
    const bool from_logits = l + 1 == network_.n_layers &&
                             (network_.loss == Loss::cross_entropy || network_.loss == Loss::binary_cross_entropy);
    const Size n_in = network_.sizes[l], n = network_.sizes[l + 1], size = checked_product(n_in, n);
    layer.n_in = n_in;
    layer.n_out = layer.out_row = layer.w_row = n * lanes;
    layer.activation = from_logits ? Activation::identity : network_.activations[l];
    layer.parameter = network_.parameters[l];
    layer.in = below;
    layer.in_row = n_in * lanes;
    layer.w = take(size), layer.b = take(n);
    layer.gradient = take(size), layer.b_gradient = take(n);
    layer.chunk = chunks ? take(size) : layer.gradient;
    layer.b_chunk = take(4 * n);
    if (training.w_first != nullptr) layer.first = take(size), layer.b_first = take(n);
    if (training.w_second != nullptr) layer.second = take(size), layer.b_second = take(n);
    layer.out = take(checked_product(rows_, n)), layer.delta = take(checked_product(rows_, n));
    const Activation a = layer.activation;
    if (a == Activation::gelu || a == Activation::silu) layer.slope = take(checked_product(rows_, n));
    return layer;
  }

  // A lane whose samples all lanes with any have, or -1.
  static int leader_of(const LaneSamples<T>* of) {
    int leader = -1;
    for (int l = 0; l < lanes; ++l) {
      if (of[l].count == 0) continue;
      if (leader < 0) leader = l;
      if (!of[l].same(of[leader])) return -1;
    }
    return leader;
  }

  void gather_for_all(const LaneSamples<T>& of, Size first, Size rows) {
    const Size n_in = network_.sizes[0], n = n_out();
    const Samples<T>& samples = *of.samples;
    has_labels_ = samples.labels != nullptr;
    std::fill_n(weights_, rows * lanes, T{1});
    for (Size s = 0; s < rows; ++s) {
      const Size from = of.number(first + s);
      for (Size k = 0; k < n_in; ++k) std::fill_n(inputs_ + (s * n_in + k) * lanes, lanes, samples.x[from * n_in + k]);
      if (has_labels_)
        std::fill_n(labels_ + s * lanes, lanes, samples.labels[from]);
      else
        for (Size j = 0; j < n; ++j) std::fill_n(targets_ + (s * n + j) * lanes, lanes, samples.y[from * n + j]);
    }
  }

  // Whether all lanes take that many samples from the same arrays, each in its order.
  static bool have_one_table(const LaneSamples<T>* of, Size count) {
    for (int l = 0; l < lanes; ++l)
      if (of[l].count < count || of[l].order == nullptr || !of[l].plain() || of[l].samples->x != of[0].samples->x ||
          of[l].samples->y != of[0].samples->y || of[l].samples->labels != of[0].samples->labels)
        return false;
    return true;
  }
  // Vector by vector: what is written together is in one cache line.
  void gather_from_one_table(const LaneSamples<T>* of, Size first, Size rows) {
    const Size n_in = network_.sizes[0], n = n_out();
    const Samples<T>& samples = *of[0].samples;
    const std::uint32_t* order[lanes];
    for (int l = 0; l < lanes; ++l) order[l] = of[l].order + of[l].start + first;
    has_labels_ = samples.labels != nullptr;
    std::fill_n(weights_, rows * lanes, T{1});
    for (Size s = 0; s < rows; ++s) {
      Size from[lanes];
      for (int l = 0; l < lanes; ++l) from[l] = order[l][s];
      spread(samples.x, n_in, from, inputs_ + s * n_in * lanes);
      if (has_labels_)
        spread(samples.labels, 1, from, labels_ + s * lanes);
      else
        spread(samples.y, n, from, targets_ + s * n * lanes);
    }
  }
  template <class Number>
  static void spread(const Number* x, Size n, const Size* from, Number* to) {
    for (Size k = 0; k < n; ++k, to += lanes)
      for (int l = 0; l < lanes; ++l) to[l] = x[from[l] * n + k];
  }

  void gather(const LaneSamples<T>& of, int lane, Size first, Size rows) {
    const Size n_in = network_.sizes[0], n = n_out(), real = std::clamp<Size>(of.count - first, 0, rows);
    T *in = inputs_ + lane, *target = targets_ + lane, *weight = weights_ + lane;
    if (real > 0) {
      const Samples<T>& samples = *of.samples;
      has_labels_ = samples.labels != nullptr;
      if (of.plain()) {
        scatter(samples.x, n_in, of, first, real, in);
        for (Size s = 0; s < real; ++s) weight[s * lanes] = T{1};
        if (has_labels_)
          for (Size s = 0; s < real; ++s) labels_[s * lanes + lane] = samples.labels[of.number(first + s)];
        else
          scatter(samples.y, n, of, first, real, target);
      } else {
        for (Size s = 0; s < real; ++s) gather_one(of, lane, s, of.number(first + s));
      }
    }
    for (Size s = real; s < rows; ++s) gather_nothing(lane, s);
  }
  // Rows of n numbers into a lane.
  static void scatter(const T* x, Size n, const LaneSamples<T>& of, Size first, Size rows, T* to) {
    for (Size s = 0; s < rows; ++s, to += n * lanes) {
      const T* from = x + of.number(first + s) * n;
      Size k = 0;
      for (; k + 2 <= n; k += 2) {
        const T a = from[k], b = from[k + 1];
        to[k * lanes] = a, to[(k + 1) * lanes] = b;
      }
      if (k < n) to[k * lanes] = from[k];
    }
  }
  void gather_nothing(int lane, Size s) {
    const Size n_in = network_.sizes[0], n = n_out();
    T *in = inputs_ + s * n_in * lanes + lane, *target = targets_ + s * n * lanes + lane;
    weights_[s * lanes + lane] = T{0};
    labels_[s * lanes + lane] = 0;
    for (Size k = 0; k < n_in; ++k) in[k * lanes] = T{0};
    for (Size j = 0; j < n; ++j) target[j * lanes] = T{0};
  }
  // What stands in a sample of weight 0 does not matter.
  void gather_one(const LaneSamples<T>& of, int lane, Size s, Size from) {
    const Size n_in = network_.sizes[0], n = n_out();
    const Samples<T>& samples = *of.samples;
    const T weight = samples.weights == nullptr ? T{1} : samples.weights[from];
    if (weight == T{0}) return gather_nothing(lane, s);
    weights_[s * lanes + lane] = weight;
    put(inputs_ + s * n_in * lanes + lane, n_in, row_of(of, from));
    if (has_labels_)
      labels_[s * lanes + lane] = samples.labels[from];
    else
      put(targets_ + s * n * lanes + lane, n, samples.y + from * n);
  }
  // The inputs of a sample as the network takes them.
  const T* row_of(const LaneSamples<T>& of, Size from) {
    const Size n_in = network_.sizes[0];
    const Samples<T>& samples = *of.samples;
    if (samples.bytes != nullptr)
      kernel_.take_bytes(samples.bytes + from * n_in, n_in, of.network->shift, of.network->scale, row_);
    else if (of.network->shift != nullptr)
      kernel_.take_numbers(samples.x + from * n_in, n_in, of.network->shift, of.network->scale, row_);
    else
      return samples.x + from * n_in;
    return row_;
  }

  // In the order in which one network has them in lanes, samples of a narrow layer or outputs: columns, then lanes.
  void add_losses(const double* sums, double* losses) const {
    if (network_.loss == Loss::cross_entropy) {
      for (int l = 0; l < lanes; ++l) losses[l] += sums[l];
      return;
    }
    const Size n = n_out(), step = chains_ > 1 ? 1 : lanes;
    double sum[lanes] = {};
    for (Size c = 0; c < std::min(chains_ > 1 ? chains_ : n, lanes); ++c) {
      T column[lanes] = {};
      for (Size at = chains_ > 1 ? 0 : c; at < n; at += step) {
        const T* twice = twice_ + (at * chains_ + (chains_ > 1 ? c : 0)) * lanes;
        for (int l = 0; l < lanes; ++l) column[l] += twice[l];
      }
      for (int l = 0; l < lanes; ++l) sum[l] += static_cast<double>(column[l]);
    }
    for (int l = 0; l < lanes; ++l) losses[l] += sum[l] / 2;
  }

  const Backprop<T>& kernel_ = kernel_of<Backprop<T>>();
  const Network<T>& network_;
  DenseLayer<T>* layers_;
  Size rows_ = 0, n_numbers_ = 0, chains_ = 1;
  T smoothing_ = 0;
  bool has_labels_ = false;
  T *inputs_, *targets_, *weights_, *row_, *scales_, *twice_;
  std::int64_t* labels_;
};

}  // namespace mmlfast::drivers::backprop
