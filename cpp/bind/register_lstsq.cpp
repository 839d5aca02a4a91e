#include "bind/gufunc.hpp"
#include "bind/registers.hpp"
#include "drivers/lstsq.hpp"

namespace mmlfast::bind {
namespace {

// Core dimension 0 is m, 1 is n, 2 is k. Wide: m < n.
template <bool Wide, class T>
Outcome lstsq_matrix(GufuncCall<T>& call) {
  drivers::LstsqCall<T> c{};
  c.n_items = call.n_items();
  c.a = call.template matrix<const T>(0, 1);
  c.b = call.template matrix<const T>(0, 2);
  c.rcond = call.template number<const T>();
  c.x = call.template matrix<T>(1, 2);
  c.residuals = call.template column<T>(2);
  c.rank = call.template number<std::int64_t>();
  c.s = call.template column<T>(Wide ? 0 : 1);
  return drivers::lstsq<T>(c);
}

template <bool Wide, class T>
Outcome lstsq_vector(GufuncCall<T>& call) {
  drivers::LstsqCall<T> c{};
  c.n_items = call.n_items();
  c.a = call.template matrix<const T>(0, 1);
  c.b = call.template column<const T>(0);
  c.rcond = call.template number<const T>();
  c.x = call.template column<T>(1);
  c.residuals = call.template number<T>();
  c.rank = call.template number<std::int64_t>();
  c.s = call.template column<T>(Wide ? 0 : 1);
  return drivers::lstsq<T>(c);
}

template <bool Wide>
void add(py::module_& m, const char* name, const char* name_vector) {
  constexpr const char* failed = "NaN or infinity in a or b, or no convergence";
  static constexpr auto matrix = [](auto& call) { return lstsq_matrix<Wide>(call); };
  static constexpr auto vector = [](auto& call) { return lstsq_vector<Wide>(call); };
  add_gufunc(m, {name, Wide ? "(m,n),(m,k),()->(n,k),(k),(),(m)" : "(m,n),(m,k),()->(n,k),(k),(),(n)", failed},
             MMLFAST_LOOPS(matrix, "ddd->ddqd", "fff->ffqf"));
  add_gufunc(m, {name_vector, Wide ? "(m,n),(m),()->(n),(),(),(m)" : "(m,n),(m),()->(n),(),(),(n)", failed},
             MMLFAST_LOOPS(vector, "ddd->ddqd", "fff->ffqf"));
}

}  // namespace

void register_lstsq(py::module_& m) {
  add<false>(m, "lstsq", "lstsq_vector");
  add<true>(m, "lstsq_wide", "lstsq_wide_vector");
}

}  // namespace mmlfast::bind
