// The registry of batched functions: each is a NumPy generalized ufunc, so that broadcasting, out=,
// dtypes, axes and
// __array_ufunc__ are NumPy's own. A loop body sees the whole batch at once, with strides.
//
//     Outcome solve_items(GufuncCall<T>& call) {
//       const auto a = call.template matrix<const T>(0, 0);   // operands in the order of the
//       signature, const auto b = call.template matrix<const T>(0, 1);   // with the numbers of
//       their core dimensions const auto x = call.template matrix<T>(0, 1); return
//       drivers::solve<T>(call.n_items(), a, b, x);
//     }
//     add_gufunc(m, {"solve", "(n,n),(n,m)->(n,m)", "Singular matrix"}, MMLFAST_LOOPS(solve_items,
//     "dd->d", "ff->f"));
//
// Python gets a BatchedFunction (bind/batched_function.hpp): the gufunc behind a short way for one small item.
// For each function two are registered: `solve` raises numpy.linalg.LinAlgError if an item
// fails, `solve_nan` leaves NaN in the items that failed.
#pragma once

#include <vector>

#include "bind/errors.hpp"
#include "bind/numpy_api.hpp"
#include "drivers/common/batch.hpp"

namespace mmlfast::bind {

// One call of the inner loop: a batch of items that lie at constant strides.
class GufuncFrame {
 public:
  GufuncFrame(char** args, const npy_intp* dimensions, const npy_intp* steps, int n_operands) noexcept
      : args_(args), dimensions_(dimensions), steps_(steps), core_steps_(steps + n_operands) {}

  Size n_items() const noexcept { return dimensions_[0]; }
  Size core(int dimension) const noexcept { return dimensions_[1 + dimension]; }

  // The next operand of the signature, as a matrix, a column or a number of the core dimensions
  // given.
  template <class T>
  Batch<T> matrix(int rows, int cols) noexcept {
    const std::ptrdiff_t row = elements<T>(*core_steps_++), col = elements<T>(*core_steps_++);
    return next<T>({core(rows), core(cols), row, col});
  }
  template <class T>
  Batch<T> column(int rows) noexcept {
    return next<T>({core(rows), 1, elements<T>(*core_steps_++), 1});
  }
  template <class T>
  Batch<T> number() noexcept {
    return next<T>({1, 1, 1, 1});
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

template <class T>
class GufuncCall : public GufuncFrame {
 public:
  using value_type = T;
  using GufuncFrame::GufuncFrame;
};

struct GufuncLoop {
  Outcome (*body)(GufuncFrame& frame);
  const char* types;  // NumPy's characters, "dd->d"
};

struct GufuncSpec {
  const char* name;
  const char* signature;
  const char* failed_items_message;  // nullptr: items cannot fail, and there is no variant with _nan
  const char* doc = "";
};

void add_gufunc(py::module_& m, const GufuncSpec& spec, const std::vector<GufuncLoop>& loops);

// Loops of a body template for float64 and float32. float64 comes first: NumPy takes the first loop
// that integers and booleans can be cast to safely.
#define MMLFAST_LOOP(body, T, types) \
  {[](::mmlfast::bind::GufuncFrame& f) { return body(static_cast<::mmlfast::bind::GufuncCall<T>&>(f)); }, types}
// Integers have loops of their own, for int64 (and all that can be cast to it safely) and uint64. They come first.
#define MMLFAST_LOOPS_OF_INTEGERS_TOO(exact, types_i64, types_u64, body, types_f64, types_f32) \
  {                                                                                            \
      MMLFAST_LOOP(exact, std::int64_t, types_i64),                                            \
      MMLFAST_LOOP(exact, std::uint64_t, types_u64),                                           \
      MMLFAST_LOOP(body, double, types_f64),                                                   \
      MMLFAST_LOOP(body, float, types_f32),                                                    \
  }
#define MMLFAST_LOOPS_OF_INTEGERS(exact, types_i64, types_u64) \
  {                                                            \
      MMLFAST_LOOP(exact, std::int64_t, types_i64),            \
      MMLFAST_LOOP(exact, std::uint64_t, types_u64),           \
  }
#define MMLFAST_LOOPS(body, types_f64, types_f32)                                                                  \
  {                                                                                                                \
      {[](::mmlfast::bind::GufuncFrame& f) { return body(static_cast<::mmlfast::bind::GufuncCall<double>&>(f)); }, \
       types_f64},                                                                                                 \
      {[](::mmlfast::bind::GufuncFrame& f) { return body(static_cast<::mmlfast::bind::GufuncCall<float>&>(f)); },  \
       types_f32},                                                                                                 \
  }

}  // namespace mmlfast::bind
