// What leaves the factory, as files.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "codec/json.h"
#include "factory/line.h"
#include "io/file.h"
#include "proto/brski/judge.h"

namespace imprint::factory {
namespace {

namespace fs = std::filesystem;

constexpr const char* kMasaAnchors = "masa-anchors.pem";  // whoever signs vouchers is below the maker's root

std::string pem_of(const std::vector<Certificate>& certificates) {
  std::string out;
  for (const Certificate& c : certificates) {
    out += to_pem(c);
  }
  return out;
}

// A new file (0600) that is synced together with all others at the end: one sync each would take minutes for a batch.
Status put(const std::string& path, BytesView content) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  CHECK_OR(fd >= 0, Error{Fault::unreachable, "factory: file cannot be created"});
  std::size_t done = 0;
  ssize_t n = 1;
  while (done < content.size() && n > 0) {
    n = ::write(fd, content.data() + done, content.size() - done);
    done += n > 0 ? static_cast<std::size_t>(n) : 0;
  }
  const bool closed = ::close(fd) == 0;
  CHECK_OR(done == content.size() && closed, Error{Fault::unreachable, "factory: write failed (disk full?)"});
  return Ok{};
}

Status sync_all(const std::string& folder) {
  const int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  CHECK_OR(fd >= 0, Error{Fault::unreachable, "factory: folder cannot be synced"});
  const bool synced = ::syncfs(fd) == 0;
  ::close(fd);
  CHECK_OR(synced, Error{Fault::unreachable, "factory: folder cannot be synced"});
  return Ok{};
}

Status make_new_folder(const std::string& path) {
  CHECK_OR(::mkdir(path.c_str(), 0700) == 0, Error{Fault::unreachable, "factory: folder cannot be made"});
  return Ok{};
}

// Identifier and key, as `imprint device` and `imprint onboard` read them.
Status put_wrap_key(const std::string& path, const SharedKey& key) {
  std::string text = hex(key.id) + " " + hex(key.key.expose()) + "\n";
  const Status written = put(path, view(text));
  wipe({reinterpret_cast<std::uint8_t*>(text.data()), text.size()});
  return written;
}

// The public facts that a device knows of itself.
std::string device_json(const ManifestEntry& entry) {
  const Json out{{"id", entry.id},
                 {"model", entry.model},
                 {"serial", entry.serial},
                 {"label", entry.label},
                 {"server", entry.server_uri}};
  return out.dump(2) + "\n";
}

bool has_masa(const Born& device) { return device.entry.idevid && brski::names_masa(*device.entry.idevid); }

// What goes with every device of an order.
struct Beliefs {
  const Certificate& maker_root;
  const std::vector<Certificate>& anchors;
  std::string masa_anchors;  // PEM
};

Status write_device(const std::string& folder, const Born& device, const Beliefs& beliefs) {
  TRY(Ok{}, make_new_folder(folder));
  TRY(Ok{}, put(folder + "/device.json", view(device_json(device.entry))));
  if (!beliefs.anchors.empty()) {
    TRY(Ok{}, put(folder + "/anchors.pem", view(pem_of(beliefs.anchors))));
  }
  if (has_masa(device)) {
    TRY(Ok{}, put(folder + "/" + kMasaAnchors, view(beliefs.masa_anchors)));
  }
  if (device.entry.wrap_key) {
    TRY(Ok{}, put_wrap_key(folder + "/wrap-key", *device.entry.wrap_key));
  }
  if (!device.entry.idevid) {
    return put(folder + "/token", device.entry.one_time.expose());
  }
  TRY(const Secret key, device.key.to_pem());
  TRY(Ok{}, put(folder + "/idevid-key.pem", key.expose()));
  TRY(Ok{}, put(folder + "/idevid.pem", view(to_pem(*device.entry.idevid))));
  return put(folder + "/idevid-chain.pem", view(pem_of(device.chain)));
}

Status write_all(const std::string& folder, const std::vector<Born>& devices, const Beliefs& beliefs) {
  TRY(Ok{}, make_new_folder(folder));
  std::string manifest;
  for (const Born& device : devices) {
    CHECK_OR(valid_device_id(device.entry.id), Error{Fault::malformed, "factory: device id"});  // it names a folder
    TRY(Ok{}, write_device(folder + "/" + device.entry.id, device, beliefs));
    manifest += manifest_line(device.entry);
  }
  const Status written = put(folder + "/manifest.jsonl", view(manifest));
  wipe({reinterpret_cast<std::uint8_t*>(manifest.data()), manifest.size()});  // may hold secrets
  TRY(Ok{}, written);
  TRY(Ok{}, put(folder + "/maker-root.pem", view(to_pem(beliefs.maker_root))));
  if (std::ranges::any_of(devices, has_masa)) {
    TRY(Ok{}, put(folder + "/" + kMasaAnchors, view(beliefs.masa_anchors)));
  }
  return sync_all(folder);
}

}  // namespace

bool may_be_built_in(const Certificate& voucher_signer) {
  const auto& usage = voucher_signer.usage;
  const bool signs = holds(!usage || (*usage & key_usage::kDigitalSignature) != 0);
  const bool registrar = std::ranges::find(voucher_signer.extended, eku::kCmcRa) != voucher_signer.extended.end();
  return signs && holds(!registrar) && holds(!brski::names_device(voucher_signer));
}

Status write_folder(const std::string& out, const std::vector<Born>& devices, const Certificate& maker_root,
                    const std::vector<Certificate>& anchors, const std::vector<Certificate>& voucher_signers) {
  CHECK_OR(std::ranges::all_of(voucher_signers, may_be_built_in),
           Error{Fault::refused, "factory: this certificate is not for signing vouchers"});
  const fs::path target = fs::path(out).has_filename() ? fs::path(out) : fs::path(out).parent_path();
  std::error_code error;
  CHECK_OR(!fs::exists(target) || fs::is_empty(target, error),
           Error{Fault::conflict, "factory: the folder is there and not empty"});
  const fs::path parent = target.parent_path();
  if (!parent.empty()) {
    TRY(Ok{}, io::make_folder(parent.string()));
  }
  const std::string beside = target.string() + ".new";
  fs::remove_all(beside, error);  // left by a power cut
  const Status written =
      write_all(beside, devices, Beliefs{maker_root, anchors, pem_of(voucher_signers) + to_pem(maker_root)});
  if (!written || ::rename(beside.c_str(), target.c_str()) != 0) {
    fs::remove_all(beside, error);
    return written ? Error{Fault::conflict, "factory: the folder is there already"} : written.error();
  }
  return io::sync_folder(parent.empty() ? "." : parent.string());
}

}  // namespace imprint::factory
