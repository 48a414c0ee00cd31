// imprint ca list | search | export | show SERIAL: the certificates on record.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "app/admin_routes.h"
#include "app/certificate_search.h"
#include "app/cli_rules.h"
#include "app/cmd_ca.h"
#include "io/loop.h"
#include "site/operation_rules.h"

namespace imprint::app {
namespace {

constexpr std::int64_t kPage = 1000;

struct ListOptions {
  CertificateSearch search;
  std::int64_t limit = 1000;
  std::string after;
  bool revoked = false;
};

OrProblem<store::CertificateFilter> filter_from(const ListOptions& options, Instant now) {
  CertificateSearch search = options.search;
  if (options.revoked) {
    search.state = "revoked";
  }
  auto filter = filter_of(search, now);
  if (const auto* const wrong = std::get_if<SearchProblem>(&filter)) {
    Problem problem(Error{Fault::malformed, kOption}, "--" + wrong->part);
    problem.next = "give " + wrong->wanted;
    return problem;
  }
  store::CertificateFilter out = std::get<store::CertificateFilter>(std::move(filter));
  out.limit = options.limit;
  if (!options.after.empty()) {
    TRY(out.after_serial, parse_serial(options.after));
  }
  return out;
}

std::string state_words(const store::CertificateRow& row, Instant now) {
  const std::string state(store::name(store::state_of(row, now)));
  return row.revoked ? state + " " + utc_text(*row.revoked) : state;
}

OrProblem<Ok> list(const Context& context, const ListOptions& options) {
  const Instant now = io::wall_clock();
  TRY(const store::CertificateFilter filter, filter_from(options, now));
  TRY(const Offline data, context.offline());
  TRY(const auto reader, data.store->read());
  TRY(const auto certificates, reader->certificates(filter));
  Json json{{"certificates", Json::array()}};
  std::vector<std::vector<std::string>> rows;
  for (const store::CertificateRow& row : certificates) {
    json["certificates"].push_back(admin::certificate_json(row));
    rows.push_back(
        {hex(row.serial), row.device, row.profile, row.subject, utc_text(row.not_after), state_words(row, now)});
  }
  context.print(json, rows.empty() ? "no certificates\n"
                                   : table({"SERIAL", "DEVICE", "PROFILE", "SUBJECT", "UNTIL", "STATE"}, rows));
  return Ok{};
}

struct ExportOptions {
  ListOptions list;
  std::string format = "jsonl", out;
};

// All that fit, page by page: a site may have more than memory takes.
OrProblem<std::int64_t> export_to(std::ostream& to, store::Store& store, store::CertificateFilter filter,
                                  ExportFormat format) {
  std::int64_t count = 0;
  const std::int64_t most = filter.limit;
  to << export_head(format);
  while (count < most) {
    filter.limit = std::min(kPage, most - count);
    TRY(const auto reader, store.read());  // anew: whoever reads slowly holds nothing back
    TRY(const auto rows, reader->certificates(filter));
    for (const store::CertificateRow& row : rows) {
      to << export_row(format, row);
    }
    count += static_cast<std::int64_t>(rows.size());
    if (static_cast<std::int64_t>(rows.size()) < filter.limit) {
      break;
    }
    filter.after_serial = rows.back().serial;
  }
  return count;
}

OrProblem<Ok> export_all(const Context& context, const ExportOptions& options) {
  TRY(const store::CertificateFilter filter, filter_from(options.list, io::wall_clock()));
  const ExportFormat format = *export_format_named(options.format);
  TRY(const Offline data, context.offline());
  if (options.out.empty()) {
    TRY([[maybe_unused]] const std::int64_t count, export_to(std::cout, *data.store, filter, format));
    std::cout.flush();
    return Ok{};
  }
  // The export of before stays until this one is whole; what is no plain file is written as it is.
  std::error_code ignored;
  const auto kind = std::filesystem::status(options.out, ignored).type();
  const bool direct = kind != std::filesystem::file_type::regular && kind != std::filesystem::file_type::not_found;
  const std::string path = direct ? options.out : options.out + ".new";
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  TRY(const std::int64_t count, export_to(file, *data.store, filter, format));
  file.close();
  if (!file || (!direct && std::rename(path.c_str(), options.out.c_str()) != 0)) {
    return file_problem(options.out, "it cannot be written");
  }
  context.print(Json{{"file", options.out}, {"certificates", count}},
                options.out + ": " + std::to_string(count) + " certificate(s)\n");
  return Ok{};
}

// The options that every look at the certificates has.
void add_filter(const Command& command, ListOptions& options) {
  CertificateSearch& search = options.search;
  command.option("--device", search.device, "Only those of this device; (server) for the owner's own");
  command.option("--profile", search.profile, "Only those of this profile");
  command.option("--serial", search.serial, "How the serial number begins, hexadecimal").type("HEX");
  command.option("--fingerprint", search.fingerprint, "SHA-256 of the certificate, hexadecimal").type("HEX");
  const Arg state = command.option("--state", search.state, "Only those that are good, expired or revoked")
                        .one_of({"good", "expired", "revoked"});
  command.flag("--revoked", options.revoked, "The same as --state revoked").excludes(state);
  command.option("--ends-before", search.ends_before, "Only those that end before: 2027-01-31, or 30d from now")
      .type("TIME");
  command.option("--ends-after", search.ends_after, "Only those that end after").type("TIME");
  command.option("--after", options.after, "Only those after this serial number").type("SERIAL");
}

}  // namespace

OrProblem<Ok> show_certificate(const Context& context, const std::string& text) {
  TRY(const Bytes serial, parse_serial(text));
  TRY(const Offline data, context.offline());
  TRY(const auto reader, data.store->read());
  TRY(const std::optional<site::Trace> found, site::trace(*reader, serial));
  if (!found) {
    return Problem(Error{Fault::refused, site::kCertificateUnknown}, text);
  }
  const Instant now = io::wall_clock();
  context.print(trace_json(*found, now), trace_text(*found, now));
  return Ok{};
}

void add_ca_certificates(Command ca) {
  auto list_options = std::make_shared<ListOptions>();
  const Command list_command =
      ca.sub("list", "List certificates.",
             "imprint ca list\nimprint ca list --device dev-1\nimprint ca list --ends-before 30d --state good\n"
             "imprint ca list --revoked --json");
  add_filter(list_command, *list_options);
  list_command.option("--limit", list_options->limit, "At most so many").between(1, 100000);
  list_command.runs([list_options](const Context& c) { return list(c, *list_options); });

  auto search_options = std::make_shared<ListOptions>();
  const Command search_command = ca.sub("search", "Find certificates by their names.",
                                        "imprint ca search dev-1\nimprint ca search dns:lamp --state good\n"
                                        "imprint ca search urn:imprint --profile lamps --json");
  search_command
      .option("TEXT", search_options->search.text, "Somewhere in the subject or another name; case does not matter")
      .required();
  add_filter(search_command, *search_options);
  search_command.option("--limit", search_options->limit, "At most so many").between(1, 100000);
  search_command.runs([search_options](const Context& c) { return list(c, *search_options); });

  auto export_options = std::make_shared<ExportOptions>();
  export_options->list.limit = INT64_MAX;
  const Command export_command =
      ca.sub("export", "Export certificates as PEM, JSON lines or CSV.",
             "imprint ca export --format csv --out certificates.csv\nimprint ca export --state good --format pem\n"
             "imprint ca export --device dev-1 | head -1");
  export_command.option("--format", export_options->format, "pem, jsonl or csv")
      .one_of({"pem", "jsonl", "csv"})
      .shows_default();
  export_command.option("--text", export_options->list.search.text, "Somewhere in the subject or another name");
  add_filter(export_command, export_options->list);
  export_command.option("--out", export_options->out, "File to write in place of printing").type("FILE");
  export_command.runs([export_options](const Context& c) { return export_all(c, *export_options); });
}

}  // namespace imprint::app
