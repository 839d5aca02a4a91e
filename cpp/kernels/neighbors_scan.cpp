#include "kernels/neighbors_candidates.hpp"

namespace mmlfast::MMLFAST_LEVEL {
namespace {

using std::int32_t;
using std::ptrdiff_t;

// Panels that share what is broadcast of the queries, where the registers hold the sums of two.
constexpr int panels_at_once = vec_parts == 1 ? 2 : 1;
static_assert(panels_at_once * panel_points <= points_of_tile);

template <int Panels>
MMLFAST_INLINE bool tile(const NeighborScan<int32_t>& o, ptrdiff_t panel, ptrdiff_t query) {
  const ptrdiff_t length = o.length;
  const int32_t *x = o.x + query * length, *y = o.y + panel * length * panel_points;
  Pairs sum[Panels][rows_of_tile];
  _Pragma("GCC unroll 2") for (int p = 0; p < Panels; ++p) {
    const Pairs start = negative(load_pairs(o.half + (panel + p) * panel_points));
    _Pragma("GCC unroll 16") for (int r = 0; r < rows_of_tile; ++r) sum[p][r] = start;
  }
  _Pragma("GCC unroll 2") for (ptrdiff_t k = 0; k < length; ++k, y += panel_points) {
    Pairs point[Panels];
    _Pragma("GCC unroll 2") for (int p = 0; p < Panels; ++p) point[p] = load_pairs(y + p * length * panel_points);
    _Pragma("GCC unroll 16") for (int r = 0; r < rows_of_tile; ++r) {
      const Pairs own = broadcast_pair(x[r * length + k]);
      _Pragma("GCC unroll 2") for (int p = 0; p < Panels; ++p) sum[p][r] = add_products(own, point[p], sum[p][r]);
    }
  }
  bool full = false;
  _Pragma("GCC unroll 2") for (int p = 0; p < Panels; ++p) full |= take_tile<panel_points>(
      o, panel + p, query, points_of_tile, [&](int r) { return sum[p][r] > broadcast_pair(o.limit[query + r]); },
      [&](int r, int32_t* scores) { store_sums(scores, sum[p][r]); });
  return full;
}

bool scan(const NeighborScan<int32_t>& o, NeighborCursor& cursor) {
  return all_tiles(o, cursor, panels_at_once, [&](ptrdiff_t panel, ptrdiff_t query) {
    return panel + panels_at_once <= o.last_panel ? tile<panels_at_once>(o, panel, query) : tile<1>(o, panel, query);
  });
}

}  // namespace

MMLFAST_DEFINE_TABLE(NeighborsScan, neighbors_scan, scan)

}  // namespace mmlfast::MMLFAST_LEVEL
