// What module.cpp adds to pyembed._text for phrases.
#pragma once

#include <pybind11/pybind11.h>

namespace pyembed {

void add_phrases(pybind11::module_& m);

}  // namespace pyembed
