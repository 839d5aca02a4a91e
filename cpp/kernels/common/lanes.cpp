#include "kernels/common/lanes.hpp"

namespace mmlfast::MMLFAST_LEVEL {
namespace {

template <class T, class C>
MMLFAST_INLINE void unpack_elements(T* const* item, std::ptrdiff_t offset, std::ptrdiff_t count, std::ptrdiff_t step,
                                    const vec<C>* src, std::ptrdiff_t src_step) {
  if (step == 1 && count >= native_lanes<C>)
    return native_squares::each_square<native_lanes<C>>(count, [&](std::ptrdiff_t e) MMLFAST_INLINE_LAMBDA {
      native_squares::unpack_square(item, offset, e, src, src_step);
    });
  for (std::ptrdiff_t e = 0; e < count; ++e)
    native_squares::scatter_element(item, offset + e * step, src[e * src_step]);
}

}  // namespace

template <class T, class C>
void pack(const T* const* item, const Layout& layout, vec<C>* dst, std::ptrdiff_t dst_row, std::ptrdiff_t dst_col) {
  pack_inlined(item, layout, dst, dst_row, dst_col);
}

template <class T, class C>
void unpack(T* const* item, const Layout& layout, const vec<C>* src, std::ptrdiff_t src_row, std::ptrdiff_t src_col) {
  const Runs runs = runs_of(layout, src_row, src_col);
  for (std::ptrdiff_t k = 0; k < runs.count; ++k)
    unpack_elements(item, k * runs.stride, runs.length, runs.step, src + k * runs.lanes_stride, runs.lanes_step);
}

template <class T, class C>
void pack_run(const T* const* item, std::ptrdiff_t offset, std::ptrdiff_t count, vec<C>* dst, std::ptrdiff_t dst_step) {
  pack_elements(item, offset, count, 1, dst, dst_step);
}

template <class T, class C>
void unpack_run(T* const* item, std::ptrdiff_t offset, std::ptrdiff_t count, const vec<C>* src,
                std::ptrdiff_t src_step) {
  unpack_elements(item, offset, count, 1, src, src_step);
}

MMLFAST_LANES(, double, double)
MMLFAST_LANES(, float, float)
MMLFAST_LANES(, float, double)

}  // namespace mmlfast::MMLFAST_LEVEL
