#include "base/result.h"

#ifdef IMPRINT_MUTATE
#include <cstdlib>
#include <fstream>
#include <mutex>
#include <set>
#endif

namespace imprint {

std::string_view name(Fault fault) {
  switch (fault) {
    case Fault::malformed:
      return "malformed";
    case Fault::unexpected:
      return "unexpected";
    case Fault::unauthentic:
      return "unauthentic";
    case Fault::unsupported:
      return "unsupported";
    case Fault::refused:
      return "refused";
    case Fault::expired:
      return "expired";
    case Fault::stale:
      return "stale";
    case Fault::unreachable:
      return "unreachable";
    case Fault::limit:
      return "limit";
    case Fault::conflict:
      return "conflict";
    case Fault::internal:
      return "internal";
  }
  return "internal";
}

#ifdef IMPRINT_MUTATE
namespace {

std::string place(std::string_view file, int line) {
  const auto src = file.rfind("/src/");
  return std::string(src == std::string_view::npos ? file : file.substr(src + 1)) + ":" + std::to_string(line);
}

// Every place met is appended once to the file that IMPRINT_MUTATE_LIST names, so that the driver knows what to switch.
void record(const std::string& where) {
  static const char* const path = std::getenv("IMPRINT_MUTATE_LIST");
  if (path == nullptr) {
    return;
  }
  static std::mutex mutex;
  static std::set<std::string> seen;
  const std::scoped_lock lock(mutex);
  if (seen.insert(where).second) {
    std::ofstream(path, std::ios::app) << where << '\n';
  }
}

}  // namespace

bool mutated(const char* file, int line) {
  static const char* const wanted = std::getenv("IMPRINT_MUTATE_AT");
  static const bool listing = std::getenv("IMPRINT_MUTATE_LIST") != nullptr;
  if (wanted == nullptr && !listing) {
    return false;
  }
  const std::string here = place(file, line);
  record(here);
  return wanted != nullptr && here == wanted;
}
#endif

}  // namespace imprint
