#include "bind/batched_function.hpp"

#include <structmember.h>  // T_PYSSIZET: Python.h has names of its own for these only from 3.12 on

#include <cstddef>

#include "bind/errors.hpp"
#include "bind/fast_path.hpp"
#include "bind/ufunc_call.hpp"

namespace mmlfast::bind {
namespace {

struct BatchedFunction {
  PyObject_HEAD vectorcallfunc call;
  const BatchedFunctionData* data;
};

PyTypeObject* type = nullptr;

const BatchedFunctionData& data_of(PyObject* self) noexcept { return *reinterpret_cast<BatchedFunction*>(self)->data; }

PyObject* call(PyObject* self, PyObject* const* args, std::size_t n_args_and_flag, PyObject* keywords) {
  const BatchedFunctionData& f = data_of(self);
  if (keywords == nullptr && is_one_item(f, args, PyVectorcall_NARGS(n_args_and_flag))) {
    const FastCall done = fast_call(f, args, nullptr, Integers::numpy);
    if (done.taken) {
      if (!done.outcome.ok()) {
        set_python_error(done.outcome, f.failed_items_message);
      } else if (done.outcome.rcond() != 1 && !warn_if_ill_conditioned(done.outcome)) {
        Py_XDECREF(done.value);
        return nullptr;
      }
      return done.value;
    }
  }
  return call_ufunc(self, f, args, n_args_and_flag, keywords);
}

PyObject* get_ufunc(PyObject* self, void*) {
  Py_INCREF(data_of(self).ufunc);
  return data_of(self).ufunc;
}

PyObject* represent(PyObject* self) {
  return PyUnicode_FromFormat("<mmlfast batched function '%s'>", data_of(self).name.c_str());
}

}  // namespace

void add_batched_function_type(PyObject* module) {
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
  type = add_type(module, spec, "BatchedFunction");
}

const BatchedFunctionData* data_of_batched_function(PyObject* object) noexcept {
  return Py_IS_TYPE(object, type) ? &data_of(object) : nullptr;
}

PyObject* make_batched_function(const BatchedFunctionData* data) {
  BatchedFunction* f = PyObject_New(BatchedFunction, type);
  if (f == nullptr) throw PythonError{};
  f->call = call;
  f->data = data;
  return reinterpret_cast<PyObject*>(f);
}

}  // namespace mmlfast::bind
