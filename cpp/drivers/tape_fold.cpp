#include "drivers/tape_fold.hpp"

#include "kernels/tape.hpp"

namespace mmlfast::drivers {

// One instruction for one point, whose slots are the numbers, then the results.
std::vector<double> tape_fold(TapeOp op, std::int32_t aux, std::int32_t count, std::vector<double> numbers,
                              const std::int32_t (&sizes)[3]) {
  TapeStep step{};
  step.code = tape_code(op);
  step.count = static_cast<std::uint32_t>(count);
  step.to = static_cast<std::uint32_t>(numbers.size());
  std::uint32_t from = 0;
  for (int k = 0; k < tape_operands(op); ++k) {
    step.access |= static_cast<std::uint16_t>(static_cast<int>(TapeAccess::run) << (4 * k));
    step.from[k] = from;
    from += static_cast<std::uint32_t>(sizes[k]);
  }
  if (tape_operands(op) < 3) step.from[2] = static_cast<std::uint32_t>(aux);
  const auto n_results = static_cast<std::ptrdiff_t>(count), n = static_cast<std::ptrdiff_t>(aux);
  const bool is_matrix = op == TapeOp::solve || op == TapeOp::determinant;
  std::vector<double> scratch(static_cast<std::size_t>(is_matrix ? n * n + n_results : 0));
  numbers.resize(numbers.size() + static_cast<std::size_t>(n_results + tape_padding));
  const TapeFrame frame{numbers.data(), 1, numbers.data(), nullptr, nullptr, scratch.data()};
  kernel_of<Tape>().for_point(step)(step, frame);
  const auto first = numbers.begin() + static_cast<std::ptrdiff_t>(step.to);
  return {first, first + n_results};
}

}  // namespace mmlfast::drivers
