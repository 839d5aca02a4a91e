#include "bind/pybind.hpp"
#include "bind/registers.hpp"
#include "drivers/linear_fit.hpp"

namespace mmlfast::bind {
namespace {

void require(bool condition, const char* message) {
  if (!condition) throw py::value_error(message);
}

// The stride of an axis in elements; Python has seen to it that it is a whole number of them.
Size stride(const py::array& a, py::ssize_t axis) { return a.strides(axis) / a.itemsize(); }

const std::int64_t* integers(const py::object& x, Size least) {
  if (x.is_none()) return nullptr;
  const py::array a = py::reinterpret_borrow<py::array>(x);
  require(py::isinstance<py::array_t<std::int64_t, py::array::c_style>>(a) && a.ndim() == 1 && a.shape(0) >= least,
          "linear_fit: rows, offsets and sequence must be contiguous int64");
  return static_cast<const std::int64_t*>(a.data());
}

// What a fit is, apart from its rows; from the keyword arguments of linear_fit.
FitShape shape_of(Size columns, Size terms, bool powers, bool intercept) {
  FitShape s{};
  s.columns = columns;
  s.terms = terms;
  s.powers = powers;
  s.intercept = intercept;
  return s;
}

// The arrays of a call: where row 0 of fit 0 is, and how far it is to the next.
template <class T>
void point_at(drivers::LinearFits<T>& c, const py::array& x, const py::array& y, const py::object& weights, Size step) {
  const int x_batch = x.ndim() == 3, y_batch = y.ndim() == 2;
  c.x = static_cast<const T*>(x.data());
  c.y = static_cast<const T*>(y.data());
  c.shape.x_row = stride(x, x_batch);
  c.shape.x_col = stride(x, x_batch + 1);
  c.shape.y_row = stride(y, y_batch);
  c.x_fit = x_batch ? stride(x, 0) : y_batch ? 0 : step * c.shape.x_row;
  c.y_fit = y_batch ? stride(y, 0) : step * c.shape.y_row;
  if (weights.is_none()) return;
  const py::array w = py::reinterpret_borrow<py::array>(weights);
  require(w.itemsize() == 8 && (w.ndim() == 1 || w.ndim() == y.ndim()), "linear_fit: weights must be float64");
  c.weight = static_cast<const double*>(w.data());
  c.shape.weight_row = stride(w, w.ndim() - 1);
  c.weight_fit = w.ndim() == 2 ? stride(w, 0) : y_batch ? 0 : step * c.shape.weight_row;
}

// Checked and converted in Python: x (rows, columns), or (fits, rows, columns); y (rows,), or (fits, rows); both
// native, aligned, float32 or float64 alike; weights float64, shaped like y or (rows,). Without offsets, fit f of a
// table takes `count` rows from row f * step on.
py::array_t<double> linear_fit(const py::array& x, const py::array& y, const py::object& weights,
                               const py::object& rows, const py::object& offsets, const py::object& sequence,
                               Size n_fits, Size count, Size step, Size terms, bool powers, bool intercept,
                               bool omit_nan, double least_distance) {
  require((x.ndim() == 2 || x.ndim() == 3) && (y.ndim() == 1 || y.ndim() == 2) && x.itemsize() == y.itemsize() &&
              terms >= 0 && terms + (intercept ? 1 : 0) > 0 && n_fits >= 0,
          "linear_fit: arguments that do not fit");
  FitShape shape = shape_of(x.shape(x.ndim() - 1), terms, powers, intercept);
  shape.omit_nan = omit_nan;
  shape.least_distance = least_distance;
  Size n_done = n_fits;
  if (!sequence.is_none()) n_done = py::reinterpret_borrow<py::array>(sequence).shape(0);
  return by_float_type(x, [&](auto zero) {
    drivers::LinearFits<decltype(zero)> c{};
    c.shape = shape;
    c.rows = count;
    c.row = integers(rows, 0);
    c.offsets = integers(offsets, n_fits + 1);
    c.sequence = integers(sequence, 0);
    c.n_fits = n_done;
    point_at(c, x, y, weights, step);
    py::array_t<double> record({n_fits, static_cast<Size>(fit_record_length(c.shape))});
    c.record = record.mutable_data();
    run_without_gil([&] { return drivers::linear_fit(c); });
    return record;
  });
}

// The same of one fit of a table: the totals that the kernel's gram(), or gradient(), gives.
py::array_t<double> totals(const py::array& x, const py::array& y, const py::object& weights,
                           const py::array_t<double, py::array::c_style>& known, bool gradient, Size terms, bool powers,
                           bool intercept, bool omit_nan) {
  require(x.ndim() == 2 && y.ndim() == 1 && x.itemsize() == y.itemsize() && x.shape(0) == y.shape(0),
          "linear_fit: arguments that do not fit");
  FitShape shape = shape_of(x.shape(1), terms, powers, intercept);
  shape.omit_nan = omit_nan;
  const Size distinct = powers ? std::min<Size>(terms, 1) : terms, k = shape.coefficients();
  require(known.ndim() == 1 && known.shape(0) == 2 * distinct + 3 + (gradient ? 2 * k : 0), "linear_fit: known");
  return by_float_type(x, [&](auto zero) {
    drivers::LinearFits<decltype(zero)> c{};
    c.shape = shape;
    c.rows = x.shape(0);
    point_at(c, x, y, weights, 0);
    py::array_t<double> sums(fit_totals_length(c.shape, gradient));
    double* to = sums.mutable_data();
    run_without_gil([&] { return drivers::linear_fit_totals(c, known.data(), gradient, to); });
    return sums;
  });
}

Size most_rows(Size columns, Size terms, bool powers, bool intercept) {
  return drivers::most_fit_rows(shape_of(columns, terms, powers, intercept));
}

}  // namespace

void register_linear_fit(PyObject* module) {
  module_of(module).def("linear_fit", &linear_fit);
  module_of(module).def("linear_fit_totals", &totals);
  module_of(module).def("linear_fit_most_rows", &most_rows);
}

}  // namespace mmlfast::bind
