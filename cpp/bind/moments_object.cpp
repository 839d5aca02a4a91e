// The state behind stats.Moments.
#include "bind/pybind.hpp"
#include "bind/registers.hpp"
#include "bind/row_state.hpp"
#include "drivers/covariance_moments.hpp"
#include "drivers/covariance_results.hpp"

namespace mmlfast::bind {
namespace {

class MomentState : public RowState<drivers::Moments> {
 public:
  using RowState::RowState;

  bool weighted() const {
    return look(false, [](const drivers::Moments& state) { return state.weighted(); });
  }

  void update(const py::array& x, const py::object& weights) { add(Rows(x, weights)); }
  void remove(const py::array& x, const py::object& weights) {
    take_out(Rows(x, weights),
             [](drivers::Moments& state, const drivers::Moments& leaving) { return state.remove(leaving); });
  }

  py::array mean(bool single) const {
    return result(single, [](auto zero, const CovarianceShape& shape, const double* node) -> py::array {
      py::array_t<decltype(zero)> r(shape.d);
      drivers::write_mean(shape, node, nullptr, r.mutable_data(), 1);
      return r;
    });
  }

  py::array covariance(double ddof, bool single) const {
    return result(single, [ddof](auto zero, const CovarianceShape& shape, const double* node) -> py::array {
      py::array_t<decltype(zero)> r({shape.d, shape.d});
      drivers::write_covariance(shape, node, nullptr, ddof, r.mutable_data(), {shape.d, shape.d, shape.d, 1});
      return r;
    });
  }

  // The mean and the sums of products about it, from one merge of the tree. For whole rows without weights.
  py::tuple mean_and_products() const {
    py::tuple both(2);
    result(false, [&](double, const CovarianceShape& shape, const double* node) -> py::array {
      py::array_t<double> mean(shape.d), products({shape.d, shape.d});
      drivers::write_mean(shape, node, nullptr, mean.mutable_data(), 1);
      drivers::write_covariance(shape, node, nullptr, node[0] - 1, products.mutable_data(),
                                {shape.d, shape.d, shape.d, 1});
      both[0] = mean;
      both[1] = products;
      return mean;
    });
    return both;
  }

 private:
  // make(T{}, shape, node) of the node of all rows: one of no columns if there is no state yet.
  template <class Make>
  py::array result(bool single, Make&& make) const {
    const CovarianceShape none(0);
    drivers::Numbers node = drivers::Numbers::zeros(none.node_size(true));
    Size d = 0;
    raise_unless_ok(look(node ? Outcome{} : Outcome{Outcome::Status::no_memory}, [&](const drivers::Moments& state) {
      d = state.columns();
      return state.total(node);
    }));
    return by_float_type(single, [&](auto zero) { return make(zero, CovarianceShape(d), node.data()); });
  }
};

}  // namespace

void add_moments_object(PyObject* module) {
  row_state_class<MomentState>(module, "MomentState")
      .def("weighted", &MomentState::weighted)
      .def("mean", &MomentState::mean)
      .def("covariance", &MomentState::covariance)
      .def("mean_and_products", &MomentState::mean_and_products);
}

}  // namespace mmlfast::bind
