// Moments of tables of any size: whole blocks of rows in parallel, merged in a fixed binary tree that depends on the
// number of rows alone, and the state that makes it incremental.
#pragma once

#include <algorithm>
#include <cstdint>
#include <new>
#include <utility>
#include <vector>

#include "drivers/common/batch.hpp"
#include "kernels/covariance.hpp"
#include "runtime/outcome.hpp"

namespace mmlfast::drivers {

// Zero-initialised, 64-byte aligned doubles that may fail to be there.
class Doubles {
 public:
  Doubles() noexcept = default;
  ~Doubles() {
    if (data_ != nullptr) ::operator delete(data_, alignment);
  }
  Doubles(Doubles&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  Doubles& operator=(Doubles&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }

  // What was there is lost.
  bool allocate(Size count) noexcept {
    const Size bytes = checked_product(std::max<Size>(count, 8), 8);
    if (bytes < 0) return false;
    Doubles fresh;
    fresh.data_ = static_cast<double*>(::operator new(static_cast<std::size_t>(bytes), alignment, std::nothrow));
    if (fresh.data_ == nullptr) return false;
    fresh.size_ = count;
    std::fill_n(fresh.data_, std::max<Size>(count, 8), 0.0);
    *this = std::move(fresh);
    return true;
  }
  bool copy(const Doubles& other) noexcept {
    if (!other) {
      *this = Doubles{};
      return true;
    }
    if (!allocate(other.size_)) return false;
    std::copy_n(other.data_, other.size_, data_);
    return true;
  }

  double* data() const noexcept { return data_; }
  explicit operator bool() const noexcept { return data_ != nullptr; }

 private:
  static constexpr std::align_val_t alignment{64};
  double* data_ = nullptr;
  Size size_ = 0;
};

// A table with the weights of its rows (null: all 1).
template <class T>
struct Table {
  const T* data;
  Layout layout;
  const double* weights;
  Size weights_stride;

  Table rows(Size first, Size count) const noexcept {
    return {data + first * layout.row_stride,
            {count, layout.cols, layout.row_stride, layout.col_stride},
            weights == nullptr ? nullptr : weights + first * weights_stride,
            weights_stride};
  }
};

// How much of the moments: the mean (the diagonal of M2 is then anything), the diagonal too, all.
enum class Want { mean, variance, covariance };

// Mean and second moments of the rows seen so far. Rows are counted into blocks of CovarianceShape::rows; the rows of
// an unfinished block are kept, so that any chunking gives the same bits. Blocks are reduced to nodes and the nodes
// merged like the digits of a binary counter (CovarianceShape::sequential: one node for all). What came by merge() and
// went by remove() is kept apart, and joined when the result is asked for. Not thread-safe.
class Moments {
 public:
  Moments(Size d, Want want) noexcept;

  Size columns() const noexcept { return shape_.d; }
  bool weighted() const noexcept { return weighted_; }

  // After an interruption the rows up to some whole block have been taken in.
  template <class T>
  Outcome update(const Table<T>& table) noexcept;

  // The sum of the weights of the rows.
  double weight() const noexcept;
  Outcome merge(const Moments& other) noexcept;
  // Takes rows out again. They must be among those taken in: the weight must not become negative (the caller checks).
  Outcome remove(const Moments& other) noexcept;
  Outcome copy(const Moments& other) noexcept;

  // The node of all rows together; `node` gets CovarianceShape::node_size() doubles. Changes nothing.
  Outcome total(Doubles& node) const noexcept;

  // mean[j], and cov[i, j] = M2 / max(weight - ddof, 0), of the node. covariance: d x d, or d values if not full; with
  // `root` their square roots. The node is that of columns times 2^-powers[j] (null: of the columns).
  template <class T>
  static void write_mean(const CovarianceShape& shape, const double* node, const double* powers, T* mean,
                         Size stride) noexcept;
  template <class T>
  static void write_covariance(const CovarianceShape& shape, const double* node, const double* powers, double ddof,
                               T* cov, const Layout& layout) noexcept;
  template <class T>
  static void write_variance(const CovarianceShape& shape, const double* node, const double* powers, double ddof,
                             bool root, T* variance, Size stride) noexcept;
  // cor[i, j] = M2_ij / sqrt(M2_ii M2_jj), which powers do not change; NaN where nothing varies.
  template <class T>
  static void write_correlation(const CovarianceShape& shape, const double* node, T* cor,
                                const Layout& layout) noexcept;

  const CovarianceShape& shape() const noexcept { return shape_; }

  // The whole state as numbers, and back; false if the numbers are no state.
  bool save(std::vector<double>& to) const;
  bool restore(const std::vector<double>& from);

 private:
  static constexpr int most_levels = 48;

  bool consistent() const noexcept;

  Size node_size() const noexcept { return shape_.node_size(full_); }
  Outcome push(const double* node, int level) noexcept;
  Outcome join(Doubles& into, const Doubles& node, double sign) const noexcept;
  template <class T>
  Outcome fill_open(const Table<T>& table) noexcept;
  template <class T>
  Outcome whole_blocks(const Table<T>& table, Size n_blocks) noexcept;
  template <class T>
  Outcome sequential_block(const Table<T>& table) noexcept;
  Outcome close_open() noexcept;

  CovarianceShape shape_;
  Want want_;
  bool full_, weighted_ = false;  // full_: all of M2
  std::uint64_t n_blocks_ = 0;  // bit l set: levels_[l] holds the node of 2^l blocks (sequential: levels_[0] holds all)
  Doubles levels_[most_levels];
  Doubles open_, open_weights_;  // the packed rows of the unfinished block
  Size open_rows_ = 0;
  double open_weight_ = 0, closed_weight_ = 0;
  Doubles merged_, removed_;
};

// covariance: one d x d item (variance: a column of d) per table of n x d; weights (null data: none): a column of n per
// table; one ddof per item.
template <class T>
Outcome covariance(Size n_items, const Batch<const T>& x, const Batch<const double>& weights,
                   const Batch<const double>& ddof, const Batch<T>& cov) noexcept;
template <class T>
Outcome correlation(Size n_items, const Batch<const T>& x, const Batch<const double>& weights,
                    const Batch<T>& cor) noexcept;
// root: standard deviations.
template <class T>
Outcome variance(Size n_items, const Batch<const T>& x, const Batch<const double>& weights,
                 const Batch<const double>& ddof, bool root, const Batch<T>& var) noexcept;
template <class T>
Outcome mean(Size n_items, const Batch<const T>& x, const Batch<const double>& weights, const Batch<T>& mean) noexcept;

}  // namespace mmlfast::drivers
