#include <algorithm>
#include <bit>
#include <cmath>
#include <unordered_map>

#include "drivers/tape_listing.hpp"

namespace mmlfast::drivers {
namespace {

using Run = TapeListing::Run;

class Fuser {
 public:
  explicit Fuser(TapeListing& listing) : listing_(listing), run_of_(listing.run_of_values()) {
    uses_.resize(at(listing.n_values), 0);
    for (const Run& run : listing.runs)
      for (int k = 0; k < 3; ++k)
        for (TapeId id : listing.operand(run, k)) ++uses_[at(id)];
    for (TapeId id : listing.outputs) uses_[at(id)] += 2;  // there it stays, whoever else takes it
  }

  void run() {
    find_opposites();
    for (Run& run : listing_.runs) {
      if (run.is(TapeOp::add) || run.is(TapeOp::subtract)) {
        without_negatives(run);
        with_product(run);
      } else if (run.is(TapeOp::sum)) {
        as_inner_product(run);
      }
    }
  }

 private:
  const Run& run_of(TapeId id) const { return listing_.runs[at(run_of_[at(id)])]; }
  static bool is_product(const Run& run) { return run.is(TapeOp::multiply) || run.is(TapeFused::square); }

  template <class Is>
  bool all_of(const Run& run, int k, Is&& is) const {
    const TapeView ids = listing_.operand(run, k);
    return std::all_of(ids.begin(), ids.end(), [&](TapeId id) { return is(run_of(id), id); });
  }

  TapeIds ids_of(const Run& run, int k) const {
    const TapeView ids = listing_.operand(run, k);
    return {ids.begin(), ids.end()};
  }

  // Factor k of each of these products, or operand 0 of whatever has only one.
  TapeIds factors(const Run& run, int k, int factor) const {
    TapeIds result;
    result.reserve(at(run.size[k]));
    for (TapeId id : listing_.operand(run, k)) {
      const Run& product = run_of(id);
      result.push_back(listing_.operand(product, product.size[factor] > 0 ? factor : 0)[at(id - product.first)]);
    }
    return result;
  }
  // Other operands, `ids` in their order. All of the new ones have their use before an old one loses its own: what is
  // both stays in use throughout, and so do its operands.
  void replace(Run& run, const TapeIds* ids, int count) {
    for (int k = 0; k < count; ++k)
      for (TapeId id : ids[k]) ++uses_[at(id)];
    for (int k = 0; k < count; ++k) {
      for (TapeId id : listing_.operand(run, k)) release(id);
      listing_.set_operand(run, k, ids[k]);
    }
  }

  // One use less; of what is used no more, the operands have one use less in turn.
  void release(TapeId id) {
    waiting_.assign(1, id);
    while (!waiting_.empty()) {
      const TapeId next = waiting_.back();
      waiting_.pop_back();
      const Run& run = run_of(next);
      if (--uses_[at(next)] != 0 || !run.is_elementwise()) continue;
      for (int k = 0; k < 3 && run.size[k] > 0; ++k) waiting_.push_back(listing_.operand(run, k)[at(next - run.first)]);
    }
  }

  // a + -b and -b + a are a - b; a - -b is a + b.
  void without_negatives(Run& run) {
    const auto is_negative = [](const Run& other, TapeId) { return other.is(TapeOp::negative); };
    if (all_of(run, 1, is_negative)) {
      const TapeIds operands[] = {ids_of(run, 0), factors(run, 1, 0)};
      replace(run, operands, 2);
      run.code = tape_code(run.is(TapeOp::add) ? TapeOp::subtract : TapeOp::add);
    } else if (run.is(TapeOp::add) && all_of(run, 0, is_negative)) {
      const TapeIds operands[] = {ids_of(run, 1), factors(run, 0, 0)};
      replace(run, operands, 2);
      run.code = tape_code(TapeOp::subtract);
    }
  }

  // Of a product with a constant: which, and of what. False if it is none.
  struct Scaled {
    double constant;
    TapeId id;
  };
  bool is_scaled(TapeId id, Scaled& scaled) const {
    const Run& product = run_of(id);
    for (int k = 0; k < 2 && product.is(TapeOp::multiply); ++k) {
      const TapeId factor = listing_.operand(product, k)[at(id - product.first)];
      const Run& run = run_of(factor);
      if (!run.is(TapeOp::constant)) continue;
      scaled = {listing_.constants[at(run.aux + (factor - run.first))],
                listing_.operand(product, 1 - k)[at(id - product.first)]};
      return true;
    }
    return false;
  }

  // a and -a: where -a is, the id of a, which comes before it.
  void find_opposites() {
    struct Key {
      std::uint64_t constant;
      TapeId id;
      bool operator==(const Key&) const = default;
    };
    struct Hash {
      std::size_t operator()(const Key& key) const noexcept {
        return static_cast<std::size_t>((key.constant ^ static_cast<std::uint32_t>(key.id)) * 0x9E3779B97F4A7C15u);
      }
    };
    std::unordered_map<Key, TapeId, Hash> known;
    opposite_.assign(at(listing_.n_values), -1);
    for (const Run& run : listing_.runs) {
      if (!run.is(TapeOp::negative) && !run.is(TapeOp::multiply)) continue;
      for (TapeId id = run.first; id < run.first + run.count; ++id) {
        Scaled scaled{};
        if (run.is(TapeOp::negative)) opposite_[at(id)] = listing_.operand(run, 0)[at(id - run.first)];
        if (!is_scaled(id, scaled)) continue;
        known.emplace(Key{std::bit_cast<std::uint64_t>(scaled.constant), scaled.id}, id);
        const auto other = known.find({std::bit_cast<std::uint64_t>(-scaled.constant), scaled.id});
        if (other != known.end()) opposite_[at(id)] = other->second;
      }
    }
  }

  // Is this product exact, one of its factors being a power of two?
  bool is_exact(TapeId id) const {
    Scaled scaled{};
    int exponent;
    return is_scaled(id, scaled) && std::fabs(std::frexp(scaled.constant, &exponent)) == 0.5;
  }

  // a b + c, and c - a b where c is no product or a b is exact: the difference of two products that are equal stays
  // zero. What depends on no point is computed once, not again for each.
  void with_product(Run& run) {
    const auto only_here = [&](const Run& other, TapeId id) {
      return is_product(other) && uses_[at(id)] == 1 && other.fixed == run.fixed;
    };
    const auto has_no_product = [](const Run& other, TapeId) {
      return !is_product(other) && !other.is(TapeOp::integer_power) && !other.is(TapeOp::dot) &&
             !other.is(TapeOp::multiply_add);
    };
    bool subtracts = run.is(TapeOp::subtract);
    const bool second = all_of(run, 1, only_here), first = !subtracts && all_of(run, 0, only_here);
    if (!first && !second) return;
    const int k = first && !(second && has_opposite_factor(run, 1)) ? 0 : 1;
    const auto exact = [&](const Run&, TapeId id) { return is_exact(id); };
    if (subtracts && !all_of(run, 0, has_no_product) && !all_of(run, 1, exact)) return;
    TapeIds operands[] = {factors(run, k, 0), factors(run, k, 1), ids_of(run, 1 - k)};
    for (int factor = 0; factor < 2; ++factor) subtracts = subtracts != take_negatives(operands[factor]);
    replace(run, operands, 3);
    run.code = subtracts ? tape_code(TapeFused::subtract_product) : tape_code(TapeOp::multiply_add);
    run.aux = 0;
  }

  bool has_opposite_factor(const Run& run, int k) const {
    TapeIds a = factors(run, k, 0), b = factors(run, k, 1);
    return take_negatives(a) || take_negatives(b);
  }

  // Are all of these -a, with a at hand? Then they become a.
  bool take_negatives(TapeIds& ids) const {
    if (!std::all_of(ids.begin(), ids.end(), [&](TapeId id) { return opposite_[at(id)] >= 0; })) return false;
    for (TapeId& id : ids) id = opposite_[at(id)];
    return true;
  }

  void as_inner_product(Run& run) {
    const auto only_here = [&](const Run& other, TapeId id) {
      return is_product(other) && uses_[at(id)] == 1 && other.fixed == run.fixed;
    };
    if (!all_of(run, 0, only_here)) return;
    const TapeIds operands[] = {factors(run, 0, 0), factors(run, 0, 1)};
    replace(run, operands, 2);
    run.code = tape_code(TapeOp::dot);
  }

  TapeListing& listing_;
  std::vector<std::int32_t> run_of_, uses_;
  TapeIds opposite_, waiting_;
};

}  // namespace

void tape_fuse(TapeListing& listing) { Fuser(listing).run(); }

}  // namespace mmlfast::drivers
