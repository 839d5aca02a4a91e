#include "bind/gufunc.hpp"
#include "bind/registers.hpp"
#include "drivers/simd_math.hpp"

namespace mmlfast::bind {
namespace {

template <class T>
Outcome map(GufuncFrame& f, typename SimdMath<T>::Unary function) {
  const auto x = f.column<const T>(0);
  const auto result = f.column<T>(0);
  return drivers::map_rows<T>(function, f.n_items(), x, result);
}
template <class T>
Outcome map(GufuncFrame& f, typename SimdMath<T>::Binary function) {
  const auto x = f.column<const T>(0), y = f.column<const T>(0);
  const auto result = f.column<T>(0);
  return drivers::map_rows<T>(function, f.n_items(), x, y, result);
}

}  // namespace

void register_simd_math(PyObject* m) {
#define MMLFAST_REGISTER(name)                   \
  add_gufunc(m, {"simd_" #name, shape, nullptr}, \
             floats(types, []<class T>(GufuncFrame& f) { return map<T>(f, kernel_of<SimdMath<T>>().name); }));
  const char *shape = "(n)->(n)", *types = "t->t";
  MMLFAST_UNARY_MATH(MMLFAST_REGISTER)
  shape = "(n),(n)->(n)";
  types = "tt->t";
  MMLFAST_BINARY_MATH(MMLFAST_REGISTER)
#undef MMLFAST_REGISTER
}

}  // namespace mmlfast::bind
