#include "drivers/qr.hpp"

#include "drivers/common/lane_batch.hpp"
#include "drivers/common/matrix_batch.hpp"
#include "drivers/gram_schmidt.hpp"
#include "drivers/qr_large.hpp"
#include "kernels/qr.hpp"
#include "runtime/aligned_buffer.hpp"

namespace mmlfast::drivers {
namespace {

bool use_tall(Size m, Size n, Size p) { return m >= 512 && m >= 8 * n && n <= 256 && (p == 0 || p == n); }

// One matrix goes through lanes up to 32 columns, whatever the others do; a batch that fills the lanes as far as the
// working memory stays in the second cache: measured, 3 to 8 times as fast as one after the other.
constexpr LaneOrders lane_orders{32, 96};

template <class T>
bool use_lanes(Size n_items, Size m, Size n, Size p) {
  return lane_orders.suit_if<T>(n_items, [&](Size order) {
    if (order > lane_orders.always && use_tall(m, n, p)) return false;
    return std::min(m, n) <= order && checked_product(m, n) <= 2 * order * order && m * p <= 4 * order * order;
  });
}

// Tall matrices without reflections, but for those with columns that are dependent to the last bit, NaN or infinity.
template <class T>
Outcome tall_matrices(Size n_items, const Batch<const T>& a, const Batch<T>& q, const Batch<T>& r) noexcept {
  const Qr<T>& kernel = kernel_of<Qr<T>>();
  const double m = static_cast<double>(a.layout.rows), n = static_cast<double>(a.layout.cols);
  const AlignedBuffer<bool> done(n_items);
  if (done.data() == nullptr) return {Outcome::Status::no_memory};
  const auto q_item = [&](Size i) { return q.data == nullptr ? nullptr : q.item(i); };
  Outcome outcome = run_matrices(n_items, m * n * (3 + 0.1 * n), 0, Uses::own_code, [&](Size i, void*) {
    return tall_qr<T>(a.item(i), a.layout, q_item(i), q.layout, r.item(i), r.layout, done[i]);
  });
  for (Size i = 0; i < n_items && outcome.ok(); ++i)
    if (!done[i])
      outcome = large_qr<T>(1, kernel, {a.item(i), 0, a.layout}, {q_item(i), 0, q.layout}, {r.item(i), 0, r.layout});
  return outcome;
}

// Measured to a factor of two; decides only about threads.
template <class T>
double lane_ns(Size m, Size n, Size p) {
  const double rows = static_cast<double>(m), k = static_cast<double>(std::min(m, n));
  const double flops = 2 * rows * k * static_cast<double>(n + p);
  return (5 + 4 * k + flops * 0.04) * (static_cast<double>(sizeof(T)) / 8);
}

}  // namespace

template <class T>
Outcome qr(Size n_items, const Batch<const T>& a, const Batch<T>& q, const Batch<T>& r) noexcept {
  const Qr<T>& kernel = kernel_of<Qr<T>>();
  const Size m = a.layout.rows, n = a.layout.cols, p = q.data == nullptr ? 0 : q.layout.cols;
  if (n_items == 0) return {};
  if (m == 0 || n == 0) {
    for (Size i = 0; i < n_items && p > 0; ++i)
      for (Size j = 0; j < p; ++j)
        for (Size k = 0; k < m; ++k)
          q.item(i)[k * q.layout.row_stride + j * q.layout.col_stride] = static_cast<T>(k == j);
    return {};
  }
  if (!use_lanes<T>(n_items, m, n, p))
    return use_tall(m, n, p) ? tall_matrices(n_items, a, q, r) : large_qr<T>(n_items, kernel, a, q, r);
  const Size vectors = kernel.scratch_vectors(m, n, p);
  return run_in_lanes<T>(n_items, lane_ns<T>(m, n, p), vectors, [&](Size first, Size count, void* scratch) {
    const LaneItems<const T> a_items(a, first, count);
    LaneItems<T> q_items(q, first, count);
    const LaneItems<T> r_items(r, first, count);
    if (p == 0) q_items.item[0] = nullptr;
    kernel.factor(a_items.item, a.layout, q_items.item, q.layout, r_items.item, r.layout, scratch);
    return LaneBits{0};
  });
}

template <class T>
Outcome qr_raw(Size n_items, const Batch<const T>& a, const Batch<T>& h, const Batch<T>& tau) noexcept {
  const Qr<T>& kernel = kernel_of<Qr<T>>();
  const Size m = a.layout.rows, n = a.layout.cols;
  if (n_items == 0 || m == 0 || n == 0) return {};
  if (!use_lanes<T>(n_items, m, n, 0)) return large_qr_raw<T>(n_items, kernel, a, h, tau);
  const Size vectors = kernel.scratch_vectors(m, n, 0);
  return run_in_lanes<T>(n_items, lane_ns<T>(m, n, 0), vectors, [&](Size first, Size count, void* scratch) {
    const LaneItems<const T> a_items(a, first, count);
    const LaneItems<T> h_items(h, first, count), tau_items(tau, first, count);
    kernel.raw(a_items.item, a.layout, h_items.item, h.layout, tau_items.item, tau.layout, scratch);
    return LaneBits{0};
  });
}

#define MMLFAST_INSTANTIATE(T)                                                                    \
  template Outcome qr<T>(Size, const Batch<const T>&, const Batch<T>&, const Batch<T>&) noexcept; \
  template Outcome qr_raw<T>(Size, const Batch<const T>&, const Batch<T>&, const Batch<T>&) noexcept;
MMLFAST_INSTANTIATE(double)
MMLFAST_INSTANTIATE(float)

}  // namespace mmlfast::drivers
