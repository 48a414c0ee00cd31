// ca/ of the data folder: the owner CA's key, or where it is, its chain, and the CAs of before.
//   key.pem or key.uri   the key, or the URI of one in a token and the SHA-256 of its public key
//   chain.pem            its certificate first, up to the root; renaming a new one onto it is what changes the CA
//   next/key.pem, .uri   a key that waits for its certificate; once chain.pem is for it, it takes key.pem's place
//   links.pem            roots as other roots of the owner's vouch for them (ca_links.h)
//   former/*.pem         certificates of before: what they signed is the owner's all the same
//   former/*-key.pem, .uri   their keys, if another has come: for the way back, and for the status of what they signed
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "site/ca.h"

namespace imprint::app {

// With the key that belongs to chain.pem, wherever a power cut has left it; one in a token is not opened yet.
// DATA-PART.
Result<site::Ca> read_ca(const std::string& data);

// Whether one of these signed it, the CA of now or one of before: also when its time, or its use, is over. At a gateway
// another CA may have signed what is on record.
bool signed_by_ours(const std::string& data, const site::Ca& ca, const Certificate& certificate);

// The URI as a message may show it: without a query if there is a PIN in that.
std::string shown_uri(const std::string& uri);
// What key.uri holds for this key.
std::string key_uri_text(const PrivateKey& key);

// The key of before with this public half, if it is in former/; one in a token is not opened yet.
Result<std::optional<PrivateKey>> former_key(const std::string& data, const PublicKey& wanted);

// The key that waits for a certificate, if there is one.
Result<std::optional<PrivateKey>> next_key(const std::string& data);
// Lets a key wait: one that is made, or one in a token. Fault::conflict with CA-PENDING if one waits already.
Result<PrivateKey> make_next_key(const std::string& data, KeyType type);
Result<PrivateKey> name_next_key(const std::string& data, const std::string& uri);

// What the new CA has to be: its key (of now, or the one that waits), with a good path to a self-signed root.
// CA-CERTIFICATE, CA-PATH.
Result<site::Ca> check_ca(const std::string& data, const std::vector<Certificate>& given, Instant now, Rng& rng);

// A new root over the key that waits, or over one that is made, for a CA that is a root itself; nothing is written.
// CA-BELOW if it is not; CA-CERTIFICATE if one of before has the name, or if it would end before the one of now, which
// clients would then take for the newer; CA-TOKEN if the key of now is in a token and none waits; CA-PENDING if one of
// another type does.
struct NextRoot {
  KeyType type = KeyType::p256;
  Name name;
  Duration lifetime{};
};
Result<site::Ca> make_next_root(const std::string& data, const NextRoot& wanted, Instant now, Rng& rng);

// How those who hold the root of before come to the new one: by links of ours (ca_links.h), and by these.
struct Crossing {
  std::vector<Certificate> given;
  bool cut_off = false;  // they do not, and no link of ours leads to them or from them
};
// Makes it the CA: in one moment, and whatever is cut short later on, read_ca() finds the pair. CA-CUT-OFF, and nothing
// has changed, if devices that hold the root of before would not verify what it signs.
Status install_ca(const std::string& data, const site::Ca& ca, const Crossing& crossing, Instant now, Rng& rng);

// Puts a key that waits in its place, if chain.pem is for it: the end of install_ca().
Status settle_ca(const std::string& data);

}  // namespace imprint::app
