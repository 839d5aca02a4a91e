#include "kernels/links.hpp"

#include "simd/vec.hpp"

namespace mmlfast::MMLFAST_LEVEL {
namespace {

WeightRange range(const double* weights, std::int64_t first, std::int64_t last) {
  constexpr int width = lanes<double>;
  constexpr double infinity = __builtin_inf();
  vec<double> least = broadcast<double>(infinity), most = broadcast<double>(-infinity);
  mask<double> good = ~no_lanes<double>();
  std::int64_t e = first;
  for (; e + width <= last; e += width) {
    const vec<double> w = load(weights + e);
    good = good & (w >= zero<double>()) & (w < broadcast<double>(infinity));
    least = min(w, least);
    most = max(w, most);
  }
  alignas(vec_bytes) double low[width], high[width];
  store(low, least);
  store(high, most);
  WeightRange r{infinity, -infinity, all(good)};
  for (int l = 0; l < width; ++l) {
    r.least = low[l] < r.least ? low[l] : r.least;
    r.most = high[l] > r.most ? high[l] : r.most;
  }
  for (; e < last; ++e) {
    r.good &= weights[e] >= 0 && weights[e] < infinity;
    r.least = weights[e] < r.least ? weights[e] : r.least;
    r.most = weights[e] > r.most ? weights[e] : r.most;
  }
  return r;
}

template <class Index>
void strengths(const LinksOut<Index>& links, std::int64_t first, std::int64_t last, double* strength) {
  for (std::int64_t i = first; i < last; ++i) {
    double sum = 0, lost = 0;  // Knuth's sum of two numbers and its rounding error
    for (std::int64_t e = links.starts[i]; e < links.starts[i + 1]; ++e) {
      const double w = links.weights[e], next = sum + w, part = next - sum;
      lost += (sum - (next - part)) + (w - part);
      sum = next;
    }
    strength[i] = sum + lost;
  }
}

// body(row, its new number, position of the link, new number of the target) for the links of rows [first, last); a
// target that is no node is left out. Returns the position of the first such, or -1.
template <class Index, class Body>
MMLFAST_INLINE std::int64_t each_link(const LinksOut<Index>& links, const NodeLabels& nodes, std::int64_t first,
                                      std::int64_t last, Body&& body) {
  std::int64_t bad = -1;
  const std::uint64_t n = static_cast<std::uint64_t>(links.n);
  for (std::int64_t i = first; i < last; ++i) {
    const Node source = nodes.label[i];
    if (source >= nodes.n_core) continue;
    const std::int64_t end = links.starts[i + 1];
    for (std::int64_t e = links.starts[i]; e < end; ++e) {
      const std::uint64_t target = static_cast<std::uint64_t>(links.targets[e]);
      if (target >= n) {
        if (bad < 0) bad = e;
        continue;
      }
      body(i, source, e, nodes.label[target]);
    }
  }
  return bad;
}

template <class Index>
std::int64_t count(const LinksOut<Index>& links, const NodeLabels& nodes, std::int64_t first, std::int64_t last,
                   std::uint32_t* slots) {
  return each_link(links, nodes, first, last,
                   [&](std::int64_t, Node, std::int64_t, Node target) { ++slots[target >> nodes.shift]; });
}

template <class Index>
void scatter(const LinksOut<Index>& links, const NodeLabels& nodes, const double* strength, std::int64_t first,
             std::int64_t last, const LinkBuckets& buckets, const LinkStream& to) {
  each_link(links, nodes, first, last, [&](std::int64_t row, Node source, std::int64_t e, Node target) {
    const std::uint32_t bucket = buckets.bucket_of_slot[target >> nodes.shift];
    const std::int64_t at = buckets.cursor[bucket]++;
    if (at >= buckets.last[bucket]) return;
    // A bucket is written in order, but so rarely that the processor does not notice: the next lines are prefetched.
    __builtin_prefetch(to.source + at + 32, 1);
    __builtin_prefetch(to.row + at + 64, 1);
    to.source[at] = source;
    to.row[at] = static_cast<std::uint16_t>(target - buckets.first_row[bucket]);
    if (links.weights != nullptr) to.weight[at] = links.weights[e] / strength[row];
  });
}

void gather(const LinkStream& links, const LinkBucket& bucket, const LinksIn& to, void* sorted) {
  const std::int64_t rows = bucket.last_row - bucket.first_row, count = bucket.last - bucket.first;
  Node* source = links.source + bucket.first;
  const std::uint16_t* row = links.row + bucket.first;
  double* weight = links.weight == nullptr ? nullptr : links.weight + bucket.first;
  double* sorted_weight = static_cast<double*>(sorted);
  std::uint32_t* next = reinterpret_cast<std::uint32_t*>(sorted_weight + (weight == nullptr ? 0 : count));
  Node* sorted_source = next + rows + 1;

  for (std::int64_t r = 0; r <= rows; ++r) next[r] = 0;
  for (std::int64_t e = 0; e < count; ++e) ++next[row[e]];
  std::uint32_t sum = 0;
  for (std::int64_t r = 0; r < rows; ++r) {
    const std::uint32_t own = next[r];
    next[r] = sum;
    to.starts[bucket.first_row + r] = bucket.first + sum;
    sum += own;
  }
  for (std::int64_t e = 0; e < count; ++e) {
    const Node target = bucket.first_row + row[e];
    const std::uint32_t at = next[row[e]]++;
    const bool own = source[e] < target && source[e] >= to.block_of_slot[target >> to.shift];
    sorted_source[at] = own ? source[e] + to.n_core : source[e];
    if (weight != nullptr) sorted_weight[at] = weight[e];
  }
  for (std::int64_t e = 0; e < count; ++e) source[e] = sorted_source[e];
  if (weight == nullptr) return;
  for (std::int64_t e = 0; e < count; ++e) weight[e] = sorted_weight[e];
}

template <class Index>
constexpr LinksIntake<Index> table = {range, strengths<Index>, count<Index>, scatter<Index>, gather};

}  // namespace

const LinksIntake<std::int32_t> links_i32 = table<std::int32_t>;
const LinksIntake<std::int64_t> links_i64 = table<std::int64_t>;

}  // namespace mmlfast::MMLFAST_LEVEL
