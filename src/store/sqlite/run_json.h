// What the database keeps as JSON: the parts of a run that are only ever read whole, and the details of audit entries.
#pragma once

#include <initializer_list>
#include <string>
#include <utility>

#include "base/result.h"
#include "model/run.h"

namespace imprint::store {

// An object of texts in the given order, without the empty ones: the detail of an audit entry. Bytes that are not UTF-8
// become U+FFFD.
std::string text_object(std::initializer_list<std::pair<std::string_view, std::string_view>> members);

// A run's outcome and counts; its steps; its beliefs, whose evidence is in hexadecimal.
std::string summary_json(const Run& run);
std::string steps_json(const Run& run);
std::string beliefs_json(const Run& run);

// The opposites: each fills its part of the run. Malformed if the text is not what the function above wrote.
Status read_summary(std::string_view json, Run& run);
Status read_steps(std::string_view json, Run& run);
Status read_beliefs(std::string_view json, Run& run);

}  // namespace imprint::store
