#include "bind/batched_function.hpp"

#include <structmember.h>  // T_PYSSIZET: Python.h has names of its own for these only from 3.12 on

#include <algorithm>
#include <cstddef>
#include <stdexcept>

#include "bind/ufunc_call.hpp"

namespace mmlfast::bind {
namespace {

struct BatchedFunction {
  PyObject_HEAD vectorcallfunc call;
  const BatchedFunctionData* data;
};

PyObject* call(PyObject* self, PyObject* const* args, std::size_t n_args_and_flag, PyObject* keywords) {
  const BatchedFunctionData& f = *reinterpret_cast<BatchedFunction*>(self)->data;
  ShortCall done;
  if (PyVectorcall_NARGS(n_args_and_flag) == f.n_in && keywords == nullptr)
    done = short_call(f, args, nullptr, Integers::numpy);
  if (!done.taken) return call_ufunc(self, f, args, n_args_and_flag, keywords);
  if (!done.outcome.ok()) {
    set_python_error(done.outcome, f.failed_items_message);
  } else if (done.outcome.rcond != 1 && !warn_if_ill_conditioned(done.outcome)) {
    Py_CLEAR(done.value);
  }
  return done.value;
}

PyObject* get_ufunc(PyObject* self, void*) {
  PyObject* ufunc = reinterpret_cast<BatchedFunction*>(self)->data->ufunc.ptr();
  Py_INCREF(ufunc);
  return ufunc;
}

PyObject* represent(PyObject* self) {
  return PyUnicode_FromFormat("<mmlfast batched function '%s'>",
                              reinterpret_cast<BatchedFunction*>(self)->data->name.c_str());
}

PyTypeObject* make_type() {
  static PyMemberDef members[] = {
      {"__vectorcalloffset__", T_PYSSIZET, offsetof(BatchedFunction, call), READONLY, nullptr}, {}};
  static PyGetSetDef properties[] = {{"ufunc", get_ufunc, nullptr, "The generalized ufunc.", nullptr}, {}};
  static PyType_Slot slots[] = {{Py_tp_call, reinterpret_cast<void*>(PyVectorcall_Call)},
                                {Py_tp_repr, reinterpret_cast<void*>(represent)},
                                {Py_tp_members, members},
                                {Py_tp_getset, properties},
                                {Py_tp_doc, const_cast<char*>("A batched function of mmlfast.")},
                                {0, nullptr}};
  static PyType_Spec spec = {"mmlfast._core.BatchedFunction", sizeof(BatchedFunction), 0,
                             Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                             slots};
  return reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
}

PyTypeObject* the_type() {
  static PyTypeObject* type = make_type();
  if (type == nullptr) throw py::error_already_set();
  return type;
}

}  // namespace

std::vector<std::vector<int>> parse_signature(const std::string& signature, int& n_core_dimensions) {
  std::vector<std::vector<int>> operands;
  std::vector<std::string> names;
  std::string name;
  for (const char c : signature) {
    if (c == '(') {
      operands.emplace_back();
    } else if (c == ',' || c == ')') {
      if (name.empty()) continue;  // a comma between operands, or "()"
      const auto known = std::find(names.begin(), names.end(), name);
      operands.back().push_back(static_cast<int>(known - names.begin()));
      if (known == names.end()) names.push_back(name);
      name.clear();
    } else if (c != '-' && c != '>' && c != ' ') {
      name += c;
    }
  }
  n_core_dimensions = static_cast<int>(names.size());
  return operands;
}

const BatchedFunctionData* data_of_batched_function(PyObject* object) {
  return Py_IS_TYPE(object, the_type()) ? reinterpret_cast<BatchedFunction*>(object)->data : nullptr;
}

py::object batched_function_type() {
  return py::reinterpret_borrow<py::object>(reinterpret_cast<PyObject*>(the_type()));
}

py::object make_batched_function(BatchedFunctionData* data) {
  if (data->n_in + data->n_out > most_operands || data->n_core_dimensions > most_core_dimensions)
    throw std::logic_error("too many operands for a batched function: " + data->name);
  BatchedFunction* f = PyObject_New(BatchedFunction, the_type());
  if (f == nullptr) throw py::error_already_set();
  f->call = call;
  f->data = data;
  return py::reinterpret_steal<py::object>(reinterpret_cast<PyObject*>(f));
}

}  // namespace mmlfast::bind
