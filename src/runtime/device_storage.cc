#include "runtime/device_storage.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <iterator>
#include <span>
#include <sstream>

#include "codec/base64.h"
#include "crypto/random.h"
#include "io/file.h"
#include "io/key_file.h"
#include "runtime/rules.h"

namespace imprint {
namespace {

namespace fs = std::filesystem;

// key.uri in place of key.pem: where the key is, if that is a token.
constexpr std::array<std::string_view, 5> kNames{"key.pem", "key.uri", "cert.pem", "chain.pem", "anchors.pem"};
constexpr std::array<std::string_view, 3> kPendingNames{"key.pem", "asked", "given.pem"};
constexpr std::string_view kTemporary = ".new";  // what io::write_file() and swap_link() append
constexpr std::string_view kCurrent = "current";
constexpr std::string_view kPending = "pending";
constexpr std::string_view kGenerations = "generations";
constexpr std::string_view kPendingKey = "pending/key.pem";
constexpr std::string_view kGivenKey = "pending/given.pem";
constexpr std::string_view kAsked = "pending/asked";
constexpr std::string_view kOwner = "owner";
constexpr std::string_view kOwnerHead = "imprint owner 1";  // its first line

constexpr std::size_t kIdBytes = 8;

std::string fresh_id() {
  SystemRng rng;
  std::array<std::uint8_t, kIdBytes> id{};
  rng.fill(id);
  return hex(id);
}

bool is_id(const std::string& name) {
  const auto bytes = from_hex(name);
  return bytes && bytes->size() == kIdBytes;
}

std::string pem_of(const std::vector<Certificate>& certificates) {
  std::string out;
  for (const Certificate& c : certificates) {
    out += to_pem(c);
  }
  return out;
}

Result<std::vector<Certificate>> read_certificates(const std::string& path) {
  TRY(const Bytes pem, io::read_file(path));
  return parse_pem_certificates(as_text(pem));
}

Result<PrivateKey> read_key(const std::string& path) {
  TRY(Bytes pem, io::read_file(path, 64 * 1024));
  const Secret secret(pem);
  wipe(pem);
  return PrivateKey::parse_pem(secret);
}

// The key of an installation: its file, or the one in a token that its file names.
Result<PrivateKey> read_installed_key(const std::string& folder) {
  std::error_code ignored;
  if (!fs::exists(folder + "/key.uri", ignored)) {
    return read_key(folder + "/key.pem");
  }
  TRY(const Bytes content, io::read_file(folder + "/key.uri", 8192));
  const std::string_view uri = as_text(content);
  return io::load_key(std::string(uri.substr(0, uri.find_last_not_of('\n') + 1)));
}

Status write_installed_key(const std::string& folder, const PrivateKey& key) {
  if (in_token(key)) {
    return io::write_file(folder + "/key.uri", view(key_uri(key) + "\n"));
  }
  TRY(const Secret pem, key.to_pem());
  return io::write_file(folder + "/key.pem", pem.expose());
}

// Our links lead to the current generation and through it, and nowhere else. Whatever else bears one of their names is
// somebody else's.
bool is_foreign(const std::string& folder, std::string_view name) {
  std::error_code none;
  const fs::path path = folder + "/" + std::string(name);
  if (!fs::exists(fs::symlink_status(path, none))) {
    return false;
  }
  if (name.ends_with(kTemporary)) {
    name.remove_suffix(kTemporary.size());
  }
  const std::string target = fs::read_symlink(path, none).string();  // empty if it is no link
  return name == kCurrent ? !target.starts_with(std::string(kGenerations) + "/")
                          : target != std::string(kCurrent) + "/" + std::string(name);
}

// Something in this folder that is no plain file of these names, finished or not: its path, or the folder's own if that
// is no folder. Nothing if there is none.
std::optional<std::string> stranger_in(const std::string& root, const std::string& folder,
                                       std::span<const std::string_view> names) {
  std::error_code none;
  const std::string at = root + "/" + folder;
  const fs::file_status status = fs::symlink_status(at, none);
  if (!fs::exists(status)) {
    return std::nullopt;
  }
  if (!fs::is_directory(status)) {
    return folder;
  }
  for (const auto& entry : fs::directory_iterator(at, none)) {
    const std::string name = entry.path().filename().string();
    std::string_view finished = name;
    if (finished.ends_with(kTemporary)) {
      finished.remove_suffix(kTemporary.size());
    }
    if (std::ranges::find(names, finished) == names.end() || !fs::is_regular_file(entry.symlink_status(none))) {
      return std::string(folder).append("/").append(name);
    }
  }
  return std::nullopt;
}

std::optional<std::string> stranger_in_generations(const std::string& root) {
  const std::string folder(kGenerations);
  std::error_code none;
  const std::string at = root + "/" + folder;
  const fs::file_status status = fs::symlink_status(at, none);
  if (fs::exists(status) && !fs::is_directory(status)) {
    return folder;
  }
  for (const auto& entry : fs::directory_iterator(at, none)) {
    const std::string path = folder + "/" + entry.path().filename().string();
    const bool ours = is_id(entry.path().filename().string()) && fs::is_directory(entry.symlink_status(none));
    auto stranger = ours ? stranger_in(root, path, kNames) : std::optional(path);
    if (stranger) {
      return stranger;
    }
  }
  return std::nullopt;
}

// Removes the files of these names, finished or not, and then the folder, unless somebody has put something else there.
void remove_ours(const std::string& folder, std::span<const std::string_view> names) {
  for (const std::string_view name : names) {
    const std::string path = folder + "/" + std::string(name);
    ::unlink(path.c_str());
    ::unlink((path + std::string(kTemporary)).c_str());
  }
  ::rmdir(folder.c_str());
}

// What an installation, or a power cut in one, has left besides this generation: the request that led to it, the sets
// of before, and those that were never finished.
void remove_former(const std::string& root, const fs::path& generation) {
  remove_ours(root + "/" + std::string(kPending), kPendingNames);
  std::error_code ignored;
  std::vector<std::string> former;
  for (const auto& entry : fs::directory_iterator(root + "/" + std::string(kGenerations), ignored)) {
    if (entry.path().filename() != generation && is_id(entry.path().filename().string())) {
      former.push_back(entry.path().string());
    }
  }
  for (const std::string& each : former) {
    remove_ours(each, kNames);
  }
}

// Makes the folder and those above it, and makes their names last: a key in a folder that a power cut takes away would
// be lost with it.
Status make_lasting_folder(const std::string& folder) {
  std::error_code ignored;
  std::vector<std::string> above;  // folders that get a new name in them
  fs::path path = fs::absolute(folder, ignored).lexically_normal();
  while (path.has_relative_path() && !fs::is_directory(path, ignored)) {
    const fs::path parent = path.parent_path();
    if (path.has_filename()) {  // "a/" has none, and its parent is "a"
      above.push_back(parent.string());
    }
    path = parent;
  }
  TRY(Ok{}, io::make_folder(folder));
  for (const std::string& parent : above) {
    TRY(Ok{}, io::sync_folder(parent));
  }
  return Ok{};
}

// A link that points elsewhere from one moment to the next.
Status swap_link(const std::string& folder, std::string_view name, const std::string& target) {
  const std::string link = folder + "/" + std::string(name);
  const std::string temporary = link + std::string(kTemporary);
  ::unlink(temporary.c_str());
  CHECK_OR(::symlink(target.c_str(), temporary.c_str()) == 0 && ::rename(temporary.c_str(), link.c_str()) == 0,
           Error{Fault::unreachable, "folder: link cannot be made"});
  return io::sync_folder(folder);
}

}  // namespace

Result<Secret> DeviceStorage::unwrap(const std::string& key_id, BytesView message) {
  if (key_id == "shared") {
    CHECK_OR(shared_, Error{Fault::internal, "key: no shared one"});
    return open_envelope(message, *shared_);
  }
  TRY(const PrivateKey own, key(key_id));
  return open_envelope(message, own);
}

Result<KeyRef> MemoryStorage::keep_key(const Secret& pkcs8) {
  TRY(const PrivateKey key, parse_pkcs8(pkcs8));
  keys_["given"] = key;
  return KeyRef{"given", key.public_key()};
}

Result<KeyRef> MemoryStorage::make_key(KeyType type) {
  TRY(const PrivateKey key, PrivateKey::generate(type));
  std::string id = "k" + std::to_string(keys_.size());
  keys_[id] = key;
  return KeyRef{std::move(id), key.public_key()};
}

Result<PrivateKey> MemoryStorage::key(const std::string& id) {
  const auto it = keys_.find(id);
  CHECK_OR(it != keys_.end(), Error{Fault::internal, "key: unknown id"});
  return it->second;
}

Status MemoryStorage::save(const est::Asked& record) {
  asked_ = record;
  return Ok{};
}

Status MemoryStorage::save(const est::Installed& record) {
  installed_ = record;
  asked_.reset();
  return Ok{};
}

Status MemoryStorage::save(const brski::Imprinted& record) {
  imprinted_ = record;
  return Ok{};
}

Result<std::unique_ptr<FolderStorage>> FolderStorage::open(const std::string& folder) {
  CHECK_OR(!foreign_file(folder), Error{Fault::conflict, kForeignFile});
  TRY(Ok{}, make_lasting_folder(folder));
  return std::unique_ptr<FolderStorage>(new FolderStorage(folder));
}

std::optional<std::string> FolderStorage::foreign_file(const std::string& folder) {
  std::vector<std::string> links{std::string(kCurrent)};
  links.insert(links.end(), kNames.begin(), kNames.end());
  for (const std::string& name : links) {
    for (const std::string& each : {name, name + std::string(kTemporary)}) {
      if (is_foreign(folder, each)) {
        return each;
      }
    }
  }
  const std::string owner = folder + "/" + std::string(kOwner);
  std::error_code none;
  if (fs::exists(fs::symlink_status(owner, none))) {
    const auto content = io::read_file(owner);
    if (!content || !as_text(*content).starts_with(kOwnerHead)) {
      return std::string(kOwner);
    }
  }
  const auto in_pending = stranger_in(folder, std::string(kPending), kPendingNames);
  return in_pending ? in_pending : stranger_in_generations(folder);
}

Result<KeyRef> FolderStorage::make_key(KeyType type) {
  TRY(const PrivateKey key, PrivateKey::generate(type));
  TRY(const Secret pem, key.to_pem());
  installed_as_.clear();
  TRY(Ok{}, io::make_folder(folder_ + "/" + std::string(kPending)));
  TRY(Ok{}, io::sync_folder(folder_));
  // A record of before names the key that is replaced now.
  std::error_code error;
  fs::remove(folder_ + "/" + std::string(kAsked), error);
  CHECK_OR(!error, Error{Fault::unreachable, "folder: record of before"});
  TRY(Ok{}, io::sync_folder(folder_ + "/" + std::string(kPending)));
  TRY(Ok{}, io::write_file(folder_ + "/" + std::string(kPendingKey), pem.expose()));
  return KeyRef{"pending", key.public_key()};
}

Result<KeyRef> FolderStorage::keep_key(const Secret& pkcs8) {
  TRY(const PrivateKey key, parse_pkcs8(pkcs8));
  TRY(const Secret pem, key.to_pem());
  installed_as_.clear();
  TRY(Ok{}, io::make_folder(folder_ + "/" + std::string(kPending)));
  TRY(Ok{}, io::write_file(folder_ + "/" + std::string(kGivenKey), pem.expose()));
  TRY(Ok{}, io::sync_folder(folder_ + "/" + std::string(kPending)));
  return KeyRef{"given", key.public_key()};
}

Result<PrivateKey> FolderStorage::key(const std::string& id) {
  if (id == "credential") {
    CHECK_OR(credential_, Error{Fault::internal, "key: no credential"});
    return credential_;
  }
  if (!id.empty() && id == installed_as_) {
    return read_installed_key(folder_);
  }
  if (id == "pending") {
    return read_key(folder_ + "/" + std::string(kPendingKey));
  }
  if (id == "given") {
    return read_key(folder_ + "/" + std::string(kGivenKey));
  }
  CHECK_OR(id == "current", Error{Fault::internal, "key: unknown id"});
  return read_installed_key(folder_);
}

Status FolderStorage::save(const est::Asked& record) {
  TRY(Ok{}, io::make_folder(folder_ + "/" + std::string(kPending)));
  const std::string text = record.key.id + "\n" + hex(record.purpose) + "\n" + pem_of(record.anchors);
  return io::write_file(folder_ + "/" + std::string(kAsked), view(text));  // one file: all of it is there, or none
}

Status FolderStorage::save(const est::Installed& record) {
  TRY(const PrivateKey own_key, key(record.key.id));
  const std::string generation = std::string(kGenerations) + "/" + fresh_id();
  const std::string target = folder_ + "/" + generation;
  TRY(Ok{}, io::make_folder(target));
  std::vector<Certificate> chain{record.certificate};
  chain.insert(chain.end(), record.via.begin(), record.via.end());
  TRY(Ok{}, write_installed_key(target, own_key));
  TRY(Ok{}, io::write_file(target + "/cert.pem", view(to_pem(record.certificate))));
  TRY(Ok{}, io::write_file(target + "/chain.pem", view(pem_of(chain))));
  TRY(Ok{}, io::write_file(target + "/anchors.pem", view(pem_of(record.anchors))));
  TRY(Ok{}, io::sync_folder(folder_ + "/" + std::string(kGenerations)));
  TRY(Ok{}, io::sync_folder(folder_));
  std::error_code ignored;
  std::vector<std::string> unused;
  for (const std::string_view name : kNames) {  // the first time these lead nowhere yet
    CHECK_OR(!is_foreign(folder_, name), Error{Fault::conflict, kForeignFile});
    if (!fs::exists(target + "/" + std::string(name), ignored)) {
      unused.push_back(folder_ + "/" + std::string(name));  // the key is in a token now, or no longer
    } else if (!fs::is_symlink(folder_ + "/" + std::string(name), ignored)) {
      TRY(Ok{}, swap_link(folder_, name, std::string(kCurrent) + "/" + std::string(name)));
    }
  }
  TRY(Ok{}, swap_link(folder_, kCurrent, generation));  // the moment at which all four files change
  installed_as_ = record.key.id;
  for (const std::string& link : unused) {
    ::unlink(link.c_str());
  }
  remove_former(folder_, fs::path(generation).filename());
  return io::sync_folder(folder_);
}

Status FolderStorage::save(const brski::Imprinted& record) {
  const std::string_view stage = record.configured ? "configured" : "imprinted";
  std::string text(kOwnerHead);
  text.append("\n").append(stage).append("\n").append(record.registrar.text()).append("\n");
  text.append(base64(record.voucher)).append("\n").append(to_pem(record.pinned));
  if (record.configured) {  // the power may have gone right after the installation
    TRY(Ok{}, tidy());
  }
  return io::write_file(folder_ + "/" + std::string(kOwner), view(text));
}

Status FolderStorage::tidy() {
  std::error_code ignored;
  const fs::path current = fs::read_symlink(folder_ + "/" + std::string(kCurrent), ignored);
  if (current.empty()) {
    return Ok{};
  }
  remove_former(folder_, current.filename());
  return io::sync_folder(folder_);
}

Result<std::optional<brski::Imprinted>> FolderStorage::imprinted() {
  std::error_code ignored;
  const std::string path = folder_ + "/" + std::string(kOwner);
  if (!fs::exists(path, ignored)) {
    return std::optional<brski::Imprinted>{};
  }
  TRY(const Bytes content, io::read_file(path));
  std::istringstream lines{std::string(as_text(content))};
  std::string head, stage, registrar, voucher;
  std::getline(lines, head);
  std::getline(lines, stage);
  std::getline(lines, registrar);
  std::getline(lines, voucher);
  const std::string pem(std::istreambuf_iterator<char>(lines), {});
  CHECK_OR(head == kOwnerHead, Error{Fault::malformed, "folder: owner"});
  TRY(Uri at, Uri::parse(registrar));
  TRY(Bytes body, parse_base64(voucher));
  TRY(std::vector<Certificate> pinned, parse_pem_certificates(pem));
  CHECK_OR(pinned.size() == 1, Error{Fault::malformed, "folder: owner"});
  return std::optional(
      brski::Imprinted{std::move(at), std::move(body), std::move(pinned.front()), stage == "configured"});
}

Result<std::optional<est::Asked>> FolderStorage::asked() {
  std::error_code ignored;
  if (!fs::exists(folder_ + "/" + std::string(kAsked), ignored)) {
    return std::optional<est::Asked>{};
  }
  TRY(const Bytes content, io::read_file(folder_ + "/" + std::string(kAsked)));
  std::istringstream lines{std::string(as_text(content))};
  std::string key_id, digest;
  std::getline(lines, key_id);
  std::getline(lines, digest);
  const std::string pem(std::istreambuf_iterator<char>(lines), {});
  const auto pending_key = key(key_id);
  const auto purpose = from_hex(digest);
  if (!pending_key || !purpose || purpose->size() != std::tuple_size_v<Sha256>) {
    return std::optional<est::Asked>{};  // half of a record: its request never left, so nothing is lost by a new start
  }
  est::Asked out{{key_id, pending_key->public_key()}, {}, {}};
  std::ranges::copy(*purpose, out.purpose.begin());
  if (!pem.empty()) {
    TRY(out.anchors, parse_pem_certificates(pem));
  }
  return std::optional(std::move(out));
}

Result<std::optional<est::Installed>> FolderStorage::installed() {
  std::error_code ignored;
  if (!fs::exists(folder_ + "/" + std::string(kCurrent), ignored)) {
    return std::optional<est::Installed>{};
  }
  const std::string current = folder_ + "/" + std::string(kCurrent);
  TRY(const PrivateKey own_key, read_installed_key(current));
  TRY(std::vector<Certificate> chain, read_certificates(current + "/chain.pem"));
  TRY(std::vector<Certificate> anchors, read_certificates(current + "/anchors.pem"));
  CHECK_OR(!chain.empty(), Error{Fault::malformed, "folder: chain.pem"});
  est::Installed out{
      {"current", own_key.public_key()}, chain.front(), {chain.begin() + 1, chain.end()}, std::move(anchors)};
  return std::optional(std::move(out));
}

}  // namespace imprint
