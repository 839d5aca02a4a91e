#include "bind/gufunc.hpp"
#include "bind/registers.hpp"
#include "bind/row_groups.hpp"
#include "drivers/covariance.hpp"

namespace mmlfast::bind {
namespace {

// The tables of a call, and the weights of their rows if there are any.
template <class T>
struct Tables {
  Batch<const T> x;
  Batch<const double> weights{nullptr, 0, {0, 1, 1, 1}};

  Tables(GufuncFrame& f, bool weighted) noexcept : x(f.matrix<const T>(0, 1)) {
    if (weighted) weights = f.column<const double>(0);
  }
};

template <class T>
Outcome covariance(GufuncFrame& f, bool weighted) {
  const Tables<T> tables(f, weighted);
  const auto ddof = f.number<const double>();
  return drivers::covariance<T>(f.n_items(), tables.x, tables.weights, ddof, f.matrix<T>(1, 1));
}

template <class T>
Outcome correlation(GufuncFrame& f, bool weighted) {
  const Tables<T> tables(f, weighted);
  return drivers::correlation<T>(f.n_items(), tables.x, tables.weights, f.matrix<T>(1, 1));
}

template <class T>
Outcome variance(GufuncFrame& f, bool weighted, bool root) {
  const Tables<T> tables(f, weighted);
  const auto ddof = f.number<const double>();
  return drivers::variance<T>(f.n_items(), tables.x, tables.weights, ddof, root, f.column<T>(1));
}

template <class T>
Outcome mean(GufuncFrame& f, bool weighted) {
  const Tables<T> tables(f, weighted);
  return drivers::mean<T>(f.n_items(), tables.x, tables.weights, f.column<T>(1));
}

}  // namespace

void register_covariance(PyObject* m) {
  add_gufunc(m, {"covariance", "(n,d),()->(d,d)", nullptr},
             floats("td->t", []<class T>(GufuncFrame& f) { return covariance<T>(f, false); }));
  add_gufunc(m, {"weighted_covariance", "(n,d),(n),()->(d,d)", nullptr},
             floats("tdd->t", []<class T>(GufuncFrame& f) { return covariance<T>(f, true); }));
  add_gufunc(m, {"correlation", "(n,d)->(d,d)", nullptr},
             floats("t->t", []<class T>(GufuncFrame& f) { return correlation<T>(f, false); }));
  add_gufunc(m, {"weighted_correlation", "(n,d),(n)->(d,d)", nullptr},
             floats("td->t", []<class T>(GufuncFrame& f) { return correlation<T>(f, true); }));
  add_gufunc(m, {"variance", "(n,d),()->(d)", nullptr},
             floats("td->t", []<class T>(GufuncFrame& f) { return variance<T>(f, false, false); }));
  add_gufunc(m, {"weighted_variance", "(n,d),(n),()->(d)", nullptr},
             floats("tdd->t", []<class T>(GufuncFrame& f) { return variance<T>(f, true, false); }));
  add_gufunc(m, {"std", "(n,d),()->(d)", nullptr},
             floats("td->t", []<class T>(GufuncFrame& f) { return variance<T>(f, false, true); }));
  add_gufunc(m, {"weighted_std", "(n,d),(n),()->(d)", nullptr},
             floats("tdd->t", []<class T>(GufuncFrame& f) { return variance<T>(f, true, true); }));
  add_gufunc(m, {"mean", "(n,d)->(d)", nullptr},
             floats("t->t", []<class T>(GufuncFrame& f) { return mean<T>(f, false); }));
  add_gufunc(m, {"weighted_mean", "(n,d),(n)->(d)", nullptr},
             floats("td->t", []<class T>(GufuncFrame& f) { return mean<T>(f, true); }));
  const auto mapped = []<class T>(GufuncFrame& f) {
    const auto a = f.matrix<const T>(0, 1), c = f.matrix<const T>(1, 1);
    const auto answer = f.matrix<T>(0, 0);
    return drivers::affine_covariance(f.n_items(), a, c, answer, f.number<bool>());
  };
  const std::array loops{loop_of<double>('d', "tt->t?", mapped)};
  add_gufunc(m, {"affine_covariance", "(m,d),(d,d)->(m,m),()", nullptr}, loops);
  add_moments_object(m);
  add_row_groups(m);
}

}  // namespace mmlfast::bind
