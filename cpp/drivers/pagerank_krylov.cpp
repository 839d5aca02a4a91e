#include "drivers/pagerank_krylov.hpp"

#include <algorithm>
#include <cmath>

#include "drivers/common/length.hpp"
#include "runtime/interrupt.hpp"

namespace mmlfast::drivers {
namespace {

// The least-squares problem of GMRES, kept triangular by rotations.
class Hessenberg {
 public:
  void start(double beta) {
    size_ = 0;
    g_[0] = beta_ = beta;
  }
  double beta() const { return beta_; }
  // Column `size` with its entries above and at the diagonal, and the one below. Returns the residual norm.
  double add(const double* column, double below) {
    const int j = size_++;
    double* h = r_[j];
    for (int i = 0; i <= j; ++i) h[i] = column[i];
    for (int i = 0; i < j; ++i) {
      const double upper = cos_[i] * h[i] + sin_[i] * h[i + 1];
      h[i + 1] = cos_[i] * h[i + 1] - sin_[i] * h[i];
      h[i] = upper;
    }
    const double length = length_of(h[j], below);
    cos_[j] = length > 0 ? h[j] / length : 1;
    sin_[j] = length > 0 ? below / length : 0;
    h[j] = length;
    g_[j + 1] = -sin_[j] * g_[j];
    g_[j] = cos_[j] * g_[j];
    return std::fabs(g_[j + 1]);
  }
  int size() const { return size_; }
  void solve(double* c) const {
    for (int i = size_ - 1; i >= 0; --i) {
      double sum = g_[i];
      for (int j = i + 1; j < size_; ++j) sum -= r_[j][i] * c[j];
      c[i] = r_[i][i] > 0 ? sum / r_[i][i] : 0;
    }
  }

 private:
  static constexpr int most = PageRankKernel::most_basis;
  int size_ = 0;
  double beta_ = 0;
  double r_[most][most + 1], g_[most + 1], cos_[most], sin_[most];
};

// Solves for one right side after the other. All vectors are in the new order of the nodes.
class RankSolver {
 public:
  RankSolver(const Links& links, double damping, double tol, Size max_iter, Team& team)
      : links_(links),
        arriving_(arriving(links)),
        kernel_(kernel_of<PageRankKernel>()),
        team_(team),
        damping_(damping),
        tol_(tol),
        max_iter_(max_iter),
        n_core_(links.n_core()),
        n_blocks_(links.n_core_blocks()),
        most_basis_(damping > 0.95 ? 32 : 12) {
    constexpr int chains = 4;  // of pull
    twice_ = rounding_of_rank(links_, chains, damping_) > tol / 8;
    rounding_ = rounding_of_rank(links_, twice_ ? 0 : chains, damping_);
    allocate();
  }

  bool ready() const { return ready_; }
  bool interrupted() const { return interrupted_; }
  Size n_iter() const { return n_iter_; }
  double rounding() const { return rounding_; }

  double* y() const { return y_.data(); }
  double* t() const { return t_.data(); }

  // y for b, which has sum 1 over all nodes and `of_rest` over those outside the core, as far as it goes.
  void solve(const double* b, double of_rest) {
    std::fill_n(y_.data(), n_core_, 0.0);
    std::fill_n(z_.data(), 2 * n_core_, 0.0);
    std::fill_n(t_.data(), n_core_, 0.0);
    double before = 2 / (1 - damping_), scale = 1;
    int standstill = 0, stuck = 0;
    for (;;) {
      const RankResidual r = residual(b, scale);
      const double total = r.of_y + of_rest + damping_ * r.of_y - r.of_t;
      const double bound = damping_ / (1 - damping_) * (r.absolute + std::fabs(r.sum)) / total;
      if (interrupted_ || bound + rounding_to_spare * rounding_ <= tol_ || r.absolute == 0) return;
      standstill = bound > before / 2 ? standstill + 1 : 0;
      stuck = bound > 0.98 * before ? stuck + 1 : 0;  // damping too close to 1 for float32
      if (n_iter_ >= max_iter_ || stuck > 10 || (standstill > 2 && bound < 8 * rounding_)) return;
      before = std::min(before, bound);
      if (scale * r.absolute < 1e-3 || scale * r.absolute > 1e3) {  // float32 wants numbers of about 1
        scale = 1 / r.absolute;
        residual(b, scale);
      }
      cycle(std::max(0.2 * (tol_ - rounding_) / bound, 0.0), 1 / scale);
      scale /= std::max(reduction_, 1e-6);
      if (interrupted_) return;
      pull_core();
    }
  }

  // t of the rows outside the core, for the present y.
  void pull_rest() {
    over_row_blocks(
        team_, links_, n_blocks_, links_.n_blocks(),
        [&](Size, Size first, Size last) { kernel_.pull(arriving_, first, last, z_.data(), twice_, t_.data()); },
        [&] { look(); });
  }

  // Makes y the present one, if it was changed from outside.
  void pull_again() {
    over_blocks([&](Size, Size first, Size last) {
      kernel_.advance(nullptr, nullptr, 0, scale_.data(), first, last, y_.data(), z_.data(), n_core_);
    });
    pull_core();
  }

 private:
  static constexpr int sums_per_block = PageRankKernel::most_basis + 8;  // whole cache lines

  void allocate() {
    y_ = AlignedBuffer<double>(n_core_);
    z_ = AlignedBuffer<double>(checked_product(2, n_core_));
    t_ = AlignedBuffer<double>(links_.n_nodes());
    scale_ = AlignedBuffer<double>(n_core_);
    factor_ = AlignedBuffer<float>(n_core_);
    inner_z_ = AlignedBuffer<float>(checked_product(2, n_core_));
    right_ = AlignedBuffer<float>(n_core_);
    image_ = AlignedBuffer<float>(n_core_);
    row_ = (n_core_ + 15) / 16 * 16;
    basis_ = AlignedBuffer<float>(checked_product(most_basis_ + 1, row_));
    sums_ = AlignedBuffer<double>(checked_product(n_blocks_ + 1, sums_per_block));
    ready_ = y_ && z_ && t_ && scale_ && factor_ && inner_z_ && right_ && image_ && basis_ && sums_;
    if (!ready_) return;
    for (int i = 0; i <= most_basis_; ++i) vectors_[i] = basis_.data() + i * row_;
    over_blocks([&](Size, Size first, Size last) {
      for (Size r = first; r < last; ++r) {
        scale_[r] = damping_ * links_.inverse_strength()[r];
        factor_[r] = static_cast<float>(scale_[r]);
      }
    });
  }

  void look() { interrupted_ = interrupted_ || timer_.interrupted(); }
  // body(block, first row, last row), over the blocks of the core.
  template <class Body>
  void over_blocks(Body&& body) {
    over_row_blocks(team_, links_, 0, n_blocks_, body, [&] { look(); });
  }
  double* block_sums(Size block) { return sums_.data() + block * sums_per_block; }
  double total(int which) {
    double sum = 0;
    for (Size block = 0; block < n_blocks_; ++block) sum += block_sums(block)[which];
    return sum;
  }

  void pull_core() {
    over_blocks(
        [&](Size, Size first, Size last) { kernel_.pull(arriving_, first, last, z_.data(), twice_, t_.data()); });
    ++n_iter_;
  }

  RankResidual residual(const double* b, double scale) {
    over_blocks([&](Size block, Size first, Size last) {
      const RankResidual r = kernel_.residual(b, t_.data(), y_.data(), scale, first, last, right_.data());
      double* sums = block_sums(block);
      sums[0] = r.absolute, sums[1] = r.sum, sums[2] = r.of_y, sums[3] = r.of_t;
    });
    return {total(0), total(1), total(2), total(3)};
  }

  // One sweep from the newest of `size` basis vectors, and what it has in common with each. With none, the right side.
  void expand(int size) {
    const bool first_one = size == 0;
    over_blocks([&](Size block, Size first, Size last) {
      kernel_.relax(arriving_, first, last, first_one ? right_.data() : nullptr, factor_.data(), inner_z_.data(),
                    image_.data());
      kernel_.project(vectors_, size, first_one ? nullptr : vectors_[size - 1], image_.data(), first, last,
                      block_sums(block));
    });
    ++n_iter_;
  }

  // The next basis vector: what is left of the image without `c` of the others, times `scale`. Returns its length.
  double append(int size, const float* c, float scale) {
    over_blocks([&](Size block, Size first, Size last) {
      block_sums(block)[0] = kernel_.subtract(vectors_, c, size, image_.data(), scale, factor_.data(), first, last,
                                              basis_.data() + size * row_, inner_z_.data());
    });
    return std::sqrt(total(0));
  }

  // Takes the residual in right_ down by the factor `enough`, or as far as a basis goes; the correction times `unscale`
  // is added to y. Basis vectors have about unit length: length_ holds what it really is.
  void cycle(double enough, double unscale) {
    constexpr double most_in_float = 1e-5;
    std::fill_n(inner_z_.data(), n_core_, 0.0f);
    expand(0);
    const double beta = std::sqrt(total(0));
    reduction_ = 1;
    if (!(beta > 0) || interrupted_) return;
    length_[0] = append(0, nullptr, static_cast<float>(1 / beta));
    small_.start(beta * length_[0]);
    int size = 1;
    for (; size <= most_basis_ && !interrupted_; ++size) {
      expand(size);
      const bool ended = !orthogonalize(size);
      if (reduction_ <= std::max(enough, most_in_float) || ended || n_iter_ >= max_iter_) break;
    }
    double c[PageRankKernel::most_basis];
    small_.solve(c);
    for (int i = 0; i < small_.size(); ++i) c[i] *= unscale / length_[i];
    over_blocks([&](Size, Size first, Size last) {
      kernel_.advance(vectors_, c, small_.size(), scale_.data(), first, last, y_.data(), z_.data(), n_core_);
    });
  }

  // The image of basis vector size - 1 becomes a column of the small problem and basis vector `size`. False if nothing
  // new is left of it.
  bool orthogonalize(int size) {
    double column[PageRankKernel::most_basis + 1], left = total(size);
    float c[PageRankKernel::most_basis];
    const double own = length_[size - 1], whole = left;
    for (int i = 0; i < size; ++i) {
      const double common = total(i) / length_[i];
      column[i] = common / own;
      c[i] = static_cast<float>(common / length_[i]);
      left -= common * common;
    }
    const double size_left = std::sqrt(std::max(left, 1e-12 * whole));
    const bool ended = !(whole > 0) || left <= 1e-12 * whole;
    if (!ended && size < most_basis_) {
      length_[size] = append(size, c, static_cast<float>(1 / size_left));
      reduction_ = small_.add(column, length_[size] * size_left / own) / small_.beta();
    } else {
      reduction_ = small_.add(column, ended ? 0 : size_left / own) / small_.beta();
    }
    return !ended;
  }

  const Links& links_;
  const ArrivingLinks arriving_;
  const PageRankKernel& kernel_;
  Team& team_;
  InterruptTimer timer_;
  const double damping_, tol_;
  double rounding_ = 0, reduction_ = 1;
  const Size max_iter_, n_core_, n_blocks_;
  const int most_basis_;
  bool twice_ = false, ready_ = false, interrupted_ = false;
  Size n_iter_ = 0, row_ = 0;
  AlignedBuffer<double> y_, z_, t_, scale_, sums_;
  AlignedBuffer<float> factor_, inner_z_, right_, image_, basis_;
  const float* vectors_[PageRankKernel::most_basis + 1] = {};
  double length_[PageRankKernel::most_basis + 1] = {};
  Hessenberg small_;
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

}  // namespace

Outcome rank_by_krylov(const Links& links, const OrderedVector& v, const OrderedVector* dangling, const RankStop& stop,
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

}  // namespace mmlfast::drivers
