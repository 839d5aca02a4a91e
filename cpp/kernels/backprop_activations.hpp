// Activations and their slopes, a vector at a time. Part of kernels/backprop.
#pragma once

#include "kernels/backprop.hpp"
#include "simd/math/error_function.hpp"
#include "simd/math/exponential.hpp"
#include "simd/math/hyperbolic.hpp"
#include "simd/math/logarithm.hpp"
#include "simd/math/logistic.hpp"

namespace mmlfast::MMLFAST_LEVEL::activations {

template <class T>
MMLFAST_INLINE std::ptrdiff_t padded(std::ptrdiff_t n) {
  return (n + lanes<T> - 1) / lanes<T> * lanes<T>;
}

// The lanes of the vector at column j that belong to one of n columns.
template <class T>
MMLFAST_INLINE mask<T> columns_at(std::ptrdiff_t j, std::ptrdiff_t n) {
  alignas(vec_bytes) T number[lanes<T>];
  for (int l = 0; l < lanes<T>; ++l) number[l] = static_cast<T>(l);
  const std::ptrdiff_t left = n - j < lanes<T> ? n - j : lanes<T>;
  return load(number) < broadcast<T>(static_cast<T>(left));
}

// log(1 + exp(-|z|)): what softplus(z) and softplus(-z) have beyond max(z, 0) and max(-z, 0).
template <class T>
MMLFAST_INLINE vec<T> soft_corner(const vec<T>& z) {
  return log1p(exp(-abs(z)));
}

// NaN stays NaN everywhere: comparisons are such that it goes through.
template <Activation A, class T>
MMLFAST_INLINE vec<T> value(const vec<T>& z, [[maybe_unused]] const vec<T>& parameter) {
  if constexpr (A == Activation::logistic) return logistic(z);
  if constexpr (A == Activation::tanh) return tanh(z);
  if constexpr (A == Activation::relu) return select(z < zero<T>(), zero<T>(), z);
  if constexpr (A == Activation::leaky_relu) return select(z < zero<T>(), parameter * z, z);
  if constexpr (A == Activation::elu) return select(z < zero<T>(), parameter * expm1(z), z);
  if constexpr (A == Activation::gelu) {
    return z * (broadcast<T>(T{0.5}) * erfc(z * broadcast<T>(static_cast<T>(-0.70710678118654752440))));
  }
  if constexpr (A == Activation::silu) return z * logistic(z);
  if constexpr (A == Activation::softplus) return select(z < zero<T>(), zero<T>(), z) + soft_corner(z);
  return z;
}

// d f'(z), from y = f(z).
template <Activation A, class T>
MMLFAST_INLINE vec<T> times_slope(const vec<T>& d, const vec<T>& y, [[maybe_unused]] const vec<T>& parameter) {
  const vec<T> one = broadcast<T>(1);
  if constexpr (A == Activation::logistic) return d * (y * (one - y));
  if constexpr (A == Activation::tanh) return d * fnma(y, y, one);
  // Not y > 0: the error of a NaN goes on down.
  if constexpr (A == Activation::relu) return select(y <= zero<T>(), zero<T>(), d);
  if constexpr (A == Activation::leaky_relu) return select(y <= zero<T>(), parameter * d, d);
  if constexpr (A == Activation::elu) return select(y <= zero<T>(), d * (y + parameter), d);
  if constexpr (A == Activation::softplus) return d * -expm1(-y);
  return d;
}

// f'(z) of those whose value does not say it.
template <Activation A, class T>
MMLFAST_INLINE vec<T> slope_at(const vec<T>& z) {
  const vec<T> one = broadcast<T>(1);
  if constexpr (A == Activation::gelu) {
    const vec<T> density = exp(z * z * broadcast<T>(T{-0.5})) * broadcast<T>(static_cast<T>(0.39894228040143267794));
    const vec<T> below = broadcast<T>(T{0.5}) * erfc(z * broadcast<T>(static_cast<T>(-0.70710678118654752440)));
    return fma(z, density, below);
  } else {
    static_assert(A == Activation::silu);
    const vec<T> s = logistic(z);
    return s * fma(z, one - s, one);
  }
}

// body(std::integral_constant of the activation), chosen outside the loops.
template <class Body>
MMLFAST_INLINE void with_activation(Activation activation, Body&& body) {
  switch (activation) {
#define MMLFAST_ACTIVATION(name) \
  case Activation::name:         \
    return body(std::integral_constant<Activation, Activation::name>{});
    MMLFAST_ACTIVATION(logistic)
    MMLFAST_ACTIVATION(tanh)
    MMLFAST_ACTIVATION(relu)
    MMLFAST_ACTIVATION(leaky_relu)
    MMLFAST_ACTIVATION(elu)
    MMLFAST_ACTIVATION(gelu)
    MMLFAST_ACTIVATION(silu)
    MMLFAST_ACTIVATION(softplus)
#undef MMLFAST_ACTIVATION
    default:
      return;
  }
}

// Vectors in `count` rows of `cols` numbers; rows without a gap are one.
template <class T>
struct Rows {
  std::ptrdiff_t count, cols;
  Rows(const DenseLayer<T>& layer, std::ptrdiff_t n) : count(n), cols(padded<T>(layer.n_out)) {
    if (cols == layer.out_row) cols *= count, count = 1;
  }
};

// out = f(out) of some samples, and their slopes if there is room for them.
template <class T>
void activate(const DenseLayer<T>& layer, std::ptrdiff_t first, std::ptrdiff_t n) {
  const Rows<T> rows(layer, n);
  const std::ptrdiff_t count = rows.count, cols = rows.cols;
  const std::ptrdiff_t begin = first * layer.out_row;
  const vec<T> parameter = broadcast<T>(layer.parameter);
  T *out = layer.out + begin, *slope = layer.slope;
  if (slope != nullptr) {
    slope += begin;
    for (std::ptrdiff_t s = 0; s < count; ++s)
      for (std::ptrdiff_t j = 0; j < cols; j += lanes<T>) store(slope + s * layer.out_row + j, broadcast<T>(1));
  }
  with_activation(layer.activation, [&](auto a) {
    constexpr bool from_value = a() != Activation::gelu && a() != Activation::silu;
    for (std::ptrdiff_t s = 0; s < count; ++s) {
      for (std::ptrdiff_t j = 0; j < cols; j += lanes<T>) {
        const std::ptrdiff_t at = s * layer.out_row + j;
        const vec<T> z = load(out + at);
        if constexpr (!from_value) {
          if (slope != nullptr) store(slope + at, slope_at<a()>(z));
        }
        const vec<T> y = value<a()>(z, parameter);
        store(out + at, y);
        if constexpr (from_value) {
          if (slope != nullptr) store(slope + at, times_slope<a()>(broadcast<T>(1), y, parameter));
        }
      }
    }
  });
}

// delta times the slopes of the layer.
template <class T>
void slope_down(const DenseLayer<T>& layer, std::ptrdiff_t first, std::ptrdiff_t n) {
  const Rows<T> rows(layer, n);
  const std::ptrdiff_t count = rows.count, cols = rows.cols;
  const std::ptrdiff_t begin = first * layer.out_row;
  T* delta = layer.delta + begin;
  if (layer.slope != nullptr) {
    const T* slope = layer.slope + begin;
    for (std::ptrdiff_t s = 0; s < count; ++s) {
      for (std::ptrdiff_t j = 0; j < cols; j += lanes<T>) {
        const std::ptrdiff_t at = s * layer.out_row + j;
        store(delta + at, load(delta + at) * load(slope + at));
      }
    }
    return;
  }
  const vec<T> parameter = broadcast<T>(layer.parameter);
  const T* out = layer.out + begin;
  with_activation(layer.activation, [&](auto a) {
    for (std::ptrdiff_t s = 0; s < count; ++s) {
      for (std::ptrdiff_t j = 0; j < cols; j += lanes<T>) {
        const std::ptrdiff_t at = s * layer.out_row + j;
        store(delta + at, times_slope<a()>(load(delta + at), load(out + at), parameter));
      }
    }
  });
}

// A narrow layer as one of n_out samples with `count` units: for what is done to each number alone.
template <class T>
DenseLayer<T> turned(const DenseLayer<T>& layer, std::ptrdiff_t first, std::ptrdiff_t count) {
  DenseLayer<T> r = layer;
  r.n_out = count;
  r.out += first, r.delta += first;
  if (r.slope != nullptr) r.slope += first;
  return r;
}

}  // namespace mmlfast::MMLFAST_LEVEL::activations
