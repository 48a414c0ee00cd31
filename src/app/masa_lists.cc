#include "app/masa_lists.h"

#include <algorithm>
#include <filesystem>

#include "app/cli_rules.h"
#include "app/masa_folder_rules.h"
#include "app/pem_file.h"
#include "io/file.h"

namespace imprint::app {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxList = std::size_t{16} << 20U;
constexpr std::size_t kMostFiles = 256;

// In the order of their names. A folder that cannot be read, or that has more in it than is read, is told: a list that
// is passed over would let in whom it revokes.
OrProblem<std::vector<std::string>> files_in(const std::string& folder, std::string_view ending) {
  std::vector<std::string> out;
  std::error_code error;
  if (!fs::exists(folder, error) && !error) {
    return out;
  }
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    if (at->path().extension() == ending) {
      out.push_back(at->path().string());
    }
    if (out.size() > kMostFiles) {
      return Problem(Error{Fault::limit, kMasaList}, folder + ": more than 256 files");
    }
  }
  if (error) {
    return Problem(Error{Fault::unreachable, kMasaList}, folder + ": " + error.message());
  }
  std::ranges::sort(out);
  return out;
}

OrProblem<std::vector<Certificate>> known_issuers(const std::string& folder, store::MakerStore& store) {
  std::vector<Certificate> out;
  TRY(const auto reader, about(store.read(), folder));
  TRY(const std::vector<Customer> customers, about(reader->customers(), folder));
  for (const Customer& customer : customers) {
    out.insert(out.end(), customer.anchors.begin(), customer.anchors.end());
  }
  TRY(const std::vector<std::string> files, files_in(folder, ".pem"));
  for (const std::string& file : files) {
    TRY(const std::vector<Certificate> more, about(read_certificate_file(file), file));
    out.insert(out.end(), more.begin(), more.end());
  }
  return out;
}

}  // namespace

OrProblem<std::vector<RevocationList>> masa_lists(const std::string& folder, store::MakerStore& store) {
  std::vector<RevocationList> out;
  TRY(const std::vector<std::string> files, files_in(folder + "/lists", ".crl"));
  if (files.empty()) {
    return out;
  }
  TRY(const std::vector<Certificate> issuers, known_issuers(folder + "/lists", store));
  for (const std::string& file : files) {
    TRY(const Bytes octets, about(io::read_file(file, kMaxList), file));
    auto list = read_revocation_list(octets, issuers);
    if (!list) {
      Problem problem(Error{list.error().fault, kMasaList}, file);
      problem.state = list.error().what;
      return problem;
    }
    out.push_back(*std::move(list));
  }
  return out;
}

}  // namespace imprint::app
