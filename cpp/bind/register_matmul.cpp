#include "bind/gufunc.hpp"
#include "bind/registers.hpp"
#include "drivers/matmul.hpp"

namespace mmlfast::bind {

void register_matmul(PyObject* m) {
  add_gufunc(m, {"matmul", "(m?,k),(k,n?)->(m?,n?)", nullptr}, floats("tt->t", []<class T>(GufuncFrame& f) {
               const auto a = f.matrix<const T>(0, 1);
               const auto b = f.matrix<const T>(1, 2);
               return drivers::matmul<T>(f.n_items(), a, b, f.matrix<T>(0, 2));
             }));
  add_gufunc(m, {"matvec", "(m,k),(k)->(m)", nullptr}, floats("tt->t", []<class T>(GufuncFrame& f) {
               const auto a = f.matrix<const T>(0, 1);
               const auto x = f.column<const T>(1);
               return drivers::matvec<T>(f.n_items(), a, x, f.column<T>(0));
             }));
  add_gufunc(m, {"vecdot", "(k),(k)->()", nullptr}, floats("tt->t", []<class T>(GufuncFrame& f) {
               const auto x = f.column<const T>(0);
               const auto y = f.column<const T>(0);
               return drivers::vecdot<T>(f.n_items(), x, y, f.number<T>());
             }));
}

}  // namespace mmlfast::bind
