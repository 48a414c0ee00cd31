#include "base/result.h"

#include "base/mutation.h"

#ifdef IMPRINT_MUTATE
#include <cstdlib>
#include <fstream>
#include <mutex>
#include <set>
#include <string>
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

// Every place met is appended once to the file that IMPRINT_MUTATE_LIST names, so that the driver knows what to switch;
// once a test where the program names its tests.
class Listing {
 public:
  static Listing* get() {
    static const char* const path = std::getenv("IMPRINT_MUTATE_LIST");
    static Listing out(path == nullptr ? "" : path);
    return path == nullptr ? nullptr : &out;
  }
  void met(const std::string& where) {
    const std::scoped_lock lock(mutex_);
    if (seen_.insert(where).second) {
      write(where);
    }
  }
  void say(const std::string& line) {
    const std::scoped_lock lock(mutex_);
    seen_.clear();
    write(line);
  }

 private:
  explicit Listing(const char* path) : path_(path) {}
  void write(const std::string& line) { std::ofstream(path_, std::ios::app) << line << '\n'; }

  const std::string path_;
  std::mutex mutex_;
  std::set<std::string> seen_;
};

}  // namespace

bool mutated(const char* file, int line) {
  static const char* const wanted = std::getenv("IMPRINT_MUTATE_AT");
  Listing* const listing = Listing::get();
  if (wanted == nullptr && listing == nullptr) {
    return false;
  }
  const std::string here = place(file, line);
  if (listing != nullptr) {
    listing->met(here);
  }
  return wanted != nullptr && here == wanted;
}

namespace mutation {

void begin_test(std::string_view name) {
  if (Listing* const listing = Listing::get()) {
    listing->say("test " + std::string(name));
  }
}

void end_test(long long took_ms) {
  if (Listing* const listing = Listing::get()) {
    listing->say("took " + std::to_string(took_ms));
  }
}

}  // namespace mutation
#else
namespace mutation {

void begin_test(std::string_view) {}
void end_test(long long) {}

}  // namespace mutation
#endif

}  // namespace imprint
