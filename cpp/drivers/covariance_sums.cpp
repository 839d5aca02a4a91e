// Sums of groups: parts of the rows, each with entries of its own for all groups, which are merged in order.
#include <atomic>

#include "drivers/common/parallel.hpp"
#include "drivers/covariance_groups.hpp"

namespace mmlfast::drivers {
namespace {

constexpr Size rows_at_once = 1024;

// A group has so many rows on average at most: more would be better off in order, in several chains.
constexpr Size most_rows = 2048;
constexpr Size most_bytes = Size{64} << 20;  // of the entries of one part

// Each part costs a merge of all groups.
Size parts_of(Size n_rows, Size n_groups) noexcept {
  Size parts = 1;
  while (parts < 16 && n_rows >= 65536 * parts && n_rows >= 16 * parts * n_groups) parts *= 2;
  return parts;
}

template <class T>
struct Job {
  OfGroups what;
  const T* table;
  Size d, step;
  const GroupNumbers& numbers;
  Size n_groups;
  double* entries;
  GroupAnswer* answers;
  const GroupSums<T>& kernel = kernel_of<GroupSums<T>>();

  bool squares() const noexcept { return what != OfGroups::mean; }
  Size size() const noexcept { return n_groups * group_entry(d, squares()); }

  // call(number, first row, rows) for the rows of a part; false if a number is no group.
  template <class Call>
  bool each_piece(Size from, Size to, Call&& call) const noexcept {
    std::uint32_t number[rows_at_once];
    for (Size i = from; i < to; i += rows_at_once) {
      const Size end = std::min(to, i + rows_at_once);
      if (!numbers.read(numbers, i, end, n_groups, number)) return false;
      call(number, i, end - i);
    }
    return true;
  }

  bool add(Size part, Size from, Size to) const noexcept {
    double* own = entries + part * size();
    std::fill_n(own, size(), 0.0);
    return each_piece(from, to, [&](const std::uint32_t* number, Size first, Size rows) {
      kernel.add(number, rows, table + first * step, step, d, squares(), own);
    });
  }

  // Groups that seem constant: those with unequal numbers, whose squares were too small, have no answer.
  void look_again(Size from, Size to) const noexcept {
    each_piece(from, to, [&](const std::uint32_t* number, Size first, Size rows) {
      for (Size i = 0; i < rows; ++i) {
        const std::atomic_ref<GroupAnswer> answer(answers[number[i]]);
        if (answer.load(std::memory_order_relaxed) != GroupAnswer::constant) continue;
        const double* entry = entries + number[i] * group_entry(d, true);
        const T* row = table + (first + i) * step;
        for (Size j = 0; j < d; ++j)
          if (entry[1 + 2 * d + j] == 0 && static_cast<double>(row[j]) != entry[1 + j])
            answer.store(GroupAnswer::none, std::memory_order_relaxed);
      }
    });
  }
};

}  // namespace

bool sums_suit_groups(OfGroups what, Size n_rows, Size d, Size n_groups) noexcept {
  return what <= OfGroups::deviation && n_groups > 0 && d > 0 && d <= 16 && n_rows <= most_rows * n_groups &&
         n_groups <= most_bytes / 8 / group_entry(d, true) && n_groups <= 4 * n_rows;
}

template <class T>
Outcome sums_of_groups(OfGroups what, const T* table, Size d, Size step, const GroupNumbers& numbers, Size n_groups,
                       double ddof, T* values, GroupAnswer* answers, bool& known) noexcept {
  const Size n = numbers.n_rows, parts = parts_of(n, n_groups), length = ceil_div(n, parts);
  Job<T> job{what, table, d, step, numbers, n_groups, nullptr, answers};
  const AlignedBuffer<double> entries(checked_product(parts, job.size()));
  if (!entries) return {Outcome::Status::no_memory};
  job.entries = entries.data();
  std::atomic<bool> good = true, constant = false;
  const double total_ns = static_cast<double>(n) * (2 + static_cast<double>(d));
  const auto of_parts = [&](auto&& body) noexcept {
    return parallel_blocks(parts, total_ns,
                           [&](Size p) { body(p, std::min(n, p * length), std::min(n, (p + 1) * length)); });
  };
  bool finished = of_parts([&](Size part, Size from, Size to) {
    if (!job.add(part, from, to)) good = false;
  });
  known = good;
  if (!finished || !known) return {finished ? Outcome::Status::ok : Outcome::Status::interrupted};
  constexpr Size groups_at_once = 1024;
  const double finish_ns = static_cast<double>(n_groups * parts) * (2 + 4 * static_cast<double>(d));
  finished = parallel_blocks(ceil_div(n_groups, groups_at_once), finish_ns, [&](Size block) {
    const Size from = block * groups_at_once, to = std::min(n_groups, from + groups_at_once);
    for (Size p = 1; p < parts; ++p)
      job.kernel.merge(from, to, d, job.squares(), job.entries + p * job.size(), job.entries);
    job.kernel.finish(from, to, d, job.squares(), what == OfGroups::deviation, ddof, job.entries, values, answers);
    if (std::find(answers + from, answers + to, GroupAnswer::constant) != answers + to) constant = true;
  });
  if (finished && constant) finished = of_parts([&](Size, Size from, Size to) { job.look_again(from, to); });
  return {finished ? Outcome::Status::ok : Outcome::Status::interrupted};
}

template Outcome sums_of_groups<double>(OfGroups, const double*, Size, Size, const GroupNumbers&, Size, double, double*,
                                        GroupAnswer*, bool&) noexcept;
template Outcome sums_of_groups<float>(OfGroups, const float*, Size, Size, const GroupNumbers&, Size, double, float*,
                                       GroupAnswer*, bool&) noexcept;

}  // namespace mmlfast::drivers
