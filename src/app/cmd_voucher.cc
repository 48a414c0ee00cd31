// imprint voucher inspect | verify | diff (import and fetch have files of their own): vouchers and voucher requests of
// BRSKI, looked at from outside.
#include "app/cmd_voucher.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "app/cli.h"
#include "app/cli_rules.h"
#include "app/onboard_plan.h"
#include "app/voucher_words.h"
#include "io/file.h"
#include "io/loop.h"
#include "proto/brski/rules.h"

namespace imprint::app {
namespace {

using brski::Artifact;
using brski::Voucher;

constexpr std::size_t kMaxFile = std::size_t{256} << 10U;  // hexadecimal takes twice the octets

// What our own files of lines look like, which are not vouchers: a word more than that this is none.
std::string_view looks_like(std::string_view text) {
  const Json line = Json::parse(text.substr(0, text.find('\n')), nullptr, /*allow_exceptions=*/false);
  if (!line.is_object()) {
    return {};
  }
  if (line.contains("voucher") && line.contains("serial")) {
    return "; it looks like a kit: `imprint voucher import` takes it, and the member \"voucher\" of a line is one";
  }
  return line.contains("id") ? "; it looks like a manifest: `imprint device import` takes it" : "";
}

OrProblem<Artifact> read_artifact(const std::string& path) {
  const std::string source = path == "-" ? "/dev/stdin" : path;
  const auto file = io::read_file(source, kMaxFile);
  if (!file) {
    return file_problem(source, file.error().what);
  }
  auto read = brski::parse_artifact(unwrapped(*file));
  if (!read) {
    Problem out(Error{Fault::malformed, brski::kArtifact}, path);
    out.state = std::string(read.error().what) + std::string(looks_like(as_text(*file)));
    return out;
  }
  return *std::move(read);
}

// ---- inspect ----

OrProblem<Ok> inspect(const Context& context, const std::string& file) {
  TRY(const Artifact artifact, read_artifact(file));
  context.print(inspection_json(artifact), inspection_text(artifact));
  return Ok{};
}

// ---- verify ----

struct VerifyOptions {
  std::string file, anchors, serial, nonce, request, idevid, at;
  bool no_time = false;
};

OrProblem<std::optional<Instant>> time_of(const VerifyOptions& options) {
  if (options.no_time) {
    return std::optional<Instant>();
  }
  if (options.at.empty()) {
    return std::optional(io::wall_clock());
  }
  const auto at = brski::DateTime::parse(options.at);
  if (!at) {
    return wrong_option("--at " + options.at, "give a time as 2026-11-21T19:00:00Z");
  }
  return std::optional(at->at);
}

// The nonce of the command line: in COSE it is octets, and written in hexadecimal.
OrProblem<brski::Nonce> nonce_of(const std::string& text, const Artifact& voucher) {
  if (voucher.form != brski::Form::cose) {
    return brski::Nonce(text);
  }
  const auto octets = from_hex(text);
  if (!octets) {
    return wrong_option("--nonce " + text, "give the nonce of a COSE voucher in hexadecimal");
  }
  return brski::Nonce(*octets);
}

OrProblem<std::vector<Certificate>> idevids_of(const VerifyOptions& options) {
  return options.idevid.empty() ? OrProblem<std::vector<Certificate>>(std::vector<Certificate>())
                                : read_certificates(options.idevid);
}

// What the device of this voucher knows, as far as the command line says so.
OrProblem<brski::Device> device_of(const VerifyOptions& options, const Artifact& voucher) {
  brski::Device out;
  TRY(out.anchors, read_certificates(options.anchors));
  TRY(out.now, time_of(options));
  TRY(std::vector<Certificate> idevids, idevids_of(options));
  if (!options.request.empty()) {
    TRY(const Artifact request, read_artifact(options.request));
    out.serial = request.voucher.serial_number;
    out.nonce = request.voucher.nonce;
    out.asked_with_key = request.voucher.proximity_registrar_pubk || request.voucher.proximity_registrar_pubk_sha256;
    const std::vector<Certificate> signers = brski::signers_of(request, idevids);
    idevids.insert(idevids.end(), signers.begin(), signers.end());
  }
  if (!idevids.empty()) {
    out.issuer = brski::issuer_key_id(idevids.front());
    out.unmarked = !brski::names_device(idevids.front());
    out.serial = options.idevid.empty() ? out.serial : std::optional(brski::serial_of(idevids.front()));
  }
  if (!options.serial.empty()) {
    out.serial = options.serial;
  }
  if (!options.nonce.empty()) {
    TRY(out.nonce, nonce_of(options.nonce, voucher));
  }
  return out;
}

// A registrar's request holds the device's, or has no word of whom a device saw.
bool is_registrars(const Voucher& request) {
  return request.prior_signed_voucher_request ||
         !(request.proximity_registrar_cert || request.proximity_registrar_pubk ||
           request.proximity_registrar_pubk_sha256 || request.agent_provided_proximity_registrar_cert);
}

OrProblem<std::vector<brski::Check>> checks_of(const VerifyOptions& options, const Artifact& artifact) {
  if (artifact.voucher.kind == Voucher::Kind::voucher) {
    TRY(const brski::Device device, device_of(options, artifact));
    return brski::check_voucher(artifact, device);
  }
  for (const auto& [option, given] :
       {std::pair("--serial", !options.serial.empty()), std::pair("--nonce", !options.nonce.empty()),
        std::pair("--request", !options.request.empty())}) {
    if (given) {
      Problem problem(Error{Fault::malformed, kOption}, std::string(option) + ": " + options.file + " is a request");
      problem.next = "leave it out: it is for vouchers";
      return problem;
    }
  }
  brski::Maker maker;
  TRY(maker.anchors, read_certificates(options.anchors));
  TRY(maker.idevids, idevids_of(options));
  TRY(maker.now, time_of(options));
  return is_registrars(artifact.voucher) ? brski::check_registrar_request(artifact, maker)
                                         : brski::check_pledge_request(artifact, maker);
}

OrProblem<Ok> verify(const Context& context, const VerifyOptions& options) {
  using Outcome = brski::Check::Outcome;
  TRY(const Artifact artifact, read_artifact(options.file));
  TRY(const std::vector<brski::Check> checks, checks_of(options, artifact));
  const auto failed = std::ranges::find(checks, Outcome::failed, &brski::Check::outcome);
  const bool holds = failed == checks.end();
  const bool complete = std::ranges::find(checks, Outcome::unknown, &brski::Check::outcome) == checks.end();
  const std::string verdict = !holds      ? "it does not hold\n"
                              : !complete ? "it holds as far as it could be checked; see --help for what may be given\n"
                                          : "it holds\n";
  context.print(Json{{"file", options.file},
                     {"kind", brski::name(artifact.voucher.kind)},
                     {"form", brski::name(artifact.form)},
                     {"holds", holds},
                     {"complete", complete},
                     {"checks", checks_json(checks)}},
                checks_text(checks) + verdict);
  if (!holds) {
    return Problem(Error{failed->fault, *failed->rule}, options.file);
  }
  return Ok{};
}

// ---- diff ----

std::string short_text(const std::string& text) {
  constexpr std::size_t kLong = 40;
  return text.size() > kLong ? text.substr(0, kLong) + "... (" + std::to_string(text.size()) + ")" : text;
}

OrProblem<Ok> diff(const Context& context, const std::string& a, const std::string& b) {
  TRY(const Artifact one, read_artifact(a));
  TRY(const Artifact other, read_artifact(b));
  Json list = Json::array();
  std::vector<std::vector<std::string>> rows;
  for (const Difference& d : differences(one, other)) {
    list.push_back({{"name", d.name}, {"a", d.one}, {"b", d.other}, {"same", d.same}});
    rows.push_back({d.same            ? "="
                    : d.one.empty()   ? "+"
                    : d.other.empty() ? "-"
                                      : "!",
                    d.name, short_text(d.one), d.same ? "" : short_text(d.other)});
  }
  const bool holds_a = other.voucher.prior_signed_voucher_request == one.received;
  const bool holds_b = one.voucher.prior_signed_voucher_request == other.received;
  const std::string nested = holds_a   ? b + " holds " + a + " as it came\n"
                             : holds_b ? a + " holds " + b + " as it came\n"
                                       : "";
  context.print(Json{{"a", a}, {"b", b}, {"b_holds_a", holds_a}, {"a_holds_b", holds_b}, {"differences", list}},
                table({"", "LEAF", "A", "B"}, rows) + nested);
  return Ok{};
}

void add_inspect(Command voucher) {
  auto file = std::make_shared<std::string>();
  const Command command =
      voucher.sub("inspect", "Explain a voucher or a voucher request, field by field.",
                  "imprint voucher inspect voucher.vcj\nimprint voucher inspect request.b64 --json\n"
                  "curl -s https://masa.example/v | imprint voucher inspect -");
  command.option("FILE", *file, "CMS, COSE or JWS; raw, PEM, base64 or hexadecimal; - for standard input")
      .type("FILE")
      .required();
  command.runs([file](const Context& c) { return inspect(c, *file); });
}

void add_verify(Command voucher) {
  auto options = std::make_shared<VerifyOptions>();
  const Command command = voucher.sub(
      "verify", "Check a voucher as its device would, or a request as the MASA would, rule by rule.",
      "imprint voucher verify voucher.vcj --anchors masa.pem --serial dev-1 --nonce AAECAwQFBgcICQoLDA0ODw==\n"
      "imprint voucher verify voucher.vcj --anchors masa.pem --request pvr.vcj\n"
      "imprint voucher verify rvr.vcj --anchors maker-ca.pem --at 2026-11-21T19:00:00Z\n"
      "imprint voucher verify voucher.vch --anchors masa.pem --serial dev-1 --no-time --json");
  command.option("FILE", options->file, "A voucher or a voucher request; - for standard input").type("FILE").required();
  command
      .option("--anchors", options->anchors, "PEM: the maker's anchors, of its MASA or, for requests, of its IDevIDs")
      .type("FILE")
      .required();
  command.option("--serial", options->serial, "The device's serial number");
  command.option("--nonce", options->nonce, "The device's nonce; hexadecimal for COSE");
  command.option("--request", options->request, "The device's own request: serial number and nonce are taken from it")
      .type("FILE");
  command.option("--idevid", options->idevid, "PEM: the device's IDevID").type("FILE");
  const Arg at = command.option("--at", options->at, "Check as of this time; default: now").type("TIME");
  command.flag("--no-time", options->no_time, "As a device without a clock: no dates are checked").excludes(at);
  command.runs([options](const Context& c) { return verify(c, *options); });
}

void add_diff(Command voucher) {
  auto files = std::make_shared<std::pair<std::string, std::string>>();
  const Command command = voucher.sub("diff", "Say what differs between two vouchers or requests, field by field.",
                                      "imprint voucher diff pvr.vcj rvr.vcj\nimprint voucher diff pvr.vcj voucher.vcj "
                                      "--json");
  command.option("A", files->first, "One").type("FILE").required();
  command.option("B", files->second, "The other").type("FILE").required();
  command.runs([files](const Context& c) { return diff(c, files->first, files->second); });
}

}  // namespace

void add_voucher(Command top) {
  const Command voucher =
      top.group("voucher", "Look at vouchers and voucher requests, and keep vouchers in advance (BRSKI).",
                "imprint voucher inspect voucher.vcj\n"
                "imprint voucher verify voucher.vcj --anchors masa.pem --request pvr.vcj\n"
                "imprint voucher diff pvr.vcj rvr.vcj");
  add_inspect(voucher);
  add_verify(voucher);
  add_diff(voucher);
  add_voucher_import(voucher);
  add_voucher_fetch(voucher);
}

}  // namespace imprint::app
