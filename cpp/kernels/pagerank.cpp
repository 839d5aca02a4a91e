#include "kernels/pagerank.hpp"

#include "kernels/common/sparse_rows.hpp"
#include "kernels/pagerank_components.hpp"

namespace mmlfast::MMLFAST_LEVEL {
namespace {

// ---- sweeps ----

// f(term) with term(e) what link e brings from z.
template <class T, class F>
MMLFAST_INLINE void with_terms(const ArrivingLinks& links, const T* z, F&& f) {
  const Node* column = links.column;
  const double* weight = links.weight;
  if (weight == nullptr)
    f([=](std::int64_t e) { return z[column[e]]; });
  else
    f([=](std::int64_t e) { return static_cast<T>(weight[e]) * z[column[e]]; });
}

void relax(const ArrivingLinks& links, std::int64_t first, std::int64_t last, const float* right, const float* factor,
           float* z, float* out) {
  float* own = z + links.n_core;
  with_terms(links, static_cast<const float*>(z), [&](auto term) {
    for (std::int64_t r = first; r < last; ++r) {
      const float a = sum_row<float>(links.starts[r], links.starts[r + 1], term) + (right == nullptr ? 0 : right[r]);
      out[r] = a;
      own[r] = factor[r] * a;
    }
  });
}

void pull(const ArrivingLinks& links, std::int64_t first, std::int64_t last, const double* z, bool twice, double* out) {
  with_terms(links, z, [&](auto term) {
    if (twice) {
      for (std::int64_t r = first; r < last; ++r) out[r] = sum_row_twice(links.starts[r], links.starts[r + 1], term);
    } else {
      for (std::int64_t r = first; r < last; ++r) out[r] = sum_row<double>(links.starts[r], links.starts[r + 1], term);
    }
  });
}

// ---- vectors ----

// Vectors are gone through in chunks that stay in L1 while one basis vector after the other is read.
constexpr std::int64_t chunk = 2048;

template <class Body>
MMLFAST_INLINE void over_chunks(std::int64_t first, std::int64_t last, Body&& body) {
  for (std::int64_t i = first; i < last; i += chunk) body(i, i + chunk < last ? i + chunk : last);
}

// body(read, write) for vectors of entries: read(x) is the entries of x, write(x, v) puts new ones in their place.
template <class T, class Body>
MMLFAST_INLINE void over_vectors(std::int64_t first, std::int64_t last, Body&& body) {
  constexpr int width = lanes<T>;
  std::int64_t i = first;
  for (; i + width <= last; i += width)
    body(
        [i](const auto* x) MMLFAST_INLINE_LAMBDA {
          if constexpr (std::is_same_v<T, double>)
            return load_as_double(x + i);
          else
            return load(x + i);
        },
        [i](T* x, const vec<T>& v) MMLFAST_INLINE_LAMBDA { store(x + i, v); });
  if (i == last) return;
  const int count = static_cast<int>(last - i);
  body(
      [i, count](const auto* x) MMLFAST_INLINE_LAMBDA {
        alignas(vec_bytes) std::remove_cvref_t<decltype(*x)> buffer[lanes<T>] = {};
        for (int l = 0; l < count; ++l) buffer[l] = x[i + l];
        if constexpr (std::is_same_v<T, double>)
          return load_as_double(buffer);
        else
          return load(buffer);
      },
      [i, count](T* x, const vec<T>& v) MMLFAST_INLINE_LAMBDA { store_first(x + i, v, count); });
}

// x'y over a chunk: float32 within the chunk, over fixed lanes.
MMLFAST_INLINE double dot_chunk(const float* x, const float* y, std::int64_t first, std::int64_t last) {
  constexpr int width = lanes<float>;
  vec<float> even = zero<float>(), odd = zero<float>();
  std::int64_t i = first;
  for (; i + 2 * width <= last; i += 2 * width) {
    even = fma(load(x + i), load(y + i), even);
    odd = fma(load(x + i + width), load(y + i + width), odd);
  }
  for (; i + width <= last; i += width) even = fma(load(x + i), load(y + i), even);
  if (i < last) {
    const int count = static_cast<int>(last - i);
    odd = fma(load_first(x + i, count), load_first(y + i, count), odd);
  }
  return static_cast<double>(reduce_add(even + odd));
}

void project(const float* const* basis, int count, const float* x, float* a, std::int64_t first, std::int64_t last,
             double* sums) {
  for (int b = 0; b <= count; ++b) sums[b] = 0;
  over_chunks(first, last, [&](std::int64_t begin, std::int64_t end) {
    if (x != nullptr)
      over_vectors<float>(begin, end, [&](auto read, auto write) MMLFAST_INLINE_LAMBDA {
        write(a, read(x) - read(static_cast<const float*>(a)));
      });
    for (int b = 0; b < count; ++b) sums[b] += dot_chunk(a, basis[b], begin, end);
    sums[count] += dot_chunk(a, a, begin, end);
  });
}

double subtract(const float* const* basis, const float* c, int count, const float* u, float scale, const float* factor,
                std::int64_t first, std::int64_t last, float* w, float* z) {
  double square = 0;
  over_chunks(first, last, [&](std::int64_t begin, std::int64_t end) {
    over_vectors<float>(begin, end, [&](auto read, auto write) MMLFAST_INLINE_LAMBDA {
      vec<float> left = read(u);
      for (int b = 0; b < count; ++b) left = left - broadcast<float>(c[b]) * read(basis[b]);
      left = left * broadcast<float>(scale);
      write(w, left);
      write(z, read(factor) * left);
    });
    square += dot_chunk(w, w, begin, end);
  });
  return square;
}

void advance(const float* const* basis, const double* c, int count, const double* scale, std::int64_t first,
             std::int64_t last, double* y, double* z, std::int64_t n_core) {
  over_chunks(first, last, [&](std::int64_t begin, std::int64_t end) {
    over_vectors<double>(begin, end, [&](auto read, auto write) MMLFAST_INLINE_LAMBDA {
      vec<double> sum = read(static_cast<const double*>(y));
      for (int b = 0; b < count; ++b) sum = sum + broadcast<double>(c[b]) * read(basis[b]);
      sum = max(sum, zero<double>());
      write(y, sum);
      const vec<double> given = read(scale) * sum;
      write(z, given);
      write(z + n_core, given);
    });
  });
}

RankResidual residual(const double* teleport, const double* t, const double* y, double scale, std::int64_t first,
                      std::int64_t last, float* r) {
  constexpr int width = lanes<double>;
  vec<double> absolute = zero<double>(), sum = zero<double>(), of_y = zero<double>(), of_t = zero<double>();
  const vec<double> factor = broadcast<double>(scale);
  const auto step = [&](const vec<double>& v, const vec<double>& ti, const vec<double>& yi) {
    const vec<double> ri = (v - yi) + ti;
    absolute = absolute + abs(ri);
    sum = sum + ri;
    of_y = of_y + yi;
    of_t = of_t + ti;
    return ri * factor;
  };
  std::int64_t i = first;
  for (; i + width <= last; i += width) store_from_double(r + i, step(load(teleport + i), load(t + i), load(y + i)));
  if (i < last) {
    const int count = static_cast<int>(last - i);
    alignas(vec_bytes) float rest[width];
    store_from_double(rest, step(load_first(teleport + i, count), load_first(t + i, count), load_first(y + i, count)));
    for (int l = 0; l < count; ++l) r[i + l] = rest[l];
  }
  return {reduce_add(absolute), reduce_add(sum), reduce_add(of_y), reduce_add(of_t)};
}

// ---- eight rankings at once ----

constexpr int width = PageRankKernel::lanes;

// The sums of row r for the eight rankings. place(c) is where column c is in z.
template <class Place>
MMLFAST_INLINE vec<double> sum_lanes(const ArrivingLinks& links, std::int64_t r, const double* z, Place&& place) {
  static_assert(lanes<double> == width);
  constexpr std::int64_t ahead = 12;
  const Node* column = links.column;
  const std::int64_t end = links.starts[r + 1];
  vec<double> even = zero<double>(), odd = zero<double>();
  const auto term = [&](std::int64_t e, const vec<double>& sum) {
    __builtin_prefetch(z + width * place(column[e + ahead]));
    const vec<double> x = load(z + width * place(column[e]));
    return links.weight == nullptr ? sum + x : fma(broadcast<double>(links.weight[e]), x, sum);
  };
  std::int64_t e = links.starts[r];
  for (; e + 2 <= end; e += 2) {
    even = term(e, even);
    odd = term(e + 1, odd);
  }
  if (e < end) even = term(e, even);
  return even + odd;
}

void relax_lanes(const ArrivingLinks& links, const LaneFactors& factors, std::int64_t first, std::int64_t last,
                 const double* right, double* z, double* out) {
  double* own = z + width * links.n_core;
  const vec<double> damping = load(factors.damping);
  const auto place = [](Node c) { return std::int64_t{c}; };
  for (std::int64_t r = first; r < last; ++r) {
    const vec<double> a = sum_lanes(links, r, z, place) + load(right + width * r);
    if (out != nullptr) store(out + width * r, a);
    store(own + width * r, damping * broadcast<double>(factors.inverse_strength[r]) * a);
  }
}

template <int Count>
void remember(const double* right, const double* t, const double* y, const LaneHistory& history, std::int64_t first,
              std::int64_t last, double* sums) {
  constexpr int products = Count * (Count + 1) / 2, rows = 4 + products + Count;
  vec<double> sum[rows];
  for (int i = 0; i < rows; ++i) sum[i] = zero<double>();
  for (std::int64_t row = first; row < last; ++row) {
    const std::int64_t at = width * row;
    const vec<double> yr = load(y + at), tr = load(t + at), r = (load(right + at) - yr) + tr;
    sum[0] = sum[0] + abs(r);
    sum[1] = sum[1] + r;
    sum[2] = sum[2] + yr;
    sum[3] = sum[3] + tr;
    vec<double> dr[Count > 0 ? Count : 1];
    if constexpr (Count > 0) {
      store_from_double(history.dy[history.newest] + at, yr - load(history.y + at));
      store_from_double(history.dr[history.newest] + at, r - load(history.r + at));
    }
    for (int j = 0; j < Count; ++j) {
      dr[j] = load_as_double(history.dr[j] + at);
      for (int i = 0; i <= j; ++i) sum[4 + j * (j + 1) / 2 + i] = fma(dr[i], dr[j], sum[4 + j * (j + 1) / 2 + i]);
      sum[4 + products + j] = fma(dr[j], r, sum[4 + products + j]);
    }
    store(history.r + at, r);
  }
  for (int i = 0; i < rows; ++i) store(sums + width * i, sum[i]);
}

template <int Count>
void mix(const LaneFactors& factors, const LaneHistory& history, const double* c, std::int64_t first, std::int64_t last,
         double* z) {
  const vec<double> damping = load(factors.damping);
  vec<double> factor[Count > 0 ? Count : 1];
  for (int i = 0; i < Count; ++i) factor[i] = load(c + width * i);
  for (std::int64_t row = first; row < last; ++row) {
    const std::int64_t at = width * row;
    vec<double> y = load(history.y + at) + load(history.r + at);
    for (int i = 0; i < Count; ++i)
      y = fnma(factor[i], load_as_double(history.dy[i] + at) + load_as_double(history.dr[i] + at), y);
    store(z + at, damping * broadcast<double>(factors.inverse_strength[row]) * max(y, zero<double>()));
  }
}

void remember_lanes(const double* right, const double* t, const double* y, const LaneHistory& history,
                    std::int64_t first, std::int64_t last, double* sums) {
  constexpr decltype(&remember<0>) sized[] = {remember<0>, remember<1>, remember<2>, remember<3>};
  sized[history.count](right, t, y, history, first, last, sums);
}

void mix_lanes(const LaneFactors& factors, const LaneHistory& history, const double* c, std::int64_t first,
               std::int64_t last, double* z) {
  constexpr decltype(&mix<0>) sized[] = {mix<0>, mix<1>, mix<2>, mix<3>};
  sized[history.count](factors, history, c, first, last, z);
}

void pull_lanes(const ArrivingLinks& links, std::int64_t first, std::int64_t last, const double* z, double* out) {
  const std::int64_t n_core = links.n_core;
  const auto place = [n_core](Node c) { return c < n_core ? std::int64_t{c} : c - n_core; };
  for (std::int64_t r = first; r < last; ++r) store(out + width * r, sum_lanes(links, r, z, place));
}

}  // namespace

const PageRankKernel pagerank_f64 = {relax,    pull,        project,        subtract,  advance,
                                     residual, relax_lanes, remember_lanes, mix_lanes, pull_lanes};

// ---- sixteen rankings at once, by components ----

namespace by_components {
namespace {

constexpr int width = RankComponentsKernel::lanes, half = RankComponentsKernel::half;
static_assert(lanes<float> == width && lanes<double> == half);

// What link e brings from z.
MMLFAST_INLINE vec<float> add_link(const ComponentRows& rows, std::int64_t e, const float* z, const vec<float>& sum) {
  const vec<float> x = load(z + width * std::int64_t{rows.column[e]});
  return rows.weight == nullptr ? sum + x : fma(broadcast<float>(static_cast<float>(rows.weight[e])), x, sum);
}

MMLFAST_INLINE vec<float> sum_few(const ComponentRows& rows, std::int64_t e, std::int64_t end, const float* z) {
  vec<float> even = zero<float>(), odd = zero<float>();
  for (; e + 2 <= end; e += 2) {
    even = add_link(rows, e, z, even);
    odd = add_link(rows, e + 1, z, odd);
  }
  if (e < end) even = add_link(rows, e, z, even);
  return even + odd;
}

// The sum of z over the links [e, end). Of a long row by pieces, and those with compensation: a page to which all
// others lead has much of the score.
MMLFAST_INLINE vec<float> sum_links(const ComponentRows& rows, std::int64_t e, std::int64_t end, const float* z) {
  constexpr std::int64_t piece = 64;
  if (end - e <= piece) return sum_few(rows, e, end, z);
  vec<float> sum = zero<float>(), lost = zero<float>();
  for (; e < end; e += piece) {
    const vec<float> x = sum_few(rows, e, end - e < piece ? end : e + piece, z) - lost, next = sum + x;
    lost = (next - sum) - x;
    sum = next;
  }
  return sum;
}

// z of row r from z before, with a link to itself solved for; `a` is what arrives from all nodes.
MMLFAST_INLINE vec<float> given(const ComponentRows& rows, const vec<float>& damping, std::int64_t r,
                                const vec<float>& a, const vec<float>& before) {
  const vec<float> z = damping * broadcast<float>(rows.inverse_strength[r]) * a;
  if (rows.own[r] == 0) return z;
  return before + (z - before) / fnma(damping, broadcast<float>(rows.own[r]), broadcast<float>(1));
}

void enter(const ComponentRows& rows, const float* damping, std::int64_t first, std::int64_t last, float* right,
           float* z) {
  const vec<float> d = load(damping);
  for (std::int64_t r = first; r < last; ++r) {
    const vec<float> a = load(right + width * r) + sum_links(rows, rows.starts[r], rows.outer_end[r], z);
    store(right + width * r, a);
    store(z + width * r, given(rows, d, r, a, zero<float>()));
  }
}

void sweep(const ComponentRows& rows, const float* damping, const float* live, std::int64_t first, std::int64_t last,
           const float* right, float* z, float* sums) {
  const vec<float> d = load(damping);
  const auto moves = load(live) > zero<float>();
  vec<float> changed = zero<float>(), whole = zero<float>(), sum = zero<float>();
  for (std::int64_t r = first; r < last; ++r) {
    if (rows.repeats[r] == 0) sum = sum_links(rows, rows.outer_end[r], rows.starts[r + 1], z);
    const vec<float> a = load(right + width * r) + sum;
    const vec<float> strength = broadcast<float>(rows.strength[r]), before = load(z + width * r);
    const vec<float> after = select(moves, given(rows, d, r, a, before), before);
    changed = fma(strength, abs(after - before), changed);
    whole = fma(strength, abs(after), whole);
    store(z + width * r, after);
  }
  store(sums, changed);
  store(sums + width, whole);
}

void advance(const double* damping, const double* inverse_strength, const float* strength, const double* scale,
             const float* z32, std::int64_t n, double* y, double* z) {
  const vec<double> d = load(damping), factor = load(scale);
  for (std::int64_t r = 0; r < n; ++r) {
    const vec<double> step = broadcast<double>(static_cast<double>(strength[r])) * load_as_double(z32 + width * r);
    const vec<double> yr = max(fma(factor, step, load(y + half * r)), zero<double>());
    store(y + half * r, yr);
    store(z + half * r, d * broadcast<double>(inverse_strength[r]) * yr);
  }
}

void residual(const double* right, const double* t, const double* y, const double* scale, std::int64_t n, float* r32,
              double* sums) {
  const vec<double> factor = load(scale);
  vec<double> sum[4] = {zero<double>(), zero<double>(), zero<double>(), zero<double>()};
  for (std::int64_t row = 0; row < n; ++row) {
    const vec<double> yr = load(y + half * row), tr = load(t + half * row), r = (load(right + half * row) - yr) + tr;
    sum[0] = sum[0] + abs(r);
    sum[1] = sum[1] + r;
    sum[2] = sum[2] + yr;
    sum[3] = sum[3] + tr;
    store_from_double(r32 + width * row, factor * r);
  }
  for (int i = 0; i < 4; ++i) store(sums + half * i, sum[i]);
}

}  // namespace
}  // namespace by_components

const RankComponentsKernel rank_components_f32 = {by_components::enter, by_components::sweep, by_components::advance,
                                                  by_components::residual};

}  // namespace mmlfast::MMLFAST_LEVEL
