// The prepared graph as Python holds it: made by register_links.cpp, used by register_pagerank.cpp.
#pragma once

#include <memory>
#include <string>

#include "bind/errors.hpp"
#include "bind/numpy_api.hpp"
#include "drivers/links.hpp"

namespace mmlfast::bind {

struct LinksObject {
  drivers::Links links;
};

}  // namespace mmlfast::bind
