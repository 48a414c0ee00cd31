// Artefacts from outside, and the data model in both encodings.
#include <cstdlib>

#include "model/acp_name.h"
#include "proto/brski/judge.h"

using namespace imprint;

namespace {

void require(bool law) {
  if (!law) {
    std::abort();
  }
}

// What can be written reads the same, but for what was passed over.
template <class Parse, class Encode>
void say_again(const Result<brski::Voucher>& read, Parse parse, Encode encode) {
  if (!read) {
    return;
  }
  brski::Voucher known = *read;
  known.unknown.clear();
  if (const auto written = encode(known)) {
    const auto again = parse(*written);
    require(again && *again == known);
  }
}

// A name of an ACP's node that was read stands in a certificate, and reads the same from there.
void name_again(std::string_view text) {
  if (const auto name = AcpNodeName::parse(text)) {
    const auto again = acp_name_in({acp_general_name(*name)});
    require(again && *again == *name);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const BytesView in(data, size);
  say_again(brski::parse_json_voucher(as_text(in)), brski::parse_json_voucher, brski::encode_json_voucher);
  say_again(brski::parse_cbor_voucher(in), brski::parse_cbor_voucher, brski::encode_cbor_voucher);
  (void)brski::issuer_key_id(in);
  name_again(as_text(in));
  if (const auto artifact = brski::parse_artifact(in)) {
    brski::Device device;
    device.anchors = artifact->along;
    device.serial = artifact->voucher.serial_number;
    device.nonce = artifact->voucher.nonce;
    const auto verdict = brski::judge_voucher(*artifact, device);
    require(!verdict || (artifact->voucher.kind == brski::Voucher::Kind::voucher && !artifact->along.empty()));
    (void)brski::judge_registrar_request(*artifact, {artifact->along, {}, {}, true, std::nullopt});
    require(!brski::check_pledge_request(*artifact, {}).empty());
  }
  return 0;
}
