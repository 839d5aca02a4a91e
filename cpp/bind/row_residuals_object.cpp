#include "bind/row_residuals_object.hpp"

#include <memory>
#include <string>
#include <utility>

#include "bind/residuals_object.hpp"
#include "bind/tape_program_object.hpp"
#include "drivers/least_squares_rows.hpp"
#include "runtime/interrupt.hpp"

namespace mmlfast::bind {
namespace {

// An array of float64 as the caller has it, or none.
class Numbers {
 public:
  Numbers(py::handle object, Size size, const char* name) {
    if (object.is_none()) return;
    array_ = py::reinterpret_steal<py::array>(PyArray_FROMANY(object.ptr(), NPY_DOUBLE, 0, 0, NPY_ARRAY_CARRAY_RO));
    if (!array_) throw py::error_already_set();
    if (array_.size() != size)
      throw py::value_error(std::string(name) + " must have " + std::to_string(size) + " elements");
  }
  const double* data() const { return array_ ? static_cast<const double*>(array_.data()) : nullptr; }

 private:
  py::array array_{py::reinterpret_steal<py::array>(nullptr)};
};

class BoundRowResiduals : public Residuals {
 public:
  BoundRowResiduals(py::object values, py::object jacobian, py::object second, py::object precise, py::handle x,
                    py::handle fixed, py::handle y, py::handle weights, py::handle whitening)
      : precise_(std::move(precise)),
        programs_{std::move(values), std::move(jacobian), std::move(second)},
        m_(py::len(y)),
        x_(x, checked_product(m_, layout(0).group_sizes[0]), "x"),
        fixed_(fixed, n_fixed(), "fixed"),
        y_(y, m_, "y"),
        weights_(weights, m_, "weights"),
        whitening_(whitening, whitening.is_none() ? 0 : checked_product(m_, m_), "whitening") {
    const Size n = layout(0).group_sizes[1];
    if (layout(0).n_outputs != 1 || layout(1).n_outputs != n || layout(2).n_outputs != 1 || y_.data() == nullptr ||
        x_.data() == nullptr)
      throw py::value_error("programs of one point are needed");
    drivers::RowModel model;
    model.values = program(0), model.jacobian = program(1), model.second = program(2);
    model.precise = &py::cast<const drivers::TapeDoubleDouble&>(precise_);
    model.x = x_.data(), model.fixed = fixed_.data(), model.m = m_, model.y = y_.data();
    model.weights = weights_.data(), model.whitening = whitening_.data();
    model.callback = tape_callback_of(programs_[2].ptr());
    calls_python_ = layout(0).calls_python || layout(1).calls_python || layout(2).calls_python;
    function_ = std::make_unique<Function>(model);
    raise_unless_ok(function_->outcome());
  }

  drivers::ResidualFunction& function() noexcept override { return *function_; }
  bool calls_python() const noexcept override { return calls_python_; }
  void begin(const double*, const double*, py::object) override {}

 private:
  class Function : public drivers::RowResiduals {
   public:
    using drivers::RowResiduals::RowResiduals;
    bool go_on(const double*, double, Size) noexcept override { return !timer_.interrupted(); }

   private:
    InterruptTimer timer_;
  };

  const drivers::TapeProgram* program(int k) const {
    const drivers::TapeProgram* found = tape_program_of(programs_[k].ptr());
    if (found == nullptr || found->layout().group_sizes.size() < 2)
      throw py::type_error("not a TapeProgram of a point");
    return found;
  }
  const drivers::TapeLayout& layout(int k) const { return program(k)->layout(); }
  Size n_fixed() const { return layout(0).group_sizes.size() > 2 ? layout(0).group_sizes[2] : 0; }

  py::object precise_, programs_[3];
  Size m_;
  Numbers x_, fixed_, y_, weights_, whitening_;
  std::unique_ptr<Function> function_;
  bool calls_python_ = false;
};

}  // namespace

void add_row_residuals(py::module_& m) {
  py::class_<BoundRowResiduals, Residuals>(m, "RowResiduals")
      .def(py::init<py::object, py::object, py::object, py::object, py::handle, py::handle, py::handle, py::handle,
                    py::handle>(),
           py::arg("values"), py::arg("jacobian"), py::arg("second"), py::arg("precise"), py::arg("x"),
           py::arg("fixed"), py::arg("y"), py::arg("weights") = py::none(), py::arg("whitening") = py::none());
}

}  // namespace mmlfast::bind
