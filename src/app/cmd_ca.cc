#include <nlohmann/json.hpp>

#include "app/admin_routes.h"
#include "app/cli_rules.h"
#include "app/cmd_device.h"

namespace imprint::app {
namespace {

struct ShowOptions {
  bool pem = false, fingerprint = false;
};

OrProblem<Ok> show(const Context& context, const ShowOptions& options) {
  TRY(const Offline data, context.offline());
  const std::vector<Certificate> chain = data.folder.ca.chain();
  const Certificate& ca = chain.front();
  std::string pem;
  for (const Certificate& c : chain) {
    pem += to_pem(c);
  }
  const std::string fingerprint = fingerprint_text(ca.fingerprint());
  const Json json{{"subject", ca.subject.text},
                  {"issuer", ca.issuer.text},
                  {"serial", hex(ca.serial)},
                  {"not_before", utc_text(ca.not_before)},
                  {"not_after", utc_text(ca.not_after)},
                  {"key", imprint::name(ca.key.type)},
                  {"sha256", fingerprint},
                  {"file", data.folder.path + "/ca/chain.pem"},
                  {"pem", pem}};
  std::string text = "subject      " + ca.subject.text + "\nissuer       " + ca.issuer.text + "\nserial       " +
                     hex(ca.serial) + "\nvalid        " + utc_text(ca.not_before) + " to " + utc_text(ca.not_after) +
                     "\nkey          " + std::string(imprint::name(ca.key.type)) + "\nfingerprint  SHA-256 " +
                     fingerprint + "\nfile         " + data.folder.path + "/ca/chain.pem\n";
  context.print(json, options.pem ? pem : options.fingerprint ? fingerprint + "\n" : text);
  return Ok{};
}

struct ListOptions {
  store::CertificateFilter filter;
  std::string after;
};

// A serial number as people write it: hexadecimal, colons and leading zero octets do not matter.
OrProblem<Bytes> parse_serial(const std::string& text) {
  auto out = from_hex(text);
  if (!out || out->empty() || out->size() > 21) {
    Problem problem(Error{Fault::malformed, kOption}, text);
    problem.state = "a serial number is hexadecimal";
    return problem;
  }
  while (out->size() > 1 && out->front() == 0) {
    out->erase(out->begin());
  }
  return *std::move(out);
}

OrProblem<Ok> list(const Context& context, const ListOptions& options) {
  store::CertificateFilter filter = options.filter;
  if (!options.after.empty()) {
    TRY(filter.after_serial, parse_serial(options.after));
  }
  TRY(const Offline data, context.offline());
  TRY(const auto reader, data.store->read());
  TRY(const auto certificates, reader->certificates(filter));
  Json json{{"certificates", Json::array()}};
  std::vector<std::vector<std::string>> rows;
  for (const store::CertificateRow& row : certificates) {
    json["certificates"].push_back(admin::certificate_json(row));
    rows.push_back({hex(row.serial), row.device, row.profile, row.subject, utc_text(row.not_after),
                    row.revoked ? "revoked " + utc_text(*row.revoked) : "good"});
  }
  context.print(json, rows.empty() ? "no certificates\n"
                                   : table({"SERIAL", "DEVICE", "PROFILE", "SUBJECT", "UNTIL", "STATE"}, rows));
  return Ok{};
}

struct RevokeOptions {
  std::string serial, reason = "unspecified";
};

OrProblem<Ok> revoke(const Context& context, const RevokeOptions& options) {
  TRY(const Bytes serial, parse_serial(options.serial));
  const auto reason = site::revocation_reason_named(options.reason);
  if (!reason) {
    Problem problem(Error{Fault::malformed, kOption}, "--reason " + options.reason);
    problem.next =
        "take one of unspecified, key_compromise, ca_compromise, affiliation_changed, superseded, cessation, "
        "privilege_withdrawn";
    return problem;
  }
  TRY(const Offline data, context.offline());
  TRY(Ok{}, about(data.store->write([&](store::Writer& writer) {
        return site::revoke_certificate(writer, serial, *reason, by_cli());
      }),
                  options.serial));
  TRY(const auto reader, data.store->read());
  TRY(const auto row, reader->certificate(serial));
  context.print(admin::certificate_json(*row),
                "revoked: " + hex(serial) + " of " + row->device + ", " + row->subject + "\n");
  return Ok{};
}

}  // namespace

void add_ca(Command top) {
  const Command ca = top.group("ca", "The owner's CA and what it has signed.",
                               "imprint ca show --fingerprint\nimprint ca list --device dev-1");

  auto show_options = std::make_shared<ShowOptions>();
  const Command show_command = ca.sub("show", "Show the CA's certificate.",
                                      "imprint ca show\nimprint ca show --pem > ca.pem\nimprint ca show --fingerprint");
  const Arg pem = show_command.flag("--pem", show_options->pem, "The certificates in PEM");
  show_command.flag("--fingerprint", show_options->fingerprint, "Only the SHA-256 fingerprint").excludes(pem);
  show_command.runs([show_options](const Context& c) { return show(c, *show_options); });

  auto list_options = std::make_shared<ListOptions>();
  const Command list_command =
      ca.sub("list", "List certificates.",
             "imprint ca list\nimprint ca list --device dev-1\nimprint ca list --revoked --json");
  list_command.option("--device", list_options->filter.device, "Only those of this device");
  list_command.flag("--revoked", list_options->filter.revoked_only, "Only revoked ones");
  list_command.option("--limit", list_options->filter.limit, "At most so many").between(1, 100000);
  list_command.option("--after", list_options->after, "Only those after this serial number").type("SERIAL");
  list_command.runs([list_options](const Context& c) { return list(c, *list_options); });

  auto revoke_options = std::make_shared<RevokeOptions>();
  const Command revoke_command =
      ca.sub("revoke", "Revoke a certificate.", "imprint ca revoke 4f1c09aa --reason key_compromise");
  revoke_command.option("SERIAL", revoke_options->serial, "Serial number, hexadecimal").required();
  revoke_command.option("--reason", revoke_options->reason, "Reason of RFC 5280 section 5.3.1, as in key_compromise");
  revoke_command.runs([revoke_options](const Context& c) { return revoke(c, *revoke_options); });
}

}  // namespace imprint::app
