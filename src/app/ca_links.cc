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

const Certificate& root_of(const site::Ca& ca) { return ca.above.empty() ? ca.certificate : ca.above.back(); }

// The key and the name of `of`, signed by this CA.
Result<Certificate> cross(const site::Ca& by, const Certificate& of, Instant now, Rng& rng) {
  CertificateTemplate t;
  t.serial = site::random_serial(rng);
  t.issuer = by.certificate.subject;
  t.subject = of.subject;
  t.not_before = now - std::chrono::minutes(5);
  t.not_after = std::max(t.not_before, std::min(by.certificate.not_after, of.not_after));
  t.spki = of.key.spki;
  t.usage = key_usage::kCertSign | key_usage::kCrlSign;
  t.is_ca = true;
  t.authority_key_id = key_identifier(by.certificate.key);
  TRY(const Bytes der, sign_certificate(by.key, t));
  return Certificate::parse(der);
}

bool same_subject(const Certificate& a, const Certificate& b) { return a.key == b.key && a.subject == b.subject; }

}  // namespace

Result<std::vector<Certificate>> make_links(const site::Ca& old, const site::Ca& next, Instant now, Rng& rng) {
  std::vector<Certificate> out;
  if (root_of(old).key == root_of(next).key) {
    return out;
  }
  if (old.above.empty()) {
    TRY(Certificate new_with_old, cross(old, root_of(next), now, rng));
    out.push_back(std::move(new_with_old));
  }
  if (next.above.empty()) {
    TRY(Certificate old_with_new, cross(next, root_of(old), now, rng));
    out.push_back(std::move(old_with_new));
  }
  return out;
}

bool reaches(const site::Ca& old, const site::Ca& next, const std::vector<Certificate>& links, Instant now, Rng& rng) {
  const auto device = PrivateKey::generate(KeyType::p256);
  const auto name = Name::from_text("CN=trial");
  if (!device || !name) {
    return false;
  }
  Grant grant;
  grant.names.subject = *name;
  grant.spki = device->public_key().spki;
  grant.lifetime = std::chrono::minutes(1);
  const auto der = site::issue(next, grant, now, rng);
  const auto trial = der ? Certificate::parse(*der) : Result<Certificate>(der.error());
  std::vector<Certificate> sent = next.chain();
  std::erase_if(sent, [](const Certificate& c) { return self_signed(c); });  // nor does TLS send a root
  sent.insert(sent.end(), links.begin(), links.end());
  return trial && verify_chain(*trial, sent, {root_of(old)}, {Purpose::any, now, true});
}

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
  std::vector<Name> met{root_of(ca).subject};
  for (std::size_t i = 0; i < met.size(); ++i) {
    const Name of = met[i];
    for (const Certificate& link : all) {
      const bool leads = link.subject == of && !self_signed(link) && (i > 0 || link.key == root_of(ca).key);
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
    if (link.issuer == root_of(ca).subject && !self_signed(link) && std::ranges::find(sent, link) == sent.end()) {
      out.push_back(link);
    }
  }
  const std::size_t links = out.size();
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(data + "/ca/former", ignored)) {
    const auto chain = read_certificate_file(entry.path().string());
    if (!chain || chain->empty() || !self_signed(chain->back()) || chain->back() == root_of(ca)) {
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
