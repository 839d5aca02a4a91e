#include "drivers/tape_taylor.hpp"

#include <algorithm>
#include <map>

#include "drivers/common/parallel.hpp"
#include "drivers/tape_taylor_points.hpp"

namespace mmlfast::drivers {
namespace {

constexpr int no_polynomial = 1 << 30;

int bounded(Size degree) { return static_cast<int>(std::min<Size>(degree, no_polynomial)); }

// Memory in pieces that are given back: the first gap that is large enough.
class Places {
 public:
  Size take(Size n) {
    for (auto gap = gaps_.begin(); gap != gaps_.end(); ++gap) {
      if (gap->second < n) continue;
      const Size at = gap->first, left = gap->second - n;
      gaps_.erase(gap);
      if (left > 0) gaps_.emplace(at + n, left);
      return at;
    }
    const Size at = end_;
    end_ += n;
    return at;
  }
  void give_back(Size at, Size n) {
    auto gap = gaps_.emplace(at, n).first;
    const auto next = std::next(gap);
    if (next != gaps_.end() && gap->first + gap->second == next->first) {
      gap->second += next->second;
      gaps_.erase(next);
    }
    if (gap == gaps_.begin()) return;
    const auto before = std::prev(gap);
    if (before->first + before->second != gap->first) return;
    before->second += gap->second;
    gaps_.erase(gap);
  }
  Size end() const { return end_; }

 private:
  std::map<Size, Size> gaps_;
  Size end_ = 0;
};

}  // namespace

int TaylorPlan::degree_of(const TapeOperand& operand, const std::vector<int>& degree) const {
  int most = 0;
  for (std::int32_t i = 0; i < operand.size; ++i)
    most = std::max(most, degree[static_cast<std::size_t>(step_of_[static_cast<std::size_t>(operand[i])])]);
  return most;
}

// A polynomial of at most this degree, whatever the point.
int TaylorPlan::degree_of(const TapeRun& run, const std::vector<int>& degree) const {
  const int operands = run.n_operands();
  const int a = operands > 0 ? degree_of(run.operand[0], degree) : 0;
  const int b = operands > 1 ? degree_of(run.operand[1], degree) : 0;
  const int c = operands > 2 ? degree_of(run.operand[2], degree) : 0;
  if (tape_is_condition(run.op)) return 0;
  switch (run.op) {
    case TapeOp::constant:
      return 0;
    case TapeOp::sign:
    case TapeOp::floor:
    case TapeOp::ceil:
    case TapeOp::trunc:
    case TapeOp::rint:
      return 0;
    case TapeOp::identity:
    case TapeOp::negative:
    case TapeOp::absolute:
    case TapeOp::copysign:
    case TapeOp::sum:
      return a;
    case TapeOp::add:
    case TapeOp::subtract:
    case TapeOp::maximum:
    case TapeOp::minimum:
    case TapeOp::fmod:
      return std::max(a, b);
    case TapeOp::select:
      return std::max(b, c);
    case TapeOp::multiply:
    case TapeOp::dot:
      return bounded(Size{a} + b);
    case TapeOp::multiply_add:
      return std::max(bounded(Size{a} + b), c);
    case TapeOp::integer_power:
      return run.aux >= 0 ? bounded(Size{a} * run.aux) : a == 0 ? 0 : no_polynomial;
    case TapeOp::divide:
    case TapeOp::divide_or_zero:
      return b == 0 ? a : no_polynomial;
    case TapeOp::solve:
      return a == 0 ? b : no_polynomial;
    case TapeOp::determinant:
      return bounded(Size{a} * run.aux);
    default:
      return a == 0 && b == 0 ? 0 : no_polynomial;
  }
}

TaylorPlan::TaylorPlan(const TapeGraph& graph, TapeView outputs, int n_coefficients, int order)
    : n_coefficients_(n_coefficients),
      order_(order),
      step_of_(static_cast<std::size_t>(graph.n_values()), -1),
      input_groups_(graph.input_groups()),
      outputs_(outputs.begin(), outputs.end()) {
  const std::vector<std::uint8_t> needed = graph.needed(outputs);
  std::vector<int> degree;
  Size group = 0;
  for (std::size_t r = 0; r < graph.runs().size(); ++r) {
    const TapeRun& run = graph.runs()[r];
    const Size this_group = run.op == TapeOp::input ? group++ : 0;
    if (needed[r] == 0) continue;
    Step step{run, 0, 0, this_group};
    if (run.op == TapeOp::constant) {
      step.values = static_cast<Size>(constants_.size());
      for (std::int32_t i = 0; i < run.count; ++i) constants_.push_back(graph.constant_value(run.first + i));
    }
    if (run.op == TapeOp::callback) has_callback_ = true;
    const bool varies = run.op == TapeOp::input && this_group == 0;
    degree.push_back(run.op == TapeOp::input ? (varies ? n_coefficients - 1 : 0) : degree_of(run, degree));
    step.last = std::min(degree.back(), order);
    std::fill_n(step_of_.begin() + run.first, run.count, static_cast<std::int32_t>(steps_.size()));
    steps_.push_back(step);
  }
  place(outputs_);
  count_work();
}

// Room for each run's series until the last run that reads them is done.
void TaylorPlan::place(TapeView outputs) {
  std::vector<std::size_t> last_reader(steps_.size());
  for (std::size_t s = 0; s < steps_.size(); ++s) {
    last_reader[s] = s;
    const TapeRun& run = steps_[s].run;
    for (int k = 0; k < run.n_operands(); ++k)
      for (std::int32_t i = 0; i < run.operand[k].size; ++i)
        last_reader[static_cast<std::size_t>(step_of_[static_cast<std::size_t>(run.operand[k][i])])] = s;
  }
  for (TapeId id : outputs)
    last_reader[static_cast<std::size_t>(step_of_[static_cast<std::size_t>(id)])] = steps_.size();
  std::vector<std::vector<std::size_t>> ends(steps_.size() + 1);
  for (std::size_t s = 0; s < steps_.size(); ++s) ends[last_reader[s]].push_back(s);
  Places places;
  const auto size = [&](std::size_t s) { return Size{steps_[s].run.count} * taylor_rows(steps_[s].last); };
  for (std::size_t s = 0; s < steps_.size(); ++s) {
    steps_[s].at = places.take(size(s));
    for (std::size_t ended : ends[s]) places.give_back(steps_[ended].at, size(ended));
  }
  size_ = places.end();
}

int TaylorPlan::last_of(const TapeOperand& operand) const noexcept {
  int last = 0;
  for (std::int32_t i = 0; i < operand.size; ++i) last = std::max(last, step_of(operand[i]).last);
  return last;
}

void TaylorPlan::count_work() {
  double by_lanes = 0, packed = 0;
  scratch_ = taylor_reduce_scratch(order_);
  packed_ = 4 * taylor_size(order_);
  for (const Step& step : steps_) {
    const TapeRun& run = step.run;
    if (run.n_operands() == 0) continue;
    const Size n = run.aux, count = run.count;
    const double calls = static_cast<double>(count);
    const double ns = 20 + 10.0 * (step.last + 1) + 1.5 * (step.last + 1.0) * (step.last + 1.0);
    double terms = 1;
    if (tape_reduces(run.op)) {
      terms = run.aux;
      const bool across = taylor_across(count, n);
      const Size series = across ? ceil_div(n, taylor_lanes) : n;
      Size rows = taylor_size(order_) / taylor_lanes;
      for (int k = 0; k < run.n_operands(); ++k) rows += series * taylor_rows(last_of(run.operand[k]));
      packed_ = std::max(packed_, rows * taylor_lanes);
      n_operands_ = std::max(n_operands_, 2 * n);
      packed += ns * (across ? calls * static_cast<double>(series) : terms * static_cast<double>(ceil_div(count, 8)));
    } else if (tape_is_whole(run.op) && run.op != TapeOp::callback) {
      const Size columns = run.op == TapeOp::solve ? count / n : n;
      terms = static_cast<double>(n * n);
      packed_ = std::max(packed_, (n * n + 2 * n * columns) * taylor_size(order_));
      n_operands_ = std::max(n_operands_, n * n + 2 * n * columns);
      scratch_ =
          std::max<Size>(scratch_, taylor_matrix_scratch(static_cast<int>(n), static_cast<int>(columns), order_));
      packed += ns * terms * calls;
    } else {
      packed += 1.5 * ns * static_cast<double>(ceil_div(count, taylor_lanes));
    }
    by_lanes += ns * terms * calls;
  }
  ns_ = std::max(by_lanes / taylor_lanes, 1.0);
  packs_one_ = packed < by_lanes;
}

namespace {

constexpr Size large = Size{1} << 26;  // bytes: eight points at a time would leave the caches by far

}  // namespace

Outcome TaylorPlan::evaluate(Size n_points, const double* coefficients, const double* const* parameters,
                             double* result) const noexcept {
  const Size inputs = input_groups_.empty() ? 0 : input_groups_[0];
  const bool in_lanes = n_points > 1 ? 8 * taylor_lanes * size_ < large : !packs_one_;
  const Size per_block = in_lanes ? taylor_lanes : 1;
  const Size bytes = TaylorPoints::bytes(*this, in_lanes);
  const double ns = in_lanes ? ns_ * taylor_lanes : ns_ * taylor_lanes / 2;
  return parallel_with_scratch(ceil_div(n_points, per_block), ns, bytes, [&](Size block, void* memory) {
    const Size first = block * per_block;
    const int count = static_cast<int>(std::min(per_block, n_points - first));
    TaylorPoints points(*this, in_lanes, memory);
    points.run(count, coefficients + first * inputs * n_coefficients_, parameters);
    points.write(count, result + first * n_outputs() * (order_ + 1));
  });
}

Outcome TaylorPlan::find_failure(const double* coefficients, const double* const* parameters,
                                 TaylorFailure& failure) const noexcept {
  return parallel_with_scratch(1, 1, TaylorPoints::bytes(*this, false), [&](Size, void* memory) {
    TaylorPoints points(*this, false, memory);
    points.run(1, coefficients, parameters, &failure);
  });
}

}  // namespace mmlfast::drivers
