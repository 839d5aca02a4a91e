#include <algorithm>

#include "drivers/tape_contributions.hpp"
#include "drivers/tape_derivatives.hpp"
#include "drivers/tape_rules.hpp"

namespace mmlfast::drivers {
namespace {

std::size_t place(std::int32_t i) { return static_cast<std::size_t>(i); }

class Forward {
 public:
  Forward(TapeGraph& graph, TapeView wrt, TapeView tangents)
      : g_(graph),
        sums_(graph),
        tangent_(place(graph.n_values()), -1),
        mask_(tangent_.size(), -1),
        leaf_(tangent_.size(), 0) {
    for (std::size_t i = 0; i < wrt.size(); ++i) {
      leaf_[place(wrt[i])] = 1;
      if (tangents[i] >= 0 && !graph.is_constant(tangents[i], 0)) tangent_[place(wrt[i])] = tangents[i];
      begin_ = std::min(begin_, place(graph.run_number(wrt[i])));
    }
  }

  TapeAnswer of(TapeView outputs) {
    const std::vector<std::uint8_t> need = g_.needed(outputs);
    for (std::size_t r = begin_; r < need.size(); ++r) {
      const TapeRun run = g_.runs()[r];  // a copy: there will be more runs
      if (need[r] != 0 && touched(run)) step(run, static_cast<std::int32_t>(r));
    }
    TapeAnswer answer{TapeIds(outputs.size()), fault_};
    std::transform(outputs.begin(), outputs.end(), answer.ids.begin(), [&](TapeId id) { return tangent_[place(id)]; });
    return answer;
  }

 private:
  bool active(const TapeRun& run, int k, std::int32_t i) const {
    return tangent_[place(run.operand[k][i])] >= 0 && !tape_vanishes(g_, run, k, i);
  }
  bool touched(const TapeRun& run) const {
    for (int k = 0; k < run.n_operands(); ++k)
      for (std::int32_t i = 0; tape_differentiable(run.op, k) && i < run.operand[k].size; ++i)
        if (active(run, k, i)) return true;
    return false;
  }

  void step(const TapeRun& run, std::int32_t r) {
    switch (run.op) {
      case TapeOp::select:
        return select(run);
      case TapeOp::sum:
      case TapeOp::dot:
      case TapeOp::norm:
        reduction(run);
        break;
      case TapeOp::solve:
        return solve(run);
      case TapeOp::determinant:
        by_jacobian(run, tape_cofactors(g_, run));
        break;
      case TapeOp::callback:
        if (g_.jacobian_of(r).empty()) {
          fault_ = tape_no_jacobian;
          return;
        }
        by_jacobian(run, g_.jacobian_of(r));
        break;
      default:
        if (tape_is_norm_power(g_, run, leaf_)) {
          norm_power(run);
          break;
        }
        for (int k = 0; k < run.n_operands(); ++k)
          if (tape_differentiable(run.op, k)) elementwise(run, k);
    }
    finish(run);
  }

  void norm_power(const TapeRun& run) {
    std::vector<std::int32_t> which;
    for (std::int32_t i = 0; i < run.count; ++i)
      if (leaf_[place(run.first + i)] == 0 && active(run, 0, i)) which.push_back(i);
    const TapeNormPower p = tape_norm_power(g_, run, which);
    TapeFlow flow;
    TapeIds factors;
    p.each([&](std::size_t n, TapeId x, TapeId slope) {
      if (tangent_[place(x)] < 0) return;
      push(flow, run.first + which[n], x);
      factors.push_back(slope);
    });
    sums_.add_products(flow, factors);
  }
  void finish(const TapeRun& run) {
    TapeIds ids, masks;
    sums_.collect(run.first, run.count, ids, masks);
    for (std::int32_t i = 0; i < run.count; ++i) set(run.first + i, ids[place(i)], masks[place(i)]);
  }
  void set(TapeId id, TapeId tangent, TapeId mask) {
    if (leaf_[place(id)] != 0 || tangent < 0 || g_.is_constant(tangent, 0)) return;
    tangent_[place(id)] = tangent;
    mask_[place(id)] = mask;
  }

  void push(TapeFlow& flow, TapeId to, TapeId from) const { flow.push(to, tangent_[place(from)], mask_[place(from)]); }

  void elementwise(const TapeRun& run, int k) {
    TapeFlow flow;
    TapeElements elements{run.op, run.aux, {}, {}};
    for (std::int32_t i = 0; i < run.count; ++i) {
      if (leaf_[place(run.first + i)] != 0 || !active(run, k, i)) continue;
      push(flow, run.first + i, run.operand[k][i]);
      elements.y.push_back(run.first + i);
      for (int j = 0; j < run.n_operands(); ++j) elements.operands[j].push_back(run.operand[j][i]);
    }
    if (!flow.empty()) sums_.add_elementwise(flow, elements, k);
  }

  // The tangent of what is selected, which is as active as that.
  void select(const TapeRun& run) {
    TapeIds to, conditions, t[2], masks[2];
    for (std::int32_t i = 0; i < run.count; ++i) {
      const TapeId p = run.operand[1][i], q = run.operand[2][i];
      if (leaf_[place(run.first + i)] != 0 || (tangent_[place(p)] < 0 && tangent_[place(q)] < 0)) continue;
      to.push_back(run.first + i);
      conditions.push_back(run.operand[0][i]);
      for (int k : {0, 1}) {
        const TapeId from = k == 0 ? p : q, tangent = tangent_[place(from)];
        const TapeId mask = mask_[place(from)];
        t[k].push_back(tangent < 0 ? g_.constant(0) : tangent);
        masks[k].push_back(tangent < 0 ? g_.constant(0) : mask < 0 ? g_.constant(1) : mask);
      }
    }
    if (to.empty()) return;
    const TapeIds ids = g_.emit(TapeOp::select, conditions, t[0], t[1]);
    TapeIds mask = active_masks(conditions, masks[0], masks[1]);
    for (std::size_t i = 0; i < to.size(); ++i) set(to[i], ids[i], mask[i]);
  }
  // select(condition, p, q) of masks, where constants are 0 for never and 1 for always.
  TapeIds active_masks(const TapeIds& conditions, const TapeIds& p, const TapeIds& q) {
    TapeIds result(p.size(), -1), c, other;
    std::vector<std::size_t> places[3];  // only the first may be active, only the second, both
    for (std::size_t i = 0; i < p.size(); ++i) {
      if (p[i] == q[i]) {
        result[i] = g_.is_constant(p[i]) ? -1 : p[i];
      } else {
        places[g_.is_constant(q[i], 0) ? 0 : g_.is_constant(p[i], 0) ? 1 : 2].push_back(i);
      }
    }
    for (int kind : {0, 1, 2}) {
      if (places[kind].empty()) continue;
      TapeIds cs, ps, qs;
      for (std::size_t i : places[kind]) {
        cs.push_back(conditions[i]);
        ps.push_back(p[i]);
        qs.push_back(q[i]);
      }
      TapeIds mask;
      if (kind == 2) {
        mask = g_.emit(TapeOp::select, cs, ps, qs);
      } else {
        TapeIds own = kind == 0 ? ps : qs;
        for (TapeId& id : own) id = g_.is_constant(id) ? -1 : id;
        mask = sums_.both(kind == 0 ? cs : g_.emit(TapeOp::logical_not, cs), own);
      }
      for (std::size_t i = 0; i < mask.size(); ++i) result[places[kind][i]] = mask[i];
    }
    return result;
  }

  void reduction(const TapeRun& run) {
    TapeFlow flow;
    TapeIds factors, from;
    const bool square = run.op == TapeOp::dot && tape_same(run.operand[0], run.operand[1]);
    for (int k = 0; k < (square ? 1 : run.n_operands()); ++k)
      for (std::int32_t i = 0; i < run.operand[k].size; ++i) {
        if (!active(run, k, i)) continue;
        from.push_back(run.operand[k][i]);
        push(flow, run.first + i / run.aux, from.back());
        if (run.op == TapeOp::dot) factors.push_back(run.operand[1 - k][i]);
      }
    if (run.op == TapeOp::sum) return sums_.add(flow, flow.t);
    if (run.op == TapeOp::norm) factors = g_.emit(TapeOp::divide_or_zero, from, flow.to);
    if (square) factors = g_.emit(TapeOp::multiply, factors, TapeIds{g_.constant(2)});
    sums_.add_products(flow, factors);
  }

  // X = solve(A, B): solve(A, dB - dA X).
  void solve(const TapeRun& run) {
    const std::int32_t n = run.aux, columns = run.count / n;
    TapeFlow flow;
    TapeIds x, all_masks;
    for (std::int32_t i = 0; i < n * n; ++i)
      for (std::int32_t j = 0; j < columns && active(run, 0, i); ++j) {
        push(flow, run.first + i / n * columns + j, run.operand[0][i]);
        x.push_back(run.first + i % n * columns + j);
      }
    all_masks = flow.masks;
    if (!flow.empty()) {
      flow.t = g_.emit(TapeOp::negative, flow.t);
      sums_.add_products(flow, x);
    }
    for (std::int32_t i = 0; i < run.count; ++i) {
      if (!active(run, 1, i)) continue;
      const TapeId from = run.operand[1][i];
      sums_.add(run.first + i, tangent_[place(from)], mask_[place(from)]);
      all_masks.push_back(mask_[place(from)]);
    }
    TapeIds right, masks, a(place(n) * place(n));
    sums_.collect(run.first, run.count, right, masks);
    std::replace(right.begin(), right.end(), -1, g_.constant(0));
    for (std::int32_t i = 0; i < n * n; ++i) a[place(i)] = run.operand[0][i];
    const TapeIds mask(place(run.count), sums_.any(all_masks));
    const TapeIds ids = sums_.masked(g_.emit(TapeOp::solve, a, right, {}, n, run.count), mask);
    for (std::int32_t i = 0; i < run.count; ++i) set(run.first + i, ids[place(i)], mask[place(i)]);
  }

  // The Jacobian has a row for each value of the run.
  void by_jacobian(const TapeRun& run, TapeView jacobian) {
    TapeFlow flow;
    TapeIds factors;
    const std::int32_t width = run.operand[0].size;
    for (std::int32_t i = 0; i < run.count; ++i)
      for (std::int32_t j = 0; j < width; ++j) {
        if (!active(run, 0, j)) continue;
        push(flow, run.first + i, run.operand[0][j]);
        factors.push_back(jacobian[place(i) * place(width) + place(j)]);
      }
    sums_.add_products(flow, factors);
  }

  TapeGraph& g_;
  TapeContributions sums_;
  TapeIds tangent_, mask_;  // by value; -1: none
  std::vector<std::uint8_t> leaf_;
  std::size_t begin_ = g_.runs().size();
  const char* fault_ = nullptr;
};

}  // namespace

TapeAnswer tape_forward(TapeGraph& graph, TapeView wrt, TapeView tangents, TapeView outputs) {
  return Forward(graph, wrt, tangents).of(outputs);
}

}  // namespace mmlfast::drivers
