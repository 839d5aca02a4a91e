// A graph taken in for ranking: from the links that leave each node (CSR, rows in any order) to the links that arrive
// at each node, with the nodes renumbered. The passes of a counting sort in two stages; the driver divides them over
// threads and adds the counts up between them.
//
// Nodes are renumbered: those that no link leaves come last. Unless most links go to near nodes anyway, the others are
// put into groups by how many links leave them, in powers of two, most first and in their old order within a group [1]:
// what a ranking reads over and over then lies together.
// The sort goes through buckets of rows small enough for the cache, so that no write of it is a random access to the
// whole table [2].
//
// range: the least and the largest of the weights [first, last), and whether none is negative, infinite or NaN.
// strengths: sums of the weights of rows [first, last), with compensation.
//   starts, weights  IN   CSR of the links out: row i has weights[starts[i]] .. weights[starts[i + 1] - 1]
//   strength         OUT  one per row
// count: how many links of rows [first, last) arrive in each slot of 2^shift nodes.
//   label            IN   new number of each node; rows with a label of n_core and more have no links that count
//   slots            IN, OUT  counts, added to
//   Returns the position of the first target that is no node, or -1; those are not counted.
// scatter: the same links written to the buckets of their targets.
//   bucket_of_slot   IN   bucket of each slot;  first_row  IN  first new number in each bucket
//   cursor           IN, OUT  where each bucket has got to
//   source, row, weight  OUT  per link: new number of its source, row within its bucket (< 65536), weight / strength
// gather: the links of one bucket, sorted by target, in the place where they are.
//   starts           OUT  starts[r] for the rows of the bucket: where row r begins; the last one's end is not written
//   source, weight   IN, OUT  the sources of each row in the order in which they came
//   Sources in [block_of_slot, row) are written with n_core added: they are what a sweep over the block reads of what
//   it has itself written (kernels/pagerank.hpp).
//   sorted           SCRATCH  gather_bytes(bucket) bytes, for 8-byte numbers
//
// Work: no flops but the sums; per link 4 (or 8) bytes read twice and a label looked up twice, 6 bytes written and
// read, 4 bytes written (and 8 more each time with weights). Exact but for weight / strength, which has a relative
// error of at most 2 u + (links of the row)^2 u^2.
//
// Sources: [1] Faldu, Diamond and Grot, A closer look at lightweight graph reordering, IISWC 2019 (degree-based
// grouping); [2] Beamer, Asanovic and Patterson, Reducing Pagerank communication via propagation blocking, IPDPS 2017.
//
//     order = numpy.argsort(-numpy.frexp(numpy.diff(indptr))[1], kind="stable")
//     arriving = links[order][:, order].T.tocsr()
#pragma once

#include "kernels/common/arriving_links.hpp"
#include "simd/level.hpp"

namespace mmlfast {

// Links that leave each node. `weights` is nullptr where all are equal.
template <class Index>
struct LinksOut {
  std::int64_t n;
  const Index* starts;
  const Index* targets;
  const double* weights;
  std::int64_t n_stored;  // targets and weights there are
};

struct WeightRange {
  double least, most;
  bool good;
};

struct NodeLabels {
  const Node* label;
  Node n_core;
  int shift;
};

// Where the links are on their way: one entry of each array per link.
struct LinkStream {
  Node* source;
  std::uint16_t* row;
  double* weight;
};

struct LinkBuckets {
  const std::uint32_t* bucket_of_slot;
  const Node* first_row;
  std::int64_t* cursor;
  // Where the room of these links in each bucket ends. Links beyond it are counted by the cursor and not written: the
  // targets are no longer those that were counted.
  const std::int64_t* last;
};

// One bucket: links [first, last) of the stream, for rows [first_row, last_row).
struct LinkBucket {
  std::int64_t first, last;
  Node first_row, last_row;
};

// What becomes of the links that arrive.
struct LinksIn {
  std::int64_t* starts;
  Node n_core;
  const Node* block_of_slot;
  int shift;
};

constexpr std::int64_t gather_bytes(const LinkBucket& bucket, bool weighted) {
  return 4 * (std::int64_t{bucket.last_row} - bucket.first_row + 1) +
         (weighted ? 12 : 4) * (bucket.last - bucket.first);
}

template <class Index>
struct LinksIntake {
  WeightRange (*range)(const double* weights, std::int64_t first, std::int64_t last);
  void (*strengths)(const LinksOut<Index>& links, std::int64_t first, std::int64_t last, double* strength);
  std::int64_t (*count)(const LinksOut<Index>& links, const NodeLabels& nodes, std::int64_t first, std::int64_t last,
                        std::uint32_t* slots);
  // `strength` by node; not looked at without weights.
  void (*scatter)(const LinksOut<Index>& links, const NodeLabels& nodes, const double* strength, std::int64_t first,
                  std::int64_t last, const LinkBuckets& buckets, const LinkStream& to);
  void (*gather)(const LinkStream& links, const LinkBucket& bucket, const LinksIn& to, void* sorted);
};

MMLFAST_KERNEL_TABLE(LinksIntake<std::int32_t>, links_i32)
MMLFAST_KERNEL_TABLE(LinksIntake<std::int64_t>, links_i64)

}  // namespace mmlfast
