#include "proto/brski/telemetry.h"

#include <gtest/gtest.h>

#include "proto/brski/brski_testing.h"

namespace imprint::brski {
namespace {

Bytes bytes_of(std::string_view text) { return *from_hex(text); }

// draft-ietf-anima-constrained-voucher, appendix: enrollstatus; the same bytes as "ok".
const std::string kOk = testing::vector_of("cbrski-telemetry-es-ok")["cbor"];
const std::string kFailed = testing::vector_of("cbrski-telemetry-es-fail")["cbor"];
// anima-wg/constrained-voucher: examples/voucher-status.hex, with an integer in reason-context.
const std::string kVoucherFailed = testing::vector_of("cbrski-telemetry-vs-fail")["cbor"];

TEST(Telemetry, reads_the_published_samples) {
  const auto ok = parse_cbor_telemetry(bytes_of(kOk));
  ASSERT_TRUE(ok);
  EXPECT_EQ(*ok, (Telemetry{1, true, {}, {}, {}}));
  const auto failed = parse_cbor_telemetry(bytes_of(kFailed));
  ASSERT_TRUE(failed);
  EXPECT_FALSE(failed->status);
  EXPECT_EQ(failed->reason, "<Informative human readable error message>");
  const auto voucher = parse_cbor_telemetry(bytes_of(kVoucherFailed));
  ASSERT_TRUE(voucher);
  EXPECT_EQ(voucher->context, (std::map<std::string, std::string>{{"0", "\"Additional information\""}}));
}

TEST(Telemetry, writes_the_published_samples) {
  EXPECT_EQ(hex(encode_cbor_telemetry({1, true, {}, {}, {}})), kOk);
  EXPECT_EQ(hex(encode_cbor_telemetry({1, false, "<Informative human readable error message>", {}, {}})), kFailed);
  EXPECT_EQ(encode_json_telemetry({1, true, {}, {}, {}}), R"({"version":1,"status":true})");
}

TEST(Telemetry, comes_back_as_it_was_in_both_forms) {
  const Telemetry all{2, false, "no pin", {{"code", "-7"}, {"more", R"({"a":[1,true,null,"x"]})"}}, {}};
  EXPECT_EQ(parse_json_telemetry(encode_json_telemetry(all)), all);
  EXPECT_EQ(parse_cbor_telemetry(encode_cbor_telemetry(all)), all);
}

TEST(Telemetry, takes_names_as_iana_has_them_and_passes_over_others) {
  const auto read = parse_json_telemetry(R"({"version":1,"Status":false,"Reason":"why","extra":[1]})");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->reason, "why");
  EXPECT_EQ(read->unknown, std::vector<std::string>{"extra"});
}

TEST(Telemetry, refuses_what_is_not_whole) {
  for (const std::string_view bad :
       {R"({"status":true})", R"({"version":1})", R"({"version":-1,"status":true})", R"({"version":1,"status":"true"})",
        R"({"version":1,"status":true,"Status":true})", R"({"version":1,"status":true,"reason":1})",
        R"({"version":1,"status":true,"reason":"a","Reason":"b"})",
        R"({"version":1,"status":true,"reason-context":[]})", R"([1])", R"({"version":1,"status":true}x)"}) {
    const auto read = parse_json_telemetry(bad);
    ASSERT_FALSE(read) << bad;
    EXPECT_EQ(read.error().fault, Fault::malformed) << bad;
  }
  for (const std::string_view bad :
       {"80", "a1667374617475 73f5", "a26776657273696f6e0166737461747573f500",
        "a36776657273696f6e0166737461747573f566737461747573f5", "a2f4016673746174757 3f5", "bf"}) {
    std::string text(bad);
    std::erase(text, ' ');
    const auto read = parse_cbor_telemetry(bytes_of(text));
    ASSERT_FALSE(read) << bad;
    EXPECT_EQ(read.error().fault, Fault::malformed) << bad;
  }
}

TEST(Telemetry, refuses_numbers_beyond_its_range_and_what_is_no_object) {
  const std::string ok = "a36776657273696f6e0166737461747573f5";
  EXPECT_TRUE(parse_cbor_telemetry(bytes_of(ok + "2000")));
  EXPECT_FALSE(parse_cbor_telemetry(bytes_of(ok + "3bffffffffffffffff00")));
  EXPECT_TRUE(parse_cbor_telemetry(bytes_of(ok + "61783b7fffffffffffffff")));
  EXPECT_FALSE(parse_cbor_telemetry(bytes_of(ok + "61783bffffffffffffffff")));
  EXPECT_EQ(parse_json_telemetry("[1]").error().what, "telemetry: no object");
  EXPECT_EQ(parse_cbor_telemetry(bytes_of("80")).error().what, "telemetry: no map");
}

TEST(Telemetry, is_bounded_in_size_members_and_depth) {
  const auto fault = [](const std::string& text) { return parse_json_telemetry(text).error().fault; };
  EXPECT_EQ(fault(std::string(kMaxTelemetry + 1, ' ')), Fault::limit);
  std::string many = R"({"version":1,"status":true)";
  for (int i = 0; i < 31; ++i) {
    many += ",\"m" + std::to_string(i) + "\":0";
  }
  EXPECT_EQ(fault(many + "}"), Fault::limit);
  EXPECT_EQ(fault(R"({"version":1,"status":true,"reason-context":{"a":[[[[[[[]]]]]]]}})"), Fault::limit);
  EXPECT_TRUE(parse_json_telemetry(R"({"version":1,"status":true,"reason-context":{"a":[[[[[[]]]]]]}})"));
  const auto cbor = [](std::string_view text) { return parse_cbor_telemetry(bytes_of(text)).error().fault; };
  EXPECT_EQ(cbor("b821"), Fault::limit);
  EXPECT_EQ(cbor("a1008181818181818180"), Fault::limit);
  EXPECT_EQ(parse_cbor_telemetry(Bytes(kMaxTelemetry + 1, 0)).error().fault, Fault::limit);
  for (std::size_t n = 0; n < bytes_of(kVoucherFailed).size(); ++n) {
    EXPECT_FALSE(parse_cbor_telemetry(BytesView(bytes_of(kVoucherFailed)).first(n))) << n;
  }
}

// secsy-pki writes it so.
TEST(Telemetry, a_version_may_be_digits_in_text) {
  const auto read = parse_json_telemetry(R"({"version":"1","status":true})");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->version, 1U);
  EXPECT_FALSE(parse_json_telemetry(R"({"version":"one","status":true})"));
  EXPECT_FALSE(parse_json_telemetry(R"({"version":-1,"status":true})"));
}

}  // namespace
}  // namespace imprint::brski
