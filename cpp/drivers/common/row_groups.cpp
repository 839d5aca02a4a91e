#include "drivers/common/row_groups.hpp"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>

#include "drivers/common/parallel.hpp"

namespace mmlfast::drivers {
namespace {

// Measured, one thread: a row that is counted and put into its place.
constexpr double ns_per_row = 3;

}  // namespace

template <class U>
Outcome range_of_integers(const char* items, Size n, bool is_signed, U& least, U& largest) noexcept {
  constexpr Size at_once = 16384, chains = 4;
  constexpr double ns_each = 0.4;
  const U turned = is_signed ? static_cast<U>(U{1} << (8 * sizeof(U) - 1)) : U{0};
  const auto item = [items, turned](Size i) {
    U x;
    std::memcpy(&x, items + i * static_cast<Size>(sizeof x), sizeof x);
    return static_cast<U>(x ^ turned);
  };
  std::atomic<U> low = item(0), high = item(0);
  const bool finished = parallel_blocks(ceil_div(n, at_once), ns_each * static_cast<double>(n), [&](Size block) {
    const Size from = block * at_once, to = std::min(n, from + at_once);
    U lows[chains], highs[chains];
    std::fill_n(lows, chains, item(from));
    std::fill_n(highs, chains, item(from));
    const auto take = [&](Size i, Size c) {
      lows[c] = std::min(lows[c], item(i));
      highs[c] = std::max(highs[c], item(i));
    };
    Size i = from;
    for (; i + chains <= to; i += chains)
      for (Size c = 0; c < chains; ++c) take(i + c, c);
    for (; i < to; ++i) take(i, 0);
    const U own_low = *std::min_element(lows, lows + chains), own_high = *std::max_element(highs, highs + chains);
    for (U x = low; own_low < x && !low.compare_exchange_weak(x, own_low);) {
    }
    for (U x = high; own_high > x && !high.compare_exchange_weak(x, own_high);) {
    }
  });
  least = low;
  largest = high;
  return {finished ? Outcome::Status::ok : Outcome::Status::interrupted};
}

template Outcome range_of_integers(const char*, Size, bool, std::uint32_t&, std::uint32_t&) noexcept;
template Outcome range_of_integers(const char*, Size, bool, std::uint64_t&, std::uint64_t&) noexcept;

Outcome order_by_group(const GroupNumbers& numbers, Size n_groups, std::int64_t* order, std::int64_t* offsets,
                       bool& known) noexcept {
  const Size n = numbers.n_rows;
  // Each part of the rows has counts of its own: a few parts, and one where counts would be more than the rows.
  const Size parts = n_groups > n / 4 ? 1 : std::clamp<Size>(n / 16384, 1, get_num_threads());
  const Size length = ceil_div(n, parts);
  // Other threads may write into the labels, and a number is an index: it is read once.
  const AlignedBuffer<std::uint32_t> number(n);
  const auto next = AlignedBuffer<Size>::zeros(checked_product(parts, n_groups));
  if (!number || !next || static_cast<std::int64_t>(n_groups) > std::int64_t{UINT32_MAX})
    return {Outcome::Status::no_memory};
  std::atomic<bool> good = true;
  const double total_ns = ns_per_row * static_cast<double>(n);
  const auto of_parts = [&](auto&& body) noexcept {
    return parallel_blocks(parts, total_ns, [&](Size p) {
      body(std::min(n, p * length), std::min(n, (p + 1) * length), next.data() + p * n_groups);
    });
  };
  if (!of_parts([&](Size from, Size to, Size* count) {
        if (!numbers.read(numbers, from, to, n_groups, number.data() + from)) {
          good = false;
          return;
        }
        for (Size i = from; i < to; ++i) ++count[number[i]];
      }))
    return {Outcome::Status::interrupted};
  known = good;
  if (!known) return {};
  Size total = 0;
  for (Size g = 0; g < n_groups; ++g) {
    offsets[g] = total;
    for (Size p = 0; p < parts; ++p) total += std::exchange(next[p * n_groups + g], total);
  }
  offsets[n_groups] = total;
  if (!of_parts([&](Size from, Size to, Size* place) {
        for (Size i = from; i < to; ++i) order[place[number[i]]++] = i;
      }))
    return {Outcome::Status::interrupted};
  return {};
}

// ---- items that are equal ----

namespace {

std::uint64_t mixed(std::uint64_t x) noexcept {
  x ^= x >> 32;  // of numbers that end in zeros too
  x *= 0x9e3779b97f4a7c15u;
  return x ^ (x >> 32);
}

// Items of a size that is known, or any (0).
template <int Bytes>
struct Items {
  const char* data;
  Size any_bytes;

  Size bytes() const noexcept { return Bytes > 0 ? Bytes : any_bytes; }
  const char* at(Size i) const noexcept { return data + i * bytes(); }
  // Words of eight bytes, the last of which may have some of the one before.
  bool same(const char* a, const char* b) const noexcept {
    if constexpr (Bytes > 0) return std::memcmp(a, b, Bytes) == 0;
    if (any_bytes < 8) return std::memcmp(a, b, static_cast<std::size_t>(any_bytes)) == 0;
    std::uint64_t other = word(a + any_bytes - 8, 8) ^ word(b + any_bytes - 8, 8);
    for (Size k = 0; k + 8 < any_bytes; k += 8) other |= word(a + k, 8) ^ word(b + k, 8);
    return other == 0;
  }
  static std::uint64_t word(const char* at, std::size_t count) noexcept {
    std::uint64_t w = 0;
    std::memcpy(&w, at, count);
    return w;
  }
  // Words times odd numbers of their own, which do not wait for each other.
  std::uint64_t hash(const char* item) const noexcept {
    if constexpr (Bytes > 0) return mixed(word(item, Bytes));
    if (any_bytes < 8) return mixed(word(item, static_cast<std::size_t>(any_bytes)));
    std::uint64_t odd = 0x9e3779b97f4a7c15u, h = word(item + any_bytes - 8, 8) * odd;
    for (Size k = 0; k + 8 < any_bytes; k += 8) {
      odd = odd * 0xd1342543de82ef95u + 2;
      const std::uint64_t w = word(item + k, 8);
      h += (w ^ (w >> 29)) * odd;
    }
    return mixed(h);
  }
};

// Numbers of the items seen so far, by open addressing. An entry has the upper half of the hash beside the number. The
// different items stand close to each other in `seen`, where the cache holds them.
template <class Items>
class Numbering {
 public:
  Numbering(const Items& items, Size most, std::int64_t* first) noexcept
      : items_(items), most_(most), first_(first), table_(Table::zeros(size_)), seen_(size_ / 2 * items.bytes()) {}

  explicit operator bool() const noexcept { return table_ && seen_; }
  Size count() const noexcept { return count_; }

  // code[k] := the number of item from + k, a new one if there is none like it; false if that would be one too many.
  bool take(Size from, Size count, std::uint32_t* code) noexcept {
    constexpr Size at_once = 64;
    std::uint64_t hash[at_once];
    for (Size start = 0; start < count; start += at_once) {
      const Size end = std::min(count, start + at_once);
      for (Size k = start; k < end; ++k) {
        hash[k - start] = items_.hash(items_.at(from + k));
        __builtin_prefetch(table_.data() + place(hash[k - start]));
      }
      for (Size k = start; k < end; ++k) {
        const Size found = number(from + k, hash[k - start]);
        if (found < 0) return false;
        code[k] = static_cast<std::uint32_t>(found);
      }
    }
    return true;
  }
  Size number(Size i) noexcept { return number(i, items_.hash(items_.at(i))); }

 private:
  struct Entry {
    std::uint32_t mark, number;
  };
  using Table = AlignedBuffer<Entry>;

  Size place(std::uint64_t hash) const noexcept { return static_cast<Size>(hash) & (size_ - 1); }
  char* seen(Size k) const noexcept { return seen_.data() + k * items_.bytes(); }

  Size number(Size i, std::uint64_t hash) noexcept {
    const auto mark = static_cast<std::uint32_t>(hash >> 32);
    Size at = place(hash);
    for (; table_[at].number != 0; at = (at + 1) & (size_ - 1)) {
      const Size k = table_[at].number - 1;
      if (table_[at].mark == mark && items_.same(items_.at(i), seen(k))) return k;
    }
    if (count_ == most_ || (2 * (count_ + 1) > size_ && !grow())) return -1;
    for (at = place(hash); table_[at].number != 0;) at = (at + 1) & (size_ - 1);
    table_[at] = {mark, static_cast<std::uint32_t>(count_ + 1)};
    std::memcpy(seen(count_), items_.at(i), static_cast<std::size_t>(items_.bytes()));
    first_[count_] = i;
    return count_++;
  }
  bool grow() noexcept {
    Table larger = Table::zeros(4 * size_);
    AlignedBuffer<char> more(checked_product(2 * size_, items_.bytes()));
    if (!larger || !more) return false;
    std::memcpy(more.data(), seen_.data(), static_cast<std::size_t>(count_ * items_.bytes()));
    size_ *= 4;
    std::swap(table_, larger);
    std::swap(seen_, more);
    for (Size k = 0; k < count_; ++k) {
      const std::uint64_t hash = items_.hash(seen(k));
      Size at = place(hash);
      while (table_[at].number != 0) at = (at + 1) & (size_ - 1);
      table_[at] = {static_cast<std::uint32_t>(hash >> 32), static_cast<std::uint32_t>(k + 1)};
    }
    return true;
  }

  const Items items_;
  Size most_, size_ = 4096, count_ = 0;
  std::int64_t* first_;
  Table table_;
  AlignedBuffer<char> seen_;
};

// Numbers that lie near each other, as addresses of objects do: their places in a table of all between the least and
// the largest, which share the bits below `shift`.
struct Span {
  std::uint64_t least = 0, last = 0;  // the last place
  int shift = 0;

  Span(const char* items, Size n) noexcept {
    const auto at = [items](Size i) {
      std::uint64_t w;
      std::memcpy(&w, items + 8 * i, 8);
      return w;
    };
    if (n == 0) return;
    std::uint64_t largest = least = at(0), others = 0;
    const std::uint64_t one = least;
    for (Size i = 0; i < n; ++i) {
      const std::uint64_t w = at(i);
      least = std::min(least, w);
      largest = std::max(largest, w);
      others |= w ^ one;
    }
    shift = others == 0 ? 0 : std::countr_zero(others);
    last = (largest - least) >> shift;
  }
};

// In blocks of such a table, of which only those are made in which there is a number: Python's objects lie in arenas
// that are far from each other.
class SpanNumbering {
 public:
  SpanNumbering(const Span& span, const char* items, Size n, Size most, std::int64_t* first) noexcept
      : span_(span),
        items_(items),
        most_(most),
        most_blocks_(std::max<Size>(4 * n >> block_bits, 16)),
        first_(first),
        block_of_(Table::zeros(static_cast<Size>(span.last >> block_bits) + 1)),
        table_(Table::zeros(capacity_ << block_bits)) {}

  explicit operator bool() const noexcept { return block_of_ && table_; }
  Size count() const noexcept { return count_; }

  bool take(Size from, Size count, std::uint32_t* code) noexcept {
    for (Size k = 0; k < count; ++k) {
      const Size found = number(from + k);
      if (found < 0) return false;
      code[k] = static_cast<std::uint32_t>(found);
    }
    return true;
  }
  Size number(Size i) noexcept {
    std::uint64_t item;
    std::memcpy(&item, items_ + 8 * i, 8);
    const std::uint64_t at = (item - span_.least) >> span_.shift;
    std::uint32_t& block = block_of_[static_cast<Size>(at >> block_bits)];
    if (block == 0 && !add(block)) return -1;
    const Size within = static_cast<Size>(at) & ((Size{1} << block_bits) - 1);
    std::uint32_t& place = table_[((static_cast<Size>(block) - 1) << block_bits) + within];
    if (place == 0) {
      if (count_ == most_) return -1;
      first_[count_] = i;
      place = static_cast<std::uint32_t>(++count_);
    }
    return place - 1;
  }
  static bool suits(const Span& span) noexcept { return span.last < std::uint64_t{1} << (block_bits + 20); }

 private:
  using Table = AlignedBuffer<std::uint32_t>;
  static constexpr int block_bits = 14;

  bool add(std::uint32_t& block) noexcept {
    if (n_blocks_ == most_blocks_) return false;
    if (n_blocks_ == capacity_) {
      Table larger = Table::zeros(4 * capacity_ << block_bits);
      if (!larger) return false;
      std::copy_n(table_.data(), capacity_ << block_bits, larger.data());
      std::swap(table_, larger);
      capacity_ *= 4;
    }
    block = static_cast<std::uint32_t>(++n_blocks_);
    return true;
  }

  const Span span_;
  const char* items_;
  Size most_, most_blocks_, n_blocks_ = 0, capacity_ = 16, count_ = 0;
  std::int64_t* first_;
  Table block_of_, table_;
};

// The rows in two halves, each with a numbering of its own; then the second in the numbers of the first, which makes
// the numbers those of one reading.
// `make(most, first)`: a numbering.
template <class Make>
Size number_halves(const Make& make, Size n, Size most, std::uint32_t* code, std::int64_t* first) noexcept {
  const Size middle = n >= 65536 && get_num_threads() > 1 ? n / 2 : n;
  const AlignedBuffer<std::int64_t> own(std::min(most, n - middle));
  decltype(make(most, first)) numbers[2] = {make(most, first), make(own.size(), own.data())};
  if (!own || !numbers[0] || !numbers[1]) return -1;
  constexpr Size block = 4096;
  std::atomic<bool> good = true;
  bool finished = parallel_blocks(middle < n ? 2 : 1, 4.0 * static_cast<double>(n), [&](Size half) {
    const Size end = half == 0 ? middle : n;
    for (Size i = half == 0 ? 0 : middle; i < end && good; i += block)
      if (!numbers[half].take(i, std::min(block, end - i), code + i)) good = false;
  });
  if (!finished) return numbering_interrupted;
  if (!good) return -1;
  for (Size k = 0; k < numbers[1].count(); ++k)
    if ((own[k] = numbers[0].number(own[k])) < 0) return -1;
  finished = parallel_blocks(ceil_div(n - middle, block), static_cast<double>(n - middle), [&](Size b) {
    const Size end = std::min(n, middle + (b + 1) * block);
    for (Size i = middle + b * block; i < end; ++i) code[i] = static_cast<std::uint32_t>(own[code[i]]);
  });
  return finished ? numbers[0].count() : numbering_interrupted;
}

}  // namespace

Size number_items(const char* items, Size n, Size bytes, Size most, std::uint32_t* code, std::int64_t* first) noexcept {
  most = std::min<Size>(most, UINT32_MAX - 1);
  const auto by_hashes = [&](auto of) {
    const auto make = [of](Size at_most, std::int64_t* to) { return Numbering<decltype(of)>(of, at_most, to); };
    return number_halves(make, n, most, code, first);
  };
  if (bytes == 4) return by_hashes(Items<4>{items, 4});
  if (bytes != 8) return by_hashes(Items<0>{items, bytes});
  if (const Span span(items, n); SpanNumbering::suits(span)) {
    const auto make = [&](Size at_most, std::int64_t* to) { return SpanNumbering(span, items, n, at_most, to); };
    if (const Size count = number_halves(make, n, most, code, first); count != -1) return count;
  }
  return by_hashes(Items<8>{items, 8});
}

// ---- rows in another order ----

namespace {

template <int Bytes>
void gather(const char* table, Size bytes, Size step, const std::int64_t* order, Size count, char* to) noexcept {
  constexpr Size ahead = 16;  // rows in no order are far from each other
  for (Size k = 0; k < count; ++k) {
    if (k + ahead < count) __builtin_prefetch(table + order[k + ahead] * step);
    if constexpr (Bytes > 0)
      std::memcpy(to + k * Bytes, table + order[k] * step, Bytes);
    else
      std::memcpy(to + k * bytes, table + order[k] * step, static_cast<std::size_t>(bytes));
  }
}

}  // namespace

void gather_rows(const char* table, Size bytes, Size step, const std::int64_t* order, Size count, char* to) noexcept {
  switch (bytes) {
    case 8:
      return gather<8>(table, bytes, step, order, count, to);
    case 16:
      return gather<16>(table, bytes, step, order, count, to);
    case 24:
      return gather<24>(table, bytes, step, order, count, to);
    case 32:
      return gather<32>(table, bytes, step, order, count, to);
    default:
      return gather<0>(table, bytes, step, order, count, to);
  }
}

Outcome gather_rows_in_parallel(const char* table, Size bytes, Size step, const std::int64_t* order, Size count,
                                char* to) noexcept {
  constexpr Size block = 4096;
  const double block_ns = 4096 * (3 + static_cast<double>(bytes) / 8);
  return parallel_with_scratch(ceil_div(count, block), block_ns, 0, [&](Size b, void*) {
    const Size from = b * block;
    gather_rows(table, bytes, step, order + from, std::min(block, count - from), to + from * bytes);
  });
}

}  // namespace mmlfast::drivers
