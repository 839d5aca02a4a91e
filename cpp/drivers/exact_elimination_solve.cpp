// Equations with integer coefficients: what refinement in floating point cannot prove is solved by residues.
#include "drivers/exact_elimination.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <new>
#include <vector>

#include "drivers/common/lane_batch.hpp"
#include "drivers/elimination.hpp"
#include "drivers/exact_elimination_large.hpp"
#include "drivers/exact_elimination_parts.hpp"
#include "drivers/exact_elimination_refine.hpp"
#include "drivers/matmul.hpp"
#include "kernels/elimination.hpp"
#include "runtime/interrupt.hpp"

namespace mmlfast::drivers {
namespace {

// N / d of two integers that are known by their residues, to 2^-60.
DoubleDouble quotient(const Rounded& numerator, const Rounded& denominator) noexcept {
  if (numerator.sign == 0) return {};
  const double q = numerator.fraction / denominator.fraction;
  const DoubleDouble back = product(Factor(q), Factor(denominator.fraction));
  const double rest = ((numerator.fraction - back.high) - back.low) + (numerator.rest - q * denominator.rest);
  const DoubleDouble sum = DoubleDouble::of_ordered(q, rest / denominator.fraction);
  const int exponent = static_cast<int>(std::clamp<Size>(numerator.exponent - denominator.exponent, -5000, 5000));
  const double sign = numerator.sign * denominator.sign;
  return {sign * std::ldexp(sum.high, exponent), sign * std::ldexp(sum.low, exponent)};
}

// Right-hand sides of the three kinds. at: the number itself; columns and entry: as integers, that of column c of the
// numbers being the sum of integer columns c * parts .. with units that `join` knows.
struct IdentityRight {
  static constexpr Size parts = 1;
  Size columns;

  double largest(Size, Size) const noexcept { return 1; }
  bool whole(Size, Size) const noexcept { return true; }
  DoubleDouble at(Size, Size r, Size c) const noexcept { return {r == c ? 1.0 : 0.0, 0}; }
  IntegerEntry entry(Size, Size r, Size c) const noexcept { return IntegerEntry(std::int64_t{r == c}); }
  double join(Size, Size, const DoubleDouble* x) const noexcept { return x->high; }
};

template <class J>
J number_of(const Batch<const J>& b, Size i, Size r, Size c) noexcept {
  return load(b.item(i) + r * b.layout.row_stride + c * b.layout.col_stride);
}

template <class J>
struct IntegerRight {
  static constexpr Size parts = 1;
  const Batch<const J>& b;
  Size columns = b.layout.cols;

  double largest(Size i, Size c) const noexcept {
    double most = 0;
    for (Size r = 0; r < b.layout.rows; ++r)
      most = std::max(most, std::fabs(static_cast<double>(number_of(b, i, r, c))));
    return most;
  }
  bool whole(Size, Size) const noexcept { return true; }
  DoubleDouble at(Size i, Size r, Size c) const noexcept {
    const IntegerEntry x(number_of(b, i, r, c));
    return {x.value, x.fits ? 0 : x.rest()};
  }
  IntegerEntry entry(Size i, Size r, Size c) const noexcept { return IntegerEntry(number_of(b, i, r, c)); }
  double join(Size, Size, const DoubleDouble* x) const noexcept { return x->high; }
};

// Floating point: 124 bits of each column in two columns of integers.
template <>
struct IntegerRight<double> {
  static constexpr Size parts = 2;
  const Batch<const double>& b;
  Size columns = b.layout.cols;

  // Infinite unless all are integers.
  double largest(Size i, Size c) const noexcept {
    double most = 0;
    for (Size r = 0; r < b.layout.rows; ++r) {
      const double x = std::fabs(number_of(b, i, r, c));
      if (!(x <= 0x1p53) || std::nearbyint(x) != x) return std::numeric_limits<double>::infinity();
      most = std::max(most, x);
    }
    return most;
  }
  bool whole(Size i, Size c) const noexcept { return std::isfinite(largest(i, c)); }
  DoubleDouble at(Size i, Size r, Size c) const noexcept { return {number_of(b, i, r, c), 0}; }
  IntegerEntry entry(Size i, Size r, Size part) const noexcept {
    const double x = std::ldexp(number_of(b, i, r, part / 2), -unit(i, part / 2));
    if (!std::isfinite(x)) return {};
    const double whole = std::trunc(x);
    return IntegerEntry(static_cast<std::int64_t>(part % 2 == 0 ? whole : std::ldexp(x - whole, 62)));
  }
  double join(Size i, Size c, const DoubleDouble* x) const noexcept {
    for (Size r = 0; r < b.layout.rows; ++r)
      if (!std::isfinite(number_of(b, i, r, c))) return std::numeric_limits<double>::quiet_NaN();
    const double low = std::ldexp(x[1].high, -62);
    return std::ldexp((x[0] + low).high, unit(i, c));
  }

 private:
  int unit(Size i, Size c) const noexcept {
    double most = 0;
    for (Size r = 0; r < b.layout.rows; ++r) most = std::max(most, std::fabs(number_of(b, i, r, c)));
    return most > 0 && std::isfinite(most) ? std::ilogb(most) - 61 : 0;
  }
};

// x of one item from the reduced row echelon form of [a, b], some columns at a time. `singular` is certain.
template <class I, class Right, class Put>
Outcome solve_by_residues(const Batch<const I>& a, Size at, Size item, const Right& right, bool& singular, Put&& put) {
  const Size n = a.layout.rows, columns = right.columns * Right::parts;
  const I* matrix = a.item(at);
  // So that the residues of a chunk take some 100 MB at most.
  const Size chunk = std::clamp<Size>((Size{1} << 22) / (n * n) / Right::parts, 4, std::max<Size>(right.columns, 4));
  std::vector<DoubleDouble> solution;
  for (Size first = 0; first < columns; first += chunk * Right::parts) {
    const Size count = std::min(columns - first, chunk * Right::parts);
    const auto entry = [&](Size i, Size j) {
      return j < n ? IntegerEntry(load(matrix + i * a.layout.row_stride + j * a.layout.col_stride))
                   : right.entry(item, i, first + j - n);
    };
    ExactEchelon echelon;
    const Outcome outcome = with_parts(n, n + count, entry, [&](Parts& parts) {
      return certified_echelon(parts, n, n + count, EchelonForm::reduced, echelon);
    });
    if (!outcome.ok()) return outcome;
    singular = static_cast<Size>(echelon.pivot.size()) < n || echelon.pivot.back() != n - 1;
    if (singular) return {};
    const std::size_t primes = echelon.prime.size(), entries = static_cast<std::size_t>(1 + n * count);
    std::vector<std::uint32_t> prime(echelon.prime.begin(), echelon.prime.end()), residue(primes), digit(primes),
        limb(primes);
    const auto integer = [&](std::size_t e) {
      for (std::size_t k = 0; k < primes; ++k)
        residue[k] = static_cast<std::uint32_t>(echelon.residue[k * entries + e]);
      return combine_residues(prime.data(), residue.data(), static_cast<Size>(primes), digit.data(), limb.data());
    };
    const Rounded common = integer(0);
    solution.resize(static_cast<std::size_t>(count));
    for (Size r = 0; r < n; ++r) {
      for (Size c = 0; c < count; ++c)
        solution[static_cast<std::size_t>(c)] = quotient(integer(static_cast<std::size_t>(1 + r * count + c)), common);
      for (Size c = 0; c < count / Right::parts; ++c) {
        const Size column = first / Right::parts + c;
        put(r, column, right.join(item, column, solution.data() + c * Right::parts));
      }
    }
  }
  return {};
}

// What became of an item.
enum class Answer : char { given, singular, open };

// The items one after another, or in groups.
template <class I, class Right, class Put>
class ExactSolutions {
 public:
  ExactSolutions(const Batch<const I>& a, const Right& right, Put& put)
      : a_(a), right_(right), put_(put), n_(a.layout.rows) {}

  // Doubles of working memory for `items` of them; `n x n` of it for the product of inverse and matrix.
  static Size doubles(Size n, Size items) noexcept { return 3 * items * n * n + n * n + Refinement::doubles(n); }

  // Items first .. with an inverse by invert(a, inverse): both of `count` n x n matrices, one after another.
  template <class Invert>
  void solve(Size first, Size count, double* room, Answer* answer, Invert&& invert) const noexcept {
    const Size size = n_ * n_;
    double *a = room, *rest = a + count * size, *inverse = rest + count * size, *product = inverse + count * size;
    bool exact = true, all = true;
    for (Size l = 0; l < count; ++l) {
      exact = read(first + l, a + l * size, rest + l * size) && exact;
      answer[l] = exact && n_ <= ExactAdjugate::most ? by_adjugate(first + l, a + l * size) : Answer::open;
      all = all && answer[l] != Answer::open;
    }
    if (all) return;
    invert(a, inverse);
    for (Size l = 0; l < count; ++l) {
      if (answer[l] != Answer::open) continue;
      const ApproximateInverse of{n_, a + l * size, exact ? nullptr : rest + l * size, inverse + l * size};
      multiply(of, product);
      Refinement refinement(of, product, product + size);
      if (refinement.good() && all_columns(first + l, refinement)) answer[l] = Answer::given;
    }
  }

 private:
  // True if the doubles are the integers.
  bool read(Size item, double* a, double* rest) const noexcept {
    bool exact = true;
    const I* x = a_.item(item);
    for (Size i = 0; i < n_; ++i)
      for (Size j = 0; j < n_; ++j) {
        const IntegerEntry entry(load(x + i * a_.layout.row_stride + j * a_.layout.col_stride));
        a[j * n_ + i] = entry.value;
        rest[j * n_ + i] = entry.rest();
        exact = exact && entry.fits;
      }
    return exact;
  }

  Answer by_adjugate(Size item, const double* a) const noexcept {
    double largest = 0, right = 0;
    for (Size e = 0; e < n_ * n_; ++e) largest = std::max(largest, std::fabs(a[e]));
    for (Size c = 0; c < right_.columns; ++c) right = std::max(right, right_.largest(item, c));
    if (!ExactAdjugate::is_exact(n_, largest, right)) return Answer::open;
    const ExactAdjugate adjugate(n_, a);
    if (adjugate.singular()) return Answer::singular;
    for (Size c = 0; c < right_.columns; ++c)
      adjugate.solve([&](Size r) { return right_.at(item, r, c); }, [&](Size r, double x) { put_(item, r, c, x); });
    return Answer::given;
  }

  void multiply(const ApproximateInverse& of, double* product) const noexcept {
    if (n_ > max_lane_order) {
      const Layout layout{n_, n_, 1, n_};
      const Batch<const double> left{of.inverse, 0, layout}, right{of.a, 0, layout};
      if (matmul<double>(1, left, right, Batch<double>{product, 0, layout}).ok()) return;
    }
    std::fill_n(product, n_ * n_, 0.0);
    for (Size k = 0; k < n_; ++k)
      for (Size r = 0; r < n_; ++r) {
        const double by = of.a[k * n_ + r];
        const double* from = of.inverse + r * n_;
        double* __restrict to = product + k * n_;
        for (Size j = 0; j < n_; ++j) to[j] += from[j] * by;
      }
  }

  bool all_columns(Size item, Refinement& refinement) const noexcept {
    for (Size c = 0; c < right_.columns; ++c)
      if (!refinement.solve([&](Size r) { return right_.at(item, r, c); }, right_.whole(item, c),
                            [&](Size r, double x) { put_(item, r, c, x); }))
        return false;
    return true;
  }

  const Batch<const I>& a_;
  const Right& right_;
  Put& put_;
  Size n_;
};

// Solutions in lanes, up to the order where LAPACK is faster.
template <class I, class Right, class Put>
Outcome solve_in_lanes(Size n_items, const Batch<const I>& a, const Right& right, Put& put, Answer* answer) noexcept {
  const Size n = a.layout.rows, kernel_vectors = kernel_of<Elimination<double>>().scratch_vectors(n, n);
  using Solutions = ExactSolutions<I, Right, Put>;
  const Solutions solutions(a, right, put);
  const double order = static_cast<double>(n);
  const double item_ns = 20 + order * order * (order + 15 * static_cast<double>(right.columns));
  return run_in_lanes<double>(
      n_items, item_ns, kernel_vectors + (Solutions::doubles(n, lane_count) + 7) / 8,
      [&](Size first, Size count, void* scratch) {
        double* room = static_cast<double*>(scratch) + 8 * kernel_vectors;
        solutions.solve(first, count, room, answer + first, [&](const double* matrices, double* inverses) {
          const Layout layout{n, n, 1, n};
          const Batch<const double> from{matrices, n * n, layout};
          const Batch<double> to{inverses, n * n, layout};
          const LaneItems<const double> from_items(from, 0, count);
          const LaneItems<double> to_items(to, 0, count);
          kernel_of<Elimination<double>>().inverse(from_items.item, layout, to_items.item, layout, scratch);
        });
        return LaneBits{0};
      });
}

template <class I, class Right, class Put>
Outcome solve_one_by_one(Size n_items, const Batch<const I>& a, const Right& right, Put& put, Answer* answer) noexcept {
  const Size n = a.layout.rows;
  using Solutions = ExactSolutions<I, Right, Put>;
  const Solutions solutions(a, right, put);
  const AlignedBuffer<double> memory(checked_product(n, n) < 0 ? -1 : Solutions::doubles(n, 1));
  if (!memory) return out_of_memory;
  InterruptTimer timer;
  Outcome outcome;
  for (Size i = 0; i < n_items; ++i) {
    solutions.solve(i, 1, memory.data(), answer + i, [&](const double* matrix, double* x) {
      const Layout layout{n, n, 1, n};
      outcome = inverse<double>(1, Batch<const double>{matrix, 0, layout}, Batch<double>{x, 0, layout});
    });
    if (!outcome.ok() && outcome.status != Outcome::Status::failed_items) return {outcome.status};
    if (i + 1 < n_items && timer.interrupted()) return {Outcome::Status::interrupted};
  }
  return {};
}

// Solves a x = right for each item. put(item, row, column, x).
template <class I, class Right, class Put>
Outcome solve_exactly(Size n_items, const Batch<const I>& a, const Right& right, Put&& put) {
  const Size n = a.layout.rows;
  std::vector<Answer> room;
  Answer one = Answer::open, *answer = &one;
  if (n_items > 1) {
    room.resize(static_cast<std::size_t>(n_items), Answer::open);
    answer = room.data();
  }
  const bool lanes = n <= 32 || (n <= max_lane_order && n_items >= lane_count);
  Outcome outcome =
      lanes ? solve_in_lanes(n_items, a, right, put, answer) : solve_one_by_one(n_items, a, right, put, answer);
  if (!outcome.ok()) return outcome;
  Outcome failed;
  InterruptTimer timer;
  for (Size i = 0; i < n_items; ++i) {
    if (answer[i] == Answer::given) continue;
    bool no_answer = answer[i] == Answer::singular;
    if (!no_answer && n <= small_order) {
      outcome = is_singular<I>(1, Batch<const I>{a.item(i), 0, a.layout}, Batch<bool>{&no_answer, 1, {1, 1, 1, 1}});
      if (!outcome.ok()) return outcome;
    }
    if (!no_answer) {
      const auto put_here = [&](Size r, Size c, double x) { put(i, r, c, x); };
      outcome = solve_by_residues(a, i, i, right, no_answer, put_here);
      if (!outcome.ok()) return outcome;
    }
    if (no_answer) {
      failed.join({Outcome::Status::failed_items, i});
      for (Size r = 0; r < n; ++r)
        for (Size c = 0; c < right.columns; ++c) put(i, r, c, std::numeric_limits<double>::quiet_NaN());
    }
    if (i + 1 < n_items && timer.interrupted()) return {Outcome::Status::interrupted};
  }
  return failed;
}

}  // namespace

template <class I>
Outcome exact_inverse(Size n_items, const Batch<const I>& a, const Batch<double>& x) noexcept {
  const Size n = a.layout.rows;
  if (n_items == 0 || n == 0) return {};
  const auto put = [&](Size i, Size r, Size c, double value) {
    x.item(i)[r * x.layout.row_stride + c * x.layout.col_stride] = value;
  };
  try {
    return solve_exactly(n_items, a, IdentityRight{n}, put);
  } catch (const std::bad_alloc&) {
    return out_of_memory;
  }
}

template <class I, class J>
Outcome exact_solve(Size n_items, const Batch<const I>& a, const Batch<const J>& b, const Batch<double>& x) noexcept {
  if (n_items == 0 || a.layout.rows == 0 || b.layout.cols == 0) return {};
  const auto put = [&](Size i, Size r, Size c, double value) {
    x.item(i)[r * x.layout.row_stride + c * x.layout.col_stride] = value;
  };
  try {
    return solve_exactly(n_items, a, IntegerRight<J>{b}, put);
  } catch (const std::bad_alloc&) {
    return out_of_memory;
  }
}

#define MMLFAST_INSTANTIATE(I)                                                                                   \
  template Outcome exact_solve<I, double>(Size, const Batch<const I>&, const Batch<const double>&,               \
                                          const Batch<double>&) noexcept;                                        \
  template Outcome exact_solve<I, std::int64_t>(Size, const Batch<const I>&, const Batch<const std::int64_t>&,   \
                                                const Batch<double>&) noexcept;                                  \
  template Outcome exact_solve<I, std::uint64_t>(Size, const Batch<const I>&, const Batch<const std::uint64_t>&, \
                                                 const Batch<double>&) noexcept;                                 \
  template Outcome exact_inverse<I>(Size, const Batch<const I>&, const Batch<double>&) noexcept;
MMLFAST_INSTANTIATE(std::int64_t)
MMLFAST_INSTANTIATE(std::uint64_t)

}  // namespace mmlfast::drivers
