#include "bind/pybind.hpp"
#include "bind/registers.hpp"
#include "bind/row_state.hpp"
#include "drivers/rfactor.hpp"

namespace mmlfast::bind {
namespace {

// The state behind linalg.RFactor.
class RFactorState : public RowState<drivers::RFactor> {
 public:
  using RowState::RowState;

  void update(const py::array& x) { add(Rows(x)); }

  // False if the rows cannot be taken out; nothing has changed then.
  bool remove(const py::array& x) {
    bool possible = true;
    take_out(Rows(x), [&possible](drivers::RFactor& state, const drivers::RFactor& leaving) {
      return state.remove(leaving, possible);
    });
    return possible;
  }

  py::array_t<double> r() const {
    drivers::Numbers numbers;
    Size n = 0;
    raise_unless_ok(look(Outcome{}, [&](const drivers::RFactor& state) {
      n = state.columns();
      return state.total(numbers);
    }));
    py::array_t<double> r({n, n});
    std::copy_n(numbers.data(), n * n, r.mutable_data());
    return r;
  }
};

}  // namespace

void register_rfactor(PyObject* module) {
  row_state_class<RFactorState>(module, "RFactorState").def("r", &RFactorState::r);
}

}  // namespace mmlfast::bind
