#include "drivers/tape_contributions.hpp"

#include <algorithm>
#include <map>
#include <utility>

namespace mmlfast::drivers {
namespace {

constexpr TapeId always = -1;

// ids[j], ids[n + j], ...
TapeIds every(TapeView ids, std::size_t n, std::size_t j) {
  TapeIds result;
  result.reserve(ids.size() / n + 1);
  for (std::size_t i = j; i < ids.size(); i += n) result.push_back(ids[i]);
  return result;
}

bool none_masked(TapeView masks) {
  return std::all_of(masks.begin(), masks.end(), [](TapeId mask) { return mask == always; });
}

}  // namespace

void TapeContributions::add(TapeId to, TapeId id, TapeId mask) {
  if (g_.is_constant(id, 0)) return;
  std::int32_t& last = last_[static_cast<std::size_t>(to)];
  entries_.push_back({id, mask, last});
  last = static_cast<std::int32_t>(entries_.size() - 1);
}

void TapeContributions::add(const TapeFlow& flow, TapeView ids) {
  for (std::size_t i = 0; i < ids.size(); ++i) add(flow.to[i], ids[i], flow.masks[i]);
}

// ---- products ----

bool TapeContributions::all_distinct(TapeView to) {
  ++epoch_;
  for (TapeId id : to) {
    std::uint32_t& seen = seen_[static_cast<std::size_t>(id)];
    if (seen == epoch_) return false;
    seen = epoch_;
  }
  return true;
}

void TapeContributions::add_products(const TapeFlow& flow, TapeView factors) {
  const auto is_zero = [&](TapeId id) { return g_.is_constant(id, 0); };
  if (flow.empty()) return;
  if (std::any_of(factors.begin(), factors.end(), is_zero)) {
    TapeFlow some;
    TapeIds others;
    for (std::size_t i = 0; i < factors.size(); ++i) {
      if (is_zero(factors[i])) continue;
      some.push(flow.to[i], flow.t[i], flow.masks[i]);
      others.push_back(factors[i]);
    }
    return add_products(some, others);
  }
  if (none_masked(flow.masks) && !all_distinct(flow.to)) return add_dots(flow, factors);
  const auto count = static_cast<std::int32_t>(flow.to.size());
  add(flow, masked(g_.emit(TapeOp::multiply, flow.t, factors, {}, 0, count), flow.masks));
}

// Those to one value next to each other, and values that get equally many together.
void TapeContributions::add_dots(const TapeFlow& flow, TapeView factors) {
  const TapeIds &to = flow.to, &t = flow.t;
  std::vector<std::size_t> order(to.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(),
            [&](std::size_t i, std::size_t j) { return std::pair(to[i], i) < std::pair(to[j], j); });
  struct Group {
    TapeIds to, t, factors;
  };
  std::map<std::size_t, Group> by_size;
  for (std::size_t from = 0, end = 0; from < order.size(); from = end) {
    while (end < order.size() && to[order[end]] == to[order[from]]) ++end;
    Group& group = by_size[end - from];
    group.to.push_back(to[order[from]]);
    for (std::size_t i = from; i < end; ++i) {
      group.t.push_back(t[order[i]]);
      group.factors.push_back(factors[order[i]]);
    }
  }
  for (const auto& [size, group] : by_size) {
    const TapeIds dots = g_.emit(TapeOp::dot, group.t, group.factors, {}, static_cast<std::int32_t>(size),
                                 static_cast<std::int32_t>(group.to.size()));
    for (std::size_t i = 0; i < dots.size(); ++i) add(group.to[i], dots[i], always);
  }
}

// ---- elementwise operations ----

void TapeContributions::add_elementwise(const TapeFlow& flow, const TapeElements& elements, int k) {
  switch (elements.op) {
    case TapeOp::multiply:
      return add_products(flow, elements.operands[1 - k]);
    case TapeOp::maximum:
    case TapeOp::minimum:
      return add_chosen(flow, elements, k);
    default: {
      bool plain = false;
      const TapeIds ids = tape_rule(g_, elements, k, flow.t, plain);
      add(flow, plain ? ids : masked(ids, flow.masks));
    }
  }
}

// Of maximum and minimum: equals share.
void TapeContributions::add_chosen(const TapeFlow& flow, const TapeElements& elements, int k) {
  const auto count = static_cast<std::int32_t>(flow.to.size());
  const TapeIds mask = tape_chosen(g_, elements, k);
  const TapeIds equal = g_.emit(TapeOp::equal, elements.operands[0], elements.operands[1], {}, 0, count);
  const TapeIds half = g_.emit(TapeOp::multiply, flow.t, TapeIds{g_.constant(0.5)}, {}, 0, count);
  const TapeIds share = g_.emit(TapeOp::select, equal, half, flow.t, 0, count);
  add({flow.to, flow.t, both(mask, flow.masks)}, masked(share, mask));
}

// ---- masks ----

TapeIds TapeContributions::masked(TapeView ids, TapeView masks) {
  if (none_masked(masks)) return {ids.begin(), ids.end()};
  TapeIds conditions(masks.begin(), masks.end());
  std::replace(conditions.begin(), conditions.end(), always, g_.constant(1));
  const TapeIds zero{g_.constant(0)};
  return g_.emit(TapeOp::select, conditions, ids, zero, 0, static_cast<std::int32_t>(conditions.size()));
}

TapeIds TapeContributions::both(TapeView masks, TapeView others) {
  if (none_masked(others)) return {masks.begin(), masks.end()};
  if (none_masked(masks)) return {others.begin(), others.end()};
  TapeIds result(masks.begin(), masks.end()), a, b;
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < result.size(); ++i) {
    if (masks[i] == always) result[i] = others[i];
    if (masks[i] == always || others[i] == always || masks[i] == others[i]) continue;
    places.push_back(i);
    a.push_back(masks[i]);
    b.push_back(others[i]);
  }
  const TapeIds conditions = g_.emit(TapeOp::logical_and, a, b);
  for (std::size_t i = 0; i < places.size(); ++i) result[places[i]] = conditions[i];
  return result;
}

// One of a and b always holds (or something is NaN).
bool TapeContributions::complement(TapeId a, TapeId b) const {
  const TapeOp op = g_.run_of(a).op, other = g_.run_of(b).op;
  if (op == TapeOp::logical_not && g_.operand_of(a, 0) == b) return true;
  if (other == TapeOp::logical_not && g_.operand_of(b, 0) == a) return true;
  const bool opposite =
      (op == TapeOp::equal && other == TapeOp::not_equal) || (op == TapeOp::not_equal && other == TapeOp::equal);
  if (opposite) return g_.operand_of(a, 0) == g_.operand_of(b, 0) && g_.operand_of(a, 1) == g_.operand_of(b, 1);
  return op == TapeOp::less_equal && other == op && g_.operand_of(a, 0) == g_.operand_of(b, 1) &&
         g_.operand_of(a, 1) == g_.operand_of(b, 0);
}

// Each once; always if there is nothing to ask. Otherwise the first of them.
TapeId TapeContributions::simplest(TapeIds& masks) const {
  std::sort(masks.begin(), masks.end());
  masks.erase(std::unique(masks.begin(), masks.end()), masks.end());
  if (masks.empty() || masks[0] == always) return always;
  const std::size_t n = masks.size();
  for (std::size_t i = 0; n <= 8 && i < n; ++i)  // of many it would take long to find out
    for (std::size_t j = 0; j < i; ++j)
      if (complement(masks[i], masks[j])) return always;
  return masks[0];
}

// Whether one of each n of them holds.
TapeIds TapeContributions::any_of(TapeIds masks, std::size_t n) {
  const auto count = static_cast<std::int32_t>(masks.size() / n);
  if (n == 1) return masks;
  if (n == 2) return g_.emit(TapeOp::logical_or, every(masks, n, 0), every(masks, n, 1), {}, 0, count);
  const TapeIds zero{g_.constant(0)};
  const auto not_0_or_1 = [&](TapeId id) { return !tape_is_condition(g_.run_of(id).op); };
  TapeIds odd;
  std::copy_if(masks.begin(), masks.end(), std::back_inserter(odd), not_0_or_1);
  const TapeIds conditions = g_.emit(TapeOp::not_equal, odd, zero, {}, 0, static_cast<std::int32_t>(odd.size()));
  std::size_t next = 0;
  for (TapeId& id : masks)
    if (not_0_or_1(id)) id = conditions[next++];
  const TapeIds held = g_.emit(TapeOp::sum, masks, {}, {}, static_cast<std::int32_t>(n), count);
  return g_.emit(TapeOp::less, zero, held, {}, 0, count);
}

TapeId TapeContributions::any(TapeView masks) {
  TapeIds different(masks.begin(), masks.end());
  const TapeId first = simplest(different);
  if (first == always || different.size() == 1) return first;
  const std::size_t n = different.size();
  return any_of(std::move(different), n)[0];
}

// ---- sums ----

// The sum of each n of them. Long runs of few terms are added run by run, which gathers nothing.
TapeIds TapeContributions::sum_of(TapeView terms, std::size_t n) {
  const auto count = static_cast<std::int32_t>(terms.size() / n);
  if (n > 2 && (n > 8 || count < 4)) return g_.emit(TapeOp::sum, terms, {}, {}, static_cast<std::int32_t>(n), count);
  TapeIds sum = every(terms, n, 0);
  for (std::size_t j = 1; j < n; ++j) sum = g_.emit(TapeOp::add, sum, every(terms, n, j), {}, 0, count);
  return sum;
}

void TapeContributions::collect(TapeId first, std::int32_t count, TapeIds& sums, TapeIds& masks) {
  // Values that got equally many, under equally many different masks, together.
  struct Group {
    std::vector<std::size_t> places;
    TapeIds terms, masks;
  };
  std::map<std::pair<std::size_t, std::size_t>, Group> groups;
  sums.assign(static_cast<std::size_t>(count), -1);
  masks.assign(static_cast<std::size_t>(count), always);
  TapeIds ids, conditions;
  for (std::size_t i = 0; i < sums.size(); ++i) {
    std::int32_t at = last_[static_cast<std::size_t>(first) + i];
    if (at < 0) continue;
    const Entry& last = entries_[static_cast<std::size_t>(at)];
    if (last.previous < 0) {
      sums[i] = last.id;
      masks[i] = last.mask;
      continue;
    }
    ids.clear();
    conditions.clear();
    for (; at >= 0; at = entries_[static_cast<std::size_t>(at)].previous) {
      ids.push_back(entries_[static_cast<std::size_t>(at)].id);
      conditions.push_back(entries_[static_cast<std::size_t>(at)].mask);
    }
    std::reverse(ids.begin(), ids.end());
    if (simplest(conditions) == always) conditions.clear();
    Group& group = groups[{ids.size(), conditions.size()}];
    if (group.places.empty()) {  // as a rule all come here
      group.places.reserve(sums.size() - i);
      group.terms.reserve(std::min((sums.size() - i) * ids.size(), std::size_t{1024}));
    }
    group.places.push_back(i);
    group.terms.insert(group.terms.end(), ids.begin(), ids.end());
    group.masks.insert(group.masks.end(), conditions.begin(), conditions.end());
  }
  for (const auto& [size, group] : groups) {
    const TapeIds sum = sum_of(group.terms, size.first);
    const TapeIds mask = size.second == 0 ? TapeIds(sum.size(), always) : any_of(group.masks, size.second);
    for (std::size_t i = 0; i < sum.size(); ++i) {
      sums[group.places[i]] = sum[i];
      masks[group.places[i]] = mask[i];
    }
  }
}

}  // namespace mmlfast::drivers
