#include <dlfcn.h>
#include <openssl/ecdsa.h>

#include <algorithm>
#include <array>
#include <map>

#include "codec/der.h"
#include "crypto/key_rules.h"
#include "crypto/openssl.h"
#include "crypto/pkcs11.h"
#include "crypto/token.h"

namespace imprint {
namespace {

using namespace pkcs11;

constexpr const char* kDefaultModule = "p11-kit-proxy.so";  // every module that Debian's packages have registered
constexpr const char* kModuleVariable = "IMPRINT_PKCS11_MODULE";
constexpr std::size_t kMaxSlots = 1024;
constexpr Ulong kMaxValue = 4096;  // of an attribute, and of a signature
constexpr Ulong kUnavailable = ~Ulong{0};

Error away() { return {Fault::unreachable, kKeyToken}; }
Error absent(std::string_view what) {
  Error out{Fault::unreachable, kKeyAbsent};
  out.what = what;
  return out;
}

// ---- a module, shared by all keys behind it ----

// C_Initialize and C_Finalize are for the whole process: whoever starts a module again ends everybody's sessions, which
// its generation tells them.
class Module {
 public:
  static Result<Module*> get(const std::string& named);

  Status begin();
  Status restart();
  const Functions& call() const { return *functions_; }
  std::uint64_t generation() const { return generation_; }
  std::mutex& mutex() { return mutex_; }

 private:
  Functions* functions_ = nullptr;
  std::mutex mutex_;
  std::uint64_t generation_ = 0;
  bool running_ = false;
};

Result<Module*> Module::get(const std::string& named) {
  static auto* const modules = new std::map<std::string, Module>;  // a module stays until the process ends
  static std::mutex mutex;
  const char* const variable = std::getenv(kModuleVariable);
  const std::string path = !named.empty()                             ? named
                           : variable != nullptr && *variable != '\0' ? variable
                                                                      : kDefaultModule;
  const std::scoped_lock lock(mutex);
  Module& out = (*modules)[path];
  if (out.functions_ == nullptr) {
    void* const library = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    CHECK_OR(library != nullptr, Error{Fault::unreachable, kKeyPkcs11});
    const auto list = reinterpret_cast<GetFunctionList>(::dlsym(library, "C_GetFunctionList"));
    CHECK_OR(list != nullptr && list(&out.functions_) == kOk && out.functions_ != nullptr,
             Error{Fault::unreachable, kKeyPkcs11});
    CHECK_OR(out.functions_->version.major == 2, Error{Fault::unreachable, kKeyPkcs11});
  }
  return &out;
}

Status Module::begin() {
  if (running_) {
    return Ok{};
  }
  InitializeArguments arguments{nullptr, nullptr, nullptr, nullptr, kOsLocking, nullptr};
  const Rv code = call().initialize(&arguments);
  CHECK_OR(code == kOk || code == kAlreadyInitialized, away());
  running_ = true;
  generation_ += 1;
  return Ok{};
}

Status Module::restart() {
  call().finalize(nullptr);
  running_ = false;
  return begin();
}

// ---- what a token tells ----

bool same_padded(const std::string& wanted, std::span<const Byte> padded) {
  std::string_view text(reinterpret_cast<const char*>(padded.data()), padded.size());
  text = text.substr(0, text.find_last_not_of(' ') + 1);
  return wanted.empty() || wanted == text;
}

bool is_meant(const KeyUri& uri, const TokenInfo& info) {
  return (info.flags & kTokenInitialized) != 0 && same_padded(uri.token, info.label) &&
         same_padded(uri.manufacturer, info.manufacturer) && same_padded(uri.model, info.model) &&
         same_padded(uri.serial, info.serial);
}

Bytes der_signature(BytesView raw) {
  const std::size_t half = raw.size() / 2;
  return der::sequence({der::integer(raw.first(half)), der::integer(raw.subspan(half))});
}

Result<PublicKey> elliptic_key(BytesView parameters, BytesView wrapped_point) {
  der::Reader reader(wrapped_point);
  const BytesView point = reader.next(der::kOctetString).content;
  CHECK_OR(reader.done(), absent("token: the public key's point"));
  const Bytes bits = der::item(der::kBitString, der::concat({Bytes{0}, point}));
  return PublicKey::parse(der::sequence({der::sequence({der::oid("1.2.840.10045.2.1"), parameters}), bits}));
}

Result<PublicKey> edwards_key(BytesView wrapped_point) {
  der::Reader reader(wrapped_point);
  const BytesView point = reader.next(der::kOctetString).content;
  CHECK_OR(reader.done() && point.size() == 32, absent("token: the public key's point"));
  const Bytes bits = der::item(der::kBitString, der::concat({Bytes{0}, point}));
  return PublicKey::parse(der::sequence({der::sequence({der::oid("1.3.101.112")}), bits}));
}

Result<PublicKey> rsa_key(BytesView modulus, BytesView exponent) {
  const Bytes key = der::sequence({der::integer(modulus), der::integer(exponent)});
  const Bytes bits = der::item(der::kBitString, der::concat({Bytes{0}, key}));
  return PublicKey::parse(
      der::sequence({der::sequence({der::oid("1.2.840.113549.1.1.1"), der::item(der::kNull, {})}), bits}));
}

// RFC 8017 section 9.2: what PKCS#1 v1.5 pads.
Bytes digest_info(BytesView sha256) {
  return der::sequence({der::sequence({der::oid("2.16.840.1.101.3.4.2.1"), der::item(der::kNull, {})}),
                        der::item(der::kOctetString, sha256)});
}

// ---- the token ----

class Pkcs11Token final : public Token {
 public:
  Pkcs11Token(const KeyUri& uri, const std::optional<Secret>& pin) : uri_(uri), pin_(pin) {}
  ~Pkcs11Token() override { close(); }
  Pkcs11Token(const Pkcs11Token&) = delete;
  Pkcs11Token& operator=(const Pkcs11Token&) = delete;

  Result<PublicKey> open() override;
  void close() override;
  Result<Bytes> sign(BytesView what) override;

 private:
  Result<PublicKey> try_open();
  Result<Ulong> find_slot() const;
  Status login(Ulong slot) const;
  Result<Ulong> find_one(Ulong of_class, const Bytes& id, bool by_label) const;
  Result<Bytes> value(Ulong object, Ulong attribute) const;
  Result<PublicKey> read_public(Ulong object);
  bool alive() const { return module_ != nullptr && session_ != kUnavailable && generation_ == module_->generation(); }

  KeyUri uri_;
  std::optional<Secret> pin_;
  Module* module_ = nullptr;
  std::uint64_t generation_ = 0;
  Ulong session_ = kUnavailable, key_ = 0, type_ = 0;
};

Result<PublicKey> Pkcs11Token::open() {
  TRY(module_, Module::get(uri_.module_path));
  const std::scoped_lock lock(module_->mutex());
  const bool fresh = module_->generation() == 0;
  TRY([[maybe_unused]] const Ok begun, module_->begin());
  auto found = try_open();
  // Many a module sees a token that has come, or come back, only when it begins anew. A PIN is not tried twice.
  if (!found && !fresh && found.error().rule != &kKeyPin) {
    TRY([[maybe_unused]] const Ok again, module_->restart());
    found = try_open();
  }
  return found;
}

Result<PublicKey> Pkcs11Token::try_open() {
  TRY(const Ulong slot, find_slot());
  CHECK_OR(module_->call().open_session(slot, kSerialSession, nullptr, nullptr, &session_) == kOk, away());
  generation_ = module_->generation();
  TRY([[maybe_unused]] const Ok in, login(slot));
  TRY(key_, find_one(kClassPrivate, uri_.id, true));
  TRY(const Bytes id, value(key_, kId));
  TRY(const Ulong open, find_one(kClassPublic, id, id.empty()));
  return read_public(open);
}

Result<Ulong> Pkcs11Token::find_slot() const {
  std::array<Ulong, kMaxSlots> slots{};
  Ulong count = slots.size();
  CHECK_OR(module_->call().get_slot_list(1, slots.data(), &count) == kOk && count <= slots.size(), away());
  std::optional<Ulong> out;
  for (const Ulong slot : std::span(slots).first(count)) {
    TokenInfo info{};
    if (module_->call().get_token_info(slot, &info) == kOk && is_meant(uri_, info)) {
      CHECK_OR(!out, absent("token: the URI fits several tokens"));
      out = slot;
    }
  }
  CHECK_OR(out, away());
  return *out;
}

Status Pkcs11Token::login(Ulong slot) const {
  TokenInfo info{};
  CHECK_OR(module_->call().get_token_info(slot, &info) == kOk, away());
  if (!pin_) {
    return Ok{};  // a token that wants one shows no private key
  }
  Error locked{Fault::unreachable, kKeyPin};
  locked.what = "token: one more wrong PIN would lock it, so ours is not tried; log in with the token's own tool";
  CHECK_OR((info.flags & (kPinFinalTry | kPinIsLocked)) == 0, locked);
  Bytes pin = to_bytes(pin_->expose());
  const Rv code = module_->call().login(session_, kUser, pin.data(), pin.size());
  wipe(pin);
  const bool of_pin = code == kPinIncorrect || code == kPinInvalid || code == kPinLenRange || code == kPinExpired ||
                      code == kPinLocked || code == kUserPinNotInitialized;
  CHECK_OR(!of_pin, Error{Fault::unreachable, kKeyPin});
  CHECK_OR(code == kOk || code == kUserAlreadyLoggedIn, away());
  return Ok{};
}

// The only object of this class that the URI's label, or the id, fits.
Result<Ulong> Pkcs11Token::find_one(Ulong of_class, const Bytes& id, bool by_label) const {
  std::vector<Attribute> wanted{{kClass, &of_class, sizeof of_class}};
  Bytes own_id = id;
  std::string label = by_label ? uri_.object : std::string();
  if (!own_id.empty()) {
    wanted.push_back({kId, own_id.data(), own_id.size()});
  }
  if (!label.empty()) {
    wanted.push_back({kLabel, label.data(), label.size()});
  }
  CHECK_OR(module_->call().find_objects_init(session_, wanted.data(), wanted.size()) == kOk, away());
  std::array<Ulong, 2> objects{};
  Ulong count = 0;
  const Rv found = module_->call().find_objects(session_, objects.data(), objects.size(), &count);
  module_->call().find_objects_final(session_);
  CHECK_OR(found == kOk, away());
  const bool hidden = of_class == kClassPrivate && count == 0 && !pin_;
  CHECK_OR(!hidden, Error{Fault::unreachable, kKeyPin});
  CHECK_OR(count != 0,
           absent(of_class == kClassPrivate ? "token: no such private key" : "token: no public key beside it"));
  CHECK_OR(count == 1, absent("token: the URI fits several keys"));
  return objects.front();
}

Result<Bytes> Pkcs11Token::value(Ulong object, Ulong attribute) const {
  Attribute wanted{attribute, nullptr, 0};
  CHECK_OR(module_->call().get_attribute_value(session_, object, &wanted, 1) == kOk && wanted.size <= kMaxValue,
           absent("token: the key lacks an attribute"));
  Bytes out(wanted.size);
  wanted.value = out.data();
  CHECK_OR(out.empty() || module_->call().get_attribute_value(session_, object, &wanted, 1) == kOk, away());
  CHECK_OR(wanted.size <= out.size(), away());
  out.resize(wanted.size);
  return out;
}

Result<PublicKey> Pkcs11Token::read_public(Ulong object) {
  TRY(const Bytes type, value(object, kKeyTypeOf));
  CHECK_OR(type.size() == sizeof type_, absent("token: the key's type"));
  std::copy(type.begin(), type.end(), reinterpret_cast<Byte*>(&type_));
  if (type_ == kRsa) {
    TRY(const Bytes modulus, value(object, kModulus));
    TRY(const Bytes exponent, value(object, kPublicExponent));
    return rsa_key(modulus, exponent);
  }
  CHECK_OR(type_ == kEc || type_ == kEcEdwards, Error{Fault::unreachable, kKeyKind});
  TRY(const Bytes point, value(object, kEcPoint));
  if (type_ == kEcEdwards) {
    return edwards_key(point);
  }
  TRY(const Bytes parameters, value(object, kEcParams));
  return elliptic_key(parameters, point);
}

void Pkcs11Token::close() {
  if (module_ != nullptr) {
    const std::scoped_lock lock(module_->mutex());
    if (alive()) {
      module_->call().close_session(session_);
    }
  }
  session_ = kUnavailable;
}

Result<Bytes> Pkcs11Token::sign(BytesView what) {
  CHECK_OR(module_ != nullptr, away());
  const std::scoped_lock lock(module_->mutex());
  CHECK_OR(alive(), away());
  Mechanism mechanism{type_ == kRsa ? kMechanismRsa : type_ == kEc ? kMechanismEcdsa : kMechanismEddsa, nullptr, 0};
  const Rv ready = module_->call().sign_init(session_, &mechanism, key_);
  const bool unable = ready == kMechanismInvalid || ready == kKeyTypeInconsistent || ready == kKeyFunctionNotPermitted;
  CHECK_OR(!unable, Error{Fault::unreachable, kKeyKind});
  CHECK_OR(ready == kOk, away());
  Bytes data = type_ == kRsa ? digest_info(what) : to_bytes(what);
  Bytes out(kMaxValue);
  Ulong size = out.size();
  CHECK_OR(module_->call().sign(session_, data.data(), data.size(), out.data(), &size) == kOk && size <= out.size(),
           away());
  out.resize(size);
  CHECK_OR(type_ != kEc || (!out.empty() && out.size() % 2 == 0), away());
  return type_ == kEc ? der_signature(out) : out;
}

}  // namespace

std::unique_ptr<Token> pkcs11_token(const KeyUri& uri, const std::optional<Secret>& pin) {
  return std::make_unique<Pkcs11Token>(uri, pin);
}

}  // namespace imprint
