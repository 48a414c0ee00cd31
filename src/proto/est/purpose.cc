#include "proto/est/purpose.h"

#include "base/reader.h"

namespace imprint::est {
namespace {

// Each part with its length before it: no two lists of parts give the same bytes.
class Parts {
 public:
  void put(BytesView bytes) {
    w_.u64(bytes.size());
    w_.bytes(bytes);
  }
  void put(std::string_view text) { put(view(text)); }
  void put(bool value) { w_.u8(value ? 1 : 0); }
  void put(const Name& value) { put(value.der); }
  void put(const std::vector<GeneralName>& names) {
    w_.u64(names.size());
    for (const GeneralName& one : names) {
      w_.u8(static_cast<std::uint8_t>(one.kind));
      put(one.value);
    }
  }
  template <class T>
  void put(const std::optional<T>& value) {
    put(value.has_value());
    if (value) {
      put(*value);
    }
  }
  Sha256 digest() const { return sha256(w_.out()); }

 private:
  Writer w_;
};

}  // namespace

Sha256 purpose_of(const Plan& plan) {
  Parts parts;
  // With the owner's anchors at hand any server of the owner's will do, and it may have moved to another port.
  parts.put(plan.explicit_anchors.empty() ? std::optional(plan.server.text()) : std::nullopt);
  parts.put(plan.label);
  parts.put(plan.login ? std::optional(std::string_view(plan.login->user)) : std::nullopt);
  parts.put(plan.credential ? std::optional(BytesView(plan.credential->chain.front().der)) : std::nullopt);
  parts.put(plan.names.subject);
  parts.put(plan.names.alt_names);
  parts.put(name(plan.key_type));
  parts.put(plan.renew);
  parts.put(plan.keep_key ? std::optional(BytesView(plan.keep_key->key.spki)) : std::nullopt);
  parts.put(plan.change_names.has_value());
  if (plan.change_names) {
    parts.put(plan.change_names->subject);
    parts.put(plan.change_names->alt_names);
  }
  // The kind alone: a file of anchors may gain a root between two attempts.
  parts.put(!plan.explicit_anchors.empty());
  parts.put(!plan.implicit_anchors.empty());
  parts.put(plan.expected ? std::optional(BytesView(*plan.expected)) : std::nullopt);
  parts.put(plan.server_key);
  parts.put(plan.wrap.has_value());
  if (plan.wrap) {
    parts.put(plan.wrap->shared);
    parts.put(BytesView(plan.wrap->identifier));
  }
  if (plan.login_by == LoginBy::srp) {  // last, and only then: records of before TLS-SRP stay good
    parts.put(std::string_view("srp"));
  }
  if (plan.domain) {  // likewise
    parts.put(std::string_view("domain"));
    parts.put(BytesView(*plan.domain));
  }
  return parts.digest();
}

}  // namespace imprint::est
