// Answers that are kept, as SQL.
#include <algorithm>

#include "store/sqlite/writer.h"

namespace imprint::store {

Result<std::optional<KeptAnswer>> SqliteWriter::kept_answer(const Sha256& key, Instant now) {
  Query query = database_.query(
      "SELECT request, at, status, content_type, etag, location, body, had_secret FROM answers WHERE key = ?", key);
  TRY(const bool row, query.step());
  if (!row) {
    return std::optional<KeptAnswer>();
  }
  KeptAnswer out;
  out.key = key;
  const Bytes request = query.bytes(0);
  CHECK_OR(request.size() == out.request.size(), Error{Fault::malformed, "store: digest of a request"});
  std::ranges::copy(request, out.request.begin());
  out.at = Instant{query.number(1)};
  out.status = static_cast<int>(query.number(2));
  out.content_type = query.text(3);
  out.etag = query.text(4);
  out.location = query.text(5);
  out.body = query.bytes(6);
  out.had_secret = query.number(7) != 0;
  return is_over(out, now) ? std::nullopt : std::optional(std::move(out));
}

Status SqliteWriter::keep_answer(const KeptAnswer& answer) {
  return whole([&] { return keep_answer_part(answer); });
}

Status SqliteWriter::keep_answer_part(const KeptAnswer& answer) {
  TRY([[maybe_unused]] const Ok over,
      database_.query("DELETE FROM answers WHERE at <= ?", (answer.at - kAnswerKept).ms).run());
  TRY([[maybe_unused]] const Ok kept,
      database_
          .query("INSERT INTO answers (key, request, at, status, content_type, etag, location, body, had_secret)"
                 " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                 answer.key, answer.request, answer.at.ms, std::int64_t{answer.status}, answer.content_type,
                 answer.etag, answer.location, answer.body, std::int64_t{answer.had_secret})
          .run());
  return database_
      .query(
          "DELETE FROM answers WHERE sequence IN (SELECT sequence FROM (SELECT sequence, row_number() OVER newest AS"
          " place, sum(length(body)) OVER newest AS bytes FROM answers WINDOW newest AS (ORDER BY sequence DESC ROWS"
          " UNBOUNDED PRECEDING)) WHERE place > ? OR (bytes > ? AND place > 1))",
          kMostAnswers, kMostAnswerBytes)
      .run();
}

}  // namespace imprint::store
