// All numbers little-endian: the magic, a hash of what follows it, then
//   int32  groups, runs, constants, outputs, jacobians
//   int32  size of each group
//   double each constant
//   run    int32 op, count, aux; of each operand int32 size, and int32 start, stride, or -1 and a list of `size` ids
//   int32  each output
//   jacobian  int32 number of the run, then its ids
// Inputs come first, then the runs in order; of constants aux is where they begin.
#include "drivers/tape_saved.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace mmlfast::drivers {
namespace {

static_assert(std::endian::native == std::endian::little, "the bytes are those of a little-endian machine");

constexpr std::uint8_t magic[8] = {'m', 'm', 'l', 't', 'a', 'p', 'e', '1'};
constexpr std::int64_t most_values = std::int64_t{1} << 27;  // that bytes of unknown origin may ask for

std::size_t place(std::int64_t i) { return static_cast<std::size_t>(i); }

std::uint64_t hash_of(std::span<const std::uint8_t> bytes) {
  std::uint64_t h = 0xCBF29CE484222325u;
  for (std::uint8_t byte : bytes) h = (h ^ byte) * 0x100000001B3u;
  return h;
}

class Writer {
 public:
  Writer() {
    for (std::uint8_t byte : magic) put(byte);
    put(std::uint64_t{0});  // the hash
  }
  template <class T>
  void put(T value) {
    const auto* from = reinterpret_cast<const std::uint8_t*>(&value);
    bytes_.insert(bytes_.end(), from, from + sizeof(T));
  }
  void integers(std::initializer_list<std::int64_t> values) {
    for (std::int64_t value : values) put(static_cast<std::int32_t>(value));
  }
  std::vector<std::uint8_t> finished() && {
    const std::uint64_t hash = hash_of(std::span(bytes_).subspan(sizeof magic + sizeof(std::uint64_t)));
    std::memcpy(bytes_.data() + sizeof magic, &hash, sizeof hash);
    return std::move(bytes_);
  }

 private:
  std::vector<std::uint8_t> bytes_;
};

class Reader {
 public:
  explicit Reader(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}

  template <class T>
  bool take(T& value) {
    if (bytes_.size() < sizeof(T)) return false;
    std::memcpy(&value, bytes_.data(), sizeof(T));
    bytes_ = bytes_.subspan(sizeof(T));
    return true;
  }
  template <class T>
  bool take(std::vector<T>& values, std::int64_t count) {
    if (count < 0 || bytes_.size() / sizeof(T) < place(count)) return false;
    values.resize(place(count));
    if (count > 0) std::memcpy(values.data(), bytes_.data(), values.size() * sizeof(T));
    bytes_ = bytes_.subspan(values.size() * sizeof(T));
    return true;
  }
  std::span<const std::uint8_t> rest() const { return bytes_; }

 private:
  std::span<const std::uint8_t> bytes_;
};

// Runs of a graph under new ids: those of other runs are left out.
class Renumbering {
 public:
  Renumbering(const TapeGraph& graph, TapeView outputs) : g_(graph), need_(graph.needed(outputs, true)) {
    for (std::size_t r = 0; r < need_.size(); ++r) {
      const TapeRun& run = graph.runs()[r];
      if (run.op == TapeOp::input) need_[r] = 1;
      first_.push_back(next_);
      number_.push_back(n_runs_);
      if (need_[r] == 0) continue;
      next_ += run.count;
      ++n_runs_;
    }
  }
  TapeId operator()(TapeId id) const { return first_[place(g_.run_number(id))] + (id - g_.run_of(id).first); }
  bool needs(std::size_t run) const { return need_[run] != 0; }
  std::int32_t number(std::size_t run) const { return number_[run]; }
  std::int32_t n_runs() const { return n_runs_; }

 private:
  const TapeGraph& g_;
  std::vector<std::uint8_t> need_;
  std::vector<std::int32_t> first_, number_;
  std::int32_t next_ = 0, n_runs_ = 0;
};

void write_operand(Writer& writer, const Renumbering& renumbered, const TapeOperand& operand) {
  TapeIds ids(place(operand.size));
  for (std::int32_t i = 0; i < operand.size; ++i) ids[place(i)] = renumbered(operand[i]);
  const std::int32_t stride = ids.size() > 1 ? ids[1] - ids[0] : 0;
  bool affine = true;
  for (std::size_t i = 1; i < ids.size(); ++i) affine = affine && ids[i] - ids[i - 1] == stride;
  if (affine) return writer.integers({operand.size, ids[0], stride});
  writer.integers({operand.size, -1});
  for (TapeId id : ids) writer.put(id);
}

}  // namespace

std::vector<std::uint8_t> tape_save(const TapeGraph& graph, TapeView outputs) {
  const Renumbering renumbered(graph, outputs);
  std::vector<double> constants;
  std::int32_t n_jacobians = 0;
  for (std::size_t r = 0; r < graph.runs().size(); ++r) {
    if (!renumbered.needs(r)) continue;
    const TapeRun& run = graph.runs()[r];
    if (!graph.jacobian_of(static_cast<std::int32_t>(r)).empty()) ++n_jacobians;
    for (std::int32_t i = 0; i < run.count && run.op == TapeOp::constant; ++i)
      constants.push_back(graph.constant_value(run.first + i));
  }
  const auto size = [](const auto& list) { return static_cast<std::int64_t>(list.size()); };
  Writer writer;
  writer.integers({size(graph.input_groups()), renumbered.n_runs(), size(constants), size(outputs), n_jacobians});
  for (std::int32_t count : graph.input_groups()) writer.put(count);
  for (double value : constants) writer.put(value);
  std::int32_t constant = 0;
  for (std::size_t r = 0; r < graph.runs().size(); ++r) {
    if (!renumbered.needs(r)) continue;
    const TapeRun& run = graph.runs()[r];
    writer.integers({static_cast<std::int64_t>(run.op), run.count, run.op == TapeOp::constant ? constant : run.aux});
    if (run.op == TapeOp::constant) constant += run.count;
    for (int k = 0; k < run.n_operands(); ++k) write_operand(writer, renumbered, run.operand[k]);
  }
  for (TapeId id : outputs) writer.put(renumbered(id));
  for (std::size_t r = 0; r < graph.runs().size(); ++r) {
    const TapeView jacobian = graph.jacobian_of(static_cast<std::int32_t>(r));
    if (!renumbered.needs(r) || jacobian.empty()) continue;
    writer.put(renumbered.number(r));
    for (TapeId id : jacobian) writer.put(renumbered(id));
  }
  return std::move(writer).finished();
}

// Each stage names the part that is wrong, or gives nullptr.
class TapeReader {
 public:
  TapeReader(std::span<const std::uint8_t> bytes, TapeGraph& graph) : in_(bytes), g_(graph) {}

  const char* fault(TapeIds& outputs) {
    if (const char* wrong = header()) return wrong;
    for (std::int32_t r = 0; r < n_runs_; ++r)
      if (const char* wrong = next_run()) return wrong;
    if (groups_seen_ != g_.input_groups_.size()) return "groups of inputs";
    if (!in_.take(outputs, n_outputs_) || !all_ids(outputs, g_.n_values())) return "outputs";
    for (std::int32_t j = 0; j < n_jacobians_; ++j)
      if (!jacobian()) return "jacobians";
    return in_.rest().empty() ? nullptr : "length";
  }

 private:
  const char* header() {
    std::uint8_t found[sizeof magic];
    std::uint64_t hash = 0;
    for (std::uint8_t& byte : found)
      if (!in_.take(byte)) return "first bytes";
    if (!std::equal(magic, magic + sizeof magic, found)) return "first bytes";
    if (!in_.take(hash) || hash != hash_of(in_.rest())) return "content: it was changed since it was saved";
    std::int32_t n_groups = 0, n_constants = 0;
    const bool sizes = in_.take(n_groups) && in_.take(n_runs_) && in_.take(n_constants) && in_.take(n_outputs_) &&
                       in_.take(n_jacobians_) && n_runs_ >= 0 && n_jacobians_ >= 0;
    if (!sizes || !in_.take(g_.input_groups_, n_groups) || !in_.take(g_.constants_, n_constants)) return "sizes";
    return nullptr;
  }

  static bool all_ids(TapeView ids, std::int32_t end) {
    return std::all_of(ids.begin(), ids.end(), [=](TapeId id) { return id >= 0 && id < end; });
  }

  const char* next_run() {
    std::int32_t op = 0;
    TapeRun run{};
    if (!in_.take(op) || !in_.take(run.count) || !in_.take(run.aux)) return "runs";
    if (op < 0 || op >= tape_op_count) return "operations";
    run.op = static_cast<TapeOp>(op);
    const bool empty = run.count == 0 && run.op == TapeOp::input;
    if ((run.count < 1 && !empty) || run.count > most_values - g_.n_values()) return "numbers of values";
    for (int k = 0; k < run.n_operands(); ++k)
      if (!operand(run.operand[k])) return "operands";
    if (!makes_sense(run)) return "operations";
    for (int k = 0; k < run.n_operands(); ++k) g_.keep(run.operand[k]);
    g_.push(run);
    if (run.op == TapeOp::constant) return nullptr;
    if (run.op != TapeOp::input && run.op != TapeOp::identity) g_.remember(g_.hash_of(g_.runs_.back()));
    return nullptr;
  }
  // Of values that there are already. Its list is in lists_ until it is kept.
  bool operand(TapeOperand& to) {
    if (!in_.take(to.size) || to.size < 1 || to.size > most_values || !in_.take(to.start)) return false;
    const std::int32_t end = g_.n_values();
    if (to.start >= 0) {
      if (!in_.take(to.stride)) return false;
      const std::int64_t last = to.start + std::int64_t{to.stride} * (to.size - 1);
      return to.start < end && last >= 0 && last < end;
    }
    std::vector<TapeId>& list = lists_[next_list_++ % 3];
    if (to.start != -1 || !in_.take(list, to.size) || !all_ids(list, end)) return false;
    to.list = list.data();
    to.start = list[0];
    return true;
  }
  bool makes_sense(const TapeRun& run) {
    const std::int64_t n = run.aux, a = run.operand[0].size, b = run.operand[1].size;
    switch (run.op) {
      case TapeOp::input:
        return run.aux >= 0 && place(run.aux) == groups_seen_ && groups_seen_ < g_.input_groups_.size() &&
               g_.input_groups_[groups_seen_++] == run.count;
      case TapeOp::constant:
        return run.aux >= 0 && n + run.count <= static_cast<std::int64_t>(g_.constants_.size());
      case TapeOp::callback:
        return run.aux >= 0;
      case TapeOp::solve:
        return n >= 1 && a == n * n && b == run.count && b % n == 0;
      case TapeOp::determinant:
        return n >= 1 && a == n * n && run.count == 1;
      case TapeOp::polygamma:
      case TapeOp::integer_power:
        return tape_good_order(run.op, run.aux) && a == run.count;
      default: {
        const std::int64_t terms = tape_reduces(run.op) ? n * run.count : run.count;
        for (int k = 0; k < run.n_operands(); ++k)
          if (run.operand[k].size != terms) return false;
        return !tape_reduces(run.op) || n >= 1;
      }
    }
  }
  bool jacobian() {
    std::int32_t number = 0;
    if (!in_.take(number) || number < 0 || number >= n_runs_) return false;
    const TapeRun& run = g_.runs_[place(number)];
    if (run.op != TapeOp::callback) return false;
    TapeIds ids;
    if (!in_.take(ids, std::int64_t{run.count} * run.operand[0].size) || !all_ids(ids, g_.n_values())) return false;
    return g_.jacobians_.emplace(number, std::move(ids)).second;
  }

  Reader in_;
  TapeGraph& g_;
  std::int32_t n_runs_ = 0, n_outputs_ = 0, n_jacobians_ = 0;
  std::size_t groups_seen_ = 0;
  std::vector<TapeId> lists_[3];
  int next_list_ = 0;
};

const char* tape_load(std::span<const std::uint8_t> bytes, TapeGraph& graph, TapeIds& outputs) {
  return TapeReader(bytes, graph).fault(outputs);
}

TapeIds tape_inline(TapeGraph& graph, const TapeGraph& other, std::span<const TapeView> inputs, TapeView outputs,
                    std::int32_t first_callback) {
  const std::vector<std::uint8_t> need = other.needed(outputs, true);
  TapeIds here(place(other.n_values()), -1);
  const auto of = [&](const TapeOperand& operand) {
    TapeIds ids(place(operand.size));
    for (std::int32_t i = 0; i < operand.size; ++i) ids[place(i)] = here[place(operand[i])];
    return ids;
  };
  for (std::size_t r = 0; r < need.size(); ++r) {
    const TapeRun& run = other.runs()[r];
    if (need[r] == 0) continue;
    TapeIds ids;
    if (run.op == TapeOp::input) {
      const TapeView given = inputs[place(run.aux)];
      ids.assign(given.begin(), given.end());
    } else if (run.op == TapeOp::constant) {
      std::vector<double> values;
      for (std::int32_t i = 0; i < run.count; ++i) values.push_back(other.constant_value(run.first + i));
      ids = graph.constants(values);
    } else if (run.op == TapeOp::identity) {
      ids = of(run.operand[0]);
    } else if (run.op == TapeOp::callback) {
      ids = graph.callback(run.aux + first_callback, of(run.operand[0]), run.count, {});
    } else {
      TapeIds operands[3];
      for (int k = 0; k < run.n_operands(); ++k) operands[k] = of(run.operand[k]);
      ids = graph.emit(run.op, operands[0], operands[1], operands[2], run.aux, run.count);
    }
    std::copy(ids.begin(), ids.end(), here.begin() + run.first);
  }
  for (std::size_t r = 0; r < need.size(); ++r) {  // now that all they are made of is here
    const TapeRun& run = other.runs()[r];
    TapeIds jacobian;
    if (need[r] == 0 || run.op != TapeOp::callback) continue;
    for (TapeId id : other.jacobian_of(static_cast<std::int32_t>(r))) jacobian.push_back(here[place(id)]);
    graph.callback(run.aux + first_callback, of(run.operand[0]), run.count, jacobian);
  }
  TapeIds result(outputs.size());
  std::transform(outputs.begin(), outputs.end(), result.begin(), [&](TapeId id) { return here[place(id)]; });
  return result;
}

}  // namespace mmlfast::drivers
