#include "drivers/projection.hpp"

#include <cmath>
#include <limits>
#include <optional>

#include "drivers/common/lane_batch.hpp"
#include "kernels/inner_product.hpp"

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

// The factors of points, packed.
template <class T>
struct Packed {
  static constexpr Size vector = 64 / sizeof(T);

  static Size whole(Size n) noexcept { return ceil_div(n, vector) * vector; }
  static Size elements(Sizes s) noexcept {
    const Size first = checked_product(s.d, whole(s.m)), second = checked_product(s.m, whole(s.d));
    return first < 0 || second < 0 || first > std::numeric_limits<Size>::max() - second - 1 ? -1 : first + second + 1;
  }
  static void put(const T* from, const Layout& l, T* to, Size row) noexcept {
    for (Size i = 0; i < l.rows; ++i)
      for (Size j = 0; j < l.cols; ++j) to[i * row + j] = from[i * l.row_stride + j * l.col_stride];
  }

  AlignedBuffer<T> memory;
  PointFactors<T> factors;

  // e: null for coordinates.
  Packed(Sizes s, const T* f, const Layout& f_layout, const T* e, const Layout& e_layout) noexcept
      : memory(AlignedBuffer<T>::zeros(elements(s))), factors{s.m, whole(s.m), whole(s.d), nullptr, nullptr} {
    if (!memory) return;
    put(f, f_layout, memory.data(), factors.m_row);
    factors.first = memory.data();
    if (e == nullptr) return;
    T* second = memory.data() + s.d * factors.m_row;
    put(e, transposed(e_layout), second, factors.d_row);
    factors.second = second;
  }
  void negate_second(Sizes s) noexcept {
    T* second = memory.data() + s.d * factors.m_row;
    for (Size k = 0; k < s.m * factors.d_row; ++k) second[k] = -second[k];
  }
};

struct PointBlocks {
  Size rows, scratch_bytes;

  // `more` numbers of each point, and `others`, are scratch memory too.
  template <class T>
  PointBlocks(const PointFactors<T>& f, Size d, Size more, Size others) noexcept {
    constexpr Size elements = 16384;
    const Size row = f.m_row + f.d_row + more;
    rows = std::max<Size>(16, elements / (row + d + 1) / 16 * 16);
    scratch_bytes = checked_product(row * rows + others, static_cast<Size>(sizeof(T)));
  }
};

// Points that share their factors, in blocks of rows: x is points x d, y is points x (d or m).
template <class T>
Outcome share_factors(const ProjectionCall<T>& call, Sizes s) noexcept {
  const Projection<T>& kernel = kernel_of<Projection<T>>();
  const bool whole = call.step == ProjectionStep::apply;
  const Packed<T> packed(s, call.in[1].data, call.in[1].layout, whole ? call.in[2].data : nullptr, call.in[2].layout);
  if (!packed.memory) return {Outcome::Status::no_memory};
  const Batch<const T>& x = call.in[0];
  const Batch<T>& y = call.out[0];
  const PointBlocks blocks(packed.factors, s.d, 0, 0);
  const Size rows = blocks.rows;
  const double ns = item_ns(call.step, s, sizeof(T)) * static_cast<double>(std::min(rows, call.n_items));
  return parallel_with_scratch(ceil_div(call.n_items, rows), ns, blocks.scratch_bytes, [&](Size b, void* scratch) {
    const Size from = b * rows, count = std::min(rows, call.n_items - from);
    const Layout x_layout{count, s.d, x.stride, x.layout.row_stride};
    const Layout y_layout{count, y.layout.rows, y.stride, y.layout.row_stride};
    kernel.points(x.item(from), x_layout, packed.factors, y.item(from), y_layout, scratch);
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

template <class T>
Outcome projection_residual(Size n_items, const Batch<const T>& x, const Batch<const double>& q,
                            const Batch<double>& length) noexcept {
  if (n_items == 0) return {};
  const Sizes s{q.layout.rows, q.layout.cols};
  const Projection<T>& kernel = kernel_of<Projection<T>>();
  const InnerProduct<double>& products = kernel_of<InnerProduct<double>>();
  // Points that share their basis are taken together.
  const Size together = q.stride == 0 ? n_items : 1;
  for (Size first = 0; first < n_items; first += together) {
    Packed<double> packed(s, q.item(first), q.layout, q.item(first), q.layout);
    if (!packed.memory) return {Outcome::Status::no_memory};
    packed.negate_second(s);
    const Size d_row = packed.factors.d_row;
    const PointBlocks blocks(packed.factors, s.d, d_row + 1, products.scratch_elements(s.d));
    const Size rows = blocks.rows;
    const double ns = 2 * item_ns(ProjectionStep::apply, s, 8) * static_cast<double>(std::min(rows, together));
    const auto of_block = [&](Size b, void* scratch) {
      const Size from = first + b * rows, count = std::min(rows, first + together - from);
      double *r = static_cast<double*>(scratch), *squares = r + rows * d_row, *rest = squares + rows;
      kernel.residual(x.item(from), {count, s.d, x.stride, x.layout.row_stride}, packed.factors, r, squares, rest);
      for (Size i = 0; i < count; ++i) {
        if (squares[i] >= 0x1p-900 && squares[i] <= std::numeric_limits<double>::max()) {
          *length.item(from + i) = std::sqrt(squares[i]);
        } else {  // a length without its squares
          const VectorStack<double> row{r + i * d_row, d_row, 1};
          products.items(InnerStep::norm, 1, s.d, row, row, length.item(from + i), length.stride, rest);
        }
      }
    };
    const Outcome outcome = parallel_with_scratch(ceil_div(together, rows), ns, blocks.scratch_bytes, of_block);
    if (!outcome.ok()) return outcome;
  }
  return {};
}

template Outcome projection<double>(const ProjectionCall<double>&) noexcept;
template Outcome projection<float>(const ProjectionCall<float>&) noexcept;

template Outcome projection_residual<double>(Size, const Batch<const double>&, const Batch<const double>&,
                                             const Batch<double>&) noexcept;
template Outcome projection_residual<float>(Size, const Batch<const float>&, const Batch<const double>&,
                                            const Batch<double>&) noexcept;

}  // namespace mmlfast::drivers
