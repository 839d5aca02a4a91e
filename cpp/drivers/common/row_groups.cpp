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

Outcome order_by_group(const GroupNumbers& numbers, Size n_groups, std::int64_t* order, std::int64_t* offsets,
                       bool& known) noexcept {
  const Size n = numbers.n_rows;
  // Each part of the rows has counts of its own: a few parts, and one where counts would be more than the rows.
  const Size parts = n_groups > n / 4 ? 1 : std::clamp<Size>(n / 16384, 1, get_num_threads());
  const Size length = ceil_div(n, parts);
  // Other threads may write into the labels, and a number is an index: it is read once.
  const AlignedBuffer<std::uint32_t> number(n);
  const auto next = AlignedBuffer<Size>::zeros(checked_product(parts, n_groups));
  if (!number || !next || n_groups > Size{UINT32_MAX}) return {Outcome::Status::no_memory};
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
  bool same(const char* a, const char* b) const noexcept {
    return std::memcmp(a, b, Bytes > 0 ? Bytes : static_cast<std::size_t>(any_bytes)) == 0;
  }
  static std::uint64_t word(const char* at, std::size_t count) noexcept {
    std::uint64_t w = 0;
    std::memcpy(&w, at, count);
    return w;
  }
  std::uint64_t hash(const char* item) const noexcept {
    if constexpr (Bytes > 0) return mixed(word(item, Bytes));
    std::uint64_t h = 0;
    Size k = 0;
    for (; k + 8 <= any_bytes; k += 8) h = mixed(h ^ word(item + k, 8));
    return k < any_bytes ? mixed(h ^ word(item + k, static_cast<std::size_t>(any_bytes - k))) : h;
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

// The rows in two halves, each with a numbering of its own; then the second in the numbers of the first, which makes
// the numbers those of one reading.
template <class Items>
Size number_halves(const Items& items, Size n, Size most, std::uint32_t* code, std::int64_t* first) noexcept {
  const Size middle = n >= 65536 && get_num_threads() > 1 ? n / 2 : n;
  const AlignedBuffer<std::int64_t> own(std::min(most, n - middle));
  Numbering<Items> numbers[2] = {{items, most, first}, {items, own.size(), own.data()}};
  if (!own || !numbers[0] || !numbers[1]) return -1;
  constexpr Size block = 4096;
  std::atomic<bool> good = true;
  parallel_blocks(middle < n ? 2 : 1, 4.0 * static_cast<double>(n), [&](Size half) {
    const Size end = half == 0 ? middle : n;
    for (Size i = half == 0 ? 0 : middle; i < end && good; i += block)
      if (!numbers[half].take(i, std::min(block, end - i), code + i)) good = false;
  });
  if (!good) return -1;
  for (Size k = 0; k < numbers[1].count(); ++k)
    if ((own[k] = numbers[0].number(own[k])) < 0) return -1;
  parallel_blocks(ceil_div(n - middle, block), static_cast<double>(n - middle), [&](Size b) {
    const Size end = std::min(n, middle + (b + 1) * block);
    for (Size i = middle + b * block; i < end; ++i) code[i] = static_cast<std::uint32_t>(own[code[i]]);
  });
  return numbers[0].count();
}

}  // namespace

Size number_items(const char* items, Size n, Size bytes, Size most, std::uint32_t* code, std::int64_t* first) noexcept {
  most = std::min<Size>(most, UINT32_MAX - 1);
  if (bytes == 4) return number_halves(Items<4>{items, 4}, n, most, code, first);
  if (bytes == 8) return number_halves(Items<8>{items, 8}, n, most, code, first);
  return number_halves(Items<0>{items, bytes}, n, most, code, first);
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
