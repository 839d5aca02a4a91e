// Systems of equations and determinants of matrices of series, with one factorisation of the matrix at t = 0.
#pragma once

#include "kernels/tape_taylor_series.hpp"

namespace mmlfast::MMLFAST_LEVEL::taylor {

// L and U of n x n numbers with partial pivoting in each lane, row by row. pivot[k]: the row exchanged with row k.
struct Factors {
  int n;
  double *a, *pivot;

  MMLFAST_INLINE C get(int i, int j) const {
    const double* from = a + 2 * row * (i * n + j);
    return {load(from), load(from + row)};
  }
  MMLFAST_INLINE void set(int i, int j, const C& x) const {
    double* to = a + 2 * row * (i * n + j);
    store(to, x.hi), store(to + row, x.lo);
  }
  MMLFAST_INLINE V pivot_row(int k) const { return load(pivot + row * k); }
};

// get(i), set(i, x) with i >= k: exchanges row k with each lane's pivot row.
template <class Get, class Set>
MMLFAST_INLINE void exchange(const Factors& f, int k, Get&& get, Set&& set) {
  const V pivot = f.pivot_row(k);
  for (int i = k + 1; i < f.n; ++i) {
    const mask<double> here = pivot == number(i);
    const C upper = get(k), lower = get(i);
    set(k, select(here, lower, upper));
    set(i, select(here, upper, lower));
  }
}

inline void factor(const Factors& f) {
  for (int k = 0; k < f.n; ++k) {
    V best = abs(f.get(k, k).hi), at = number(k);
    for (int i = k + 1; i < f.n; ++i) {
      const V candidate = abs(f.get(i, k).hi);
      const mask<double> better = candidate > best;
      best = select(better, candidate, best);
      at = select(better, number(i), at);
    }
    store(f.pivot + row * k, at);
    for (int j = 0; j < f.n; ++j)
      exchange(f, k, [&](int i) { return f.get(i, j); }, [&](int i, const C& x) { f.set(i, j, x); });
    for (int i = k + 1; i < f.n; ++i) {
      const C multiplier = f.get(i, k) / f.get(k, k);
      f.set(i, k, multiplier);
      for (int j = k + 1; j < f.n; ++j) f.set(i, j, f.get(i, j) - multiplier * f.get(k, j));
    }
  }
}

// One right-hand side, by get(i) and set(i, x), to the solution.
template <class Get, class Set>
inline void substitute(const Factors& f, Get&& get, Set&& set) {
  for (int k = 0; k < f.n; ++k) {
    exchange(f, k, get, set);
    for (int i = k + 1; i < f.n; ++i) set(i, get(i) - f.get(i, k) * get(k));
  }
  for (int k = f.n - 1; k >= 0; --k) {
    set(k, get(k) / f.get(k, k));
    for (int i = 0; i < k; ++i) set(i, get(i) - f.get(i, k) * get(k));
  }
}

// a x = b in series, a n x n and x, b n x m; a(i), b(i) and x(i) give element i: a_0 x_k = b_k - sum of a_j x_(k - j).
template <class A, class B, class X>
inline void solve_series(const Factors& f, int m, A&& a, B&& b, X&& x) {
  const int n = f.n, last = x(0).last;
  for (int i = 0; i < n * n; ++i) f.set(i / n, i % n, a(i)[0]);
  factor(f);
  for (int k = 0; k <= last; ++k) {
    for (int c = 0; c < m; ++c) {
      for (int i = 0; i < n; ++i) {
        C right = b(i * m + c).get(k);
        for (int j = 0; k > 0 && j < n; ++j) right = right - product_at(a(i * n + j), In(x(j * m + c)), k, 1);
        x(i * m + c).set(k, right);
      }
      substitute(f, [&](int i) { return x(i * m + c)[k]; }, [&](int i, const C& value) { x(i * m + c).set(k, value); });
    }
  }
}

inline void solve(int n, int m, const TaylorOperand* a, const TaylorOperand* b, const TaylorResult* x,
                  Scratch& scratch) {
  const Factors f{n, scratch.numbers(2 * n * n), scratch.numbers(n)};
  solve_series(
      f, m, [&](int i) { return In{a[i].rows, a[i].last}; }, [&](int i) { return In{b[i].rows, b[i].last}; },
      [&](int i) { return Out{x[i].rows, x[i].last}; });
  V of_a = zero<double>(), of_b = zero<double>();
  for (int i = 0; i < n * n; ++i) of_a = max(load(a[i].rows), of_a);
  for (int i = 0; i < n * m; ++i) of_b = max(load(b[i].rows), of_b);
  // A constant matrix keeps polynomials polynomials.
  const V degree = select(of_a == zero<double>(), of_b, infinity<double>());
  for (int i = 0; i < n * m; ++i) {
    const Out y{x[i].rows, x[i].last};
    if (any(degree == zero<double>())) keep_constant(degree == zero<double>(), y);
    y.set_degree(degree);
  }
}

// d' = d trace(a^-1 a').
inline void determinant(int n, const TaylorOperand* a, const Out& y, Scratch& scratch) {
  const Factors f{n, scratch.numbers(2 * n * n), scratch.numbers(n)};
  const int last = most(y.last - 1, 0);
  double* slope_rows = scratch.numbers(std::ptrdiff_t{n} * n * taylor_rows(last));
  double* x_rows = scratch.numbers(std::ptrdiff_t{n} * n * taylor_rows(last));
  const auto slope = [&](int i) { return Out{slope_rows + taylor_size(last) * i, last}; };
  const auto x = [&](int i) { return Out{x_rows + taylor_size(last) * i, last}; };
  V degree = zero<double>();
  for (int i = 0; i < n * n; ++i) {
    const In from{a[i].rows, a[i].last};
    degree = max(from.degree(), degree);
    for (int k = 0; k <= last; ++k) slope(i).set(k, from.get(k + 1) * number(k + 1));
  }
  solve_series(f, n, [&](int i) { return In{a[i].rows, a[i].last}; }, [&](int i) { return In(slope(i)); }, x);
  C d = of(1.0);
  for (int i = 0; i < n; ++i) d = d * select(f.pivot_row(i) == number(i), f.get(i, i), -f.get(i, i));
  y.set(0, d);
  for (int k = 1; k <= y.last; ++k) {
    C sum = of(0.0);
    for (int j = 1; j <= k; ++j) {
      C trace = of(0.0);
      for (int i = 0; i < n; ++i) trace = trace + x(i * n + i)[j - 1];
      sum = sum + trace * y[k - j];
    }
    y.set(k, sum / k);
  }
  const mask<double> constant = degree == zero<double>();
  keep_constant(constant, y);
  y.set_degree(degree * number(n));
}

}  // namespace mmlfast::MMLFAST_LEVEL::taylor
