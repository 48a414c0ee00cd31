#include "app/certificate_search.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "store/store_testing.h"

namespace imprint::app {
namespace {

constexpr Instant kNow{1'790'000'000'000};

std::optional<store::CertificateFilter> taken(const CertificateSearch& search) {
  auto out = filter_of(search, kNow);
  return std::holds_alternative<SearchProblem>(out) ? std::nullopt
                                                    : std::optional(std::get<store::CertificateFilter>(std::move(out)));
}

std::string wrong_part(const CertificateSearch& search) {
  const auto out = filter_of(search, kNow);
  const auto* const wrong = std::get_if<SearchProblem>(&out);
  return wrong != nullptr ? wrong->part : std::string();
}

TEST(CertificateSearch, reads_times) {
  const auto before = [](std::string text) {
    CertificateSearch search;
    search.ends_before = std::move(text);
    const auto filter = taken(search);
    return filter ? utc_text(filter->ends_before.value_or(Instant{})) : "wrong";
  };
  EXPECT_EQ(before("2027-01-31"), "2027-01-31T00:00:00Z");
  EXPECT_EQ(before("2028-02-29T23:59:59Z"), "2028-02-29T23:59:59Z");
  EXPECT_EQ(before("30d"), utc_text(kNow + std::chrono::hours(24 * 30)));
  EXPECT_EQ(before("12h"), utc_text(kNow + std::chrono::hours(12)));
  for (const char* bad : {"2027-02-29", "2027-1-31", "2027-01-31 12:00:00", "2027-01-31T24:00:00Z", "d", "30", "-1d",
                          "30m", "99999999999d", "tomorrow"}) {
    EXPECT_EQ(before(bad), "wrong") << bad;
  }
}

TEST(CertificateSearch, names_the_part_that_is_wrong) {
  EXPECT_EQ(wrong_part({.serial = "xyz"}), "serial");
  EXPECT_EQ(wrong_part({.serial = std::string(42, '1')}), "serial");
  EXPECT_EQ(wrong_part({.fingerprint = "00ff"}), "fingerprint");
  EXPECT_EQ(wrong_part({.state = "lost"}), "state");
  EXPECT_EQ(wrong_part({.ends_after = "x"}), "ends-after");
  EXPECT_EQ(wrong_part({}), "");
}

store::CertificateRow row() {
  const store::Signer signer;
  store::CertificateRow out;
  out.serial = {0x0a, 0x0b};
  out.device = "dev-1";
  out.subject = "CN=one\\, \"two\"";
  out.der = signer.certificate(out.serial);
  out.reason = "line\nbreak";
  out.origin.basis = Basis::inventory;
  out.origin.issued_entry = 7;
  return out;
}

TEST(CertificateExport, csv_has_a_header_and_quotes_what_needs_it) {
  EXPECT_EQ(export_head(ExportFormat::csv),
            "serial,device,profile,subject,names,not_before,not_after,issued,identity,reason,basis,evidence,run,renews,"
            "sha256,revoked,revocation_reason,issued_entry,revoked_entry\r\n");
  const std::string line = export_row(ExportFormat::csv, row());
  EXPECT_TRUE(line.starts_with("0a0b,dev-1,,\"CN=one\\, \"\"two\"\"\",,")) << line;
  EXPECT_NE(line.find(",\"line\nbreak\",inventory,"), std::string::npos) << line;
  EXPECT_TRUE(line.ends_with(",,,7,\r\n")) << line;
}

TEST(CertificateExport, a_line_of_json_has_every_column_and_the_certificate) {
  const store::CertificateRow exported = row();
  const std::string line = export_row(ExportFormat::jsonl, exported);
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  const Json json = *parse_json(line);
  std::string head = export_head(ExportFormat::csv);
  head.resize(head.size() - 2);
  std::stringstream columns(head);
  for (std::string column; std::getline(columns, column, ',');) {
    EXPECT_TRUE(json.contains(column)) << column;
  }
  EXPECT_EQ(parse_pem_certificates(json.at("pem").get<std::string>())->front().der, exported.der);
}

TEST(CertificateExport, pem_is_read_again) {
  const std::string text = export_row(ExportFormat::pem, row()) + export_row(ExportFormat::pem, row());
  EXPECT_EQ(parse_pem_certificates(text)->size(), 2U);
}

TEST(CertificateTrace, is_told_in_lines) {
  site::Trace trace;
  trace.certificate = row();
  trace.certificate.not_after = kNow - Duration(1);
  const std::string text = trace_text(trace, kNow);
  EXPECT_NE(text.find("state        expired\n"), std::string::npos) << text;
  EXPECT_NE(text.find("decision     inventory: "), std::string::npos) << text;
  EXPECT_NE(text.find("run          none on record\n"), std::string::npos) << text;
  const Json json = trace_json(trace, kNow);
  EXPECT_EQ(json.at("state"), "expired");
  EXPECT_TRUE(json.at("run").is_null());
  EXPECT_EQ(json.at("certificate").at("basis"), "inventory");
}

}  // namespace
}  // namespace imprint::app
