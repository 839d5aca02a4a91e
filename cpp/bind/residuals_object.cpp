#include "bind/residuals_object.hpp"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bind/tape_ids.hpp"
#include "bind/tape_program_object.hpp"
#include "drivers/least_squares_differences.hpp"
#include "drivers/least_squares_tape.hpp"
#include "runtime/interrupt.hpp"

namespace mmlfast::bind {
namespace {

using drivers::ResidualFunction;

py::array numbers(py::handle object, Size size, const char* name) {
  auto array = py::reinterpret_steal<py::array>(PyArray_FROMANY(object.ptr(), NPY_DOUBLE, 0, 0, NPY_ARRAY_CARRAY_RO));
  if (!array) throw py::error_already_set();
  if (size >= 0 && array.size() != size)
    throw py::value_error(std::string(name) + " must have " + std::to_string(size) + " elements, it has " +
                          std::to_string(array.size()));
  return array;
}
const double* data_of(const py::array& array) { return static_cast<const double*>(array.data()); }

// Calls on_step(p, cost, evaluations) if there is one; true goes on.
bool tell(const py::object& on_step, const double* p, Size n, double cost, Size evaluations, bool& failed) noexcept {
  if (!on_step || on_step.is_none()) return true;
  try {
    py::array_t<double> x(n);
    std::copy_n(p, n, x.mutable_data());
    return py::cast<bool>(on_step(x, cost, evaluations));
  } catch (py::error_already_set& error) {
    error.restore();
  } catch (const std::exception& error) {
    PyErr_SetString(PyExc_RuntimeError, error.what());
  }
  failed = true;
  return false;
}

// y, weights or a triangle, which both kinds of residuals may have.
struct Data {
  py::array y, weights, whitening;

  Data(Size m, py::handle y_given, py::handle weights_given, py::handle whitening_given) {
    if (!y_given.is_none()) y = numbers(y_given, m, "y");
    if (!weights_given.is_none()) weights = numbers(weights_given, m, "weights");
    if (!whitening_given.is_none()) whitening = numbers(whitening_given, checked_product(m, m), "whitening");
  }
  const double* y_data() const { return y.size() > 0 ? data_of(y) : nullptr; }
  const double* weights_data() const { return weights.size() > 0 ? data_of(weights) : nullptr; }
  const double* whitening_data() const { return whitening.size() > 0 ? data_of(whitening) : nullptr; }
};

// ---- a traced model ----

class BoundTapeResiduals : public Residuals {
 public:
  BoundTapeResiduals(py::object values, py::object jacobian, const py::sequence& data, py::handle y, py::handle weights,
                     py::handle whitening, py::object second, py::object precise)
      : precise_(std::move(precise)),
        programs_{std::move(values), std::move(jacobian), std::move(second)},
        data_(size_of(programs_[0]), y, weights, whitening) {
    drivers::TapeModel model;
    model.values = program(0);
    model.jacobian = program(1);
    model.second = programs_[2].is_none() ? nullptr : program(2);
    if (!precise_.is_none()) model.precise = &py::cast<const drivers::TapeDoubleDouble&>(precise_);
    const auto& groups = model.jacobian->layout().group_sizes;
    if (data.size() + 1 < groups.size()) throw py::value_error("data: an array for each further group of inputs");
    const Size m = model.values->layout().n_outputs, n = model.values->layout().group_sizes[0];
    if (model.jacobian->layout().n_outputs != checked_product(m, n) || groups[0] != n)
      throw py::value_error("jacobian: a program with n x m outputs");
    if (model.precise != nullptr &&
        (model.precise->n_outputs() != m || model.precise->input_groups().size() > data.size() + 2))
      throw py::value_error("precise: of another function");
    for (std::size_t g = 0; g < data.size(); ++g) {
      arrays_.push_back(numbers(data[g], g + 1 < groups.size() ? groups[g + 1] : -1, "data"));
      pointers_.push_back(data_of(arrays_.back()));
    }
    pointers_.push_back(nullptr);
    model.data = pointers_.data();
    model.n_data = static_cast<Size>(data.size());
    model.y = data_.y_data(), model.weights = data_.weights_data(), model.whitening = data_.whitening_data();
    model.callback = tape_callback_of(programs_[model.second == nullptr ? 1 : 2].ptr());
    calls_python_ = model.values->layout().calls_python || model.jacobian->layout().calls_python ||
                    (model.second != nullptr && model.second->layout().calls_python);
    function_ = std::make_unique<Function>(model, *this);
    if (PyErr_Occurred() != nullptr) throw py::error_already_set();
    raise_unless_ok(function_->outcome());
  }

  ResidualFunction& function() noexcept override { return *function_; }
  bool calls_python() const noexcept override { return calls_python_ || (on_step_ && !on_step_.is_none()); }
  void begin(const double*, const double*, py::object on_step) override { on_step_ = std::move(on_step); }

 private:
  class Function : public drivers::TapeResiduals {
   public:
    Function(const drivers::TapeModel& model, BoundTapeResiduals& owner) noexcept
        : drivers::TapeResiduals(model), owner_(owner) {}
    bool go_on(const double* p, double cost, Size evaluations) noexcept override {
      if (!owner_.calls_python()) return !timer_.interrupted();
      bool failed = false;
      return tell(owner_.on_step_, p, n_parameters(), cost, evaluations, failed);
    }

   private:
    BoundTapeResiduals& owner_;
    InterruptTimer timer_;
  };

  static Size size_of(const py::object& object) {
    const drivers::TapeProgram* program = tape_program_of(object.ptr());
    if (program == nullptr) throw py::type_error("values: not a TapeProgram");
    return program->layout().n_outputs;
  }
  const drivers::TapeProgram* program(int k) const {
    const drivers::TapeProgram* found = tape_program_of(programs_[k].ptr());
    if (found == nullptr) throw py::type_error("not a TapeProgram");
    return found;
  }

  py::object precise_, programs_[3];
  Data data_;
  std::vector<py::array> arrays_;
  std::vector<const double*> pointers_;
  py::object on_step_;
  std::unique_ptr<Function> function_;
  bool calls_python_ = false;
};

// ---- functions ----

class CallableResiduals : public Residuals, public ResidualFunction {
 public:
  CallableResiduals(py::object fun, py::object jac, Size m, Size n, py::handle y, py::handle weights,
                    py::handle whitening, py::object model, py::object x)
      : ResidualFunction(m, n),
        fun_(std::move(fun)),
        jac_(std::move(jac)),
        model_(std::move(model)),
        x_(std::move(x)),
        data_(m, y, weights, whitening),
        is_direct_(!model_.is_none() && n <= most_spread) {
    if (m < 0 || n < 1) throw py::value_error("m and n: how many residuals and parameters");
  }
  py::object first() const { return first_; }

  ResidualFunction& function() noexcept override { return *this; }
  bool calls_python() const noexcept override { return true; }
  Size n_difference_evaluations() const noexcept override {
    return differences_ == nullptr ? 0 : differences_->n_evaluations();
  }
  void begin(const double* lower, const double* upper, py::object on_step) override {
    on_step_ = std::move(on_step);
    differences_.reset();
    if (!jac_.is_none()) return;
    differences_ = std::make_unique<drivers::LeastSquaresDifferences>(n_residuals(), n_parameters(), lower, upper);
    if (!*differences_) throw std::bad_alloc();
  }

  bool residuals(const double* p, double* r) noexcept override {
    const Size m = n_residuals();
    if (!call(fun_, p, m, "the function gave %zd values, and %zd are expected")) return false;
    std::copy_n(data_of(value_), m, r);
    if (const double* y = data_.y_data())
      for (Size i = 0; i < m; ++i) r[i] -= y[i];
    weigh(r);
    return true;
  }

  bool jacobian(const double* p, const double* r, double* columns, Size ld) noexcept override {
    if (differences_ != nullptr) return differences_->jacobian(*this, p, r, columns, ld);
    const Size m = n_residuals(), n = n_parameters();
    if (!call(jac_, p, m * n, "jac gave %zd values, and %zd are expected")) return false;
    const double* rows = data_of(value_);
    for (Size j = 0; j < n; ++j) {
      for (Size i = 0; i < m; ++i) columns[j * ld + i] = rows[i * n + j];
      weigh(columns + j * ld);
    }
    return true;
  }

  bool is_exact() const noexcept override { return !jac_.is_none(); }
  double precision() const noexcept override { return single_ ? 0x1p-23 : 0x1p-52; }
  void refine() noexcept override {
    if (differences_ != nullptr) differences_->refine();
  }
  bool go_on(const double* p, double cost, Size evaluations) noexcept override {
    bool failed = false;
    return tell(on_step_, p, n_parameters(), cost, evaluations, failed);
  }

 private:
  // model(x, *p) as it is, if it gives what a model should; false: fun is to be asked, which says what is wrong.
  bool call_directly(const double* p) noexcept {
    if (!is_direct_) return false;
    const Size n = n_parameters();
    PyObject* arguments[most_spread + 1] = {x_.ptr()};
    PyArray_Descr* description = PyArray_DescrFromType(NPY_DOUBLE);
    for (Size k = 0; is_direct_ && k < n; ++k) {
      arguments[k + 1] = PyArray_Scalar(const_cast<double*>(p + k), description, nullptr);
      is_direct_ = arguments[k + 1] != nullptr;
    }
    Py_DECREF(description);
    PyObject* given =
        is_direct_ ? PyObject_Vectorcall(model_.ptr(), arguments, static_cast<std::size_t>(n + 1), nullptr) : nullptr;
    for (Size k = 1; k <= n; ++k) Py_XDECREF(arguments[k]);
    value_ = py::reinterpret_steal<py::array>(given);
    is_direct_ = given != nullptr && PyArray_CheckExact(given) && PyArray_TYPE(as_array(given)) == NPY_DOUBLE &&
                 PyArray_ISCARRAY_RO(as_array(given)) && PyArray_NDIM(as_array(given)) == 1 &&
                 PyArray_SIZE(as_array(given)) == n_residuals();
    if (is_direct_ && first_.is_none())  // a copy: it may give the same array each time
      first_ = py::reinterpret_steal<py::object>(PyArray_NewCopy(as_array(given), NPY_CORDER));
    // It may have wanted to write into x; whatever else it was will be raised again.
    if (given == nullptr && PyErr_ExceptionMatches(PyExc_Exception) != 0) PyErr_Clear();
    return is_direct_;
  }

  bool call(const py::object& f, const double* p, Size size, const char* message) noexcept {
    if (&f == &fun_) {
      if (call_directly(p)) return true;
      if (PyErr_Occurred() != nullptr) return false;
    }
    npy_intp n = n_parameters();
    PyObject* x = PyArray_SimpleNew(1, &n, NPY_DOUBLE);
    if (x == nullptr) return false;
    std::copy_n(p, n, static_cast<double*>(PyArray_DATA(as_array(x))));
    PyObject* given = PyObject_CallOneArg(f.ptr(), x);
    Py_DECREF(x);
    if (given != nullptr && &f == &fun_)
      single_ = PyArray_Check(given) != 0 && PyArray_TYPE(as_array(given)) == NPY_FLOAT;
    PyObject* array = given == nullptr ? nullptr : PyArray_FROMANY(given, NPY_DOUBLE, 0, 0, NPY_ARRAY_CARRAY_RO);
    Py_XDECREF(given);
    if (array == nullptr) return false;
    value_ = py::reinterpret_steal<py::array>(array);
    if (value_.size() == size) return true;
    PyErr_Format(PyExc_ValueError, message, static_cast<Py_ssize_t>(value_.size()), static_cast<Py_ssize_t>(size));
    return false;
  }

  void weigh(double* r) const noexcept {
    drivers::weigh_residuals(data_.weights_data(), data_.whitening_data(), n_residuals(), r);
  }

  static constexpr Size most_spread = 16;

  py::object fun_, jac_, model_, x_, on_step_, first_ = py::none();
  Data data_;
  py::array value_;
  bool is_direct_;
  bool single_ = false;  // does the function give float32?
  std::unique_ptr<drivers::LeastSquaresDifferences> differences_;
};

py::array_t<double> parameters(const ResidualFunction& function, py::handle p) {
  py::array_t<double> x(function.n_parameters());
  std::copy_n(data_of(numbers(p, function.n_parameters(), "p")), function.n_parameters(), x.mutable_data());
  return x;
}
void raise_unless(bool good) {
  if (good) return;
  if (PyErr_Occurred() != nullptr) throw py::error_already_set();
  throw std::bad_alloc();
}

py::array_t<double> residuals_at(Residuals& model, py::handle p) {
  ResidualFunction& function = model.function();
  const py::array_t<double> x = parameters(function, p);
  py::array_t<double> r(function.n_residuals());
  raise_unless(function.residuals(x.data(), r.mutable_data()));
  return r;
}

// m x n, or None if there is nothing but differences.
py::object jacobian_at(Residuals& model, py::handle p) {
  ResidualFunction& function = model.function();
  if (!function.is_exact()) return py::none();
  const py::array_t<double> x = parameters(function, p), r = residuals_at(model, x);
  py::array_t<double> columns({function.n_parameters(), function.n_residuals()});
  raise_unless(function.jacobian(x.data(), r.data(), columns.mutable_data(), function.n_residuals()));
  return columns.attr("T");
}

// (high, low) of the results for an array for each group of inputs.
py::tuple evaluate_precisely(const drivers::TapeDoubleDouble& tape, const py::args& args) {
  const auto& groups = tape.input_groups();
  if (args.size() != groups.size()) throw py::type_error("an array for each group of inputs, please");
  std::vector<py::array> arrays;
  std::vector<const double*> pointers;
  for (std::size_t g = 0; g < groups.size(); ++g) {
    arrays.push_back(numbers(args[g], groups[g], "inputs"));
    pointers.push_back(data_of(arrays.back()));
  }
  if (!tape.is_possible()) throw py::value_error("an operation is not there in double-double");
  std::vector<drivers::Double2> results(static_cast<std::size_t>(tape.n_outputs()));
  if (!tape.evaluate(pointers.data(), results.data())) throw std::bad_alloc();
  py::array_t<double> high(tape.n_outputs()), low(tape.n_outputs());
  for (std::size_t i = 0; i < results.size(); ++i) {
    high.mutable_data()[i] = results[i].high;
    low.mutable_data()[i] = results[i].low;
  }
  return py::make_tuple(high, low);
}

}  // namespace

void add_residuals(py::module_& m) {
  py::class_<drivers::TapeDoubleDouble>(m, "TapeDoubleDouble")
      .def(py::init([](const drivers::TapeGraph& graph, py::handle outputs) {
             return std::make_unique<drivers::TapeDoubleDouble>(graph, TapeArgument(graph, outputs, "outputs", true));
           }),
           py::arg("graph"), py::arg("outputs"), py::keep_alive<1, 2>())
      .def_property_readonly("is_possible", &drivers::TapeDoubleDouble::is_possible)
      .def("__call__", &evaluate_precisely);
  py::class_<Residuals> base(m, "Residuals");
  base.def("residuals", &residuals_at).def("jacobian", &jacobian_at);
  py::class_<BoundTapeResiduals, Residuals>(m, "TapeResiduals")
      .def(py::init<py::object, py::object, const py::sequence&, py::handle, py::handle, py::handle, py::object,
                    py::object>(),
           py::arg("values"), py::arg("jacobian"), py::arg("data") = py::tuple(), py::arg("y") = py::none(),
           py::arg("weights") = py::none(), py::arg("whitening") = py::none(), py::arg("second") = py::none(),
           py::arg("precise") = py::none());
  py::class_<CallableResiduals, Residuals>(m, "CallableResiduals")
      .def(py::init<py::object, py::object, Size, Size, py::handle, py::handle, py::handle, py::object, py::object>(),
           py::arg("fun"), py::arg("jac"), py::arg("m"), py::arg("n"), py::arg("y") = py::none(),
           py::arg("weights") = py::none(), py::arg("whitening") = py::none(), py::arg("model") = py::none(),
           py::arg("x") = py::none())
      .def_property_readonly("first", &CallableResiduals::first);
}

}  // namespace mmlfast::bind
