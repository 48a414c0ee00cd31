#include "proto/brski/artifact.h"

#include <algorithm>
#include <array>

#include "proto/brski/leaves.h"

namespace imprint::brski {
namespace {

constexpr std::size_t kMaxTried = 64;  // signatures are dear

struct FormName {
  std::string_view type;
  Form form;
};
constexpr std::array kFormNames{FormName{"application/voucher-cms+json", Form::cms},
                                FormName{"application/voucher+cose", Form::cose},
                                FormName{"application/voucher-jws+json", Form::jws},
                                FormName{"application/voucher-cose+cbor", Form::cose}};  // of older drafts

Result<Artifact> parse_cms(BytesView in) {
  TRY(SignedContent signed_content, parse_signed(in));
  const std::string& type = signed_content.type;
  CHECK_OR(type == kJsonVoucherType || type == kDataType, Error{Fault::unsupported, "voucher: type of content"});
  Artifact out;
  TRY(out.voucher, parse_json_voucher(as_text(signed_content.content.expose())));
  out.content = to_bytes(signed_content.content.expose());
  out.content_type = type;
  out.along = signed_content.along;
  out.wrapping = std::move(signed_content);
  return out;
}

bool among(const std::vector<Certificate>& all, const Certificate& one) {
  return std::ranges::find(all, one) != all.end();
}

Result<Artifact> parse_cose(BytesView in) {
  TRY(Sign1 message, parse_sign1(in));
  Artifact out;
  TRY(out.voucher, parse_cbor_voucher(message.payload));
  out.form = Form::cose;
  out.content = message.payload;
  for (const Certificate& one : message.bag) {  // the signer's may be in both headers
    if (!among(out.along, one)) {
      out.along.push_back(one);
    }
  }
  out.wrapping = std::move(message);
  return out;
}

Result<Artifact> parse_json_form(BytesView in) {
  TRY(Jws message, parse_jws(as_text(in)));
  Artifact out;
  TRY(out.voucher, parse_json_voucher(as_text(message.payload)));
  out.form = Form::jws;
  out.content = message.payload;
  for (const JwsSignature& one : message.signatures) {
    // draft-ietf-anima-jws-voucher section 3.2: typ may be missing, and is this if it is there.
    CHECK_OR(!one.understood || one.type.empty() || one.type == kJwsType, Error{Fault::unsupported, "voucher: typ"});
    for (const Certificate& certificate : one.chain) {
      if (!among(out.along, certificate)) {
        out.along.push_back(certificate);
      }
    }
  }
  out.content_type = std::ranges::find(message.signatures, true, &JwsSignature::understood)->type;
  out.wrapping = std::move(message);
  return out;
}

// Those that claim to have signed, in the order in which they are to be tried.
std::vector<Certificate> candidates(const Artifact& artifact, const std::vector<Certificate>& more) {
  std::vector<Certificate> out;
  const auto add = [&out](const std::vector<Certificate>& some) {
    for (const Certificate& one : some) {
      if (out.size() < kMaxTried && !among(out, one)) {
        out.push_back(one);
      }
    }
  };
  if (const auto* const cms = std::get_if<SignedContent>(&artifact.wrapping)) {
    add(cms->signers);
  } else if (const auto* const jws = std::get_if<Jws>(&artifact.wrapping)) {
    for (const JwsSignature& one : jws->signatures) {
      add({one.chain.begin(), one.chain.begin() + (one.chain.empty() ? 0 : 1)});  // RFC 7515 section 4.1.6: the first
    }
  } else {
    add(artifact.along);
  }
  add(more);
  return out;
}

}  // namespace

std::string_view name(Form form) { return form == Form::cms ? "cms" : form == Form::cose ? "cose" : "jws"; }

std::string_view media_type(Form form) { return std::ranges::find(kFormNames, form, &FormName::form)->type; }

std::optional<Form> form_of_media_type(std::string_view type) {
  const auto* const found = std::ranges::find(kFormNames, type, &FormName::type);
  return found == kFormNames.end() ? std::nullopt : std::optional(found->form);
}

std::optional<Form> form_of(BytesView in) {
  constexpr std::uint8_t kSequence = 0x30, kSign1Tag = 0xd2, kArrayOfFour = 0x84;
  if (in.empty()) {
    return std::nullopt;
  }
  if (in.front() == kSequence) {
    return Form::cms;
  }
  if (in.front() == kSign1Tag || in.front() == kArrayOfFour) {
    return Form::cose;
  }
  const std::string_view text = as_text(in);
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  return first != std::string_view::npos && text[first] == '{' ? std::optional(Form::jws) : std::nullopt;
}

Result<Artifact> parse_artifact(BytesView in) {
  const std::optional<Form> form = form_of(in);
  CHECK_OR(form, Error{Fault::unsupported, "voucher: neither CMS nor COSE nor JWS"});
  return parse_artifact(in, *form);
}

// Each form has its own limit of size, the same.
Result<Artifact> parse_artifact(BytesView in, Form form) {
  TRY(Artifact out, form == Form::cms ? parse_cms(in) : form == Form::cose ? parse_cose(in) : parse_json_form(in));
  out.received = to_bytes(in);
  return out;
}

Status signed_by(const Artifact& artifact, const PublicKey& key) {
  if (artifact.form == Form::cms) {
    return verify_signed(artifact.received, key);
  }
  if (const auto* const cose = std::get_if<Sign1>(&artifact.wrapping)) {
    return verify_sign1(*cose, key);
  }
  Status out = Error{Fault::unauthentic, "voucher: signature"};
  for (const JwsSignature& one : std::get<Jws>(artifact.wrapping).signatures) {
    out = verify_jws(one, key);
    if (out) {
      return out;
    }
  }
  return out;
}

Status signed_by(const Artifact& artifact, const Certificate& by) {
  return artifact.form == Form::cms ? verify_signed(artifact.received, by) : signed_by(artifact, by.key);
}

std::vector<Certificate> signers_of(const Artifact& artifact, const std::vector<Certificate>& more) {
  std::vector<Certificate> out;
  for (const Certificate& one : candidates(artifact, more)) {
    if (signed_by(artifact, one)) {
      out.push_back(one);
    }
  }
  return out;
}

Result<Bytes> sign_voucher(const Voucher& voucher, Form form, const Signer& by, std::string_view type,
                           bool named_voucher) {
  if (form == Form::cose) {
    TRY(const Bytes content, encode_cbor_voucher(voucher));
    Sign1Options options{by.chain, false, {}};
    if (voucher.kind == Voucher::Kind::voucher && by.chain.size() > 1) {
      options.chain.assign(by.chain.begin(), by.chain.end() - 1);
    }
    return sign_sign1(content, by.key, options);
  }
  TRY(std::string content, encode_json_voucher(voucher));
  if (named_voucher && voucher.kind == Voucher::Kind::request) {
    content.replace(content.find(kRequestName), kRequestName.size(), kVoucherName);  // it is the first of all
  }
  if (form == Form::cms) {
    Signer dated = by;
    if (voucher.created_on && !dated.at) {
      dated.at = voucher.created_on->at;  // by the same clock
    }
    TRY(const Secret message, sign_content(type, view(content), dated));
    return to_bytes(message.expose());
  }
  TRY(const std::string message, sign_jws(view(content), by.key, {std::string(kJwsType), {}, by.chain}));
  return to_bytes(message);
}

}  // namespace imprint::brski
