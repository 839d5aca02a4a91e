#include "bind/errors.hpp"

#include <atomic>
#include <cstring>

#include "bind/gil.hpp"
#include "bind/numpy_api.hpp"
#include "runtime/interrupt.hpp"
#include "runtime/lapack_table.hpp"
#include "runtime/threads.hpp"

namespace mmlfast::bind {
namespace {

// Python runs signal handlers in one thread only. The others need not ask, nor wait for the GIL in order to ask.
std::atomic<unsigned long> main_thread{0};

// Runs pending signal handlers; an exception from one of them stays set in this thread.
bool user_interrupted() {
  if (PyThread_get_thread_ident() != main_thread.load(std::memory_order_relaxed)) return false;
  // What was raised the first time stays: a handler must not run beside it.
  return with_gil([] { return PyErr_Occurred() != nullptr || PyErr_CheckSignals() != 0; });
}

// Of the `threading` module; before that is imported, which takes longer than most of this one, the thread that imports
// this one, as `threading` would say from then on.
unsigned long ident_of_main_thread() {
  PyObject* threading = PyDict_GetItemString(PyImport_GetModuleDict(), "threading");  // borrowed
  if (threading == nullptr) return PyThread_get_thread_ident();
  PyObject* thread = PyObject_CallMethod(threading, "main_thread", nullptr);
  PyObject* ident = thread == nullptr ? nullptr : PyObject_GetAttrString(thread, "ident");
  const unsigned long number = ident == nullptr ? 0 : PyLong_AsUnsignedLong(ident);
  Py_XDECREF(ident);
  Py_XDECREF(thread);
  return number;
}

const LapackTable* import_lapack() {
  PyObject* capsule = attribute_of_module("mmlfast._lapack", "capsule");
  const void* table = capsule == nullptr ? nullptr : PyCapsule_GetPointer(capsule, "mmlfast.lapack_table");
  Py_XDECREF(capsule);  // the module stays in sys.modules, and the table is a static object of it
  return static_cast<const LapackTable*>(table);
}

const LapackTable* load_lapack() { return with_gil(import_lapack); }

// numpy.linalg.LinAlgError, looked up when the module is filled.
PyObject* lin_alg_error = nullptr;

// The stack level of the first line outside of this package.
Py_ssize_t level_of_caller() noexcept {
  Py_ssize_t level = 1;
  PyObject* frame = reinterpret_cast<PyObject*>(PyEval_GetFrame());
  Py_XINCREF(frame);
  while (frame != nullptr && frame != Py_None) {
    PyObject* globals = PyObject_GetAttrString(frame, "f_globals");
    PyObject* name = globals == nullptr ? nullptr : PyMapping_GetItemString(globals, "__name__");
    const char* text = name != nullptr && PyUnicode_Check(name) ? PyUnicode_AsUTF8(name) : nullptr;
    constexpr std::size_t length = 8;
    const bool ours = text != nullptr && std::strncmp(text, "mmlfast.", length) == 0;
    Py_XDECREF(name);
    Py_XDECREF(globals);
    if (!ours) break;
    PyObject* back = PyObject_GetAttrString(frame, "f_back");
    Py_DECREF(frame);
    frame = back;
    ++level;
  }
  Py_XDECREF(frame);
  PyErr_Clear();
  return level;
}

bool warn(Outcome outcome) {
  PyObject* category = attribute_of_module("scipy.linalg", "LinAlgWarning");
  PyObject* number = category == nullptr ? nullptr : PyFloat_FromDouble(outcome.rcond());
  PyObject* text = number == nullptr ? nullptr : PyObject_CallMethod(number, "__format__", "s", ".6g");
  const bool good =
      text != nullptr && PyErr_WarnFormat(category, level_of_caller(),
                                          "Ill-conditioned matrix (rcond=%U): result may not be accurate.", text) == 0;
  Py_XDECREF(text);
  Py_XDECREF(number);
  Py_XDECREF(category);
  return good;
}

}  // namespace

void set_python_error(Outcome outcome, const char* failed_items_message) noexcept {
  switch (outcome.status) {
    case Outcome::Status::ok:
      return;
    case Outcome::Status::failed_items:
      PyErr_SetString(lin_alg_error, failed_items_message);
      return;
    case Outcome::Status::no_memory:
      PyErr_NoMemory();
      return;
    case Outcome::Status::too_large:
      PyErr_SetString(PyExc_ValueError,
                      "the problem is too large for the integers that its rows and columns are counted in");
      return;
    case Outcome::Status::interrupted:
      if (PyErr_Occurred() == nullptr) PyErr_SetNone(PyExc_KeyboardInterrupt);
      return;
    case Outcome::Status::no_lapack:
      if (PyErr_Occurred() == nullptr)
        PyErr_SetString(PyExc_ImportError, "mmlfast._lapack does not fit mmlfast._core: reinstall mmlfast");
      return;
  }
}

void raise_failed_items(const char* message, std::ptrdiff_t first_failed, std::ptrdiff_t n_failed) noexcept {
  PyObject* error = PyObject_CallFunction(lin_alg_error, "s", message);
  PyObject* first = PyLong_FromSsize_t(first_failed);
  PyObject* count = PyLong_FromSsize_t(n_failed);
  if (error != nullptr && first != nullptr && count != nullptr &&
      PyObject_SetAttrString(error, "first_failed", first) == 0 &&
      PyObject_SetAttrString(error, "n_failed", count) == 0)
    PyErr_SetObject(lin_alg_error, error);
  Py_XDECREF(error);
  Py_XDECREF(first);
  Py_XDECREF(count);
}

bool warn_if_ill_conditioned(Outcome outcome) noexcept {
  return !(outcome.rcond() < 1) || take_or_stop([&] { return warn(outcome); });
}

void install_runtime_hooks() {
  lin_alg_error = checked(attribute_of_module("numpy.linalg", "LinAlgError"));
  main_thread = ident_of_main_thread();
  if (PyErr_Occurred() != nullptr) throw PythonError{};
  // The thread that forks is the main one of the child.
  at_fork(nullptr, nullptr, [] { main_thread.store(PyThread_get_thread_ident()); });
  set_interrupt_check(user_interrupted);
  set_lapack_loader(load_lapack);
}

}  // namespace mmlfast::bind
