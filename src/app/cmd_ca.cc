#include "app/cmd_ca.h"

#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>

#include "app/admin_routes.h"
#include "app/ca_folder.h"
#include "app/ca_former.h"
#include "app/cli_rules.h"
#include "app/cmd_ca_request.h"
#include "app/cmd_device.h"
#include "app/revocation_lists.h"
#include "codec/base64.h"
#include "crypto/key_uri.h"
#include "io/file.h"
#include "io/loop.h"
#include "site/operation_rules.h"

namespace imprint::app {
namespace {

struct ShowOptions {
  std::string serial;
  bool pem = false, fingerprint = false;
};

// A CA of before, and whether it still says what its certificates are worth.
struct Before {
  Certificate certificate;
  std::string_view status;
};

std::vector<Before> cas_of_before(const DataFolder& folder) {
  std::vector<Before> out;
  for (const Certificate& one : former_cas(folder.path)) {
    const auto at = std::ranges::find_if(folder.former, [&](const site::Ca& f) {
      return f.certificate.subject == one.subject && f.certificate.key == one.key;
    });
    const bool there = at != folder.former.end();
    const bool same = one.subject == folder.ca.certificate.subject && one.key == folder.ca.certificate.key;
    out.push_back({one, io::wall_clock() >= one.not_after ? "over"
                        : same                            ? "renewed"
                        : !there                          ? "its key is not here"
                        : !at->key                        ? "its key cannot be read"
                        : at->certificate != one          ? "renewed"
                        : in_token(at->key)               ? "signs lists and OCSP answers, by a key in a token"
                                                          : "signs lists and OCSP answers"});
  }
  return out;
}

Json before_json(const std::vector<Before>& before) {
  Json out = Json::array();
  for (const Before& one : before) {
    out.push_back({{"id", site::issuer_id(one.certificate)},
                   {"subject", one.certificate.subject.text},
                   {"not_after", utc_text(one.certificate.not_after)},
                   {"status", one.status}});
  }
  return out;
}

std::string before_text(const std::vector<Before>& before) {
  std::string out;
  for (const Before& one : before) {
    out += "before       " + site::issuer_id(one.certificate) + "  " + one.certificate.subject.text + ", until " +
           utc_text(one.certificate.not_after) + ": ";
    out += one.status;
    out += '\n';
  }
  return out;
}

OrProblem<Ok> show(const Context& context, const ShowOptions& options) {
  if (!options.serial.empty()) {
    return show_certificate(context, options.serial);
  }
  TRY(const Offline data, context.offline());
  const std::vector<Certificate> chain = data.folder.ca.chain();
  const Certificate& ca = chain.front();
  std::string pem;
  for (const Certificate& c : chain) {
    pem += to_pem(c);
  }
  const std::string fingerprint = fingerprint_text(ca.fingerprint());
  const std::vector<Before> before = cas_of_before(data.folder);
  const Json json{{"subject", ca.subject.text},
                  {"issuer", ca.issuer.text},
                  {"serial", hex(ca.serial)},
                  {"not_before", utc_text(ca.not_before)},
                  {"not_after", utc_text(ca.not_after)},
                  {"key", imprint::name(ca.key.type)},
                  {"sha256", fingerprint},
                  {"id", site::issuer_id(ca)},
                  {"before", before_json(before)},
                  {"file", data.folder.path + "/ca/chain.pem"},
                  {"pem", pem}};
  std::string text = "subject      " + ca.subject.text + "\nissuer       " + ca.issuer.text + "\nserial       " +
                     hex(ca.serial) + "\nvalid        " + utc_text(ca.not_before) + " to " + utc_text(ca.not_after) +
                     "\nkey          " + std::string(imprint::name(ca.key.type)) + "\nfingerprint  SHA-256 " +
                     fingerprint + "\nid           " + site::issuer_id(ca) + "\nfile         " + data.folder.path +
                     "/ca/chain.pem\n" + before_text(before);
  context.print(json, options.pem ? pem : options.fingerprint ? fingerprint + "\n" : text);
  return Ok{};
}

struct RevokeOptions {
  std::string serial, reason = "unspecified";
};

// What another CA signed, upstream of a gateway, is on no list of ours: who relies on it asks there. Nothing for our
// own.
std::string told_elsewhere(const DataFolder& folder, const store::CertificateRow& row) {
  const auto certificate = Certificate::parse(row.der);
  const bool own = !certificate || signed_by_ours(folder.path, folder.ca, *certificate);
  return own ? std::string()
             : "it was signed by " + certificate->issuer.text +
                   ": this server refuses its device from now on; for all others that CA has to revoke it\n";
}

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
  context.print(admin::certificate_json(*row), "revoked: " + hex(serial) + " of " + row->device + ", " + row->subject +
                                                   "\n" + told_elsewhere(data.folder, *row));
  return Ok{};
}

struct CrlOptions {
  std::string out, format = "pem", issuer;
  bool distributed = false;
};

std::string pem_of_crl(BytesView der) {
  constexpr std::size_t kLine = 64;
  const std::string text = base64(der);
  std::string out = "-----BEGIN X509 CRL-----\n";
  for (std::size_t at = 0; at < text.size(); at += kLine) {
    out += text.substr(at, kLine) + "\n";
  }
  return out + "-----END X509 CRL-----\n";
}

// The CA of now, or the one of before with this id.
OrProblem<FormerCa> issuer_of_list(const EstSite& site, const std::string& id) {
  if (id.empty() || id == site::issuer_id(site.ca.certificate)) {
    return FormerCa{site.ca, site.revocation_list, site.distributed_list, site.list_ends};
  }
  const auto at =
      std::ranges::find(site.former, id, [](const FormerCa& f) { return site::issuer_id(f.ca.certificate); });
  if (at == site.former.end()) {
    Problem problem(Error{Fault::refused, site::kCertificateUnknown}, "--issuer " + id);
    problem.next = "`imprint ca show` has the ids of the CAs of before that still sign lists";
    return problem;
  }
  return *at;
}

// Signed now, over what is on record now, as the server does it.
OrProblem<Ok> crl(const Context& context, const CrlOptions& options) {
  TRY(const Offline data, context.offline());
  TRY(const auto site, about(make_site(data.config, data.folder, *data.store, io::wall_clock()), data.config.data));
  TRY(const FormerCa from, issuer_of_list(*site, options.issuer));
  if (from.revocation_list.empty()) {
    return Problem(Error{Fault::limit,
                         "ca: more revoked certificates than a list can have, or a CA of before whose key cannot be "
                         "had; relying parties need OCSP"});
  }
  if (options.distributed && from.distributed_list.empty()) {
    Problem problem(Error{Fault::refused, kOption}, "--distributed");
    problem.next = "set ca.crl_uri: the place that the list is to name";
    return problem;
  }
  const Bytes& der = options.distributed ? from.distributed_list : from.revocation_list;
  const std::string pem = pem_of_crl(der);
  const BytesView content = options.format == "der" ? BytesView(der) : view(pem);
  TRY(const auto reader, data.store->read());
  TRY(auto by_issuer, about(revoked_by_issuer(*reader, data.folder, io::wall_clock()), data.config.data));
  const std::vector<Revoked>& revoked = by_issuer[from.ca.certificate.subject.der];
  if (!options.out.empty()) {
    TRY(Ok{}, about(io::write_file(options.out, content, 0644), options.out));
  } else if (!context.globals.json && options.format == "der") {
    std::cout.write(reinterpret_cast<const char*>(der.data()), static_cast<std::streamsize>(der.size()));
    std::cout.flush();
    return Ok{};
  }
  context.print(
      Json{{"revoked", revoked.size()}, {"file", options.out}, {"pem", pem}},
      options.out.empty() ? pem : options.out + ": " + std::to_string(revoked.size()) + " revoked certificate(s)\n");
  return Ok{};
}

}  // namespace

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

void add_ca(Command top) {
  const Command ca = top.group("ca", "The owner's CA and what it has signed.",
                               "imprint ca show --fingerprint\nimprint ca list --device dev-1");
  add_ca_request(ca);
  add_ca_rollover(ca);

  auto show_options = std::make_shared<ShowOptions>();
  const Command show_command = ca.sub(
      "show", "Show the CA's certificate, or what led to a certificate that it has issued.",
      "imprint ca show\nimprint ca show --pem > ca.pem\nimprint ca show --fingerprint\nimprint ca show 4f1c09aa");
  const Arg serial = show_command.option("SERIAL", show_options->serial,
                                         "Serial number, hexadecimal: its run, the evidence, the decision");
  const Arg pem = show_command.flag("--pem", show_options->pem, "The certificates in PEM").excludes(serial);
  show_command.flag("--fingerprint", show_options->fingerprint, "Only the SHA-256 fingerprint")
      .excludes(pem)
      .excludes(serial);
  show_command.runs([show_options](const Context& c) { return show(c, *show_options); });

  add_ca_certificates(ca);

  auto crl_options = std::make_shared<CrlOptions>();
  const Command crl_command = ca.sub("crl", "Print the certificate revocation list, signed anew.",
                                     "imprint ca crl --out crl.pem\nimprint ca crl --format der --out crl.der\n"
                                     "imprint ca crl | openssl crl -noout -text\n"
                                     "imprint ca crl --issuer 5f0c2a9e11d47b63 --out before.pem");
  crl_command.option("--out", crl_options->out, "File to write in place of printing").type("FILE");
  crl_command.option("--format", crl_options->format, "pem or der").one_of({"pem", "der"}).shows_default();
  crl_command.flag("--distributed", crl_options->distributed, "As it is served at ca.crl_uri, which it then names");
  crl_command.option("--issuer", crl_options->issuer, "The list of a CA of before, by its id in `imprint ca show`")
      .type("ID");
  crl_command.runs([crl_options](const Context& c) { return crl(c, *crl_options); });

  auto revoke_options = std::make_shared<RevokeOptions>();
  const Command revoke_command =
      ca.sub("revoke", "Revoke a certificate.", "imprint ca revoke 4f1c09aa --reason key_compromise");
  revoke_command.option("SERIAL", revoke_options->serial, "Serial number, hexadecimal").required();
  revoke_command.option("--reason", revoke_options->reason, "Reason of RFC 5280 section 5.3.1, as in key_compromise");
  revoke_command.runs([revoke_options](const Context& c) { return revoke(c, *revoke_options); });
}

}  // namespace imprint::app
