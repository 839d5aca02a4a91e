#include "bind/gufunc.hpp"
#include "bind/registers.hpp"
#include "drivers/gram_schmidt.hpp"

namespace mmlfast::bind {
namespace {

template <Orthogonalization Method, bool GivenRtol, class T>
Outcome orthonormalise(GufuncCall<T>& call) {
  drivers::GramSchmidtCall<T> c{};
  c.method = Method;
  c.n_items = call.n_items();
  c.a = call.template matrix<const T>(0, 1);
  const T rtol = drivers::default_rtol<T>(Method, c.a.layout.rows, c.a.layout.cols);
  c.rtol = GivenRtol ? call.template number<const T>() : Batch<const T>{&rtol, 0, {1, 1, 1, 1}};
  c.q = call.template matrix<T>(0, 1);
  c.rank = call.template number<std::int64_t>();
  c.orthogonality = call.template number<T>();
  return drivers::gram_schmidt<T>(c);
}

template <Orthogonalization Method>
void add(py::module_& m, const char* name, const char* name_rtol) {
  const auto plain = [](auto& call) { return orthonormalise<Method, false>(call); };
  const auto given = [](auto& call) { return orthonormalise<Method, true>(call); };
  static constexpr auto loop = plain;
  static constexpr auto loop_rtol = given;
  add_gufunc(m, {name, "(m,n)->(m,n),(),()", nullptr}, MMLFAST_LOOPS(loop, "d->dqd", "f->fqf"));
  add_gufunc(m, {name_rtol, "(m,n),()->(m,n),(),()", nullptr}, MMLFAST_LOOPS(loop_rtol, "dd->dqd", "ff->fqf"));
}

}  // namespace

void register_gram_schmidt(py::module_& m) {
  add<Orthogonalization::cgs>(m, "gram_schmidt_cgs", "gram_schmidt_cgs_rtol");
  add<Orthogonalization::mgs>(m, "gram_schmidt_mgs", "gram_schmidt_mgs_rtol");
  add<Orthogonalization::cgs2>(m, "gram_schmidt_cgs2", "gram_schmidt_cgs2_rtol");
  add<Orthogonalization::householder>(m, "gram_schmidt_householder", "gram_schmidt_householder_rtol");
}

}  // namespace mmlfast::bind
