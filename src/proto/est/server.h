// The EST server toward one request: RFC 7030's registration authority. The header is the state table. Bodies of
// answers are DER; the binding gives them the wire's form.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "proto/est/messages.h"
#include "role/digest.h"
#include "role/questions.h"
#include "role/step.h"

namespace imprint::est {

// What one label (profile) offers. The label "" is served without a label in the path (RFC 7030 section 3.2.2).
struct Label {
  Bytes ca_certificates;         // certs-only message, DER
  Bytes wishes;                  // CsrAttributes, DER; empty: 204, no wishes
  bool server_keys = false;      // serverkeygen is offered; the policy says to whom and how
  bool require_linking = false;  // a request without linking value is refused
  bool ignore_linking =
      false;  // only for known legacy clients whose challengePassword is a password (RFC 7894 section 4)
};

struct ServerConfig {
  std::map<std::string, Label, std::less<>> labels;
  std::string realm{kDeviceRealm};         // of HTTP Basic and Digest
  bool basic = true;                       // HTTP Basic is offered (RFC 7030 section 3.2.3)
  Secret nonce_key = {};                   // of HTTP Digest; empty: it is not offered
  std::vector<Certificate> owner_anchors;  // below these id-kp-cmcRA makes a registration authority; no maker's root
  // Names that whoever asks is to have in its request, beside its own (RFC 8995 section 5.9.2). Null: nobody.
  std::function<std::vector<GeneralName>(const Session&)> wished_names = {};
};

class Server {
 public:
  explicit Server(std::shared_ptr<const ServerConfig> config) : config_(std::move(config)) {}

  struct GetCaCertificates {
    Exchange from;
    std::string label;
  };
  struct GetCsrAttributes {
    Exchange from;
    std::string label;
    SessionRef session = {};
  };
  struct Enrol {
    Exchange from;
    SessionRef session;
    std::optional<Login> login;
    std::string label;
    bool renewal = false;
    CertificateRequest request;
  };

  // The request's own key and signature are ignored: nothing verified is in it (RFC 7030 section 4.4.1).
  struct GenerateKey {
    Exchange from;
    SessionRef session;
    std::optional<Login> login;
    std::string label;
    KeylessRequest request;
  };

  struct Idle {};
  struct Admitting {
    Exchange from;
    SessionRef session;
    std::string label;
    Application request;
    Bytes request_key;
    Ticket<Decision> awaits;
  };
  struct Keying {
    Exchange from;
    SessionRef session;
    std::string label;
    Application request;
    Bytes request_key;
    Decision decision;
    Ticket<MadeKey> awaits;
  };
  struct Issuing {
    Exchange from;
    SessionRef session;
    std::string label;
    Application request;
    Bytes request_key;
    Decision decision;
    std::optional<MadeKey> made;  // by us, for an application without a key
    Ticket<Signed> awaits;
  };

  using State = std::variant<Idle, Admitting, Keying, Issuing>;
  using Input = std::variant<GetCaCertificates, GetCsrAttributes, Enrol, GenerateKey, Done<Decision>, Done<MadeKey>,
                             Done<Signed>, Gone>;
  using Turn = TurnOf<Asks<Admit, MakeKeyFor, Issue>, Records<>, Facts<Issued, Pended, Denied>>;

  Result<Idle> on(const Idle&, const GetCaCertificates&, Turn&) const;
  Result<Idle> on(const Idle&, const GetCsrAttributes&, Turn&) const;
  Result<OneOf<Admitting, Idle>> on(const Idle&, const Enrol&, Turn&) const;
  Result<OneOf<Admitting, Idle>> on(const Idle&, const GenerateKey&, Turn&) const;
  Result<OneOf<Issuing, Keying, Idle>> on(const Admitting&, const Done<Decision>&, Turn&) const;
  Result<Idle> on(const Admitting&, const Gone&, Turn&) const;
  Result<OneOf<Issuing, Idle>> on(const Keying&, const Done<MadeKey>&, Turn&) const;
  Result<Idle> on(const Keying&, const Gone&, Turn&) const;  // nothing is signed yet: the key is dropped
  Result<Idle> on(const Issuing&, const Done<Signed>&, Turn&) const;
  Result<Issuing> on(const Issuing&, const Gone&, Turn&) const;  // the certificate is recorded all the same

 private:
  std::shared_ptr<const ServerConfig> config_;
};

// The content type of a wrapped key (RFC 7030 section 4.4.2).
inline constexpr std::string_view kWrappedKeyType = "application/pkcs7-mime; smime-type=server-generated-key";

// Under which key a pending or answered request is found again, even when the request was rebuilt: SHA-256 over who
// asks (names and key of the certificate, or the user name), label, public key and names, each with its length before
// it (RFC 7030 section 4.2.3 leaves it to the server). `keyless`: the server makes the key; its type is in the place of
// the public key then, which may be another one each time.
Bytes request_key(const Session& session, const std::optional<Login>& login, std::string_view label,
                  const CertificateRequest& request, bool keyless = false);

// RFC 7030 section 3.5: whether the linking values in the request are those of this session. A present one must be
// right; a registration authority of the owner's (id-kp-cmcRA below one of the anchors) may forward values that it has
// checked itself (section 3.7).
Status check_linking(const CertificateRequest& request, const Session& session, const Label& label,
                     const std::vector<Certificate>& owner_anchors);

// RFC 7030 section 4.2.2: the names of a renewal equal those of the certificate, or ChangeSubjectName asks for others.
Status check_renewal_names(const CertificateRequest& request, const Certificate& current);

}  // namespace imprint::est

namespace imprint {

// Instantiated once, in server_table.cc.
extern template Result<est::Server::State> step(const est::Server& role, const est::Server::State& state,
                                                const est::Server::Input& input, est::Server::Turn& turn);

}  // namespace imprint
