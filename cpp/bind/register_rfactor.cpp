#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "bind/gufunc.hpp"
#include "bind/registers.hpp"
#include "drivers/rfactor.hpp"

namespace mmlfast::bind {
namespace {

// The state behind linalg.RFactor. Arguments have been checked and converted in Python: x is a native, aligned float32
// or float64 array of two dimensions. Work is done without the GIL, under a mutex.
class RFactorState {
 public:
  // -1: as many columns as the first table has.
  explicit RFactorState(Size n) {
    if (n >= 0) start(n);
  }

  Size n_features() {
    const py::gil_scoped_release release;
    const std::lock_guard<std::mutex> lock(mutex_);
    return state_ ? state_->columns() : -1;
  }
  Size count() {
    const py::gil_scoped_release release;
    const std::lock_guard<std::mutex> lock(mutex_);
    return state_ ? state_->count() : 0;
  }

  void update(const py::array& x) {
    const Rows rows(x);
    Outcome outcome;
    Size had;
    {
      const py::gil_scoped_release release;
      const std::lock_guard<std::mutex> lock(mutex_);
      start(rows.cols);
      had = state_->columns();
      if (had == rows.cols) outcome = rows.add_to(*state_);
    }
    check_columns(rows.cols, had);
    raise_unless_ok(outcome);
  }

  // False if the rows cannot be taken out; nothing has changed then.
  bool remove(const py::array& x) {
    const Rows rows(x);
    Outcome outcome;
    Size had, count = 0;
    bool possible = true;
    {
      const py::gil_scoped_release release;
      drivers::RFactor leaving(rows.cols);
      outcome = rows.add_to(leaving);
      const std::lock_guard<std::mutex> lock(mutex_);
      start(rows.cols);
      had = state_->columns();
      count = state_->count();
      if (had == rows.cols && outcome.ok() && rows.rows <= count) outcome = state_->remove(leaving, possible);
    }
    check_columns(rows.cols, had);
    if (rows.rows > count)
      throw py::value_error("downdate: x has " + std::to_string(rows.rows) + " rows, only " + std::to_string(count) +
                            " were taken in");
    raise_unless_ok(outcome);
    return possible;
  }

  void merge(RFactorState& other) {
    Outcome outcome;
    Size mine = -1, others = -1;
    {
      const py::gil_scoped_release release;
      std::unique_ptr<drivers::RFactor> copy;
      {
        const std::lock_guard<std::mutex> lock(other.mutex_);
        if (!other.state_) return;
        others = other.state_->columns();
        copy = std::make_unique<drivers::RFactor>(others);
        outcome = copy->copy(*other.state_);
      }
      const std::lock_guard<std::mutex> lock(mutex_);
      start(others);
      mine = state_->columns();
      if (mine == others && outcome.ok()) outcome = state_->merge(*copy);
    }
    if (mine != others)
      throw py::value_error("merge: other has " + std::to_string(others) + " features, this has " +
                            std::to_string(mine));
    raise_unless_ok(outcome);
  }

  py::array_t<double> r() {
    drivers::Doubles numbers;
    Outcome outcome;
    Size n = 0;
    {
      const py::gil_scoped_release release;
      const std::lock_guard<std::mutex> lock(mutex_);
      if (state_) {
        n = state_->columns();
        outcome = state_->total(numbers);
      }
    }
    raise_unless_ok(outcome);
    py::array_t<double> r({n, n});
    std::copy_n(numbers.data(), n * n, r.mutable_data());
    return r;
  }

  // The whole state as an array of float64, empty if there is none yet.
  py::array save() {
    std::vector<double> numbers;
    {
      const py::gil_scoped_release release;
      const std::lock_guard<std::mutex> lock(mutex_);
      if (state_) state_->save(numbers);
    }
    return py::array_t<double>(static_cast<py::ssize_t>(numbers.size()), numbers.data());
  }

  void restore(const py::array_t<double, py::array::c_style>& numbers) {
    if (numbers.size() == 0) return;
    const std::vector<double> from(numbers.data(), numbers.data() + numbers.size());
    auto state = std::make_unique<drivers::RFactor>(0);
    if (!state->restore(from)) throw py::value_error("this is not a state of RFactor");
    const std::lock_guard<std::mutex> lock(mutex_);
    state_ = std::move(state);
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

  void start(Size n) {
    if (!state_) state_ = std::make_unique<drivers::RFactor>(n);
  }

  static void check_columns(Size got, Size had) {
    if (got != had)
      throw py::value_error("x has " + std::to_string(got) + " features, expected " + std::to_string(had));
  }

  std::mutex mutex_;
  std::unique_ptr<drivers::RFactor> state_;  // made when the number of columns is known
};

}  // namespace

void register_rfactor(py::module_& m) {
  py::class_<RFactorState>(m, "RFactorState")
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
