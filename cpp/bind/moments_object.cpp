#include <memory>
#include <string>
#include <vector>

#include "bind/pybind.hpp"
#include "bind/registers.hpp"
#include "bind/shared_state.hpp"
#include "drivers/covariance.hpp"

namespace mmlfast::bind {
namespace {

// The state behind stats.Moments. Arguments have been checked and converted in Python: x is a native, aligned float32
// or float64 array of two dimensions, weights a float64 array of one.
class MomentState : SharedState<drivers::Moments> {
 public:
  // -1: as many columns as the first table has.
  explicit MomentState(Size d) {
    if (d >= 0) change([&](Owner& state) { start(state, d); });
  }

  Size n_features() const {
    Size columns = -1;
    look([&](const drivers::Moments& state) { columns = state.columns(); });
    return columns;
  }
  double count() const {
    double weight = 0;
    look([&](const drivers::Moments& state) { weight = state.weight(); });
    return weight;
  }
  bool weighted() const {
    bool weighted = false;
    look([&](const drivers::Moments& state) { weighted = state.weighted(); });
    return weighted;
  }

  void update(const py::array& x, const py::object& weights) {
    const Operands operands(x, weights);
    Outcome outcome;
    Size had = 0;
    change([&](Owner& state) {
      had = start(state, operands.cols);
      if (had == operands.cols) outcome = operands.add_to(*state);
    });
    check_columns(operands.cols, had);
    raise_unless_ok(outcome);
  }

  void remove(const py::array& x, const py::object& weights) {
    const Operands operands(x, weights);
    drivers::Moments leaving(operands.cols, drivers::Want::covariance);
    Outcome outcome;
    {
      const ReleasedGil released;
      outcome = operands.add_to(leaving);
    }
    Size had = 0;
    double excess = 0;
    change([&](Owner& state) {
      had = start(state, operands.cols);
      if (had != operands.cols || !outcome.ok()) return;
      excess = leaving.weight() - state->weight();
      if (!(excess > 0)) outcome = state->remove(leaving);
    });
    check_columns(operands.cols, had);
    if (excess > 0) throw py::value_error("downdate: x has more rows than were taken in: the count would be negative");
    raise_unless_ok(outcome);
  }

  void merge(const MomentState& other) {
    Outcome outcome;
    Owner copy;
    other.look([&](const drivers::Moments& theirs) {
      copy = std::make_unique<drivers::Moments>(theirs.columns(), drivers::Want::covariance);
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

  py::array mean(bool single) const {
    return result([&](const CovarianceShape& shape, const double* node) {
      return with_type(single, [&](auto zero) {
        using T = decltype(zero);
        py::array_t<T> r(shape.d);
        drivers::Moments::write_mean<T>(shape, node, nullptr, r.mutable_data(), 1);
        return py::array(std::move(r));
      });
    });
  }

  py::array covariance(double ddof, bool single) const {
    return result([&](const CovarianceShape& shape, const double* node) {
      return with_type(single, [&](auto zero) {
        using T = decltype(zero);
        py::array_t<T> r({shape.d, shape.d});
        drivers::Moments::write_covariance<T>(shape, node, nullptr, ddof, r.mutable_data(),
                                              {shape.d, shape.d, shape.d, 1});
        return py::array(std::move(r));
      });
    });
  }

  // The whole state as an array of float64, empty if there is none yet.
  py::array save() const {
    std::vector<double> numbers;
    look([&](const drivers::Moments& state) { state.save(numbers); });
    return py::array_t<double>(static_cast<py::ssize_t>(numbers.size()), numbers.data());
  }

  void restore(const py::array_t<double, py::array::c_style>& numbers) {
    if (numbers.size() == 0) return;
    const std::vector<double> from(numbers.data(), numbers.data() + numbers.size());
    const bool plausible = from.size() > 1 && from[1] >= 0 && from[1] < 0x1p31;
    auto restored =
        std::make_unique<drivers::Moments>(plausible ? static_cast<Size>(from[1]) : 0, drivers::Want::covariance);
    if (!plausible || !restored->restore(from)) throw py::value_error("this is not a state of Moments");
    change([&](Owner& state) { state = std::move(restored); });
  }

 private:
  struct Operands {
    const void* data;
    const double* weights = nullptr;
    Size rows, cols, row_bytes, col_bytes, weights_stride = 0;
    bool single;

    Operands(const py::array& x, const py::object& w)
        : data(x.data()),
          rows(x.shape(0)),
          cols(x.shape(1)),
          row_bytes(x.strides(0)),
          col_bytes(x.strides(1)),
          single(x.itemsize() == 4) {
      if (w.is_none()) return;
      const auto values = py::reinterpret_borrow<py::array>(w);
      weights = static_cast<const double*>(values.data());
      weights_stride = values.strides(0) / 8;
    }

    Outcome add_to(drivers::Moments& moments) const noexcept {
      return single ? add_as<float>(moments) : add_as<double>(moments);
    }
    template <class T>
    Outcome add_as(drivers::Moments& moments) const noexcept {
      constexpr Size bytes = sizeof(T);
      return moments.update(drivers::Table<T>{
          static_cast<const T*>(data), {rows, cols, row_bytes / bytes, col_bytes / bytes}, weights, weights_stride});
    }
  };

  // The number of columns, which is d if there was no state before.
  static Size start(Owner& state, Size d) {
    if (!state) state = std::make_unique<drivers::Moments>(d, drivers::Want::covariance);
    return state->columns();
  }

  static void check_columns(Size got, Size had) {
    if (got != had)
      throw py::value_error("x has " + std::to_string(got) + " features, expected " + std::to_string(had));
  }

  template <class Make>
  static py::array with_type(bool single, Make&& make) {
    return single ? make(float{}) : make(double{});
  }

  template <class Make>
  py::array result(Make&& make) const {
    drivers::Doubles node;
    Outcome outcome;
    Size d = -1;
    look([&](const drivers::Moments& state) {
      d = state.columns();
      outcome = state.total(node);
    });
    if (d < 0) {
      d = 0;
      if (!node.allocate(8)) outcome = {Outcome::Status::no_memory};
    }
    raise_unless_ok(outcome);
    return make(CovarianceShape(d), node.data());
  }
};

}  // namespace

void add_moments_object(PyObject* module) {
  py::class_<MomentState>(module_of(module), "MomentState")
      .def(py::init<Size>())
      .def("n_features", &MomentState::n_features)
      .def("count", &MomentState::count)
      .def("weighted", &MomentState::weighted)
      .def("update", &MomentState::update)
      .def("remove", &MomentState::remove)
      .def("merge", &MomentState::merge)
      .def("mean", &MomentState::mean)
      .def("covariance", &MomentState::covariance)
      .def("save", &MomentState::save)
      .def("restore", &MomentState::restore);
}

}  // namespace mmlfast::bind
