#include "bind/row_groups.hpp"

#include <vector>

#include "bind/pybind.hpp"
#include "drivers/covariance_groups.hpp"

namespace mmlfast::bind {
namespace {

using Integers = py::array_t<std::int64_t, py::array::c_style>;

void require(bool condition, const char* message) {
  if (!condition) throw py::value_error(message);
}

// int64 without gaps, as Python has seen to.
const std::int64_t* integers(const py::array& x, Size least) {
  require(py::isinstance<Integers>(x) && x.ndim() == 1 && x.shape(0) >= least, "groups: int64 without gaps is wanted");
  return static_cast<const std::int64_t*>(x.data());
}

using Read = decltype(drivers::GroupNumbers::read);

Read read_of(const py::array& x) {
  static constexpr Read of_signed[] = {drivers::read_numbers<std::int8_t>, drivers::read_numbers<std::int16_t>,
                                       drivers::read_numbers<std::int32_t>, drivers::read_numbers<std::int64_t>};
  static constexpr Read of_unsigned[] = {drivers::read_numbers<std::uint8_t>, drivers::read_numbers<std::uint16_t>,
                                         drivers::read_numbers<std::uint32_t>, drivers::read_numbers<std::uint64_t>};
  const int k = x.itemsize() == 1 ? 0 : x.itemsize() == 2 ? 1 : x.itemsize() == 4 ? 2 : 3;
  return (x.dtype().kind() == 'i' ? of_signed : of_unsigned)[k];
}

// Rows whose group is group[i] - least, modulo 2^64, or rank[group[i] - least]; `group` native integers without gaps.
drivers::GroupNumbers numbers_of(const py::array& group, std::uint64_t least, const py::object& rank) {
  require(group.ndim() == 1 && (group.flags() & py::array::c_style) != 0, "groups: integers without gaps are wanted");
  drivers::GroupNumbers numbers{group.data(), group.shape(0), least, nullptr, 0, read_of(group)};
  if (!rank.is_none()) {
    const auto ranks = py::reinterpret_borrow<py::array>(rank);
    numbers.rank = integers(ranks, 0);
    numbers.n_ranks = ranks.shape(0);
  }
  return numbers;
}

// (least, largest) of native integers of 32 or 64 bits without gaps, at least one.
py::tuple range_of_integers(const py::array& x) {
  const bool is_signed = x.dtype().kind() == 'i';
  require((is_signed || x.dtype().kind() == 'u') && (x.flags() & py::array::c_style) != 0 && x.size() > 0 &&
              (x.itemsize() == 4 || x.itemsize() == 8),
          "range_of_integers: integers of 32 or 64 bits without gaps are wanted");
  const auto range = [&](auto least) -> py::tuple {
    auto largest = least;
    const char* items = static_cast<const char*>(x.data());
    run_without_gil([&] { return drivers::range_of_integers(items, x.size(), is_signed, least, largest); });
    const py::int_ middle(is_signed ? std::uint64_t{1} << (8 * sizeof least - 1) : 0);
    return py::make_tuple(py::int_(least) - middle, py::int_(largest) - middle);
  };
  return x.itemsize() == 4 ? range(std::uint32_t{}) : range(std::uint64_t{});
}

// (order, offsets) of the rows.
py::tuple order_by_group(const py::array& group, std::uint64_t least, Size n_groups, const py::object& rank) {
  require(n_groups >= 0, "order_by_group: no number of groups");
  const drivers::GroupNumbers numbers = numbers_of(group, least, rank);
  py::array_t<std::int64_t> order(numbers.n_rows), offsets(n_groups + 1);
  std::int64_t *to = order.mutable_data(), *starts = offsets.mutable_data();
  bool known = false;
  run_without_gil([&] { return drivers::order_by_group(numbers, n_groups, to, starts, known); });
  require(known, "groups: a number that is no group");
  return py::make_tuple(order, offsets);
}

// (code, first) of items without gaps, objects being the addresses that they are; None if more than `most` differ.
py::object number_items(const py::array& items, Size most) {
  require(items.ndim() == 1 && (items.flags() & py::array::c_style) != 0 && most >= 0,
          "number_items: an array without gaps is wanted");
  const Size n = items.shape(0), bytes = items.itemsize();
  most = std::min(most, n);
  py::array_t<std::uint32_t> code(n);
  py::array_t<std::int64_t> first(most);
  const char* data = static_cast<const char*>(items.data());
  std::uint32_t* codes = code.mutable_data();
  std::int64_t* firsts = first.mutable_data();
  Size count = 0;
  run_without_gil([&] {
    count = drivers::number_items(data, n, bytes, most, codes, firsts);
    return Outcome{count == drivers::numbering_interrupted ? Outcome::Status::interrupted : Outcome::Status::ok};
  });
  if (count < 0) return py::none();
  return py::make_tuple(code, first[py::slice(0, count, 1)]);
}

// The rows of a table without gaps in another order; `order` holds numbers of its rows.
py::array gather_rows(const py::array& table, const py::array& order) {
  const Size n = table.shape(0), count = order.shape(0);
  const std::int64_t* rows = integers(order, 0);
  require((table.flags() & py::array::c_style) != 0, "gather_rows: a table that is not contiguous");
  for (Size k = 0; k < count; ++k) require(rows[k] >= 0 && rows[k] < n, "gather_rows: a number that is no row");
  std::vector<py::ssize_t> shape(table.shape(), table.shape() + table.ndim());
  shape[0] = count;
  py::array gathered(table.dtype(), shape);
  const Size bytes = n == 0 ? 0 : table.nbytes() / n;
  const char* from = static_cast<const char*>(table.data());
  char* to = static_cast<char*>(gathered.mutable_data());
  run_without_gil([&] { return drivers::gather_rows_in_parallel(from, bytes, bytes, rows, count, to); });
  return gathered;
}

// Moments of each group of rows of a table of float32 or float64 whose rows are without gaps; see OfGroups. `order` is
// of order_by_group, which has seen to its numbers.
py::array moments_of_groups(int what, const py::array& table, const py::array& order, const py::array& offsets,
                            double ddof) {
  require(table.ndim() == 2 && (table.size() == 0 || table.shape(1) == 1 || table.strides(1) == table.itemsize()) &&
              what >= 0 && what < 5,
          "moments_of_groups: arguments that do not fit");
  const Size d = table.shape(1), n_groups = offsets.shape(0) - 1;
  const drivers::RowGroups groups{integers(order, 0), integers(offsets, 1), n_groups};
  Size before = 0;
  for (Size g = 0; g <= n_groups; before = groups.offsets[g++])
    require(groups.offsets[g] >= before && groups.offsets[g] <= order.shape(0), "moments_of_groups: offsets");
  std::vector<py::ssize_t> shape{n_groups, d};
  if (what >= 3) shape.push_back(d);
  py::array values(table.dtype(), shape);
  by_float_type(table, [&](auto zero) {
    using T = decltype(zero);
    const T* x = static_cast<const T*>(table.data());
    T* to = static_cast<T*>(values.mutable_data());
    const Size step = table.strides(0) / table.itemsize();
    run_without_gil(
        [&] { return drivers::moments_of_groups(static_cast<drivers::OfGroups>(what), x, d, step, groups, ddof, to); });
  });
  return values;
}

// (values, answers) of drivers/covariance_groups.hpp, GroupAnswer as uint8; None if that is not the way.
py::object sums_of_groups(int what, const py::array& table, const py::array& group, std::uint64_t least, Size n_groups,
                          const py::object& rank, double ddof) {
  require(table.ndim() == 2 && (table.size() == 0 || table.shape(1) == 1 || table.strides(1) == table.itemsize()) &&
              table.shape(0) == group.size(),
          "sums_of_groups: arguments that do not fit");
  const auto kind = static_cast<drivers::OfGroups>(what);
  const Size d = table.shape(1);
  if (!drivers::sums_suit_groups(kind, table.shape(0), d, n_groups)) return py::none();
  py::array values(table.dtype(), std::vector<py::ssize_t>{n_groups, d});
  py::array_t<std::uint8_t> answers(n_groups);
  auto* of = reinterpret_cast<GroupAnswer*>(answers.mutable_data());
  const drivers::GroupNumbers numbers = numbers_of(group, least, rank);
  bool known = false;
  by_float_type(table, [&](auto zero) {
    using T = decltype(zero);
    const T* x = static_cast<const T*>(table.data());
    T* to = static_cast<T*>(values.mutable_data());
    const Size step = table.strides(0) / table.itemsize();
    run_without_gil([&] { return drivers::sums_of_groups(kind, x, d, step, numbers, n_groups, ddof, to, of, known); });
  });
  require(known, "groups: a number that is no group");
  return py::make_tuple(values, answers);
}

}  // namespace

void add_row_groups(PyObject* module) {
  py::module_ m = module_of(module);
  m.def("range_of_integers", &range_of_integers);
  m.def("order_by_group", &order_by_group);
  m.def("number_items", &number_items);
  m.def("gather_rows", &gather_rows);
  m.def("moments_of_groups", &moments_of_groups);
  m.def("sums_of_groups", &sums_of_groups);
}

}  // namespace mmlfast::bind
