// A bulk call as it goes: requests in, lines out.
#include <nlohmann/json.hpp>

#include "codec/base64.h"
#include "codec/json.h"
#include "proto/brski/masa_rules.h"
#include "runtime/masa_parts.h"

namespace imprint {
namespace {

constexpr std::size_t kTogether = 64;       // requests of one bulk call that are under way
constexpr std::size_t kAhead = 256 * 1024;  // octets of answers that may wait to be read
constexpr Duration kLookAgain{20};

// What a line of a bulk answer says of the end of a request.
std::string bulk_line(std::size_t n, const std::string& id, const Response& answer) {
  Json out{{"n", n}, {"status", answer.status}};
  if (!id.empty()) {
    out["id"] = id;
  }
  if (answer.status == 200) {
    out["type"] = answer.content_type;
    out["voucher"] = base64(answer.body);
  } else {
    std::string text(as_text(answer.body));
    while (!text.empty() && text.back() == '\n') {
      text.pop_back();
    }
    out["error"] = text;
  }
  return out.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

// An asker that reads more slowly than we sign is waited for: what it lacks would have to be asked for again. But not
// for ever: it holds a place. Half of what waits has to be read in time.
bool MasaServer::BulkCall::has_to_wait() {
  if (server_.https_->waiting(from_) <= (full_ ? kAhead / 2 : kAhead)) {
    full_.reset();
    return false;
  }
  const Instant now = server_.schedule_.now();
  full_ = full_.value_or(now);
  if (!holds(now - *full_ < server_.site_->bulk_patience)) {
    server_.https_->end_stream(from_);
    end();
    return true;
  }
  if (!waits_) {
    waits_ = true;
    server_.schedule_.after(kLookAgain, [weak = weak_from_this()] {
      if (const auto self = weak.lock()) {
        self->waits_ = false;
        self->go_on();
      }
    });
  }
  return true;
}

void MasaServer::BulkCall::go_on() {
  while (!over_ && !has_to_wait() && under_way_ < kTogether && next_ < items_.size()) {
    const std::size_t n = next_++;
    BulkItem item = std::move(items_[n]);
    const auto form = brski::form_of(item.request);
    if (item.wrong.empty() && form) {
      ask(n, std::move(item), *form);
      continue;
    }
    Error error{Fault::malformed, brski::masa::kBulkBody};
    error.what = item.wrong.empty() ? std::string_view("no voucher request in any form") : item.wrong;
    line(n, item.id, brski::masa_error(error));
  }
  if (!over_ && under_way_ == 0 && next_ == items_.size()) {
    finish();
  }
}

void MasaServer::BulkCall::ask(std::size_t n, BulkItem item, brski::Form form) {
  ++under_way_;
  Asked asked;
  asked.what = {{}, session_, login_, std::move(item.request), std::string(brski::media_type(form)), item.accept};
  asked.answer = [weak = weak_from_this(), n, id = item.id](const Response& answer) {
    if (const auto self = weak.lock()) {
      self->done(n, id, answer);
    }
  };
  server_.begin(std::move(asked));
}

void MasaServer::BulkCall::done(std::size_t n, const std::string& id, const Response& answer) {
  --under_way_;
  if (over_) {
    return;
  }
  line(n, id, answer);
  // Not from inside the conversation that has just answered.
  server_.gate_->post([self = shared_from_this()] { self->go_on(); });
}

void MasaServer::BulkCall::line(std::size_t n, const std::string& id, const Response& answer) {
  ++(answer.status == 200 ? good_ : bad_);
  if (!over_ && !server_.https_->stream(from_, bulk_line(n, id, answer))) {
    end();  // it has left, or reads too slowly: what it lacks it asks for again
  }
}

void MasaServer::BulkCall::finish() {
  const Json last{{"end", true}, {"api", kMasaApi}, {"vouchers", good_}, {"errors", bad_}};
  server_.https_->stream(from_, last.dump() + "\n");
  server_.https_->end_stream(from_);
  end();
}

void MasaServer::BulkCall::end() {
  over_ = true;
  server_.gate_->post([self = shared_from_this()] { self->server_.bulk_.erase(self->from_.id); });
}

}  // namespace imprint
