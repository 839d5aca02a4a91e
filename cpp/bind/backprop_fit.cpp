#include <chrono>
#include <cmath>
#include <optional>

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

void network_fit(const NetworkSpec& spec, const py::sequence& weights, const py::sequence& biases,
                 const py::tuple& samples, const py::object& standardization, const py::object& validation,
                 const py::dict& settings, const py::sequence& moments, const py::sequence& history,
                 const py::array& state, const py::array& progress, const py::object& report) {
  by_float_type(is_single(weights), [&](auto zero) {
    using T = decltype(zero);
    if (samples.size() != 3) throw py::value_error("samples must be (x, y, sample_weight)");
    const NetworkArguments<T> in(spec, weights, biases, standardization, true);
    const SampleArguments<T> given(spec, samples[0], samples[1], samples[2]);
    if (given.samples.y == nullptr && given.samples.labels == nullptr) throw py::value_error("samples: no y");
    TrainingArguments<T> t(spec, settings);
    t.set_moments(moments);
    t.training.losses = writeable_data_of<double>(history[0], {t.training.epochs}, "history");
    std::optional<SampleArguments<T>> held_out;
    if (!validation.is_none()) {
      const auto v = py::cast<py::tuple>(validation);
      if (v.size() != 3) throw py::value_error("validation must be (x, y, sample_weight)");
      held_out.emplace(spec, v[0], v[1], v[2]);
      set_validation(t, *held_out, history);
    }
    const bool needs_validation = t.training.stopping.monitor == Monitor::validation_loss ||
                                  t.training.stopping.monitor == Monitor::validation_score;
    if (needs_validation && (validation.is_none() || (t.training.stopping.monitor == Monitor::validation_score &&
                                                      t.validation.score == Score::none)))
      throw py::value_error("settings: nothing to monitor");
    // {epoch, steps, best, rate_factor, epochs_without_improvement}: the caller has it after an exception too.
    auto* kept = writeable_data_of<double>(state, {5}, "state");
    t.state = {static_cast<Size>(kept[0]), static_cast<Size>(kept[1]), kept[2], kept[3], static_cast<Size>(kept[4])};
    // {finished, diverged, best epoch, why it stopped}
    auto* told = writeable_data_of<std::int64_t>(progress, {4}, "progress");
    Reporter<T> reporter{report, t.training.epochs, t.each_epoch};
    if (!report.is_none()) {
      t.training.report = &Reporter<T>::report;
      t.training.report_context = &reporter;
      t.training.report_needs_weights = t.each_epoch;
    }
    const Outcome outcome = outcome_without_gil([&] { return drivers::fit<T>(in.network, given.samples, t.training); });
    kept[0] = static_cast<double>(t.state.epoch);
    kept[1] = static_cast<double>(t.state.steps);
    kept[2] = t.state.best;
    kept[3] = t.state.rate_factor;
    kept[4] = static_cast<double>(t.state.epochs_without_improvement);
    told[0] = t.finished;
    told[1] = t.diverged ? 1 : 0;
    told[2] = t.best_epoch;
    told[3] = static_cast<std::int64_t>(t.stopped);
    raise_unless_ok(outcome);
  });
}

}  // namespace

void register_network_fit(py::module_& module) { module.def("network_fit", &network_fit); }

}  // namespace mmlfast::bind
