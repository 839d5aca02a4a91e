#include "kernels/neighbors_tree.hpp"

#include "simd/bits.hpp"

namespace mmlfast::MMLFAST_LEVEL {
namespace {

using std::int64_t;
using std::ptrdiff_t;
using std::uint32_t;

constexpr int width = lanes<double>;
constexpr double infinity = __builtin_inf();
// Added to the exponents of keys: none is a subnormal number, which a caller may have told the processor to take for 0.
constexpr int64_t one_in_exponent = int64_t{1} << 52;

// The search of one panel. D: the number of components, or 0 for any.
template <int D>
class Search {
 public:
  MMLFAST_INLINE Search(const BoxTree& tree, const NearestOfPanel& operands)
      : tree_(tree), o_(operands), kept_(broadcast_bits<double>(~tree.place_mask)) {
    for (ptrdiff_t j = 0; j < d(); ++j) {
      alignas(vec_bytes) double own[width];
      for (int l = 0; l < width; ++l) own[l] = o_.queries[j * width + (l < o_.count ? l : 0)];
      low_[j] = high_[j] = own[0];
      for (int l = 1; l < width; ++l) {
        low_[j] = own[l] < low_[j] ? own[l] : low_[j];
        high_[j] = own[l] > high_[j] ? own[l] : high_[j];
      }
      query_[j] = load(own);
    }
    for (ptrdiff_t i = 0; i <= o_.k; ++i) store(o_.list + i * width, broadcast(infinity));
    reach_ = broadcast(infinity);
    farthest_ = infinity;
  }

  MMLFAST_INLINE uint32_t run() {
    const ptrdiff_t first = look_into_nearest();
    struct {
      ptrdiff_t level, index;
    } waiting[BoxTree::most_levels * BoxTree::children];
    ptrdiff_t n_waiting = 0;
    waiting[n_waiting++] = {tree_.n_levels - 1, 0};
    while (n_waiting > 0) {
      const auto [level, index] = waiting[--n_waiting];
      const double* boxes = group(level, index);
      uint32_t near = to_bitmask(to_boxes(boxes) < broadcast(farthest_));
      if (level == 0) {
        if (index != first) look_into(index, boxes, near);
        continue;
      }
      for (; near != 0; near &= near - 1) {
        const int child = __builtin_ctz(near);
        if (any(to_box(boxes + child) < reach_)) waiting[n_waiting++] = {level - 1, index * BoxTree::children + child};
      }
    }
    return finish();
  }

 private:
  static constexpr int most = D > 0 ? D : BoxTree::most_dimensions;
  MMLFAST_INLINE ptrdiff_t d() const { return D > 0 ? D : tree_.d; }
  MMLFAST_INLINE const double* group(ptrdiff_t level, ptrdiff_t index) const {
    return tree_.boxes[level] + index * 2 * width * d();
  }

  // The squares of how far the boxes of a group are from that of the queries; and one box from each query.
  MMLFAST_INLINE vec<double> to_boxes(const double* boxes) const {
    vec<double> square = zero<double>();
    for (ptrdiff_t j = 0; j < d(); ++j, boxes += 2 * width) {
      const vec<double> below = broadcast(low_[j]) - load(boxes + width), above = load(boxes) - broadcast(high_[j]),
                        gap = max(max(below, above), zero<double>());
      square = fma(gap, gap, square);
    }
    return square;
  }
  MMLFAST_INLINE vec<double> to_box(const double* box) const {
    vec<double> square = zero<double>();
    for (ptrdiff_t j = 0; j < d(); ++j, box += 2 * width) {
      const vec<double> below = query_[j] - broadcast(box[width]), above = broadcast(box[0]) - query_[j],
                        gap = max(max(below, above), zero<double>());
      square = fma(gap, gap, square);
    }
    return square;
  }

  // Down to the nearest boxes first, for a reach that leaves out most others. The number of the group of leaves.
  MMLFAST_INLINE ptrdiff_t look_into_nearest() {
    ptrdiff_t index = 0;
    for (ptrdiff_t level = tree_.n_levels - 1;; --level) {
      alignas(vec_bytes) double squares[width];
      const double* boxes = group(level, index);
      store(squares, to_boxes(boxes));
      int nearest = 0;
      for (int c = 1; c < width; ++c) nearest = squares[c] < squares[nearest] ? c : nearest;
      if (level == 0) {
        look_into(index, boxes, 1u << nearest);
        look_into(index, boxes, to_bitmask(to_boxes(boxes) < broadcast(farthest_)) & ~(1u << nearest));
        return index;
      }
      index = index * BoxTree::children + nearest;
    }
  }
  // The leaves of a group that bits of `near` stand for.
  MMLFAST_NOINLINE void look_into(ptrdiff_t index, const double* boxes, uint32_t near) {
    for (; near != 0; near &= near - 1) {
      const int child = __builtin_ctz(near);
      if (any(to_box(boxes + child) < reach_)) scan(index * BoxTree::children + child);
    }
  }

  MMLFAST_INLINE void scan(ptrdiff_t leaf) {
    alignas(vec_bytes) double found[(BoxTree::leaf_points + at_once) * width];
    const double* panel = tree_.panels + leaf * BoxTree::leaf_points * d();
    bits<double> place = broadcast_bits<double>(leaf * BoxTree::leaf_points + one_in_exponent);
    const vec<double> none = broadcast(infinity), reach = reach_;
    const bits<double> kept = kept_;
    ptrdiff_t count = 0;
    for (ptrdiff_t l = 0; l < BoxTree::leaf_points; ++l) {
      if (l == width) panel += (d() - 1) * width;
      vec<double> square = zero<double>();
      for (ptrdiff_t j = 0; j < d(); ++j) {
        const vec<double> difference = query_[j] - broadcast(panel[j * width + l]);
        square = fma(difference, difference, square);
      }
      const vec<double> key = from_bits<double>((as_bits(square) & kept) + place);
      place = place + broadcast_bits<double>(1);
      const mask<double> enters = square < reach;  // not those of places without a point
      store(found + count * width, select(enters, key, none));
      count += any(enters);
    }
    if (count > 0) enter(found, count);
  }

  // Several at once: each is a chain through the list of minima and maxima.
  static constexpr int at_once = 4;
  MMLFAST_INLINE void enter(double* found, ptrdiff_t count) {
    for (ptrdiff_t i = count; i % at_once != 0; ++i) store(found + i * width, broadcast(infinity));
    for (ptrdiff_t first = 0; first < count; first += at_once) {
      vec<double> key[at_once];
      _Pragma("GCC unroll 4") for (int i = 0; i < at_once; ++i) key[i] = load(found + (first + i) * width);
      for (ptrdiff_t i = 0; i <= o_.k; ++i) {
        vec<double> listed = load(o_.list + i * width);
        _Pragma("GCC unroll 4") for (int c = 0; c < at_once; ++c) {
          const vec<double> moved = max(key[c], listed);
          listed = min(key[c], listed);
          key[c] = moved;
        }
        store(o_.list + i * width, listed);
      }
    }
    reach_ = square_of(load(o_.list + o_.k * width));
    alignas(vec_bytes) double reach[width];
    store(reach, reach_);
    farthest_ = reach[0];
    for (int l = 1; l < width; ++l) farthest_ = reach[l] > farthest_ ? reach[l] : farthest_;
  }

  // What is left of the square in a key; infinity if there is no point.
  MMLFAST_INLINE vec<double> square_of(const vec<double>& key) const {
    const vec<double> square = from_bits<double>((as_bits(key) & kept_) - broadcast_bits<double>(one_in_exponent));
    return select(key < broadcast(infinity), square, broadcast(infinity));
  }

  MMLFAST_INLINE uint32_t finish() {
    for (ptrdiff_t i = 0; i < o_.k; ++i) {
      const vec<double> key = load(o_.list + i * width);
      alignas(vec_bytes) int64_t places[width];
      store(reinterpret_cast<double*>(places),
            from_bits<double>(as_bits(key) & broadcast_bits<double>(tree_.place_mask)));
      for (int l = 0; l < width; ++l) o_.places[i * width + l] = static_cast<uint32_t>(places[l]);
    }
    for (ptrdiff_t i = 0; i < o_.k; ++i) {
      alignas(vec_bytes) double points[most * width];
      for (int l = 0; l < width; ++l) {
        const ptrdiff_t place = o_.places[i * width + l];
        const double* point = tree_.panels + (place / width * d()) * width + place % width;
        for (ptrdiff_t j = 0; j < d(); ++j) points[j * width + l] = point[j * width];
      }
      vec<double> square = zero<double>();
      for (ptrdiff_t j = 0; j < d(); ++j) {
        const vec<double> difference = query_[j] - load(points + j * width);
        square = fma(difference, difference, square);
      }
      const vec<double> none = broadcast(infinity);
      store(o_.squares + i * width, select(load(o_.list + i * width) < none, square, none));
    }
    const uint32_t undecided = to_bitmask(square_of(load(o_.list + (o_.k - 1) * width)) >= reach_);
    return undecided & ((1u << o_.count) - 1);
  }

  const BoxTree& tree_;
  const NearestOfPanel& o_;
  const bits<double> kept_;
  vec<double> query_[most];
  double low_[most], high_[most];
  vec<double> reach_;  // the square of the last key of the list: others have to be smaller
  double farthest_;    // the largest of these
};

uint32_t nearest(const BoxTree& tree, const NearestOfPanel& operands) {
  switch (tree.d) {
    case 2:
      return Search<2>(tree, operands).run();
    case 3:
      return Search<3>(tree, operands).run();
    default:
      return Search<0>(tree, operands).run();
  }
}

}  // namespace

MMLFAST_DEFINE_TABLE(NeighborsTree, neighbors_tree, 352 / vec_parts, nearest)

}  // namespace mmlfast::MMLFAST_LEVEL
