#include <pybind11/stl.h>

#include "bind/backprop_arguments.hpp"
#include "bind/registers.hpp"

namespace mmlfast::bind {
namespace {

py::object network_forward(const NetworkSpec& spec, const py::sequence& weights, const py::sequence& biases,
                           const py::object& x, const py::object& standardization, bool finished) {
  return by_float_type(is_single(weights), [&](auto zero) -> py::object {
    using T = decltype(zero);
    const NetworkArguments<T> in(spec, weights, biases, standardization);
    const SampleArguments<T> given(spec, x, py::none(), py::none());
    py::array_t<T> out({given.samples.n, spec.sizes.back()});
    T* to = out.mutable_data();
    if (given.samples.n > 0)
      run_without_gil([&] { return drivers::forward<T>(in.network, given.samples, finished, to); });
    return out;
  });
}

double network_loss(const NetworkSpec& spec, const py::sequence& weights, const py::sequence& biases,
                    const py::object& x, const py::object& y, const py::object& sample_weight,
                    const py::object& standardization) {
  return by_float_type(is_single(weights), [&](auto zero) {
    using T = decltype(zero);
    const NetworkArguments<T> in(spec, weights, biases, standardization);
    const SampleArguments<T> given(spec, x, y, sample_weight);
    double mean = 0;
    run_without_gil([&] { return drivers::loss<T>(in.network, given.samples, mean); });
    return mean;
  });
}

// The loss, and (dw, db) of each layer.
py::object network_gradients(const NetworkSpec& spec, const py::sequence& weights, const py::sequence& biases,
                             const py::object& x, const py::object& y, const py::object& sample_weight,
                             const py::object& standardization) {
  return by_float_type(is_single(weights), [&](auto zero) -> py::object {
    using T = decltype(zero);
    const NetworkArguments<T> in(spec, weights, biases, standardization);
    const SampleArguments<T> given(spec, x, y, sample_weight);
    py::list out;
    std::vector<T*> dw, db;
    for (std::size_t l = 0; l < spec.activations.size(); ++l) {
      py::array_t<T> w({spec.sizes[l], spec.sizes[l + 1]}), b(spec.sizes[l + 1]);
      dw.push_back(w.mutable_data());
      db.push_back(b.mutable_data());
      out.append(py::make_tuple(w, b));
    }
    double mean = 0;
    run_without_gil([&] { return drivers::gradients<T>(in.network, given.samples, mean, dw.data(), db.data()); });
    return py::make_tuple(mean, out);
  });
}

}  // namespace

void register_backprop(PyObject* module) {
  py::module_ m = module_of(module);
  py::class_<NetworkSpec>(m, "NetworkSpec", "What a network is besides its numbers.")
      .def(py::init<const std::vector<Size>&, const std::vector<int>&, const std::vector<double>&, const py::tuple&,
                    int, double, const py::object&>());
  m.def("network_forward", &network_forward);
  m.def("network_loss", &network_loss);
  m.def("network_gradients", &network_gradients);
  register_network_fit(m);
}

}  // namespace mmlfast::bind
