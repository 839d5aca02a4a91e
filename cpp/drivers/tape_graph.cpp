#include "drivers/tape_graph.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <numeric>

namespace mmlfast::drivers {
namespace {

std::uint64_t mixed(std::uint64_t h, std::uint64_t value) noexcept {
  h = (h ^ value) * 0x9E3779B97F4A7C15u;
  return h ^ (h >> 32);
}

std::uint64_t hash_of_operand(const TapeOperand& operand) noexcept {
  std::uint64_t h = static_cast<std::uint32_t>(operand.size);
  if (operand.list == nullptr)
    return mixed(mixed(h, static_cast<std::uint32_t>(operand.start)), static_cast<std::uint32_t>(operand.stride));
  for (std::int32_t i = 0; i < operand.size; ++i) h = mixed(h, static_cast<std::uint32_t>(operand.list[i]));
  return h;
}

// a op b and b op a have the same bits.
bool commutes(TapeOp op) noexcept {
  switch (op) {
    case TapeOp::add:
    case TapeOp::multiply:
    case TapeOp::equal:
    case TapeOp::not_equal:
    case TapeOp::logical_and:
    case TapeOp::logical_or:
    case TapeOp::dot:
      return true;
    default:
      return false;
  }
}

std::uint64_t hash_of_numbers(std::span<const double> values) noexcept {
  std::uint64_t h = values.size();
  for (double value : values) h = mixed(h, std::bit_cast<std::uint64_t>(value));
  return h;
}

}  // namespace

bool tape_same(const TapeOperand& a, const TapeOperand& b) noexcept {
  if (a.size != b.size || (a.list == nullptr) != (b.list == nullptr)) return false;
  if (a.list == nullptr) return a.start == b.start && a.stride == b.stride;
  return std::equal(a.list, a.list + a.size, b.list);
}

bool tape_is_condition(TapeOp op) noexcept {
  switch (op) {
    case TapeOp::less:
    case TapeOp::less_equal:
    case TapeOp::equal:
    case TapeOp::not_equal:
    case TapeOp::logical_and:
    case TapeOp::logical_or:
    case TapeOp::logical_not:
      return true;
    default:
      return false;
  }
}

TapeIds tape_range(TapeId first, std::int32_t count) {
  TapeIds ids(static_cast<std::size_t>(count));
  std::iota(ids.begin(), ids.end(), first);
  return ids;
}

// ---- new values ----

bool TapeGraph::fits(std::int64_t count) noexcept {
  const bool good = count <= std::numeric_limits<std::int32_t>::max() - n_values();
  full_ = full_ || !good;
  return good;
}

// The operands' lists are the graph's already.
TapeId TapeGraph::push(TapeRun run) {
  run.first = n_values();
  runs_.push_back(run);
  run_of_.resize(run_of_.size() + static_cast<std::size_t>(run.count), static_cast<std::int32_t>(runs_.size() - 1));
  return run.first;
}

TapeId TapeGraph::input(std::int32_t count) {
  if (!fits(count)) return 0;
  input_groups_.push_back(count);
  return push({TapeOp::input, 0, count, static_cast<std::int32_t>(input_groups_.size() - 1), {}});
}

TapeId TapeGraph::constant(double value) {
  const auto bits = std::bit_cast<std::uint64_t>(value);
  const auto found = constant_of_bits_.find(bits);
  if (found != constant_of_bits_.end()) return found->second;
  if (!fits(1)) return 0;
  constants_.push_back(value);
  const TapeId id = push({TapeOp::constant, 0, 1, static_cast<std::int32_t>(constants_.size() - 1), {}});
  constant_of_bits_.emplace(bits, id);
  return id;
}

// Several numbers are one run, so that operands stay affine: the same array again is the same run.
TapeIds TapeGraph::constants(std::span<const double> values) {
  const auto is_first = [&](double x) {
    return std::bit_cast<std::uint64_t>(x) == std::bit_cast<std::uint64_t>(values[0]);
  };
  if (values.empty()) return {};
  if (std::all_of(values.begin(), values.end(), is_first)) return TapeIds(values.size(), constant(values[0]));
  const std::uint64_t hash = hash_of_numbers(values);
  const std::int32_t found = find_constants(values, hash);
  if (found >= 0)
    return tape_range(runs_[static_cast<std::size_t>(found)].first, static_cast<std::int32_t>(values.size()));
  if (!fits(static_cast<std::int64_t>(values.size()))) return TapeIds(values.size(), 0);
  const auto count = static_cast<std::int32_t>(values.size());
  const auto at = static_cast<std::int32_t>(constants_.size());
  constants_.insert(constants_.end(), values.begin(), values.end());
  const TapeId first = push({TapeOp::constant, 0, count, at, {}});
  for (std::int32_t i = 0; i < count; ++i)
    constant_of_bits_.emplace(std::bit_cast<std::uint64_t>(values[static_cast<std::size_t>(i)]), first + i);
  remember(hash);
  return tape_range(first, count);
}

TapeIds TapeGraph::identity(TapeView ids) {
  if (ids.empty()) return {};
  if (!fits(static_cast<std::int64_t>(ids.size()))) return TapeIds(ids.size(), 0);
  TapeRun run{TapeOp::identity, 0, static_cast<std::int32_t>(ids.size()), 0, {}};
  run.operand[0] = packed(ids, run.count);
  keep(run.operand[0]);
  return tape_range(push(run), run.count);
}

TapeIds TapeGraph::callback(std::int32_t index, TapeView a, std::int32_t count, TapeView jacobian) {
  TapeIds ids = append(TapeOp::callback, {a}, index, count);
  if (!jacobian.empty()) jacobians_.try_emplace(run_number(ids[0]), TapeIds(jacobian.begin(), jacobian.end()));
  return ids;
}

TapeView TapeGraph::jacobian_of(std::int32_t run) const noexcept {
  const auto found = jacobians_.find(run);
  return found == jacobians_.end() ? TapeView{} : TapeView(found->second);
}

// ---- operands ----

TapeOperand TapeGraph::packed(TapeView ids, std::int32_t size) const noexcept {
  TapeOperand operand{nullptr, ids[0], 0, size};
  if (ids.size() == 1) return operand;
  const std::int32_t stride = ids[1] - ids[0];
  for (std::size_t i = 2; i < ids.size(); ++i)
    if (ids[i] - ids[i - 1] != stride) {
      operand.list = ids.data();
      return operand;
    }
  operand.stride = stride;
  return operand;
}

// The list of an operand, which is somebody else's, becomes the graph's own.
void TapeGraph::keep(TapeOperand& operand) {
  if (operand.list == nullptr) return;
  const auto size = static_cast<std::size_t>(operand.size);
  if (size > block_left_) {
    const std::size_t block = std::max(size, std::size_t{blocks_.empty() ? 256u : 4096u});  // most functions are small
    blocks_.push_back(std::make_unique_for_overwrite<TapeId[]>(block));
    block_at_ = blocks_.back().get();
    block_left_ = block;
  }
  std::copy_n(operand.list, size, block_at_);
  operand.list = block_at_;
  block_at_ += size;
  block_left_ -= size;
}

// ---- equal runs are one ----

std::uint64_t TapeGraph::hash_of(const TapeRun& run) const noexcept {
  std::uint64_t h = mixed(static_cast<std::uint64_t>(run.op) << 32 | static_cast<std::uint32_t>(run.aux),
                          static_cast<std::uint32_t>(run.count));
  const int n = run.n_operands();
  if (commutes(run.op)) return mixed(h, hash_of_operand(run.operand[0]) + hash_of_operand(run.operand[1]));
  for (int k = 0; k < n; ++k) h = mixed(h, hash_of_operand(run.operand[k]));
  return h;
}

bool TapeGraph::equal(const TapeRun& run, const TapeRun& other) const noexcept {
  if (run.op != other.op || run.aux != other.aux || run.count != other.count) return false;
  bool same = true;
  for (int k = 0; k < run.n_operands(); ++k) same = same && tape_same(run.operand[k], other.operand[k]);
  if (same || !commutes(run.op)) return same;
  return tape_same(run.operand[0], other.operand[1]) && tape_same(run.operand[1], other.operand[0]);
}

std::int32_t TapeGraph::find(const TapeRun& run, std::uint64_t hash) const noexcept {
  const std::size_t mask = table_.size() - 1;
  for (std::size_t at = hash & mask; table_[at].run >= 0; at = (at + 1) & mask)
    if (table_[at].hash == hash && equal(run, runs_[static_cast<std::size_t>(table_[at].run)])) return table_[at].run;
  return -1;
}

std::int32_t TapeGraph::find_constants(std::span<const double> values, std::uint64_t hash) const noexcept {
  const std::size_t mask = table_.size() - 1;
  for (std::size_t at = hash & mask; table_[at].run >= 0; at = (at + 1) & mask) {
    if (table_[at].hash != hash) continue;
    const TapeRun& run = runs_[static_cast<std::size_t>(table_[at].run)];
    if (run.op == TapeOp::constant && static_cast<std::size_t>(run.count) == values.size() &&
        std::memcmp(constants_.data() + run.aux, values.data(), values.size() * sizeof(double)) == 0)
      return table_[at].run;
  }
  return -1;
}

// The last run, under its hash.
void TapeGraph::remember(std::uint64_t hash) {
  const auto put = [](std::vector<Entry>& table, Entry entry) {
    const std::size_t mask = table.size() - 1;
    std::size_t at = entry.hash & mask;
    while (table[at].run >= 0) at = (at + 1) & mask;
    table[at] = entry;
  };
  if (2 * (n_entries_ + 1) > table_.size()) {
    std::vector<Entry> larger(2 * table_.size());
    for (const Entry& entry : table_)
      if (entry.run >= 0) put(larger, entry);
    table_ = std::move(larger);
  }
  put(table_, {hash, static_cast<std::int32_t>(runs_.size() - 1)});
  ++n_entries_;
}

TapeIds TapeGraph::append(TapeOp op, std::initializer_list<TapeView> operands, std::int32_t aux, std::int32_t count) {
  TapeRun run{op, 0, count, aux, {}};
  const std::int64_t terms = tape_reduces(op) ? std::int64_t{count} * aux : count;
  if (!fits(count) || terms > std::numeric_limits<std::int32_t>::max()) {
    full_ = true;
    return TapeIds(static_cast<std::size_t>(count), 0);
  }
  bool one_for_all = true;
  int k = 0;
  for (TapeView ids : operands) {
    if (k == tape_operands(op)) break;
    const std::int32_t size =
        tape_is_whole(op) ? static_cast<std::int32_t>(ids.size()) : static_cast<std::int32_t>(terms);
    run.operand[k] = packed(ids, size);
    one_for_all = one_for_all && run.operand[k].list == nullptr && run.operand[k].stride == 0;
    ++k;
  }
  if (one_for_all && count > 1 && !tape_is_whole(op)) {
    for (TapeOperand& operand : run.operand) operand.size = operand.size / count;
    run.count = 1;
  }
  const std::uint64_t hash = hash_of(run);
  const std::int32_t found = find(run, hash);
  TapeId first;
  if (found >= 0) {
    first = runs_[static_cast<std::size_t>(found)].first;
  } else {
    for (TapeOperand& operand : run.operand) keep(operand);
    first = push(run);
    remember(hash);
  }
  return run.count == count ? tape_range(first, count) : TapeIds(static_cast<std::size_t>(count), first);
}

// ---- what is needed ----

std::vector<std::uint8_t> TapeGraph::needed(TapeView outputs, bool with_jacobians) const {
  std::vector<std::uint8_t> need(runs_.size(), 0);
  std::size_t begin = runs_.size();  // a Jacobian may lie behind what it is the Jacobian of: then once more from there
  const auto mark = [&](TapeId id) {
    std::uint8_t& needed = need[static_cast<std::size_t>(run_number(id))];
    if (needed == 0) begin = std::max(begin, static_cast<std::size_t>(run_number(id)) + 1);
    needed = 1;
  };
  for (TapeId id : outputs) mark(id);
  std::vector<std::uint8_t> done(runs_.size(), 0);
  for (std::size_t r = begin; r-- > 0;) {
    if (need[r] == 0 || done[r] != 0) continue;
    done[r] = 1;
    begin = 0;
    const TapeRun& run = runs_[r];
    for (int k = 0; k < run.n_operands(); ++k) {
      const TapeOperand& operand = run.operand[k];
      const bool one = operand.list == nullptr && operand.stride == 0;
      for (std::int32_t i = 0; i < (one ? 1 : operand.size); ++i) mark(operand[i]);
    }
    if (with_jacobians)
      for (TapeId id : jacobian_of(static_cast<std::int32_t>(r))) mark(id);
    r = std::max(r, begin);
  }
  return need;
}

}  // namespace mmlfast::drivers
