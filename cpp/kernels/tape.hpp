// One instruction of a tape after the other, for one point or for a block of points.
//
// The numbers of a tape live in slots. For one point a slot is a number; for a block it is `rows` vectors of 8 numbers,
// one for each of 8 rows points. Beside the slots there are fixed numbers: constants, parameters and what depends on
// nothing else, which all points share. An instruction computes `count` slots that lie one after the other, by one
// operation (kernels/tape_ops.hpp) whose operands are one number, numbers one after the other, or a list of them.
//
//   step   IN            the instruction: what to compute, and where from and to
//   frame  IN, OUT       where slots, fixed numbers and lists are; SCRATCH: n (n + m) numbers for the largest `solve`
//                        of m right-hand sides, n n for a determinant, n + 8 for a matrix of n columns times a vector
//   load   IN x: points x n, rows row_stride apart; OUT the first n slots. Points that are missing at the end of a
//                        block are the last one again.
//   store  IN from: the slots of n results; OUT to: points x n, rows row_stride apart
// Both forms of an instruction give the same bits: sums have eight parts, the j-th term goes to part j % 8, and then
// halves are added up; elementary functions are those of simd/math.hpp. Results may replace operands that lie in the
// same slots.
//
// Flops: those of the operation; bytes: 64 a slot and row out of the first cache, for each operand and the result.
// Accumulation in float64. Errors as simd/math.hpp says, 3 units in the last place where functions are made of several
// (kernels/tape_functions.hpp); sums n/8 + 3 roundings. solve and determinant by elimination with partial pivoting.
// Failure: none. NaN and infinities come out as IEEE arithmetic says, also of singular matrices.
//
// Source: the interpreter of blocks is that of array databases (Boncz, Zukowski, Nes, CIDR 2005), with one instruction
// for many slots.
//
//     values[first : first + count] = numpy.multiply(values[a : a + count], values[b : b + count])   # and so on
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/tape_ops.hpp"
#include "simd/level.hpp"

namespace mmlfast {

// Operations that come of putting others together, after those of a graph.
enum class TapeFused : std::uint16_t {
  square = static_cast<std::uint16_t>(TapeOp::callback) + 1,
  reciprocal,
  subtract_product,  // c - a b
  sincos,            // sines of a run, then its cosines: count is twice its length
  end
};
using TapeCode = std::uint16_t;
constexpr TapeCode tape_code(TapeOp op) { return static_cast<TapeCode>(op); }
constexpr TapeCode tape_code(TapeFused op) { return static_cast<TapeCode>(op); }
inline constexpr int n_tape_codes = static_cast<int>(TapeFused::end);

// Where element i of an operand is. `single`: one for all i.
enum class TapeAccess : std::uint8_t { single, run, list, fixed_single, fixed_run, fixed_list };

// Of one point: nothing lies behind the results up to a multiple of 8, so that whole vectors may be stored, which later
// loads do not have to wait for.
inline constexpr std::uint16_t tape_padded = 1 << 12;
// Products of a matrix and a vector are inner products with the same terms of the first operand for all results; of
// the second, those of result i may lie in column i of a matrix with a row for each term, instead of in a row of their
// own.
inline constexpr std::uint16_t tape_shared = 1 << 13, tape_columns = 1 << 14;
// The instruction does what the next one says as well.
inline constexpr std::uint16_t tape_does_next = 1 << 15;

struct TapeStep;
struct TapeFrame {
  double* slots;
  std::ptrdiff_t slot;   // numbers of a slot: 1 for one point, 8 rows for a block
  const double* fixed;   // the fixed numbers; for one point they lie right behind the slots
  const double* spread;  // of a block: fixed numbers, each in all lanes of a vector
  const std::int32_t* lists;
  double* scratch;
};
using TapeFunction = void (*)(const TapeStep&, const TapeFrame&);

struct TapeStep {
  TapeFunction function;
  TapeCode code;
  std::uint16_t access;  // four bits for each operand, and the four above
  std::uint32_t count;
  std::uint32_t to;  // a slot
  // Of each operand the (first) slot, fixed number or, for a single fixed number of a block, vector of `spread`; or
  // where its list begins. For one point, single fixed numbers and runs of them are slots as well. Operations with
  // less than three operands have `aux` in the last place.
  std::uint32_t from[3];

  TapeAccess access_of(int operand) const { return static_cast<TapeAccess>(access >> (4 * operand) & 15); }
  std::int32_t aux() const { return static_cast<std::int32_t>(from[2]); }
};
static_assert(sizeof(TapeStep) == 24 + sizeof(TapeFunction));

// From `step` to `end`, with a call of between() after each function.
template <class Between>
inline void run_steps(const TapeStep* step, const TapeStep* end, const TapeFrame& frame, Between&& between) {
  for (; step != end; step += step->access & tape_does_next ? 2 : 1) {
    step->function(*step, frame);
    between();
  }
}
inline void run_steps(const TapeStep* step, const TapeStep* end, const TapeFrame& frame) {
  run_steps(step, end, frame, [] {});
}

struct Tape {
  // What the function of a step is, from its code, access and count.
  TapeFunction (*for_point)(const TapeStep& step);
  TapeFunction (*for_block)(const TapeStep& step);
  // Of two steps one after the other, where operand `taken` of the second is what the first gives, and nobody else
  // reads that: the function of the first, which then does both, and says so in its `access`. Operands may be
  // exchanged. nullptr: there is none.
  TapeFunction (*for_pair)(TapeStep& first, TapeStep& second, int taken, bool point);
  void (*load)(const double* x, std::ptrdiff_t n, std::ptrdiff_t row_stride, std::ptrdiff_t points, double* slots,
               std::ptrdiff_t slot);
  void (*store)(const double* slots, std::ptrdiff_t slot, const std::int32_t* from, std::ptrdiff_t n,
                std::ptrdiff_t points, double* to, std::ptrdiff_t row_stride);
};

MMLFAST_KERNEL_TABLE(Tape, tape)

inline constexpr std::ptrdiff_t tape_lanes = 8;
// What vectors of one point's numbers may read behind the last.
inline constexpr std::ptrdiff_t tape_padding = 8;

}  // namespace mmlfast
