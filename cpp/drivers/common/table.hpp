// A table in memory: rows of numbers, with weights if there are any.
#pragma once

#include "kernels/common/layout.hpp"
#include "runtime/sizes.hpp"

namespace mmlfast::drivers {

template <class T>
struct Table {
  const T* data;
  Layout layout;
  const double* weights = nullptr;  // null: all 1
  Size weights_stride = 0;

  Table rows(Size first, Size count) const noexcept {
    return {data + first * layout.row_stride,
            {count, layout.cols, layout.row_stride, layout.col_stride},
            weights == nullptr ? nullptr : weights + first * weights_stride,
            weights_stride};
  }
};

}  // namespace mmlfast::drivers
