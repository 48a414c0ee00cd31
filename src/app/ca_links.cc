#include "app/ca_links.h"

#include <algorithm>
#include <filesystem>

#include "app/pem_file.h"
#include "io/file.h"

namespace imprint::app {
namespace {

namespace fs = std::filesystem;

std::string links_file(const std::string& data) { return data + "/ca/links.pem"; }

std::vector<Certificate> all_links(const std::string& data) {
  const auto read = read_certificate_file(links_file(data));
  return read ? *read : std::vector<Certificate>();
}

bool same_subject(const Certificate& a, const Certificate& b) { return a.key == b.key && a.subject == b.subject; }

}  // namespace

Status add_links(const std::string& data, const std::vector<Certificate>& links) {
  std::vector<Certificate> all = all_links(data);
  const std::size_t before = all.size();
  for (const Certificate& link : links) {
    if (std::ranges::find(all, link) == all.end()) {
      all.push_back(link);
    }
  }
  return all.size() == before ? Status(Ok{}) : io::write_file(links_file(data), view(pem_of(all)), 0644);
}

std::vector<Certificate> ca_links(const std::string& data, const site::Ca& ca) {
  const std::vector<Certificate> all = all_links(data);
  std::vector<Certificate> out;
  std::vector<Name> met{ca.root().subject};
  for (std::size_t i = 0; i < met.size(); ++i) {
    const Name of = met[i];
    for (const Certificate& link : all) {
      const bool leads =
          out.size() < kMostLinks && link.subject == of && !self_signed(link) && (i > 0 || link.key == ca.root().key);
      if (leads && std::ranges::find(met, link.issuer) == met.end()) {
        out.push_back(link);
        met.push_back(link.issuer);
      }
    }
  }
  return out;
}

std::vector<Certificate> ca_history(const std::string& data, const site::Ca& ca) {
  std::vector<Certificate> out;
  const std::vector<Certificate> sent = ca_links(data, ca);
  for (const Certificate& link : all_links(data)) {
    if (link.issuer == ca.root().subject && !self_signed(link) && std::ranges::find(sent, link) == sent.end()) {
      out.push_back(link);
    }
  }
  const std::size_t links = out.size();
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(data + "/ca/former", ignored)) {
    const auto chain = read_certificate_file(entry.path().string());
    if (!chain || chain->empty() || !self_signed(chain->back()) || chain->back() == ca.root()) {
      continue;
    }
    const bool vouched = std::any_of(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(links),
                                     [&](const Certificate& link) { return same_subject(link, chain->back()); });
    if (vouched && std::ranges::find(out, chain->back()) == out.end()) {
      out.push_back(chain->back());
    }
  }
  return out;
}

}  // namespace imprint::app
