#include "drivers/pagerank.hpp"

#include <algorithm>
#include <cmath>

#include "drivers/pagerank_components.hpp"
#include "drivers/pagerank_krylov.hpp"
#include "drivers/pagerank_lanes.hpp"
#include "drivers/pagerank_stationary.hpp"

namespace mmlfast::drivers {
namespace {

// A vector in the new order of the nodes.
class Ordered {
 public:
  Ordered(const Links& links, const double* from) {
    if (from == nullptr) return;
    data_ = AlignedBuffer<double>(links.n_nodes());
    if (!data_) return;
    constexpr Size piece = 1 << 16;
    const Size n = links.n_nodes();
    finished_ = parallel_blocks(ceil_div(n, piece), 4 * static_cast<double>(n), [&](Size k) {
      for (Size i = k * piece; i < std::min(n, (k + 1) * piece); ++i) data_[links.label()[i]] = from[i];
    });
    for (Size r = links.n_core(); r < n; ++r) of_rest_ += data_[r];
  }
  Outcome outcome() const {
    if (!finished_) return {Outcome::Status::interrupted};
    return {data_ ? Outcome::Status::ok : Outcome::Status::no_memory};
  }
  double* data() const { return data_.data(); }
  OrderedVector view() const { return {data_.data(), of_rest_}; }

 private:
  AlignedBuffer<double> data_;
  bool finished_ = true;
  double of_rest_ = 0;
};

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

}  // namespace

Outcome pagerank(const Links& links, const RankVectors& vectors, const RankStop& stop, double* score,
                 RankCertificate& certificate) noexcept {
  const bool other = vectors.dangling != nullptr && links.n_core() < links.n_nodes();
  const Ordered v(links, vectors.personalization), w(links, other ? vectors.dangling : nullptr);
  const bool started = vectors.start != nullptr;
  const Ordered start(links, vectors.start);
  Outcome outcome = v.outcome();
  if (other) outcome.join(w.outcome());
  if (started) outcome.join(start.outcome());
  if (!outcome.ok()) return outcome;
  const OrderedVector of_v = v.view(), of_w = other ? w.view() : of_v;
  const bool led = with_team(sweep_ns(links) > worth_a_team_ns, [&](Team& team) {
    outcome = stop.damping > most_damping_in_float || started
                  ? rank_by_steps(links, {stop.damping, of_v.data, of_w.data}, started ? start.data() : of_v.data, stop,
                                  team, score, certificate)
                  : rank_by_krylov(links, of_v, other ? &of_w : nullptr, stop, team, score, certificate);
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
  const bool by_components = components != nullptr && components->largest() <= most_component_rows;
  Size n_which = 0;
  for (Size i = 0; i < count; ++i) {
    done[i] = false;
    if (by_components && suits_components(stop[i])) which[n_which++] = i;
  }
  if (n_which > 0) {
    const Outcome outcome = rank_components(*components, which.data(), n_which, table);
    if (!outcome.ok()) return outcome;
  }
  n_which = 0;
  for (Size i = 0; i < count; ++i)
    if (!done[i]) which[n_which++] = i;
  return n_which == 0 ? Outcome{} : rank_in_lanes(links, which.data(), n_which, table);
}

}  // namespace mmlfast::drivers
