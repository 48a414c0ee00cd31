// The known answers of tests/data/brski.json, as the tests of this folder want them.
#pragma once

#include "crypto/crypto_test.h"
#include "proto/brski/judge.h"

namespace imprint::brski::testing {

using namespace imprint::testing;

inline Json vector_of(std::string_view id) { return vector_in("brski.json", id); }

// The artefact as it travels.
inline Bytes bytes_of(std::string_view id) {
  const Json one = vector_of(id);
  if (one.contains("general_json")) {
    return to_bytes(one["general_json"].get<std::string>());
  }
  return *from_hex(one[one.contains("cose") ? "cose" : "der"].get<std::string>());
}

inline Artifact artifact_of(std::string_view id) {
  auto out = parse_artifact(bytes_of(id));
  EXPECT_TRUE(out) << id << ": " << (out ? "" : out.error().what);
  return out ? *out : Artifact{};
}

inline Certificate certificate_of(std::string_view id) { return *Certificate::parse(bytes_of(id)); }

// Every vector that is an artefact.
inline std::vector<std::string> all_artifacts() {
  static const std::vector<std::string> out = [] {
    std::ifstream in(IMPRINT_TEST_DATA "/brski.json");
    const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    std::vector<std::string> found;
    const Json json = *parse_json(text);
    for (const Json& one : json["vectors"]) {
      const std::string kind = one["kind"].get<std::string>();
      if (kind == "cms" || kind == "COSE_Sign1" || kind == "jws") {
        found.push_back(one["id"].get<std::string>());
      }
    }
    return found;
  }();
  return out;
}

inline std::string serial_in(std::string_view artifact) { return *artifact_of(artifact).voucher.serial_number; }

}  // namespace imprint::brski::testing
