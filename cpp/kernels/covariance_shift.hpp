// Rows less a provisional mean, in one reading: the step before the products where a block does not fit the first
// cache, so that a pass over it costs as much as a third of its products. The mean of every eighth row is subtracted
// while the rows are packed, and the differences are summed; what that mean was off by is taken out of the products.
//
// Taking it out cannot cancel much: k of n rows have a mean with n (mean_k - mean_n)^2 <= (n / k - 1) M2, so that the
// products are at most 8 times M2 whatever the rows are, and 1 + 1 / k times it if the order of the rows says nothing.
//
// Source: Chan, Golub, LeVeque, "Algorithms for computing the sample variance", Am. Stat. 37 (1983), on shifting the
// data by the mean of a sample of them.
#pragma once

#include <cstdint>

#include "kernels/covariance.hpp"
#include "simd/vec.hpp"

namespace mmlfast::MMLFAST_LEVEL {

inline constexpr std::ptrdiff_t shift_every = 8;  // rows from one that counts for the provisional mean to the next

// Where strips of 8 consecutive columns lie: row r of strip s begins at x + r * row_step + s * strip_step.
template <class T>
struct StripRows {
  const T* x;
  std::ptrdiff_t rows, row_step, strip_step;

  const T* at(std::ptrdiff_t r, std::ptrdiff_t s) const { return x + r * row_step + s * strip_step; }
  StripRows strip(std::ptrdiff_t s) const { return {at(0, s), rows, row_step, strip_step}; }
  StripRows sample() const { return {x, (rows + shift_every - 1) / shift_every, row_step * shift_every, strip_step}; }
};

enum class Then { nothing, store, fetch };  // with the differences; fetch: with the rows after these

// sum[j] = sum over rows of x[j] - shift[j], and to store, these differences in the block; four rows are added to each
// other first. Fetched is the same place among as many rows more; a prefetch of memory that is not there does nothing.
template <Then Also, class T>
void sum_differences(const StripRows<T>& from, std::ptrdiff_t strips, const double* shift, std::ptrdiff_t block_step,
                     double* block, double* sum) {
  using N = native<double>;
  constexpr int width = native_lanes<double>;
  const auto difference = [&](std::ptrdiff_t r, std::ptrdiff_t s, int p, const N& by) {
    const N z = load_part<double>(from.at(r, s) + p * width) - by;
    if constexpr (Also == Then::store) store_part(block + s * block_step + r * 8 + p * width, z);
    return z;
  };
  const std::uintptr_t ahead = static_cast<std::uintptr_t>(from.rows * from.row_step) * sizeof(T);
  for (std::ptrdiff_t j = 0; j < strips * 8; ++j) sum[j] = 0;
  std::ptrdiff_t r = 0;
  for (; r + 4 <= from.rows; r += 4) {
    for (std::ptrdiff_t s = 0; s < strips; ++s) {
      for (int k = 0; Also == Then::fetch && k < 4; ++k)
        __builtin_prefetch(reinterpret_cast<const void*>(reinterpret_cast<std::uintptr_t>(from.at(r + k, s)) + ahead),
                           0, 2);
      for (int p = 0; p < vec_parts; ++p) {
        const N by = load_part<double>(shift + s * 8 + p * width);
        const N first = difference(r, s, p, by) + difference(r + 1, s, p, by);
        const N second = difference(r + 2, s, p, by) + difference(r + 3, s, p, by);
        double* to = sum + s * 8 + p * width;
        store_part(to, load_part<double>(to) + (first + second));
      }
    }
  }
  for (; r < from.rows; ++r) {
    for (std::ptrdiff_t s = 0; s < strips; ++s) {
      for (int p = 0; p < vec_parts; ++p) {
        double* to = sum + s * 8 + p * width;
        store_part(to, load_part<double>(to) + difference(r, s, p, load_part<double>(shift + s * 8 + p * width)));
      }
    }
  }
}

// The means of one strip of which a sum is not finite: such a column is divided by its plain sum, which decides between
// infinity and NaN, and its differences are from that. The others keep their bits.
template <bool Store, class T>
void shift_poisoned(const StripRows<T>& from, const mask<double>& good, std::ptrdiff_t block_step, double* block,
                    double* shift) {
  alignas(vec_bytes) double none[8] = {}, sum[8];
  sum_differences<Then::nothing>(from, 1, none, 0, nullptr, sum);
  const vec<double> mean = load(sum) / broadcast(static_cast<double>(from.rows));
  store(shift, select(good, load(shift), mean));
  if constexpr (Store) sum_differences<Then::store>(from, 1, shift, block_step, block, sum);
}

template <bool Store, class T>
void shift_group(const StripRows<T>& from, std::ptrdiff_t strips, std::ptrdiff_t block_step, double* block, double* hi,
                 double* lo, double* delta) {
  const auto each = [&](auto&& body) {
    for (std::ptrdiff_t s = 0; s < strips; ++s) body(s, s * 8);
  };
  const StripRows<T> sample = from.sample();
  const vec<double> n_sample = broadcast(static_cast<double>(sample.rows)),
                    n = broadcast(static_cast<double>(from.rows));
  double* shift = hi;
  each([&](std::ptrdiff_t s, std::ptrdiff_t j) { store(shift + j, load_as_double(from.at(0, s))); });
  sum_differences<Then::nothing>(sample, strips, shift, 0, nullptr, delta);
  each([&](std::ptrdiff_t, std::ptrdiff_t j) { store(shift + j, load(shift + j) + load(delta + j) / n_sample); });
  sum_differences<Store ? Then::store : Then::fetch>(from, strips, shift, block_step, block, delta);
  each([&](std::ptrdiff_t s, std::ptrdiff_t j) {
    const vec<double> step = load(delta + j) / n;
    const mask<double> good = abs(load(shift + j) + step) <= broadcast(__DBL_MAX__);
    if (!all(good)) shift_poisoned<Store>(from.strip(s), good, block_step, block + s * block_step, shift + j);
    const vec<double> left = select(good, step, zero<double>()), from_mean = load(shift + j);
    store(delta + j, left);
    const vec<double> mean = from_mean + left, part = mean - from_mean;  // Knuth's TwoSum
    store(hi + j, mean);
    store(lo + j, select(good, (from_mean - (mean - part)) + (left - part), zero<double>()));
  });
}

// A few pages at a time on either side.
template <class T>
void shift_rows(const CovarianceShape& shape, const T* x, std::ptrdiff_t rows, std::ptrdiff_t row_step,
                std::ptrdiff_t strip_step, std::ptrdiff_t strips, double* block, double* hi, double* lo,
                double* delta) {
  constexpr std::ptrdiff_t at_once = 8;
  const std::ptrdiff_t block_step = shape.stride * 8;
  for (std::ptrdiff_t s = 0; s < strips; s += at_once) {
    const std::ptrdiff_t count = strips - s < at_once ? strips - s : at_once, j = s * 8;
    const StripRows<T> from{x + s * strip_step, rows, row_step, strip_step};
    if (block == nullptr)
      shift_group<false>(from, count, block_step, block, hi + j, lo + j, delta + j);
    else
      shift_group<true>(from, count, block_step, block + s * block_step, hi + j, lo + j, delta + j);
  }
}

}  // namespace mmlfast::MMLFAST_LEVEL
