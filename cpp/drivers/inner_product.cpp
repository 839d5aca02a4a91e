#include "drivers/inner_product.hpp"

#include "drivers/common/lane_batch.hpp"

namespace mmlfast::drivers {
namespace {

// On one thread, to a factor of two; decides only about threads and blocks.
double item_ns(InnerStep step, Size d) {
  const double per_component = step == InnerStep::angle ? 2 : 0.5;
  return (step == InnerStep::angle ? 15 : 2) + per_component * static_cast<double>(d);
}

}  // namespace

template <class T>
Outcome inner_product(InnerStep step, Size n_items, const Batch<const T>& x, const Batch<const T>& y,
                      const Batch<T>& out) noexcept {
  if (n_items == 0) return {};
  const InnerProduct<T>& kernel = of_type<T>(inner_product_f64, inner_product_f32);
  const Size d = x.layout.rows;
  const Size bytes = checked_product(kernel.scratch_elements(d), static_cast<Size>(sizeof(T)));
  const double ns = item_ns(step, d);
  constexpr double block_ns = 50'000;
  constexpr Size group = items_per_group<T>;
  const Size per_block = std::max<Size>(1, static_cast<Size>(block_ns / (ns * group))) * group;
  std::atomic<bool> no_memory{false}, failed{false};
  const bool finished =
      parallel_blocks((n_items + per_block - 1) / per_block, ns * static_cast<double>(n_items), [&](Size block) {
        T* scratch = static_cast<T*>(Scratch::request(bytes));
        if (scratch == nullptr) return no_memory.store(true, std::memory_order_relaxed);
        const Size first = block * per_block, count = std::min(per_block, n_items - first);
        const VectorStack<T> xs{x.item(first), x.stride, x.layout.row_stride};
        const VectorStack<T> ys{y.item(first), y.stride, y.layout.row_stride};
        if (kernel.items(step, count, d, xs, ys, out.item(first), out.stride, scratch))
          failed.store(true, std::memory_order_relaxed);
      });
  if (no_memory) return {Outcome::Status::no_memory};
  if (!finished) return {Outcome::Status::interrupted};
  return {failed ? Outcome::Status::failed_items : Outcome::Status::ok};
}

template Outcome inner_product<double>(InnerStep, Size, const Batch<const double>&, const Batch<const double>&,
                                       const Batch<double>&) noexcept;
template Outcome inner_product<float>(InnerStep, Size, const Batch<const float>&, const Batch<const float>&,
                                      const Batch<float>&) noexcept;

}  // namespace mmlfast::drivers
