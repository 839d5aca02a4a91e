#include <string>

#include "bind/gufunc.hpp"
#include "bind/registers.hpp"
#include "drivers/gram_schmidt.hpp"

namespace mmlfast::bind {
namespace {

template <class T>
Outcome orthonormalise(GufuncFrame& f, Orthogonalization method, bool given_rtol) {
  drivers::GramSchmidtCall<T> c{};
  c.method = method;
  c.n_items = f.n_items();
  c.a = f.matrix<const T>(0, 1);
  const T rtol = drivers::default_rtol<T>(method, c.a.layout.rows, c.a.layout.cols);
  c.rtol = given_rtol ? f.number<const T>() : Batch<const T>{&rtol, 0, {1, 1, 1, 1}};
  c.q = f.matrix<T>(0, 1);
  c.rank = f.number<std::int64_t>();
  c.orthogonality = f.number<T>();
  return drivers::gram_schmidt<T>(c);
}

template <Orthogonalization Method>
void add(PyObject* m, const std::string& name) {
  add_gufunc(m, {name.c_str(), "(m,n)->(m,n),(),()", nullptr},
             floats("t->tqt", []<class T>(GufuncFrame& f) { return orthonormalise<T>(f, Method, false); }));
  add_gufunc(m, {(name + "_rtol").c_str(), "(m,n),()->(m,n),(),()", nullptr},
             floats("tt->tqt", []<class T>(GufuncFrame& f) { return orthonormalise<T>(f, Method, true); }));
}

}  // namespace

void register_gram_schmidt(PyObject* m) {
  add<Orthogonalization::cgs>(m, "gram_schmidt_cgs");
  add<Orthogonalization::mgs>(m, "gram_schmidt_mgs");
  add<Orthogonalization::cgs2>(m, "gram_schmidt_cgs2");
  add<Orthogonalization::householder>(m, "gram_schmidt_householder");
}

}  // namespace mmlfast::bind
