#include "drivers/neighbors_direct.hpp"

#include <atomic>

#include "drivers/common/finite.hpp"

namespace mmlfast::drivers {
namespace {

template <class T>
class DirectSearch {
 public:
  DirectSearch(const NeighborAnswer<T>& answer, const Size* which, Size n_queries) noexcept
      : x_(answer.x), y_(answer.y), answer_(answer), which_(which), n_queries_(n_queries) {
    const Size tile = kernel_.query_rows, few = round_up(n_queries, tile);
    capacity_ = std::min(2 * answer.k, y_.count) + 3 * panel_points;
    block_ = std::min<Size>(few, std::max<Size>(1, 60 / tile) * tile);
    n_blocks_ = ceil_div(n_queries, block_);
    const Size wanted = ceil_div(8, n_blocks_), possible = std::max<Size>(1, y_.count / 1024);
    strip_ = ceil_div(ceil_div(y_.count, std::min(wanted, possible)), direct_panel_points) * direct_panel_points;
    n_strips_ = ceil_div(y_.count, strip_);
    chunk_panels_ = std::max<Size>(1, 16384 / (direct_panel_points * y_.d));
    by_rows_ = which == nullptr && reads_rows_once(n_queries, y_.d);
    if (by_rows_) capacity_ = std::min(answer.k, y_.count) + chunk_panels_ * direct_panel_points;
  }

  Outcome run() noexcept {
    if (n_strips_ > 1) {
      best_ = AlignedBuffer<Measured>(checked_product(n_queries_, n_strips_, answer_.k));
      found_ = AlignedBuffer<Size>(checked_product(n_queries_, n_strips_));
      if (!best_ || !found_) return {Outcome::Status::no_memory};
    }
    const double ns = 0.4 * static_cast<double>(y_.d) * static_cast<double>(n_queries_) * static_cast<double>(y_.count);
    const Size units = n_blocks_ * n_strips_;
    const Outcome outcome = parallel_with_scratch(
        units, ns / static_cast<double>(units), Workspace(Divider(), *this).bytes, [&](Size unit, void* memory) {
          search(unit / n_strips_, unit % n_strips_, Workspace(Divider(memory), *this));
        });
    if (outcome.ok() && !finite_.load()) return {Outcome::Status::failed_items};
    if (outcome.ok() && n_strips_ > 1) merge();
    return outcome;
  }

 private:
  struct Workspace {
    double *rows, *limit, *panels;
    Size* count;
    Measured* candidates;
    std::uint32_t* index;
    explicit Workspace(Divider divider, const DirectSearch& s) noexcept
        : rows(divider.take<double>(checked_product(s.block_, s.y_.d))),
          limit(divider.take<double>(s.block_)),
          panels(divider.take<double>(checked_product(s.chunk_panels_, direct_panel_points * s.y_.d))),
          count(divider.take<Size>(s.block_)),
          candidates(divider.take<Measured>(checked_product(s.block_, s.capacity_))),
          index(divider.take<std::uint32_t>(s.chunk_panels_ * direct_panel_points)),
          bytes(divider.used()) {}
    Size bytes;
  };

  Size row_of(Size query) const noexcept { return which_ == nullptr ? query : which_[query]; }

  // The k nearest so far, and the limit that they set.
  void keep_nearest(Measured* candidates, Size& count, double& limit) const noexcept {
    if (count < answer_.k) return;
    std::nth_element(candidates, candidates + answer_.k - 1, candidates + count, nearer);
    count = answer_.k;
    limit = candidates[answer_.k - 1].score;
  }

  void search(Size block, Size strip, const Workspace& w) noexcept {
    const Size first = block * block_, n = std::min(block_, n_queries_ - first), d = y_.d;
    for (Size q = 0; q < block_; ++q) {
      w.count[q] = 0;
      w.limit[q] = q < n ? std::numeric_limits<double>::infinity() : -1;
      const T* row = x_.row(row_of(first + std::min(q, n - 1)));
      for (Size j = 0; j < d; ++j) w.rows[q * d + j] = static_cast<double>(row[j]);
    }
    const Size end = std::min(y_.count, (strip + 1) * strip_), chunk = chunk_panels_ * direct_panel_points;
    for (Size from = strip * strip_; from < end; from += chunk) {
      const Size points = std::min(chunk, end - from);
      if (by_rows_)
        filter(w, first, n, from, points);
      else
        scan(w, from, points);
    }
    for (Size q = 0; q < n; ++q) {
      Measured* candidates = w.candidates + q * capacity_;
      if (n_strips_ == 1) {
        answer_.write(row_of(first + q), candidates, w.count[q]);
      } else {
        keep_nearest(candidates, w.count[q], w.limit[q]);
        const Size place = (first + q) * n_strips_ + strip;
        found_[place] = w.count[q];
        std::copy_n(candidates, w.count[q], best_.data() + place * answer_.k);
      }
    }
  }

  // Points from .. from + points, packed once for all queries of the block.
  void scan(const Workspace& w, Size from, Size points) const noexcept {
    const Size n_panels = ceil_div(points, direct_panel_points), d = y_.d;
    for (Size p = 0; p < n_panels; ++p) {
      const Size first = p * direct_panel_points;
      kernel_.pack(y_.row(from + first), std::min<Size>(direct_panel_points, points - first), d, w.panels + first * d);
    }
    // The kernel numbers the points of a panel from the start of the panels it is given.
    const double* start = w.panels - from * d;
    const NeighborScan<double> operands{
        w.rows,    block_,  d, start,   nullptr, from / direct_panel_points + n_panels, w.limit, w.candidates,
        capacity_, w.count, 0, nullptr, nullptr};
    NeighborCursor cursor{from / direct_panel_points, 0};
    while (kernel_.scan_directly(operands, cursor)) {
      for (Size q = std::max<Size>(0, cursor.query - kernel_.query_rows); q < cursor.query; ++q)
        if (w.count[q] > capacity_ - panel_points) keep_nearest(w.candidates + q * capacity_, w.count[q], w.limit[q]);
    }
  }

  // The same without a copy of the points: what is near enough in T is measured.
  void filter(const Workspace& w, Size first, Size n, Size from, Size points) noexcept {
    constexpr double u = std::numeric_limits<T>::epsilon(), largest = std::numeric_limits<T>::max();
    const double d = static_cast<double>(y_.d), slack = 1 + 4 * (d + 16) * u,
                 tiny = 4 * d * std::numeric_limits<T>::denorm_min();
    for (Size q = 0; q < n; ++q) {
      const double limit = w.limit[q] * slack + tiny;
      const T* row = x_.row(first + q);
      bool in_range = true;
      const Size found = kernel_.near_rows(row, y_.data, from, points, y_.d,
                                           limit < largest ? static_cast<T>(limit) : std::numeric_limits<T>::infinity(),
                                           w.index, in_range);
      if (!in_range && !all_finite(y_.row(from), points * y_.d)) finite_.store(false, std::memory_order_relaxed);
      Measured* to = w.candidates + q * capacity_ + w.count[q];
      kernel_.squared_distances(row, y_.data, y_.d, w.index, found, w.panels);
      for (Size i = 0; i < found; ++i) to[i] = {ordered(w.panels[i]), w.index[i]};
      w.count[q] += found;
      if (found > 0) keep_nearest(w.candidates + q * capacity_, w.count[q], w.limit[q]);
    }
  }

  void merge() noexcept {
    for (Size q = 0; q < n_queries_; ++q) {
      Measured* all = best_.data() + q * n_strips_ * answer_.k;
      Size count = 0;
      for (Size s = 0; s < n_strips_; ++s) {
        const Measured* part = best_.data() + (q * n_strips_ + s) * answer_.k;
        for (Size i = 0; i < found_[q * n_strips_ + s]; ++i) all[count++] = part[i];
      }
      answer_.write(row_of(q), all, count);
    }
  }

  const Neighbors<T>& kernel_ = kernel_of<Neighbors<T>>();
  RowTable<T> x_, y_;
  NeighborAnswer<T> answer_;
  const Size* which_;
  Size n_queries_, block_, n_blocks_, strip_, n_strips_, chunk_panels_, capacity_;
  bool by_rows_;
  std::atomic<bool> finite_{true};
  AlignedBuffer<Measured> best_;
  AlignedBuffer<Size> found_;
};

}  // namespace

bool reads_rows_once(Size n_queries, Size d) noexcept { return n_queries <= 8 && d >= panel_points; }

template <class T>
Outcome search_directly(const NeighborAnswer<T>& answer, const Size* which, Size n_queries) noexcept {
  return DirectSearch<T>(answer, which, n_queries).run();
}

template Outcome search_directly(const NeighborAnswer<double>&, const Size*, Size) noexcept;
template Outcome search_directly(const NeighborAnswer<float>&, const Size*, Size) noexcept;

}  // namespace mmlfast::drivers
