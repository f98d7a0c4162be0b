// What pyembed._text offers for searches.
#pragma once

#include <pybind11/pybind11.h>

namespace pyembed {

void add_vector_search(pybind11::module_& m);

}  // namespace pyembed
