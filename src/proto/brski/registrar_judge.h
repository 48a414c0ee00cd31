// What a registrar looks at: the device's request (RFC 8995 section 5.2), the MASA's answer to its own (section 5.6),
// and the MASA's audit log (section 5.8.3). Pure functions of what came in.
#pragma once

#include "proto/brski/audit_log.h"
#include "proto/brski/masa_url.h"

namespace imprint::brski {

// The media type of this form, for a MASA with these quirks.
std::string_view media_type(Form form, const Quirks& quirks);
// The form of a MASA's voucher by its media type; by its first octets where the quirks say that the type is none.
std::optional<Form> form_of_answer(std::string_view content_type, BytesView body, const Quirks& quirks);

// The body of a message in the form that was announced, for a maker with these quirks.
Result<Artifact> read_body(BytesView body, Form form, const Quirks& quirks);
// The same of a device, which may call its request a voucher.
Result<Artifact> read_request(BytesView body, Form form, const Quirks& quirks);

// Whether the device of this IDevID made this request, now, to the registrar with this certificate. Fault::unauthentic
// with BRSKI-PVR-REGISTRAR or BRSKI-PVR-NOT-PROXIMITY: somebody may stand between the two.
Status judge_pledge_request(const Artifact& artifact, const Certificate& idevid, const Certificate& own,
                            const Quirks& quirks);

// The registrar's own request: what the device said is copied, but for who it is (section 5.5).
Voucher make_registrar_request(const Artifact& of_pledge, const Certificate& idevid, const Quirks& quirks, Instant now);

// What the registrar has asked the MASA for.
struct VoucherWanted {
  PledgeId id;
  std::optional<Nonce> nonce;
  std::vector<Form> forms;           // that the device reads
  std::vector<Certificate> own;      // the registrar's TLS certificate and those above it
  std::vector<Certificate> anchors;  // of the MASA's vouchers; empty: its signature is not looked at
  Bytes issuer_sent = {};            // idevid-issuer as we have asked with it: some MASAs echo it, whatever it is
  Bytes issuer = {};                 // issuer_key_id() of the IDevID, if the device is on record under another one
};
// Whether the device would take it, and this registrar with it. BRSKI-MASA-ANSWER, -VOUCHER, -PIN, or a rule of
// rules.h about its signature.
Status judge_masa_voucher(const Artifact& artifact, const VoucherWanted& wanted, Instant now);
// The domainID of what it pins: of a key alone the SHA-256 of that key. Empty if it pins nothing that can be read.
Bytes pinned_domain(const Voucher& voucher);
// As text, as audit logs and people have it; octets in base64.
std::string nonce_text(const std::optional<Nonce>& nonce);

// ---- the audit log ----

// What in a device's past needs a person (section 5.8.3).
struct LogPolicy {
  bool log_needed = true;         // without a log it is held
  std::vector<Bytes> known;       // domainIDs of our other sites, resellers; our own if other registrars have it too
  bool strangers = false;         // domains that are not known do not matter
  bool others_nonceless = false;  // nor do vouchers without a nonce for others
  bool new_goods = false;         // any voucher for another domain matters, also for a known one
  bool truncated = false;         // entries that were left out do not matter
  bool operator==(const LogPolicy&) const = default;
};

struct LogVerdict {
  bool cleared = false;
  const Rule* rule = nullptr;  // that holds the device for a person
  std::string reason;
};
// What is on record here of our own vouchers for a device.
struct OwnVouchers {
  std::optional<Instant> since;  // when the first may have been given; none: nothing is known of that
  std::string nonce;             // of the latest, as nonce_text() has it; empty: it has none
};
// A day before the device came for the first time, or before the voucher on record was made: clocks differ.
OwnVouchers own_vouchers(const PledgeRow& row);
// `log`: none, or what it says; an Error if it could not be read. `own`: domainIDs of ours that vouchers may pin. An
// entry with one of them counts as ours if it can be: a domainID is mostly what a certificate says of itself (section
// 5.8.2), and anybody can write ours into theirs. BRSKI-LOG-OWN, unless the policy knows our own domain by name.
LogVerdict judge_log(const std::optional<Result<AuditLog>>& log, const std::vector<Bytes>& own, const LogPolicy& policy,
                     const OwnVouchers& given = {});

}  // namespace imprint::brski
