#include <array>
#include <chrono>
#include <cmath>
#include <map>
#include <memory>

#include "bind/backprop_arguments.hpp"

namespace mmlfast::bind {
namespace {

using drivers::Monitor, drivers::Schedule, drivers::Score, drivers::Stopped;

constexpr std::chrono::milliseconds report_interval{500};

// Calls the Python function with number and loss of an epoch: after each, or at most every report_interval and after
// the first and the last. What it returns is true to stop.
template <class T>
struct Reporter {
  using Answer = typename drivers::Training<T>::Answer;
  py::object function;
  Size epochs;
  bool each_epoch;
  std::chrono::steady_clock::time_point last{};

  static Answer report(void* context, Size epoch, double loss) {
    auto* self = static_cast<Reporter*>(context);
    const auto now = std::chrono::steady_clock::now();
    if (!self->each_epoch && epoch != 0 && epoch + 1 != self->epochs && now - self->last < report_interval)
      return Answer::go_on;
    self->last = now;
    return with_gil([&] {
      PyObject* r = PyObject_CallFunction(self->function.ptr(), "Ld", static_cast<long long>(epoch), loss);
      const int stop = r == nullptr ? -1 : PyObject_IsTrue(r);
      Py_XDECREF(r);
      return stop < 0 ? Answer::failed : stop > 0 ? Answer::stop : Answer::go_on;
    });
  }
};

// What a training needs for as long as it runs.
template <class T>
struct TrainingArguments {
  const NetworkSpec& spec;
  std::vector<double> dropout, column_weights;
  LayerArrays<T> first, second;
  drivers::Validation<T> validation{};
  drivers::TrainingState state;
  drivers::Training<T> training{};
  Size finished = 0, best_epoch = -1;
  bool diverged = false, each_epoch = false;
  Stopped stopped = Stopped::after_all_epochs;

  TrainingArguments(const NetworkSpec& spec_in, const py::dict& settings) : spec(spec_in) {
    for (const auto& [key, value] : settings) set(py::cast<std::string>(key), value);
    const auto& t = training;
    const auto bad = [](const char* what) { throw py::value_error(std::string("settings: ") + what); };
    if (t.epochs < 0 || t.batch_size < 1) bad("epochs or batch_size out of range");
    if (t.rate.every < 1 || t.rate.epochs < 1) bad("a schedule without epochs");
    if (!dropout.empty() && dropout.size() + 1 != spec.activations.size()) bad("dropout: wrong number");
    for (const double p : dropout)
      if (!(p >= 0 && p < 1)) bad("dropout out of range");
    const drivers::Shifts& s = t.shifts;
    if (s.most != 0 && (s.most < 0 || s.height <= s.most || s.width <= s.most || s.channels < 1 ||
                        s.height * s.width * s.channels != spec.sizes.front()))
      bad("shifts do not fit the inputs");
    training.dropout = dropout.empty() ? nullptr : dropout.data();
    training.state = &state;
    training.finished = &finished;
    training.diverged = &diverged;
    training.best_epoch = &best_epoch;
    training.stopped = &stopped;
  }

  void set_moments(const py::sequence& moments) {
    const auto optimizer = training.optimizer;
    const std::size_t wanted = optimizer == Optimizer::gradient_descent ? 0 : optimizer == Optimizer::adam ? 4 : 2;
    if (moments.size() != wanted) throw py::value_error("moments: wrong number");
    if (wanted > 0) {
      first = LayerArrays<T>(spec, moments[0], moments[1], true, "moments");
      training.w_first = first.w.data();
      training.b_first = first.b.data();
    }
    if (wanted > 2) {
      second = LayerArrays<T>(spec, moments[2], moments[3], true, "moments");
      training.w_second = second.w.data();
      training.b_second = second.b.data();
    }
  }

 private:
  template <class E>
  static E code(const py::handle& value, E last) {
    const int n = py::cast<int>(value);
    if (n < 0 || n > static_cast<int>(last)) throw py::value_error("settings: unknown code");
    return static_cast<E>(n);
  }
  static std::vector<double> numbers(const py::handle& value) {
    std::vector<double> r;
    for (const py::handle& x : py::cast<py::sequence>(value)) r.push_back(py::cast<double>(x));
    return r;
  }

  void set(const std::string& key, const py::handle& value) {
    const auto number = [&] { return py::cast<double>(value); };
    const auto size = [&] { return py::cast<Size>(value); };
    auto& t = training;
    if (key == "epochs")
      t.epochs = size();
    else if (key == "batch_size")
      t.batch_size = size();
    else if (key == "learning_rate")
      t.rate.peak = number();
    else if (key == "momentum")
      t.momentum = number();
    else if (key == "shuffle")
      t.shuffle = py::cast<bool>(value);
    else if (key == "seed")
      t.seed = py::cast<std::uint64_t>(value);
    else if (key == "optimizer")
      t.optimizer = code(value, Optimizer::adam);
    else if (key == "beta1")
      t.beta1 = number();
    else if (key == "beta2")
      t.beta2 = number();
    else if (key == "epsilon")
      t.epsilon = number();
    else if (key == "weight_decay")
      t.weight_decay = number();
    else if (key == "penalty")
      t.penalty = number();
    else if (key == "clip_norm")
      t.clip_norm = number();
    else if (key == "label_smoothing")
      t.smoothing = static_cast<T>(number());
    else if (key == "dropout")
      dropout = numbers(value);
    else if (!set_schedule(key, value) && !set_stopping(key, value))
      throw py::value_error("settings: unknown key " + key);
  }

  bool set_schedule(const std::string& key, const py::handle& value) {
    auto& t = training;
    const auto size = [&] { return py::cast<Size>(value); };
    if (key == "schedule")
      t.rate.schedule = code(value, Schedule::adaptive);
    else if (key == "schedule_first_epoch")
      t.rate.first_epoch = size();
    else if (key == "schedule_epochs")
      t.rate.epochs = size();
    else if (key == "schedule_every")
      t.rate.every = size();
    else if (key == "schedule_factor")
      t.rate.factor = py::cast<double>(value);
    else if (key == "schedule_power")
      t.rate.power = py::cast<double>(value);
    else if (key == "shifts") {
      const auto s = py::cast<py::tuple>(value);
      if (s.size() != 4) throw py::value_error("settings: shifts must be (height, width, channels, most)");
      t.shifts = {py::cast<Size>(s[0]), py::cast<Size>(s[1]), py::cast<Size>(s[2]), py::cast<Size>(s[3])};
    } else
      return false;
    return true;
  }

  bool set_stopping(const std::string& key, const py::handle& value) {
    auto& t = training;
    if (key == "monitor")
      t.stopping.monitor = code(value, Monitor::validation_score);
    else if (key == "keep_best")
      t.stopping.keep_best = py::cast<bool>(value);
    else if (key == "patience")
      t.stopping.patience = py::cast<Size>(value);
    else if (key == "tolerance")
      t.stopping.tolerance = py::cast<double>(value);
    else if (key == "max_seconds")
      t.stopping.seconds = py::cast<double>(value);
    else if (key == "score")
      validation.score = code(value, Score::r2);
    else if (key == "score_column_weights")
      column_weights = numbers(value);
    else if (key == "report_each_epoch")
      each_epoch = py::cast<bool>(value);
    else
      return false;
    return true;
  }
};

// Samples that several networks are given as the same arrays are read once.
template <class T>
class SampleCache {
 public:
  std::shared_ptr<const SampleArguments<T>> of(const NetworkSpec& spec, const py::object& samples, const char* name) {
    const auto parts = py::cast<py::tuple>(samples);
    if (parts.size() != 3) throw py::value_error(std::string(name) + " must be (x, y, sample_weight)");
    auto& found = known_[{parts[0].ptr(), parts[1].ptr(), parts[2].ptr()}];
    if (found == nullptr) found = std::make_shared<const SampleArguments<T>>(spec, parts[0], parts[1], parts[2]);
    return found;
  }

 private:
  std::map<std::array<const PyObject*, 3>, std::shared_ptr<const SampleArguments<T>>> known_;
};

template <class T>
void set_validation(TrainingArguments<T>& t, const SampleArguments<T>& given, const py::sequence& history) {
  const auto& spec = t.spec;
  const auto& samples = given.samples;
  const Size epochs = t.training.epochs;
  if (samples.y == nullptr && samples.labels == nullptr) throw py::value_error("validation: no y");
  auto& v = t.validation;
  v.samples = samples;
  v.losses = writeable_data_of<double>(history[1], {epochs}, "history");
  if (v.score != Score::none) v.scores = writeable_data_of<double>(history[2], {epochs}, "history");
  if (v.score == Score::r2 &&
      (samples.y == nullptr || t.column_weights.size() != static_cast<std::size_t>(spec.sizes.back())))
    throw py::value_error("validation: no weights of the columns for r2");
  v.column_weights = t.column_weights.data();
  t.training.validation = &v;
}

// All that a call of fit() is given: the arrays, checked, and where its results go.
template <class T>
struct FitArguments {
  NetworkArguments<T> in;
  std::shared_ptr<const SampleArguments<T>> given, held_out;
  TrainingArguments<T> t;
  // epoch, steps, best, rate_factor, epochs_without_improvement: the caller has it after an exception too.
  py::list kept;
  // Filled with: finished, diverged, best epoch, why it stopped.
  py::list told;

  FitArguments(const NetworkSpec& spec, const py::sequence& weights, const py::sequence& biases,
               const py::object& samples, const py::object& standardization, const py::object& validation,
               const py::dict& settings, const py::sequence& moments, const py::sequence& history,
               const py::list& state, const py::list& progress, SampleCache<T>& cache)
      : in(spec, weights, biases, standardization, true),
        given(cache.of(spec, samples, "samples")),
        t(spec, settings),
        kept(state),
        told(progress) {
    if (kept.size() != 5) throw py::value_error("state: wrong number");
    if (told.size() != 0) throw py::value_error("progress: not empty");
    if (given->samples.y == nullptr && given->samples.labels == nullptr) throw py::value_error("samples: no y");
    t.set_moments(moments);
    t.training.losses = writeable_data_of<double>(history[0], {t.training.epochs}, "history");
    if (!validation.is_none()) {
      held_out = cache.of(spec, validation, "validation");
      set_validation(t, *held_out, history);
    }
    const bool needs_validation = t.training.stopping.monitor == Monitor::validation_loss ||
                                  t.training.stopping.monitor == Monitor::validation_score;
    if (needs_validation && (validation.is_none() || (t.training.stopping.monitor == Monitor::validation_score &&
                                                      t.validation.score == Score::none)))
      throw py::value_error("settings: nothing to monitor");
    const auto number = [this](int i) { return py::cast<double>(kept[static_cast<std::size_t>(i)]); };
    t.state = {static_cast<Size>(number(0)), static_cast<Size>(number(1)), number(2), number(3),
               static_cast<Size>(number(4))};
  }
  FitArguments(const FitArguments&) = delete;

  void tell() {
    kept[0] = t.state.epoch;
    kept[1] = t.state.steps;
    kept[2] = t.state.best;
    kept[3] = t.state.rate_factor;
    kept[4] = t.state.epochs_without_improvement;
    told.append(t.finished);
    told.append(t.diverged);
    told.append(t.best_epoch);
    told.append(static_cast<int>(t.stopped));
  }
};

void network_fit(const NetworkSpec& spec, const py::sequence& weights, const py::sequence& biases,
                 const py::tuple& samples, const py::object& standardization, const py::object& validation,
                 const py::dict& settings, const py::sequence& moments, const py::sequence& history,
                 const py::list& state, const py::list& progress, const py::object& report) {
  by_float_type(is_single(weights), [&](auto zero) {
    using T = decltype(zero);
    SampleCache<T> cache;
    FitArguments<T> a(spec, weights, biases, samples, standardization, validation, settings, moments, history, state,
                      progress, cache);
    Reporter<T> reporter{report, a.t.training.epochs, a.t.each_epoch};
    if (!report.is_none()) {
      a.t.training.report = &Reporter<T>::report;
      a.t.training.report_context = &reporter;
      a.t.training.report_needs_weights = a.t.each_epoch;
    }
    const Outcome outcome =
        outcome_without_gil([&] { return drivers::fit<T>(a.in.network, a.given->samples, a.t.training); });
    a.tell();
    raise_unless_ok(outcome);
  });
}

// Copies of arrays that a training may change, in lists like the given ones: (weights, biases, [moments ...]), where
// `moments` holds for each kind None, for zeros, or (list, list). None if an array is not as compiled code wants it.
py::object training_copies(const NetworkSpec& spec, const py::dtype& dtype, const py::list& weights,
                           const py::list& biases, const py::list& moments) {
  const std::size_t n = spec.activations.size();
  const auto copied = [&](const py::list* from, bool is_bias) -> py::object {
    if (from != nullptr && from->size() != n) return py::none();
    py::list to(n);
    for (std::size_t l = 0; l < n; ++l) {
      npy_intp shape[] = {spec.sizes[l + (is_bias ? 1 : 0)], spec.sizes[l + 1]};
      PyObject* array = nullptr;
      if (from == nullptr) {
        Py_INCREF(dtype.ptr());
        array = PyArray_Zeros(is_bias ? 1 : 2, shape, reinterpret_cast<PyArray_Descr*>(dtype.ptr()), 0);
      } else {
        PyObject* given = PyList_GET_ITEM(from->ptr(), static_cast<Py_ssize_t>(l));
        if (!PyArray_CheckExact(given)) return py::none();
        auto* a = as_array(given);
        if (PyArray_TYPE(a) != reinterpret_cast<PyArray_Descr*>(dtype.ptr())->type_num || !PyArray_ISCARRAY_RO(a) ||
            PyArray_NDIM(a) != (is_bias ? 1 : 2) || !PyArray_CompareLists(PyArray_DIMS(a), shape, PyArray_NDIM(a)))
          return py::none();
        array = PyArray_NewCopy(a, NPY_CORDER);
      }
      if (array == nullptr) throw py::error_already_set();
      PyList_SET_ITEM(to.ptr(), static_cast<Py_ssize_t>(l), array);
    }
    return to;
  };
  py::list state;
  for (const py::handle& kind : moments) {
    if (kind.is_none()) {
      state.append(copied(nullptr, false));
      state.append(copied(nullptr, true));
      continue;
    }
    const auto pair = py::cast<py::tuple>(kind);
    if (pair.size() != 2) throw py::value_error("moments: wrong number");
    for (const bool is_bias : {false, true}) {
      const auto given = py::cast<py::list>(pair[is_bias ? 1 : 0]);
      py::object copy = copied(&given, is_bias);
      if (copy.is_none()) return copy;
      state.append(copy);
    }
  }
  py::object w = copied(&weights, false), b = copied(&biases, true);
  if (w.is_none() || b.is_none()) return py::none();
  return py::make_tuple(w, b, state);
}

// members: the arguments of network_fit but for the last, a tuple of each, of networks of one spec. Returns which of
// them were trained; the others are left as they are, to network_fit. After Ctrl-C `done` says it.
void network_fit_many(const NetworkSpec& spec, const py::sequence& members, const py::array& done) {
  if (members.size() == 0) return;
  const Size n = static_cast<Size>(members.size());
  bool* told = writeable_data_of<bool>(done, {n}, "done");
  by_float_type(is_single(py::cast<py::tuple>(members[0])[0]), [&](auto zero) {
    using T = decltype(zero);
    SampleCache<T> cache;
    std::vector<std::unique_ptr<FitArguments<T>>> arguments;
    std::vector<drivers::Member<T>> trainings;
    for (const py::handle& member : members) {
      const auto m = py::cast<py::tuple>(member);
      if (m.size() != 10) throw py::value_error("a member must have 10 arguments");
      arguments.push_back(
          std::make_unique<FitArguments<T>>(spec, m[0], m[1], m[2], m[3], m[4], m[5], m[6], m[7], m[8], m[9], cache));
      FitArguments<T>& a = *arguments.back();
      trainings.push_back({&a.in.network, &a.given->samples, &a.t.training});
    }
    const Outcome outcome = outcome_without_gil([&] { return drivers::fit_many<T>(trainings.data(), n, told); });
    for (Size i = 0; i < n; ++i)
      if (told[i]) arguments[static_cast<std::size_t>(i)]->tell();
    raise_unless_ok(outcome);
  });
}

}  // namespace

void register_network_fit(py::module_& module) {
  module.def("network_fit", &network_fit);
  module.def("network_fit_many", &network_fit_many);
  module.def("training_copies", &training_copies);
}

}  // namespace mmlfast::bind
