#include "drivers/tape_point.hpp"

#include <algorithm>
#include <numeric>

#include "drivers/tape_fold.hpp"
#include "drivers/tape_rules.hpp"

namespace mmlfast::drivers {
namespace {

std::size_t place(std::int32_t i) noexcept { return static_cast<std::size_t>(i); }

}  // namespace

// The runs that the ids need and that are not known, in order. They are marked as known: all of them are computed next.
std::vector<std::int32_t> TapePoint::missing(TapeView ids) {
  known_.resize(graph_.runs().size(), 0);
  std::vector<std::int32_t> found;
  const auto need = [&](TapeId id) {
    const std::int32_t r = graph_.run_number(id);
    if (known_[place(r)] != 0) return;
    known_[place(r)] = 1;
    found.push_back(r);
  };
  for (TapeId id : ids) need(id);
  for (std::size_t i = 0; i < found.size(); ++i) {
    const TapeRun& run = graph_.runs()[place(found[i])];
    for (int k = 0; k < run.n_operands(); ++k) {
      const TapeOperand& operand = run.operand[k];
      const std::int32_t n = operand.list == nullptr && operand.stride == 0 ? std::min(operand.size, 1) : operand.size;
      for (std::int32_t j = 0; j < n; ++j) need(operand[j]);
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

void TapePoint::take_input(const TapeRun& run) {
  const auto& sizes = graph_.input_groups();
  const std::int32_t before = std::accumulate(sizes.begin(), sizes.begin() + run.aux, 0);
  std::copy_n(inputs_.begin() + before, run.count, values_.begin() + run.first);
}

bool TapePoint::compute(const TapeRun& run, const TapeCallback& callback) {
  double* to = values_.data() + run.first;
  if (run.op == TapeOp::input) {
    take_input(run);
    return true;
  }
  if (run.op == TapeOp::constant) {
    for (std::int32_t i = 0; i < run.count; ++i) to[i] = graph_.constant_value(run.first + i);
    return true;
  }
  std::vector<double> numbers;
  std::int32_t sizes[3] = {};
  for (int k = 0; k < run.n_operands(); ++k) {
    sizes[k] = run.operand[k].size;
    for (std::int32_t i = 0; i < sizes[k]; ++i) numbers.push_back(values_[place(run.operand[k][i])]);
  }
  if (run.op == TapeOp::callback)
    return callback.call(callback.context, run.aux, numbers.data(), sizes[0], to, run.count);
  if (run.op != TapeOp::identity) numbers = tape_fold(run.op, run.aux, run.count, std::move(numbers), sizes);
  std::copy_n(numbers.begin(), run.count, to);
  return true;
}

bool TapePoint::find(TapeView ids, const TapeCallback& callback, double* result) {
  values_.resize(place(graph_.n_values()), 0.0);
  const std::vector<std::int32_t> runs = missing(ids);
  for (std::size_t i = 0; i < runs.size(); ++i) {
    if (compute(graph_.runs()[place(runs[i])], callback)) continue;
    for (; i < runs.size(); ++i) known_[place(runs[i])] = 0;
    return false;
  }
  std::transform(ids.begin(), ids.end(), result, [&](TapeId id) { return values_[place(id)]; });
  return true;
}

bool TapePoint::depends_on_x(TapeView ids) {
  depends_.resize(place(graph_.n_values()), 0);
  const std::size_t end = graph_.runs().size();
  for (std::size_t r = n_runs_seen_; r < end; ++r) {
    const TapeRun& run = graph_.runs()[r];
    if (run.op == TapeOp::input && run.aux == 0)
      std::fill_n(depends_.begin() + run.first, run.count, std::uint8_t{1});
    else
      tape_spread_dependence(graph_, run, depends_);
  }
  n_runs_seen_ = end;
  return std::any_of(ids.begin(), ids.end(), [&](TapeId id) { return depends_[place(id)] != 0; });
}

}  // namespace mmlfast::drivers
