#include "drivers/gram_schmidt.hpp"

#include "drivers/common/lane_batch.hpp"
#include "drivers/common/matrix_batch.hpp"
#include "drivers/gram_schmidt_large.hpp"
#include "drivers/gram_schmidt_tall.hpp"

namespace mmlfast::drivers {
namespace {

constexpr LaneOrders lane_orders{32, 40};  // of matrices as large as a square one of that order

template <class T>
bool use_lanes(Size n_items, Size m, Size n) {
  const Size elements = checked_product(m, n);
  return lane_orders.suit_if<T>(n_items, [elements](Size order) { return elements <= order * order; });
}

// Measured to a factor of two; decides only about threads.
template <class T>
double lane_ns(Size m, Size n) {
  const double columns = static_cast<double>(n), flops = 5 * static_cast<double>(m) * columns * columns;
  return (3 + 2 * columns + flops * 0.02) * (static_cast<double>(sizeof(T)) / 8);
}

template <class T>
Outcome run_lanes(const GramSchmidtCall<T>& call) noexcept {
  const GramSchmidt<T>& kernel = kernel_of<GramSchmidt<T>>();
  const Size m = call.a.layout.rows, n = call.a.layout.cols;
  const Size vectors = kernel.scratch_vectors(m, n);
  return run_in_lanes<T>(call.n_items, lane_ns<T>(m, n), vectors, [&](Size first, Size count, void* scratch) {
    const LaneItems<const T> a(call.a, first, count), rtol(call.rtol, first, count);
    const LaneItems<T> q(call.q, first, count), orthogonality(call.orthogonality, first, count);
    std::int64_t* rank[items_per_group<T>];
    for (Size l = 0; l < items_per_group<T>; ++l) rank[l] = call.rank.item(first + std::min<Size>(l, count - 1));
    kernel.lanes(call.method, a.item, call.a.layout, rtol.item, q.item, call.q.layout, rank, orthogonality.item,
                 scratch);
    return LaneBits{0};
  });
}

// One matrix that does not fit the lanes.
template <class T>
Outcome large_gram_schmidt(const LargeGramSchmidt<T>& item) noexcept {
  const Size m = item.a_layout.rows, n = item.a_layout.cols;
  if (item.method == Orthogonalization::householder) return gram_schmidt_by_lapack(item);
  if (item.method == Orthogonalization::cgs2 && m >= 256 && m >= 4 * n) {
    bool done = false;
    const Outcome outcome = tall_gram_schmidt(item, done);
    if (done || !outcome.ok()) return outcome;
  }
  return gram_schmidt_by_columns(item);
}

// Matrix by matrix: many small ones share the threads, a large one has them all.
template <class T>
Outcome run_large(const GramSchmidtCall<T>& call) noexcept {
  const double m = static_cast<double>(call.a.layout.rows), n = static_cast<double>(call.a.layout.cols);
  const double item_ns = m * n * (3 + n);
  const auto item = [&](Size i, void*) {
    return large_gram_schmidt<T>({call.method, call.a.item(i), call.a.layout, *call.rtol.item(i), call.q.item(i),
                                  call.q.layout, call.rank.item(i), call.orthogonality.item(i)});
  };
  const bool lapack = call.method == Orthogonalization::householder;
  return run_matrices(call.n_items, item_ns, 0, lapack ? Uses::lapack : Uses::own_code, item);
}

}  // namespace

template <class T>
Outcome gram_schmidt(const GramSchmidtCall<T>& call) noexcept {
  const Size m = call.a.layout.rows, n = call.a.layout.cols;
  if (m == 0 || n == 0) {
    for (Size i = 0; i < call.n_items; ++i) *call.rank.item(i) = 0, *call.orthogonality.item(i) = 0;
    return {};
  }
  if (call.n_items == 0) return {};
  return use_lanes<T>(call.n_items, m, n) ? run_lanes(call) : run_large(call);
}

template Outcome gram_schmidt<double>(const GramSchmidtCall<double>&) noexcept;
template Outcome gram_schmidt<float>(const GramSchmidtCall<float>&) noexcept;

}  // namespace mmlfast::drivers
