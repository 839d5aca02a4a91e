#include "drivers/pagerank.hpp"

#include <algorithm>
#include <atomic>

#include "drivers/pagerank_components.hpp"
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
    data_ = AlignedBuffer<double>(links.n_nodes());
    if (!data_) return;
    constexpr Size piece = 1 << 16;
    const Size n = links.n_nodes();
    parallel_blocks(ceil_div(n, piece), 4 * static_cast<double>(n), [&](Size k) {
      for (Size i = k * piece; i < std::min(n, (k + 1) * piece); ++i) data_[links.label()[i]] = from[i];
    });
    for (Size r = links.n_core(); r < n; ++r) of_rest_ += data_[r];
  }
  bool ready() const { return static_cast<bool>(data_); }
  double* data() const { return data_.data(); }
  OrderedVector view() const { return {data_.data(), of_rest_}; }

 private:
  AlignedBuffer<double> data_;
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
  const AlignedBuffer<double> first(n_core);
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

Outcome rank_by_steps(const Links& links, const Jumps& jumps, const double* start, const RankStop& stop, Team& team,
                      double* score, RankCertificate& certificate) {
  const double d = stop.damping, amplification = d < 1 ? d / (1 - d) : 1;
  // Sums are as if in twice the precision; a few more roundings are in the jumps of each step.
  const double rounding = d < 1 ? rounding_of_rank(links, 0, d) + 4 * 0x1p-53 / (1 - d) : 0;
  constexpr double least = 0x1p-50;  // smaller residuals may not be had
  const AlignedBuffer<double> x(links.n_nodes());
  if (!x) return {Outcome::Status::no_memory};
  const double tol = d < 1 ? std::max((stop.tol - rounding) / amplification, least) : stop.tol;
  const Stationary state = stationary(links, jumps, start, tol, stop.max_iter, team, x.data());
  for (Size i = 0; i < links.n_nodes(); ++i) score[i] = x[links.label()[i]];
  const double bound = std::min(amplification * state.residual + rounding, most_error);
  certificate = {bound, state.n_iter, bound <= stop.tol};
  return state.outcome;
}

// The state of rankings that several threads work on.
struct Work {
  std::atomic<bool> stopped{false};
  JoinedOutcome joined;

  void join(const Outcome& outcome) {
    joined.join(outcome);
    if (outcome.stopped()) stopped.store(true, std::memory_order_relaxed);
  }
  Outcome outcome(bool finished) {
    joined.join(outcome_of(!finished));
    return joined.get();
  }
};

// Rankings which[0] .. which[count - 1], by accelerated sweeps over the whole graph.
Outcome rank_lanes(const Links& links, const Size* which, Size count, const RankTable& table, Team& team,
                   const std::atomic<bool>* stopped = nullptr) {
  constexpr Size lanes = LaneRanking::lanes;
  LaneRanking ranking(links, team, stopped);
  if (!ranking.ready()) return {Outcome::Status::no_memory};
  for (Size first = 0; first < count; first += lanes)
    if (!ranking.run(which + first, std::min(lanes, count - first), table)) return outcome_of(true);
  return {};
}

Outcome rank_whole(const Links& links, const Size* which, Size count, const RankTable& table) {
  constexpr Size lanes = LaneRanking::lanes;
  const Size n_groups = ceil_div(count, lanes);
  const bool large = lanes * sweep_ns(links) > 4 * worth_a_team_ns;
  if (large || n_groups == 1) {
    Outcome outcome;
    const bool led = with_team(lanes * sweep_ns(links) > worth_a_team_ns,
                               [&](Team& team) { outcome = rank_lanes(links, which, count, table, team); });
    if (!led) outcome.join(outcome_of(true));
    return outcome;
  }
  // A small graph: one group of rankings per thread.
  Work work;
  const bool finished =
      parallel_blocks(n_groups, 20 * lanes * sweep_ns(links) * static_cast<double>(n_groups), [&](Size group) {
        const Size first = group * lanes;
        if (work.stopped.load(std::memory_order_relaxed)) return;
        with_team(false, [&](Team& team) {
          work.join(rank_lanes(links, which + first, std::min(lanes, count - first), table, team, &work.stopped));
        });
      });
  return work.outcome(finished);
}

// By components, one group of rankings per thread; each thread keeps its memory for the groups that it takes.
Outcome rank_components(const LinkComponents& components, const Size* which, Size count, const RankTable& table) {
  constexpr Size lanes = ComponentRanking::lanes;
  const Size n_groups = ceil_div(count, lanes);
  const double ns = 20 * lanes * sweep_ns(components.links()) * static_cast<double>(n_groups);
  Work work;
  std::atomic<Size> next{0};
  const Size n_workers = std::min<Size>(n_groups, get_num_threads());
  const bool finished = parallel_blocks(n_workers, ns, [&](Size) {
    with_team(false, [&](Team& team) {
      Size group = next.fetch_add(1);
      if (group >= n_groups) return;
      ComponentRanking ranking(components, team, work.stopped);
      if (!ranking.ready()) return work.join({Outcome::Status::no_memory});
      for (; group < n_groups && !work.stopped.load(std::memory_order_relaxed); group = next.fetch_add(1)) {
        const Size first = group * lanes;
        work.join(outcome_of(!ranking.run(which + first, std::min(lanes, count - first), table)));
      }
    });
  });
  return work.outcome(finished);
}

}  // namespace

Outcome pagerank(const Links& links, const RankVectors& vectors, const RankStop& stop, double* score,
                 RankCertificate& certificate) noexcept {
  const bool other = vectors.dangling != nullptr && links.n_core() < links.n_nodes();
  const Ordered v(links, vectors.personalization), w(links, other ? vectors.dangling : nullptr);
  const bool started = vectors.start != nullptr;
  const Ordered start(links, vectors.start);
  if (!v.ready() || (other && !w.ready()) || (started && !start.ready())) return {Outcome::Status::no_memory};
  const OrderedVector of_v = v.view(), of_w = other ? w.view() : of_v;
  Outcome outcome;
  const bool led = with_team(sweep_ns(links) > worth_a_team_ns, [&](Team& team) {
    outcome = stop.damping > most_damping_in_float || started
                  ? rank_by_steps(links, {stop.damping, of_v.data, of_w.data}, started ? start.data() : of_v.data, stop,
                                  team, score, certificate)
                  : rank(links, of_v, other ? &of_w : nullptr, stop, team, score, certificate);
  });
  if (!led) outcome.join(outcome_of(true));
  return outcome;
}

Outcome pagerank_many(const Links& links, const LinkComponents* components, Size count, const double* personalization,
                      const RankStop* stop, double* score, RankCertificate* certificate) noexcept {
  const AlignedBuffer<bool> done(count);
  const AlignedBuffer<Size> which(count);
  if (!done || !which) return {Outcome::Status::no_memory};
  const RankTable table{personalization, stop, score, certificate, done.data()};
  const bool by_components = components != nullptr && components->largest() <= ComponentRanking::most_rows;
  Size n_which = 0;
  for (Size i = 0; i < count; ++i) {
    done[i] = false;
    if (by_components && ComponentRanking::suits(stop[i])) which[n_which++] = i;
  }
  if (n_which > 0) {
    const Outcome outcome = rank_components(*components, which.data(), n_which, table);
    if (!outcome.ok()) return outcome;
  }
  n_which = 0;
  for (Size i = 0; i < count; ++i)
    if (!done[i]) which[n_which++] = i;
  return n_which == 0 ? Outcome{} : rank_whole(links, which.data(), n_which, table);
}

}  // namespace mmlfast::drivers
