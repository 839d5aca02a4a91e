#include "bind/gufunc.hpp"
#include "bind/registers.hpp"
#include "drivers/projection.hpp"

namespace mmlfast::bind {
namespace {

// The core dimensions d and m are numbers 0 and 1 of every signature.
template <class T>
class Operands {
 public:
  Operands(ProjectionStep step, GufuncFrame& f) : frame_(f) {
    projection_.step = step;
    projection_.n_items = f.n_items();
  }
  Operands& in_matrix(int rows, int cols) { return in(frame_.matrix<const T>(rows, cols)); }
  Operands& in_vector(int rows) { return in(frame_.column<const T>(rows)); }
  Operands& out_matrix(int rows, int cols) { return out(frame_.matrix<T>(rows, cols)); }
  Operands& out_vector(int rows) { return out(frame_.column<T>(rows)); }
  Outcome run() const { return drivers::projection<T>(projection_); }

 private:
  Operands& in(const Batch<const T>& batch) {
    projection_.in[projection_.n_in++] = batch;
    return *this;
  }
  Operands& out(const Batch<T>& batch) {
    projection_.out[projection_.n_out++] = batch;
    return *this;
  }

  GufuncFrame& frame_;
  drivers::ProjectionCall<T> projection_{};
};

template <class T>
Outcome residual(GufuncFrame& f) {
  const auto x = f.column<const T>(0);
  const auto q = f.matrix<const double>(0, 1);
  return drivers::projection_residual<T>(f.n_items(), x, q, f.number<double>());
}

}  // namespace

void register_projection(PyObject* m) {
  using Step = ProjectionStep;
  add_gufunc(m, {"projection_to_metric", "(d,m),(d,d)->(d,m)", nullptr}, floats("tt->t", []<class T>(GufuncFrame& f) {
               return Operands<T>(Step::to_metric, f).in_matrix(0, 1).in_matrix(0, 0).out_matrix(0, 1).run();
             }));
  add_gufunc(m, {"projection_to_weighted", "(d,m),(d)->(d,m)", nullptr}, floats("tt->t", []<class T>(GufuncFrame& f) {
               return Operands<T>(Step::to_metric, f).in_matrix(0, 1).in_vector(0).out_matrix(0, 1).run();
             }));
  add_gufunc(m, {"projection_from_metric", "(d,m),(d,d)->(d,m),(d,m)", nullptr},
             floats("tt->tt", []<class T>(GufuncFrame& f) {
               Operands<T> operands(Step::from_metric, f);
               return operands.in_matrix(0, 1).in_matrix(0, 0).out_matrix(0, 1).out_matrix(0, 1).run();
             }));
  add_gufunc(m, {"projection_from_weighted", "(d,m),(d)->(d,m),(d,m)", nullptr},
             floats("tt->tt", []<class T>(GufuncFrame& f) {
               Operands<T> operands(Step::from_metric, f);
               return operands.in_matrix(0, 1).in_vector(0).out_matrix(0, 1).out_matrix(0, 1).run();
             }));
  add_gufunc(m, {"projection_dual", "(d,m),(d,m),(d,m)->(d,m)", nullptr}, floats("ttt->t", []<class T>(GufuncFrame& f) {
               Operands<T> operands(Step::dual, f);
               return operands.in_matrix(0, 1).in_matrix(0, 1).in_matrix(0, 1).out_matrix(0, 1).run();
             }));
  add_gufunc(m, {"projection_apply", "(d),(d,m),(d,m)->(d)", nullptr}, floats("ttt->t", []<class T>(GufuncFrame& f) {
               return Operands<T>(Step::apply, f).in_vector(0).in_matrix(0, 1).in_matrix(0, 1).out_vector(0).run();
             }));
  add_gufunc(m, {"projection_coordinates", "(d),(d,m)->(m)", nullptr}, floats("tt->t", []<class T>(GufuncFrame& f) {
               return Operands<T>(Step::coordinates, f).in_vector(0).in_matrix(0, 1).out_vector(1).run();
             }));
  add_gufunc(m, {"projection_matrix", "(d,m),(d,m)->(d,d)", nullptr}, floats("tt->t", []<class T>(GufuncFrame& f) {
               return Operands<T>(Step::matrix, f).in_matrix(0, 1).in_matrix(0, 1).out_matrix(0, 0).run();
             }));
  const auto length = []<class T>(GufuncFrame& f) { return residual<T>(f); };
  const std::array residuals{loop_of<float>('f', "td->d", length), loop_of<double>('d', "td->d", length)};
  add_gufunc(m, {"projection_residual", "(d),(d,m)->()", nullptr}, residuals);
}

}  // namespace mmlfast::bind
