#include "runtime/recorder.h"

#include <array>

namespace imprint {

std::string describe(const Error& error) {
  std::string out(error.what);
  if (error.rule != nullptr) {
    out.append(" [").append(error.rule->id).append(", ").append(error.rule->source).append("]");
  }
  return out;
}

Recorder::Recorder(std::string protocol, std::string mode, std::string role, Instant now, Rng& rng, Journal* journal)
    : journal_(journal), last_(now) {
  std::array<std::uint8_t, 8> id{};
  rng.fill(id);
  run_.id = hex(id);
  run_.protocol = std::move(protocol);
  run_.mode = std::move(mode);
  run_.role = std::move(role);
  run_.started = now;
}

void Recorder::add(RunStep step) {
  step.took = step.at - last_;
  last_ = step.at;
  if (journal_ != nullptr) {
    journal_->step(run_, step);
  }
  run_.steps.push_back(std::move(step));
}

void Recorder::entered(std::string_view state, std::string check, Instant now, std::string_view next) {
  if (!over()) {
    add({std::string(state), std::move(check), now, {}, {}, std::string(next)});
  }
}

void Recorder::failed(std::string_view state, const Error& error, std::string_view detail, Instant now) {
  if (over()) {
    return;
  }
  std::string check = describe(error);
  if (!detail.empty()) {
    check.append(": ").append(detail);
  }
  if (error.rule != nullptr) {
    run_.rule = error.rule->id;
  }
  add({std::string(state),
       std::move(check),
       now,
       {},
       std::string(name(error.fault)),
       std::string(error.rule != nullptr ? error.rule->next : "")});
}

void Recorder::learned(const BeliefChange& change) { run_.beliefs.push_back(change); }

void Recorder::count_request(std::size_t bytes_out, std::size_t bytes_in) {
  run_.counts.messages += 2;
  run_.counts.round_trips += 1;
  run_.counts.bytes += static_cast<std::uint32_t>(bytes_out + bytes_in);
}

void Recorder::end(std::string result, Instant now) {
  if (over()) {
    return;
  }
  run_.result = std::move(result);
  run_.ended = now;
  if (journal_ != nullptr) {
    journal_->ended(run_);
  }
}

}  // namespace imprint
