// The registry of batched functions: each is a NumPy generalized ufunc, so that broadcasting, out=, dtypes, axes and
// __array_ufunc__ are NumPy's own. A loop body sees the whole batch at once, with strides.
//
// clang-format off
//     add_gufunc(module, {"solve", "(n,n),(n,m)->(n,m)", "Singular matrix"},
//                floats("tt->t", []<class T>(GufuncFrame& f) {
//                  const auto a = f.matrix<const T>(0, 0);  // operands in the order of the signature, with
//                  const auto b = f.matrix<const T>(0, 1);  // the numbers of their core dimensions: n is 0, m is 1
//                  const auto x = f.matrix<T>(0, 1);
//                  return drivers::solve<T>(f.n_items(), a, b, x);
//                }));
// clang-format on
//
// Python gets a BatchedFunction (bind/batched_function.hpp): the gufunc behind a fast path for one small item. For each
// function two are registered: `solve` raises numpy.linalg.LinAlgError if an item fails, `solve_nan` leaves NaN in the
// items that failed.
#pragma once

#include <array>
#include <span>
#include <tuple>
#include <type_traits>

#include "bind/numpy_api.hpp"
#include "drivers/common/batch.hpp"
#include "runtime/outcome.hpp"

namespace mmlfast::bind {

// One call of the inner loop: a batch of items that lie at constant strides.
class GufuncFrame {
 public:
  GufuncFrame(char** args, const npy_intp* dimensions, const npy_intp* steps, int n_operands) noexcept
      : args_(args), dimensions_(dimensions), steps_(steps), core_steps_(steps + n_operands) {}

  Size n_items() const noexcept { return dimensions_[0]; }
  Size core(int dimension) const noexcept { return dimensions_[1 + dimension]; }

  // The next operand of the signature, as a matrix, a column or a number of the core dimensions given.
  template <class T>
  Batch<T> matrix(int rows, int cols) noexcept {
    // NumPy's step along a dimension of one is 0: a single row or column is then told as what it is, without gaps.
    const std::ptrdiff_t row_step = elements<T>(*core_steps_++), col_step = elements<T>(*core_steps_++);
    const Size m = core(rows), n = core(cols);
    return next<T>({m, n, m == 1 ? n : row_step, n == 1 ? 1 : col_step});
  }
  template <class T>
  Batch<T> column(int rows) noexcept {
    return next<T>({core(rows), 1, elements<T>(*core_steps_++), 1});
  }
  template <class T>
  Batch<T> number() noexcept {
    return next<T>({1, 1, 1, 1});
  }

  // driver(number of items, operands...). Braces take the operands in their order: f.run(driver, {f.matrix<const T>(0,
  // 0), f.matrix<T>(0, 0)}).
  template <class... Operands>
  Outcome run(Outcome (*driver)(Size, Operands...) noexcept,
              const std::tuple<std::type_identity_t<std::remove_cvref_t<Operands>>...>& operands) const noexcept {
    return std::apply([&](const auto&... each) { return driver(n_items(), each...); }, operands);
  }

 private:
  template <class T>
  static std::ptrdiff_t elements(npy_intp bytes) noexcept {
    return bytes / static_cast<npy_intp>(sizeof(T));
  }
  template <class T>
  Batch<T> next(const Layout& layout) noexcept {
    Batch<T> batch{reinterpret_cast<T*>(args_[operand_]), elements<T>(steps_[operand_]), layout};
    ++operand_;
    return batch;
  }

  char** args_;
  const npy_intp* dimensions_;
  const npy_intp* steps_;
  const npy_intp* core_steps_;
  int operand_ = 0;
};

using LoopBody = Outcome (*)(GufuncFrame& frame);

// A loop for one choice of dtypes, "tt->d": f float32, d float64, i int32, q int64, Q uint64, ? bool, t the `element`.
struct GufuncLoop {
  LoopBody body;
  char element;
  const char* types;
};

struct GufuncSpec {
  const char* name;
  const char* signature;
  const char* failed_items_message;  // nullptr: items cannot fail, and there is no variant with _nan
};

// module.name, and name_nan, with the loops in the order in which NumPy looks for the first one that the operands can
// be cast to safely.
void add_gufunc(PyObject* module, const GufuncSpec& spec, std::span<const GufuncLoop> loops);

// The loop that `Body`, a lambda without captures, has for elements of type T.
template <class T, class Body>
constexpr GufuncLoop loop_of(char element, const char* types, Body) noexcept {
  return {[](GufuncFrame& frame) -> Outcome { return Body{}.template operator()<T>(frame); }, element, types};
}

// float64 comes first, for the sake of integers and booleans.
template <class Body>
constexpr std::array<GufuncLoop, 2> floats(const char* types, Body body) noexcept {
  return {loop_of<double>('d', types, body), loop_of<float>('f', types, body)};
}
// int64, which all other signed integers can be cast to safely, and uint64.
template <class Body>
constexpr std::array<GufuncLoop, 2> integers(const char* types, Body body) noexcept {
  return {loop_of<std::int64_t>('q', types, body), loop_of<std::uint64_t>('Q', types, body)};
}

template <std::size_t N, std::size_t M>
constexpr std::array<GufuncLoop, N + M> operator+(const std::array<GufuncLoop, N>& first,
                                                  const std::array<GufuncLoop, M>& then) noexcept {
  std::array<GufuncLoop, N + M> all{};
  for (std::size_t k = 0; k < N; ++k) all[k] = first[k];
  for (std::size_t k = 0; k < M; ++k) all[N + k] = then[k];
  return all;
}

}  // namespace mmlfast::bind
