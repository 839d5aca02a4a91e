#include <optional>

#include "bind/batched_function.hpp"
#include "bind/public_function.hpp"
#include "bind/pybind.hpp"
#include "bind/registers.hpp"
#include "runtime/blas_threads.hpp"
#include "runtime/lapack_table.hpp"
#include "runtime/thread_pool.hpp"
#include "simd/level.hpp"

#if defined(_WIN32)
#define MMLFAST_EXPORT extern "C" __declspec(dllexport)
#else
#define MMLFAST_EXPORT extern "C" __attribute__((visibility("default")))
#endif

// For threadpoolctl, which looks up symbols of the loaded library.
MMLFAST_EXPORT int mmlfast_get_num_threads() { return mmlfast::get_num_threads(); }
MMLFAST_EXPORT void mmlfast_set_num_threads(int n) { mmlfast::set_num_threads(n); }

namespace mmlfast::bind {
namespace {

#if defined(__clang__)
constexpr const char* compiler = "Clang " __clang_version__;
#else
constexpr const char* compiler = "GCC " __VERSION__;
#endif

py::dict build_config() {
  py::list compiled;
  for (int i = 0; i < simd::n_levels; ++i)
    if (simd::compiled(static_cast<simd::Level>(i))) compiled.append(simd::name(static_cast<simd::Level>(i)));
  py::dict d;
  d["version"] = MMLFAST_VERSION;
  d["compiler"] = compiler;
#if defined(NDEBUG)
  d["asserts"] = false;
#else
  d["asserts"] = true;
#endif
  d["simd_compiled"] = py::tuple(compiled);
  d["simd_detected"] = simd::name(simd::detected());
  d["simd_in_use"] = simd::name(simd::current());
  d["simd_refused"] =
      simd::refused_request() == nullptr ? py::none().cast<py::object>() : py::str(simd::refused_request());
  d["available_cpus"] = available_cpus();
  d["threads_are_set"] = threads_are_set();
  d["lapack_loaded"] = lapack_loaded();
  return d;
}

// SingleBlasThread for Python's `with`.
struct HeldBlas {
  std::optional<SingleBlasThread> held;
};

}  // namespace

void register_runtime(PyObject* module) {
  add_batched_function_type(module);
  add_public_function(module);
  py::module_ m = module_of(module);
  m.attr("__version__") = MMLFAST_VERSION;
  py::class_<HeldBlas>(m, "SingleBlasThread", py::is_final())
      .def(py::init<>())
      .def("__enter__", [](HeldBlas& self) { self.held.emplace(); })
      .def("__exit__", [](HeldBlas& self, const py::args&) { self.held.reset(); });
  m.def("build_config", &build_config);
  m.def("get_num_threads", &get_num_threads);
  m.def("set_num_threads", &set_num_threads);
  m.def("set_default_threads", &set_default_threads);
}

}  // namespace mmlfast::bind
