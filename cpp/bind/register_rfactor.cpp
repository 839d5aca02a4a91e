#include <memory>
#include <string>
#include <vector>

#include "bind/pybind.hpp"
#include "bind/registers.hpp"
#include "bind/shared_state.hpp"
#include "drivers/rfactor.hpp"

namespace mmlfast::bind {
namespace {

// The state behind linalg.RFactor. Arguments have been checked and converted in Python: x is a native, aligned float32
// or float64 array of two dimensions.
class RFactorState : SharedState<drivers::RFactor> {
 public:
  // -1: as many columns as the first table has.
  explicit RFactorState(Size n) {
    if (n >= 0) change([&](Owner& state) { start(state, n); });
  }

  Size n_features() const {
    Size columns = -1;
    look([&](const drivers::RFactor& state) { columns = state.columns(); });
    return columns;
  }
  Size count() const {
    Size rows = 0;
    look([&](const drivers::RFactor& state) { rows = state.count(); });
    return rows;
  }

  void update(const py::array& x) {
    const Rows rows(x);
    Outcome outcome;
    Size had = 0;
    change([&](Owner& state) {
      had = start(state, rows.cols);
      if (had == rows.cols) outcome = rows.add_to(*state);
    });
    check_columns(rows.cols, had);
    raise_unless_ok(outcome);
  }

  // False if the rows cannot be taken out; nothing has changed then.
  bool remove(const py::array& x) {
    const Rows rows(x);
    drivers::RFactor leaving(rows.cols);
    Outcome outcome;
    {
      const ReleasedGil released;
      outcome = rows.add_to(leaving);
    }
    Size had = 0, count = 0;
    bool possible = true;
    change([&](Owner& state) {
      had = start(state, rows.cols);
      count = state->count();
      if (had == rows.cols && outcome.ok() && rows.rows <= count) outcome = state->remove(leaving, possible);
    });
    check_columns(rows.cols, had);
    if (rows.rows > count)
      throw py::value_error("downdate: x has " + std::to_string(rows.rows) + " rows, only " + std::to_string(count) +
                            " were taken in");
    raise_unless_ok(outcome);
    return possible;
  }

  void merge(const RFactorState& other) {
    Outcome outcome;
    Owner copy;
    other.look([&](const drivers::RFactor& theirs) {
      copy = std::make_unique<drivers::RFactor>(theirs.columns());
      outcome = copy->copy(theirs);
    });
    if (!copy) return;
    const Size others = copy->columns();
    Size mine = 0;
    change([&](Owner& state) {
      mine = start(state, others);
      if (mine == others && outcome.ok()) outcome = state->merge(*copy);
    });
    if (mine != others)
      throw py::value_error("merge: other has " + std::to_string(others) + " features, this has " +
                            std::to_string(mine));
    raise_unless_ok(outcome);
  }

  py::array_t<double> r() const {
    drivers::Doubles numbers;
    Outcome outcome;
    Size n = 0;
    look([&](const drivers::RFactor& state) {
      n = state.columns();
      outcome = state.total(numbers);
    });
    raise_unless_ok(outcome);
    py::array_t<double> r({n, n});
    std::copy_n(numbers.data(), n * n, r.mutable_data());
    return r;
  }

  // The whole state as an array of float64, empty if there is none yet.
  py::array save() const {
    std::vector<double> numbers;
    look([&](const drivers::RFactor& state) { state.save(numbers); });
    return py::array_t<double>(static_cast<py::ssize_t>(numbers.size()), numbers.data());
  }

  void restore(const py::array_t<double, py::array::c_style>& numbers) {
    if (numbers.size() == 0) return;
    const std::vector<double> from(numbers.data(), numbers.data() + numbers.size());
    auto restored = std::make_unique<drivers::RFactor>(0);
    if (!restored->restore(from)) throw py::value_error("this is not a state of RFactor");
    change([&](Owner& state) { state = std::move(restored); });
  }

 private:
  struct Rows {
    const void* data;
    Size rows, cols, row_bytes, col_bytes;
    bool single;

    explicit Rows(const py::array& x)
        : data(x.data()),
          rows(x.shape(0)),
          cols(x.shape(1)),
          row_bytes(x.strides(0)),
          col_bytes(x.strides(1)),
          single(x.itemsize() == 4) {}

    Outcome add_to(drivers::RFactor& state) const noexcept {
      return single ? add_as<float>(state) : add_as<double>(state);
    }
    template <class T>
    Outcome add_as(drivers::RFactor& state) const noexcept {
      constexpr Size bytes = sizeof(T);
      return state.update(static_cast<const T*>(data), {rows, cols, row_bytes / bytes, col_bytes / bytes});
    }
  };

  // The number of columns, which is n if there was no state before.
  static Size start(Owner& state, Size n) {
    if (!state) state = std::make_unique<drivers::RFactor>(n);
    return state->columns();
  }

  static void check_columns(Size got, Size had) {
    if (got != had)
      throw py::value_error("x has " + std::to_string(got) + " features, expected " + std::to_string(had));
  }
};

}  // namespace

void register_rfactor(PyObject* module) {
  py::class_<RFactorState>(module_of(module), "RFactorState")
      .def(py::init<Size>())
      .def("n_features", &RFactorState::n_features)
      .def("count", &RFactorState::count)
      .def("update", &RFactorState::update)
      .def("remove", &RFactorState::remove)
      .def("merge", &RFactorState::merge)
      .def("r", &RFactorState::r)
      .def("save", &RFactorState::save)
      .def("restore", &RFactorState::restore);
}

}  // namespace mmlfast::bind
