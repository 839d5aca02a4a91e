#include <algorithm>
#include <numeric>
#include <unordered_set>
#include <utility>

#include "drivers/tape_pattern.hpp"

namespace mmlfast::drivers {
namespace {

using Starts = std::span<const std::int64_t>;
using Columns = std::span<const std::int32_t>;
using Colours = std::vector<std::int32_t>;

std::size_t place(std::int64_t i) { return static_cast<std::size_t>(i); }

// Rows of a sparse pattern, owned.
struct Rows {
  std::vector<std::int64_t> starts;
  std::vector<std::int32_t> columns;

  std::int32_t count() const { return static_cast<std::int32_t>(starts.size() - 1); }
  Columns operator[](std::int32_t i) const {
    return Columns(columns).subspan(place(starts[place(i)]), place(starts[place(i) + 1] - starts[place(i)]));
  }
};

Rows transposed(Starts starts, Columns columns, std::int32_t n_columns) {
  Rows result{std::vector<std::int64_t>(place(n_columns) + 1, 0), std::vector<std::int32_t>(columns.size())};
  for (std::int32_t column : columns) ++result.starts[place(column) + 1];
  std::partial_sum(result.starts.begin(), result.starts.end(), result.starts.begin());
  std::vector<std::int64_t> next(result.starts.begin(), result.starts.end() - 1);
  for (std::size_t i = 0; i + 1 < starts.size(); ++i)
    for (std::int64_t e = starts[i]; e < starts[i + 1]; ++e)
      result.columns[place(next[place(columns[place(e)])]++)] = static_cast<std::int32_t>(i);
  return result;
}

// Those with most neighbours first: they have the least choice.
std::vector<std::int32_t> largest_first(const Rows& rows) {
  std::vector<std::int32_t> order(place(rows.count()));
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](std::int32_t i, std::int32_t j) {
    return std::pair(rows[j].size(), i) < std::pair(rows[i].size(), j);
  });
  return order;
}

// The colours that one vertex must not have.
class Forbidden {
 public:
  void add(std::int32_t colour, std::int32_t vertex) {
    if (place(colour) >= by_.size()) by_.resize(place(colour) + 1, -1);
    by_[place(colour)] = vertex;
  }
  std::int32_t first_other(std::int32_t vertex) const {
    const auto free = std::find_if(by_.begin(), by_.end(), [=](std::int32_t by) { return by != vertex; });
    return static_cast<std::int32_t>(free - by_.begin());
  }

 private:
  std::vector<std::int32_t> by_;
};

// Both i, j and j, i, once, without i, i.
Rows neighbours(Starts starts, Columns columns) {
  const auto n = static_cast<std::int32_t>(starts.size() - 1);
  const Rows across = transposed(starts, columns, n);
  Rows result{{0}, {}};
  for (std::int32_t i = 0; i < n; ++i) {
    const Columns own = columns.subspan(place(starts[place(i)]), place(starts[place(i) + 1] - starts[place(i)]));
    std::vector<std::int32_t> all(own.begin(), own.end());
    all.insert(all.end(), across[i].begin(), across[i].end());
    std::sort(all.begin(), all.end());
    all.erase(std::unique(all.begin(), all.end()), all.end());
    std::copy_if(all.begin(), all.end(), std::back_inserter(result.columns), [=](std::int32_t j) { return j != i; });
    result.starts.push_back(static_cast<std::int64_t>(result.columns.size()));
  }
  return result;
}

// Edges of two colours make stars: one vertex, the hub, in all of them. A new vertex must not make one a longer path.
class StarColouring {
 public:
  explicit StarColouring(Rows rows)
      : rows_(std::move(rows)),
        colours_(place(rows_.count()), -1),
        star_(rows_.columns.size(), -1),
        treated_(place(rows_.count()), -1) {}

  Colours colours() {
    for (std::int32_t v : largest_first(rows_)) {
      forbid(v);
      colours_[place(v)] = forbidden_.first_other(v);
      if (place(colours_[place(v)]) >= first_.size()) first_.resize(place(colours_[place(v)]) + 1, {-1, -1, -1});
      join_stars(v);
    }
    return std::move(colours_);
  }

 private:
  // A neighbour of the vertex `of` that has some colour: the first that was seen.
  struct First {
    std::int32_t of, neighbour;
    std::int64_t edge;
  };

  template <class F>
  void each_coloured(std::int32_t v, F&& f) const {
    for (std::int64_t e = rows_.starts[place(v)]; e < rows_.starts[place(v) + 1]; ++e)
      if (colours_[place(rows_.columns[place(e)])] >= 0) f(rows_.columns[place(e)], e);
  }
  std::int32_t colour(std::int32_t v) const { return colours_[place(v)]; }
  std::int64_t other_way(std::int32_t v, std::int64_t e) const {
    const std::int32_t w = rows_.columns[place(e)];
    const Columns row = rows_[w];
    return rows_.starts[place(w)] + (std::lower_bound(row.begin(), row.end(), v) - row.begin());
  }

  void forbid(std::int32_t v) {
    each_coloured(v, [&](std::int32_t w, std::int64_t e) {
      forbidden_.add(colour(w), v);
      First& first = first_[place(colour(w))];
      if (first.of == v) {  // v would be the hub of two: their other neighbours' colours are out
        if (treated_[place(first.neighbour)] != v) treat(v, first.neighbour);
        treat(v, w);
        return;
      }
      first = {v, w, e};
      each_coloured(w, [&](std::int32_t x, std::int64_t edge) {
        if (x != v && hub_[place(star_[place(edge)])] == x) forbidden_.add(colour(x), v);
      });
    });
  }
  void treat(std::int32_t v, std::int32_t w) {
    each_coloured(w, [&](std::int32_t x, std::int64_t) {
      if (x != v) forbidden_.add(colour(x), v);
    });
    treated_[place(w)] = v;
  }

  void join_stars(std::int32_t v) {
    each_coloured(v, [&](std::int32_t w, std::int64_t e) {
      std::int32_t star = -1;
      each_coloured(w, [&](std::int32_t x, std::int64_t edge) {
        if (star >= 0 || x == v || colour(x) != colour(v)) return;
        star = star_[place(edge)];
        hub_[place(star)] = w;
      });
      const First& first = first_[place(colour(w))];
      if (star < 0 && first.of == v && first.neighbour != w) {
        star = star_[place(first.edge)];
        if (star >= 0) hub_[place(star)] = v;
      }
      if (star < 0) {  // a star of one edge, of which either end may be the hub
        star = static_cast<std::int32_t>(hub_.size());
        hub_.push_back(-1);
      }
      star_[place(e)] = star_[place(other_way(v, e))] = star;
    });
  }

  const Rows rows_;
  Colours colours_;
  std::vector<std::int32_t> star_, treated_;  // by edge, by vertex
  std::vector<std::int32_t> hub_;             // by star
  std::vector<First> first_;                  // by colour
  Forbidden forbidden_;
};

}  // namespace

Colours tape_colour_columns(Starts starts, Columns columns, std::int32_t n_columns) {
  Colours colours(place(n_columns), -1);
  const auto dense = [&](std::size_t i) {
    if (starts[i + 1] - starts[i] < n_columns) return false;
    const std::unordered_set<std::int32_t> different(columns.begin() + starts[i], columns.begin() + starts[i + 1]);
    return different.size() == place(n_columns);
  };
  for (std::size_t i = 0; i + 1 < starts.size(); ++i)
    if (dense(i)) {
      std::iota(colours.begin(), colours.end(), 0);
      return colours;
    }
  const Rows across = transposed(starts, columns, n_columns);
  Forbidden forbidden;
  for (std::int32_t column : largest_first(across)) {
    for (std::int32_t row : across[column])
      for (std::int64_t e = starts[place(row)]; e < starts[place(row) + 1]; ++e)
        if (const std::int32_t colour = colours[place(columns[place(e)])]; colour >= 0) forbidden.add(colour, column);
    colours[place(column)] = forbidden.first_other(column);
  }
  return colours;
}

Colours tape_colour_star(Starts starts, Columns columns) {
  return StarColouring(neighbours(starts, columns)).colours();
}

}  // namespace mmlfast::drivers
