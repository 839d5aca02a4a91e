#include "drivers/pagerank_components.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "drivers/pagerank_blocks.hpp"
#include "drivers/pagerank_finish.hpp"
#include "kernels/pagerank_components.hpp"
#include "runtime/interrupt.hpp"

namespace mmlfast::drivers {
namespace {

class ComponentRanking {
 public:
  static constexpr Size lanes = RankComponentsKernel::lanes;

  // `stopped` tells of a Ctrl-C that another thread has seen.
  ComponentRanking(const LinkComponents& components, Team& team, const std::atomic<bool>& stopped)
      : components_(components),
        links_(components.links()),
        kernel_(kernel_of<RankComponentsKernel>()),
        finish_(links_, team),
        stopped_(stopped),
        n_(links_.n_nodes()),
        n_core_(links_.n_core()),
        r_(checked_product(lanes, n_core_)),
        z_(checked_product(lanes, n_core_)),
        right_(checked_product(lanes, n_)),
        y_(checked_product(lanes, n_core_)),
        z64_(checked_product(half, n_core_)),
        t_(checked_product(half, n_)) {}

  bool ready() const { return r_ && z_ && right_ && y_ && z64_ && t_; }

  // Rankings which[0] .. which[count - 1], count <= 16, of the table. False if interrupted. A ranking that gets no
  // better is left undone.
  bool run(const Size* which, Size count, const RankTable& table) {
    load(which, count, table);
    Size left = count;
    while (left > 0 && !interrupted_) {
      for (Size l = 0; l < count; ++l)
        if (!over_[l]) plan(l, table.stop[which[l]]);
      correct();
      for (Size first = 0; first < count && !interrupted_; first += half) {
        refine(first);
        bool rest_known = false;
        for (Size l = first; l < std::min(count, first + half) && !interrupted_; ++l) {
          if (over_[l]) continue;
          const Size i = which[l];
          const bool good = good_enough(l, table.stop[i]), stuck = !(norm_[l] <= 0.25 * norm_before_[l]);
          if (!good && !stuck) continue;
          if (good) {
            if (!rest_known) pull(n_core_, n_);
            rest_known = true;
            put_down(l, table.stop[i], table.score + i * n_, table.certificate[i]);
            table.done[i] = true;
          }
          over_[l] = true;
          --left;
        }
      }
    }
    return !interrupted_;
  }

 private:
  static constexpr Size half = RankComponentsKernel::half;
  static constexpr int chains = 2;                  // of pull_lanes
  static constexpr double one = 0x1p60;             // the size of a right side in float32: far from the least numbers
  static constexpr double least_correction = 2e-6;  // of what is left: float32 is good to a little less

  void look() { interrupted_ = interrupted_ || stopped_.load(std::memory_order_relaxed) || timer_.interrupted(); }
  // body(first, last) for pieces of the rows.
  template <class Body>
  void over_pieces(Size first, Size last, Body&& body) {
    constexpr Size piece = 1 << 16;
    for (Size r = first; r < last && !interrupted_; r += piece) {
      body(r, std::min(last, r + piece));
      look();
    }
  }
  double* right_of(Size first) const { return right_.data() + first * n_; }
  double* y_of(Size first) const { return y_.data() + first * n_core_; }

  void load(const Size* which, Size count, const RankTable& table) {
    std::fill_n(r_.data(), lanes * n_core_, 0.0f);
    std::fill_n(y_.data(), lanes * n_core_, 0.0);
    interrupted_ = false;
    for (Size l = 0; l < lanes; ++l) {
      over_[l] = l >= count;
      damping_[l] = table.stop[which[std::min(l, count - 1)]].damping;
      damping32_[l] = static_cast<float>(damping_[l]);
      norm_[l] = whole_[l] = 1;
      scale_[l] = one;
      n_read_[l] = 0;
      of_rest_[l] = 0;
    }
    for (Size first = 0; first < count; first += half) load_half(which, first, count, table);
  }
  void load_half(const Size* which, Size first, Size count, const RankTable& table) {
    const double* from[half];
    for (Size l = 0; l < half; ++l) from[l] = table.personalization + which[std::min(first + l, count - 1)] * n_;
    double* right = right_of(first);
    over_pieces(0, n_, [&](Size begin, Size end) {
      for (Size i = begin; i < end; ++i) {
        const Size r = links_.label()[i];
        for (Size l = 0; l < half; ++l) right[half * r + l] = from[l][i];
      }
    });
    for (Size r = 0; r < n_core_; ++r)
      for (Size l = 0; l < half && first + l < count; ++l)
        r_[lanes * r + first + l] = static_cast<float>(one * right[half * r + l]);
    for (Size r = n_core_; r < n_; ++r)
      for (Size l = 0; l < half; ++l) of_rest_[first + l] += right[half * r + l];
  }

  // How much the next correction may leave of the residual: what is asked for, if need be by several corrections.
  void plan(Size l, const RankStop& stop) {
    const double d = stop.damping, rounding = rounding_of_rank(links_, chains, d);
    const double goal = std::max(stop.tol - rounding_to_spare * rounding, rounding / 2);
    // The bound is at most 2 d / (1 - d) times the residual; a little is for rounding.
    double part = std::min(0.4 * goal * whole_[l] * (1 - d) / d / norm_[l], 0.1);
    while (part < least_correction) part = std::sqrt(part);
    part_[l] = part;
    most_sweeps_[l] = 4;
    for (double error = 1; error > part * (1 - d) / 8; error *= d) ++most_sweeps_[l];
    norm_before_[l] = norm_[l];
  }

  // The correction z_ for the residual r_, by components. What changes in the last sweep over a component is what it
  // leaves: a part of the whole that goes by its score and by its rows, half of it each.
  void correct() {
    Size read = 0;
    const ComponentRows rows = components_.rows();
    for (Size c = 0; c < components_.n_runs() && !interrupted_; ++c) {
      const ComponentRun& run = components_.run(c);
      kernel_.enter(rows, damping32_, run.first, run.last, r_.data(), z_.data());
      read += run.n_outer;
      for (Size l = 0; l < lanes; ++l) n_read_[l] += run.n_outer;
      if (run.several) read += iterate(rows, run);
      if (read > 1 << 18) {
        read = 0;
        look();
      }
    }
  }
  Size iterate(const ComponentRows& rows, const ComponentRun& run) {
    alignas(64) float live[lanes], sums[2 * lanes];
    const double rows_part = static_cast<double>(run.last - run.first) / static_cast<double>(n_core_);
    Size left = 0, read = 0;
    for (Size l = 0; l < lanes; ++l) {
      live[l] = over_[l] ? 0 : 1;
      left += !over_[l];
    }
    for (Size sweep = 1; left > 0 && !interrupted_; ++sweep) {
      kernel_.sweep(rows, damping32_, live, run.first, run.last, r_.data(), z_.data(), sums);
      read += run.n_inner;
      for (Size l = 0; l < lanes; ++l) {
        if (live[l] == 0) continue;
        n_read_[l] += run.n_inner;
        const double d = damping_[l],
                     may = (1 - d) * static_cast<double>(sums[lanes + l]) + d * rows_part * scale_[l] * norm_[l];
        if (static_cast<double>(sums[l]) > part_[l] / 2 * may && sweep < most_sweeps_[l]) continue;
        live[l] = 0;
        --left;
      }
      if (read > 1 << 20) {
        read = 0;
        look();
      }
    }
    return read;
  }

  void pull(Size begin, Size end) {
    over_pieces(begin, end, [&](Size first, Size last) {
      kernel_of<PageRankKernel>().pull_lanes(arriving(links_), first, last, z64_.data(), t_.data());
    });
  }

  // The solution of eight rankings with the correction, and its residual.
  void refine(Size first) {
    alignas(64) double back[half], sums[4 * half];
    for (Size l = first; l < first + half; ++l) {
      back[l - first] = over_[l] ? 0 : 1 / (scale_[l] * damping_[l]);
      scale_[l] = over_[l] ? 0 : one / (norm_[l] * part_[l]);  // for the residual that is to come
    }
    double* y = y_of(first);
    over_pieces(0, n_core_, [&](Size begin, Size end) {
      kernel_.advance(damping_ + first, links_.inverse_strength() + begin, components_.strength() + begin, back,
                      z_.data() + lanes * begin + first, end - begin, y + half * begin, z64_.data() + half * begin);
    });
    pull(0, n_core_);
    for (auto& of : total_) std::fill_n(of + first, half, 0.0);
    over_pieces(0, n_core_, [&](Size begin, Size end) {
      kernel_.residual(right_of(first) + half * begin, t_.data() + half * begin, y + half * begin, scale_ + first,
                       end - begin, r_.data() + lanes * begin + first, sums);
      for (int i = 0; i < 4; ++i)
        for (Size l = 0; l < half; ++l) total_[i][first + l] += sums[i * half + l];
    });
    for (Size l = first; l < first + half; ++l) {
      norm_[l] = total_[0][l];
      whole_[l] = total_[2][l] + of_rest_[l] + damping_[l] * total_[2][l] - total_[3][l];
    }
  }
  // As good as was asked for, or as rounding allows.
  bool good_enough(Size l, const RankStop& stop) const {
    const double norm = norm_[l] + std::fabs(total_[1][l]);
    const double error = norm == 0 ? 0 : stop.damping / (1 - stop.damping) * norm / whole_[l];
    const double rounding = rounding_of_rank(links_, chains, stop.damping);
    return error + rounding_to_spare * rounding <= stop.tol || error <= rounding / 2;
  }
  void put_down(Size l, const RankStop& stop, double* score, RankCertificate& certificate) {
    const Size first = l / half * half;
    const OrderedVector v{right_of(first) + l - first, of_rest_[l]};
    const double error = finish_.run(v, v, {y_of(first) + l - first, t_.data() + l - first, stop.damping}, half, score);
    certificate.error_bound = std::min(error + rounding_of_rank(links_, chains, stop.damping), most_error);
    certificate.n_iter = (n_read_[l] + links_.n_links() - 1) / std::max<Size>(links_.n_links(), 1) + 1;
    certificate.converged = certificate.error_bound <= stop.tol;
  }

  const LinkComponents& components_;
  const Links& links_;
  const RankComponentsKernel& kernel_;
  ScoreFinish finish_;
  const std::atomic<bool>& stopped_;
  InterruptTimer timer_;
  const Size n_, n_core_;
  AlignedBuffer<float> r_, z_;  // the residual, then what arrives; the correction. Both times scale_
  AlignedBuffer<double> right_, y_, z64_, t_;
  alignas(64) double damping_[lanes] = {}, scale_[lanes] = {};
  alignas(64) float damping32_[lanes] = {};
  double norm_[lanes] = {}, norm_before_[lanes] = {}, whole_[lanes] = {}, part_[lanes] = {}, of_rest_[lanes] = {};
  double total_[4][lanes] = {};
  Size n_read_[lanes] = {}, most_sweeps_[lanes] = {};
  bool over_[lanes] = {}, interrupted_ = false;
};

}  // namespace

bool suits_components(const RankStop& stop) {
  constexpr double least_damping = 0.01, most_damping = 0.99;
  if (!(stop.damping >= least_damping && stop.damping <= most_damping)) return false;
  const double left = 1 - stop.damping;
  double error = std::max(stop.tol, 1e-15) * left * left * left * 1e-3;
  Size sweeps = 20;
  for (; error < 1; error /= stop.damping) ++sweeps;
  return sweeps <= stop.max_iter;
}

// By components, one group of rankings per thread; each thread keeps its memory for the groups that it takes.
Outcome rank_components(const LinkComponents& components, const Size* which, Size count, const RankTable& table) {
  constexpr Size lanes = ComponentRanking::lanes;
  const Size n_groups = ceil_div(count, lanes);
  const double ns = 20 * lanes * sweep_ns(components.links()) * static_cast<double>(n_groups);
  RankWork work;
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

}  // namespace mmlfast::drivers
