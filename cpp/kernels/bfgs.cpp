#include "kernels/bfgs.hpp"

#include "simd/vec.hpp"

namespace mmlfast::MMLFAST_LEVEL {
namespace {

void diagonal(double* b, std::ptrdiff_t n, std::ptrdiff_t stride, const double* d) {
  for (std::ptrdiff_t i = 0; i < n; ++i) {
    for (std::ptrdiff_t j = 0; j < stride; j += 8) store(b + i * stride + j, zero<double>());
    b[i * stride + i] = d[i];
  }
}

void multiply(const double* b, std::ptrdiff_t n, std::ptrdiff_t stride, const double* x, double* y) {
  for (std::ptrdiff_t i = 0; i < n; ++i) {
    vec<double> sum = zero<double>();
    for (std::ptrdiff_t j = 0; j < stride; j += 8) sum = fma(load(b + i * stride + j), load(x + j), sum);
    y[i] = reduce_add(sum);
  }
}

void update(double* b, std::ptrdiff_t n, std::ptrdiff_t stride, const double* s, const double* q, double rho,
            double c) {
  for (std::ptrdiff_t i = 0; i < n; ++i) {
    const vec<double> of_s = broadcast(c * s[i] - rho * q[i]), of_q = broadcast(rho * s[i]);
    for (std::ptrdiff_t j = 0; j < stride; j += 8) {
      double* const at = b + i * stride + j;
      store(at, fnma(of_q, load(q + j), fma(of_s, load(s + j), load(at))));
    }
  }
}

}  // namespace

MMLFAST_DEFINE_TABLE(Bfgs, bfgs, diagonal, multiply, update)

}  // namespace mmlfast::MMLFAST_LEVEL
