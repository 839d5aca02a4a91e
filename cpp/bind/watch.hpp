// What an answer that is kept for the next call rests on, compared in nanoseconds.
//
// A traced function has read globals, closures, defaults, attributes and arrays, and its trace holds their values. A
// Watch lists them, and says whether all are still what they were: each check compares a pointer, and an array by its
// bytes. It errs on one side only: what is equal but another object counts as changed, and Python then compares by
// value.
#pragma once

#include <cstdint>
#include <vector>

#include "bind/numpy_api.hpp"

namespace mmlfast::bind {

// One thing that must not have changed.
struct Check {
  enum class Kind : std::uint8_t {
    item,       // owner[key] is value, in a dictionary; value nullptr: there is no such key
    attribute,  // owner.key is value
    function,   // owner, of Python, has the __code__, __defaults__ and __kwdefaults__ of value, a tuple
    cell,       // the variable of a closure is value; nullptr: it is empty
    sequence,   // owner, a list, holds the elements of value, a tuple, and no others
    mapping,    // owner, a dictionary, has the keys of key and the values of value, two tuples, in this order
    bytes,      // owner, an array, has the type, the shape and the bytes of value
    call,       // owner(*key) is true: for whatever else
  };
  Kind kind;
  PyObject *owner, *key, *value;  // references of their own

  // Never raises: what cannot be compared has changed.
  bool holds() const noexcept;
};

// A Python object: Watch([(kind, owner, key, value), ...]), with .holds() and len().
struct Watch {
  PyObject_HEAD std::vector<Check>* checks;

  bool holds() const noexcept {
    for (const Check& check : *checks)
      if (!check.holds()) return false;
    return true;
  }
};

// The Watch that this object is, or nullptr.
const Watch* as_watch(PyObject* object) noexcept;

void add_watch(PyObject* module);

}  // namespace mmlfast::bind
