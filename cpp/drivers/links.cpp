#include "drivers/links.hpp"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <numeric>

#include "drivers/common/parallel.hpp"

namespace mmlfast::drivers {
namespace {

template <class Index>
const LinksIntake<Index>& kernel() {
  if constexpr (sizeof(Index) == 4)
    return kernel_of<LinksIntake<std::int32_t>>();
  else
    return kernel_of<LinksIntake<std::int64_t>>();
}

constexpr Size n_classes = 65;  // the number of bits of a count of links; 0: no link leaves the node

// Nanoseconds per link and node, for the decision about threads.
constexpr double link_ns = 2, node_ns = 4;

}  // namespace

// The stages of build(), in order. Each returns the state of the work; memory of the stages is freed at the end.
template <class Index>
class LinksBuilder {
 public:
  LinksBuilder(const LinksOut<Index>& out, Links& links, LinksFault& fault)
      : out_(out), to_(links), fault_(fault), n_(out.n) {}

  Outcome run() {
    using Stage = Outcome (LinksBuilder::*)();
    for (const Stage stage : {&LinksBuilder::copy_starts, &LinksBuilder::check_starts, &LinksBuilder::weigh,
                              &LinksBuilder::number_nodes, &LinksBuilder::count_links, &LinksBuilder::divide,
                              &LinksBuilder::scatter_links, &LinksBuilder::gather_links, &LinksBuilder::measure}) {
      const Outcome outcome = (this->*stage)();
      if (!outcome.ok() || fault_.kind != LinksFault::Kind::none) return outcome;
    }
    return {};
  }

 private:
  static constexpr Size most_chunks = 64, link_block = 1 << 18;

  static Outcome finished(bool done) { return {done ? Outcome::Status::ok : Outcome::Status::interrupted}; }
  static Outcome no_memory() { return {Outcome::Status::no_memory}; }
  void fail(LinksFault::Kind kind, Size at) { fault_ = {kind, at}; }

  Size degree(Size i) const { return static_cast<Size>(out_.starts[i + 1]) - static_cast<Size>(out_.starts[i]); }
  Size class_of(Size i) const {
    const bool leads = strength_ ? strength_[i] > 0 : degree(i) > 0;
    if (!leads) return 0;
    return grouped_ ? static_cast<Size>(std::bit_width(static_cast<std::uint64_t>(degree(i)))) : 1;
  }

  // Whether to group nodes by their links. A vector of a small graph is in cache as it is, and the order of a crawl, in
  // which most links go to near nodes, is better than any grouping, for the cache and for Gauss-Seidel.
  bool worth_grouping() const {
    constexpr Size most_in_cache = 1 << 17, samples = 1 << 15, near = 1 << 14;
    if (n_ <= most_in_cache) return false;
    const Size step = std::max<Size>(1, m_ / samples);
    Size row = 0, far = 0, looked = 0;
    for (Size e = step / 2; e < m_; e += step, ++looked) {
      while (static_cast<Size>(out_.starts[row + 1]) <= e) ++row;
      far += std::abs(static_cast<Size>(out_.targets[e]) - row) > near;
    }
    return 2 * far > looked;
  }

  // The caller's arrays may be written to meanwhile, by another thread: what is an index is checked where it is used.
  Outcome copy_starts() {
    starts_ = AlignedBuffer<Index>(n_ + 1);
    if (!starts_) return no_memory();
    const Index end = out_.starts[n_];
    std::copy_n(out_.starts, n_, starts_.data());
    starts_[n_] = end;
    out_.starts = starts_.data();
    m_ = static_cast<Size>(end);
    if (m_ > out_.n_stored) fail(LinksFault::Kind::starts, n_);
    return {};
  }

  Outcome check_starts() {
    if (out_.starts[0] != 0) fail(LinksFault::Kind::starts, 0);
    for (Size i = 0; i < n_; ++i)
      if (out_.starts[i + 1] < out_.starts[i]) {
        fail(LinksFault::Kind::starts, i + 1);
        break;
      }
    return {};
  }

  // Drops weights that are all equal; else sums them up by rows.
  Outcome weigh() {
    if (out_.weights == nullptr || m_ == 0) {
      out_.weights = nullptr;
      return {};
    }
    const Size n_pieces = ceil_div(m_, link_block);
    AlignedBuffer<WeightRange> ranges(n_pieces);
    if (!ranges) return no_memory();
    const bool ranged = parallel_blocks(n_pieces, 0.3 * static_cast<double>(m_), [&](Size piece) {
      ranges[piece] = kernel<Index>().range(out_.weights, piece * link_block, std::min(m_, (piece + 1) * link_block));
    });
    if (!ranged) return finished(false);
    WeightRange all = ranges[0];
    for (Size piece = 0; piece < n_pieces; ++piece) {
      all.good &= ranges[piece].good;
      all.least = std::min(all.least, ranges[piece].least);
      all.most = std::max(all.most, ranges[piece].most);
    }
    if (!all.good) {
      Size at = 0;
      while (out_.weights[at] >= 0 && std::isfinite(out_.weights[at])) ++at;
      fail(LinksFault::Kind::weight, at);
      return {};
    }
    to_.has_zeros_ = all.least == 0;
    if (all.least == all.most && !to_.has_zeros_) {
      out_.weights = nullptr;
      return {};
    }
    return sum_strengths();
  }

  Outcome sum_strengths() {
    strength_ = AlignedBuffer<double>(n_);
    if (!strength_) return no_memory();
    const bool done = over_nodes(
        [&](Size, Size first, Size last) { kernel<Index>().strengths(out_, first, last, strength_.data()); });
    if (!done) return finished(false);
    for (Size i = 0; i < n_; ++i)
      if (!std::isfinite(strength_[i])) {
        fail(LinksFault::Kind::weight, static_cast<Size>(out_.starts[i]));
        break;
      }
    return {};
  }

  // Blocks of nodes in their old order: body(block, first, last).
  Size node_block() const { return std::clamp<Size>((n_ + 63) / 64, 1024, 65'536); }
  Size n_node_blocks() const { return ceil_div(n_, node_block()); }
  template <class Body>
  bool over_nodes(Body&& body) {
    const double ns = node_ns * static_cast<double>(n_) + (strength_ ? static_cast<double>(m_) : 0);
    return parallel_blocks(n_node_blocks(), ns, [&](Size block) {
      body(block, block * node_block(), std::min(n_, (block + 1) * node_block()));
    });
  }

  // Labels: nodes without links out last, the others in the old order or in groups.
  Outcome number_nodes() {
    grouped_ = worth_grouping();
    const Size n_cells = n_node_blocks() * n_classes;
    AlignedBuffer<Size> nodes(n_cells);
    to_.label_ = AlignedBuffer<Node>(n_);
    to_.inverse_strength_ = AlignedBuffer<double>(n_);
    if (!nodes || !to_.label_ || !to_.inverse_strength_) return no_memory();
    std::fill_n(nodes.data(), n_cells, Size{0});
    // Cells in the order of the labels: most links first, then by block.
    const Size n_blocks = n_node_blocks();
    const auto cell = [n_blocks](Size block, Size c) { return (n_classes - 1 - c) * n_blocks + block; };
    const bool counted = over_nodes([&](Size block, Size first, Size last) {
      for (Size i = first; i < last; ++i) ++nodes[cell(block, class_of(i))];
    });
    if (!counted) return finished(false);
    std::exclusive_scan(nodes.data(), nodes.data() + n_cells, nodes.data(), Size{0});
    to_.n_ = n_;
    to_.n_core_ = nodes[cell(0, 0)];
    return finished(over_nodes([&](Size block, Size first, Size last) {
      for (Size i = first; i < last; ++i) {
        const Size k = nodes[cell(block, class_of(i))]++;
        to_.label_[i] = static_cast<Node>(k);
        to_.inverse_strength_[k] = k >= to_.n_core_ ? 0 : strength_ ? 1 : 1 / static_cast<double>(degree(i));
      }
    }));
  }

  // Chunks of rows with about as many links each.
  Size chunk_row(Size chunk) const {
    const Size wanted = m_ / n_chunks_ * chunk;
    return chunk == n_chunks_
               ? n_
               : std::lower_bound(out_.starts, out_.starts + n_, static_cast<Index>(wanted)) - out_.starts;
  }
  NodeLabels labels() const { return {to_.label_.data(), static_cast<Node>(to_.n_core_), shift_}; }
  template <class Body>
  bool over_chunks(Body&& body) {
    return parallel_blocks(n_chunks_, link_ns * static_cast<double>(m_), body);
  }

  Outcome count_links() {
    n_chunks_ = std::clamp<Size>(m_ / link_block, 1, most_chunks);
    shift_ = std::clamp(static_cast<int>(std::bit_width(static_cast<std::uint64_t>(n_))) - 12, 0, 16);
    n_slots_ = (n_ >> shift_) + 1;
    slots_ = AlignedBuffer<std::uint32_t>(checked_product(n_slots_, n_chunks_));
    if (!slots_) return no_memory();
    std::fill_n(slots_.data(), n_slots_ * n_chunks_, 0u);
    std::atomic<Size> bad{-1};
    const bool done = over_chunks([&](Size chunk) {
      const Size at = kernel<Index>().count(out_, labels(), chunk_row(chunk), chunk_row(chunk + 1),
                                            slots_.data() + chunk * n_slots_);
      if (at >= 0) bad.store(at, std::memory_order_relaxed);
    });
    if (bad >= 0) fail(LinksFault::Kind::target, bad);
    return finished(done);
  }

  // Slots are put together to the buckets of the sort, and to the blocks of the sweeps.
  Outcome divide() {
    AlignedBuffer<Size> arriving(n_slots_);
    bucket_of_slot_ = AlignedBuffer<std::uint32_t>(n_slots_);
    block_of_slot_ = AlignedBuffer<Node>(n_slots_);
    buckets_ = AlignedBuffer<LinkBucket>(n_slots_);
    first_rows_ = AlignedBuffer<Node>(n_slots_);
    to_.blocks_ = AlignedBuffer<Size>(n_slots_ + 3);
    if (!arriving || !bucket_of_slot_ || !block_of_slot_ || !buckets_ || !first_rows_ || !to_.blocks_)
      return no_memory();
    for (Size s = 0; s < n_slots_; ++s) {
      arriving[s] = 0;
      for (Size chunk = 0; chunk < n_chunks_; ++chunk) arriving[s] += slots_[chunk * n_slots_ + s];
    }
    to_.n_links_ = std::accumulate(arriving.data(), arriving.data() + n_slots_, Size{0});
    make_buckets(arriving);
    make_blocks(arriving);
    cursors_ = AlignedBuffer<std::int64_t>(checked_product(n_chunks_, n_buckets_));
    ends_ = AlignedBuffer<std::int64_t>(checked_product(n_chunks_, n_buckets_));
    if (!cursors_ || !ends_) return no_memory();
    for (Size b = 0; b < n_buckets_; ++b) {
      Size at = buckets_[b].first;
      for (Size chunk = 0; chunk < n_chunks_; ++chunk) {
        cursors_[chunk * n_buckets_ + b] = at;
        for (Size s = buckets_[b].first_row >> shift_; s < n_slots_ && static_cast<Size>(bucket_of_slot_[s]) == b; ++s)
          at += slots_[chunk * n_slots_ + s];
        ends_[chunk * n_buckets_ + b] = at;
      }
    }
    return {};
  }

  Size row_of_slot(Size slot) const { return std::min(n_, slot << shift_); }

  void make_buckets(const AlignedBuffer<Size>& arriving) {
    const Size enough = std::max(m_ / 128 + 1, Size{16'384});
    Size held = 0, before = 0;
    n_buckets_ = 0;
    for (Size s = 0; s < n_slots_; ++s) {
      LinkBucket& bucket = buckets_[n_buckets_];
      if (held == 0) {
        bucket.first = before;
        bucket.first_row = static_cast<Node>(row_of_slot(s));
        first_rows_[n_buckets_] = bucket.first_row;
      }
      bucket_of_slot_[s] = static_cast<std::uint32_t>(n_buckets_);
      before += arriving[s];
      held += arriving[s] + 1;  // never 0 within a bucket
      const Size rows = row_of_slot(s + 2) - bucket.first_row;
      if (held >= enough || rows > 65'536 || s == n_slots_ - 1) {
        bucket.last = before;
        bucket.last_row = static_cast<Node>(row_of_slot(s + 1));
        ++n_buckets_;
        held = 0;
      }
    }
  }

  // A block has about 2^18 links and half rows; the border of the core is one of blocks too.
  void make_blocks(const AlignedBuffer<Size>& arriving) {
    constexpr Size enough = Size{1} << 18;
    Size held = 0, count = 0, first = 0;
    const auto close = [&](Size row) {
      if (row > first) to_.blocks_[count++] = std::exchange(first, row);
      held = 0;
    };
    const Size n_core = to_.n_core_;
    for (Size s = 0; s < n_slots_; ++s) {
      const Size row = row_of_slot(s), next = row_of_slot(s + 1);
      block_of_slot_[s] = static_cast<Node>(first);
      if (row < n_core && next >= n_core) {
        close(n_core);
        to_.n_core_blocks_ = count;
      }
      held += arriving[s] + 2 * (next - row);
      if (held >= enough || s == n_slots_ - 1) close(next);
    }
    to_.n_blocks_ = count;
    to_.blocks_[count] = n_;
  }

  Outcome scatter_links() {
    const Size m = to_.n_links_;
    to_.column_ = AlignedBuffer<Node>(m + Links::padding);
    row_ = AlignedBuffer<std::uint16_t>(m);
    if (out_.weights != nullptr) to_.weight_ = AlignedBuffer<double>(m);
    if (!to_.column_ || !row_ || (out_.weights != nullptr && !to_.weight_)) return no_memory();
    std::fill_n(to_.column_.data() + m, Links::padding, Node{0});
    const bool done = over_chunks([&](Size chunk) {
      const Size own = chunk * n_buckets_;
      kernel<Index>().scatter(out_, labels(), strength_.data(), chunk_row(chunk), chunk_row(chunk + 1),
                              {bucket_of_slot_.data(), first_rows_.data(), cursors_.data() + own, ends_.data() + own},
                              stream());
    });
    if (done && !std::equal(cursors_.data(), cursors_.data() + n_chunks_ * n_buckets_, ends_.data()))
      fail(LinksFault::Kind::changed, 0);
    return finished(done);
  }

  LinkStream stream() const { return {to_.column_.data(), row_.data(), to_.weight_.data()}; }

  Outcome gather_links() {
    to_.starts_ = AlignedBuffer<std::int64_t>(n_ + 1);
    if (!to_.starts_) return no_memory();
    const LinksIn in{to_.starts_.data(), static_cast<Node>(to_.n_core_), block_of_slot_.data(), shift_};
    Size bytes = 0;
    for (Size b = 0; b < n_buckets_; ++b) bytes = std::max<Size>(bytes, gather_bytes(buckets_[b], to_.weighted()));
    const double ns = link_ns * static_cast<double>(m_) / static_cast<double>(std::max<Size>(n_buckets_, 1));
    to_.starts_[n_] = to_.n_links_;
    return parallel_with_scratch(n_buckets_, ns, bytes, [&](Size b, void* sorted) {
      kernel<Index>().gather(stream(), buckets_[b], in, sorted);
    });
  }

  Outcome measure() {
    for (Size r = 0; r < n_; ++r)
      to_.largest_row_ = std::max<Size>(to_.largest_row_, to_.starts_[r + 1] - to_.starts_[r]);
    return {};
  }

  LinksOut<Index> out_;
  Links& to_;
  LinksFault& fault_;
  const Size n_;
  Size m_ = 0;
  AlignedBuffer<Index> starts_;
  int shift_ = 0;
  bool grouped_ = false;
  Size n_chunks_ = 0, n_slots_ = 0, n_buckets_ = 0;
  AlignedBuffer<double> strength_;
  AlignedBuffer<Node> block_of_slot_, first_rows_;
  AlignedBuffer<std::uint32_t> slots_, bucket_of_slot_;
  AlignedBuffer<std::uint16_t> row_;
  AlignedBuffer<std::int64_t> cursors_, ends_;
  AlignedBuffer<LinkBucket> buckets_;
};

template <class Index>
Outcome Links::build(const LinksOut<Index>& out, LinksFault& fault) noexcept {
  return LinksBuilder<Index>(out, *this, fault).run();
}

template Outcome Links::build<std::int32_t>(const LinksOut<std::int32_t>&, LinksFault&) noexcept;
template Outcome Links::build<std::int64_t>(const LinksOut<std::int64_t>&, LinksFault&) noexcept;

}  // namespace mmlfast::drivers
