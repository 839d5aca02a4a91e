#include "kernels/eigh_poles.hpp"

#include "kernels/common/fma.hpp"
#include "simd/vec.hpp"

namespace mmlfast::MMLFAST_LEVEL {
namespace {

using std::ptrdiff_t;

constexpr ptrdiff_t width = lanes<double>;
static_assert(width == pole_margin);

double size_of(double x) { return x < 0 ? -x : x; }
double root_of_size(double x) { return __builtin_sqrt(size_of(x)); }

// What is zero at a pole x: its distance, or that of the squares, from origin + tau.
template <Space space, class X>
MMLFAST_INLINE X distance(const X& x, const X& origin, const X& tau) {
  const X less = (x - origin) - tau;
  if constexpr (space == Space::values)
    return less;
  else
    return less * ((x + origin) + tau);
}

// The tau of a point that is so much further from the poles than origin + tau, or than its square; NaN beyond zero.
template <Space space>
double moved(double origin, double tau, double by) {
  if constexpr (space == Space::values) {
    return tau + by;
  } else {
    const double from = origin + tau;
    return tau + by / (from + __builtin_sqrt(fma(from, from, by)));
  }
}

struct Sums {
  double value, slope;
};

// Sums of z[i]^2 / distance and of z[i]^2 / distance^2: eight poles from `first` on, then eight `step` further on.
template <Space space>
MMLFAST_INLINE Sums sum_poles(const double* d, const double* z, double origin, double tau, ptrdiff_t first,
                              ptrdiff_t blocks, ptrdiff_t step) {
  const vec<double> from = broadcast<double>(origin), shift = broadcast<double>(tau);
  vec<double> value = zero<double>(), slope = zero<double>();
  for (ptrdiff_t i = first; blocks > 0; --blocks, i += step) {
    const vec<double> weight = load(z + i), quotient = weight / distance<space>(load(d + i), from, shift);
    value = fma(weight, quotient, value);
    slope = fma(quotient, quotient, slope);
  }
  return {reduce_add(value), reduce_add(slope)};
}

// The sum whose root is wanted, as poles up to j and poles behind it.
template <Space space>
struct Function {
  ptrdiff_t k, j;
  const double *d, *z;
  double inverse_rho;

  struct At {
    Sums before, behind;
    double value, error;
  };
  At at(double origin, double tau) const {
    At f;
    f.before = sum_poles<space>(d, z, origin, tau, j + 1 - width, (j + width) / width, -width);
    f.behind = sum_poles<space>(d, z, origin, tau, j + 1, (k - 1 - j + width - 1) / width, width);
    f.value = inverse_rho + f.before.value + f.behind.value;
    const double shift = size_of(space == Space::values ? tau : tau * (2 * origin + tau));
    f.error =
        0x1p-53 * (8 * (f.behind.value - f.before.value) + 2 * inverse_rho + shift * (f.before.slope + f.behind.slope));
    return f;
  }
  double to_pole(ptrdiff_t i, double origin, double tau) const { return distance<space>(d[i], origin, tau); }
};

// The root of c x^2 - a x + b that is wanted, without cancellation: the one of the smaller size between two poles, the
// larger one beyond the last.
double quadratic_root(double a, double b, double c, bool beyond) {
  const double root = root_of_size(fma(a, a, -4 * b * c));
  if (beyond) return a >= 0 ? (a + root) / (2 * c) : 2 * b / (a - root);
  return a <= 0 ? (a - root) / (2 * c) : 2 * b / (a + root);
}

// Of tau.
struct Bracket {
  double low, high;
  bool holds(double tau) const { return tau > low && tau < high; }
  double middle() const { return (low + high) / 2; }
};

// Where a function of two poles is zero that has the values and the slopes of the sums here, by so much further (Li's
// middle way); else by Newton's step.
template <Space space>
double step_from(const Function<space>& f, const typename Function<space>::At& at, double origin, double tau) {
  const bool beyond = f.j == f.k - 1;
  const ptrdiff_t left = beyond ? f.j - 1 : f.j, right = left + 1;
  const double to_left = f.to_pole(left, origin, tau), to_right = f.to_pole(right, origin, tau);
  double left_slope = at.before.slope, right_slope = at.behind.slope;
  if (beyond) {
    const double q = f.z[right] / to_right;
    right_slope = q * q;
    left_slope = at.before.slope - right_slope;
  }
  const double slope = left_slope + right_slope;
  double c = fnma(to_right, right_slope, fnma(to_left, left_slope, at.value));
  if (beyond && c < 0) c = -c;
  const double a = (to_left + to_right) * at.value - to_left * to_right * slope, b = to_left * to_right * at.value;
  const double step = c == 0 ? b / a : quadratic_root(a, b, c, beyond);
  return at.value * step < 0 ? step : -at.value / slope;
}

// The tau of the root in the bracket, from `tau` on: by such steps, and by halves where one leads out or gains little.
template <Space space>
double find_root(const Function<space>& f, double origin, double tau, Bracket in) {
  if (!in.holds(tau)) tau = in.middle();
  double last = __builtin_inf();
  for (int turn = 0; turn < 100; ++turn) {
    const auto at = f.at(origin, tau);
    const double size = size_of(at.value);
    if (!(size > at.error)) break;
    (at.value < 0 ? in.low : in.high) = tau;
    double next = moved<space>(origin, tau, step_from(f, at, origin, tau));
    if (!in.holds(next) || (turn > 8 && size > last / 4)) next = in.middle();
    last = size;
    if (!in.holds(next)) break;  // no number is between them
    const double step = size_of(next - tau);
    tau = next;
    if (step <= 0x1p-52 * size_of(tau)) break;
  }
  return tau;
}

// The nearer of the two poles is the origin: what is left of the distance to it then has all its digits.
struct Place {
  double origin, tau;
};

template <Space space>
Place place_of_root(const Function<space>& f, double rho) {
  const ptrdiff_t k = f.k, j = f.j;
  const double *const d = f.d, *const z = f.z;
  if (k == 1) return {d[0], moved<space>(d[0], 0, rho * z[0] * z[0])};
  const bool beyond = j == k - 1;
  double all = 0;
  if (beyond) {
    for (ptrdiff_t i = 0; i < k; ++i) all = fma(z[i], z[i], all);
    all *= rho;
  }
  const ptrdiff_t left = beyond ? j - 1 : j, right = left + 1;
  const double gap = distance<space>(d[right], d[left], 0.0), l = z[left] * z[left], r = z[right] * z[right];
  const double half = (beyond ? all : gap) / 2, middle = moved<space>(d[j], 0, half);
  const auto at = f.at(d[j], middle);
  if (beyond) {
    const double c = at.value + l / (gap + half) + r / half;  // of all other poles
    const double a = c * gap - l - r, root = root_of_size(fma(a, a, 4 * c * r * gap));
    const double guess = a < 0 ? (root - a) / (2 * c) : 2 * r * gap / (root + a);
    const Bracket in = at.value < 0 ? Bracket{middle, moved<space>(d[j], 0, all) * (1 + 0x1p-50)} : Bracket{0, middle};
    return {d[j], find_root(f, d[j], moved<space>(d[j], 0, guess), in)};
  }
  const double c = at.value + (l - r) / half;
  if (at.value >= 0) {
    const double guess = quadratic_root(c * gap + l + r, l * gap, c, false);
    return {d[j], find_root(f, d[j], moved<space>(d[j], 0, guess), Bracket{0, middle})};
  }
  const double a = c * gap - l - r, b = r * gap, root = root_of_size(fma(a, a, 4 * b * c));
  const double guess = a < 0 ? 2 * b / (a - root) : -(a + root) / (2 * c);
  return {d[right],
          find_root(f, d[right], moved<space>(d[right], 0, guess), Bracket{moved<space>(d[right], 0, -half), 0})};
}

template <Space space>
double root_in(ptrdiff_t k, ptrdiff_t j, const double* d, const double* z, double rho, double* difference) {
  const Place place = place_of_root(Function<space>{k, j, d, z, 1 / rho}, rho);
  const vec<double> origin = broadcast<double>(place.origin), tau = broadcast<double>(place.tau);
  for (ptrdiff_t i = 0; i < k; i += width) store(difference + i, distance<space>(load(d + i), origin, tau));
  return place.origin + place.tau;
}

double root_of_poles(Space space, ptrdiff_t k, ptrdiff_t j, const double* d, const double* z, double rho,
                     double* difference) {
  return space == Space::values ? root_in<Space::values>(k, j, d, z, rho, difference)
                                : root_in<Space::squares>(k, j, d, z, rho, difference);
}

template <Space space>
vec<double> product_of_ratios(ptrdiff_t k, ptrdiff_t first, const double* d, const double* differences,
                              ptrdiff_t stride) {
  const vec<double> here = load(d + first), none = zero<double>();
  vec<double> product = broadcast<double>(1.0);
  for (ptrdiff_t j = 0; j < k; ++j) {
    vec<double> gap = distance<space>(here, broadcast<double>(d[j]), none);
    if (j >= first && j < first + width) {
      alignas(vec_bytes) double gaps[width];
      store(gaps, gap);
      gaps[j - first] = 1;
      gap = load(gaps);
    }
    product = product * (load(differences + j * stride + first) / gap);
  }
  return product;
}

void weights(Space space, ptrdiff_t k, ptrdiff_t first, const double* d, const double* z, const double* differences,
             ptrdiff_t stride, double* weight) {
  alignas(vec_bytes) double products[width];
  store(products, space == Space::values ? product_of_ratios<Space::values>(k, first, d, differences, stride)
                                         : product_of_ratios<Space::squares>(k, first, d, differences, stride));
  for (ptrdiff_t i = 0; i < width && first + i < k; ++i) {
    const double size = root_of_size(products[i]);
    weight[first + i] = z[first + i] < 0 ? -size : size;
  }
}

// In place of the differences; returns one over the length.
double divide_weights(ptrdiff_t k, const double* weight, double* difference) {
  vec<double> square = zero<double>();
  for (ptrdiff_t i = 0; i < k; i += width) {
    const vec<double> x = load(weight + i) / load(difference + i);
    store(difference + i, x);
    square = fma(x, x, square);
  }
  return 1 / __builtin_sqrt(reduce_add(square));
}

template <class T>
void vector_of_root(ptrdiff_t k, const double* weight, double* difference, const std::int32_t* order, T* vector) {
  const double inverse = divide_weights(k, weight, difference);
  for (ptrdiff_t i = 0; i < k; ++i) vector[i] = static_cast<T>(difference[order[i]] * inverse);
}

template <class T>
void two_vectors(ptrdiff_t k, const double* d, const double* weight, double* difference, const std::int32_t* order,
                 T* left, T* right) {
  vector_of_root(k, weight, difference, order, right);
  double square = 1;
  difference[0] = -1;
  for (ptrdiff_t i = 1; i < k; ++i) {
    difference[i] *= d[i];
    square = fma(difference[i], difference[i], square);
  }
  const double inverse = 1 / __builtin_sqrt(square);
  for (ptrdiff_t i = 0; i < k; ++i) left[i] = static_cast<T>(difference[order[i]] * inverse);
}

}  // namespace

MMLFAST_DEFINE_TABLES(Poles, eigh_poles, root_of_poles, weights, vector_of_root<T>, two_vectors<T>)

}  // namespace mmlfast::MMLFAST_LEVEL
