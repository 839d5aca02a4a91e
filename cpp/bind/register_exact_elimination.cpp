#include "bind/gufunc.hpp"
#include "bind/pybind.hpp"
#include "bind/registers.hpp"
#include "drivers/exact_elimination.hpp"

namespace mmlfast::bind {
namespace {

template <class T>
py::array_t<T> array_of(const std::vector<T>& x) {
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
  run_without_gil([&] {
    return is_signed ? use(Batch<const std::int64_t>{static_cast<const std::int64_t*>(data), 0, layout})
                     : use(Batch<const std::uint64_t>{static_cast<const std::uint64_t*>(data), 0, layout});
  });
}

// (pivots, free columns, primes, residues) with one row of residues per prime.
py::tuple exact_echelon(const py::array& a, bool reduced) {
  drivers::ExactEchelon result;
  const drivers::EchelonForm form = reduced ? drivers::EchelonForm::reduced : drivers::EchelonForm::upper;
  with_matrix(a, [&](const auto& matrix) { return drivers::exact_echelon(matrix, form, result); });
  const py::ssize_t primes = static_cast<py::ssize_t>(result.prime.size());
  const py::ssize_t entries = primes == 0 ? 1 : static_cast<py::ssize_t>(result.residue.size()) / primes;
  return py::make_tuple(array_of(result.pivot), array_of(result.free), array_of(result.prime),
                        array_of(result.residue).reshape({primes, entries}));
}

// (primes, residues of det(a - x), one row for each prime, one column for each x = 0 .. n).
py::tuple exact_shifted_determinants(const py::array& a) {
  std::vector<std::int64_t> prime, residue;
  with_matrix(a, [&](const auto& matrix) { return drivers::exact_shifted_determinants(matrix, prime, residue); });
  return py::make_tuple(array_of(prime),
                        array_of(residue).reshape({static_cast<py::ssize_t>(prime.size()), a.shape(0) + 1}));
}

}  // namespace

void register_exact_elimination(PyObject* module) {
  add_gufunc(module, {"exact_rank", "(m,n)->()", nullptr}, integers("t->q", []<class I>(GufuncFrame& f) {
               const auto a = f.matrix<const I>(0, 1);
               return drivers::exact_rank<I>(f.n_items(), a, f.number<std::int64_t>());
             }));
  py::module_ m = module_of(module);
  m.def("exact_echelon", &exact_echelon);
  m.def("exact_shifted_determinants", &exact_shifted_determinants);
}

}  // namespace mmlfast::bind
