#include "proto/est/wishes.h"

#include <algorithm>

#include "codec/base64.h"
#include "codec/der.h"

namespace imprint::est {
namespace {

constexpr std::string_view kSubjectAltName = "2.5.29.17";
constexpr std::size_t kMaxNames = 16;  // that a server adds to ours

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

// RFC 5280 section 4.2.1.6: GeneralName is tagged by its kind; those that hold a structure are constructed.
Bytes encode_name(const GeneralName& name) {
  using Kind = GeneralName::Kind;
  const auto number = static_cast<unsigned>(name.kind);
  const bool constructed =
      name.kind == Kind::other || name.kind == Kind::x400 || name.kind == Kind::directory || name.kind == Kind::edi;
  return der::item(constructed ? der::context(number) : der::context_primitive(number), name.value);
}

// Names that only the server can know, in the subjectAltName that it wishes for.
std::vector<GeneralName> other_names(const std::vector<Extension>& extensions) {
  std::vector<GeneralName> out;
  for (const Extension& e : extensions) {
    der::Reader outer(e.oid == kSubjectAltName ? BytesView(e.value) : BytesView());
    der::Reader names(outer.next(der::kSequence).content);
    while (!names.empty() && names.good() && out.size() < kMaxNames) {
      const der::Item one = names.next();
      if (names.good() && one.tag == der::context(static_cast<unsigned>(GeneralName::Kind::other))) {
        out.push_back({GeneralName::Kind::other, to_bytes(one.content)});
      }
    }
  }
  return out;
}

// Our own names come first.
std::vector<GeneralName> beside_own(std::vector<GeneralName> own, const std::vector<Extension>& wished) {
  for (GeneralName& one : other_names(wished)) {
    if (std::ranges::find(own, one) == own.end()) {
      own.push_back(std::move(one));
    }
  }
  return own;
}

}  // namespace

RequestTemplate fill_request(const CsrAttributes& wishes, const Plan& plan, BytesView channel_binding) {
  RequestTemplate out;
  out.subject = wishes.subject.empty() ? plan.names.subject : fill_subject(wishes.subject, plan.names.subject);
  const bool keeps_own = plan.names.alt_names.empty() || plan.renew;
  out.alt_names = keeps_own ? plan.names.alt_names : beside_own(plan.names.alt_names, wishes.extensions);
  out.change_names = plan.change_names;
  std::ranges::copy_if(wishes.extensions, std::back_inserter(out.other_extensions),
                       [&](const Extension& e) { return e.oid != kSubjectAltName || plan.names.alt_names.empty(); });
  if (!channel_binding.empty()) {
    // RFC 7894 section 3.2: a server that lists estIdentityLinking gets it in place of the challenge password.
    (wishes.link_7894 ? out.identity_linking : out.challenge_password) = base64(channel_binding);
  }
  return out;
}

Bytes with_names(BytesView wishes, const std::vector<GeneralName>& names) {
  const auto read = wishes.empty() ? Result<CsrAttributes>(CsrAttributes{}) : CsrAttributes::parse(wishes);
  CsrAttributes out = read ? *read : CsrAttributes{};
  auto at = std::ranges::find(out.extensions, kSubjectAltName, &Extension::oid);
  if (at == out.extensions.end()) {
    at = out.extensions.insert(at, Extension{std::string(kSubjectAltName), false, der::sequence({})});
  }
  der::Reader outer(at->value);
  Bytes all = to_bytes(outer.next(der::kSequence).content);
  for (const GeneralName& name : names) {
    const Bytes one = encode_name(name);
    all.insert(all.end(), one.begin(), one.end());
  }
  at->value = der::item(der::kSequence, all);
  return out.encode();
}

}  // namespace imprint::est
