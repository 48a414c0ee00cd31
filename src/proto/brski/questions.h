// What the registrar asks of the house around it: site/pledges.h and runtime answer. The facts that remain are in
// model/pledge.h.
#pragma once

#include "model/pledge.h"
#include "proto/brski/judge.h"
#include "proto/brski/telemetry.h"
#include "role/questions.h"

namespace imprint::brski {

// How the serial number of a device is found in its IDevID (RFC 8995 section 2.3.1).
enum class SerialSource : std::uint8_t { subject, hardware_module_name, common_name };

// How idevid-issuer is written in a registrar's request.
enum class IssuerForm : std::uint8_t {
  octet_string,      // 04 18 30 16 80 14 …: the extension's whole value, as all drafts' examples have it
  authority_key_id,  // 30 16 80 14 …
  key_id,            // the bare key identifier
  printed_name,      // the issuer's name as text (nqminds/brski)
  left_out,
};

// What a maker's devices and its MASA do otherwise than RFC 8995: data, one a maker.
struct Quirks {
  std::string content_type{kJsonVoucherType};  // of CMS that we make; some read id-data alone
  bool base64_bodies = false;                  // bodies of requestvoucher travel in base64
  bool requests_named_voucher = false;         // the container of requests is called ietf-voucher:voucher
  bool old_paths = false;                      // the MASA has its resources under /.well-known/est
  IssuerForm issuer = IssuerForm::octet_string;
  SerialSource serial = SerialSource::subject;
  bool expired_idevids = false;     // the end of an IDevID does not count (section 2.6.2)
  bool proximity_optional = false;  // devices that do not say which registrar they see
  bool est_before_status = false;   // EST is served before the device has told how its voucher was
  bool no_audit_log = false;        // the MASA keeps none for registrars
  bool old_media_types = false;     // COSE goes as application/voucher-cose+cbor, and may come as application/cose
  bool any_voucher_type = false;    // a voucher may come with any media type: its first octets say what it is
  bool registrar_id_log = false;    // entries of the audit log have registrarID for domainID, and no assertion
  bool operator==(const Quirks&) const = default;
};

// Where the MASA of a device is, how it is known and how we show who we are.
struct MasaContact {
  Uri url;                           // https://HOST:PORT[/base]; the base is /.well-known/brski if none is given
  std::vector<Certificate> anchors;  // of its TLS certificate
  std::optional<Credential> as;      // our certificate; none: it is not shown
  std::optional<Login> login;        // HTTP Basic or Digest
  Quirks quirks;
  std::vector<Certificate> voucher_anchors;  // of its vouchers; empty: the registrar does not look at them
  std::string because;                       // which rule named it, for people: "the IDevID's own extension"
};

// Who is this device, do I want it, and who speaks for its maker? Nothing is written.
struct AdmitPledge {
  struct Decision;
  using Answer = Decision;
  SessionRef session;  // with its proven IDevID
};
struct AdmitPledge::Decision {
  enum class Verdict : std::uint8_t { wanted, pending, refused };
  Verdict verdict = Verdict::refused;
  PledgeId id;
  std::string device;          // inventory id
  Duration retry_after{};      // with pending
  const Rule* rule = nullptr;  // with pending and refused
  std::string reason;          // for the operator
  MasaContact masa;            // with wanted and pending
  std::optional<Bytes> kept;   // the voucher on record, if any: the role sees whether it answers this request
  std::optional<imprint::Device> newcomer;  // joins the inventory
};

// Sign a voucher request, with the registrar's certificate and those that may be pinned, or with the IDevID.
struct SignRequestArtifact {
  using Answer = Bytes;
  Voucher what;
  Form form = Form::cms;
  std::string content_type{kJsonVoucherType};
  std::vector<Certificate> along = {};  // further certificates in it: in COSE those of the device
  std::optional<Credential> as = {};    // a device's; none: the registrar's own
  bool named_voucher = false;           // in JSON the request's container is called ietf-voucher:voucher
};

// What is on record of a device that comes with its IDevID or with a certificate of ours. Nothing is written.
struct RecallPledge {
  struct Recalled;
  using Answer = Recalled;
  SessionRef session;  // with its proven certificate
};
// Fault::refused with a rule if nothing is.
struct RecallPledge::Recalled {
  PledgeRow row;
  std::string certificate;  // ours, by which it came: its serial number in hexadecimal; empty: it came by its IDevID
  MasaContact masa;         // if it came by its IDevID
};

}  // namespace imprint::brski
