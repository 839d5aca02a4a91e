#include "bind/gufunc.hpp"
#include "bind/registers.hpp"
#include "drivers/lstsq.hpp"

namespace mmlfast::bind {
namespace {

constexpr const char* failed = "NaN or infinity in a or b, or no convergence";

// values: the core dimension of the singular values among the outputs, 0 for m and 1 for n (2 is k); -1: there are
// none.
template <class T>
Outcome solve(GufuncFrame& f, int values) {
  drivers::LstsqCall<T> c{};
  c.n_items = f.n_items();
  c.a = f.matrix<const T>(0, 1);
  c.b = f.matrix<const T>(0, 2);
  c.rcond = f.number<const T>();
  c.x = f.matrix<T>(1, 2);
  c.residuals = f.column<T>(2);
  c.rank = f.number<std::int64_t>();
  if (values >= 0) c.s = f.column<T>(values);
  return drivers::lstsq<T>(c);
}

}  // namespace

void register_lstsq(PyObject* m) {
  add_gufunc(m, {"lstsq", "(m,n),(m,k),()->(n,k),(k),(),(n)", failed},
             floats("ttt->ttqt", []<class T>(GufuncFrame& f) { return solve<T>(f, 1); }));
  add_gufunc(m, {"lstsq_wide", "(m,n),(m,k),()->(n,k),(k),(),(m)", failed},
             floats("ttt->ttqt", []<class T>(GufuncFrame& f) { return solve<T>(f, 0); }));
  add_gufunc(m, {"lstsq_many", "(m,n),(m,k),()->(n,k),(k),()", failed},
             floats("ttt->ttq", []<class T>(GufuncFrame& f) { return solve<T>(f, -1); }));
}

}  // namespace mmlfast::bind
