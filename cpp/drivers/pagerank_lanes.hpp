// Eight rankings of one graph at once, one per SIMD lane, so that one random access to memory serves all of them: sweeps
// of block Gauss-Seidel, and after every few a step of the power method, which sets the scale of each ranking right and
// tells its residual. A ranking that is good enough is put down at once: its bits do not depend on its neighbours.
#pragma once

#include <algorithm>
#include <atomic>

#include "drivers/pagerank.hpp"
#include "drivers/pagerank_finish.hpp"
#include "kernels/pagerank.hpp"
#include "runtime/interrupt.hpp"
#include "runtime/team.hpp"

namespace mmlfast::drivers {

class LaneRanking {
 public:
  static constexpr Size lanes = PageRankKernel::lanes;

  // `stopped`, if there is one, tells of a Ctrl-C that another thread has seen.
  LaneRanking(const Links& links, Team& team, const std::atomic<bool>* stopped)
      : links_(links),
        arriving_{links.starts(), links.columns(), links.weights(), links.n_core()},
        kernel_(pagerank_f64()),
        team_(team),
        stopped_(stopped),
        n_(links.n_nodes()),
        n_core_(links.n_core()),
        right_(checked_product(lanes, n_)),
        t_(checked_product(lanes, n_)),
        y_(checked_product(lanes, n_core_)),
        z_(checked_product(2 * lanes, n_core_)),
        residuals_(checked_product(lanes, links.n_core_blocks() + 1)) {}

  bool ready() const { return right_ && t_ && y_ && z_ && residuals_; }

  // `count` <= 8 rankings. False if interrupted.
  bool run(Size count, const double* personalization, const RankStop* stop, double* score,
           RankCertificate* certificate) {
    load(count, personalization, stop);
    Size n_iter = 0, left = count;
    for (;;) {
      over_core([&](Size, Size first, Size last) {
        kernel_.pull_lanes(arriving_, first, last, z_.data(), t_.data());
      });
      ++n_iter;
      weigh();
      bool rest_known = false;
      for (Size l = 0; l < count && !interrupted_; ++l) {
        if (done_[l] || !(good_enough(l, stop[l]) || n_iter >= stop[l].max_iter)) continue;
        if (!rest_known) pull_rest();
        rest_known = true;
        put_down(l, stop[l], n_iter, score + l * n_, certificate[l]);
        --left;
      }
      if (interrupted_) return false;
      if (left == 0) return true;
      advance();
      for (int sweep = 0; sweep < sweeps_per_round; ++sweep) relax();
      n_iter += sweeps_per_round;
    }
  }

 private:
  static constexpr int sweeps_per_round = 3;
  static constexpr int chains = 2;  // of pull_lanes

  template <class Body>
  void over_core(Body&& body) {
    team_.run(
        links_.n_core_blocks(), [&](Size block) { body(block, links_.first_row(block), links_.first_row(block + 1)); },
        [&] {
          interrupted_ = interrupted_ || (stopped_ != nullptr && stopped_->load(std::memory_order_relaxed)) ||
                         timer_.interrupted();
        });
  }

  // Lanes without a ranking repeat the last one.
  void load(Size count, const double* personalization, const RankStop* stop) {
    for (Size l = 0; l < lanes; ++l) {
      const Size own = std::min(l, count - 1);
      const double* v = personalization + own * n_;
      for (Size i = 0; i < n_; ++i) right_[lanes * links_.label()[i] + l] = v[i];
      double rest = 0;
      for (Size r = n_core_; r < n_; ++r) rest += right_[lanes * r + l];
      of_rest_[l] = rest;
      damping_[l] = stop[own].damping;
      gamma_[l] = 0;
      done_[l] = false;
    }
    interrupted_ = false;
    std::fill_n(t_.data(), lanes * n_, 0.0);
    advance();
  }

  LaneFactors factors() const { return {damping_, links_.inverse_strength()}; }
  void advance() {
    over_core([&](Size, Size first, Size last) {
      kernel_.advance_lanes(factors(), right_.data(), t_.data(), gamma_, first, last, y_.data(), z_.data(), n_core_);
    });
  }
  // Leaves both halves of z alike.
  void relax() {
    over_core([&](Size, Size first, Size last) {
      kernel_.relax_lanes(arriving_, factors(), first, last, right_.data(), z_.data(), y_.data());
    });
    over_core([&](Size, Size first, Size last) {
      std::copy(z_.data() + lanes * (n_core_ + first), z_.data() + lanes * (n_core_ + last), z_.data() + lanes * first);
    });
  }
  void pull_rest() {
    const Size n_core_blocks = links_.n_core_blocks();
    team_.run(links_.n_blocks() - n_core_blocks, [&](Size block) {
      const Size b = n_core_blocks + block;
      kernel_.pull_lanes(arriving_, links_.first_row(b), links_.first_row(b + 1), z_.data(), t_.data());
    });
  }
  // Residuals of y, and the factors that bring their sums to zero.
  void weigh() {
    over_core([&](Size block, Size first, Size last) {
      kernel_.residual_lanes(right_.data(), t_.data(), y_.data(), first, last, residuals_.data() + lanes * block);
    });
    for (Size l = 0; l < lanes; ++l) {
      total_[l] = {};
      for (Size block = 0; block < links_.n_core_blocks(); ++block) {
        const RankResidual& r = residuals_[lanes * block + l];
        total_[l].absolute += r.absolute;
        total_[l].sum += r.sum;
        total_[l].of_y += r.of_y;
        total_[l].of_t += r.of_t;
      }
      const double given = total_[l].of_y - total_[l].of_t;  // what the right side would have to give for this y
      gamma_[l] = given > 0 ? (given + total_[l].sum) / given : 1;
    }
  }
  // As good as was asked for, or as rounding allows.
  bool good_enough(Size l, const RankStop& stop) const {
    const RankResidual& r = total_[l];
    const double whole = r.of_y + of_rest_[l] + stop.damping * r.of_y - r.of_t;
    const double norm = r.absolute + std::fabs(r.sum);
    const double error = norm == 0 ? 0 : stop.damping / (1 - stop.damping) * norm / whole;
    const double rounding = rounding_of_rank(links_, chains, stop.damping);
    return error + rounding_to_spare * rounding <= stop.tol || error <= rounding / 2;
  }
  void put_down(Size l, const RankStop& stop, Size n_iter, double* score, RankCertificate& certificate) {
    const OrderedVector v{right_.data() + l, of_rest_[l]};
    const double error = finish_scores(links_, v, v, {y_.data() + l, t_.data() + l, stop.damping}, lanes, score);
    certificate.error_bound = std::min(error + rounding_of_rank(links_, chains, stop.damping), most_error);
    certificate.n_iter = n_iter;
    certificate.converged = certificate.error_bound <= stop.tol;
    done_[l] = true;
  }

  const Links& links_;
  const ArrivingLinks arriving_;
  const PageRankKernel& kernel_;
  Team& team_;
  const std::atomic<bool>* stopped_;
  InterruptTimer timer_;
  const Size n_, n_core_;
  Room<double> right_, t_, y_, z_;
  Room<RankResidual> residuals_;
  alignas(64) double damping_[lanes] = {};
  alignas(64) double gamma_[lanes] = {};
  double of_rest_[lanes] = {};
  RankResidual total_[lanes] = {};
  bool done_[lanes] = {}, interrupted_ = false;
};

}  // namespace mmlfast::drivers
