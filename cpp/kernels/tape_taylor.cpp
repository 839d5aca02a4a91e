#include "kernels/tape_taylor.hpp"

#include "kernels/tape_taylor_matrices.hpp"
#include "kernels/tape_taylor_pairs.hpp"
#include "kernels/tape_taylor_sums.hpp"

namespace mmlfast::MMLFAST_LEVEL {
namespace taylor {
namespace {

// What is linear in its operands, or takes the coefficients of one of them.
bool linear(TapeOp op, const In& a, const In& b, const In& c, const Out& y) {
  switch (op) {
    case TapeOp::identity:
      y.set_degree(a.degree());
      copy(a, y);
      return true;
    case TapeOp::negative:
      y.set_degree(a.degree());
      for (int k = 0; k <= y.last; ++k) y.set(k, -a.get(k));
      return true;
    case TapeOp::add:
      y.set_degree(max(a.degree(), b.degree()));
      for (int k = 0; k <= y.last; ++k) y.set(k, a.get(k) + b.get(k));
      return true;
    case TapeOp::subtract:
      y.set_degree(max(a.degree(), b.degree()));
      for (int k = 0; k <= y.last; ++k) y.set(k, a.get(k) - b.get(k));
      return true;
    case TapeOp::select: {
      const mask<double> chosen = a[0].hi != zero<double>();
      y.set_degree(select(chosen, b.degree(), c.degree()));
      for (int k = 0; k <= y.last; ++k) y.set(k, select(chosen, b.get(k), c.get(k)));
      return true;
    }
    default:
      return false;
  }
}

bool product(TapeOp op, int aux, const In& a, const In& b, const In& c, const Out& y, Scratch& scratch) {
  switch (op) {
    case TapeOp::multiply:
      y.set_degree(a.degree() + b.degree());
      if (a.rows == b.rows)
        square(a, y);
      else
        multiply(a, b, y);
      return true;
    case TapeOp::multiply_add:
      y.set_degree(max(a.degree() + b.degree(), c.degree()));
      y.set(0, a[0] * b[0] + c[0]);
      for (int k = 1; k <= y.last; ++k) y.set(k, product_at(a, b, k) + c.get(k));
      return true;
    case TapeOp::integer_power:
      power_of_integer(a, aux, y, scratch);
      if (aux < 0 || any(is_constant(a))) keep_constant(is_constant(a), y);
      if (aux >= 0) y.set_degree(a.degree() * number(aux));
      return true;
    default:
      return false;
  }
}

// What is constant between its jumps: the value of it, false if op is another operation.
bool step(TapeOp op, const V& a, const V& b, V& y) {
  namespace f = tape_functions;
  switch (op) {
    case TapeOp::sign:
      y = f::Sign::of(a);
      return true;
    case TapeOp::floor:
      y = f::Floor::of(a);
      return true;
    case TapeOp::ceil:
      y = f::Ceil::of(a);
      return true;
    case TapeOp::trunc:
      y = f::Trunc::of(a);
      return true;
    case TapeOp::rint:
      y = f::Rint::of(a);
      return true;
    case TapeOp::logical_not:
      y = f::LogicalNot::of(a);
      return true;
    case TapeOp::less:
      y = f::Less::of(a, b);
      return true;
    case TapeOp::less_equal:
      y = f::LessEqual::of(a, b);
      return true;
    case TapeOp::equal:
      y = f::Equal::of(a, b);
      return true;
    case TapeOp::not_equal:
      y = f::NotEqual::of(a, b);
      return true;
    case TapeOp::logical_and:
      y = f::LogicalAnd::of(a, b);
      return true;
    case TapeOp::logical_or:
      y = f::LogicalOr::of(a, b);
      return true;
    default:
      return false;
  }
}

void exponential_or_logarithm(TapeOp op, const In& a, const Out& y, Scratch& scratch) {
  const V a_0 = a[0].hi;
  const C in_2 = of(0x1.62e42fefa39efp-1, 0x1.abc9e3b39803fp-56), one = of(1.0), per_2 = one / in_2,
          per_10 = one / of(0x1.26bb1bbb55516p+1, -0x1.f48ad494ea3e9p-53);
  switch (op) {
    case TapeOp::exp:
      y.set(0, exp(a_0));
      return exponential(a, y, scratch);
    case TapeOp::exp2:
      y.set(0, tape_functions::Exp2::of(a_0));
      return exponential(a, y, scratch, &in_2);
    case TapeOp::expm1:
      y.set(0, exp(a_0));
      exponential(a, y, scratch);
      return y.set(0, expm1(a_0));
    case TapeOp::log:
      return logarithm(a, a[0], log(a_0), y, scratch);
    case TapeOp::log2:
      return logarithm(a, a[0], tape_functions::Log2::of(a_0), y, scratch, &per_2);
    case TapeOp::log10:
      return logarithm(a, a[0], tape_functions::Log10::of(a_0), y, scratch, &per_10);
    default:
      return logarithm(a, a[0] + one, log1p(a_0), y, scratch);
  }
}

void inverse_function(TapeOp op, const In& a, const Out& y, Scratch& scratch) {
  const V a_0 = a[0].hi;
  switch (op) {
    case TapeOp::arcsin:
      y.set(0, asin(a_0));
      return arcsine(a, 1, y, scratch);
    case TapeOp::arccos:
      y.set(0, acos(a_0));
      return arcsine(a, -1, y, scratch);
    case TapeOp::arctan:
      y.set(0, atan(a_0));
      return scaled_inverse(op, a, y, scratch);
    case TapeOp::arcsinh:
      y.set(0, tape_functions::Arcsinh::of(a_0));
      return scaled_inverse(op, a, y, scratch);
    case TapeOp::arccosh:
      y.set(0, tape_functions::Arccosh::of(a_0));
      return scaled_inverse(op, a, y, scratch);
    default:
      y.set(0, tape_functions::Arctanh::of(a_0));
      return arctanh_series(a, y, scratch);
  }
}

// Functions of one operand with all derivatives.
bool function(TapeOp op, int aux, const In& a, const Out& y, Scratch& scratch) {
  const V a_0 = a[0].hi;
  switch (op) {
    case TapeOp::exp:
    case TapeOp::exp2:
    case TapeOp::expm1:
    case TapeOp::log:
    case TapeOp::log2:
    case TapeOp::log10:
    case TapeOp::log1p:
      exponential_or_logarithm(op, a, y, scratch);
      break;
    case TapeOp::sin:
    case TapeOp::cos:
    case TapeOp::sinh:
    case TapeOp::cosh:
      trigonometric(op, a, y, scratch);
      break;
    case TapeOp::tan:
      y.set(0, tan(a_0));
      tangent(a, of(1.0) + y[0] * y[0], 1, y, scratch);
      break;
    case TapeOp::tanh: {
      const C c = of(number(1) / cosh(a_0));
      y.set(0, tanh(a_0));
      tangent(a, c * c, -1, y, scratch);
      break;
    }
    case TapeOp::arcsin:
    case TapeOp::arccos:
    case TapeOp::arctan:
    case TapeOp::arcsinh:
    case TapeOp::arccosh:
    case TapeOp::arctanh:
      inverse_function(op, a, y, scratch);
      break;
    case TapeOp::erf:
      y.set(0, erf(a_0));
      error_function(a, 1, y, scratch);
      break;
    case TapeOp::erfc:
      y.set(0, erfc(a_0));
      error_function(a, -1, y, scratch);
      break;
    case TapeOp::gammaln:
      gamma_function(-1, a, y, scratch);
      break;
    case TapeOp::polygamma:
      gamma_function(aux, a, y, scratch);
      break;
    case TapeOp::expit:
      logistic_series(a, y, scratch);
      break;
    case TapeOp::softplus:
      softplus_series(a, y, scratch);
      break;
    default:
      return false;
  }
  keep_constant(is_constant(a), y);
  return true;
}

void pair(TapeOp op, const In& a, const In& b, const Out& y, Scratch& scratch) {
  switch (op) {
    case TapeOp::sqrt:
    case TapeOp::cbrt:
      root(a, op == TapeOp::cbrt, y, scratch);
      return;
    case TapeOp::absolute:
      return absolute(a, y);
    case TapeOp::divide:
    case TapeOp::divide_or_zero:
      return quotient(a, b, op == TapeOp::divide_or_zero, y, scratch);
    case TapeOp::power:
      return general_power(a, b, y, scratch);
    case TapeOp::arctan2:
      return angle(a, b, y, scratch);
    case TapeOp::maximum:
    case TapeOp::minimum:
      return larger(a, b, op == TapeOp::minimum, y);
    case TapeOp::logaddexp:
      return log_of_sum_series(a, b, y, scratch);
    case TapeOp::fmod:
      return remainder(a, b, y);
    case TapeOp::copysign:
      return copy_sign(a, b, y);
    default:
      return;
  }
}

void elementwise(TapeOp op, int aux, const TaylorOperand* abc, TaylorResult result, double* memory) {
  const int operands = tape_operands(op);
  const In a{abc[0].rows, abc[0].last}, b = operands > 1 ? In{abc[1].rows, abc[1].last} : a,
                                        c = operands > 2 ? In{abc[2].rows, abc[2].last} : a;
  const Out y{result.rows, result.last};
  Scratch scratch(memory);
  if (linear(op, a, b, c, y) || product(op, aux, a, b, c, y, scratch)) return;
  V value;
  if (step(op, a[0].hi, b[0].hi, value)) {
    y.set_degree(zero<double>());
    y.set(0, value);
    for (int k = 1; k <= y.last; ++k) y.set(k, zero<double>());
  } else if (!function(op, aux, a, y, scratch)) {
    pair(op, a, b, y, scratch);
  }
}

void reduce_terms(TapeOp op, int terms, bool across, const TaylorOperand* a, const TaylorOperand* b,
                  TaylorResult result, double* memory) {
  const Out y{result.rows, result.last};
  Scratch scratch(memory);
  const Terms all{a, terms, across};
  if (op == TapeOp::sum)
    sum_of(all, y, scratch);
  else if (op == TapeOp::dot)
    dot_of(all, b, y, scratch);
  else
    norm(all, y, scratch);
}

void solve_systems(int n, int m, const TaylorOperand* a, const TaylorOperand* b, const TaylorResult* x,
                   double* memory) {
  Scratch scratch(memory);
  solve(n, m, a, b, x, scratch);
}

void determinant_of(int n, const TaylorOperand* a, TaylorResult result, double* memory) {
  Scratch scratch(memory);
  determinant(n, a, {result.rows, result.last}, scratch);
}

}  // namespace
}  // namespace taylor

MMLFAST_DEFINE_TABLE(TapeTaylor, tape_taylor, taylor::elementwise, taylor::reduce_terms, taylor::solve_systems,
                     taylor::determinant_of)

}  // namespace mmlfast::MMLFAST_LEVEL
