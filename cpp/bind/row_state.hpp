// What Python's objects that take in rows have in common (stats.Moments, linalg.RFactor): they work without the GIL,
// are used by one thread at a time, and may be read by a signal handler that interrupts a change of theirs. Arguments
// have been checked and converted in Python: x is a native, aligned float32 or float64 array of two dimensions, weights
// a float64 array of one.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "bind/pybind.hpp"
#include "drivers/common/table.hpp"
#include "runtime/locked_state.hpp"

namespace mmlfast::bind {

// The rows of one call.
class Rows {
 public:
  explicit Rows(const py::array& x, const py::object& weights = py::none())
      : data_(x.data()),
        count_(x.shape(0)),
        cols_(x.shape(1)),
        row_bytes_(x.strides(0)),
        col_bytes_(x.strides(1)),
        single_(x.itemsize() == 4) {
    if (weights.is_none()) return;
    const auto values = py::reinterpret_borrow<py::array>(weights);
    weights_ = static_cast<const double*>(values.data());
    weights_stride_ = values.strides(0) / 8;
  }

  Size cols() const noexcept { return cols_; }

  template <class State>
  Outcome add_to(State& state) const noexcept {
    return single_ ? state.update(table<float>()) : state.update(table<double>());
  }

 private:
  template <class T>
  drivers::Table<T> table() const noexcept {
    constexpr Size bytes = sizeof(T);
    return {static_cast<const T*>(data_),
            {count_, cols_, row_bytes_ / bytes, col_bytes_ / bytes},
            weights_,
            weights_stride_};
  }

  const void* data_;
  Size count_, cols_, row_bytes_, col_bytes_;
  bool single_;
  const double* weights_ = nullptr;
  Size weights_stride_ = 0;
};

// State: drivers::Moments or drivers::RFactor.
template <class State>
class RowState {
 public:
  // -1: as many columns as the first table has.
  explicit RowState(Size columns) {
    if (columns >= 0) change([&](Owner& state) { start(state, columns); });
  }

  Size n_features() const {
    return look<Size>(-1, [](const State& state) { return state.columns(); });
  }
  // The number of rows, or the sum of their weights.
  double count() const {
    return look<double>(0, [](const State& state) { return state.weight(); });
  }

  void merge(const RowState& other) {
    Owner copy;
    raise_unless_ok(other.template look<Outcome>({}, [&](const State& theirs) {
      copy = std::make_unique<State>(theirs.columns());
      return copy->copy(theirs);
    }));
    if (!copy) return;
    const Size others = copy->columns();
    const Size mine = change_if_as_wide(others, [&](State& state) { return state.merge(*copy); });
    if (mine != others)
      throw py::value_error("merge: other has " + std::to_string(others) + " features, this has " +
                            std::to_string(mine));
  }

  // The whole state as an array of float64, empty if there is none yet.
  py::array save() const {
    const std::vector<double> numbers = look<std::vector<double>>({}, [](const State& state) {
      std::vector<double> to;
      state.save(to);
      return to;
    });
    return py::array_t<double>(static_cast<py::ssize_t>(numbers.size()), numbers.data());
  }

  void restore(const py::array_t<double, py::array::c_style>& numbers) {
    if (numbers.size() == 0) return;
    const std::vector<double> from(numbers.data(), numbers.data() + numbers.size());
    auto restored = std::make_unique<State>(0);
    if (!restored->restore(from)) throw py::value_error("this is not a state of such an object");
    change([&](Owner& state) { state = std::move(restored); });
  }

 protected:
  using Owner = std::unique_ptr<State>;

  void add(const Rows& rows) {
    check_columns(rows, change_if_as_wide(rows.cols(), [&](State& state) { return rows.add_to(state); }));
  }

  // remove(State&, const State& leaving) -> Outcome; not called if more would go than there is.
  template <class Remove>
  void take_out(const Rows& rows, Remove&& remove) {
    State leaving(rows.cols());
    run_without_gil([&] { return rows.add_to(leaving); });
    double had = 0;
    check_columns(rows, change_if_as_wide(rows.cols(), [&](State& state) {
                    had = state.weight();
                    return leaving.weight() > had ? Outcome{} : remove(state, leaving);
                  }));
    if (leaving.weight() > had)
      throw py::value_error(
          py::str("downdate: x counts for {:.15g} rows, only {:.15g} were taken in: the count would be "
                  "negative")
              .format(leaving.weight(), had));
  }

  // f(const State&) without the GIL, or `otherwise` if there is no state yet.
  template <class Result, class Look>
  Result look(Result otherwise, Look&& f) const {
    const ReleasedGil released;
    locked_.read([&](const State* state) {
      if (state != nullptr) otherwise = f(*state);
    });
    return otherwise;
  }

 private:
  // f(Owner&), without the GIL. May throw.
  template <class Change>
  void change(Change&& f) {
    bool done;
    {
      const ReleasedGil released;
      done = locked_.write(f);
    }
    if (!done)
      throw std::runtime_error(
          "this object is being changed by the call that this signal handler interrupts: here it can be read, not "
          "changed");
  }

  // f(State&) -> Outcome if the state has that many columns, which it gets if there is none yet. Returns how many it
  // has, or raises what came of f.
  template <class Change>
  Size change_if_as_wide(Size columns, Change&& f) {
    Outcome outcome;
    Size had = 0;
    change([&](Owner& state) {
      had = start(state, columns);
      if (had == columns) outcome = f(*state);
    });
    raise_unless_ok(outcome);
    return had;
  }

  static Size start(Owner& state, Size columns) {
    if (!state) state = std::make_unique<State>(columns);
    return state->columns();
  }

  static void check_columns(const Rows& rows, Size had) {
    if (rows.cols() != had)
      throw py::value_error("x has " + std::to_string(rows.cols()) + " features, expected " + std::to_string(had));
  }

  LockedState<State> locked_;
};

// The class of Python, with the methods that all of them have.
template <class Object>
py::class_<Object> row_state_class(PyObject* module, const char* name) {
  py::class_<Object> type(module_of(module), name);
  type.def(py::init<Size>())
      .def("n_features", &Object::n_features)
      .def("count", &Object::count)
      .def("update", &Object::update)
      .def("remove", &Object::remove)
      .def("merge", [](Object& self, const Object& other) { self.merge(other); })
      .def("save", &Object::save)
      .def("restore", &Object::restore);
  return type;
}

}  // namespace mmlfast::bind
