#include "drivers/least_squares_tape.hpp"

#include <algorithm>
#include <cmath>

namespace mmlfast::drivers {

TapeResiduals::TapeResiduals(const TapeModel& model) noexcept
    : TracedResiduals(model.values->layout().n_outputs, model.values->layout().group_sizes[0]),
      model_(model),
      values_(*model.values, model.data, model.callback),
      jacobian_(*model.jacobian, model.data, model.callback),
      data_(model.n_data + 1) {
  outcome_ = values_.outcome();
  outcome_.join(jacobian_.outcome());
  if (!derivatives_ || !data_)
    outcome_ = {Outcome::Status::no_memory};
  else
    std::copy_n(model.data, model.n_data, data_.data());
}

void weigh_residuals(const double* weights, const double* whitening, Size m, double* r) noexcept {
  if (weights != nullptr)
    for (Size i = 0; i < m; ++i) r[i] *= weights[i];
  if (whitening == nullptr) return;
  for (Size i = 0; i < m; ++i) {
    const double* row = whitening + i * m;
    double sum = r[i];
    for (Size j = 0; j < i; ++j) sum -= row[j] * r[j];
    r[i] = sum / row[i];
  }
}

void TapeResiduals::weigh(double* r) const noexcept {
  weigh_residuals(model_.weights, model_.whitening, n_residuals(), r);
}

bool TapeResiduals::residuals(const double* p, double* r) noexcept {
  outcome_.join(values_(p, r));
  if (!outcome_.ok()) return false;
  if (model_.y != nullptr)
    for (Size i = 0; i < n_residuals(); ++i) r[i] -= model_.y[i];
  weigh(r);
  return true;
}

bool TapeResiduals::jacobian(const double* p, const double*, double* columns, Size ld) noexcept {
  outcome_.join(jacobian_(p, derivatives_.data()));
  if (!outcome_.ok()) return false;
  for (Size j = 0; j < n_parameters(); ++j) {
    std::copy_n(derivatives_.data() + j * n_residuals(), n_residuals(), columns + j * ld);
    weigh(columns + j * ld);
  }
  return true;
}

ResidualFunction::Answer TapeResiduals::second_derivative(const double* p, const double* v, double* r_vv) noexcept {
  if (model_.second == nullptr) return Answer::no;
  data_[model_.n_data] = v;
  outcome_.join(evaluate_tape(*model_.second, p, data_.data(), r_vv, model_.callback));
  if (!outcome_.ok()) return Answer::stop;
  weigh(r_vv);
  return Answer::yes;
}

// Weights are of the size of their roundings, but a triangle mixes: its sums are as float64 has them.
ResidualFunction::Answer TapeResiduals::precise_residuals(const double* p, double* r) noexcept {
  constexpr Size most_operations = 1 << 21;  // about a second
  if (model_.precise == nullptr || !model_.precise->is_possible() || model_.precise->n_operations() > most_operations)
    return Answer::no;
  const Size m = n_residuals();
  if (!precise_) precise_ = AlignedBuffer<Double2>(m);
  AlignedBuffer<const double*> groups(model_.n_data + 2);
  if (!precise_ || !groups) return Answer::no;
  groups[0] = p;
  std::copy_n(model_.data, model_.n_data, groups.data() + 1);
  if (!model_.precise->evaluate(groups.data(), precise_.data())) return Answer::no;
  for (Size i = 0; i < m; ++i) {
    r[i] = (model_.y == nullptr ? precise_[i] : precise_[i] - model_.y[i]).high;
    if (!std::isfinite(r[i])) return Answer::no;
  }
  weigh(r);
  return Answer::yes;
}

}  // namespace mmlfast::drivers
