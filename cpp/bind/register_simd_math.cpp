#include "bind/gufunc.hpp"
#include "bind/registers.hpp"
#include "drivers/simd_math.hpp"

namespace mmlfast::bind {
namespace {

template <class T, class Choose>
Outcome map(GufuncCall<T>& call, Choose&& choose) {
  const auto x = call.template column<const T>(0);
  return drivers::map_rows<T>(choose(drivers::simd_math<T>()), call.n_items(), x, call.template column<T>(0));
}

#define MMLFAST_FUNCTION(name)                                      \
  template <class T>                                                \
  Outcome name(GufuncCall<T>& call) {                               \
    return map(call, [](const auto& table) { return table.name; }); \
  }
MMLFAST_FUNCTION(exp)
MMLFAST_FUNCTION(log)
MMLFAST_FUNCTION(tanh)
MMLFAST_FUNCTION(logistic)
#undef MMLFAST_FUNCTION

}  // namespace

void register_simd_math(py::module_& m) {
  add_gufunc(m, {"simd_exp", "(n)->(n)", nullptr}, MMLFAST_LOOPS(exp, "d->d", "f->f"));
  add_gufunc(m, {"simd_log", "(n)->(n)", nullptr}, MMLFAST_LOOPS(log, "d->d", "f->f"));
  add_gufunc(m, {"simd_tanh", "(n)->(n)", nullptr}, MMLFAST_LOOPS(tanh, "d->d", "f->f"));
  add_gufunc(m, {"simd_logistic", "(n)->(n)", nullptr}, MMLFAST_LOOPS(logistic, "d->d", "f->f"));
}

}  // namespace mmlfast::bind
