#include "bind/registers.hpp"
#include "bind/tape_arguments.hpp"
#include "drivers/newton_many.hpp"

namespace mmlfast::bind {
namespace {

// From `begin` (count, width) to x (count, n); checkpoint (count, n), moved, n_iter and status (count, zeros) are
// written to as well. Returned are how many have converged, and whether some of them are doubtful.
py::tuple newton_many(py::handle program, const py::tuple& parameters, const py::array& begin, const py::array& x,
                      const py::array& checkpoint, const py::array& moved, const py::array& n_iter,
                      const py::array& status, double tol, Size max_iter) {
  const TapeArguments tape(program, parameters);
  if (begin.ndim() != 2 || x.ndim() != 2) throw py::type_error("begin, x: not two axes");
  const Size count = begin.shape(0), n = x.shape(1), width = begin.shape(1);
  const drivers::TapeLayout& layout = tape.program.layout();
  const Size outputs = layout.n_outputs - n - n * n;
  if (n < 1 || width < n || layout.group_sizes[0] != width || outputs < 0 || outputs > (n == 1 ? 1 : 0))
    throw py::value_error("program: other numbers of inputs or outputs");
  if (!py::isinstance<py::array_t<double>>(begin) || !PyArray_ISCARRAY_RO(as_array(begin.ptr())))
    throw py::type_error("begin: not C-contiguous numbers of float64");
  const drivers::NewtonStarts starts{count,
                                     n,
                                     width,
                                     static_cast<const double*>(begin.data()),
                                     work_of<double>(x, count * n, "x"),
                                     work_of<double>(checkpoint, count * n, "checkpoint"),
                                     work_of<double>(moved, count, "moved"),
                                     work_of<std::int32_t>(n_iter, count, "n_iter"),
                                     work_of<std::int8_t>(status, count, "status")};
  Size n_converged = 0;
  bool doubtful = false;
  run_without_gil([&] {
    return drivers::newton_many(tape.program, tape.parameters.data(), starts, tol, max_iter, n_converged, doubtful);
  });
  return py::make_tuple(n_converged, doubtful);
}

}  // namespace

void register_newton_many(PyObject* module) { module_of(module).def("newton_many", &newton_many); }

}  // namespace mmlfast::bind
