#include "bind/registers.hpp"
#include "bind/tape_arguments.hpp"
#include "drivers/gradient_descent.hpp"

namespace mmlfast::bind {
namespace {

// x, velocity (runs, n), rate, n_iter, status, n_evaluations (runs) are changed in place, and path (runs, max_iter + 1,
// n) unless it is None. form: 0 momentum, 1 Nesterov's, 2 backtracking.
void gradient_descent(py::handle program, const py::tuple& parameters, const py::array& x, const py::array& velocity,
                      const py::array& start, const py::array& rate, const py::array& momentum, const py::array& tol,
                      const py::array& n_iter, const py::array& status, const py::array& n_evaluations,
                      const py::object& path, int form, Size max_iter) {
  const TapeArguments tape(program, parameters);
  if (x.ndim() != 2) throw py::type_error("x: not two axes");
  const Size count = x.shape(0), n = x.shape(1);
  const drivers::TapeLayout& layout = tape.program.layout();
  if (form < 0 || form > 2 || max_iter < 0) throw py::value_error("form, max_iter: out of range");
  if (layout.group_sizes[0] != n || layout.n_outputs != n + (form == 2))
    throw py::value_error("program: other numbers of inputs or outputs");
  const drivers::DescentRuns runs{
      count,
      n,
      work_of<double>(x, count * n, "x"),
      work_of<double>(velocity, count * n, "velocity"),
      work_of<double>(rate, count, "rate"),
      work_of<double>(start, count * n, "start"),
      work_of<double>(momentum, count, "momentum"),
      work_of<double>(tol, count, "tol"),
      work_of<std::int32_t>(n_iter, count, "n_iter"),
      work_of<std::int8_t>(status, count, "status"),
      path.is_none() ? nullptr
                     : work_of<double>(py::cast<py::array>(path), checked_product(count * n, max_iter + 1), "path"),
      work_of<Size>(n_evaluations, count, "n_evaluations")};
  for (Size i = 0; i < count; ++i)
    if (runs.n_iter[i] < 0 || runs.n_iter[i] > max_iter) throw py::value_error("n_iter: out of range");
  run_without_gil([&] {
    return drivers::gradient_descent(tape.program, tape.parameters.data(), runs,
                                     static_cast<drivers::DescentForm>(form), max_iter);
  });
}

}  // namespace

void register_gradient_descent(PyObject* module) { module_of(module).def("gradient_descent", &gradient_descent); }

}  // namespace mmlfast::bind
