#include "bind/gufunc.hpp"
#include "bind/registers.hpp"
#include "drivers/inner_product.hpp"

namespace mmlfast::bind {
namespace {

template <InnerStep step, class T>
Outcome of_pairs(GufuncCall<T>& call) {
  const auto x = call.template column<const T>(0);
  const auto y = call.template column<const T>(0);
  return drivers::inner_product<T>(step, call.n_items(), x, y, call.template number<T>());
}

template <class T>
Outcome inner(GufuncCall<T>& call) {
  return of_pairs<InnerStep::inner>(call);
}
template <class T>
Outcome distance(GufuncCall<T>& call) {
  return of_pairs<InnerStep::distance>(call);
}
template <class T>
Outcome angle(GufuncCall<T>& call) {
  return of_pairs<InnerStep::angle>(call);
}
template <class T>
Outcome norm(GufuncCall<T>& call) {
  const auto x = call.template column<const T>(0);
  return drivers::inner_product<T>(InnerStep::norm, call.n_items(), x, x, call.template number<T>());
}

}  // namespace

void register_inner_product(py::module_& m) {
  add_gufunc(m, {"inner", "(d),(d)->()", nullptr}, MMLFAST_LOOPS(inner, "dd->d", "ff->f"));
  add_gufunc(m, {"norm", "(d)->()", nullptr}, MMLFAST_LOOPS(norm, "d->d", "f->f"));
  add_gufunc(m, {"distance", "(d),(d)->()", nullptr}, MMLFAST_LOOPS(distance, "dd->d", "ff->f"));
  add_gufunc(m, {"angle", "(d),(d)->()", "a zero vector has no angle"}, MMLFAST_LOOPS(angle, "dd->d", "ff->f"));
}

}  // namespace mmlfast::bind
