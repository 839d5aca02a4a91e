#include "bind/gufunc.hpp"
#include "bind/registers.hpp"
#include "drivers/inner_product.hpp"

namespace mmlfast::bind {
namespace {

template <class T>
Outcome of_pairs(GufuncFrame& f, InnerStep step) {
  const auto x = f.column<const T>(0);
  const auto y = f.column<const T>(0);
  return drivers::inner_product<T>(step, f.n_items(), x, y, f.number<T>());
}

template <class T>
Outcome norm(GufuncFrame& f) {
  const auto x = f.column<const T>(0);
  return drivers::inner_product<T>(InnerStep::norm, f.n_items(), x, x, f.number<T>());
}

}  // namespace

void register_inner_product(PyObject* m) {
  add_gufunc(m, {"inner", "(d),(d)->()", nullptr},
             floats("tt->t", []<class T>(GufuncFrame& f) { return of_pairs<T>(f, InnerStep::inner); }));
  add_gufunc(m, {"norm", "(d)->()", nullptr}, floats("t->t", []<class T>(GufuncFrame& f) { return norm<T>(f); }));
  add_gufunc(m, {"distance", "(d),(d)->()", nullptr},
             floats("tt->t", []<class T>(GufuncFrame& f) { return of_pairs<T>(f, InnerStep::distance); }));
  add_gufunc(m, {"angle", "(d),(d)->()", "a zero vector has no angle"},
             floats("tt->t", []<class T>(GufuncFrame& f) { return of_pairs<T>(f, InnerStep::angle); }));
  add_gufunc(m, {"scalar_projection", "(d),(d)->()", "the zero vector has no direction"},
             floats("tt->t", []<class T>(GufuncFrame& f) { return of_pairs<T>(f, InnerStep::projection); }));
}

}  // namespace mmlfast::bind
