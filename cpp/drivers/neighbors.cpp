#include "drivers/neighbors.hpp"

#include "drivers/common/finite.hpp"
#include "drivers/neighbors_direct.hpp"
#include "drivers/neighbors_quantized.hpp"
#include "drivers/neighbors_tree.hpp"

namespace mmlfast::drivers {
namespace {

// Below this many queries the integers do not pay for being made, below this many points or dimensions neither.
constexpr Size few_queries = 8, few_points = 64, few_dimensions = 3;

// ok, or failed_items.
template <class T>
Outcome check_finite(const RowTable<T>& table) noexcept {
  constexpr Size piece = 1 << 14;
  const Size n = table.count * table.d;
  return parallel_with_scratch(ceil_div(n, piece), piece * 0.2, 0, [&](Size i, void*) -> Outcome {
    const Size from = i * piece;
    return {all_finite(table.data + from, std::min(piece, n - from)) ? Outcome::Status::ok
                                                                     : Outcome::Status::failed_items};
  });
}

}  // namespace

template <class T>
Outcome neighbors(const RowTable<T>& x, const RowTable<T>& y, Size k, bool squared, T* distances,
                  std::int64_t* indices) noexcept {
  if (x.count == 0) return {};
  Outcome finite = check_finite(x);
  if (finite.ok() && !reads_rows_once(x.count, y.d)) finite = check_finite(y);
  if (!finite.ok()) return finite;
  const NeighborAnswer<T> answer{x, y, k, squared, distances, indices};
  if (suits_tree(x.count, y.count, y.d, k)) return search_tree(answer);
  if (x.count <= few_queries || y.count <= few_points || y.d <= few_dimensions || y.d > most_quantized_dimensions)
    return search_directly(answer, nullptr, x.count);
  AlignedBuffer<Size> left(x.count);
  if (!left) return {Outcome::Status::no_memory};
  Size n_left = 0;
  const Outcome outcome = search_quantized(answer, left.data(), n_left);
  if (!outcome.ok() || n_left == 0) return outcome;
  return search_directly(answer, left.data(), n_left);
}

template Outcome neighbors<double>(const RowTable<double>&, const RowTable<double>&, Size, bool, double*,
                                   std::int64_t*) noexcept;
template Outcome neighbors<float>(const RowTable<float>&, const RowTable<float>&, Size, bool, float*,
                                  std::int64_t*) noexcept;

}  // namespace mmlfast::drivers
