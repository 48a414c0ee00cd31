#include "app/ca_links.h"

#include <algorithm>

#include "app/ca_former.h"
#include "app/pem_file.h"
#include "io/file.h"

namespace imprint::app {
namespace {

std::string links_file(const std::string& data) { return data + "/ca/links.pem"; }

std::vector<Certificate> all_links(const std::string& data) {
  const auto read = read_certificate_file(links_file(data));
  return read ? *read : std::vector<Certificate>();
}

// By name and signature, whenever that was.
bool signed_by(const Certificate& c, const Certificate& issuer) {
  return c.issuer == issuer.subject && verify_chain(c, {}, {issuer}, {Purpose::any, c.not_before, false});
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

std::vector<Certificate> links_back(const Certificate& root, const std::vector<Certificate>& all) {
  std::vector<Certificate> out, met{root};
  const auto is_met = [&met](const Certificate& link) {
    return std::ranges::any_of(met, [&](const Certificate& one) { return signed_by(link, one); });
  };
  for (std::size_t i = 0; i < met.size(); ++i) {
    const Certificate from = met[i];
    for (const Certificate& link : all) {
      const bool leads = i == 0 ? same_subject(link, root) : signed_by(from, link);
      const bool again = std::ranges::any_of(
          out, [&](const Certificate& one) { return same_subject(one, link) && one.issuer == link.issuer; });
      if (out.size() < kMostLinks && leads && !again && !self_signed(link) && !is_met(link)) {
        out.push_back(link);
        met.push_back(link);
      }
    }
  }
  return out;
}

std::vector<Certificate> ca_links(const std::string& data, const site::Ca& ca, const std::vector<Certificate>& more) {
  std::vector<Certificate> all = all_links(data);
  all.insert(all.end(), more.begin(), more.end());
  return links_back(ca.root(), all);
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
  for (const std::vector<Certificate>& chain : former_chains(data)) {
    const Certificate& root = chain.back();
    if (!self_signed(root) || root == ca.root()) {
      continue;
    }
    const bool vouched = std::any_of(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(links),
                                     [&](const Certificate& link) { return same_subject(link, root); });
    if (vouched && std::ranges::find(out, root) == out.end()) {
      out.push_back(root);
    }
  }
  return out;
}

}  // namespace imprint::app
