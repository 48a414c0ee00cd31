// Pages of the API's lists: `limit`, an opaque `cursor`, and `next` in the answer.
#pragma once

#include <nlohmann/json.hpp>

#include "app/admin_routes.h"

namespace imprint::app::admin {

inline constexpr std::int64_t kPage = 100;  // unless `limit` says otherwise
inline constexpr Field kLimit{"limit", Kind::number, "at most so many, 1 to 1,000; default 100", false, 1, 1000};
inline constexpr Field kCursor{"cursor", Kind::text, "`next` of the page before; the other parameters stay the same"};

// Where the page begins: after this place, of which only the list knows the form. None: at the start. API-CURSOR if the
// cursor was not given out for this path with these parameters.
Result<std::optional<Bytes>> place_of(const Call& call);

// The list that is asked for: its path and every parameter that chooses rows.
std::string list_of(const Call& call);

// The cursor of a page that begins after the place. A place is that of the last row shown, not a count of rows: rows
// that come or go in between neither repeat nor hide others.
std::string cursor_after(const std::string& list, BytesView place);

// Cuts rows, read with one more than the limit, to the page; `next` is null on the last one. `place` says where a row
// is.
template <class Row, class Place>
Json next_of(const std::string& list, std::vector<Row>& rows, std::int64_t limit, const Place& place) {
  if (static_cast<std::int64_t>(rows.size()) <= limit) {
    return nullptr;
  }
  rows.erase(rows.begin() + limit, rows.end());
  return cursor_after(list, place(rows.back()));
}

// A place in a list that is in order of a time and an id.
struct TimedPlace {
  Instant at;
  Bytes id;
};
// The two for runs, newest first.
Result<store::RunFilter> run_filter(const Call& call, std::int64_t limit);
Bytes place_of_run(const Run& run);

Bytes encode(const TimedPlace& place);
Result<TimedPlace> parse_timed_place(BytesView place);  // API-CURSOR

}  // namespace imprint::app::admin
