#include "bind/ufunc_call.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "bind/failed_items.hpp"

namespace mmlfast::bind {
namespace {

bool is_array(PyObject* object) { return PyArray_Check(object); }

// False for the types that operands have nearly always: asking an object for an attribute takes longer than the rest.
bool is_dask(PyObject* object) {
  if (is_array(object) || PyFloat_Check(object) || PyLong_Check(object) || PyList_CheckExact(object) ||
      PyArray_CheckScalar(object))
    return false;
  return PyObject_HasAttrString(object, "__dask_graph__") == 1;
}

PyObject* call_lazily(PyObject* function, PyObject* const* args, std::size_t n_args, PyObject* keywords) {
  PyObject* lazily = attribute_of_module("mmlfast._common.lazy", "lazily");
  if (lazily == nullptr) return nullptr;
  const std::size_t n_keywords = keywords == nullptr ? 0 : static_cast<std::size_t>(PyTuple_GET_SIZE(keywords));
  std::vector<PyObject*> all{function};
  all.insert(all.end(), args, args + n_args + n_keywords);
  PyObject* result = PyObject_Vectorcall(lazily, all.data(), n_args + 1, keywords);
  Py_DECREF(lazily);
  return result;
}

// ---- integers ----

bool takes_integers(const BatchedFunctionData& f, std::size_t operand) {
  return std::any_of(f.loops.begin(), f.loops.end(),
                     [&](const TypedLoop& loop) { return PyTypeNum_ISINTEGER(loop.types[operand]); });
}

template <class Integer>
bool is_rounded(Integer value) {
  constexpr Integer exact = Integer{1} << 53;
  if (value <= exact && (value >= Integer{0} || value >= Integer{0} - exact)) return false;
  const double wide = static_cast<double>(value);
  constexpr double end = sizeof(Integer) * 8 == 64 && Integer(-1) > Integer(0) ? 0x1p64 : 0x1p63;
  return wide >= end || static_cast<Integer>(wide) != value;
}

// Sets a TypeError and returns false if float64 would round one of the numbers.
template <class Integer>
bool check_digits(PyArrayObject* array) {
  const Integer* values = static_cast<const Integer*>(PyArray_DATA(array));
  const Integer* end = values + PyArray_SIZE(array);
  const Integer* found = std::find_if(values, end, is_rounded<Integer>);
  if (found == end) return true;
  PyObject* number = Integer(-1) > Integer(0) ? PyLong_FromUnsignedLongLong(static_cast<unsigned long long>(*found))
                                              : PyLong_FromLongLong(static_cast<long long>(*found));
  if (number != nullptr)
    PyErr_Format(PyExc_TypeError, "float64 would round the integer %S (it holds every integer up to 2**53)", number);
  Py_XDECREF(number);
  return false;
}

bool check_digits_of(PyObject* object) {
  const int type = PyArray_TYPE(as_array(object));
  if (!PyTypeNum_ISINTEGER(type) || PyArray_ITEMSIZE(as_array(object)) < 8) return true;
  const bool is_unsigned = PyTypeNum_ISUNSIGNED(type);
  PyObject* plain = PyArray_FROM_OTF(object, is_unsigned ? NPY_UINT64 : NPY_INT64, NPY_ARRAY_CARRAY_RO);
  if (plain == nullptr) return false;
  const bool good =
      is_unsigned ? check_digits<std::uint64_t>(as_array(plain)) : check_digits<std::int64_t>(as_array(plain));
  Py_DECREF(plain);
  return good;
}

// ---- out= in the place of an operand ----

// The addresses of the first byte and of the one after the last.
std::array<const char*, 2> extent(PyArrayObject* array) {
  const char *first = PyArray_BYTES(array), *last = first;
  for (int k = 0; k < PyArray_NDIM(array); ++k) {
    if (PyArray_DIM(array, k) == 0) return {first, first};
    const npy_intp reach = (PyArray_DIM(array, k) - 1) * PyArray_STRIDE(array, k);
    (reach < 0 ? first : last) += reach;
  }
  return {first, last + PyArray_ITEMSIZE(array)};
}

bool may_share_memory(PyObject* one, PyObject* other) {
  if (!is_array(one) || !is_array(other)) return false;
  const auto [a, a_end] = extent(as_array(one));
  const auto [b, b_end] = extent(as_array(other));
  return a < b_end && b < a_end;
}

bool may_share_memory_with_any(PyObject* operand, PyObject* out) {
  if (!PyTuple_Check(out)) return may_share_memory(operand, out);
  for (Py_ssize_t k = 0; k < PyTuple_GET_SIZE(out); ++k)
    if (may_share_memory(operand, PyTuple_GET_ITEM(out, k))) return true;
  return false;
}

// The results that the caller brings: the value of out=, or nullptr. (Positional ones come after the operands.)
PyObject* find_out(PyObject* const* args, std::size_t n_args, PyObject* keywords) {
  const Py_ssize_t n_keywords = keywords == nullptr ? 0 : PyTuple_GET_SIZE(keywords);
  for (Py_ssize_t k = 0; k < n_keywords; ++k)
    if (PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(keywords, k), "out") == 0)
      return args[n_args + static_cast<std::size_t>(k)];
  return nullptr;
}

// Calls the ufunc of f, and if some items have no answer, raises an error that says which is the first.
PyObject* call_and_name_failed(const BatchedFunctionData& f, PyObject* const* args, std::size_t n_args_and_flag,
                               PyObject* keywords) {
  if (f.failed_items_message == nullptr) return PyObject_Vectorcall(f.ufunc, args, n_args_and_flag, keywords);
  FailedItems failed(f);
  PyObject* result = PyObject_Vectorcall(f.ufunc, args, n_args_and_flag, keywords);
  if (result == nullptr || !failed.any()) return result;
  const bool in_order = failed.in_order(result);
  Py_DECREF(result);
  if (in_order) return failed.raise(), nullptr;
  // NumPy visits operands in the order in which they lie in memory: once more with operands in C order.
  std::vector<PyObject*> plain;
  bool good = true;
  for (int k = 0; k < f.n_in && good; ++k) {
    plain.push_back(PyArray_FROM_OF(args[k], NPY_ARRAY_C_CONTIGUOUS | NPY_ARRAY_ENSUREARRAY));
    good = plain.back() != nullptr;
  }
  if (good) {
    FailedItems ordered(f);
    result = PyObject_Vectorcall(f.ufunc, plain.data(), plain.size(), nullptr);
    if (result != nullptr) (ordered.any() ? ordered : failed).raise();
    Py_XDECREF(result);
  }
  for (PyObject* array : plain) Py_XDECREF(array);
  return nullptr;
}

PyObject* call_with_results(const BatchedFunctionData& f, PyObject* const* args, std::size_t n_args, PyObject* keywords,
                            PyObject* out) {
  const std::size_t n_in = std::min(n_args, static_cast<std::size_t>(f.n_in));
  const std::size_t n_keywords = keywords == nullptr ? 0 : static_cast<std::size_t>(PyTuple_GET_SIZE(keywords));
  std::vector<PyObject*> all(args, args + n_args + n_keywords);
  std::vector<PyObject*> copies;  // let go of below, and not where a stack is unwound that may not have the GIL
  bool good = true;
  for (std::size_t k = 0; k < n_in && good; ++k) {
    bool shared = out != nullptr && may_share_memory_with_any(args[k], out);
    for (std::size_t j = n_in; j < n_args && !shared; ++j) shared = may_share_memory(args[k], args[j]);
    if (!shared) continue;
    all[k] = PyArray_NewCopy(as_array(args[k]), NPY_KEEPORDER);
    good = all[k] != nullptr;
    if (good) copies.push_back(all[k]);
  }
  PyObject* result = good ? call_and_name_failed(f, all.data(), n_args, keywords) : nullptr;
  for (PyObject* copy : copies) Py_DECREF(copy);
  return result;
}

}  // namespace

PyObject* call_ufunc(PyObject* function, const BatchedFunctionData& f, PyObject* const* args,
                     std::size_t n_args_and_flag, PyObject* keywords) {
  const std::size_t n_args = static_cast<std::size_t>(PyVectorcall_NARGS(n_args_and_flag));
  const std::size_t n_in = std::min(n_args, static_cast<std::size_t>(f.n_in));
  for (std::size_t k = 0; k < n_in; ++k) {
    if (is_dask(args[k])) return call_lazily(function, args, n_args, keywords);
    if (is_array(args[k]) && !takes_integers(f, k) && !check_digits_of(args[k])) return nullptr;
  }
  PyObject* out = find_out(args, n_args, keywords);
  if (out != nullptr && is_dask(out)) {
    PyErr_SetString(PyExc_TypeError, "out must be a NumPy array, got a Dask array: without out= the result is one");
    return nullptr;
  }
  if (out != nullptr || n_args > n_in) return call_with_results(f, args, n_args, keywords, out);
  return call_and_name_failed(f, args, n_args_and_flag, keywords);
}

}  // namespace mmlfast::bind
