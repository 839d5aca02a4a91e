#include <cmath>

#include "drivers/elimination.hpp"
#include "drivers/elimination_lanes.hpp"
#include "drivers/elimination_large.hpp"

namespace mmlfast::drivers {
namespace {

// Writes what the caller wants to know of the order of item i: row r of l u is row order[r] of a. `l` holds the rows of
// l one after another if they still have to be put in their places.
template <class T>
void give_order(const LuCall<T>& call, Size i, const std::int32_t* order, const T* l) {
  const Size m = call.a.layout.rows, k = call.l.layout.cols;
  if (call.p != nullptr) {  // zeros so far
    T* p = call.p->item(i);
    const Layout& layout = call.p->layout;
    for (Size r = 0; r < m; ++r) p[order[r] * layout.row_stride + r * layout.col_stride] = 1;
  } else if (call.index != nullptr) {
    for (Size r = 0; r < m; ++r)
      call.index->item(i)[order[r] * call.index->layout.row_stride] = static_cast<std::int32_t>(r);
  } else {
    T* to = call.l.item(i);
    const Layout& layout = call.l.layout;
    for (Size r = 0; r < m; ++r)
      for (Size j = 0; j < k; ++j) to[order[r] * layout.row_stride + j * layout.col_stride] = l[r * k + j];
  }
}

template <class T>
Outcome lu_in_lanes(const LuCall<T>& call) noexcept {
  const Elimination<T>& kernel = kernel_of<Elimination<T>>();
  const Size m = call.a.layout.rows, n = call.a.layout.cols, k = std::min(m, n);
  const bool permute = call.p == nullptr && call.index == nullptr;
  const Size vectors = kernel.lu_scratch_vectors(m, n);
  const Layout rows_in_a_row{m, k, k, 1};
  // One vector more per row for the order, and a place for l where its rows are to be moved.
  return run_in_lanes<T>(call.n_items, elimination_ns<T>(k, std::max(m, n) - k), vectors + m + (permute ? m * k : 0),
                         [&](Size first, Size count, void* scratch) {
                           auto* order = reinterpret_cast<std::int32_t*>(static_cast<char*>(scratch) + 64 * vectors);
                           T* lower = reinterpret_cast<T*>(order + 16 * m);
                           const LaneItems<const T> a(call.a, first, count);
                           LaneItems<T> l(call.l, first, count);
                           const LaneItems<T> u(call.u, first, count);
                           if (permute)
                             for (Size lane = 0; lane < items_per_group<T>; ++lane) l.item[lane] = lower + lane * m * k;
                           kernel.lu(a.item, call.a.layout, order, l.item, permute ? rows_in_a_row : call.l.layout,
                                     u.item, call.u.layout, scratch);
                           for (Size lane = 0; lane < count; ++lane) {
                             if (call.p != nullptr) set_all(call.p->item(first + lane), call.p->layout, T{0});
                             give_order(call, first + lane, order + lane * m, lower + lane * m * k);
                           }
                           return LaneBits{0};
                         });
}

// Room for the factors of a large matrix, its pivots, the order of its rows, and l before its rows are moved.
template <class T>
struct LuRoom {
  BlockMatrix<T> f;
  std::int32_t *pivot, *order;
  T* lower;

  LuRoom(Size m, Size n, bool permute, Divider& divider)
      : f{m, n, divider.take<T>(BlockMatrix<T>::elements(m, n))},
        pivot(divider.take<std::int32_t>(std::min(m, n))),
        order(divider.take<std::int32_t>(m)),
        lower(permute ? divider.take<T>(checked_product(m, std::min(m, n))) : nullptr) {}
};

template <class T>
Outcome lu_of_item(const LuCall<T>& call, Size i, const LuRoom<T>& room) {
  const Size m = call.a.layout.rows, n = call.a.layout.cols, k = std::min(m, n);
  LargeFactors<T> factors{room.f, room.pivot};
  const Outcome outcome = factors.factor(call.a.item(i), call.a.layout);
  if (!outcome.ok()) return outcome;
  const Layout ll = room.lower != nullptr ? Layout{m, k, k, 1} : call.l.layout;
  T* l = room.lower != nullptr ? room.lower : call.l.item(i);
  T* u = call.u.item(i);
  constexpr Size band = 32;
  const double ns = static_cast<double>(m) * static_cast<double>(n + k);
  const bool finished = parallel_blocks(ceil_div(m, band), ns, [&](Size block) {
    const Size r0 = block * band, rows = std::min(band, m - r0), upper_rows = std::min(rows, k - r0);
    const auto entry = [&](Size r, Size j) { return *room.f.at(r, j); };
    give_triangle(room.f, r0, rows, l, ll, true,
                  [&](Size r, Size j) { return j < r ? entry(r, j) : static_cast<T>(j == r); });
    if (upper_rows > 0)
      give_triangle(room.f, r0, upper_rows, u, call.u.layout, false,
                    [&](Size r, Size j) { return j < r ? T{0} : entry(r, j); });
    if (call.p != nullptr) {
      const Layout& pl = call.p->layout;
      set_all(call.p->item(i) + r0 * pl.row_stride, Layout{rows, m, pl.row_stride, pl.col_stride}, T{0});
    }
  });
  if (!finished) return {Outcome::Status::interrupted};
  if (factors.power != 0)
    for (Size r = 0; r < k; ++r)
      for (Size j = r; j < n; ++j) {
        T& x = u[r * call.u.layout.row_stride + j * call.u.layout.col_stride];
        x = std::ldexp(x, -factors.power);
      }
  for (Size r = 0; r < m; ++r) room.order[r] = static_cast<std::int32_t>(r);
  for (Size r = 0; r < k; ++r) std::swap(room.order[r], room.order[room.pivot[r]]);
  give_order(call, i, room.order, room.lower);
  return {};
}

}  // namespace

template <class T>
Outcome lu(const LuCall<T>& call) noexcept {
  const Size m = call.a.layout.rows, n = call.a.layout.cols, k = std::min(m, n);
  if (m == 0 || call.n_items == 0) return {};
  if (goes_in_lanes<T>(std::max(m, n), n, call.n_items)) return lu_in_lanes(call);
  if (std::max(m, n) > most_rows<T>) return {Outcome::Status::too_large};
  const bool permute = call.p == nullptr && call.index == nullptr;
  Divider counter;
  LuRoom<T>(m, n, permute, counter);
  const double most = static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
  return run_matrices(call.n_items, most * multiply_add_ns<T>, counter.used(), Uses::own_code,
                      [&](Size i, void* scratch) -> Outcome {
                        Divider divider(scratch);
                        return lu_of_item(call, i, LuRoom<T>(m, n, permute, divider));
                      });
}

template Outcome lu<double>(const LuCall<double>&) noexcept;
template Outcome lu<float>(const LuCall<float>&) noexcept;

}  // namespace mmlfast::drivers
