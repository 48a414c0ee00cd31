#include "app/admin_request.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "app/rules.h"
#include "codec/percent.h"

namespace imprint::app::admin {
namespace {

constexpr std::size_t kMaxJsonBody = 64 * 1024;

std::string lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return out;
}

std::string_view next_segment(std::string_view& path) {
  path.remove_prefix(std::min<std::size_t>(path.size(), 1));  // the slash
  const std::string_view out = path.substr(0, path.find('/'));
  path.remove_prefix(out.size());
  return out;
}

// The value of {…} if the path fits the pattern; empty text if the pattern has none.
std::optional<std::string> fit(std::string_view pattern, std::string_view path) {
  std::string id;
  while (!pattern.empty() && !path.empty()) {
    const std::string_view wanted = next_segment(pattern);
    const std::string_view found = next_segment(path);
    if (!wanted.starts_with('{')) {
      if (wanted != found) {
        return std::nullopt;
      }
      continue;
    }
    const std::optional<std::string> value = percent_decoded(found);
    if (!value || value->empty()) {
      return std::nullopt;
    }
    id = *value;
  }
  return pattern.empty() && path.empty() ? std::optional(id) : std::nullopt;
}

std::optional<std::int64_t> whole_number(std::string_view text) {
  std::int64_t out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && end == text.data() + text.size() && !text.empty() ? std::optional(out) : std::nullopt;
}

// What is wrong with a query parameter; empty if nothing.
std::string wrong_value(const Field& field, const std::string& value) {
  if (field.kind == Kind::flag && value != "true" && value != "false") {
    return std::string(field.name) + ": neither true nor false";
  }
  if (field.kind != Kind::number) {
    return {};
  }
  const std::optional<std::int64_t> number = whole_number(value);
  if (number && *number >= field.least && *number <= field.most) {
    return {};
  }
  return std::string(field.name) + ": not a number from " + std::to_string(field.least) + " to " +
         std::to_string(field.most);
}

const Field* named(std::span<const Field> fields, std::string_view name) {
  const auto it = std::ranges::find(fields, name, &Field::name);
  return it == fields.end() ? nullptr : &*it;
}

// Empty, or what is wrong.
std::string read_query(const Route& route, std::string_view query, Call& call) {
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    const std::size_t equals = pair.find('=');
    const std::optional<std::string> name = percent_decoded(pair.substr(0, equals));
    const std::optional<std::string> value =
        equals == std::string_view::npos ? std::nullopt : percent_decoded(pair.substr(equals + 1));
    const Field* field = name ? named(route.query, *name) : nullptr;
    if (field == nullptr || !value) {
      return "`" + name.value_or(std::string(pair)) + "` is no parameter of this path, or has no value";
    }
    if (std::string wrong = wrong_value(*field, *value); !wrong.empty()) {
      return wrong;
    }
    if (!call.query.emplace(*name, *value).second) {
      return "`" + *name + "` came twice";
    }
  }
  return {};
}

// Empty, or what is wrong.
std::string check_members(const Route& route, const Json& body) {
  for (const auto& [name, value] : body.items()) {
    const Field* field = named(route.body, name);
    if (field == nullptr) {
      return "`" + name + "` is no member of this body";
    }
    if (field->kind == Kind::flag ? !value.is_boolean() : !value.is_string()) {
      return "`" + name + (field->kind == Kind::flag ? "` is not true or false" : "` is not a text");
    }
  }
  for (const Field& field : route.body) {
    if (field.required && !body.contains(field.name)) {
      return "`" + std::string(field.name) + "` is missing";
    }
  }
  return {};
}

bool is_type(std::string_view sent, std::string_view wanted) {
  const std::string_view essence = sent.substr(0, sent.find(';'));
  return essence.substr(0, essence.find_last_not_of(' ') + 1) == wanted;
}

std::optional<Response> read_body(const Route& route, const Request& request, Call& call) {
  const std::string_view wanted = route.takes.empty() ? "application/json" : route.takes;
  if (!request.body.empty() && !is_type(request.content_type, wanted)) {
    return problem(Error{Fault::malformed, kApiType}, "this path takes " + std::string(wanted));
  }
  if (!route.takes.empty()) {
    return std::nullopt;
  }
  if (request.body.size() > kMaxJsonBody) {
    return problem(Error{Fault::limit, kApiBody}, "the body is over 64 KiB");
  }
  Result<Json> json = request.body.empty() ? Result<Json>(Json::object()) : parse_json(as_text(request.body));
  if (!json || !json->is_object()) {
    return problem(Error{Fault::malformed, kApiBody}, json ? "not an object" : std::string(json.error().what));
  }
  if (const std::string wrong = check_members(route, *json); !wrong.empty()) {
    return problem(Error{Fault::malformed, kApiBody}, wrong);
  }
  call.body = std::make_shared<const Json>(*std::move(json));
  return std::nullopt;
}

// RFC 9110 section 13.1.1: one strong entity tag, or "*". Empty, or what is wrong.
std::string read_if_match(const Route& route, std::string_view header, Call& call) {
  if (header.empty() || header == "*") {
    return {};
  }
  if (!route.conditional) {
    return "If-Match: this path has no versions";
  }
  if (header.size() > 2 && header.front() == '"' && header.back() == '"') {
    call.version = whole_number(header.substr(1, header.size() - 2));
  }
  return call.version ? std::string() : "If-Match: not one entity tag of a device, like \"3\"";
}

}  // namespace

std::string Call::text(const std::string& member) const {
  if (const auto it = query.find(member); it != query.end()) {
    return it->second;
  }
  return body && body->contains(member) ? body->at(member).get<std::string>() : std::string();
}

bool Call::flag(const std::string& member) const {
  if (const auto it = query.find(member); it != query.end()) {
    return it->second == "true";
  }
  return body && body->contains(member) && body->at(member).get<bool>();
}

std::int64_t Call::number(const std::string& parameter, std::int64_t otherwise) const {
  const auto it = query.find(parameter);
  return it == query.end() ? otherwise : whole_number(it->second).value_or(otherwise);
}

Match match(std::span<const Route> routes, const Request& request) {
  Match out;
  for (const Route& route : routes) {
    std::optional<std::string> id = fit(route.pattern, request.path);
    if (!id) {
      continue;
    }
    if (route.method == request.method) {
      out.route = &route;
      out.id = *std::move(id);
      return out;
    }
    out.allow.append(out.allow.empty() ? "" : ", ").append(imprint::name(route.method));
    out.allow.append(route.method == Method::get ? ", HEAD" : "");
  }
  return out;
}

bool is_own_host(std::string_view host, std::uint16_t port, const std::vector<std::string>& names) {
  constexpr std::uint16_t kHttps = 443;
  const std::string suffix = ":" + std::to_string(port);
  const bool named_port = host.ends_with(suffix);
  if (!named_port && port != kHttps) {
    return false;
  }
  const std::string name = lower(named_port ? host.substr(0, host.size() - suffix.size()) : host);
  const auto is_name = [&](const std::string& own) {
    return name == (own.find(':') == std::string::npos ? lower(own) : "[" + lower(own) + "]");
  };
  return name == "localhost" || name == "127.0.0.1" || name == "[::1]" || std::ranges::any_of(names, is_name);
}

std::variant<Call, Response> read_call(const Route& route, const Request& request, std::string id) {
  Call call{request, std::move(id), {}, nullptr, std::nullopt};
  if (const std::string wrong = read_query(route, request.query, call); !wrong.empty()) {
    return problem(Error{Fault::malformed, kApiQuery}, wrong);
  }
  if (const std::string wrong = read_if_match(route, request.if_match, call); !wrong.empty()) {
    return problem(Error{Fault::malformed, kApiQuery}, wrong);
  }
  if (std::optional<Response> wrong = read_body(route, request, call)) {
    return *std::move(wrong);
  }
  return call;
}

}  // namespace imprint::app::admin
