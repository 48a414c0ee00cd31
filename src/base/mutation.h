// Mutation testing: what a program of tests tells of itself, so that tests/mutate.py runs only what meets a place.
#pragma once

#include <string_view>

namespace imprint::mutation {

// What is met from here on belongs to this test. Both write a line to the file that IMPRINT_MUTATE_LIST names, "test
// NAME" and "took MS"; without one, and in a build without IMPRINT_MUTATE, they do nothing.
void begin_test(std::string_view name);
void end_test(long long took_ms);

}  // namespace imprint::mutation
