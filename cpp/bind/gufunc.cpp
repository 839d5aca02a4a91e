#include "bind/gufunc.hpp"

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <string>

#include "bind/batched_function.hpp"
#include "runtime/float_flags.hpp"
#include "runtime/interrupt.hpp"

namespace mmlfast::bind {
namespace {

// What the inner loop gets to know besides the arrays. Lives as long as the process, like the
// gufunc.
struct LoopData {
  Outcome (*body)(GufuncFrame&);
  const char* message;  // nullptr: failed items are not an error
  int n_operands, n_core_dimensions;
};

struct GufuncData {
  std::string name, doc;
  std::vector<LoopData> loops;
  std::vector<PyUFuncGenericFunction> functions;
  std::vector<void*> data;
  std::vector<char> types;
};

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
  const LoopData& data = *static_cast<const LoopData*>(raw);
  GufuncFrame frame(args, dimensions, steps, data.n_operands);
  Outcome outcome;
  {
    // NumPy lets go of the GIL only if the batch has many items. One large item is work enough.
    const ReleasedGil released(work_size(dimensions, data.n_core_dimensions) > 4096 && PyGILState_Check());
    outcome = data.body(frame);
  }
  if (interrupted_between_pieces()) outcome.join({Outcome::Status::interrupted});
  clear_float_flags();
  if (outcome.ok() && outcome.rcond == 1) return;
  if (outcome.status == Outcome::Status::failed_items && data.message == nullptr) return;
  failed_before = with_gil([&] {
    if (outcome.ok()) return !warn_if_ill_conditioned(outcome);
    set_python_error(outcome, data.message);
    return true;
  });
}

int type_number(char c) {
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

py::object make(const GufuncSpec& spec, const std::vector<GufuncLoop>& loops, bool raises) {
  auto* g = new GufuncData;  // NumPy keeps pointers into it for ever
  g->name = raises || spec.failed_items_message == nullptr ? spec.name : std::string(spec.name) + "_nan";
  g->doc = spec.doc;
  int n_in = 0, n_out = 0, n_core_dimensions = 0;
  const std::vector<std::vector<int>> core_dimensions = parse_signature(spec.signature, n_core_dimensions);
  for (const GufuncLoop& loop : loops) {
    n_in = n_out = 0;
    int* counted = &n_in;
    for (const char* c = loop.types; *c != '\0'; ++c) {
      if (*c == '-') {
        counted = &n_out;
        ++c;  // the arrow has two characters
        continue;
      }
      g->types.push_back(static_cast<char>(type_number(*c)));
      ++*counted;
    }
    g->loops.push_back({loop.body, raises ? spec.failed_items_message : nullptr, n_in + n_out, n_core_dimensions});
    g->functions.push_back(run_loop);
  }
  for (LoopData& loop : g->loops) g->data.push_back(&loop);
  PyObject* f = PyUFunc_FromFuncAndDataAndSignature(g->functions.data(), g->data.data(), g->types.data(),
                                                    static_cast<int>(loops.size()), n_in, n_out, PyUFunc_None,
                                                    g->name.c_str(), g->doc.c_str(), 0, spec.signature);
  if (f == nullptr) throw py::error_already_set();

  auto* function = new BatchedFunctionData{py::reinterpret_steal<py::object>(f),
                                           g->name,
                                           raises ? spec.failed_items_message : nullptr,
                                           n_in,
                                           n_out,
                                           core_dimensions,
                                           n_core_dimensions,
                                           {}};
  for (std::size_t k = 0; k < loops.size(); ++k) {
    const auto types = g->types.begin() + static_cast<std::ptrdiff_t>(k) * (n_in + n_out);
    function->loops.push_back({loops[k].body, std::vector<int>(types, types + n_in + n_out)});
  }
  return make_batched_function(function);
}

}  // namespace

void add_gufunc(py::module_& m, const GufuncSpec& spec, const std::vector<GufuncLoop>& loops) {
  m.attr(spec.name) = make(spec, loops, true);
  if (spec.failed_items_message != nullptr)
    m.attr((std::string(spec.name) + "_nan").c_str()) = make(spec, loops, false);
}

}  // namespace mmlfast::bind
