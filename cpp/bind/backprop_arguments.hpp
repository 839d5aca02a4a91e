// Networks and samples as Python hands them over. mmlfast.neural_network checks them with messages for users; what is
// here is the guard of the memory.
#pragma once

#include <string>
#include <vector>

#include "bind/pybind.hpp"
#include "bind/tape_program_object.hpp"
#include "drivers/backprop.hpp"

namespace mmlfast::bind {

// What a network is besides its numbers.
struct NetworkSpec {
  std::vector<Size> sizes;
  std::vector<Activation> activations;
  std::vector<double> parameters;
  std::vector<const drivers::TapeProgram*> programs;
  Loss loss;
  double loss_parameter;
  const drivers::TapeProgram* loss_program;
  std::vector<py::object> kept;  // the programs

  NetworkSpec(const std::vector<Size>& sizes_in, const std::vector<int>& codes,
              const std::vector<double>& parameters_in, const py::tuple& programs_in, int loss_code,
              double loss_parameter_in, const py::object& loss_program_in)
      : sizes(sizes_in), parameters(parameters_in), loss_parameter(loss_parameter_in) {
    const std::size_t n = codes.size();
    if (n == 0 || sizes.size() != n + 1 || parameters.size() != n || programs_in.size() != n)
      throw py::value_error("sizes and activations do not fit together");
    for (const Size size : sizes)
      if (size < 1) throw py::value_error("sizes must be at least 1");
    if (loss_code < 0 || loss_code > static_cast<int>(Loss::own)) throw py::value_error("loss: unknown code");
    loss = static_cast<Loss>(loss_code);
    for (std::size_t l = 0; l < n; ++l) {
      if (codes[l] < 0 || codes[l] > static_cast<int>(Activation::own))
        throw py::value_error("activations: unknown code");
      activations.push_back(static_cast<Activation>(codes[l]));
      programs.push_back(program_of(programs_in[l], activations[l] == Activation::own, 1));
      if ((activations[l] == Activation::softmax) != (l + 1 == n && loss == Loss::cross_entropy))
        throw py::value_error("softmax is for the output and cross-entropy");
    }
    if (loss == Loss::binary_cross_entropy && activations.back() != Activation::logistic)
      throw py::value_error("binary cross-entropy is for logistic");
    loss_program = program_of(loss_program_in, loss == Loss::own, 2);
  }

 private:
  const drivers::TapeProgram* program_of(const py::handle& object, bool wanted, std::int32_t n_inputs) {
    const drivers::TapeProgram* program = object.is_none() ? nullptr : tape_program_of(object.ptr());
    if ((program != nullptr) != wanted) throw py::value_error("programs do not fit the activations and the loss");
    if (program == nullptr) return nullptr;
    const drivers::TapeLayout& layout = program->layout();
    if (layout.group_sizes.size() != 1 || layout.group_sizes[0] != n_inputs || layout.n_outputs != 2 ||
        layout.calls_python)
      throw py::value_error("a program must give a value and its derivative, and call nothing of Python");
    kept.push_back(py::reinterpret_borrow<py::object>(object));
    return program;
  }
};

// The data of an array that must already have this type and shape, C-contiguous and aligned.
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
T* writeable_data_of(const py::handle& object, const std::vector<Size>& shape, const char* name) {
  T* data = data_of<T>(object, shape, name);
  if (!PyArray_ISWRITEABLE(as_array(object.ptr()))) throw py::value_error(std::string(name) + ": read-only array");
  return data;
}

// One array per layer, of the shapes of weights and of biases.
template <class T>
struct LayerArrays {
  std::vector<T*> w, b;

  LayerArrays() = default;
  LayerArrays(const NetworkSpec& spec, const py::sequence& weights, const py::sequence& biases, bool written,
              const char* name) {
    const std::size_t n = spec.activations.size();
    if (weights.size() != n || biases.size() != n) throw py::value_error(std::string(name) + ": wrong number");
    const auto data = [written, name](const py::handle& a, const std::vector<Size>& shape) {
      return written ? writeable_data_of<T>(a, shape, name) : data_of<T>(a, shape, name);
    };
    for (std::size_t l = 0; l < n; ++l) {
      w.push_back(data(weights[l], {spec.sizes[l], spec.sizes[l + 1]}));
      b.push_back(data(biases[l], {spec.sizes[l + 1]}));
    }
  }
};

template <class T>
struct NetworkArguments {
  std::vector<T> parameters;
  LayerArrays<T> arrays;
  drivers::Network<T> network;

  // standardization: None, or (shift, scale).
  NetworkArguments(const NetworkSpec& spec, const py::sequence& weights, const py::sequence& biases,
                   const py::object& standardization, bool written = false)
      : parameters(spec.parameters.begin(), spec.parameters.end()), arrays(spec, weights, biases, written, "weights") {
    const T *shift = nullptr, *scale = nullptr;
    if (!standardization.is_none()) {
      const auto pair = py::cast<py::tuple>(standardization);
      if (pair.size() != 2) throw py::value_error("standardization must be (shift, scale)");
      shift = data_of<T>(pair[0], {spec.sizes.front()}, "shift");
      scale = data_of<T>(pair[1], {spec.sizes.front()}, "scale");
    }
    network = {static_cast<int>(spec.activations.size()),
               spec.sizes.data(),
               spec.activations.data(),
               parameters.data(),
               spec.programs.data(),
               spec.loss,
               static_cast<T>(spec.loss_parameter),
               spec.loss_program,
               arrays.w.data(),
               arrays.b.data(),
               shift,
               scale};
  }
};

template <class T>
struct SampleArguments {
  std::vector<std::int64_t> labels;
  drivers::Samples<T> samples{};

  // y: None for none; labels are int64 of one dimension.
  SampleArguments(const NetworkSpec& spec, const py::object& x, const py::object& y, const py::object& weights) {
    if (!PyArray_Check(x.ptr()) || PyArray_NDIM(as_array(x.ptr())) != 2) throw py::value_error("x: wrong shape");
    const Size n = PyArray_DIM(as_array(x.ptr()), 0);
    samples.n = n;
    if (PyArray_TYPE(as_array(x.ptr())) == NPY_UINT8)
      samples.bytes = data_of<std::uint8_t>(x, {n, spec.sizes.front()}, "x");
    else
      samples.x = data_of<T>(x, {n, spec.sizes.front()}, "x");
    if (!weights.is_none()) samples.weights = data_of<T>(weights, {n}, "sample_weight");
    if (y.is_none()) return;
    if (n < 1) throw py::value_error("x: no samples");
    if (!PyArray_Check(y.ptr())) throw py::type_error("y: not an array");
    if (spec.loss != Loss::cross_entropy || PyArray_NDIM(as_array(y.ptr())) != 1) {
      samples.y = data_of<T>(y, {n, spec.sizes.back()}, "y");
      return;
    }
    // A copy: another thread may write into y while this one computes, and a label is an index.
    const std::int64_t* given = data_of<std::int64_t>(y, {n}, "y");
    labels.assign(given, given + n);
    for (const std::int64_t label : labels)
      if (label < 0 || label >= spec.sizes.back()) throw py::value_error("y: label out of range");
    samples.labels = labels.data();
  }
};

inline bool is_single(const py::sequence& weights) {
  if (weights.size() == 0) throw py::value_error("weights: wrong number");
  const py::object first = weights[0];
  return PyArray_Check(first.ptr()) && PyArray_TYPE(as_array(first.ptr())) == NPY_FLOAT;
}

// network_fit, and what goes with it.
void register_network_fit(py::module_& module);

}  // namespace mmlfast::bind
