#include "bind/gufunc.hpp"
#include "bind/registers.hpp"
#include "drivers/simd_math.hpp"

namespace mmlfast::bind {
namespace {

template <class T, class Function>
Outcome map(GufuncFrame& f, Function function) {
  const auto x = f.column<const T>(0);
  return drivers::map_rows<T>(function, f.n_items(), x, f.column<T>(0));
}

}  // namespace

void register_simd_math(PyObject* m) {
  add_gufunc(m, {"simd_exp", "(n)->(n)", nullptr},
             floats("t->t", []<class T>(GufuncFrame& f) { return map<T>(f, kernel_of<SimdMath<T>>().exp); }));
  add_gufunc(m, {"simd_log", "(n)->(n)", nullptr},
             floats("t->t", []<class T>(GufuncFrame& f) { return map<T>(f, kernel_of<SimdMath<T>>().log); }));
  add_gufunc(m, {"simd_tanh", "(n)->(n)", nullptr},
             floats("t->t", []<class T>(GufuncFrame& f) { return map<T>(f, kernel_of<SimdMath<T>>().tanh); }));
  add_gufunc(m, {"simd_logistic", "(n)->(n)", nullptr},
             floats("t->t", []<class T>(GufuncFrame& f) { return map<T>(f, kernel_of<SimdMath<T>>().logistic); }));
}

}  // namespace mmlfast::bind
