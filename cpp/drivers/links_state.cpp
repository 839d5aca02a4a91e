// What was written down of a graph, and whether it is something that a graph would have written.
#include <algorithm>
#include <cmath>

#include "drivers/links.hpp"

namespace mmlfast::drivers {
namespace {

template <class T>
bool copy(const T* from, Size count, AlignedBuffer<T>& to, Size padding = 0) {
  to = AlignedBuffer<T>(count + padding);
  if (!to) return false;
  std::copy_n(from, count, to.data());
  std::fill_n(to.data() + count, padding, T{});
  return true;
}

// Each of its stages names the part that is wrong, or gives nullptr.
class StateReader {
 public:
  explicit StateReader(const LinksState& state) : state_(state) {}

  // What has to be right before there can be a reader.
  static const char* sizes(const LinksState& s) {
    if (s.n < 1 || static_cast<std::int64_t>(s.n) > Links::most_nodes || s.n_core < 0 || s.n_core > s.n)
      return "numbers of nodes";
    if (s.n_blocks < 1 || s.n_core_blocks < 0 || s.n_core_blocks > s.n_blocks) return "numbers of blocks";
    return nullptr;
  }
  bool ready() const { return seen_ && leaving_ && count_; }

  const char* fault() const {
    if (const char* wrong = rows()) return wrong;
    if (const char* wrong = labels()) return wrong;
    if (const char* wrong = links()) return wrong;
    return strengths();
  }

 private:
  const char* rows() const {
    const LinksState& s = state_;
    if (s.starts[0] != 0 || s.starts[s.n] != s.n_links) return "starts";
    for (Size r = 0; r < s.n; ++r)
      if (s.starts[r + 1] < s.starts[r]) return "starts";
    if (s.blocks[0] != 0 || s.blocks[s.n_blocks] != s.n || s.blocks[s.n_core_blocks] != s.n_core) return "blocks";
    for (Size b = 0; b < s.n_blocks; ++b)
      if (s.blocks[b + 1] <= s.blocks[b]) return "blocks";
    return nullptr;
  }
  const char* labels() const {
    std::fill_n(seen_.data(), state_.n, std::uint8_t{0});
    for (Size i = 0; i < state_.n; ++i) {
      const Node k = state_.label[i];
      if (static_cast<Size>(k) >= state_.n || seen_[k] != 0) return "label";
      seen_[k] = 1;
    }
    return nullptr;
  }
  // Sources are those of the core; within its block a row reads what the sweep has just made of the rows before it.
  const char* links() const {
    const LinksState& s = state_;
    const Size n_core = s.n_core;
    std::fill_n(leaving_.data(), n_core, 0.0);
    std::fill_n(count_.data(), n_core, Size{0});
    for (Size b = 0; b < s.n_blocks; ++b)
      for (Size r = s.blocks[b]; r < s.blocks[b + 1]; ++r)
        for (Size e = s.starts[r]; e < s.starts[r + 1]; ++e) {
          const Size column = s.columns[e];
          if (column >= 2 * n_core) return "columns";
          const Size source = column < n_core ? column : column - n_core;
          const bool own = source < r && source >= s.blocks[b];
          if (r < n_core && own != (column >= n_core)) return "columns";
          const double weight = s.weights == nullptr ? 1 : s.weights[e];
          if (!(weight >= 0 && weight <= 2)) return "weights";
          leaving_[source] += weight;
          ++count_[source];
        }
    return nullptr;
  }
  const char* strengths() const {
    const LinksState& s = state_;
    for (Size r = 0; r < s.n; ++r) {
      const double given = s.inverse_strength[r];
      if (r >= s.n_core) {
        if (given != 0) return "inverse_strength";
        continue;
      }
      const double count = static_cast<double>(count_[r]);
      if (count == 0) return "columns";
      if (given != (s.weights == nullptr ? 1 / count : 1)) return "inverse_strength";
      if (s.weights != nullptr && std::fabs(leaving_[r] - 1) > (count + 8) * 0x1p-52) return "weights";
    }
    return nullptr;
  }

  const LinksState& state_;
  const AlignedBuffer<std::uint8_t> seen_{state_.n};
  const AlignedBuffer<double> leaving_{state_.n_core};
  const AlignedBuffer<Size> count_{state_.n_core};
};

}  // namespace

Outcome Links::restore(const LinksState& state, const char*& fault) noexcept {
  fault = StateReader::sizes(state);
  if (fault != nullptr) return {};
  {
    const StateReader reader(state);
    if (!reader.ready()) return {Outcome::Status::no_memory};
    fault = reader.fault();
    if (fault != nullptr) return {};
  }
  n_ = state.n;
  n_core_ = state.n_core;
  n_links_ = state.n_links;
  n_blocks_ = state.n_blocks;
  n_core_blocks_ = state.n_core_blocks;
  has_zeros_ = false;
  largest_row_ = 0;
  for (Size r = 0; r < n_; ++r) largest_row_ = std::max<Size>(largest_row_, state.starts[r + 1] - state.starts[r]);
  const bool copied = copy(state.starts, n_ + 1, starts_) && copy(state.columns, n_links_, column_, padding) &&
                      copy(state.label, n_, label_) && copy(state.inverse_strength, n_, inverse_strength_) &&
                      copy(state.blocks, n_blocks_ + 1, blocks_) &&
                      (state.weights == nullptr || copy(state.weights, n_links_, weight_));
  return {copied ? Outcome::Status::ok : Outcome::Status::no_memory};
}

}  // namespace mmlfast::drivers
