// What a pledge is told before it runs, and what it has on record of its owner.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proto/brski/judge.h"
#include "proto/brski/questions.h"
#include "proto/est/client.h"

namespace imprint::brski {

// What somebody said on the link: that a registrar or a join proxy is there. Nothing vouches for it (RFC 8995 section
// 4).
struct Announced {
  Uri at;
  std::string by;          // "a flood of AN_Proxy", "DNS-SD _brski-proxy._tcp"
  Instant until = kNoEnd;  // then it ends by itself
  bool operator==(const Announced&) const = default;
};

// What the device is told to do, and what the factory put in. Fixed during a run.
struct PledgePlan {
  std::vector<Uri> registrars;  // where one may be: join proxies as heard, or addresses given; in the order of trying
  std::optional<Uri> cloud;     // the maker's default, tried last: full TLS, judged by `cloud_anchors`
  std::vector<Certificate> cloud_anchors;
  bool heard = false;                        // the addresses were announced by whoever is there, not given
  Credential identity;                       // the IDevID, own certificate first
  std::vector<Certificate> voucher_anchors;  // of the MASA
  SerialSource serial = SerialSource::subject;
  Form form = Form::cms;                       // over HTTPS; over CoAPS there is COSE alone
  std::string content_type{kJsonVoucherType};  // of CMS
  bool coap_wishes = false;                    // csrattrs are asked for over CoAPS, too
  bool trusts_clock = true;                    // else no time in a voucher counts (RFC 8995 section 2.6.1)
  std::vector<Assertion> assertions;           // that it accepts; empty: all
  est::Plan enrolment;                    // names, key, label; server, anchors and credential are filled in by the run
  std::uint32_t rounds = 8;               // times that all addresses may fail before the device gives up
  std::uint32_t polls = 5'760;            // 202 answers taken: four days at 60 s (RFC 8995 section 5.6)
  std::vector<Announced> announced = {};  // all that was heard, `registrars` among it
  // What a registrar wants otherwise than RFC 8995, over HTTPS. Each is the operator's word, never the peer's.
  bool base64_bodies = false;           // of requestvoucher, both ways (section 5: bare)
  bool requests_named_voucher = false;  // the container of a request is ietf-voucher:voucher (section 3.2)
  bool version_as_text = false;         // of telemetry (section 5.7: a number)
  bool registrar_changes = false;       // another certificate on each connection (section 5: the same)
};
using PledgePlanRef = std::shared_ptr<const PledgePlan>;

// Whom the device has taken for its owner, by which voucher. Durable before anybody hears of it. A device that finds it
// without a certificate of its owner's (est::Installed) judges the voucher anew and goes back to whoever leads to what
// it pins; it asks for another one only if nobody does.
struct Imprinted {
  Uri registrar;
  Bytes voucher;            // as received
  Certificate pinned;       // to which the registrar's certificate leads
  bool configured = false;  // enrolled, and the registrar has heard of it: BRSKI never runs again
  bool operator==(const Imprinted&) const = default;
};
// Whether `registrar` is the EST server that the voucher names, where no registrar is
// (draft-ietf-anima-brski-cloud section 3.2).
bool names_est_server(const Imprinted& owner);

}  // namespace imprint::brski
