#include "drivers/pagerank.hpp"

#include <algorithm>
#include <atomic>

#include "drivers/pagerank_krylov.hpp"
#include "drivers/pagerank_lanes.hpp"
#include "drivers/pagerank_stationary.hpp"

namespace mmlfast::drivers {
namespace {

// Nanoseconds of one sweep, for the decision about threads.
double sweep_ns(const Links& links) {
  return static_cast<double>(links.n_links()) + 8 * static_cast<double>(links.n_nodes());
}
constexpr double worth_a_team_ns = 100'000;

Outcome outcome_of(bool interrupted) { return {interrupted ? Outcome::Status::interrupted : Outcome::Status::ok}; }

// A vector in the new order of the nodes.
class Ordered {
 public:
  Ordered(const Links& links, const double* from) {
    if (from == nullptr) return;
    data_ = Room<double>(links.n_nodes());
    if (!data_) return;
    constexpr Size piece = 1 << 16;
    const Size n = links.n_nodes();
    parallel_blocks((n + piece - 1) / piece, 4 * static_cast<double>(n), [&](Size k) {
      for (Size i = k * piece; i < std::min(n, (k + 1) * piece); ++i) data_[links.label()[i]] = from[i];
    });
    for (Size r = links.n_core(); r < n; ++r) of_rest_ += data_[r];
  }
  bool ready() const { return static_cast<bool>(data_); }
  double* data() const { return data_.data(); }
  OrderedVector view() const { return {data_.data(), of_rest_}; }

 private:
  Room<double> data_;
  double of_rest_ = 0;
};

double outside(const Links& links, const RankSolver& solver, const OrderedVector& b) {
  double sum = b.of_rest;
  for (Size r = links.n_core(); r < links.n_nodes(); ++r) sum += solver.t()[r];
  return sum;
}

// y for a graph whose nodes without links out give to w and not to v: the system is linear in the right side, and how
// much of w there is follows from how much score they have.
Outcome solve_for_two(const Links& links, const OrderedVector& v, const OrderedVector& w, double damping,
                      RankSolver& solver) {
  const Size n_core = links.n_core();
  const Room<double> first(n_core);
  if (!first) return {Outcome::Status::no_memory};
  solver.solve(v.data, v.of_rest);
  if (!solver.interrupted()) solver.pull_rest();
  const double from_v = outside(links, solver, v);
  std::copy_n(solver.y(), n_core, first.data());
  if (!solver.interrupted()) solver.solve(w.data, w.of_rest);
  if (!solver.interrupted()) solver.pull_rest();
  const double from_w = outside(links, solver, w);
  const double given = damping * (1 - damping) * from_v / (1 - damping * from_w);
  for (Size r = 0; r < n_core; ++r) solver.y()[r] = (1 - damping) * first[r] + given * solver.y()[r];
  if (!solver.interrupted()) solver.pull_again();
  return outcome_of(solver.interrupted());
}

Outcome rank(const Links& links, const OrderedVector& v, const OrderedVector* dangling, const RankStop& stop,
             Team& team, double* score, RankCertificate& certificate) {
  RankSolver solver(links, stop.damping, dangling == nullptr ? stop.tol : stop.tol / 4, stop.max_iter, team);
  if (!solver.ready()) return {Outcome::Status::no_memory};
  if (dangling == nullptr) {
    solver.solve(v.data, v.of_rest);
  } else {
    const Outcome outcome = solve_for_two(links, v, *dangling, stop.damping, solver);
    if (!outcome.ok()) return outcome;
  }
  if (!solver.interrupted()) solver.pull_rest();
  if (solver.interrupted()) return outcome_of(true);
  const double error =
      ScoreFinish(links, team)
          .run(v, dangling == nullptr ? v : *dangling, {solver.y(), solver.t(), stop.damping}, 1, score);
  if (std::isnan(error)) return {Outcome::Status::no_memory};
  certificate.error_bound = std::min(error + solver.rounding(), most_error);
  certificate.n_iter = solver.n_iter();
  certificate.converged = certificate.error_bound <= stop.tol;
  return {};
}

// At damping 1 and next to it.
constexpr double most_damping_in_float = 1 - 1e-5;

Outcome rank_by_steps(const Links& links, const OrderedVector& v, const OrderedVector& w, const RankStop& stop,
                      Team& team, double* score, RankCertificate& certificate) {
  const double d = stop.damping, amplification = d < 1 ? d / (1 - d) : 1;
  const double rounding = d < 1 ? rounding_of_rank(links, true, d) : 0;
  constexpr double least = 0x1p-50;  // smaller residuals may not be had
  const Room<double> x(links.n_nodes());
  if (!x) return {Outcome::Status::no_memory};
  const double tol = d < 1 ? std::max((stop.tol - rounding) / amplification, least) : stop.tol;
  const Stationary state = stationary(links, {d, v.data, w.data}, tol, stop.max_iter, team, x.data());
  for (Size i = 0; i < links.n_nodes(); ++i) score[i] = x[links.label()[i]];
  const double bound = std::min(amplification * state.residual + rounding, most_error);
  certificate = {bound, state.n_iter, bound <= stop.tol};
  return state.outcome;
}

Outcome rank_lanes(const Links& links, Size count, const double* personalization, const RankStop* stop, Team& team,
                   double* score, RankCertificate* certificate, const std::atomic<bool>* stopped = nullptr) {
  constexpr Size lanes = LaneRanking::lanes;
  LaneRanking ranking(links, team, stopped);
  if (!ranking.ready()) return {Outcome::Status::no_memory};
  for (Size first = 0; first < count; first += lanes) {
    const Size at = first * links.n_nodes();
    if (!ranking.run(std::min(lanes, count - first), personalization + at, stop + first, score + at,
                     certificate + first))
      return outcome_of(true);
  }
  return {};
}

}  // namespace

Outcome pagerank(const Links& links, const RankVectors& vectors, const RankStop& stop, double* score,
                 RankCertificate& certificate) noexcept {
  const bool other = vectors.dangling != nullptr && links.n_core() < links.n_nodes();
  const Ordered v(links, vectors.personalization), w(links, other ? vectors.dangling : nullptr);
  if (!v.ready() || (other && !w.ready())) return {Outcome::Status::no_memory};
  const OrderedVector of_v = v.view(), of_w = other ? w.view() : of_v;
  Outcome outcome;
  const bool led = with_team(sweep_ns(links) > worth_a_team_ns, [&](Team& team) {
    outcome = stop.damping > most_damping_in_float
                  ? rank_by_steps(links, of_v, of_w, stop, team, score, certificate)
                  : rank(links, of_v, other ? &of_w : nullptr, stop, team, score, certificate);
  });
  if (!led) outcome.join(outcome_of(true));
  return outcome;
}

Outcome pagerank_many(const Links& links, Size count, const double* personalization, const RankStop* stop,
                      double* score, RankCertificate* certificate) noexcept {
  constexpr Size lanes = LaneRanking::lanes;
  const Size n = links.n_nodes(), n_groups = (count + lanes - 1) / lanes;
  const bool large = lanes * sweep_ns(links) > 4 * worth_a_team_ns;
  if (large || n_groups == 1) {
    Outcome outcome;
    const bool led = with_team(lanes * sweep_ns(links) > worth_a_team_ns, [&](Team& team) {
      outcome = rank_lanes(links, count, personalization, stop, team, score, certificate);
    });
    if (!led) outcome.join(outcome_of(true));
    return outcome;
  }
  // A small graph: one group of rankings per thread.
  std::atomic<bool> memory{true}, stopped{false};
  const bool finished =
      parallel_blocks(n_groups, 20 * lanes * sweep_ns(links) * static_cast<double>(n_groups), [&](Size group) {
        const Size first = group * lanes;
        if (stopped.load(std::memory_order_relaxed)) return;
        with_team(false, [&](Team& team) {
          const Outcome outcome = rank_lanes(links, std::min(lanes, count - first), personalization + first * n,
                                             stop + first, team, score + first * n, certificate + first, &stopped);
          if (outcome.status == Outcome::Status::interrupted) stopped.store(true, std::memory_order_relaxed);
          if (outcome.status == Outcome::Status::no_memory) memory.store(false, std::memory_order_relaxed);
        });
      });
  if (!memory) return {Outcome::Status::no_memory};
  return outcome_of(!finished || stopped);
}

}  // namespace mmlfast::drivers
