#include "app/ca_former.h"

#include <algorithm>
#include <filesystem>

#include "app/ca_folder.h"
#include "app/pem_file.h"

namespace imprint::app {
namespace {

bool same_issuer(const Certificate& a, const Certificate& b) { return a.subject == b.subject && a.key == b.key; }

}  // namespace

std::vector<std::vector<Certificate>> former_chains(const std::string& data) {
  std::vector<std::string> files;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(data + "/ca/former", ignored)) {
    const std::string path = entry.path().string();
    if (path.ends_with(".pem") && !path.ends_with("-key.pem")) {
      files.push_back(path);
    }
  }
  std::ranges::sort(files);
  std::vector<std::vector<Certificate>> out;
  for (const std::string& file : files) {
    auto chain = read_certificate_file(file);
    if (chain && !chain->empty()) {
      out.push_back(*std::move(chain));
    }
  }
  return out;
}

std::vector<Certificate> former_cas(const std::string& data) {
  const auto now = read_certificate_file(data + "/ca/chain.pem");
  std::vector<Certificate> out;
  for (const std::vector<Certificate>& chain : former_chains(data)) {
    if (!now || now->empty() || now->front() != chain.front()) {
      out.push_back(chain.front());
    }
  }
  return out;
}

std::vector<site::Ca> former_issuers(const std::string& data, const site::Ca& ca) {
  std::vector<site::Ca> out;
  for (const std::vector<Certificate>& chain : former_chains(data)) {
    site::Ca one;
    one.certificate = chain.front();
    one.above.assign(chain.begin() + 1, chain.end());
    const auto is_same = [&one](const site::Ca& other) { return same_issuer(other.certificate, one.certificate); };
    const auto renewed = std::ranges::find_if(out, is_same);
    if (is_same(ca)) {
      continue;
    }
    if (renewed != out.end()) {
      one.key = renewed->key;
      *renewed = renewed->certificate.not_after < one.certificate.not_after ? one : *renewed;
      continue;
    }
    auto kept = one.certificate.key == ca.certificate.key ? Result<std::optional<PrivateKey>>(ca.key)
                                                          : former_key(data, one.certificate.key);
    if (!kept || *kept) {
      one.key = kept ? **kept : PrivateKey();
      out.push_back(std::move(one));
    }
  }
  return out;
}

}  // namespace imprint::app
