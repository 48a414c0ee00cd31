#include "app/wrap_key_file.h"

#include <algorithm>

#include "app/cli_rules.h"

namespace imprint::app {
namespace {

Problem wrong(std::string next) {
  Problem out(Error{Fault::malformed, kOption}, "--wrap-key and --wrap-key-id");
  out.next = std::move(next);
  return out;
}

}  // namespace

OrProblem<SharedKey> read_wrap_key(const std::string& path, const std::string& id) {
  TRY(const Secret content, read_secret(path));
  const std::string_view text = as_text(content.expose());
  const std::size_t blank = std::min(text.find_first_of(" \t\n"), text.size());
  const std::size_t second = std::min(text.find_first_not_of(" \t\n", blank), text.size());
  const std::string_view named = text.substr(0, blank == text.size() ? 0 : blank);
  auto key = parse_shared_key(named.empty() ? std::string_view(id) : named, text.substr(named.empty() ? 0 : second));
  if (!key) {
    return wrong(
        "give a file with a key of 16, 24 or 32 octets in hexadecimal or base64, and its identifier in hexadecimal: "
        "before "
        "it in the file, or by --wrap-key-id");
  }
  const auto wanted = from_hex(id);
  if (!named.empty() && !id.empty() && wanted != key->id) {
    return wrong("the file names another identifier: leave --wrap-key-id out");
  }
  return *std::move(key);
}

}  // namespace imprint::app
