#include "drivers/projection.hpp"

#include <optional>

#include "drivers/common/column_major.hpp"
#include "drivers/common/lane_batch.hpp"

namespace mmlfast::drivers {
namespace {

constexpr Size always_in_lanes = 32;

struct Sizes {
  Size d, m;
};

bool of_points(ProjectionStep step) { return step == ProjectionStep::apply || step == ProjectionStep::coordinates; }

template <class T>
Sizes sizes(const ProjectionCall<T>& call) {
  const Layout& factor = call.in[of_points(call.step) ? 1 : 0].layout;
  return {factor.rows, factor.cols};
}

// On one thread, to a factor of two; decides only about threads.
double item_ns(ProjectionStep step, Sizes s, double element_size) {
  const double d = static_cast<double>(s.d), m = static_cast<double>(s.m);
  double flops = 2 * d * m;
  if (step == ProjectionStep::apply) flops = 4 * d * m;
  if (step == ProjectionStep::matrix) flops = 2 * d * d * m;
  if (step == ProjectionStep::to_metric) flops = d * d * (m + 1);
  if (step == ProjectionStep::from_metric) flops = 2 * d * d * (m + 1);
  if (step == ProjectionStep::dual) flops = 3 * d * m * m;
  return (3 + d + flops * 0.03) * element_size / 8;
}

struct Layouts {
  Layout in[most_projection_inputs], out[most_projection_outputs];

  template <class T>
  explicit Layouts(const ProjectionCall<T>& call) noexcept {
    for (int k = 0; k < call.n_in; ++k) in[k] = call.in[k].layout;
    for (int k = 0; k < call.n_out; ++k) out[k] = call.out[k].layout;
  }
};

template <class T>
Outcome in_lanes(const ProjectionCall<T>& call, Sizes s) noexcept {
  const Projection<T>& kernel = kernel_of<Projection<T>>();
  const Layouts layouts(call);
  const Size vectors = kernel.scratch_elements(call.step, s.d, s.m);
  const double ns = item_ns(call.step, s, sizeof(T));
  return run_in_lanes<T>(call.n_items, ns, vectors, [&](Size first, Size count, void* scratch) {
    std::optional<LaneItems<const T>> in[most_projection_inputs];
    std::optional<LaneItems<T>> out[most_projection_outputs];
    const T* const* from[most_projection_inputs];
    T* const* to[most_projection_outputs];
    for (int k = 0; k < call.n_in; ++k) from[k] = in[k].emplace(call.in[k], first, count).item;
    for (int k = 0; k < call.n_out; ++k) to[k] = out[k].emplace(call.out[k], first, count).item;
    kernel.lanes(call.step, from, layouts.in, to, layouts.out, scratch);
    return LaneBits{0};
  });
}

template <class T>
Outcome one_by_one(const ProjectionCall<T>& call, Sizes s) noexcept {
  const Projection<T>& kernel = kernel_of<Projection<T>>();
  const Layouts layouts(call);
  const Size elements = kernel.scratch_elements(call.step, s.d, s.m);
  const Size bytes = checked_product(elements, static_cast<Size>(sizeof(T)));
  const double ns = item_ns(call.step, s, sizeof(T));
  return parallel_with_scratch(call.n_items, ns, bytes, [&](Size i, void* scratch) {
    const T* from[most_projection_inputs];
    T* to[most_projection_outputs];
    for (int k = 0; k < call.n_in; ++k) from[k] = call.in[k].item(i);
    for (int k = 0; k < call.n_out; ++k) to[k] = call.out[k].item(i);
    kernel.one(call.step, from, layouts.in, to, layouts.out, scratch);
  });
}

// Points that share their factors, in blocks of rows: x is points x d, y is points x (d or m).
template <class T>
Outcome share_factors(const ProjectionCall<T>& call, Sizes s) noexcept {
  const Projection<T>& kernel = kernel_of<Projection<T>>();
  const bool whole = call.step == ProjectionStep::apply;
  AlignedBuffer<T> factors(checked_product(2 * s.d, s.m));
  if (factors.data() == nullptr) return {Outcome::Status::no_memory};
  T *first = factors.data(), *second = first + s.d * s.m;
  to_columns(call.in[1].data, call.in[1].layout, first, s.d);
  if (whole) to_columns(call.in[2].data, transposed(call.in[2].layout), second, s.m);
  const Batch<const T>& x = call.in[0];
  const Batch<T>& y = call.out[0];
  constexpr Size elements = 16384;
  const Size rows = std::max<Size>(16, elements / (2 * s.d + s.m + 1) / 16 * 16);
  const Size bytes = checked_product(2 * s.d + s.m, rows, static_cast<Size>(sizeof(T)));
  const double ns = item_ns(call.step, s, sizeof(T)) * static_cast<double>(std::min(rows, call.n_items));
  return parallel_with_scratch(ceil_div(call.n_items, rows), ns, bytes, [&](Size b, void* scratch) {
    const Size from = b * rows, count = std::min(rows, call.n_items - from);
    const Layout x_layout{count, s.d, x.stride, x.layout.row_stride};
    const Layout y_layout{count, y.layout.rows, y.stride, y.layout.row_stride};
    kernel.points(x.item(from), x_layout, first, whole ? second : nullptr, s.m, y.item(from), y_layout, scratch);
  });
}

// Points with factors of their own that are too large for the lanes.
template <class T>
Outcome point_by_point(const ProjectionCall<T>& call, Sizes s) noexcept {
  Outcome outcome;
  for (Size i = 0; i < call.n_items && outcome.ok(); ++i) {
    ProjectionCall<T> item = call;
    item.n_items = 1;
    for (int k = 0; k < call.n_in; ++k) item.in[k].data = call.in[k].item(i);
    item.out[0].data = call.out[0].item(i);
    outcome = share_factors(item, s);
  }
  return outcome;
}

}  // namespace

template <class T>
Outcome projection(const ProjectionCall<T>& call) noexcept {
  const Sizes s = sizes(call);
  if (call.n_items == 0) return {};
  if (of_points(call.step)) {
    const bool shared = call.in[1].stride == 0 && (call.n_in < 3 || call.in[2].stride == 0);
    if (shared && call.n_items >= items_per_group<T>) return share_factors(call, s);
    if (std::max(s.d, s.m) > always_in_lanes) return shared ? share_factors(call, s) : point_by_point(call, s);
  } else if (std::max(s.d, s.m) > always_in_lanes) {
    return one_by_one(call, s);
  }
  return in_lanes(call, s);
}

template Outcome projection<double>(const ProjectionCall<double>&) noexcept;
template Outcome projection<float>(const ProjectionCall<float>&) noexcept;

}  // namespace mmlfast::drivers
