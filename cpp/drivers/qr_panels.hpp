// What the drivers share that work on one large matrix with panels of reflections (kernels/qr.hpp).
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "drivers/common/batch.hpp"
#include "drivers/common/lane_batch.hpp"
#include "kernels/common/spread_stride.hpp"
#include "kernels/qr.hpp"
#include "runtime/team.hpp"

namespace mmlfast::drivers {

// Reflections of a panel (measured): with more of them, what no cache holds is read less often.
inline constexpr Size widest_panel_of_reflections = 64;
constexpr Size reflections_of_panel(Size reflections) { return reflections < 1536 ? 32 : widest_panel_of_reflections; }

// The power of two to divide by where squares of numbers up to the largest could leave the range.
template <class T>
int far_exponent(T largest) {
  const int e = largest > 0 ? std::ilogb(largest) : 0, safe = std::numeric_limits<T>::max_exponent / 4;
  return e > -safe && e < safe ? 0 : e;
}

// The widest strip, in vectors; others are 6 or 3, the tiles of AVX-512 being three wide.
inline constexpr Size most_in_strip = 9;

// body(first column, columns) for strips of whole vectors of the columns from .. to - 1, each of which stays in the
// second-level cache; their widths do not change a bit. The first one has `lead` columns if these are whole vectors.
template <class T, class Body>
void for_each_strip(Team& team, Size rows, Size from, Size to, Size lead, Body&& body) noexcept {
  if (from >= to) return;
  constexpr Size cache = Size{640} << 10, lanes = items_per_group<T>;
  const Size head = lead % lanes == 0 && from + lead < to ? lead : 0, start = from + head;
  const Size fit = cache / (rows * static_cast<Size>(sizeof(T)) * lanes);
  const Size fair = (to - start) / (3 * get_num_threads() * lanes), vectors = std::min(fit, fair);
  const Size strip = (vectors >= most_in_strip ? most_in_strip : vectors >= 6 ? 6 : 3) * lanes;
  const Size count = ceil_div(to - start, strip);
  team.run(count + (head > 0), [&](Team::Block block) {
    if (head > 0 && block == 0) return body(from, head);
    const Size c = start + (block - (head > 0)) * strip;
    body(c, std::min(strip, round_up(to - c, lanes)));
  });
}

// A panel of `count` reflections, `column` apart, with its M.
template <class T>
struct Panel {
  const T *v, *m;
  Size column, rows, count;
};

// c := P c or P' c for one strip. Its memory is on the stack: it is run many times, and the thread's buffer may be lent
// out.
template <class T>
void apply_panel(const Panel<T>& p, bool transposed, T* c, Size row, Size cols, Size first) noexcept {
  constexpr Size lanes = items_per_group<T>;
  alignas(64) T room[2 * widest_panel_of_reflections * (most_in_strip + 1) * lanes];
  kernel_of<Qr<T>>().apply(p.v, p.column, p.rows, p.count, p.m, transposed, c, row, cols, first, room);
}

}  // namespace mmlfast::drivers
