// The manifest: JSON Lines, one device a line.
#include <nlohmann/json.hpp>
#include <set>

#include "codec/json.h"
#include "codec/uri.h"
#include "factory/line.h"

namespace imprint::factory {
namespace {

constexpr std::size_t kMaxLine = 64 * 1024;
constexpr std::size_t kMaxLines = 1000000;
constexpr std::size_t kMaxText = 255;

// Reads one line; what is wrong is thrown away with the line, only its text stays.
class Line {
 public:
  Line(std::size_t number, std::vector<ManifestProblem>& problems) : number_(number), problems_(problems) {}

  std::optional<ManifestEntry> read(std::string_view text) {
    if (text.size() > kMaxLine) {
      return wrong(Fault::limit, "longer than 64 KiB");
    }
    const auto json = parse_json(text);
    if (!json || !json->is_object()) {
      return wrong(Fault::malformed, "not a JSON object");
    }
    ManifestEntry out;
    Secrets found;
    for (const auto& [key, value] : json->items()) {
      if (!value.is_string()) {
        return wrong(Fault::malformed, key + ": not a text");
      }
      if (!take(key, value.get_ref<const std::string&>(), out, found)) {
        return std::nullopt;
      }
    }
    return complete(out, found) && take_wrap_key(out, found) ? std::optional(std::move(out)) : std::nullopt;
  }

 private:
  struct Secrets {
    bool idevid = false, token = false, wrap_key_given = false;
    std::string wrap_key_id;
    Secret wrap_key;
  };

  std::nullopt_t wrong(Fault fault, std::string text) {
    problems_.push_back({number_, fault, std::move(text)});
    return std::nullopt;
  }
  bool bad(Fault fault, std::string text) {
    wrong(fault, std::move(text));
    return false;
  }

  bool take(const std::string& key, const std::string& value, ManifestEntry& out, Secrets& found) {
    if (key == "idevid") {
      found.idevid = true;
      auto certificates = parse_pem_certificates(value);
      if (!certificates || certificates->size() != 1) {
        return bad(Fault::malformed, "idevid: not one certificate in PEM");
      }
      out.idevid = std::move(certificates->front());
      return true;
    }
    if (value.size() > kMaxText && key != "server" && key != "token") {
      return bad(Fault::limit, key + ": longer than 255 characters");
    }
    if (key == "token") {
      found.token = true;
      out.one_time = Secret(value);
    } else if (key == "wrap_key") {
      found.wrap_key_given = true;
      found.wrap_key = Secret(value);
    } else if (key == "wrap_key_id") {
      found.wrap_key_given = true;
      found.wrap_key_id = value;
    } else if (key == "server") {
      out.server_uri = value;
    } else if (key == "id") {
      out.id = value;
    } else if (key == "model") {
      out.model = value;
    } else if (key == "serial") {
      out.serial = value;
    } else if (key == "label") {
      out.label = value;
    } else {
      return bad(Fault::malformed, key + ": unknown member");
    }
    return true;
  }

  bool complete(const ManifestEntry& entry, const Secrets& found) {
    if (!valid_device_id(entry.id)) {
      return bad(Fault::malformed, "id: not [A-Za-z0-9][A-Za-z0-9._:-]{0,63}");
    }
    if (found.idevid == found.token) {
      return bad(Fault::malformed, entry.id + ": needs an idevid or a token, and not both");
    }
    if (!entry.server_uri.empty() && !Uri::parse(entry.server_uri)) {
      return bad(Fault::malformed, entry.id + ": server: not a URI");
    }
    if (found.token) {
      if (const Status strong = check_secret_strength(entry.one_time); !strong) {
        return bad(strong.error().fault, entry.id + ": " + std::string(strong.error().what));
      }
    }
    return true;
  }

  bool take_wrap_key(ManifestEntry& entry, const Secrets& found) {
    if (!found.wrap_key_given) {
      return true;
    }
    auto key = parse_shared_key(found.wrap_key_id, as_text(found.wrap_key.expose()));
    if (!key) {
      return bad(key.error().fault, entry.id + ": " + std::string(key.error().what));
    }
    if (const Status strong = check_shared_key(*key); !strong) {
      return bad(strong.error().fault, entry.id + ": " + std::string(strong.error().what));
    }
    entry.wrap_key = *std::move(key);
    return true;
  }

  std::size_t number_;
  std::vector<ManifestProblem>& problems_;
};

// What a later line must not bring once more.
class Seen {
 public:
  // What the entry shares with an earlier line; empty if nothing.
  std::string_view again(const ManifestEntry& entry) {
    if (!ids_.insert(entry.id).second) {
      return "this id was on an earlier line";
    }
    if (entry.idevid && !identities_.insert(identity_of(*entry.idevid)).second) {
      return "another device of this manifest has this identity";
    }
    if (entry.idevid && !keys_.insert(entry.idevid->key.spki).second) {
      return "another device of this manifest has this key";
    }
    // Digests, so that the set holds no secret.
    if (!entry.one_time.empty() && !tokens_.insert(sha256(entry.one_time.expose())).second) {
      return "another device of this manifest has this token";
    }
    if (entry.wrap_key && !wrap_keys_.insert(sha256(entry.wrap_key->key.expose())).second) {
      return "another device of this manifest has this shared key";
    }
    return {};
  }

 private:
  std::set<std::string> ids_, identities_;
  std::set<Bytes> keys_;
  std::set<Sha256> tokens_, wrap_keys_;
};

}  // namespace

std::string manifest_line(const ManifestEntry& entry) {
  Json out = Json::object();
  out["id"] = entry.id;
  const auto add = [&out](const char* key, const std::string& value) {
    if (!value.empty()) {
      out[key] = value;
    }
  };
  add("model", entry.model);
  add("serial", entry.serial);
  add("label", entry.label);
  add("server", entry.server_uri);
  if (entry.idevid) {
    out["idevid"] = to_pem(*entry.idevid);
  } else {
    out["token"] = as_text(entry.one_time.expose());
  }
  if (entry.wrap_key) {
    out["wrap_key_id"] = hex(entry.wrap_key->id);
    out["wrap_key"] = hex(entry.wrap_key->key.expose());
  }
  return out.dump() + "\n";
}

std::vector<ManifestEntry> parse_manifest(std::string_view text, std::vector<ManifestProblem>& problems) {
  std::vector<ManifestEntry> out;
  Seen seen;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) {
      continue;
    }
    if (number > kMaxLines) {
      problems.push_back({number, Fault::limit, "more than 1,000,000 lines"});
      break;
    }
    auto entry = Line(number, problems).read(line);
    if (!entry) {
      continue;
    }
    if (const std::string_view what = seen.again(*entry); !what.empty()) {
      problems.push_back({number, Fault::conflict, entry->id + ": " + std::string(what)});
      continue;
    }
    out.push_back(*std::move(entry));
  }
  return out;
}

}  // namespace imprint::factory
