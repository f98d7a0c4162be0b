// One list of types from the tables of several workers.
#pragma once

#include <cstdint>
#include <vector>

#include "ingest.h"
#include "arrays.h"
#include "type_table.h"

namespace pyembed {

// Sums counts, keeps the earliest positions, and sets (*merged)[table][its type] to the type in the result. `invalid`
// is left empty. Works on as many threads as there are tables.
Types merge_tables(std::vector<TypeTable> tables, std::vector<UnwrittenArray<int32_t>>* merged);

}  // namespace pyembed
