#include "drivers/covariance_results.hpp"

#include <cmath>
#include <limits>

namespace mmlfast::drivers {
namespace {

double denominator(double weight, double ddof) noexcept {
  if (weight == 0) return std::numeric_limits<double>::quiet_NaN();
  return weight > ddof ? weight - ddof : 0;
}

double scaled_back(double value, const double* powers, Size j) noexcept {
  return powers == nullptr ? value : std::ldexp(value, static_cast<int>(powers[j]));
}

}  // namespace

template <class T>
void write_mean(const CovarianceShape& shape, const double* node, const double* powers, T* mean, Size stride) noexcept {
  for (Size j = 0; j < shape.d; ++j) {
    const double value = scaled_back(node[shape.hi() + j] + node[shape.lo() + j], powers, j);
    mean[j * stride] = static_cast<T>(node[0] == 0 ? std::numeric_limits<double>::quiet_NaN() : value);
  }
}

template <class T>
void write_covariance(const CovarianceShape& shape, const double* node, const double* powers, double ddof, T* cov,
                      const Layout& layout) noexcept {
  const double by = denominator(node[0], ddof);
  for (Size i = 0; i < shape.d; ++i) {
    for (Size j = i; j < shape.d; ++j) {
      const double quotient = node[shape.m2() + shape.entry(i, j)] / by;
      const T value =
          static_cast<T>(powers == nullptr ? quotient : std::ldexp(quotient, static_cast<int>(powers[i] + powers[j])));
      cov[i * layout.row_stride + j * layout.col_stride] = value;
      cov[j * layout.row_stride + i * layout.col_stride] = value;
    }
  }
}

template <class T>
void write_variance(const CovarianceShape& shape, const double* node, const double* powers, double ddof, bool root,
                    T* variance, Size stride) noexcept {
  const double by = denominator(node[0], ddof);
  for (Size j = 0; j < shape.d; ++j) {
    const double value = node[shape.m2() + j] / by;
    const double result =
        root ? scaled_back(std::sqrt(value), powers, j) : scaled_back(scaled_back(value, powers, j), powers, j);
    variance[j * stride] = static_cast<T>(result);
  }
}

template <class T>
void write_correlation(const CovarianceShape& shape, const double* node, T* cor, const Layout& layout) noexcept {
  const double* m2 = node + shape.m2();
  const auto varies = [&](Size j) {
    const double square = m2[shape.entry(j, j)];
    return node[0] > 0 && square > 0 && square <= std::numeric_limits<double>::max();
  };
  for (Size i = 0; i < shape.d; ++i) {
    cor[i * layout.row_stride + i * layout.col_stride] = varies(i) ? T{1} : std::numeric_limits<T>::quiet_NaN();
    for (Size j = i + 1; j < shape.d; ++j) {
      double r = std::numeric_limits<double>::quiet_NaN();
      if (varies(i) && varies(j)) r = m2[shape.entry(i, j)] / std::sqrt(m2[shape.entry(i, i)] * m2[shape.entry(j, j)]);
      r = r > 1 ? 1 : r < -1 ? -1 : r;
      cor[i * layout.row_stride + j * layout.col_stride] = static_cast<T>(r);
      cor[j * layout.row_stride + i * layout.col_stride] = static_cast<T>(r);
    }
  }
}

#define MMLFAST_INSTANTIATE(T)                                                                            \
  template void write_mean<T>(const CovarianceShape&, const double*, const double*, T*, Size) noexcept;   \
  template void write_variance<T>(const CovarianceShape&, const double*, const double*, double, bool, T*, \
                                  Size) noexcept;                                                         \
  template void write_covariance<T>(const CovarianceShape&, const double*, const double*, double, T*,     \
                                    const Layout&) noexcept;                                              \
  template void write_correlation<T>(const CovarianceShape&, const double*, T*, const Layout&) noexcept;
MMLFAST_INSTANTIATE(double)
MMLFAST_INSTANTIATE(float)

}  // namespace mmlfast::drivers
