#include "drivers/tape_taylor_points.hpp"

#include <algorithm>
#include <cmath>

#include "runtime/aligned_buffer.hpp"

namespace mmlfast::drivers {

Size TaylorPoints::bytes(const TaylorPlan& plan, bool in_lanes) noexcept {
  Divider divider;
  divider.take<double>(plan.size_ * (in_lanes ? taylor_lanes : 1));
  divider.take<double>(plan.packed_);
  divider.take<double>(plan.scratch_);
  divider.take<TaylorOperand>(plan.n_operands_);
  return divider.used();
}

TaylorPoints::TaylorPoints(const TaylorPlan& plan, bool in_lanes, void* memory) noexcept
    : plan_(plan), kernel_(kernel_of<TapeTaylor>()), lanes_(in_lanes ? taylor_lanes : 1) {
  Divider divider(memory);
  values_ = divider.take<double>(plan.size_ * lanes_);
  packed_ = divider.take<double>(plan.packed_);
  scratch_ = divider.take<double>(plan.scratch_);
  operands_ = divider.take<TaylorOperand>(plan.n_operands_);
}

void TaylorPoints::set_constants(const Step& step, const double* numbers) const noexcept {
  for (std::int32_t i = 0; i < step.run.count; ++i) {
    double* to = series(step, i);
    std::fill_n(to, lanes_, 0.0);
    std::fill_n(to + lanes_, lanes_, numbers[i]);
    std::fill_n(to + 2 * lanes_, lanes_, 0.0);
  }
}

void TaylorPoints::set_inputs(const Step& step, int count, const double* coefficients) const noexcept {
  const Size given = plan_.n_coefficients_, inputs = step.run.count;
  for (std::int32_t i = 0; i < step.run.count; ++i) {
    double* to = series(step, i);
    for (Size lane = 0; lane < lanes_; ++lane) {
      const double* from = coefficients + (std::min<Size>(lane, count - 1) * inputs + i) * given;
      Size degree = given - 1;
      while (degree > 0 && from[degree] == 0) --degree;
      to[lane] = static_cast<double>(degree);
      for (int k = 0; k <= step.last; ++k) {
        to[lanes_ * (2 * k + 1) + lane] = from[k];
        to[lanes_ * (2 * k + 2) + lane] = 0;
      }
    }
  }
}

// Elements first, first + stride, ... of an operand into lanes, at one point. The other lanes hold the last one again,
// or zeros.
TaylorOperand TaylorPoints::pack(const TapeOperand& ids, std::int32_t first, std::int32_t stride, int count,
                                 bool with_zeros, double*& to) const noexcept {
  const double* from[taylor_lanes];
  int last[taylor_lanes], longest = 0;
  for (int lane = 0; lane < count; ++lane) {
    const TapeId id = ids[first + stride * lane];
    from[lane] = series(id);
    last[lane] = plan_.step_of(id).last;
    longest = std::max(longest, last[lane]);
  }
  double* rows = to;
  to += taylor_size(longest);
  for (int lane = 0; lane < taylor_lanes; ++lane) {
    const int source = std::min(lane, count - 1), n = lane < count || !with_zeros ? taylor_rows(last[source]) : 0;
    for (int k = 0; k < n; ++k) rows[taylor_lanes * k + lane] = from[source][k];
    for (int k = n; k < taylor_rows(longest); ++k) rows[taylor_lanes * k + lane] = 0;
  }
  return {rows, longest};
}

void TaylorPoints::unpack(const Step& step, std::int32_t first, int count, const double* from) const noexcept {
  for (int lane = 0; lane < count; ++lane) {
    double* to = series(step, first + lane);
    for (int k = 0; k < taylor_rows(step.last); ++k) to[k] = from[taylor_lanes * k + lane];
  }
}

void TaylorPoints::elementwise(const Step& step) const noexcept {
  const TapeRun& run = step.run;
  const int n = run.n_operands();
  for (std::int32_t i = 0; i < run.count; ++i) {
    TaylorOperand abc[3];
    for (int k = 0; k < n; ++k) abc[k] = operand(run.operand[k][i]);
    kernel_.elementwise(run.op, run.aux, abc, {series(step, i), step.last}, scratch_);
  }
}

void TaylorPoints::packed_elementwise(const Step& step) const noexcept {
  const TapeRun& run = step.run;
  const int n = run.n_operands();
  for (std::int32_t i = 0; i < run.count; i += taylor_lanes) {
    const int count = std::min(taylor_lanes, run.count - i);
    TaylorOperand abc[3];
    double* to = packed_;
    for (int k = 0; k < n; ++k) abc[k] = pack(run.operand[k], i, 1, count, false, to);
    kernel_.elementwise(run.op, run.aux, abc, {to, step.last}, scratch_);
    unpack(step, i, count, to);
  }
}

void TaylorPoints::reduce(const Step& step) const noexcept {
  const TapeRun& run = step.run;
  TaylorOperand *a = operands_, *b = operands_ + run.aux;
  for (std::int32_t i = 0; i < run.count; ++i) {
    for (std::int32_t j = 0; j < run.aux; ++j) {
      a[j] = operand(run.operand[0][i * run.aux + j]);
      if (run.n_operands() > 1) b[j] = operand(run.operand[1][i * run.aux + j]);
    }
    kernel_.reduce(run.op, run.aux, false, a, b, {series(step, i), step.last}, scratch_);
  }
}

void TaylorPoints::packed_reduce(const Step& step) const noexcept {
  const TapeRun& run = step.run;
  const bool across = taylor_across(run.count, run.aux);
  TaylorOperand *a = operands_, *b = operands_ + run.aux;
  const std::int32_t step_of_results = across ? 1 : taylor_lanes, step_of_terms = across ? taylor_lanes : 1;
  for (std::int32_t i = 0; i < run.count; i += step_of_results) {
    const int count = std::min(step_of_results, run.count - i);
    double* to = packed_;
    int n = 0;
    for (std::int32_t j = 0; j < run.aux; j += step_of_terms, ++n) {
      const int lanes = across ? std::min(taylor_lanes, run.aux - j) : count;
      const std::int32_t first = i * run.aux + j, stride = across ? 1 : run.aux;
      a[n] = pack(run.operand[0], first, stride, lanes, across, to);
      if (run.n_operands() > 1) b[n] = pack(run.operand[1], first, stride, lanes, across, to);
    }
    kernel_.reduce(run.op, run.aux, across, a, b, {to, step.last}, scratch_);
    unpack(step, i, count, to);
  }
}

// Systems of equations and determinants. At one point all lanes do the same.
void TaylorPoints::whole(const Step& step) const noexcept {
  const TapeRun& run = step.run;
  const Size n = run.aux, matrix = n * n;
  double* to = packed_;
  const auto take = [&](const TapeOperand& ids, std::int32_t i) {
    return lanes_ == 1 ? pack(ids, i, 1, 1, false, to) : operand(ids[i]);
  };
  TaylorOperand *a = operands_, *b = a + matrix;
  for (std::int32_t i = 0; i < matrix; ++i) a[i] = take(run.operand[0], i);
  if (run.op == TapeOp::determinant) {
    const TaylorResult y{lanes_ == 1 ? to : series(step, 0), step.last};
    kernel_.determinant(run.aux, a, y, scratch_);
    if (lanes_ == 1) unpack(step, 0, 1, to);
    return;
  }
  for (std::int32_t i = 0; i < run.count; ++i) b[i] = take(run.operand[1], i);
  static_assert(sizeof(TaylorResult) == sizeof(TaylorOperand));
  TaylorResult* x = reinterpret_cast<TaylorResult*>(b + run.count);
  for (std::int32_t i = 0; i < run.count; ++i) {
    x[i] = {lanes_ == 1 ? to : series(step, i), step.last};
    if (lanes_ == 1) to += taylor_size(step.last);
  }
  kernel_.solve(run.aux, run.count / run.aux, a, b, x, scratch_);
  for (std::int32_t i = 0; lanes_ == 1 && i < run.count; ++i) unpack(step, i, 1, x[i].rows);
}

void TaylorPoints::run(int count, const double* coefficients, const double* const* parameters,
                       TaylorFailure* failure) noexcept {
  for (const Step& step : plan_.steps_) {
    const TapeOp op = step.run.op;
    if (op == TapeOp::constant)
      set_constants(step, plan_.constants_.data() + step.values);
    else if (op == TapeOp::input && step.values > 0)
      set_constants(step, parameters[step.values - 1]);
    else if (op == TapeOp::input)
      set_inputs(step, count, coefficients);
    else if (tape_is_whole(op))
      whole(step);
    else if (tape_reduces(op))
      lanes_ == 1 ? packed_reduce(step) : reduce(step);
    else
      lanes_ == 1 ? packed_elementwise(step) : elementwise(step);
    if (failure != nullptr && step.run.n_operands() > 0 && find_failure(step, *failure)) return;
  }
}

// At one point.
bool TaylorPoints::is_finite(TapeId id) const noexcept {
  const double* rows = series(id);
  return std::all_of(rows + 1, rows + taylor_rows(plan_.step_of(id).last), [](double x) { return std::isfinite(x); });
}

bool TaylorPoints::find_failure(const Step& step, TaylorFailure& failure) const noexcept {
  const TapeRun& run = step.run;
  const bool alone = !tape_is_whole(run.op);
  const std::int32_t terms = tape_reduces(run.op) ? run.aux : 1;
  for (std::int32_t i = 0; i < run.count; ++i) {
    if (is_finite(run.first + i)) continue;
    bool operands_finite = true;
    for (int k = 0; k < run.n_operands(); ++k) {
      const TapeOperand& ids = run.operand[k];
      const std::int32_t from = alone ? i * terms : 0, to = alone ? from + terms : ids.size;
      for (std::int32_t j = from; j < to; ++j) operands_finite = operands_finite && is_finite(ids[j]);
      if (alone && k < 2) failure.operand[k] = series(ids[from])[1];
    }
    if (!operands_finite) continue;
    failure.op = run.op;
    failure.id = run.first + i;
    return true;
  }
  return false;
}

void TaylorPoints::write(int count, double* result) const noexcept {
  const Size n = plan_.n_outputs();
  for (Size j = 0; j < n; ++j) {
    const TapeId id = plan_.outputs_[static_cast<std::size_t>(j)];
    const double* rows = series(id);
    const int last = plan_.step_of(id).last;
    for (Size lane = 0; lane < count; ++lane)
      for (int k = 0; k <= plan_.order_; ++k)
        result[(lane * n + j) * (plan_.order_ + 1) + k] = k <= last ? rows[lanes_ * (2 * k + 1) + lane] : 0;
  }
}

}  // namespace mmlfast::drivers
