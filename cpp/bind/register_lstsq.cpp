#include "bind/gufunc.hpp"
#include "bind/registers.hpp"
#include "drivers/lstsq.hpp"

namespace mmlfast::bind {
namespace {

// Whether there are singular values among the outputs, and of which core dimension: 0 is m, 1 is n. (2 is k.)
enum class Values { none, m, n };

template <Values S, class T>
Outcome lstsq_matrix(GufuncCall<T>& call) {
  drivers::LstsqCall<T> c{};
  c.n_items = call.n_items();
  c.a = call.template matrix<const T>(0, 1);
  c.b = call.template matrix<const T>(0, 2);
  c.rcond = call.template number<const T>();
  c.x = call.template matrix<T>(1, 2);
  c.residuals = call.template column<T>(2);
  c.rank = call.template number<std::int64_t>();
  if (S != Values::none) c.s = call.template column<T>(S == Values::m ? 0 : 1);
  return drivers::lstsq<T>(c);
}

template <Values S>
void add(py::module_& m, const char* name, const char* signature) {
  static constexpr auto loop = [](auto& call) { return lstsq_matrix<S>(call); };
  constexpr const char* f64 = S == Values::none ? "ddd->ddq" : "ddd->ddqd";
  constexpr const char* f32 = S == Values::none ? "fff->ffq" : "fff->ffqf";
  add_gufunc(m, {name, signature, "NaN or infinity in a or b, or no convergence"}, MMLFAST_LOOPS(loop, f64, f32));
}

}  // namespace

void register_lstsq(py::module_& m) {
  add<Values::n>(m, "lstsq", "(m,n),(m,k),()->(n,k),(k),(),(n)");
  add<Values::m>(m, "lstsq_wide", "(m,n),(m,k),()->(n,k),(k),(),(m)");
  add<Values::none>(m, "lstsq_many", "(m,n),(m,k),()->(n,k),(k),()");
}

}  // namespace mmlfast::bind
