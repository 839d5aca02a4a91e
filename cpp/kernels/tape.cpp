#include "kernels/tape.hpp"

#include "kernels/common/with_size.hpp"
#include "kernels/tape_elementwise.hpp"
#include "kernels/tape_matrices.hpp"
#include "kernels/tape_pairs.hpp"
#include "kernels/tape_points.hpp"
#include "kernels/tape_reductions.hpp"

namespace mmlfast::MMLFAST_LEVEL {
namespace {

using Size = std::ptrdiff_t;

bool is_list(TapeAccess access) { return access == TapeAccess::list || access == TapeAccess::fixed_list; }
bool is_fixed(TapeAccess access) { return access >= TapeAccess::fixed_single; }

// ---- which form an elementwise instruction takes ----

// The forms of one code that have a copy of their own; other codes share a loop by pointer.
struct OwnForms {
  TapeFunction block, number;
  TapeFunction run[8];  // bit k of the number: operand k is one number
};
template <int N, class F>
constexpr OwnForms forms_of() {
  OwnForms forms{tape_elementwise::block_stretch_of<N, F>, tape_elementwise::point_number<N, F>, {}};
  using tape_elementwise::point_run_of;
  forms.run[0] = point_run_of<N, F, false, false, false>;
  if constexpr (N > 1) {
    forms.run[1] = point_run_of<N, F, true, false, false>;
    forms.run[2] = point_run_of<N, F, false, true, false>;
  }
  if constexpr (N > 2) {
    forms.run[3] = point_run_of<N, F, true, true, false>;
    forms.run[4] = point_run_of<N, F, false, false, true>;
    forms.run[5] = point_run_of<N, F, true, false, true>;
    forms.run[6] = point_run_of<N, F, false, true, true>;
  }
  return forms;
}
template <int N, class F>
constexpr OwnForms own_forms = forms_of<N, F>();

struct AllOwnForms {
  OwnForms of[n_tape_codes];
  constexpr AllOwnForms() : of{} {
#define MMLFAST_TAPE_FORMS(n, code, F) of[tape_code(TapeOp::code)] = own_forms<n, tape_functions::F>;
    MMLFAST_TAPE_PLAIN(MMLFAST_TAPE_FORMS)
#undef MMLFAST_TAPE_FORMS
#define MMLFAST_TAPE_FORMS(n, code, F) of[tape_code(TapeFused::code)] = own_forms<n, tape_functions::F>;
    MMLFAST_TAPE_PLAIN_FUSED(MMLFAST_TAPE_FORMS)
#undef MMLFAST_TAPE_FORMS
  }
};
constexpr AllOwnForms own{};

template <int N>
TapeFunction elementwise_for_point(const TapeStep& step) {
  int single = 0;
  for (int k = 0; k < N; ++k) {
    if (is_list(step.access_of(k))) return tape_elementwise::point_lists<N>;
    single |= (step.access_of(k) == TapeAccess::single) << k;
  }
  const OwnForms& forms = own.of[step.code];
  if (forms.number != nullptr && step.count == 1) return forms.number;
  return forms.run[single] != nullptr ? forms.run[single] : tape_elementwise::point_run<N>;
}
template <int N>
TapeFunction elementwise_for_block(const TapeStep& step) {
  bool fixed = true;
  for (int k = 0; k < N; ++k) {
    const TapeAccess access = step.access_of(k);
    fixed = fixed && access == TapeAccess::fixed_single;
    const bool whole = access == TapeAccess::run || access == TapeAccess::fixed_single ||
                       (access == TapeAccess::single && step.count == 1);
    if (!whole) return tape_elementwise::block_elements<N>;
  }
  if (fixed) return tape_elementwise::block_elements<N>;  // the forms of their own have an operand that moves
  const OwnForms& forms = own.of[step.code];
  return forms.block != nullptr ? forms.block : tape_elementwise::block_stretch<N>;
}

// ---- and reductions: operands are runs or lists; of dot, the first depends on the point ----

using tape_reductions::Dot;
using tape_reductions::Sum;
using tape_reductions::Terms;

template <class A>
TapeFunction dot_for_block(TapeAccess b) {
  if (is_list(b))
    return is_fixed(b) ? tape_reductions::reduction<Dot, A, Terms<true, true>>
                       : tape_reductions::reduction<Dot, A, Terms<true, false>>;
  return is_fixed(b) ? tape_reductions::reduction<Dot, A, Terms<false, true>>
                     : tape_reductions::reduction<Dot, A, Terms<false, false>>;
}

TapeFunction reduction_for_block(const TapeStep& step) {
  using Run = Terms<false, false>;
  using List = Terms<true, false>;
  const bool list = is_list(step.access_of(0));
  switch (static_cast<TapeOp>(step.code)) {
    case TapeOp::dot:
      return list ? dot_for_block<List>(step.access_of(1)) : dot_for_block<Run>(step.access_of(1));
    case TapeOp::sum:
      return list ? tape_reductions::reduction<Sum, List, List> : tape_reductions::reduction<Sum, Run, Run>;
    default:
      return list ? tape_reductions::block_norm<List> : tape_reductions::block_norm<Run>;
  }
}

TapeFunction reduction_for_point(const TapeStep& step) {
  using Run = tape_reductions::PointTerms<false>;
  using List = tape_reductions::PointTerms<true>;
  const bool a = is_list(step.access_of(0)), b = is_list(step.access_of(1));
  switch (static_cast<TapeOp>(step.code)) {
    case TapeOp::dot:
      if (!b && (step.access & tape_shared) != 0 && step.aux() > Dot::few)
        return step.access & tape_columns ? tape_reductions::matrix_by_columns : tape_reductions::matrix_by_rows;
      if (!a && !b && (step.access & (tape_shared | tape_columns)) != 0)
        return tape_reductions::reduction<Dot, Run, Run>;
      if (a) return b ? tape_reductions::reduction<Dot, List, List> : tape_reductions::reduction<Dot, List, Run>;
      return b ? tape_reductions::reduction<Dot, Run, List> : tape_reductions::reduction_of_run<Dot>;
    case TapeOp::sum:
      return a ? tape_reductions::reduction<Sum, List, List> : tape_reductions::reduction_of_run<Sum>;
    default:
      return a ? tape_reductions::point_norm<true> : tape_reductions::point_norm<false>;
  }
}

// ---- all of them ----

TapeFunction for_point(const TapeStep& step) {
  if (step.code == tape_code(TapeFused::sincos)) return tape_elementwise::point_sincos;
  switch (tape_elementwise::loops.operands[step.code]) {
    case 1:
      return elementwise_for_point<1>(step);
    case 2:
      return elementwise_for_point<2>(step);
    case 3:
      return elementwise_for_point<3>(step);
    default:
      break;
  }
  switch (static_cast<TapeOp>(step.code)) {
    case TapeOp::solve:
      return tape_matrices::of_point<tape_matrices::Solve>;
    case TapeOp::determinant:
      return tape_matrices::of_point<tape_matrices::Determinant>;
    default:
      return reduction_for_point(step);
  }
}

TapeFunction for_block(const TapeStep& step) {
  if (step.code == tape_code(TapeFused::sincos)) return tape_elementwise::block_sincos;
  switch (tape_elementwise::loops.operands[step.code]) {
    case 1:
      return elementwise_for_block<1>(step);
    case 2:
      return elementwise_for_block<2>(step);
    case 3:
      return elementwise_for_block<3>(step);
    default:
      break;
  }
  switch (static_cast<TapeOp>(step.code)) {
    case TapeOp::solve:
      return tape_matrices::of_block<tape_matrices::Solve>;
    case TapeOp::determinant:
      return tape_matrices::of_block<tape_matrices::Determinant>;
    default:
      return reduction_for_block(step);
  }
}

// ---- points in memory ----

void load_rows(const double* x, Size n, Size row_stride, Size rows, double* slots, Size slot) {
  if (n == 1) {
    for (Size i = 0; i < rows * tape_lanes; i += tape_lanes) {
      if (row_stride == 1)
        store(slots + i, load(x + i));
      else
        for (Size l = i; l < i + tape_lanes; ++l) slots[l] = x[l * row_stride];
    }
    return;
  }
  tape_points::each_stretch(n, [&](auto tail, Size groups, Size c, Size tail_column) MMLFAST_INLINE_LAMBDA {
    with_size<1, 3>(groups, [&](auto g) MMLFAST_INLINE_LAMBDA {
      tape_points::load_columns<g(), tail()>(x + c, row_stride, tail_column, rows, slots + c * slot, slot);
    });
  });
}

void load_points(const double* x, Size n, Size row_stride, Size points, double* slots, Size slot) {
  const Size rows = points / tape_lanes, at_once = tape_points::rows_at_once(n);
  for (Size row = 0; row < rows; row += at_once) {
    const Size p = row * tape_lanes;
    load_rows(x + p * row_stride, n, row_stride, rows - row < at_once ? rows - row : at_once, slots + p, slot);
  }
  const Size p = rows * tape_lanes, last = points - 1;
  if (p == points) return;
  for (Size l = 0; l < tape_lanes; ++l)
    for (Size i = 0; i < n; ++i) slots[i * slot + p + l] = x[(p + l < points ? p + l : last) * row_stride + i];
}

void store_one(const double* from, Size rows, double* to, Size row_stride) {
  for (Size i = 0; i < rows * tape_lanes; i += tape_lanes) {
    if (row_stride == 1)
      store(to + i, load(from + i));
    else
      for (Size l = i; l < i + tape_lanes; ++l) to[l * row_stride] = from[l];
  }
}

void store_rows(const double* slots, Size slot, const std::int32_t* from, Size n, Size rows, double* to,
                Size row_stride) {
  if (n == 1) return store_one(slots + *from * slot, rows, to, row_stride);
  tape_points::each_stretch(n, [&](auto tail, Size groups, Size c, Size tail_column) MMLFAST_INLINE_LAMBDA {
    with_size<1, 3>(groups, [&](auto g) MMLFAST_INLINE_LAMBDA {
      tape_points::store_columns<g(), tail()>(slots, slot, from + c, tail_column, rows, to + c, row_stride);
    });
  });
}

void store_points(const double* slots, Size slot, const std::int32_t* from, Size n, Size points, double* to,
                  Size row_stride) {
  const Size rows = points / tape_lanes, at_once = tape_points::rows_at_once(n);
  for (Size row = 0; row < rows; row += at_once) {
    const Size p = row * tape_lanes;
    store_rows(slots + p, slot, from, n, rows - row < at_once ? rows - row : at_once, to + p * row_stride, row_stride);
  }
  for (Size p = rows * tape_lanes; p < points; ++p)
    for (Size i = 0; i < n; ++i) to[p * row_stride + i] = slots[from[i] * slot + p];
}

}  // namespace

MMLFAST_DEFINE_TABLE(Tape, tape, for_point, for_block, tape_pairs::function_of, load_points, store_points)

}  // namespace mmlfast::MMLFAST_LEVEL
