#include "drivers/inner_product.hpp"

#include "drivers/common/lane_batch.hpp"

namespace mmlfast::drivers {
namespace {

// On one thread, to a factor of two; decides only about threads and blocks.
double item_ns(InnerStep step, Size d) {
  const double per_component = step == InnerStep::angle ? 2 : step == InnerStep::projection ? 1 : 0.5;
  return (step == InnerStep::angle ? 15 : 2) + per_component * static_cast<double>(d);
}

}  // namespace

template <class T>
Outcome inner_product(InnerStep step, Size n_items, const Batch<const T>& x, const Batch<const T>& y,
                      const Batch<T>& out) noexcept {
  if (n_items == 0) return {};
  const InnerProduct<T>& kernel = kernel_of<InnerProduct<T>>();
  const Size d = x.layout.rows;
  const Size bytes = checked_product(kernel.scratch_elements(d), static_cast<Size>(sizeof(T)));
  const double ns = item_ns(step, d);
  constexpr double block_ns = 50'000;
  constexpr Size group = items_per_group<T>;
  const Size per_block = std::max<Size>(1, static_cast<Size>(block_ns / (ns * group))) * group;
  const double block_cost = ns * static_cast<double>(std::min(per_block, n_items));
  return parallel_with_scratch(
      ceil_div(n_items, per_block), block_cost, bytes, [&](Size block, void* scratch) -> Outcome {
        const Size first = block * per_block, count = std::min(per_block, n_items - first);
        const auto run = [&](Size from, Size n) {
          const VectorStack<T> xs{x.item(from), x.stride, x.layout.row_stride};
          const VectorStack<T> ys{y.item(from), y.stride, y.layout.row_stride};
          return kernel.items(step, n, d, xs, ys, out.item(from), out.stride, static_cast<T*>(scratch));
        };
        Outcome outcome;
        if (!run(first, count)) return outcome;
        for (Size i = first; i < first + count; ++i)  // which? The same results are written again
          if (run(i, 1)) outcome.join({Outcome::Status::failed_items, i});
        return outcome;
      });
}

template Outcome inner_product<double>(InnerStep, Size, const Batch<const double>&, const Batch<const double>&,
                                       const Batch<double>&) noexcept;
template Outcome inner_product<float>(InnerStep, Size, const Batch<const float>&, const Batch<const float>&,
                                      const Batch<float>&) noexcept;

}  // namespace mmlfast::drivers
