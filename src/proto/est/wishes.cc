#include "proto/est/wishes.h"

#include <algorithm>

#include "codec/base64.h"
#include "codec/der.h"

namespace imprint::est {
namespace {

constexpr std::string_view kSubjectAltName = "2.5.29.17";

// The value (DER) of the first attribute of this type in a name.
std::optional<Bytes> value_in(const Name& name, std::string_view oid) {
  der::Reader outer(name.der);
  der::Reader rdns(outer.next(der::kSequence).content);
  while (!rdns.empty() && rdns.good()) {
    der::Reader set(rdns.next(der::kSet).content);
    while (!set.empty() && set.good()) {
      der::Reader one(set.next(der::kSequence).content);
      const auto type = der::parse_oid(one.next(der::kOid).content);
      const der::Item value = one.next();
      if (type && *type == oid && one.good()) {
        return to_bytes(value.whole);
      }
    }
  }
  return std::nullopt;
}

// The template's subject: values as given, open ones from what the device knows of itself; unknown ones left out.
Name fill_subject(const std::vector<CsrAttributes::Wish>& wishes, const Name& known) {
  Bytes rdns;
  for (const CsrAttributes::Wish& wish : wishes) {
    const std::optional<Bytes> value = wish.value ? wish.value : value_in(known, wish.oid);
    if (value) {
      const Bytes one = der::item(der::kSet, der::sequence({der::oid(wish.oid), *value}));
      rdns.insert(rdns.end(), one.begin(), one.end());
    }
  }
  const auto name = Name::parse(der::item(der::kSequence, rdns));
  return name ? *name : known;
}

}  // namespace

RequestTemplate fill_request(const CsrAttributes& wishes, const Plan& plan, BytesView channel_binding) {
  RequestTemplate out;
  out.subject = wishes.subject.empty() ? plan.names.subject : fill_subject(wishes.subject, plan.names.subject);
  out.alt_names = plan.names.alt_names;
  out.change_names = plan.change_names;
  std::ranges::copy_if(wishes.extensions, std::back_inserter(out.other_extensions), [&](const Extension& e) {
    return e.oid != kSubjectAltName || plan.names.alt_names.empty();  // our own names come first
  });
  if (!channel_binding.empty()) {
    // RFC 7894 section 3.2: a server that lists estIdentityLinking gets it in place of the challenge password.
    (wishes.link_7894 ? out.identity_linking : out.challenge_password) = base64(channel_binding);
  }
  return out;
}

}  // namespace imprint::est
