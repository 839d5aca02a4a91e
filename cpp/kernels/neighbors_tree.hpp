// The nearest points of eight queries at once, one in each lane, down a tree of boxes over points of few dimensions.
//
// Points are in an order in which neighbours stand close to each other. 16 of them are a leaf; 8 leaves that follow
// each other a node of level 1, 8 of these one of level 2, and so on, so a tree is its boxes alone, level by level.
//
// nearest: the k nearest points of each query
//   tree     IN       panels, boxes: see BoxTree
//   queries  IN       a panel (neighbors.hpp) of `count` queries, which stand close to each other; the rest of it is
//                     not looked at
//   list     SCRATCH  8 (k + 1) numbers
//   squares  OUT      k x 8: the squares of the distances of query l in column l
//   places   OUT      k x 8: the places of these points in the order of the tree
//   returns the queries that are undecided, as bits: where others are as near as the last one, to the digits that a key
//   has. Their k points are some of the near ones (with an infinite square: no point). The k points of the others are
//   the nearest ones; those that are equally far, or nearly so, are in no order.
//
// A key is the square of a distance whose last bits are the place of the point instead, read as a float64 again: a list
// of k + 1 keys in each lane is kept in order by minima and maxima alone. A box is left out if no query is nearer to it
// than its list reaches; the distance to a box is rounded as those to its points are, so it is never larger.
//
// Flops: 3 d per query and point of a leaf that is looked at, some 20 to 40 leaves for the eight; 2 (k + 1) per point
// that enters a list. Accuracy: the squares are those of squared_distances, to the bit. Nothing may be NaN or infinite,
// and no square.
//
// Sources: J. H. Friedman, J. L. Bentley and R. A. Finkel, An algorithm for finding best matches in logarithmic
// expected time, ACM TOMS 3 (1977); for the layout: I. Kamel and C. Faloutsos, On packing R-trees, CIKM (1993).
//
//     d2 = ((x[:, None] - y) ** 2).sum(axis=-1); places = numpy.argsort(d2, axis=1)[:, :k]
#pragma once

#include <cstddef>
#include <cstdint>

#include "simd/level.hpp"

namespace mmlfast {

struct BoxTree {
  static constexpr std::ptrdiff_t leaf_points = 16, children = 8, most_dimensions = 10, most_levels = 12;

  // The points, two panels to a leaf; places without a point are infinitely far.
  const double* panels;
  // Of each level, from the leaves up to at most 8 boxes, in groups of 8: per component the 8 least numbers, then the 8
  // largest. Places of a group without a box have infinity and minus infinity.
  const double* boxes[most_levels];
  std::ptrdiff_t n_levels, d;
  std::int64_t place_mask;  // 2^m - 1, no place is larger
};

struct NearestOfPanel {
  const double* queries;
  std::ptrdiff_t count, k;
  double* list;
  double* squares;
  std::uint32_t* places;
};

struct NeighborsTree {
  std::ptrdiff_t most_in_lanes;  // for more neighbours than these, lists are too long
  std::uint32_t (*nearest)(const BoxTree& tree, const NearestOfPanel& operands);
};

MMLFAST_KERNEL_TABLE(NeighborsTree, neighbors_tree)

}  // namespace mmlfast
