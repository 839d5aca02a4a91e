// Mean and centred second moments of many small tables of n x d, 8 at a time, one in each lane.
//
//   IN       item[l]     table of lane l, n x d of T, strides by `layout`; weights[l] its weights, `weights_stride`
//   apart
//                        (no weights: null)
//   SCRATCH  moment_lanes_scratch(n, d, weighted) doubles, 64-byte aligned
//   OUT      covariance  M2 / max(weight - ddof[l], 0), d x d of T, both halves
//            variance    its diagonal, d of T, the same bits
//            mean        d of T
//
// A table of no weight gives NaN. Every lane does what kernels/covariance.hpp does with a block of strips, in the same
// order, hence gives the bits of that: the driver takes whichever is faster.
//
// Flops per table: n d (d + 1) + 6 n d; bytes: the table once, it is packed into scratch memory and read there two or
// three times. Accumulation and accuracy are those of kernels/covariance.hpp: float64, sums of at most
// `moment_chain` products before they are added to the next.
//
// Source: Chan, Golub, LeVeque, Am. Stat. 37 (1983), the corrected two-pass algorithm (1.7); one problem per lane as in
// kernels/lanes.hpp.
//
//     z = x - numpy.average(x, axis=-2, weights=w); m2 = einsum("...n,...ni,...nj->...ij", w, z, z)
#pragma once

#include "kernels/covariance.hpp"
#include "kernels/layout.hpp"
#include "simd/level.hpp"

namespace mmlfast {

// Vectors from one row to the next; rows of 8 or 16 vectors would put a column into a few sets of the cache.
constexpr std::ptrdiff_t moment_lanes_row(std::ptrdiff_t d) noexcept { return d % 8 == 0 ? d + 1 : d; }

constexpr std::ptrdiff_t moment_lanes_scratch(std::ptrdiff_t n, std::ptrdiff_t d, bool weighted) noexcept {
  return 8 * (n * moment_lanes_row(d) + (weighted ? n : 0) + d * (d + 1) / 2 + 2 * d + d * d);
}

template <class T>
struct MomentLanesKernel {
  using Items = const T* const*;
  using Numbers = const double* const*;
  void (*covariance)(Items item, const Layout& layout, Numbers weights, std::ptrdiff_t weights_stride, Numbers ddof,
                     T* const* cov, const Layout& cov_layout, double* scratch);
  void (*variance)(Items item, const Layout& layout, Numbers weights, std::ptrdiff_t weights_stride, Numbers ddof,
                   T* const* var, std::ptrdiff_t var_stride, double* scratch);
  void (*mean)(Items item, const Layout& layout, Numbers weights, std::ptrdiff_t weights_stride, T* const* mean,
               std::ptrdiff_t mean_stride, double* scratch);
};

MMLFAST_KERNEL_TABLE(MomentLanesKernel<double>, moment_lanes_f64)
MMLFAST_KERNEL_TABLE(MomentLanesKernel<float>, moment_lanes_f32)

}  // namespace mmlfast
