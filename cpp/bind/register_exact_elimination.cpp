#include "bind/errors.hpp"
#include "bind/gufunc.hpp"
#include "bind/registers.hpp"
#include "drivers/exact_elimination.hpp"

namespace mmlfast::bind {
namespace {

template <class I>
Outcome exact_rank(GufuncCall<I>& call) {
  const auto a = call.template matrix<const I>(0, 1);
  return drivers::exact_rank<I>(call.n_items(), a, call.template number<std::int64_t>());
}

template <class T>
py::array_t<T> as_array(const std::vector<T>& x) {
  return py::array_t<T>(static_cast<py::ssize_t>(x.size()), x.data());
}

// use(Batch) for an int64 or uint64 matrix, without the GIL.
template <class Use>
void with_matrix(const py::array& a, Use&& use) {
  if (a.ndim() != 2 || !PyArray_ISALIGNED(reinterpret_cast<PyArrayObject*>(a.ptr())))
    throw py::value_error("expected an aligned matrix");
  const Layout layout{a.shape(0), a.shape(1), a.strides(0) / 8, a.strides(1) / 8};
  const void* data = a.data();
  const bool is_signed = py::isinstance<py::array_t<std::int64_t>>(a);
  if (!is_signed && !py::isinstance<py::array_t<std::uint64_t>>(a)) throw py::type_error("expected int64 or uint64");
  Outcome outcome;
  {
    const ReleasedGil release;
    outcome = is_signed ? use(Batch<const std::int64_t>{static_cast<const std::int64_t*>(data), 0, layout})
                        : use(Batch<const std::uint64_t>{static_cast<const std::uint64_t*>(data), 0, layout});
  }
  raise_unless_ok(outcome);
}

// (pivots, free columns, primes, residues) with one row of residues per prime.
py::tuple exact_echelon(const py::array& a, bool reduced) {
  drivers::ExactEchelon result;
  const drivers::EchelonForm form = reduced ? drivers::EchelonForm::reduced : drivers::EchelonForm::upper;
  with_matrix(a, [&](const auto& matrix) { return drivers::exact_echelon(matrix, form, result); });
  const py::ssize_t primes = static_cast<py::ssize_t>(result.prime.size());
  const py::ssize_t entries = primes == 0 ? 1 : static_cast<py::ssize_t>(result.residue.size()) / primes;
  return py::make_tuple(as_array(result.pivot), as_array(result.free), as_array(result.prime),
                        as_array(result.residue).reshape({primes, entries}));
}

// (primes, residues of det(a - x), one row for each prime, one column for each x = 0 .. n).
py::tuple exact_shifted_determinants(const py::array& a) {
  std::vector<std::int64_t> prime, residue;
  with_matrix(a, [&](const auto& matrix) { return drivers::exact_shifted_determinants(matrix, prime, residue); });
  return py::make_tuple(as_array(prime),
                        as_array(residue).reshape({static_cast<py::ssize_t>(prime.size()), a.shape(0) + 1}));
}

}  // namespace

void register_exact_elimination(py::module_& m) {
  add_gufunc(m, {"exact_rank", "(m,n)->()", nullptr}, MMLFAST_LOOPS_OF_INTEGERS(exact_rank, "q->q", "Q->q"));
  m.def("exact_echelon", &exact_echelon);
  m.def("exact_shifted_determinants", &exact_shifted_determinants);
}

}  // namespace mmlfast::bind
