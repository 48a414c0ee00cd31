#include "app/onboard_brski.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include "app/cli_rules.h"
#include "app/onboard_brski_set.h"
#include "app/run_file.h"
#include "crypto/key_rules.h"
#include "crypto/key_uri.h"
#include "crypto/random.h"
#include "runtime/brski_device.h"
#include "runtime/rules.h"

namespace imprint::app {
namespace {

namespace fs = std::filesystem;
using brski::Pledge;
using brski::PledgePlan;

struct Prepared {
  std::shared_ptr<PledgePlan> plan;
  std::string device;
  std::unique_ptr<FolderStorage> storage;
};

// "localhost:8443" is enough: a registrar is always asked over TLS.
OrProblem<Uri> read_registrar(const std::string& option, const std::string& text) {
  const bool bare = text.find("://") == std::string::npos;
  auto uri = Uri::parse(bare ? "https://" + text : text);
  if (!uri || (uri->scheme != "https" && uri->scheme != "coaps")) {
    return wrong_option(option + " " + text, "give it as HOST:PORT, https://HOST:PORT[/base] or coaps://HOST:PORT");
  }
  return *std::move(uri);
}

OrProblem<Ok> take_quirks(const BrskiOptions& options, PledgePlan& plan) {
  const std::array<std::pair<std::string_view, bool*>, 5> known{
      {{"base64-bodies", &plan.base64_bodies},
       {"requests-named-voucher", &plan.requests_named_voucher},
       {"version-as-text", &plan.version_as_text},
       {"registrar-changes", &plan.registrar_changes},
       {"bare-requests", &plan.enrolment.bare_requests}}};
  for (const std::string& word : options.quirks) {
    const auto* const at = std::ranges::find(known, word, &std::pair<std::string_view, bool*>::first);
    if (at == known.end()) {
      return wrong_option("--quirk " + word,
                          "take base64-bodies, requests-named-voucher, version-as-text, registrar-changes or "
                          "bare-requests");
    }
    *at->second = true;
  }
  return Ok{};
}

OrProblem<Ok> take_words(const BrskiOptions& options, PledgePlan& plan) {
  const auto is = [](const std::string& said, std::string_view word) { return said == word; };
  const std::string form = options.form.empty() ? "cms" : options.form;
  if (!is(form, "cms") && !is(form, "jws") && !is(form, "cose")) {
    return wrong_option("--form " + form, "take cms, jws or cose");
  }
  plan.form = is(form, "cms") ? brski::Form::cms : is(form, "jws") ? brski::Form::jws : brski::Form::cose;
  const std::string content_type = options.content_type.empty() ? "voucher" : options.content_type;
  if (!is(content_type, "voucher") && !is(content_type, "data")) {
    return wrong_option("--content-type " + content_type, "take voucher or data");
  }
  plan.content_type = is(content_type, "data") ? brski::kDataType : brski::kJsonVoucherType;
  const std::string& serial = options.serial;
  if (!is(serial, "subject") && !is(serial, "hardware-module-name") && !is(serial, "common-name")) {
    return wrong_option("--serial-from " + serial, "take subject, hardware-module-name or common-name");
  }
  plan.serial = is(serial, "subject")       ? brski::SerialSource::subject
                : is(serial, "common-name") ? brski::SerialSource::common_name
                                            : brski::SerialSource::hardware_module_name;
  for (const std::string& word : options.accepted) {
    const brski::Assertion assertion = brski::assertion_named(word);
    if (assertion == brski::Assertion::other) {
      return wrong_option("--accept " + word, "take verified, logged or proximity");
    }
    plan.assertions.push_back(assertion);
  }
  TRY(Ok{}, take_quirks(options, plan));
  plan.trusts_clock = !options.no_clock;
  plan.coap_wishes = options.csrattrs;
  plan.rounds = options.rounds;
  return Ok{};
}

OrProblem<Ok> take_addresses(const BrskiOptions& options, PledgePlan& plan) {
  for (const std::string& text : options.registrars) {
    TRY(Uri at, read_registrar("--registrar", text));
    plan.registrars.push_back(std::move(at));
  }
  if (options.cloud.empty()) {
    return Ok{};
  }
  TRY(plan.cloud, read_registrar("--cloud", options.cloud));
  if (options.cloud_anchors.empty()) {
    return wrong_option("--cloud " + options.cloud, "give --cloud-anchors as well: it is judged like any server");
  }
  TRY(plan.cloud_anchors, read_certificates(options.cloud_anchors));
  return Ok{};
}

OrProblem<Ok> take_identity(const OnboardOptions& common, Prepared& out) {
  if (common.certificate.empty() || common.key.empty()) {
    return wrong_option("--cert and --key", "give both: the IDevID that the factory put in, or --device");
  }
  TRY(const PrivateKey key, read_key(common.key));
  if (!can_tls(key)) {
    return Problem(Error{Fault::unsupported, kKeyKind}, common.key);
  }
  TRY(std::vector<Certificate> chain, read_certificates(common.certificate));
  if (chain.front().key != key.public_key()) {
    return wrong_option("--key " + common.key, "give the key that belongs to the first certificate in --cert");
  }
  out.storage->set_credential_key(key);
  out.plan->identity = Credential{"credential", std::move(chain)};
  return Ok{};
}

OrProblem<Ok> take_enrolment(const OnboardOptions& common, Prepared& out) {
  est::Plan& plan = out.plan->enrolment;
  const auto key_type = key_type_named(common.key_type);
  if (!key_type) {
    return wrong_option("--key-type " + common.key_type, "take p256, p384, p521, ed25519, rsa2048, rsa3072 or rsa4096");
  }
  plan.key_type = *key_type;
  plan.label = common.label;
  plan.credential = out.plan->identity;
  // A constrained device asks for the name that it has (draft-ietf-anima-constrained-voucher).
  const auto& registrars = out.plan->registrars;
  const bool coaps =
      !registrars.empty() && std::ranges::all_of(registrars, [](const Uri& at) { return at.scheme == "coaps"; });
  TRY(Ok{}, take_names(common, coaps ? std::string() : out.device, plan));
  plan.credential.reset();
  out.device = out.device.empty() ? plan.names.subject.first("CN") : out.device;
  return Ok{};
}

OrProblem<Prepared> prepare(const BrskiOptions& given) {
  BrskiOptions options = given;
  Prepared out;
  out.plan = std::make_shared<PledgePlan>();
  options.maker_anchors = maker_anchors_of(options);
  est::Origins origins;
  const std::string server = options.common.server;
  TRY(Ok{}, unfold_device(options.common, out.device, origins));
  options.common.server = server;
  TRY(Ok{}, take_words(options, *out.plan));
  TRY(Ok{}, take_addresses(options, *out.plan));
  if (!options.maker_anchors.empty()) {
    TRY(out.plan->voucher_anchors, read_certificates(options.maker_anchors));
  }
  const std::string run_file = options.common.out + "/" + std::string(kRunFile);
  if (foreign_run_file(run_file)) {
    return Problem(Error{Fault::conflict, kForeignFile}, run_file);
  }
  const auto foreign = FolderStorage::foreign_file(options.common.out);
  TRY(out.storage,
      about(FolderStorage::open(options.common.out), options.common.out + (foreign ? "/" + *foreign : "")));
  TRY(Ok{}, take_identity(options.common, out));
  TRY(Ok{}, take_enrolment(options.common, out));
  return out;
}

// What another run begins with: the owner's certificate if it is there, else the voucher if that is, and a new request
// for one if not. No key is resumed before the voucher: nobody has heard of one.
Problem timed_out(FolderStorage& storage) {
  Problem out(Error{Fault::expired, kTimeout}, "BRSKI");
  const auto installed = storage.installed();
  const auto imprinted = storage.imprinted();
  out.next = "run the command again with the same --out: ";
  out.next +=
      installed && *installed ? "the certificate is there, and only the report is missing"
      : imprinted && *imprinted
          ? "the voucher is there, and it goes back to that owner; if a person has to decide, let them, or give "
            "a longer --timeout"
          : "it asks for its voucher anew; if a person or the maker has to decide, let them, or give a longer "
            "--timeout";
  return out;
}

Ending run_to_end(const Context& context, const BrskiOptions& options, Prepared& prepared) {
  if (!options.search.interfaces.empty()) {
    const Searcher searcher{*prepared.plan, *prepared.storage, prepared.device, options.redirect_inside,
                            options.common.subject.empty()};
    return onboard_by_search(context, options.search, searcher, options.common.timeout_s);
  }
  io::Loop loop;
  SystemRng rng;
  io::Guard guard;
  for (const Uri& at : prepared.plan->registrars) {
    guard.allow(at);
  }
  if (prepared.plan->cloud) {
    guard.allow(*prepared.plan->cloud);
  }
  if (options.redirect_inside) {
    guard.allow_inside();
  }
  Narrator narrator(context);
  std::optional<Ending> ending;
  BrskiDevice::Hooks hooks;
  hooks.ended = [&](const Pledge::State& state, const Run& told, const std::optional<Error>& broken) {
    ending = ending_of(state, told, broken);
    loop.stop();
  };
  BrskiDevice device(loop, rng, pledge_over_sockets(loop, guard, rng), *prepared.storage, &narrator, prepared.device,
                     hooks);
  const std::uint64_t timer = loop.after(std::chrono::seconds(options.common.timeout_s), [&] {
    ending = Ending{device.cut_short(), std::nullopt, timed_out(*prepared.storage)};
    loop.stop();
  });
  device.start(prepared.plan);
  loop.run();
  loop.cancel(timer);
  device.halt();
  return *ending;
}

}  // namespace

std::string maker_anchors_of(const BrskiOptions& options) {
  const std::string& device = options.common.device;
  std::error_code ignored;
  for (const std::string& path : {device + "/masa-anchors.pem", device + "/../masa-anchors.pem"}) {
    if (options.maker_anchors.empty() && !device.empty() && fs::exists(path, ignored)) {
      return path;
    }
  }
  return options.maker_anchors;
}

OrProblem<Ending> run_pledge(const Context& context, const BrskiOptions& options) {
  TRY(Prepared prepared, prepare(options));
  return run_to_end(context, options, prepared);
}

OrProblem<Ok> onboard_brski(const Context& context, const BrskiOptions& options) {
  TRY(Ok{}, check_together(options));
  TRY(Ok{}, check_kind_of_folder(options));
  if (!options.common.profile.empty()) {
    return onboard_brski_set(context, options);
  }
  TRY(const Ending ending, run_pledge(context, options));
  tell(context, options.common, ending);
  return ending.problem ? OrProblem<Ok>(*ending.problem) : OrProblem<Ok>(Ok{});
}

}  // namespace imprint::app
