#include "bind/gufunc.hpp"

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <string>

#include "bind/batched_function.hpp"
#include "bind/errors.hpp"
#include "bind/failed_items.hpp"
#include "bind/gil.hpp"
#include "runtime/float_flags.hpp"
#include "runtime/interrupt.hpp"

namespace mmlfast::bind {
namespace {

// Set by a loop of this thread that failed. NumPy goes on with the other pieces of a batch that does not lie at
// constant strides, and only looks for an error at the end: what comes after an error returns at once.
thread_local bool failed_before = false;

bool error_is_pending() {
  if (!failed_before) return false;
  failed_before = with_gil([] { return PyErr_Occurred() != nullptr; });
  return failed_before;
}

// Ctrl-C between the pieces of a batch; the drivers ask within a piece. Reads the clock once in many calls.
bool interrupted_between_pieces() {
  thread_local unsigned calls = 0;
  return (++calls & 63) == 0 && InterruptTimer().interrupted();
}

// The items times all core dimensions, as far as it takes to see that it is much.
Size work_size(const npy_intp* dimensions, int n_core_dimensions) noexcept {
  Size size = dimensions[0];
  for (int k = 0; k < n_core_dimensions && size <= 4096; ++k) size *= std::max<npy_intp>(dimensions[1 + k], 1);
  return size;
}

void run_loop(char** args, const npy_intp* dimensions, const npy_intp* steps, void* raw) {
  if (error_is_pending()) return;
  const TypedLoop& loop = *static_cast<const TypedLoop*>(raw);
  const BatchedFunctionData& f = *loop.function;
  GufuncFrame frame(args, dimensions, steps, f.n_operands());
  Outcome outcome;
  {
    // NumPy lets go of the GIL only if the batch has many items. One large item is work enough.
    const ReleasedGil released(work_size(dimensions, f.n_core_dimensions) > 4096 && PyGILState_Check());
    outcome = loop.body(frame);
  }
  if (interrupted_between_pieces()) outcome.join({Outcome::Status::interrupted});
  clear_float_flags();
  FailedItems* failed = FailedItems::of(f);
  if (failed != nullptr) failed->add(loop, args, dimensions, steps, outcome);
  if (outcome.ok() && outcome.rcond() == 1) return;
  const bool raises = failed == nullptr && f.failed_items_message != nullptr;
  if (outcome.status == Outcome::Status::failed_items && !raises) return;
  failed_before = with_gil([&] {
    if (outcome.ok()) return !warn_if_ill_conditioned(outcome);
    set_python_error(outcome, f.failed_items_message);
    return true;
  });
}

char type_number(char c) {
  switch (c) {
    case 'd':
      return NPY_DOUBLE;
    case 'f':
      return NPY_FLOAT;
    case 'i':
      return NPY_INT32;
    case 'q':
      return NPY_INT64;
    case 'Q':
      return NPY_UINT64;
    case '?':
      return NPY_BOOL;
    default:
      throw std::logic_error(std::string("gufunc type ") + c);
  }
}

// Splits "(n,n),(n,m)->(n,m)" into the core dimensions of each operand.
void read_signature(const std::string& signature, BatchedFunctionData& f) {
  std::vector<std::string> names;
  std::string name;
  int operand = -1;
  for (const char c : signature) {
    if (c == '(') {
      ++operand;
    } else if (c == '>') {
      f.n_in = operand + 1;
    } else if (c == ',' || c == ')') {
      if (name.empty()) continue;  // a comma between operands, or "()"
      const auto known = std::find(names.begin(), names.end(), name);
      CoreDimensions& core = f.core_dimensions.at(static_cast<std::size_t>(operand));
      core.number.at(static_cast<std::size_t>(core.count++)) = static_cast<int>(known - names.begin());
      if (known == names.end()) names.push_back(name);
      name.clear();
    } else if (c != '-') {
      name += c;
    }
  }
  f.n_out = operand + 1 - f.n_in;
  f.n_core_dimensions = static_cast<int>(names.size());
  if (f.n_operands() > most_operands || f.n_core_dimensions > most_core_dimensions)
    throw std::logic_error("too many operands for a batched function: " + f.name);
}

void read_types(const GufuncLoop& loop, TypedLoop& typed) {
  std::size_t operand = 0;
  for (const char* c = loop.types; *c != '\0'; ++c)
    if (*c != '-' && *c != '>') typed.types.at(operand++) = type_number(*c == 't' ? loop.element : *c);
  if (operand != static_cast<std::size_t>(typed.function->n_operands()))
    throw std::logic_error("types and signature do not fit: " + typed.function->name);
}

void add(PyObject* module, const GufuncSpec& spec, std::span<const GufuncLoop> loops, const char* suffix,
         const char* failed_items_message) {
  auto* f = new BatchedFunctionData(std::string(spec.name) + suffix, failed_items_message);  // never deleted
  read_signature(spec.signature, *f);
  const std::size_t n = loops.size(), n_operands = static_cast<std::size_t>(f->n_operands());
  f->loops.resize(n);
  auto* functions = new PyUFuncGenericFunction[n];  // NumPy keeps these three
  auto* data = new void*[n];
  auto* types = new char[n * n_operands];
  for (std::size_t k = 0; k < n; ++k) {
    f->loops[k] = {loops[k].body, {}, f};
    read_types(loops[k], f->loops[k]);
    std::copy_n(f->loops[k].types.data(), n_operands, types + k * n_operands);
    functions[k] = run_loop;
    data[k] = &f->loops[k];
  }
  f->ufunc = checked(PyUFunc_FromFuncAndDataAndSignature(functions, data, types, static_cast<int>(n), f->n_in, f->n_out,
                                                         PyUFunc_None, f->name.c_str(), "", 0, spec.signature));
  add_to_module(module, f->name.c_str(), make_batched_function(f));
}

}  // namespace

void add_gufunc(PyObject* module, const GufuncSpec& spec, std::span<const GufuncLoop> loops) {
  add(module, spec, loops, "", spec.failed_items_message);
  if (spec.failed_items_message != nullptr) add(module, spec, loops, "_nan", nullptr);
}

}  // namespace mmlfast::bind
