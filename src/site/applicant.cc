#include "site/applicant.h"

#include <algorithm>

namespace imprint {

// The one place that turns a presented secret into a proof.
template <>
struct Checker<KnownSecret> {
  static std::optional<Verified<KnownSecret>> check(const std::optional<DeviceSecret>& found, std::string_view user) {
    if (!found || found->user != user) {
      return std::nullopt;
    }
    return Verified<KnownSecret>(KnownSecret{found->device, found->user, found->one_time});
  }
};

namespace site {
namespace {

bool is_ours(const Policy& policy, const Certificate& anchor) {
  return std::ranges::find(policy.owner_anchors, anchor) != policy.owner_anchors.end();
}

}  // namespace

bool is_of_use(const Applicant& who) {
  const bool wanted =
      who.device && who.device->admission != Admission::refused && who.device->admission != Admission::retired;
  return wanted && !(who.current && who.current->revoked);
}

Result<Applicant> identify(const Policy& policy, store::Reader& store, const Admit& q, Instant now, Decision& d) {
  Applicant out;
  if (q.session->proven) {
    const CertificateChain& chain = **q.session->proven;
    d.identity = "certificate " + chain.leaf.subject.text + " of " + chain.leaf.issuer.text;
    if (is_ours(policy, chain.anchor)) {
      TRY(out.current, store.certificate(chain.leaf.serial));
      if (out.current && !holds(out.current->der == chain.leaf.der)) {
        out.current.reset();  // another CA's below the same root, of the same serial number
      }
      if (out.current && !holds(!out.current->profile.ends_with(kHandedOnMark))) {
        out.current.reset();
        out.only_handed_on = true;
      }
      if (out.current) {
        TRY(out.device, store.device(out.current->device));
      }
      if (is_of_use(out) || !q.login) {
        return out;
      }
    } else {
      d.device_identity = identity_of(chain.leaf);
      TRY(out.device, store.device_by_identity(d.device_identity));
      if (is_of_use(out) || !q.login) {
        return out;
      }
    }
    // The certificate opens nothing here: the secret says which device it is.
    out = {};
    d.device_identity.clear();
  }
  if (!q.session->srp_user.empty() || q.login) {
    const std::string& user = q.session->srp_user.empty() ? q.login->user : q.session->srp_user;
    TRY(const auto found, presented_secret(policy, store, q, now, d));
    d.secret = Checker<KnownSecret>::check(found, user);
    if (d.secret) {
      d.identity = std::string((*d.secret)->one_time ? "one-time token of " : "password of ") + (*d.secret)->device;
      out.spent = found->spent;
      d.spent = found->one_time ? hex(found->mac) : std::string{};
      TRY(out.device, store.device(found->device));
    }
  }
  return out;
}

}  // namespace site
}  // namespace imprint
