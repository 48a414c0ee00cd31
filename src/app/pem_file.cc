#include "app/pem_file.h"

#include "base/secret.h"
#include "io/file.h"

namespace imprint::app {

Result<PrivateKey> read_key_file(const std::string& path) {
  TRY(Bytes pem, io::read_file(path, 64 * 1024));
  const Secret secret(pem);
  wipe(pem);
  return PrivateKey::parse_pem(secret);
}

Result<std::vector<Certificate>> read_certificate_file(const std::string& path) {
  TRY(const Bytes pem, io::read_file(path));
  return parse_pem_certificates(as_text(pem));
}

std::string pem_of(const std::vector<Certificate>& certificates) {
  std::string out;
  for (const Certificate& c : certificates) {
    out += to_pem(c);
  }
  return out;
}

}  // namespace imprint::app
