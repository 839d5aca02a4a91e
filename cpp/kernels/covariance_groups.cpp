#include "kernels/covariance_groups.hpp"

#include "kernels/common/with_size.hpp"
#include "kernels/covariance.hpp"

namespace mmlfast::MMLFAST_LEVEL {
namespace {

using Index = std::ptrdiff_t;

bool finite(double x) { return __builtin_fabs(x) <= __DBL_MAX__; }

// D: the number of columns, 0 for any. A product and a sum are two roundings at every level.
template <int D, bool Squares, class T>
void add_rows(const std::uint32_t* number, Index rows, const T* x, Index step, Index columns, double* entries) {
  constexpr Index ahead = 12;  // groups in no order are far from each other
  const Index d = D > 0 ? D : columns, size = group_entry(d, Squares);
  for (Index i = 0; i < rows; ++i, x += step) {
    if (i + ahead < rows) __builtin_prefetch(entries + number[i + ahead] * size, 1);
    double *entry = entries + number[i] * size, *first = entry + 1, *sum = first + d, *square = sum + d;
    if (entry[0] == 0)
      for (Index j = 0; j < d; ++j) first[j] = static_cast<double>(x[j]);
    entry[0] += 1;
    for (Index j = 0; j < d; ++j) {
      const double difference = static_cast<double>(x[j]) - first[j];
      sum[j] += difference;
      if constexpr (Squares) square[j] += difference * difference;
    }
  }
}

template <class T>
void add(const std::uint32_t* number, Index rows, const T* x, Index step, Index d, bool squares, double* entries) {
  with_size<1, 6>(d, [&]<int D>(std::integral_constant<int, D>) {
    if (squares)
      add_rows<D, true>(number, rows, x, step, d, entries);
    else
      add_rows<D, false>(number, rows, x, step, d, entries);
  });
}

// Sums of differences from another first row are brought to this one.
void merge(Index from, Index to, Index d, bool squares, const double* others, double* entries) {
  const Index size = group_entry(d, squares);
  for (Index g = from; g < to; ++g) {
    double* entry = entries + g * size;
    const double* other = others + g * size;
    if (other[0] == 0) continue;
    if (entry[0] == 0) {
      for (Index k = 0; k < size; ++k) entry[k] = other[k];
      continue;
    }
    entry[0] += other[0];
    for (Index j = 1; j <= d; ++j) {
      const double apart = other[j] - entry[j], all = other[0] * apart;
      entry[j + d] += other[j + d] + all;
      if (squares) entry[j + 2 * d] += other[j + 2 * d] + apart * (2 * other[j + d] + all);
    }
  }
}

// One variance, and how good it is.
double variance_of(double count, double divisor, double first, double sum, double square, GroupAnswer& answer) {
  const double m2 = square - sum * (sum / count);
  if (square == 0 && sum == 0) {
    if (count > 1 && answer == GroupAnswer::good) answer = GroupAnswer::constant;
    if (!finite(first)) answer = GroupAnswer::none;
    return 0 / divisor;
  }
  if (!finite(first) || !(square >= safe_squares.low && square <= safe_squares.high) || !(64 * m2 >= square))
    answer = GroupAnswer::none;
  return m2 / divisor;
}

template <class T>
void finish(Index from, Index to, Index d, bool squares, bool root, double ddof, const double* entries, T* values,
            GroupAnswer* answers) {
  const Index size = group_entry(d, squares);
  for (Index g = from; g < to; ++g) {
    const double *entry = entries + g * size, count = entry[0], divisor = count > ddof ? count - ddof : 0;
    answers[g] = count == 0 ? GroupAnswer::empty : GroupAnswer::good;
    for (Index j = 1; j <= d && count > 0; ++j) {
      double value = entry[j] + entry[j + d] / count;
      if (squares) {
        value = variance_of(count, divisor, entry[j], entry[j + d], entry[j + 2 * d], answers[g]);
        if (root) value = __builtin_sqrt(value);
      } else if (!finite(value)) {
        answers[g] = GroupAnswer::none;
      }
      values[g * d + j - 1] = static_cast<T>(value);
    }
  }
}

}  // namespace

MMLFAST_DEFINE_TABLES(GroupSums, group_sums, add<T>, merge, finish<T>)

}  // namespace mmlfast::MMLFAST_LEVEL
