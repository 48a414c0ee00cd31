#include "app/folder_changes.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "base/reader.h"
#include "crypto/hash.h"

namespace imprint::app {

std::string stamp_of(const Config& config) {
  std::vector<std::string> files = config.maker_anchors;
  files.insert(files.end(), config.administrators.begin(), config.administrators.end());
  files.insert(files.end(), config.administrator_lists.begin(), config.administrator_lists.end());
  std::error_code ignored;
  for (const std::string& file :
       {config.upstream.anchors, config.upstream.certificate, config.upstream.key, config.upstream.password_file}) {
    files.push_back(file);
  }
  for (const char* part : {"ca", "tls", "profiles", "upstream"}) {
    for (const auto& file : std::filesystem::directory_iterator(config.data + "/" + part, ignored)) {
      files.push_back(file.path().string());
    }
  }
  for (const auto& file : std::filesystem::recursive_directory_iterator(config.data + "/makers", ignored)) {
    files.push_back(file.path().string());
  }
  files.push_back(config.web_anchors);
  std::ranges::sort(files);
  std::string out;
  for (const std::string& file : files) {
    struct stat s {};
    if (::stat(file.c_str(), &s) == 0) {
      out += file + " " + std::to_string(s.st_ino) + " " + std::to_string(s.st_size) + " " +
             std::to_string(s.st_mtim.tv_sec) + "." + std::to_string(s.st_mtim.tv_nsec) + "\n";
    }
  }
  return out;
}

Sha256 digest_of(const std::vector<Revoked>& revoked) {
  Writer w;
  for (const Revoked& one : revoked) {
    w.u64(one.serial.size());
    w.bytes(one.serial);
    w.u64(static_cast<std::uint64_t>(one.at.ms));
    w.u8(static_cast<std::uint8_t>(one.reason));
  }
  return sha256(w.out());
}

bool same_to_devices(const DataFolder& a, const DataFolder& b) {
  const bool profiles = std::ranges::equal(a.profiles, b.profiles, {}, &DeviceProfile::text, &DeviceProfile::text);
  const bool former =
      std::ranges::equal(a.former, b.former, {}, &site::Ca::certificate, &site::Ca::certificate);  // who signs lists
  return a.makers == b.makers && a.tls_chain == b.tls_chain && a.ca.chain() == b.ca.chain() && profiles && former &&
         a.masas_digest == b.masas_digest && same_upstream(a.upstream, b.upstream);
}

}  // namespace imprint::app
