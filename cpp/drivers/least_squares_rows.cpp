#include "drivers/least_squares_rows.hpp"

#include <cmath>

namespace mmlfast::drivers {

RowResiduals::RowResiduals(const RowModel& model) noexcept
    : TracedResiduals(model.m, model.values->layout().group_sizes[1]), model_(model) {
  if (!derivatives_) outcome_ = {Outcome::Status::no_memory};
}

bool RowResiduals::residuals(const double* p, double* r) noexcept {
  const double* parameters[] = {p, model_.fixed};
  outcome_.join(evaluate_tape_batch(*model_.values, model_.m, model_.x, parameters, r, model_.callback));
  if (!outcome_.ok()) return false;
  for (Size i = 0; i < model_.m; ++i) r[i] -= model_.y[i];
  weigh(r);
  return true;
}

bool RowResiduals::jacobian(const double* p, const double*, double* columns, Size ld) noexcept {
  const double* parameters[] = {p, model_.fixed};
  double* rows = derivatives_.data();
  outcome_.join(evaluate_tape_batch(*model_.jacobian, model_.m, model_.x, parameters, rows, model_.callback));
  if (!outcome_.ok()) return false;
  const Size n = n_parameters();
  for (Size j = 0; j < n; ++j) {
    double* column = columns + j * ld;
    for (Size i = 0; i < model_.m; ++i) column[i] = rows[i * n + j];
    weigh(column);
  }
  return true;
}

ResidualFunction::Answer RowResiduals::second_derivative(const double* p, const double* v, double* r_vv) noexcept {
  const double* parameters[] = {p, model_.fixed == nullptr ? v : model_.fixed, v};
  outcome_.join(evaluate_tape_batch(*model_.second, model_.m, model_.x, parameters, r_vv, model_.callback));
  if (!outcome_.ok()) return Answer::stop;
  weigh(r_vv);
  return Answer::yes;
}

ResidualFunction::Answer RowResiduals::precise_residuals(const double* p, double* r) noexcept {
  constexpr Size most_operations = 1 << 21;  // about a second
  if (!model_.precise->is_possible() || model_.precise->n_operations() > most_operations / (model_.m + 1))
    return Answer::no;
  const Size k = model_.values->layout().group_sizes[0];
  for (Size i = 0; i < model_.m; ++i) {
    const double* groups[] = {model_.x + i * k, p, model_.fixed};
    Double2 value;
    if (!model_.precise->evaluate(groups, &value)) return Answer::no;
    r[i] = (value - model_.y[i]).high;
    if (!std::isfinite(r[i])) return Answer::no;
  }
  weigh(r);
  return Answer::yes;
}

}  // namespace mmlfast::drivers
