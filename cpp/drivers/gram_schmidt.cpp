#include "drivers/gram_schmidt.hpp"

#include <atomic>

#include "drivers/gram_schmidt_large.hpp"
#include "drivers/gram_schmidt_tall.hpp"
#include "runtime/interrupt.hpp"
#include "runtime/scratch.hpp"

namespace mmlfast::drivers {
namespace {

template <class T>
const GramSchmidt<T>& kernel() {
  if constexpr (sizeof(T) == 8)
    return gram_schmidt_f64();
  else
    return gram_schmidt_f32();
}

// The shape alone decides, so that an item has the same bits in every batch.
constexpr Size most_elements_in_lanes = 32 * 32;

// Measured to a factor of two; decides only about threads.
template <class T>
double lane_ns(Size m, Size n) {
  const double columns = static_cast<double>(n), flops = 5 * static_cast<double>(m) * columns * columns;
  return (3 + 2 * columns + flops * 0.02) * (static_cast<double>(sizeof(T)) / 8);
}

template <class T>
Outcome run_lanes(const GramSchmidtCall<T>& call) noexcept {
  const Size m = call.a.layout.rows, n = call.a.layout.cols;
  const Size scratch_bytes = 64 * kernel<T>().scratch_vectors(m, n);
  std::atomic<bool> no_memory{false};
  const bool finished = for_each_group<T>(call.n_items, lane_ns<T>(m, n), [&](Size first, Size count) {
    void* scratch = Scratch::request(scratch_bytes);
    if (scratch == nullptr) {
      no_memory.store(true, std::memory_order_relaxed);
      return;
    }
    const LaneItems<const T> a(call.a, first, count), rtol(call.rtol, first, count);
    const LaneItems<T> q(call.q, first, count), orthogonality(call.orthogonality, first, count);
    std::int64_t* rank[items_per_group<T>];
    for (Size l = 0; l < items_per_group<T>; ++l) rank[l] = call.rank.item(first + std::min<Size>(l, count - 1));
    kernel<T>().lanes(call.method, a.item, call.a.layout, rtol.item, q.item, call.q.layout, rank, orthogonality.item,
                      scratch);
  });
  if (no_memory) return {Outcome::Status::no_memory};
  return {finished ? Outcome::Status::ok : Outcome::Status::interrupted};
}

// One matrix that does not fit the lanes.
template <class T>
Outcome large_gram_schmidt(const LargeGramSchmidt<T>& item) noexcept {
  const Size m = item.a_layout.rows, n = item.a_layout.cols;
  if (item.method == Orthogonalization::householder) return by_lapack(item);
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
  constexpr double small_item_ns = 5e6;
  const double m = static_cast<double>(call.a.layout.rows), n = static_cast<double>(call.a.layout.cols);
  const double item_ns = m * n * (3 + n);
  const auto item = [&](Size i) {
    return large_gram_schmidt<T>({call.method, call.a.item(i), call.a.layout, *call.rtol.item(i), call.q.item(i),
                                  call.q.layout, call.rank.item(i), call.orthogonality.item(i)});
  };
  Outcome outcome;
  // LAPACK has threads of its own.
  if (call.n_items > 1 && item_ns < small_item_ns && call.method != Orthogonalization::householder) {
    std::atomic<Outcome::Status> worst{Outcome::Status::ok};
    const bool finished = parallel_blocks(call.n_items, item_ns * static_cast<double>(call.n_items), [&](Size i) {
      const Outcome one = item(i);
      if (!one.ok()) worst.store(one.status, std::memory_order_relaxed);
    });
    outcome.status = worst.load();
    if (!finished) outcome.join({Outcome::Status::interrupted});
    return outcome;
  }
  InterruptTimer timer;
  for (Size i = 0; i < call.n_items; ++i) {
    outcome.join(item(i));
    if (timer.interrupted()) outcome.join({Outcome::Status::interrupted});
    if (!outcome.ok()) break;
  }
  return outcome;
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
  return checked_product(m, n) <= most_elements_in_lanes ? run_lanes(call) : run_large(call);
}

template Outcome gram_schmidt<double>(const GramSchmidtCall<double>&) noexcept;
template Outcome gram_schmidt<float>(const GramSchmidtCall<float>&) noexcept;

}  // namespace mmlfast::drivers
