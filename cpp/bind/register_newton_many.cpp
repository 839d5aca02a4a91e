#include "bind/registers.hpp"
#include "bind/tape_arguments.hpp"
#include "drivers/newton_many.hpp"

namespace mmlfast::bind {
namespace {

// x (count, width) is changed in place, as are checkpoint (count, n), moved, n_iter and status (count).
void newton_many(py::handle program, const py::tuple& parameters, const py::array& x, const py::array& checkpoint,
                 const py::array& moved, const py::array& n_iter, const py::array& status, double tol, Size max_iter) {
  const TapeArguments tape(program, parameters);
  if (x.ndim() != 2 || checkpoint.ndim() != 2) throw py::type_error("x, checkpoint: not two axes");
  const Size count = x.shape(0), n = checkpoint.shape(1), width = x.shape(1);
  const drivers::TapeLayout& layout = tape.program.layout();
  const Size outputs = layout.n_outputs - n - n * n;
  if (n < 1 || width < n || layout.group_sizes[0] != width || outputs < 0 || outputs > (n == 1 ? 1 : 0))
    throw py::value_error("program: other numbers of inputs or outputs");
  const drivers::NewtonStarts starts{count,
                                     n,
                                     width,
                                     work_of<double>(x, count * width, "x"),
                                     work_of<double>(checkpoint, count * n, "checkpoint"),
                                     work_of<double>(moved, count, "moved"),
                                     work_of<std::int32_t>(n_iter, count, "n_iter"),
                                     work_of<std::int8_t>(status, count, "status")};
  run_without_gil([&] { return drivers::newton_many(tape.program, tape.parameters.data(), starts, tol, max_iter); });
}

}  // namespace

void register_newton_many(PyObject* module) { module_of(module).def("newton_many", &newton_many); }

}  // namespace mmlfast::bind
