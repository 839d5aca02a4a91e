#include "drivers/neighbors_quantized.hpp"

namespace mmlfast::drivers {
namespace {

// Points as integers around a centre. The centre and the scale decide how fast a search is, never what it finds.
template <class T>
class QuantizedPoints {
 public:
  // In units of the integers: how long points and queries may be, so that products stay below 2^29.
  static constexpr double longest_point = 16'000, longest_query = 32'000;

  Outcome build(const RowTable<T>& y) noexcept {
    y_ = y;
    pairs = (y.d + 1) / 2;
    n_panels = ceil_div(y.count, panel_points);
    centre = AlignedBuffer<double>(y.d);
    words = AlignedBuffer<std::int32_t>(checked_product(n_panels * panel_points, pairs));
    half = AlignedBuffer<std::int32_t>(n_panels * panel_points);
    norm_ = AlignedBuffer<double>(2 * y.count);
    if (!centre || !words || !half || !norm_ || !find_centre()) return {Outcome::Status::no_memory};
    bool finished = for_rows(
        [&](Size i) { norm_[i] = ordered(std::sqrt(kernel_.square_from_centre(y_.row(i), y_.d, centre.data()))); });
    if (!finished) return {Outcome::Status::interrupted};
    if (!find_scale()) return {Outcome::Status::no_memory};
    return quantize();
  }

  Size pairs = 0, n_panels = 0;
  AlignedBuffer<double> centre;
  AlignedBuffer<std::int32_t> words, half;
  double scale = 1, largest_error = 0;  // the latter in units of the integers
  // Points too far out for the integers, with their distances from the centre.
  Size n_far = 0;
  AlignedBuffer<std::uint32_t> far_index;
  AlignedBuffer<double> far_norm;

 private:
  static constexpr Size rows_per_block = 16 * panel_points;

  template <class Body>
  bool for_rows(Body&& body) const noexcept {
    const double ns = static_cast<double>(y_.count) * static_cast<double>(y_.d);
    return parallel_blocks(ceil_div(y_.count, rows_per_block), ns, [&](Size block) {
      const Size end = std::min(y_.count, (block + 1) * rows_per_block);
      for (Size i = block * rows_per_block; i < end; ++i) body(i);
    });
  }

  // The median of some rows, component by component: no far point moves it.
  bool find_centre() noexcept {
    constexpr Size most = 33;
    const Size n = std::min(y_.count, most), step = y_.count / n;
    AlignedBuffer<double> column(n);
    if (!column) return false;
    for (Size j = 0; j < y_.d; ++j) {
      // Not in equal steps: tables may have a period.
      for (Size i = 0; i < n; ++i)
        column[i] = ordered(static_cast<double>(y_.row(i * y_.count / n + i * 40'507 % step)[j]));
      std::nth_element(column.data(), column.data() + n / 2, column.data() + n);
      centre[j] = column[n / 2];
    }
    return true;
  }

  // So that nearly all points fit; the others are far.
  bool find_scale() noexcept {
    double* sorted = norm_.data() + y_.count;
    std::copy_n(norm_.data(), y_.count, sorted);
    const Size most = (y_.count - 1) * 99 / 100;
    std::nth_element(sorted, sorted + most, sorted + y_.count);
    const double largest = *std::max_element(sorted + most, sorted + y_.count);
    double usual = sorted[most];
    // Unless those that fit would be so small beside the largest of them that the integers could not tell them apart.
    Size end = most;
    for (const Size fewer : {(y_.count - 1) * 9 / 10, (y_.count - 1) / 2}) {
      if (fewer >= end) continue;
      std::nth_element(sorted, sorted + fewer, sorted + end);
      if (sorted[fewer] > 0 && usual > 64 * sorted[fewer]) usual = sorted[fewer];
      end = fewer;
    }
    const double limit = std::min(largest, 4 * usual);
    scale = limit > 0 ? longest_point / (limit * (1 + 1e-9)) : 1;
    for (Size i = 0; i < y_.count; ++i) n_far += norm_[i] > limit;
    far_index = AlignedBuffer<std::uint32_t>(n_far);
    far_norm = AlignedBuffer<double>(n_far);
    if (!far_index || !far_norm) return false;
    for (Size i = 0, f = 0; i < y_.count; ++i) {
      if (!(norm_[i] > limit)) continue;
      far_index[f] = static_cast<std::uint32_t>(i);
      far_norm[f++] = norm_[i];
      norm_[i] = -1;
    }
    return true;
  }

  Outcome quantize() noexcept {
    const Size n_blocks = ceil_div(y_.count, rows_per_block), length = 2 * pairs;
    AlignedBuffer<double> errors(n_blocks);
    if (!errors) return {Outcome::Status::no_memory};
    const double ns = 2 * static_cast<double>(rows_per_block) * static_cast<double>(y_.d);
    const Outcome outcome = parallel_with_scratch(n_blocks, ns, length * 2, [&](Size block, void* scratch) {
      auto* q = static_cast<std::int16_t*>(scratch);
      errors[block] = 0;
      const Size end = std::min(n_panels * panel_points, (block + 1) * rows_per_block);
      for (Size i = block * rows_per_block; i < end; ++i) {
        std::fill_n(q, length, std::int16_t{0});
        half[i] = unreachable;
        if (i < y_.count && norm_[i] >= 0) {
          const QuantizedLength l = kernel_.quantize(y_.row(i), y_.d, centre.data(), scale, q);
          half[i] = static_cast<std::int32_t>(l.square / 2);
          errors[block] = std::max(errors[block], l.error_square);
        }
        std::int32_t* to = words.data() + i / panel_points * pairs * panel_points + i % panel_points;
        for (Size p = 0; p < pairs; ++p) std::memcpy(to + p * panel_points, q + 2 * p, 4);
      }
    });
    if (!outcome.ok()) return outcome;
    largest_error = std::sqrt(*std::max_element(errors.data(), errors.data() + n_blocks));
    norm_ = AlignedBuffer<double>();
    return {};
  }

  const Neighbors<T>& kernel_ = kernel_of<Neighbors<T>>();
  RowTable<T> y_{};
  AlignedBuffer<double> norm_;  // from the centre; -1 for far points
};

template <class T>
class QuantizedSearch {
 public:
  QuantizedSearch(const QuantizedPoints<T>& points, const NeighborAnswer<T>& answer) noexcept
      : points_(points), x_(answer.x), y_(answer.y), answer_(answer) {
    const Size tile = kernel_.query_rows;
    capacity_ = std::min(2 * answer.k, y_.count) + 3 * points_of_tile;
    // A block is well below 50 ms of work, its candidates stay in L2, and there are some blocks for every thread.
    const double work = 2e9 / (static_cast<double>(y_.count) * static_cast<double>(y_.d));
    Size rows = static_cast<Size>(std::min(120.0, work));
    rows = std::min({rows, Size{131'072} / capacity_, ceil_div(x_.count, 8)});
    block_ = std::max<Size>(1, rows / tile) * tile;
  }

  Outcome run(Size* left, Size& n_left) noexcept {
    std::atomic<Size> others{0};
    const double ns = 0.03 * static_cast<double>(y_.d) * static_cast<double>(block_) * static_cast<double>(y_.count);
    const Outcome outcome = parallel_with_scratch(
        ceil_div(x_.count, block_), ns, Workspace(Divider(), *this).bytes,
        [&](Size block, void* memory) { search(block, Workspace(Divider(memory), *this), left, others); });
    n_left = others;
    return outcome;
  }

 private:
  using Candidate = NeighborCandidate<std::int32_t>;

  struct Query {
    double square, error, norm;  // |q|^2, the bound of the error of a distance in units of q, |x - centre|
    bool inside;
  };

  struct Workspace {
    std::int32_t *words, *limit, *best, *slack;
    Size* count;
    Query* query;
    Candidate* candidates;
    std::uint32_t* index;
    double* squares;
    Measured* measured;
    explicit Workspace(Divider divider, const QuantizedSearch& s) noexcept
        : words(divider.take<std::int32_t>(checked_product(s.block_, s.points_.pairs))),
          limit(divider.take<std::int32_t>(s.block_)),
          best(divider.take<std::int32_t>(s.block_ * best_length)),
          slack(divider.take<std::int32_t>(s.block_)),
          count(divider.take<Size>(s.block_)),
          query(divider.take<Query>(s.block_)),
          candidates(divider.take<Candidate>(checked_product(s.block_, s.capacity_))),
          index(divider.take<std::uint32_t>(s.capacity_ + s.points_.n_far)),
          squares(divider.take<double>(s.capacity_ + s.points_.n_far)),
          measured(divider.take<Measured>(s.capacity_ + s.points_.n_far)),
          bytes(divider.used()) {}
    Size bytes;
  };

  void search(Size block, const Workspace& w, Size* left, std::atomic<Size>& n_left) noexcept {
    const Size first = block * block_, n = std::min(block_, x_.count - first);
    std::fill_n(w.best, block_ * best_length, lowest_limit);
    for (Size q = 0; q < block_; ++q) {
      w.count[q] = 0;
      w.best[q * best_length + best_start - 1] = std::numeric_limits<std::int32_t>::max();
      if (q >= n || !take(w, q, first + q)) w.limit[q] = std::numeric_limits<std::int32_t>::max();
    }
    const NeighborScan<std::int32_t> operands{w.words,
                                              block_,
                                              points_.pairs,
                                              points_.words.data(),
                                              points_.half.data(),
                                              points_.n_panels,
                                              w.limit,
                                              w.candidates,
                                              capacity_,
                                              w.count,
                                              answer_.k <= most_ranked ? answer_.k : 0,
                                              w.best,
                                              w.slack};
    NeighborCursor cursor{0, 0};
    while (best_scan().scan(operands, cursor)) {
      for (Size q = std::max<Size>(0, cursor.query - kernel_.query_rows); q < cursor.query; ++q)
        if (w.count[q] > capacity_ - points_of_tile) make_room(w, q, first + q);
    }
    for (Size q = 0; q < n; ++q) {
      if (w.query[q].inside)
        finish(w, q, first + q);
      else
        left[n_left.fetch_add(1, std::memory_order_relaxed)] = first + q;
    }
  }

  // A query as integers; false if it is too far out.
  bool take(const Workspace& w, Size q, Size row) const noexcept {
    Query& query = w.query[q];
    query.norm = std::sqrt(kernel_.square_from_centre(x_.row(row), x_.d, points_.centre.data()));
    query.inside = query.norm * points_.scale < QuantizedPoints<T>::longest_query;
    std::int32_t* words = w.words + q * points_.pairs;
    if (!query.inside) {
      std::fill_n(words, points_.pairs, 0);
      return false;
    }
    const QuantizedLength l = kernel_.quantize(x_.row(row), x_.d, points_.centre.data(), points_.scale,
                                               reinterpret_cast<std::int16_t*>(words));
    query.square = l.square;
    // The second term is for the rounding of (x - centre) scale itself.
    query.error = (std::sqrt(l.error_square) + points_.largest_error) * (1 + 1e-9) + 1e-6;
    w.limit[q] = lowest_limit;
    // No two rows of integers are farther apart than this; see rule_out.
    constexpr double farthest = QuantizedPoints<T>::longest_query + QuantizedPoints<T>::longest_point + 600;
    w.slack[q] = static_cast<std::int32_t>(2 * query.error * (farthest + query.error)) + 4;
    return true;
  }

  // The limit that lets through what may be within `reach` of the query, in units of the integers.
  static std::int32_t limit_of(const Query& query, double reach) noexcept {
    const double limit = std::floor((query.square - reach * reach) / 2) - 2;
    return limit > lowest_limit ? static_cast<std::int32_t>(limit) : lowest_limit;
  }

  // Leaves out what the k nearest candidates so far rule out by their integers.
  void rule_out(const Workspace& w, Size q) const noexcept {
    Candidate* c = w.candidates + q * capacity_;
    Size& count = w.count[q];
    if (count < answer_.k) return;
    const auto larger = [](const Candidate& a, const Candidate& b) { return a.score > b.score; };
    std::nth_element(c, c + answer_.k - 1, c + count, larger);
    const Query& query = w.query[q];
    // |q - p|^2 = |q|^2 - 2 score, or one more, since |p|^2 / 2 was rounded down
    const double farthest = std::sqrt(std::max(0.0, query.square - 2.0 * c[answer_.k - 1].score + 1));
    const std::int32_t limit = std::max(w.limit[q], limit_of(query, farthest + 2 * query.error));
    w.limit[q] = limit;
    count = std::partition(c, c + count, [limit](const Candidate& a) { return a.score > limit; }) - c;
  }

  void measure(const Workspace& w, const T* row, Size from, Size count) const noexcept {
    kernel_.squared_distances(row, y_.data, y_.d, w.index + from, count - from, w.squares + from);
    for (Size i = from; i < count; ++i) w.measured[i] = {ordered(w.squares[i]), w.index[i]};
  }

  void measure_candidates(const Workspace& w, Size q, Size row) const noexcept {
    const Candidate* c = w.candidates + q * capacity_;
    for (Size i = 0; i < w.count[q]; ++i) w.index[i] = c[i].index;
    measure(w, x_.row(row), 0, w.count[q]);
  }

  // If the integers cannot tell the candidates apart, distances do.
  void make_room(const Workspace& w, Size q, Size row) const noexcept {
    rule_out(w, q);
    Size& count = w.count[q];
    if (count <= (answer_.k + capacity_ - points_of_tile) / 2) return;
    measure_candidates(w, q, row);
    const Size k = answer_.k;
    std::nth_element(w.measured, w.measured + k - 1, w.measured + count, nearer);
    const Measured last = w.measured[k - 1];
    const double reach = std::sqrt(last.score) * points_.scale * (1 + 1e-9) + w.query[q].error;
    w.limit[q] = std::max(w.limit[q], limit_of(w.query[q], reach));
    Candidate* c = w.candidates + q * capacity_;
    Size kept = 0;
    for (Size i = 0; i < count; ++i)
      if (!nearer(last, {ordered(w.squares[i]), c[i].index})) c[kept++] = c[i];
    count = kept;
  }

  void finish(const Workspace& w, Size q, Size row) const noexcept {
    rule_out(w, q);
    measure_candidates(w, q, row);
    Size count = w.count[q];
    if (points_.n_far > 0) count = add_far_points(w, q, row, count);
    answer_.write(row, w.measured, count);
  }

  Size add_far_points(const Workspace& w, Size q, Size row, Size count) const noexcept {
    double kth = std::numeric_limits<double>::infinity();
    if (count >= answer_.k) {
      std::nth_element(w.measured, w.measured + answer_.k - 1, w.measured + count, nearer);
      kth = w.measured[answer_.k - 1].score;
    }
    Size all = count;
    for (Size f = 0; f < points_.n_far; ++f) {
      const double gap = points_.far_norm[f] * (1 - 1e-9) - w.query[q].norm;
      if (gap <= 0 || gap * gap <= kth) w.index[all++] = points_.far_index[f];
    }
    measure(w, x_.row(row), count, all);
    return all;
  }

  const Neighbors<T>& kernel_ = kernel_of<Neighbors<T>>();
  const QuantizedPoints<T>& points_;
  RowTable<T> x_, y_;
  NeighborAnswer<T> answer_;
  Size capacity_, block_;
};

}  // namespace

template <class T>
Outcome search_quantized(const NeighborAnswer<T>& answer, Size* left, Size& n_left) noexcept {
  QuantizedPoints<T> points;
  const Outcome outcome = points.build(answer.y);
  return outcome.ok() ? QuantizedSearch<T>(points, answer).run(left, n_left) : outcome;
}

template Outcome search_quantized(const NeighborAnswer<double>&, Size*, Size&) noexcept;
template Outcome search_quantized(const NeighborAnswer<float>&, Size*, Size&) noexcept;

}  // namespace mmlfast::drivers
