#include <chrono>
#include <string>
#include <vector>

#include "bind/pybind.hpp"
#include "bind/registers.hpp"
#include "drivers/backprop.hpp"

namespace mmlfast::bind {
namespace {

constexpr std::chrono::milliseconds report_interval{500};

// The data of an array that must already have this type and shape, C-contiguous and aligned. mmlfast.neural_network
// sees to it with messages for users; this is the guard of the memory.
template <class T>
T* data_of(const py::handle& object, const std::vector<Size>& shape, const char* name) {
  if (!PyArray_Check(object.ptr())) throw py::type_error(std::string(name) + ": not an array");
  auto* a = as_array(object.ptr());
  if (PyArray_TYPE(a) != py::dtype::of<T>().num()) throw py::type_error(std::string(name) + ": wrong dtype");
  if (!PyArray_ISCARRAY_RO(a)) throw py::value_error(std::string(name) + ": not C-contiguous");
  bool same = PyArray_NDIM(a) == static_cast<int>(shape.size());
  for (int i = 0; same && i < PyArray_NDIM(a); ++i) same = PyArray_DIM(a, i) == shape[static_cast<std::size_t>(i)];
  if (!same) throw py::value_error(std::string(name) + ": wrong shape");
  return static_cast<T*>(PyArray_DATA(a));
}

template <class T>
struct Arguments {
  std::vector<Size> sizes;
  std::vector<Activation> activations;
  std::vector<T*> w, b;
  drivers::Network<T> network;
  std::vector<std::int64_t> labels;
  drivers::Samples<T> samples{};

  Arguments(const py::tuple& sizes_in, const py::tuple& activations_in, const py::list& weights,
            const py::list& biases) {
    for (const py::handle& size : sizes_in) sizes.push_back(py::cast<Size>(size));
    for (const py::handle& code : activations_in) {
      const int a = py::cast<int>(code);
      const bool last = activations.size() + 1 == activations_in.size();
      if (a < 0 || a > static_cast<int>(last ? Activation::softmax : Activation::relu))
        throw py::value_error("activations: unknown code");
      activations.push_back(static_cast<Activation>(a));
    }
    const std::size_t n = activations.size();
    if (n == 0 || sizes.size() != n + 1 || weights.size() != n || biases.size() != n)
      throw py::value_error("sizes, activations, weights and biases do not fit together");
    for (const Size size : sizes) {
      if (size < 1) throw py::value_error("sizes must be at least 1");
    }
    for (std::size_t l = 0; l < n; ++l) {
      w.push_back(data_of<T>(weights[l], {sizes[l], sizes[l + 1]}, "weights"));
      b.push_back(data_of<T>(biases[l], {sizes[l + 1]}, "biases"));
    }
    network = {static_cast<int>(n), sizes.data(), activations.data(), w.data(), b.data()};
  }

  void set_samples(const py::array& x, const py::object& y) {
    if (x.ndim() != 2) throw py::value_error("x: wrong shape");
    samples.n = x.shape(0);
    samples.x = data_of<T>(x, {samples.n, sizes.front()}, "x");
    if (y.is_none()) return;
    if (samples.n < 1) throw py::value_error("x: no samples");
    if (activations.back() != Activation::softmax) {
      samples.y = data_of<T>(y, {samples.n, sizes.back()}, "y");
      return;
    }
    // A copy: another thread may write into y while this one computes, and a label is an index.
    const std::int64_t* given = data_of<std::int64_t>(y, {samples.n}, "y");
    labels.assign(given, given + samples.n);
    for (const std::int64_t label : labels) {
      if (label < 0 || label >= sizes.back()) throw py::value_error("y: label out of range");
    }
    samples.labels = labels.data();
  }
};

py::object network_forward(const py::tuple& sizes, const py::tuple& activations, const py::list& weights,
                           const py::list& biases, const py::array& x) {
  return by_float_type(x, [&](auto zero) -> py::object {
    using T = decltype(zero);
    Arguments<T> in(sizes, activations, weights, biases);
    in.set_samples(x, py::none());
    py::array_t<T> out({in.samples.n, in.sizes.back()});
    T* to = out.mutable_data();
    if (in.samples.n > 0) run_without_gil([&] { return drivers::forward<T>(in.network, in.samples, to); });
    return out;
  });
}

double network_loss(const py::tuple& sizes, const py::tuple& activations, const py::list& weights,
                    const py::list& biases, const py::array& x, const py::array& y) {
  return by_float_type(x, [&](auto zero) {
    using T = decltype(zero);
    Arguments<T> in(sizes, activations, weights, biases);
    in.set_samples(x, y);
    double mean = 0;
    run_without_gil([&] { return drivers::loss<T>(in.network, in.samples, mean); });
    return mean;
  });
}

py::object network_gradients(const py::tuple& sizes, const py::tuple& activations, const py::list& weights,
                             const py::list& biases, const py::array& x, const py::array& y) {
  return by_float_type(x, [&](auto zero) -> py::object {
    using T = decltype(zero);
    Arguments<T> in(sizes, activations, weights, biases);
    in.set_samples(x, y);
    py::list out;
    std::vector<T*> dw, db;
    for (std::size_t l = 0; l < in.activations.size(); ++l) {
      py::array_t<T> w({in.sizes[l], in.sizes[l + 1]}), b(in.sizes[l + 1]);
      dw.push_back(w.mutable_data());
      db.push_back(b.mutable_data());
      out.append(py::make_tuple(w, b));
    }
    run_without_gil([&] { return drivers::gradients<T>(in.network, in.samples, dw.data(), db.data()); });
    return out;
  });
}

// Calls the Python function at most every report_interval, and after the first and the last epoch.
struct Reporter {
  py::object function;
  Size epochs;
  std::chrono::steady_clock::time_point last{};

  static bool report(void* context, Size epoch, double loss) {
    auto* self = static_cast<Reporter*>(context);
    const auto now = std::chrono::steady_clock::now();
    if (epoch != 0 && epoch + 1 != self->epochs && now - self->last < report_interval) return true;
    self->last = now;
    return with_gil([&] {
      PyObject* r = PyObject_CallFunction(self->function.ptr(), "Ld", static_cast<long long>(epoch), loss);
      Py_XDECREF(r);
      return r != nullptr;
    });
  }
};

py::object network_fit(const py::tuple& sizes, const py::tuple& activations, const py::list& weights,
                       const py::list& biases, const py::array& x, const py::array& y, Size epochs, Size batch_size,
                       double learning_rate, double momentum, bool shuffle, std::uint64_t seed,
                       const py::object& report, Size first_epoch, const py::list& w_velocity,
                       const py::list& b_velocity, const py::array& progress) {
  return by_float_type(x, [&](auto zero) -> py::object {
    using T = decltype(zero);
    Arguments<T> in(sizes, activations, weights, biases);
    in.set_samples(x, y);
    for (const py::list& list : {weights, biases, w_velocity, b_velocity}) {
      for (const py::handle& a : list) {
        if (!PyArray_ISWRITEABLE(as_array(a.ptr()))) throw py::value_error("read-only array");
      }
    }
    if (epochs < 0 || batch_size < 1 || first_epoch < 0) throw py::value_error("epochs or batch_size out of range");
    std::vector<T*> w_speed, b_speed;
    if (!w_velocity.empty()) {
      if (w_velocity.size() != in.w.size() || b_velocity.size() != in.w.size())
        throw py::value_error("velocities: wrong number");
      for (std::size_t l = 0; l < in.w.size(); ++l) {
        w_speed.push_back(data_of<T>(w_velocity[l], {in.sizes[l], in.sizes[l + 1]}, "velocities"));
        b_speed.push_back(data_of<T>(b_velocity[l], {in.sizes[l + 1]}, "velocities"));
      }
    }
    // {finished, diverged}: the caller has them after an exception too.
    auto* told = const_cast<std::int64_t*>(data_of<std::int64_t>(progress, {2}, "progress"));
    py::array_t<double> losses(epochs);
    Reporter reporter{report, epochs};
    Size finished = 0;
    bool diverged = false;
    const drivers::Training<T> training{epochs,
                                        batch_size,
                                        static_cast<T>(learning_rate),
                                        static_cast<T>(momentum),
                                        shuffle,
                                        seed,
                                        losses.mutable_data(),
                                        first_epoch,
                                        w_speed.empty() ? nullptr : w_speed.data(),
                                        b_speed.empty() ? nullptr : b_speed.data(),
                                        &finished,
                                        &diverged,
                                        report.is_none() ? nullptr : &Reporter::report,
                                        &reporter};
    const Outcome outcome = outcome_without_gil([&] { return drivers::fit<T>(in.network, in.samples, training); });
    told[0] = finished;
    told[1] = diverged ? 1 : 0;
    raise_unless_ok(outcome);
    return losses;
  });
}

}  // namespace

void register_backprop(PyObject* module) {
  py::module_ m = module_of(module);
  m.def("network_forward", &network_forward);
  m.def("network_loss", &network_loss);
  m.def("network_gradients", &network_gradients);
  m.def("network_fit", &network_fit);
}

}  // namespace mmlfast::bind
