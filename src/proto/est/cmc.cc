#include "proto/est/cmc.h"

#include <algorithm>
#include <array>

#include "codec/der.h"

namespace imprint::est {
namespace {

// RFC 5272 section 6, below id-cmc.
constexpr std::string_view kTransactionId = "1.3.6.1.5.5.7.7.5", kSenderNonce = "1.3.6.1.5.5.7.7.6",
                           kRecipientNonce = "1.3.6.1.5.5.7.7.7", kStatusInfo = "1.3.6.1.5.5.7.7.1",
                           kStatusInfoV2 = "1.3.6.1.5.5.7.7.25";
constexpr std::size_t kMaxControls = 32, kMaxIdentifier = 64, kMaxText = 200;

constexpr std::array kFailures{
    std::pair{CmcFailure::bad_algorithm, std::string_view("badAlg")},
    std::pair{CmcFailure::bad_message_check, std::string_view("badMessageCheck")},
    std::pair{CmcFailure::bad_request, std::string_view("badRequest")},
    std::pair{CmcFailure::bad_identity, std::string_view("badIdentity")},
    std::pair{CmcFailure::pop_failed, std::string_view("popFailed")},
    std::pair{CmcFailure::internal_ca_error, std::string_view("internalCAError")},
    std::pair{CmcFailure::try_later, std::string_view("tryLater")},
};

struct Control {
  std::uint32_t id = 0;
  std::string type;
  der::Item value;
};

// BodyPartID ::= INTEGER (0..4294967295)
std::optional<std::uint32_t> read_id(BytesView content) {
  if (content.empty() || content.size() > 5 || (content.size() == 5 && content[0] != 0) || (content[0] & 0x80U) != 0) {
    return std::nullopt;
  }
  std::uint32_t out = 0;
  for (const std::uint8_t b : content) {
    out = (out << 8U) | b;
  }
  return out;
}

// TaggedAttribute with exactly one value.
Result<Control> read_control(der::Reader& list) {
  const Error bad{Fault::malformed, "cmc: control"};
  der::Reader in(list.next(der::kSequence).content);
  const auto id = read_id(in.next(der::kInteger).content);
  TRY(std::string type, der::parse_oid(in.next(der::kOid).content));
  der::Reader values(in.next(der::kSet).content);
  const der::Item value = values.next();
  CHECK_OR(id && in.done() && values.done(), bad);
  return Control{*id, std::move(type), value};
}

Result<std::vector<Control>> read_controls(BytesView content) {
  der::Reader list(content);
  std::vector<Control> out;
  while (!list.empty()) {
    CHECK_OR(out.size() < kMaxControls, Error{Fault::limit, "cmc: controls"});
    TRY(Control one, read_control(list));
    out.push_back(std::move(one));
  }
  return out;
}

Result<Bytes> read_octets(const Control& control, std::uint8_t tag) {
  const BytesView content = control.value.content;
  CHECK_OR(control.value.tag == tag && !content.empty() && content.size() <= kMaxIdentifier,
           Error{Fault::malformed, "cmc: transaction or nonce"});
  return to_bytes(content);
}

// Whether the control was one of the ids.
Result<bool> take_id(const Control& control, CmcIds& ids) {
  if (control.type == kTransactionId) {
    TRY(ids.transaction, read_octets(control, der::kInteger));
    return true;
  }
  if (control.type == kSenderNonce) {
    TRY(ids.nonce, read_octets(control, der::kOctetString));
    return true;
  }
  return false;
}

// TaggedRequest ::= CHOICE { tcr [0] { id, PKCS#10 }, crm [1] CertReqMsg, orm [2] … }
void read_request(const der::Item& tagged, PkiData& out) {
  der::Reader in(tagged.content);
  if (tagged.tag == der::context(0)) {
    const auto id = read_id(in.next(der::kInteger).content);
    const BytesView pkcs10 = in.next(der::kSequence).whole;
    out.body_part = id.value_or(0);
    out.request = id && in.done() ? CertificateRequest::parse(pkcs10) : Error{Fault::malformed, "cmc: request"};
  } else if (tagged.tag == der::context(1)) {
    der::Reader request(in.next(der::kSequence).content);
    out.body_part = read_id(request.next(der::kInteger).content).value_or(0);
    out.request = CertificateRequest::parse_crmf(der::item(der::kSequence, tagged.content));
  } else {
    out.body_part = read_id(in.next(der::kInteger).content).value_or(0);
    out.no_support = true;
  }
}

Status read_all(BytesView der, PkiData& out) {
  der::Reader outer(der);
  der::Reader in(outer.next(der::kSequence).content);
  const BytesView controls = in.next(der::kSequence).content;
  der::Reader requests(in.next(der::kSequence).content);
  const BytesView cms = in.next(der::kSequence).content, other = in.next(der::kSequence).content;
  CHECK_OR(outer.done() && in.done(), Error{Fault::malformed, "cmc: not a PKIData"});
  TRY(const std::vector<Control> all, read_controls(controls));
  const Control* unknown = nullptr;
  for (const Control& one : all) {
    TRY(const bool taken, take_id(one, out.ids));
    if (!taken && unknown == nullptr) {
      unknown = &one;
    }
  }
  if (!holds(unknown == nullptr)) {
    out.body_part = unknown->id;
    return Error{Fault::unsupported, "cmc: a control that we do not know"};
  }
  const der::Item first = requests.next();
  CHECK_OR(requests.good(), Error{Fault::malformed, "cmc: no request"});
  const bool one_request = holds(requests.empty());
  const bool no_cms = holds(cms.empty());
  const bool nothing_else = holds(other.empty());
  out.no_support = !one_request || !no_cms || !nothing_else;
  if (!out.no_support) {
    read_request(first, out);
  }
  return Ok{};
}

Bytes control(std::uint64_t id, std::string_view type, BytesView value) {
  return der::sequence({der::integer(id), der::oid(type), der::set_of({value})});
}

Bytes generalized_time(Instant when) {
  std::string text = utc_text(when);  // 2026-11-22T10:00:00Z
  std::erase_if(text, [](char c) { return c == '-' || c == ':' || c == 'T'; });
  return der::text(der::kGeneralizedTime, text);
}

Bytes encode_status(const PkiResponse& r) {
  const Bytes list = der::sequence({der::integer(r.body_part)});
  const Bytes text = r.text.empty() ? Bytes() : der::text(der::kUtf8, std::string_view(r.text).substr(0, kMaxText));
  Bytes info;
  if (r.failure) {
    info = der::integer(static_cast<std::uint64_t>(*r.failure));
  } else if (r.pending_until) {
    const Bytes token = der::item(der::kOctetString, r.ids.transaction.value_or(Bytes{0}));
    info = der::item(der::context(0), der::concat({token, generalized_time(*r.pending_until)}));
  }
  return der::sequence({der::integer(static_cast<std::uint64_t>(r.status)), list, text, info});
}

// CMCStatusInfo and CMCStatusInfoV2 alike; bodyPartPath is passed over.
Status read_status(const Control& control, PkiResponse& out) {
  const Error bad{Fault::malformed, "cmc: status"};
  CHECK_OR(control.value.tag == der::kSequence, bad);
  der::Reader in(control.value.content);
  const auto status = read_id(in.next(der::kInteger).content);
  der::Reader parts(in.next(der::kSequence).content);
  if (parts.has(der::kInteger)) {
    out.body_part = read_id(parts.next().content).value_or(0);
  }
  if (const auto text = in.maybe(der::kUtf8)) {
    out.text = as_text(text->content.first(std::min(text->content.size(), kMaxText)));
  }
  if (const auto failure = in.maybe(der::kInteger)) {
    const auto number = read_id(failure->content);
    const auto* const known = std::ranges::find_if(
        kFailures, [&](const auto& f) { return number && static_cast<std::uint32_t>(f.first) == *number; });
    out.failure = known != kFailures.end() ? known->first : CmcFailure::bad_request;
  }
  CHECK_OR(status && in.good(), bad);
  CHECK_OR(*status == 0 || (*status >= 2 && *status <= 4), Error{Fault::unsupported, "cmc: status"});
  out.status = static_cast<CmcStatus>(*status);
  return Ok{};
}

}  // namespace

std::string_view name(CmcFailure failure) {
  return std::ranges::find(kFailures, failure, &std::pair<CmcFailure, std::string_view>::first)->second;
}

PkiData parse_pki_data(BytesView der) {
  PkiData out;
  if (const Status read = read_all(der, out); !read) {
    out.request = read.error();
  }
  return out;
}

Bytes encode_pki_data(const CmcIds& ids, BytesView pkcs10) {
  const Bytes transaction =
      ids.transaction ? control(2, kTransactionId, der::item(der::kInteger, *ids.transaction)) : Bytes();
  const Bytes nonce = ids.nonce ? control(3, kSenderNonce, der::item(der::kOctetString, *ids.nonce)) : Bytes();
  const Bytes request = der::item(der::context(0), der::concat({der::integer(1), pkcs10}));
  return der::sequence(
      {der::sequence({transaction, nonce}), der::sequence({request}), der::sequence({}), der::sequence({})});
}

Bytes encode_pki_response(const PkiResponse& r) {
  Bytes controls = control(1, kStatusInfoV2, encode_status(r));
  const auto add = [&controls](std::uint64_t id, std::string_view type, std::uint8_t tag,
                               const std::optional<Bytes>& value) {
    if (value) {
      const Bytes one = control(id, type, der::item(tag, *value));
      controls.insert(controls.end(), one.begin(), one.end());
    }
  };
  add(2, kTransactionId, der::kInteger, r.ids.transaction);
  add(3, kSenderNonce, der::kOctetString, r.ids.nonce);
  add(4, kRecipientNonce, der::kOctetString, r.recipient_nonce);
  return der::sequence({der::item(der::kSequence, controls), der::sequence({}), der::sequence({})});
}

Result<PkiResponse> parse_pki_response(BytesView der) {
  der::Reader outer(der);
  der::Reader in(outer.next(der::kSequence).content);
  const BytesView controls = in.next(der::kSequence).content;
  in.next(der::kSequence);
  in.next(der::kSequence);
  CHECK_OR(outer.done() && in.done(), Error{Fault::malformed, "cmc: not a PKIResponse"});
  TRY(const std::vector<Control> all, read_controls(controls));
  PkiResponse out;
  for (const Control& one : all) {
    TRY(const bool taken, take_id(one, out.ids));
    if (!taken && one.type == kRecipientNonce) {
      TRY(out.recipient_nonce, read_octets(one, der::kOctetString));
    } else if (one.type == kStatusInfo || one.type == kStatusInfoV2) {
      PkiResponse said;
      TRY(Ok{}, read_status(one, said));
      if (out.status == CmcStatus::success) {  // one bad status of several is the answer
        out.status = said.status;
        out.failure = said.failure;
        out.body_part = said.body_part;
        out.text = said.text;
      }
    }
  }
  return out;
}

}  // namespace imprint::est
