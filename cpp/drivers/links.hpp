// A graph prepared for ranking: the links that arrive at each node, nodes renumbered, and the fixed blocks of rows that
// a sweep is divided into.
#pragma once

#include "kernels/links.hpp"
#include "runtime/aligned_buffer.hpp"
#include "runtime/outcome.hpp"

namespace mmlfast::drivers {

// What was wrong with a graph, and at which position of its arrays.
struct LinksFault {
  enum class Kind : std::uint8_t { none, starts, target, weight, changed };
  Kind kind = Kind::none;
  Size at = 0;
};

// What a graph consists of, to be written down and read back; arrays as Links gives them, blocks of n_blocks + 1 rows.
struct LinksState {
  Size n, n_core, n_links, n_blocks, n_core_blocks;
  const std::int64_t* starts;
  const Node* columns;
  const double* weights;  // nullptr where all are equal
  const Node* label;
  const double* inverse_strength;
  const Size* blocks;
};

// Nodes are renumbered. The first n_core are those that links leave; only they feed back into a ranking. Nothing
// changes after build(), so that any number of threads may rank with one object.
class Links {
 public:
  static constexpr std::int64_t most_nodes = std::int64_t{1} << 31;  // 2 n_core numbers must fit a Node
  static constexpr Size padding = 16;                                // columns that may be read, though they are none

  // n <= most_nodes; the arrays are not needed any more afterwards. On a fault nothing is usable.
  template <class Index>
  Outcome build(const LinksOut<Index>& out, LinksFault& fault) noexcept;

  // A copy of a state that any Links may have given; else `fault` names the part that none would have.
  Outcome restore(const LinksState& state, const char*& fault) noexcept;
  LinksState state() const noexcept {
    return {n_,
            n_core_,
            n_links_,
            n_blocks_,
            n_core_blocks_,
            starts_.data(),
            columns(),
            weight_.data(),
            label_.data(),
            inverse_strength_.data(),
            blocks_.data()};
  }

  Size n_nodes() const noexcept { return n_; }
  Size n_core() const noexcept { return n_core_; }
  Size n_links() const noexcept { return n_links_; }
  bool weighted() const noexcept { return static_cast<bool>(weight_); }
  bool has_zeros() const noexcept { return has_zeros_; }  // among the weights

  // Rows of block b: first_row(b) .. first_row(b + 1); no block has rows on both sides of n_core.
  Size n_blocks() const noexcept { return n_blocks_; }
  Size n_core_blocks() const noexcept { return n_core_blocks_; }
  Size first_row(Size block) const noexcept { return blocks_[block]; }

  const std::int64_t* starts() const noexcept { return starts_.data(); }
  const Node* columns() const noexcept { return column_.data(); }
  const double* weights() const noexcept { return weight_.data(); }
  // New number of each node, and 1 / (sum of the weights that leave it) by new number, for the core.
  const Node* label() const noexcept { return label_.data(); }
  const double* inverse_strength() const noexcept { return inverse_strength_.data(); }
  Size largest_row() const noexcept { return largest_row_; }

 private:
  template <class Index>
  friend class LinksBuilder;
  friend class ComponentsBuilder;

  Size n_ = 0, n_core_ = 0, n_links_ = 0, n_blocks_ = 0, n_core_blocks_ = 0, largest_row_ = 0;
  bool has_zeros_ = false;
  AlignedBuffer<std::int64_t> starts_;
  AlignedBuffer<Node> column_, label_;
  AlignedBuffer<double> weight_, inverse_strength_;
  AlignedBuffer<Size> blocks_;
};

}  // namespace mmlfast::drivers
