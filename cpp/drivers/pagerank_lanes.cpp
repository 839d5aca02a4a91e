#include "drivers/pagerank_lanes.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "drivers/pagerank_blocks.hpp"
#include "drivers/pagerank_finish.hpp"
#include "runtime/interrupt.hpp"

namespace mmlfast::drivers {
namespace {

class LaneRanking {
 public:
  static constexpr Size lanes = PageRankKernel::lanes;

  // `stopped`, if there is one, tells of a Ctrl-C that another thread has seen.
  LaneRanking(const Links& links, Team& team, const std::atomic<bool>* stopped)
      : links_(links),
        arriving_(arriving(links)),
        kernel_(kernel_of<PageRankKernel>()),
        team_(team),
        finish_(links, team),
        stopped_(stopped),
        n_(links.n_nodes()),
        n_core_(links.n_core()),
        right_(checked_product(lanes, n_)),
        t_(checked_product(lanes, n_)),
        y_(checked_product(2 * lanes, n_core_)),
        r_(checked_product(lanes, n_core_)),
        z_(checked_product((sweeps_per_round + 1) * lanes, n_core_)),
        sums_(checked_product(kernel_.most_lane_sums * lanes, links.n_core_blocks() + 1)),
        differences_(checked_product(2 * LaneHistory::most * lanes, n_core_)) {}

  bool ready() const { return right_ && t_ && y_ && r_ && z_ && sums_ && differences_; }

  // Rankings which[0] .. which[count - 1], count <= 8, of the table. False if interrupted.
  bool run(const Size* which, Size count, const RankTable& table) {
    load(which, count, table);
    Size n_iter = 0, left = count;
    for (;;) {
      for (int sweep = 0; sweep < sweeps_per_round; ++sweep) relax(sweep);
      over_core([&](Size, Size first, Size last) {
        kernel_.pull_lanes(arriving_, first, last, slot(sweeps_per_round), t_.data());
      });
      n_iter += sweeps_per_round + 1;
      remember();
      bool rest_known = false;
      for (Size l = 0; l < count && !interrupted_; ++l) {
        const Size i = which[l];
        const RankStop& stop = table.stop[i];
        const bool last = n_iter + sweeps_per_round + 1 > stop.max_iter;  // another round would be too many
        if (done_[l] || !(good_enough(l, stop) || last)) continue;
        if (!rest_known) pull_rest();
        rest_known = true;
        put_down(l, stop, n_iter, table.score + i * n_, table.certificate[i]);
        --left;
      }
      if (interrupted_) return false;
      if (left == 0) return true;
      mix();
    }
  }

 private:
  static constexpr int sweeps_per_round = 3;
  static constexpr int chains = 2;  // of pull_lanes

  void look() {
    interrupted_ =
        interrupted_ || (stopped_ != nullptr && stopped_->load(std::memory_order_relaxed)) || timer_.interrupted();
  }
  template <class Body>
  void over_core(Body&& body) {
    over_row_blocks(team_, links_, 0, links_.n_core_blocks(), body, [&] { look(); });
  }

  // Lanes without a ranking repeat the last one.
  void load(const Size* which, Size count, const RankTable& table) {
    const double* from[lanes];
    for (Size l = 0; l < lanes; ++l) {
      const Size i = which[std::min(l, count - 1)];
      from[l] = table.personalization + i * n_;
      damping_[l] = table.stop[i].damping;
      of_rest_[l] = 0;
      done_[l] = interrupted_ = false;
    }
    constexpr Size piece = 1 << 15;
    team_.run(ceil_div(n_, piece), [&](Size k) {
      for (Size i = k * piece; i < std::min(n_, (k + 1) * piece); ++i) {
        double* to = right_.data() + lanes * links_.label()[i];
        for (Size l = 0; l < lanes; ++l) to[l] = from[l][i];
      }
    });
    for (Size r = n_core_; r < n_; ++r)
      for (Size l = 0; l < lanes; ++l) of_rest_[l] += right_[lanes * r + l];
    history_ = {right_.data(), r_.data(), {}, {}, 0, -1};  // the first y is the personalization
    for (int i = 0; i < LaneHistory::most; ++i) {
      history_.dy[i] = differences_.data() + 2 * i * lanes * n_core_;
      history_.dr[i] = history_.dy[i] + lanes * n_core_;
    }
    std::fill_n(r_.data(), lanes * n_core_, 0.0);
    step();
    history_.count = -1;  // the first residual is no difference yet
    next_y_ = y_.data();
    history_.y = y_.data() + lanes * n_core_;
  }

  LaneFactors factors() const { return {damping_, links_.inverse_strength()}; }
  // z after each sweep of a round: every sweep reads one slot and writes the next.
  double* slot(int sweep) const { return z_.data() + sweep * lanes * n_core_; }

  // z of the next round, from what is remembered and the factors of the differences.
  void step() {
    over_core(
        [&](Size, Size first, Size last) { kernel_.mix_lanes(factors(), history_, mixture_, first, last, slot(0)); });
  }
  void relax(int sweep) {
    double* out = sweep == sweeps_per_round - 1 ? next_y_ : nullptr;
    over_core([&](Size, Size first, Size last) {
      kernel_.relax_lanes(arriving_, factors(), first, last, right_.data(), slot(sweep), out);
    });
  }
  void pull_rest() {
    over_row_blocks(
        team_, links_, links_.n_core_blocks(), links_.n_blocks(),
        [&](Size, Size first, Size last) {
          kernel_.pull_lanes(arriving_, first, last, slot(sweeps_per_round), t_.data());
        },
        [&] { look(); });
  }
  // The residual of the new y, and how it and y changed.
  void remember() {
    history_.count = std::min(history_.count + 1, LaneHistory::most);
    if (history_.count > 0) history_.newest = (history_.newest + 1) % LaneHistory::most;
    over_core([&](Size block, Size first, Size last) {
      kernel_.remember_lanes(right_.data(), t_.data(), next_y_, history_, first, last, block_sums(block));
    });
    std::swap(next_y_, history_.y);
    const int n_sums = 4 + history_.count * (history_.count + 3) / 2;
    for (int i = 0; i < n_sums; ++i)
      for (Size l = 0; l < lanes; ++l) {
        double sum = 0;
        for (Size block = 0; block < links_.n_core_blocks(); ++block) sum += block_sums(block)[i * lanes + l];
        total_[i][l] = sum;
      }
  }
  double* block_sums(Size block) const { return sums_.data() + block * kernel_.most_lane_sums * lanes; }

  void mix() {
    for (Size l = 0; l < lanes; ++l) least_residual(l);
    step();
  }
  // The factors of the differences for lane l, by Cholesky's method on their products. A difference that is nearly a
  // combination of those before it is left out.
  void least_residual(Size l) {
    const int count = history_.count, rhs = 4 + count * (count + 1) / 2;
    double factor[LaneHistory::most][LaneHistory::most], c[LaneHistory::most];
    for (int j = 0; j < count; ++j) {
      for (int i = 0; i < j; ++i) {
        double sum = total_[4 + j * (j + 1) / 2 + i][l];
        for (int k = 0; k < i; ++k) sum -= factor[j][k] * factor[i][k];
        factor[j][i] = factor[i][i] > 0 ? sum / factor[i][i] : 0;
      }
      const double square = total_[4 + j * (j + 1) / 2 + j][l];
      double left = square, right = total_[rhs + j][l];
      for (int k = 0; k < j; ++k) left -= factor[j][k] * factor[j][k], right -= factor[j][k] * c[k];
      factor[j][j] = left > 1e-10 * square ? std::sqrt(left) : 0;
      c[j] = factor[j][j] > 0 ? right / factor[j][j] : 0;
    }
    for (int j = count - 1; j >= 0; --j) {
      for (int k = j + 1; k < count; ++k) c[j] -= factor[k][j] * mixture_[k * lanes + l];
      mixture_[j * lanes + l] = factor[j][j] > 0 ? c[j] / factor[j][j] : 0;
    }
  }
  // As good as was asked for, or as rounding allows.
  bool good_enough(Size l, const RankStop& stop) const {
    const double of_y = total_[2][l], whole = of_y + of_rest_[l] + stop.damping * of_y - total_[3][l];
    const double norm = total_[0][l] + std::fabs(total_[1][l]);
    const double error = norm == 0 ? 0 : stop.damping / (1 - stop.damping) * norm / whole;
    const double rounding = rounding_of_rank(links_, chains, stop.damping);
    return error + rounding_to_spare * rounding <= stop.tol || error <= rounding / 2;
  }
  void put_down(Size l, const RankStop& stop, Size n_iter, double* score, RankCertificate& certificate) {
    const OrderedVector v{right_.data() + l, of_rest_[l]};
    const double error = finish_.run(v, v, {history_.y + l, t_.data() + l, stop.damping}, lanes, score);
    certificate.error_bound = std::min(error + rounding_of_rank(links_, chains, stop.damping), most_error);
    certificate.n_iter = n_iter;
    certificate.converged = certificate.error_bound <= stop.tol;
    done_[l] = true;
  }

  const Links& links_;
  const ArrivingLinks arriving_;
  const PageRankKernel& kernel_;
  Team& team_;
  ScoreFinish finish_;
  const std::atomic<bool>* stopped_;
  InterruptTimer timer_;
  const Size n_, n_core_;
  AlignedBuffer<double> right_, t_, y_, r_, z_, sums_;
  AlignedBuffer<float> differences_;
  LaneHistory history_ = {};
  double* next_y_ = nullptr;
  alignas(64) double damping_[lanes] = {};
  alignas(64) double mixture_[LaneHistory::most * lanes] = {};
  double of_rest_[lanes] = {}, total_[PageRankKernel::most_lane_sums][lanes] = {};
  bool done_[lanes] = {}, interrupted_ = false;
};

// Rankings which[0] .. which[count - 1], one group of lanes after the other.
Outcome rank_group(const Links& links, const Size* which, Size count, const RankTable& table, Team& team,
                   const std::atomic<bool>* stopped = nullptr) {
  constexpr Size lanes = LaneRanking::lanes;
  LaneRanking ranking(links, team, stopped);
  if (!ranking.ready()) return {Outcome::Status::no_memory};
  for (Size first = 0; first < count; first += lanes)
    if (!ranking.run(which + first, std::min(lanes, count - first), table)) return outcome_of(true);
  return {};
}

}  // namespace

Outcome rank_in_lanes(const Links& links, const Size* which, Size count, const RankTable& table) {
  constexpr Size lanes = LaneRanking::lanes;
  const Size n_groups = ceil_div(count, lanes);
  const bool large = lanes * sweep_ns(links) > 4 * worth_a_team_ns;
  if (large || n_groups == 1) {
    Outcome outcome;
    const bool led = with_team(lanes * sweep_ns(links) > worth_a_team_ns,
                               [&](Team& team) { outcome = rank_group(links, which, count, table, team); });
    if (!led) outcome.join(outcome_of(true));
    return outcome;
  }
  // A small graph: one group of rankings per thread.
  RankWork work;
  const bool finished =
      parallel_blocks(n_groups, 20 * lanes * sweep_ns(links) * static_cast<double>(n_groups), [&](Size group) {
        const Size first = group * lanes;
        if (work.stopped.load(std::memory_order_relaxed)) return;
        with_team(false, [&](Team& team) {
          work.join(rank_group(links, which + first, std::min(lanes, count - first), table, team, &work.stopped));
        });
      });
  return work.outcome(finished);
}

}  // namespace mmlfast::drivers
