// Derivatives on their way: what each value gets from where, and from when on it counts.
//
// The strong zero. A contribution may carry a mask, the id of a condition (-1: none). Where the condition does not
// hold, the contribution is exactly 0, because something else was chosen there (select, maximum, minimum), and
// everything made of it is 0 again, whatever it would be multiplied by: inf and NaN of a branch that was not taken
// reach nothing.
#pragma once

#include <cstdint>
#include <vector>

#include "drivers/tape_graph.hpp"
#include "drivers/tape_rules.hpp"

namespace mmlfast::drivers {

// What goes where: t[i], 0 where masks[i] does not hold, times a derivative, to the value to[i].
struct TapeFlow {
  TapeIds to, t, masks;

  bool empty() const noexcept { return to.empty(); }
  void reserve(std::int32_t n) {
    for (TapeIds* ids : {&to, &t, &masks}) ids->reserve(static_cast<std::size_t>(n));
  }
  void push(TapeId target, TapeId id, TapeId mask) {
    to.push_back(target);
    t.push_back(id);
    masks.push_back(mask);
  }
};

class TapeContributions {
 public:
  explicit TapeContributions(TapeGraph& graph)
      : g_(graph), last_(static_cast<std::size_t>(graph.n_values()), -1), seen_(last_.size(), 0) {}

  bool has(TapeId to) const noexcept { return last_[static_cast<std::size_t>(to)] >= 0; }
  // `id`, which is 0 where `mask` does not hold.
  void add(TapeId to, TapeId id, TapeId mask);
  // ids[i] to flow.to[i], likewise.
  void add(const TapeFlow& flow, TapeView ids);
  // t[i] * factors[i]. Several to one value are a dot product.
  void add_products(const TapeFlow& flow, TapeView factors);
  // By operand k of some elements of an elementwise run other than select.
  void add_elementwise(const TapeFlow& flow, const TapeElements& elements, int k);

  // The sums of what the values first .. first + count - 1 have got, and their masks; -1 for those that got nothing.
  void collect(TapeId first, std::int32_t count, TapeIds& sums, TapeIds& masks);

  // ids where the masks hold, 0 elsewhere.
  TapeIds masked(TapeView ids, TapeView masks);
  // Both conditions, elementwise. -1 holds always.
  TapeIds both(TapeView masks, TapeView others);
  // One of them, for all.
  TapeId any(TapeView masks);

 private:
  struct Entry {
    TapeId id, mask;
    std::int32_t previous;
  };

  TapeIds sum_of(TapeView terms, std::size_t n);
  TapeId simplest(TapeIds& masks) const;
  bool complement(TapeId a, TapeId b) const;
  TapeIds any_of(TapeIds masks, std::size_t n);
  bool all_distinct(TapeView to);
  void add_dots(const TapeFlow& flow, TapeView factors);
  void add_chosen(const TapeFlow& flow, const TapeElements& elements, int k);

  TapeGraph& g_;
  std::vector<std::int32_t> last_;  // by value: its last entry, or -1
  std::vector<Entry> entries_;
  std::vector<std::uint32_t> seen_;
  std::uint32_t epoch_ = 0;
};

}  // namespace mmlfast::drivers
