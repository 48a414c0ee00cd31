// The owner's decision, in this order: who is this device, do I want it, may I have it, what does it get.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "crypto/srp.h"
#include "role/questions.h"
#include "site/nonces.h"
#include "store/store.h"

namespace imprint::site {

// What happens to a device with a proven maker's certificate that is not in the inventory.
enum class Unknown : std::uint8_t {
  refuse,
  queue,  // waits for a person
  admit,  // only `demo`, with its own data folder on loopback
};

// Whether the site makes keys for devices (RFC 7030 section 4.4).
enum class ServerKeys : std::uint8_t {
  no,
  wrapped,  // only for devices that have the key wrapped; TLS is not all that protects it
  clear,    // also without
};

// What a kind of device gets under a label: one credential.
struct Profile {
  std::string name = "default";  // on record with each certificate; "lamp/mqtt" for a credential of profile lamp
  // If it is one of several credentials: the profile's name, which is the label of its devices in the inventory. Empty:
  // the label of the request is that of the device.
  std::string group = {};
  bool identity = false;  // in a group, this one identifies the device and obtains the others; each renews itself
  Duration lifetime = std::chrono::hours(24 * 365);
  std::vector<KeyType> keys{KeyType::p256,    KeyType::p384,    KeyType::ed25519,
                            KeyType::rsa2048, KeyType::rsa3072, KeyType::rsa4096};
  std::uint16_t usage = key_usage::kDigitalSignature;
  std::vector<std::string> extended{std::string(eku::kClientAuth)};
  // Patterns of names that a device may ask for: {id} and {serial} stand for the inventory's, * for any run of letters,
  // digits, '-' and '_'. {serial} is for sites whose makers' serial numbers differ. A certificate of ours keeps its
  // names; what a maker's certificate says passes the patterns or gives way to the owner's name.
  std::vector<std::string> common_names{"{id}"};
  std::vector<std::string> alt_names{"dns:{id}", "uri:urn:imprint:device:{id}"};
  bool change_names = false;  // ChangeSubjectName is honoured, within the patterns
  ServerKeys server_keys = ServerKeys::no;
  // The owner's registration authorities (id-kp-cmcRA) may hand on requests of devices that only they know: those get
  // names within the patterns, where {id} and {serial} are the authority's own.
  bool handed_on = false;
};

struct Policy {
  std::map<std::string, Profile, std::less<>> profiles;  // by label; "" is the default and must be there
  Unknown unknown = Unknown::queue;
  Duration retry_after{std::chrono::seconds(30)};  // of a request that waits for a person
  std::vector<Certificate> owner_anchors;          // our own CA, not those above it: what it signed is ours
  Duration renewed_grace{std::chrono::hours(24)};  // how long a certificate that was renewed renews once more
  Duration lost_answer{std::chrono::minutes(10)};  // how long a used token still gets a key in place of a lost one
  std::int64_t most_live = 64;                     // certificates of one device that are good at the same time
  Secret pepper;                                   // key of the MACs under which secrets are stored
  bool basic = true;                               // whether a password in HTTP Basic counts
  std::shared_ptr<NonceBook> nonces = {};          // of HTTP Digest; null: it does not count
  // The name under which the voucher is on record that a device with this IDevID has to have, accepted and cleared,
  // before it may enrol (RFC 8995 section 5.8.3): of makers with a MASA. None: it needs none. An error's rule refuses
  // it. Null: nobody needs one.
  std::function<Result<std::optional<PledgeId>>(const Certificate& idevid, const std::vector<Certificate>& chain)>
      needs_voucher = {};
  // Every name under which a voucher of this IDevID may be on record, whatever its maker's rules say today.
  std::function<std::vector<PledgeId>(const Certificate& idevid)> pledge_names = {};
  // The name of a node of the ACP that csrattrs give to who asks, and that its request must have (RFC 8995
  // section 5.9.2). Null: there is no ACP, and such names are names as others are.
  std::function<std::optional<GeneralName>(const Session&)> acp_name = {};
};

// The key of one use of the pepper.
Secret part_key(const Secret& pepper, std::string_view part);
// The MAC under which the store knows a secret.
Sha256 secret_mac(const Secret& pepper, std::string_view user, const Secret& secret);

// What the store keeps of a secret for HTTP Digest, sealed with the MAC to which it belongs. Fault::internal if OpenSSL
// fails.
Result<Bytes> sealed_digest(const Secret& pepper, std::string_view user, const Secret& secret);
// The same for TLS-SRP. Fault::malformed if a byte 0 is in the secret.
Result<Bytes> sealed_srp(const Secret& pepper, std::string_view user, const Secret& secret);
// What a handshake by TLS-SRP under this user name has to prove: of the token that is not spent, else of the one spent
// last, whose answer may have been lost. The record is its MAC. For a name that nobody has it is made up, with an empty
// record, and no handshake succeeds.
Result<SrpSecret> find_srp(const Secret& pepper, store::Reader& store, const std::string& user);

// Decides. Reads the store; writes nothing: what follows from the decision is written with its outcome.
Result<Decision> admit(const Policy& policy, store::Reader& store, const Admit& question, Instant now);

}  // namespace imprint::site
