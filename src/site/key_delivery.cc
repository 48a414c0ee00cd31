#include "site/key_delivery.h"

#include <algorithm>

#include "crypto/enveloped.h"
#include "site/rules.h"
#include "site/wrap_keys.h"

namespace imprint::site {
namespace {

void refuse(Decision& d, const Rule& rule, std::string reason) {
  d.verdict = Verdict::refused;
  d.rule = &rule;
  d.reason = std::move(reason);
}

bool has_id(const Certificate& certificate, BytesView id) {
  return equal(certificate.key_id.empty() ? BytesView(key_identifier(certificate.key)) : BytesView(certificate.key_id),
               id);
}

// By subject key identifier, among what the device has shown itself to hold and what we have given it.
Result<std::optional<Certificate>> find_certificate(store::Reader& store, const Device& device, const Admit& q,
                                                    BytesView id, Instant now) {
  if (q.session->proven && has_id((*q.session->proven)->leaf, id)) {
    return std::optional((*q.session->proven)->leaf);
  }
  store::CertificateFilter given;
  given.device = device.id;
  TRY(const std::vector<store::CertificateRow> rows, store.certificates(given));
  for (const store::CertificateRow& row : rows) {
    const auto certificate = Certificate::parse(row.der);
    if (certificate && !row.revoked && now < row.not_after && has_id(*certificate, id)) {
      return std::optional(*certificate);
    }
  }
  return std::optional<Certificate>{};
}

// The device's own key of this identifier; what it wraps is found out when it is opened, by whoever makes the key.
Result<std::optional<KeyDelivery::SharedKeyId>> find_shared(store::Reader& store, const Device& device, BytesView id) {
  TRY(const std::vector<store::WrapKeyRow> rows, store.wrap_keys(device.id));
  for (const store::WrapKeyRow& row : rows) {
    if (equal(row.id, id)) {
      return std::optional(KeyDelivery::SharedKeyId{row.id, row.device, row.sealed});
    }
  }
  return std::optional<KeyDelivery::SharedKeyId>{};
}

// Who opens what a key travels in; nobody if it travels in clear.
Result<std::optional<Recipient>> recipient_of(const KeyDelivery& delivery, const Secret& pepper) {
  if (const auto* const certificate = std::get_if<Certificate>(&delivery.form)) {
    return std::optional<Recipient>(*certificate);
  }
  const auto* const shared = std::get_if<KeyDelivery::SharedKeyId>(&delivery.form);
  if (shared == nullptr) {
    return std::optional<Recipient>();
  }
  CHECK_OR(!shared->sealed.empty(), Error{Fault::refused, kNoWrapKey});
  auto key = open_wrap_key(pepper, shared->device, shared->id, shared->sealed);
  CHECK_OR(key, Error{Fault::refused, kWrapKeyUnreadable});
  return std::optional<Recipient>(*std::move(key));
}

bool may_unwrap(const Certificate& certificate) {
  const bool rsa = certificate.key.type == KeyType::rsa2048 || certificate.key.type == KeyType::rsa3072 ||
                   certificate.key.type == KeyType::rsa4096;
  const std::uint16_t wanted = rsa ? key_usage::kKeyEncipherment : key_usage::kKeyAgreement;
  return !certificate.usage || (*certificate.usage & wanted) != 0;
}

}  // namespace

Status choose_delivery(const Profile& profile, store::Reader& store, const Device& device, const Admit& q, Instant now,
                       Decision& d) {
  const KeyWrapping& asked = q.request->wrapping;
  KeyDelivery out{q.request->key.type, {}, asked.capabilities};
  if (profile.server_keys == ServerKeys::no) {
    refuse(d, kNoServerKeys, "profile " + profile.name);
    return Ok{};
  }
  if (asked.shared_key_id) {
    TRY(const auto shared, find_shared(store, device, *asked.shared_key_id));
    if (!shared) {
      refuse(d, kNoWrapKey, "shared key " + hex(*asked.shared_key_id));
      return Ok{};
    }
    out.form = *shared;
  } else if (asked.own_key_id) {
    TRY(const auto recipient, find_certificate(store, device, q, *asked.own_key_id, now));
    if (!recipient) {
      refuse(d, kNoWrapKey, "key " + hex(*asked.own_key_id));
      return Ok{};
    }
    if (!may_unwrap(*recipient)) {
      refuse(d, kWrapUsage, "certificate " + recipient->subject.text);
      return Ok{};
    }
    if (!choose_algorithms(asked.capabilities, *recipient, strength_bits(out.type))) {
      refuse(d, kNoCommonCipher, "for a key of type " + std::string(name(out.type)));
      return Ok{};
    }
    out.form = *recipient;
  } else if (profile.server_keys == ServerKeys::clear) {
    out.form = KeyDelivery::InClear{};
  } else {
    refuse(d, kMustWrap, "profile " + profile.name);
    return Ok{};
  }
  d.delivery = std::move(out);
  return Ok{};
}

Result<MadeKey> make_key_for(const KeyDelivery& delivery, const WrapMeans& means) {
  TRY(const std::optional<Recipient> recipient, recipient_of(delivery, means.pepper));
  const auto by = std::ranges::find_if(means.signers, [](const imprint::Signer& s) {
    return s.key && !s.chain.empty() && signs_cms(s.key.public_key().type);
  });
  CHECK_OR(!recipient || by != means.signers.end(), Error{Fault::refused, kKeySigner});
  CHECK_OR(!recipient || choose_algorithms(delivery.capabilities, *recipient, strength_bits(delivery.type)),
           Error{Fault::refused, kNoCommonCipher});
  TRY(const PrivateKey key, PrivateKey::generate(delivery.type));
  MadeKey out{key.public_key(), recipient.has_value(), {}};
  if (!recipient) {
    TRY(out.body, encode_pkcs8(key));
    return out;
  }
  TRY(const Bytes sealed, seal_key(key, *recipient, delivery.capabilities, *by));
  out.body = Secret(BytesView(sealed));
  return out;
}

Status check_wrap_key(store::Reader& store, const KeyDelivery& delivery) {
  const auto* const shared = std::get_if<KeyDelivery::SharedKeyId>(&delivery.form);
  if (shared == nullptr) {
    return Ok{};
  }
  TRY(const std::vector<store::WrapKeyRow> rows, store.wrap_keys(shared->device));
  const bool there = std::ranges::any_of(rows, [&](const store::WrapKeyRow& row) {
    return equal(row.id, shared->id) && equal(row.sealed, shared->sealed);
  });
  CHECK_OR(there, Error{Fault::refused, kNoWrapKey});
  return Ok{};
}

Result<std::optional<LostAnswer>> lost_answer(const Policy& policy, store::Reader& store, const Admit& q, Instant now) {
  TRY(const auto answered, store.certificate_for(q.request_key));
  if (!answered || !store::is_fresh(*answered, now)) {
    return std::optional<LostAnswer>{};
  }
  // Each retry names the one before as what it renews: the first of them is when the token was used.
  std::optional<store::CertificateRow> first = answered;
  std::size_t retries = 0;
  while (!first->renews.empty() && retries < kMostRetries) {
    TRY(const auto before, store.certificate(first->renews));
    if (!before || before->request_key != answered->request_key) {
      break;
    }
    first = before;
    ++retries;
  }
  return std::optional(LostAnswer{answered->serial, retries, now - first->issued <= policy.lost_answer});
}

}  // namespace imprint::site
