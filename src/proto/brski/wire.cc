#include "proto/brski/wire.h"

#include <algorithm>
#include <array>

#include "proto/brski/paths.h"
#include "proto/brski/registrar_rules.h"

namespace imprint::brski {
namespace {

constexpr std::string_view kWellKnown = "/.well-known/brski";
constexpr std::string_view kTextType = "text/plain; charset=utf-8";

constexpr std::array kRoots{PathRoot{kRoot, true, true}, PathRoot{kEstRoot, true, false},
                            PathRoot{kShortRoot, false, true}};

// What a rule says on the wire where the fault alone does not.
struct Said {
  const Rule* rule;
  int status;
};
constexpr std::array kStatuses{Said{&kNoSuchResource, 404}, Said{&kWantsPostHere, 405}, Said{&kWantsGetHere, 405},
                               Said{&kRequestType, 415},    Said{&kAnswerType, 415},    Said{&kNotInProximity, 401},
                               Said{&kOtherRegistrar, 401}, Said{&kMasaServer, 502},    Said{&kMasaFailed, 502},
                               Said{&kMasaLogin, 502},      Said{&kMasaMoved, 502},     Said{&kMasaAnswer, 502},
                               Said{&kMasaVoucher, 502},    Said{&kMasaPin, 502},       Said{&kMasaAway, 504},
                               Said{&kSignerMute, 503},     Said{&kMasaInside, 502}};

int status_of(Fault fault) {
  switch (fault) {
    case Fault::malformed:
    case Fault::unexpected:
      return 400;
    case Fault::unsupported:
      return 406;
    case Fault::unauthentic:
    case Fault::refused:
    case Fault::expired:
      return 403;
    case Fault::limit:
      return 413;
    case Fault::stale:
    case Fault::conflict:
      return 409;
    case Fault::unreachable:
      return 503;
    case Fault::internal:
      break;
  }
  return 500;
}

std::string_view trimmed(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && blank(text.front())) {
    text.remove_prefix(1);
  }
  while (!text.empty() && blank(text.back())) {
    text.remove_suffix(1);
  }
  return text;
}

// Media types do not depend on case (RFC 9110 section 8.3.1).
std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; });
  return out;
}

// Whether a member of Accept is refused by its weight (RFC 9110 section 12.4.2).
bool is_unwanted(std::string_view parameters) {
  const auto at = parameters.find("q=0");
  return at != std::string_view::npos && parameters.substr(at + 3).find_first_of("123456789") == std::string_view::npos;
}

}  // namespace

std::optional<Operation> operation_of(std::string_view path) {
  if (path == kWellKnown || path == kRoot) {
    return Operation::describe;
  }
  const PathRow* const row = find_path(path, kRoots);
  return row == nullptr ? std::nullopt : std::optional(row->operation);
}

std::string path_of(Operation operation, std::string_view base) {
  while (base.ends_with('/')) {
    base.remove_suffix(1);
  }
  std::string out(base.empty() ? kWellKnown : base);
  const PathRow* const row = path_row(operation);
  return row == nullptr ? out : out.append("/").append(row->name);
}

std::vector<Form> accepted_forms(std::string_view accept) {
  std::vector<Form> out;
  while (!accept.empty()) {
    const std::string_view one = accept.substr(0, accept.find(','));
    accept.remove_prefix(std::min(accept.size(), one.size() + 1));
    const std::string_view type = one.substr(0, one.find(';'));
    const auto form = form_of_media_type(lower(trimmed(type)));
    const bool wanted = form && !is_unwanted(one.substr(type.size()));
    if (wanted && std::ranges::find(out, *form) == out.end()) {
      out.push_back(*form);
    }
  }
  return out;
}

Response wire_error(const Error& error) {
  Response out;
  out.content_type = kTextType;
  const auto* const said = std::ranges::find(kStatuses, error.rule, &Said::rule);
  out.status = said == kStatuses.end() ? status_of(error.fault) : said->status;
  if (out.status == 405) {
    out.allow = error.rule == &kWantsPostHere ? "POST" : "GET, HEAD";
  }
  constexpr std::int64_t kComeBackSoon_s = 5;
  if (out.status == 503) {
    out.retry_after_s = kComeBackSoon_s;
  }
  std::string text(error.rule != nullptr ? error.rule->what : error.what);
  if (error.rule != nullptr) {
    text.append(" (").append(error.rule->id).append(", ").append(error.rule->source).append("); ");
    text.append(error.rule->next);
  }
  out.body = to_bytes(text + "\n");
  return out;
}

}  // namespace imprint::brski
