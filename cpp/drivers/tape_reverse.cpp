#include <algorithm>

#include "drivers/tape_contributions.hpp"
#include "drivers/tape_derivatives.hpp"
#include "drivers/tape_rules.hpp"

namespace mmlfast::drivers {
namespace {

std::size_t place(std::int32_t i) { return static_cast<std::size_t>(i); }

class Reverse {
 public:
  Reverse(TapeGraph& graph, TapeView wrt)
      : g_(graph), adjoints_(graph), depends_(tape_dependence(graph, wrt)), leaf_(depends_.size(), 0) {
    for (TapeId id : wrt) leaf_[place(id)] = 1;
  }

  TapeAnswer of(TapeView outputs, TapeView seeds, TapeView wrt) {
    std::int32_t begin = static_cast<std::int32_t>(g_.runs().size()), end = 0;
    for (TapeId id : wrt) begin = std::min(begin, g_.run_number(id));
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      if (seeds[i] < 0 || depends_[place(outputs[i])] == 0) continue;
      end = std::max(end, g_.run_number(outputs[i]) + 1);
      adjoints_.add(outputs[i], seeds[i], -1);
    }
    TapeIds of_value(depends_.size(), -1);
    for (std::int32_t r = end; r-- > begin;) {
      const TapeRun run = g_.runs()[place(r)];  // a copy: there will be more runs
      if (!reached(run)) continue;
      adjoints_.collect(run.first, run.count, bars_, masks_);
      bool goes_on = false;
      for (std::int32_t i = 0; i < run.count; ++i) {
        TapeId& bar = bars_[place(i)];
        if (leaf_[place(run.first + i)] != 0) {
          of_value[place(run.first + i)] = bar;
          bar = -1;
        }
        goes_on = goes_on || bar >= 0;
      }
      if (goes_on) step(run, r);
    }
    TapeAnswer answer{TapeIds(wrt.size()), fault_};
    std::transform(wrt.begin(), wrt.end(), answer.ids.begin(), [&](TapeId id) { return of_value[place(id)]; });
    return answer;
  }

 private:
  bool reached(const TapeRun& run) const {
    for (std::int32_t i = 0; i < run.count; ++i)
      if (adjoints_.has(run.first + i)) return true;
    return false;
  }
  bool wanted(const TapeRun& run, int k, std::int32_t i) const {
    return depends_[place(run.operand[k][i])] != 0 && !tape_vanishes(g_, run, k, i);
  }

  void step(const TapeRun& run, std::int32_t r) {
    switch (run.op) {
      case TapeOp::sum:
      case TapeOp::dot:
      case TapeOp::norm:
        return reduction(run);
      case TapeOp::solve:
        return solve(run);
      case TapeOp::determinant:
        return by_jacobian(run, tape_cofactors(g_, run));
      case TapeOp::callback:
        if (g_.jacobian_of(r).empty()) {
          fault_ = tape_no_jacobian;
          return;
        }
        return by_jacobian(run, g_.jacobian_of(r));
      default:
        if (tape_is_norm_power(g_, run, leaf_)) return norm_power(run);
        for (int k = 0; k < run.n_operands(); ++k)
          if (tape_differentiable(run.op, k)) elementwise(run, k);
    }
  }

  void norm_power(const TapeRun& run) {
    std::vector<std::int32_t> which;
    for (std::int32_t i = 0; i < run.count; ++i)
      if (bars_[place(i)] >= 0) which.push_back(i);
    const TapeNormPower p = tape_norm_power(g_, run, which);
    TapeFlow flow;
    TapeIds factors;
    p.each([&](std::size_t n, TapeId x, TapeId slope) {
      if (depends_[place(x)] == 0) return;
      push(flow, x, which[n]);
      factors.push_back(slope);
    });
    adjoints_.add_products(flow, factors);
  }

  void push(TapeFlow& flow, TapeId to, std::int32_t i) const { flow.push(to, bars_[place(i)], masks_[place(i)]); }

  void elementwise(const TapeRun& run, int k) {
    TapeFlow flow;
    TapeElements elements{run.op, run.aux, {}, {}};
    flow.reserve(run.count);
    elements.y.reserve(place(run.count));
    for (int j = 0; j < run.n_operands(); ++j) elements.operands[j].reserve(place(run.count));
    for (std::int32_t i = 0; i < run.count; ++i) {
      if (bars_[place(i)] < 0 || !wanted(run, k, i)) continue;
      push(flow, run.operand[k][i], i);
      elements.y.push_back(run.first + i);
      for (int j = 0; j < run.n_operands(); ++j) elements.operands[j].push_back(run.operand[j][i]);
    }
    if (flow.empty()) return;
    if (run.op == TapeOp::select) return selected(flow, elements, k);
    adjoints_.add_elementwise(flow, elements, k);
  }
  void selected(const TapeFlow& flow, const TapeElements& elements, int k) {
    const TapeIds& condition = elements.operands[0];
    const TapeIds mask = k == 1 ? condition : g_.emit(TapeOp::logical_not, condition);
    adjoints_.add({flow.to, flow.t, adjoints_.both(mask, flow.masks)}, adjoints_.masked(flow.t, mask));
  }

  void reduction(const TapeRun& run) {
    const bool square = run.op == TapeOp::dot && tape_same(run.operand[0], run.operand[1]);
    for (int k = 0; k < (square ? 1 : run.n_operands()); ++k) {
      TapeFlow flow;
      TapeIds others, y;
      flow.reserve(run.operand[k].size);
      y.reserve(place(run.operand[k].size));
      others.reserve(run.op == TapeOp::dot ? place(run.operand[k].size) : 0);
      for (std::int32_t i = 0; i < run.operand[k].size; ++i) {
        if (bars_[place(i / run.aux)] < 0 || !wanted(run, k, i)) continue;
        push(flow, run.operand[k][i], i / run.aux);
        if (run.op == TapeOp::dot) others.push_back(run.operand[1 - k][i]);
        y.push_back(run.first + i / run.aux);
      }
      if (flow.empty()) continue;
      if (run.op == TapeOp::sum) adjoints_.add(flow, flow.t);
      if (run.op == TapeOp::norm) others = g_.emit(TapeOp::divide_or_zero, flow.to, y);
      if (square) others = g_.emit(TapeOp::multiply, others, TapeIds{g_.constant(2)});
      if (run.op != TapeOp::sum) adjoints_.add_products(flow, others);
    }
  }

  // X = solve(A, B): B gets S = solve(A', bar), A gets -S X'.
  void solve(const TapeRun& run) {
    const std::int32_t n = run.aux, columns = run.count / n;
    TapeIds transposed, bars, masks;
    for (std::int32_t i = 0; i < n * n; ++i) transposed.push_back(run.operand[0][(i % n) * n + i / n]);
    for (std::int32_t i = 0; i < run.count; ++i) {
      bars.push_back(bars_[place(i)] < 0 ? g_.constant(0) : bars_[place(i)]);
      if (bars_[place(i)] >= 0) masks.push_back(masks_[place(i)]);
    }
    const TapeId mask = adjoints_.any(masks);
    const TapeIds s = g_.emit(TapeOp::solve, transposed, bars, {}, n, run.count);
    for (std::int32_t i = 0; i < run.count; ++i)
      if (wanted(run, 1, i)) give(run.operand[1][i], s[place(i)], mask);
    const TapeIds minus = g_.emit(TapeOp::negative, s);
    TapeFlow flow;
    TapeIds x;
    for (std::int32_t i = 0; i < n * n; ++i)
      for (std::int32_t j = 0; j < columns && wanted(run, 0, i); ++j) {
        flow.to.push_back(run.operand[0][i]);
        flow.t.push_back(minus[place(i / n * columns + j)]);
        flow.masks.push_back(mask);
        x.push_back(run.first + i % n * columns + j);
      }
    adjoints_.add_products(flow, x);
  }
  void give(TapeId to, TapeId id, TapeId mask) {
    const TapeIds masks{mask};
    adjoints_.add(to, adjoints_.masked(TapeIds{id}, masks)[0], mask);
  }

  // The Jacobian has a row for each value of the run.
  void by_jacobian(const TapeRun& run, TapeView jacobian) {
    TapeFlow flow;
    TapeIds factors;
    const std::int32_t width = run.operand[0].size;
    for (std::int32_t i = 0; i < run.count; ++i)
      for (std::int32_t j = 0; j < width && bars_[place(i)] >= 0; ++j) {
        if (!wanted(run, 0, j)) continue;
        push(flow, run.operand[0][j], i);
        factors.push_back(jacobian[place(i) * place(width) + place(j)]);
      }
    adjoints_.add_products(flow, factors);
  }

  TapeGraph& g_;
  TapeContributions adjoints_;
  std::vector<std::uint8_t> depends_, leaf_;
  TapeIds bars_, masks_;  // of the run that is looked at
  const char* fault_ = nullptr;
};

}  // namespace

TapeAnswer tape_reverse(TapeGraph& graph, TapeView outputs, TapeView seeds, TapeView wrt) {
  return Reverse(graph, wrt).of(outputs, seeds, wrt);
}

}  // namespace mmlfast::drivers
