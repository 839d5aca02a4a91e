// What is done to samples on their way: inputs as the network takes them, and dropout. Part of kernels/backprop.
#pragma once

#include "kernels/backprop_activations.hpp"

namespace mmlfast::MMLFAST_LEVEL::samples {

template <class T>
void take_numbers(const T* x, std::ptrdiff_t n, const T* shift, const T* scale, T* to) {
  if (shift == nullptr) {
    for (std::ptrdiff_t j = 0; j < n; ++j) to[j] = x[j];
    return;
  }
  std::ptrdiff_t j = 0;
  for (; j + lanes<T> <= n; j += lanes<T>) store(to + j, (load(x + j) - load(shift + j)) * load(scale + j));
  for (; j < n; ++j) to[j] = (x[j] - shift[j]) * scale[j];
}

// As many bytes, and integers, as a native vector has numbers.
template <class T>
struct ByteVectors;
template <>
struct ByteVectors<double> {
  typedef std::uint8_t bytes __attribute__((vector_size(native_bytes / 8), aligned(1), may_alias));
  typedef std::uint16_t words __attribute__((vector_size(native_bytes / 4)));
  typedef std::int32_t integers __attribute__((vector_size(native_bytes / 2)));
};
template <>
struct ByteVectors<float> {
  typedef std::uint8_t bytes __attribute__((vector_size(native_bytes / 4), aligned(1), may_alias));
  typedef std::uint16_t words __attribute__((vector_size(native_bytes / 2)));
  typedef std::int32_t integers __attribute__((vector_size(native_bytes)));
};

// lanes<T> bytes as numbers, doubling their width step by step: at once GCC goes through them one by one.
template <class T>
MMLFAST_INLINE vec<T> load_bytes(const std::uint8_t* x) {
  using Bytes = typename ByteVectors<T>::bytes;  // deduction (auto) would drop the alignment of the type
  using Words = typename ByteVectors<T>::words;
  using Integers = typename ByteVectors<T>::integers;
  const Bytes* bytes = reinterpret_cast<const Bytes*>(x);
  vec<T> r;
  MMLFAST_EACH_PART {
    const Words words = __builtin_convertvector(bytes[p], Words);
    const Integers integers = __builtin_convertvector(words, Integers);
    r.part[p] = __builtin_convertvector(integers, native<T>);
  }
  return r;
}

template <class T>
void take_bytes(const std::uint8_t* x, std::ptrdiff_t n, const T* shift, const T* scale, T* to) {
  std::ptrdiff_t j = 0;
  if (shift == nullptr) {
    for (; j + lanes<T> <= n; j += lanes<T>) store(to + j, load_bytes<T>(x + j));
    for (; j < n; ++j) to[j] = static_cast<T>(x[j]);
    return;
  }
  for (; j + lanes<T> <= n; j += lanes<T>) store(to + j, (load_bytes<T>(x + j) - load(shift + j)) * load(scale + j));
  for (; j < n; ++j) to[j] = (static_cast<T>(x[j]) - shift[j]) * scale[j];
}

// A 32-bit mixer with small bias (Wellons, hash-prospector) whose two halves take one half of the key each.
MMLFAST_INLINE std::uint32_t unit_number(std::uint64_t key, std::uint32_t unit) {
  std::uint32_t h = unit * 0x9e3779b1u + static_cast<std::uint32_t>(key);
  h ^= h >> 16;
  h *= 0x7feb352du;
  h ^= h >> 15;
  h ^= static_cast<std::uint32_t>(key >> 32);
  h *= 0x846ca68bu;
  return h ^ (h >> 16);
}

template <class T>
void drop(const DenseLayer<T>& layer, std::ptrdiff_t first, std::ptrdiff_t count, const std::uint64_t* keys,
          std::uint32_t threshold, T factor) {
  for (std::ptrdiff_t s = first; s < first + count; ++s) {
    T *out = layer.out + s * layer.out_row, *slope = layer.slope + s * layer.out_row;
    for (std::ptrdiff_t j = 0; j < layer.n_out; j += lanes<T>) {
      alignas(vec_bytes) T kept[lanes<T>];
      for (int l = 0; l < lanes<T>; ++l)
        kept[l] = unit_number(keys[s], static_cast<std::uint32_t>(j + l)) < threshold ? T{0} : factor;
      const vec<T> k = load(kept);
      store(out + j, load(out + j) * k);
      store(slope + j, load(slope + j) * k);
    }
  }
}

}  // namespace mmlfast::MMLFAST_LEVEL::samples
