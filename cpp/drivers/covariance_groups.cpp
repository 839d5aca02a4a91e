// Groups of one size are a batch: their rows are brought together, a few groups at a time, in memory that the cache
// holds, and go into lanes from there.
#include "drivers/covariance_groups.hpp"

#include <algorithm>

#include "drivers/common/parallel.hpp"
#include "drivers/covariance.hpp"

namespace mmlfast::drivers {
namespace {

constexpr Size bytes_of_part = Size{48} << 10;  // of rows brought together
constexpr Size large = Size{1} << 20;           // bytes of a group that all threads share

// Groups of `size` rows, `count` of them from `first` on in the sequence of sizes.
struct Part {
  Size size, first, count;
};

template <class T>
struct Job {
  OfGroups what;
  const T* table;
  Size d, step;
  const RowGroups& groups;
  double ddof;
  T* values;
  const std::int64_t* sequence;  // the groups, those of one size next to each other

  Size row_bytes() const noexcept { return d * Size{sizeof(T)}; }
  Size per_value() const noexcept { return what < OfGroups::covariance ? d : d * d; }
  const std::int64_t* rows(Size g) const noexcept { return groups.order + groups.offsets[g]; }

  Size scratch(const Part& part) const noexcept {
    return part.count * (part.size * row_bytes() + per_value() * Size{sizeof(T)});
  }

  Outcome compute(const Part& part, const T* x, T* out) const noexcept {
    const Batch<const T> tables{x, part.size * d, Layout{part.size, d, d, 1}};
    const Batch<const double> unweighted{nullptr, 0, Layout{0, 1, 1, 1}}, less{&ddof, 0, Layout{1, 1, 1, 1}};
    const Batch<T> column{out, d, Layout{d, 1, 1, 1}}, matrix{out, d * d, Layout{d, d, d, 1}};
    switch (what) {
      case OfGroups::mean:
        return mean(part.count, tables, unweighted, column);
      case OfGroups::variance:
      case OfGroups::deviation:
        return variance(part.count, tables, unweighted, less, what == OfGroups::deviation, column);
      case OfGroups::covariance:
        return covariance(part.count, tables, unweighted, less, matrix);
      case OfGroups::correlation:
        return correlation(part.count, tables, unweighted, matrix);
    }
    return {};
  }

  // SCRATCH scratch(part) bytes.
  Outcome run(const Part& part, void* scratch, bool together) const noexcept {
    T *const x = static_cast<T*>(scratch), *const out = x + part.count * part.size * d;
    const Size step_bytes = step * Size{sizeof(T)};
    for (Size k = 0; k < part.count; ++k) {
      const char* from = reinterpret_cast<const char*>(table);
      char* to = reinterpret_cast<char*>(x + k * part.size * d);
      if (together) {
        const Outcome gathered =
            gather_rows_in_parallel(from, row_bytes(), step_bytes, rows(sequence[part.first]), part.size, to);
        if (!gathered.ok()) return gathered;
      } else {
        gather_rows(from, row_bytes(), step_bytes, rows(sequence[part.first + k]), part.size, to);
      }
    }
    const Outcome outcome = compute(part, x, out);
    for (Size k = 0; k < part.count; ++k)
      std::copy_n(out + k * per_value(), per_value(), values + sequence[part.first + k] * per_value());
    return outcome;
  }
};

}  // namespace

template <class T>
Outcome moments_of_groups(OfGroups what, const T* table, Size d, Size step, const RowGroups& groups, double ddof,
                          T* values) noexcept {
  const Size n = groups.n_groups;
  if (n == 0) return {};
  // The sizes that are counted; larger groups are a part each, whatever their number.
  constexpr Size most_sizes = 65536;
  const AlignedBuffer<std::int32_t> size_of(n);
  const AlignedBuffer<std::int64_t> sequence(n), starts(most_sizes + 1);
  const AlignedBuffer<Part> parts(n);
  if (!size_of || !sequence || !starts || !parts) return {Outcome::Status::no_memory};
  Size most = 0;
  for (Size g = 0; g < n; ++g) {
    size_of[g] = static_cast<std::int32_t>(std::min(groups.size(g), most_sizes - 1));
    most = std::max<Size>(most, size_of[g]);
  }
  bool known = true;
  const GroupNumbers by_size{size_of.data(), n, 0, nullptr, 0, read_numbers<std::int32_t>};
  const Outcome sorted = order_by_group(by_size, most + 1, sequence.data(), starts.data(), known);
  if (!sorted.ok()) return sorted;
  const Job<T> job{what, table, d, step, groups, ddof, values, sequence.data()};
  Size n_parts = 0, first_large = n, bytes = 0;
  for (Size first = 0; first < n;) {
    const Size size = groups.size(sequence[first]), group_bytes = std::max<Size>(1, size * job.row_bytes());
    if (group_bytes >= large) {
      first_large = std::min(first_large, n_parts);
      parts[n_parts++] = {size, first++, 1};
      continue;
    }
    const Size end = size < most_sizes - 1 ? starts[size + 1] : first + 1;
    const Size fitting = bytes_of_part / group_bytes / 8 * 8;
    const Part part{size, first, std::min(end - first, std::clamp<Size>(fitting, 8, 1024))};
    bytes = std::max(bytes, job.scratch(part));
    parts[n_parts++] = part;
    first += part.count;
  }
  first_large = std::min(first_large, n_parts);
  const double part_ns = static_cast<double>(bytes_of_part / job.row_bytes() + 1) * (5 + 2 * static_cast<double>(d));
  Outcome outcome = parallel_with_scratch(first_large, part_ns, bytes,
                                          [&](Size p, void* scratch) { return job.run(parts[p], scratch, false); });
  for (Size p = first_large; p < n_parts && !outcome.stopped(); ++p) {
    const AlignedBuffer<char> memory(job.scratch(parts[p]));
    outcome.join(memory ? job.run(parts[p], memory.data(), true) : Outcome{Outcome::Status::no_memory});
  }
  return outcome;
}

template Outcome moments_of_groups<double>(OfGroups, const double*, Size, Size, const RowGroups&, double,
                                           double*) noexcept;
template Outcome moments_of_groups<float>(OfGroups, const float*, Size, Size, const RowGroups&, double,
                                          float*) noexcept;

}  // namespace mmlfast::drivers
