#include "drivers/tape_pattern.hpp"

#include <algorithm>
#include <bit>

#include "drivers/tape_rules.hpp"

namespace mmlfast::drivers {
namespace {

std::size_t place(std::int64_t i) { return static_cast<std::size_t>(i); }

// Backwards from 64 outputs at a time, over what they reach only: a value holds a bit for each of them.
class Reach {
 public:
  Reach(const TapeGraph& graph, TapeView wrt)
      : g_(graph),
        depends_(tape_dependence(graph, wrt)),
        bits_(depends_.size(), 0),
        column_(depends_.size(), -1),
        reached_(graph.runs().size()) {
    for (std::size_t j = wrt.size(); j-- > 0;) column_[place(wrt[j])] = static_cast<std::int32_t>(j);
    for (TapeId id : wrt) begin_ = std::min(begin_, g_.run_number(id));
  }

  // rows[i]: columns that outputs[i] reaches, in no order.
  void rows(TapeView outputs, std::vector<std::vector<std::int32_t>>& rows) {
    std::int32_t end = 0;
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      touch(outputs[i], std::uint64_t{1} << i);
      end = std::max(end, g_.run_number(outputs[i]) + 1);
    }
    for (std::int32_t r = end; r-- > begin_;) {
      std::vector<TapeId>& reached = reached_[place(r)];
      for (TapeId id : reached) {
        const std::uint64_t bits = bits_[place(id)];
        bits_[place(id)] = 0;
        if (column_[place(id)] < 0) {
          spread(g_.runs()[place(r)], r, id, bits);
          continue;
        }
        for (std::uint64_t left = bits; left != 0; left &= left - 1)
          rows[place(std::countr_zero(left))].push_back(column_[place(id)]);
      }
      reached.clear();
    }
  }

 private:
  void touch(TapeId id, std::uint64_t bits) {
    if (depends_[place(id)] == 0) return;
    if (bits_[place(id)] == 0) reached_[place(g_.run_number(id))].push_back(id);
    bits_[place(id)] |= bits;
  }
  void spread(const TapeRun& run, std::int32_t r, TapeId id, std::uint64_t bits) {
    const std::int32_t i = id - run.first;
    const TapeView jacobian = run.op == TapeOp::callback ? g_.jacobian_of(r) : TapeView{};
    for (int k = 0; k < run.n_operands(); ++k) {
      if (!tape_differentiable(run.op, k)) continue;
      const std::int32_t terms = tape_is_whole(run.op) ? run.operand[k].size : tape_reduces(run.op) ? run.aux : 1;
      const std::int32_t from = tape_is_whole(run.op) ? 0 : i * terms;
      for (std::int32_t j = from; j < from + terms; ++j) {
        const bool other_column = run.op == TapeOp::solve && k == 1 && (j - i) % (run.count / run.aux) != 0;
        if (other_column || tape_vanishes(g_, run, k, j)) continue;
        if (!jacobian.empty() && g_.is_constant(jacobian[place(i) * place(terms) + place(j)], 0)) continue;
        touch(run.operand[k][j], bits);
      }
    }
  }

  const TapeGraph& g_;
  const std::vector<std::uint8_t> depends_;
  std::vector<std::uint64_t> bits_;
  std::vector<std::int32_t> column_;          // of a value of wrt
  std::vector<std::vector<TapeId>> reached_;  // by run
  std::int32_t begin_ = static_cast<std::int32_t>(g_.runs().size());
};

}  // namespace

TapePattern tape_pattern(const TapeGraph& graph, TapeView outputs, TapeView wrt) {
  TapePattern pattern{{0}, {}};
  if (wrt.empty()) {
    pattern.starts.resize(outputs.size() + 1, 0);
    return pattern;
  }
  Reach reach(graph, wrt);
  std::vector<std::vector<std::int32_t>> rows(64);
  for (std::size_t from = 0; from < outputs.size(); from += 64) {
    const TapeView some = outputs.subspan(from, std::min(outputs.size() - from, std::size_t{64}));
    reach.rows(some, rows);
    for (std::size_t i = 0; i < some.size(); ++i) {
      std::sort(rows[i].begin(), rows[i].end());
      pattern.columns.insert(pattern.columns.end(), rows[i].begin(), rows[i].end());
      pattern.starts.push_back(static_cast<std::int64_t>(pattern.columns.size()));
      rows[i].clear();
    }
  }
  return pattern;
}

const char* tape_pattern_fault(std::span<const std::int64_t> starts, std::span<const std::int32_t> columns,
                               std::int32_t n_columns) noexcept {
  if (starts.empty() || starts.front() != 0 || starts.back() != static_cast<std::int64_t>(columns.size()) ||
      !std::is_sorted(starts.begin(), starts.end()))
    return "indptr must ascend from 0 to the number of indices";
  const auto good = [=](std::int32_t column) { return column >= 0 && column < n_columns; };
  return std::all_of(columns.begin(), columns.end(), good) ? nullptr : "indices out of range";
}

}  // namespace mmlfast::drivers
