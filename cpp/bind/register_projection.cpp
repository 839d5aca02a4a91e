#include "bind/gufunc.hpp"
#include "bind/registers.hpp"
#include "drivers/projection.hpp"

namespace mmlfast::bind {
namespace {

// The core dimensions d and m are numbers 0 and 1 of every signature.
template <class T>
class Operands {
 public:
  Operands(ProjectionStep step, GufuncCall<T>& call) : call_(call) {
    projection_.step = step;
    projection_.n_items = call.n_items();
  }
  Operands& in_matrix(int rows, int cols) {
    projection_.in[projection_.n_in++] = call_.template matrix<const T>(rows, cols);
    return *this;
  }
  Operands& in_vector(int rows) {
    projection_.in[projection_.n_in++] = call_.template column<const T>(rows);
    return *this;
  }
  Operands& out_matrix(int rows, int cols) {
    projection_.out[projection_.n_out++] = call_.template matrix<T>(rows, cols);
    return *this;
  }
  Operands& out_vector(int rows) {
    projection_.out[projection_.n_out++] = call_.template column<T>(rows);
    return *this;
  }
  Outcome run() const { return drivers::projection<T>(projection_); }

 private:
  GufuncCall<T>& call_;
  drivers::ProjectionCall<T> projection_{};
};

template <class T>
Outcome to_metric(GufuncCall<T>& call) {
  return Operands<T>(ProjectionStep::to_metric, call).in_matrix(0, 1).in_matrix(0, 0).out_matrix(0, 1).run();
}
template <class T>
Outcome to_weighted(GufuncCall<T>& call) {
  return Operands<T>(ProjectionStep::to_metric, call).in_matrix(0, 1).in_vector(0).out_matrix(0, 1).run();
}
template <class T>
Outcome from_metric(GufuncCall<T>& call) {
  return Operands<T>(ProjectionStep::from_metric, call)
      .in_matrix(0, 1)
      .in_matrix(0, 0)
      .out_matrix(0, 1)
      .out_matrix(0, 1)
      .run();
}
template <class T>
Outcome from_weighted(GufuncCall<T>& call) {
  return Operands<T>(ProjectionStep::from_metric, call)
      .in_matrix(0, 1)
      .in_vector(0)
      .out_matrix(0, 1)
      .out_matrix(0, 1)
      .run();
}
template <class T>
Outcome dual(GufuncCall<T>& call) {
  return Operands<T>(ProjectionStep::dual, call).in_matrix(0, 1).in_matrix(0, 1).in_matrix(0, 1).out_matrix(0, 1).run();
}
template <class T>
Outcome apply(GufuncCall<T>& call) {
  return Operands<T>(ProjectionStep::apply, call).in_vector(0).in_matrix(0, 1).in_matrix(0, 1).out_vector(0).run();
}
template <class T>
Outcome coordinates(GufuncCall<T>& call) {
  return Operands<T>(ProjectionStep::coordinates, call).in_vector(0).in_matrix(0, 1).out_vector(1).run();
}
template <class T>
Outcome matrix(GufuncCall<T>& call) {
  return Operands<T>(ProjectionStep::matrix, call).in_matrix(0, 1).in_matrix(0, 1).out_matrix(0, 0).run();
}

}  // namespace

void register_projection(py::module_& m) {
  add_gufunc(m, {"projection_to_metric", "(d,m),(d,d)->(d,m)", nullptr}, MMLFAST_LOOPS(to_metric, "dd->d", "ff->f"));
  add_gufunc(m, {"projection_to_weighted", "(d,m),(d)->(d,m)", nullptr}, MMLFAST_LOOPS(to_weighted, "dd->d", "ff->f"));
  add_gufunc(m, {"projection_from_metric", "(d,m),(d,d)->(d,m),(d,m)", nullptr},
             MMLFAST_LOOPS(from_metric, "dd->dd", "ff->ff"));
  add_gufunc(m, {"projection_from_weighted", "(d,m),(d)->(d,m),(d,m)", nullptr},
             MMLFAST_LOOPS(from_weighted, "dd->dd", "ff->ff"));
  add_gufunc(m, {"projection_dual", "(d,m),(d,m),(d,m)->(d,m)", nullptr}, MMLFAST_LOOPS(dual, "ddd->d", "fff->f"));
  add_gufunc(m, {"projection_apply", "(d),(d,m),(d,m)->(d)", nullptr}, MMLFAST_LOOPS(apply, "ddd->d", "fff->f"));
  add_gufunc(m, {"projection_coordinates", "(d),(d,m)->(m)", nullptr}, MMLFAST_LOOPS(coordinates, "dd->d", "ff->f"));
  add_gufunc(m, {"projection_matrix", "(d,m),(d,m)->(d,d)", nullptr}, MMLFAST_LOOPS(matrix, "dd->d", "ff->f"));
}

}  // namespace mmlfast::bind
