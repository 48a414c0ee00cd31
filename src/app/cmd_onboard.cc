// `imprint onboard est`: be the device.
#include "app/cli_rules.h"
#include "app/cmd_onboard_brski.h"
#include "app/onboard_run.h"
#include "app/onboard_set.h"
#include "app/watch.h"

namespace imprint::app {
namespace {

OrProblem<Ok> onboard(const Context& context, const OnboardOptions& options, const WatchOptions& wishes) {
  if (options.same_key && !options.renew && !wishes.watch) {
    return Problem(Error{Fault::malformed, kOption}, "--same-key: give --renew or --watch as well");
  }
  const bool half = !options.user.empty() && options.password_file.empty() && options.device.empty();
  if (half && options.profile.empty() && !options.renew) {
    Problem problem(Error{Fault::malformed, kOption}, "--user " + options.user);
    problem.next =
        "give --password-file FILE as well: the token or password of this user; - reads it from standard input";
    return problem;
  }
  if (!options.profile.empty() && options.credential.empty()) {
    return wishes.watch
               ? OrProblem<Ok>(Problem(Error{Fault::malformed, kProfileOptions}, "--watch without --credential"))
               : onboard_set(context, options);
  }
  OnboardOptions one = options;
  if (!options.credential.empty()) {
    TRY(one, options_of_credential(options));
  }
  if (wishes.watch) {
    return watch(context, one, wishes);
  }
  TRY(Onboarding onboarding, prepare(one));
  TRY(Ok{}, check_trust(*onboarding.plan));
  const Ending ending = run_once(context, one, std::move(onboarding));
  tell(context, one, ending);
  return ending.problem ? OrProblem<Ok>(*ending.problem) : OrProblem<Ok>(Ok{});
}

void add_options(Command command, OnboardOptions& o) {
  command.option("--server", o.server, "https://HOST:PORT[/base]; a device folder may say it, too").type("URL");
  command.option("--out", o.out, "Folder for key, certificate and anchors").required().type("FOLDER");
  command.option("--device", o.device, "Folder of a device as the factory wrote it").type("FOLDER");
  const Arg fingerprint =
      command.option("--fingerprint", o.fingerprint, "SHA-256 of the owner's CA certificate, in place of anchors")
          .type("AB:CD:…");
  command.option("--anchors", o.anchors, "CA certificates of the owner (explicit trust anchors)")
      .type("FILE")
      .excludes(fingerprint);
  command
      .option("--implicit-anchors", o.implicit_anchors,
              "CA certificates of third parties, good for the server's name only")
      .type("FILE")
      .excludes(fingerprint);
  command.option("--cert", o.certificate, "Certificate to authenticate with, own one first").type("FILE");
  command.option("--key", o.key, "Its key: file or URI. Without --cert, the key in a token that is to be certified")
      .type("URI");
  command.option("--user", o.user, "User name of a password or one-time token");
  const Arg digest =
      command.flag("--digest", o.digest, "Prove the password by HTTP Digest (SHA-256), and never send it");
  command.flag("--srp", o.srp, "Prove it by TLS-SRP, and have the server prove that it knows it; no anchors are needed")
      .excludes(digest);
  command.option("--password-file", o.password_file, "File with the password or token, - for standard input")
      .type("FILE");
  const Arg profile =
      command.option("--profile", o.profile, "File of a profile with several credentials: obtain all of them")
          .type("FILE");
  command.option("--credential", o.credential, "Only this one of them, with --renew or --watch")
      .type("NAME")
      .needs(profile);
  command.option("--label", o.label, "EST label (profile) to ask for");
  command.option("--subject", o.subject, "Subject to ask for, as in CN=dev-1");
  command.option("--san", o.alt_names, "Alternative name to ask for, as in dns:dev-1.example; may be repeated");
  command.option("--key-type", o.key_type, "Type of the new key, unless the server wants another");
  const Arg server_key =
      command.option("--server-key", o.server_key, "Let the server make the key: clear (under TLS alone) or wrapped")
          .type("clear|wrapped");
  const Arg wrap_key = command
                           .option("--wrap-key", o.wrap_key,
                                   "File with the shared key that unwraps it, in place of --key's; a device folder may "
                                   "have one, too")
                           .type("FILE")
                           .needs(server_key);
  command.option("--wrap-key-id", o.wrap_key_id, "How the server knows that key, unless the file says it")
      .type("HEX")
      .needs(wrap_key);
  command.flag("--fullcmc", o.full_cmc, "Send a signed Full PKI Request (RFC 5272) in place of a simple one")
      .excludes(server_key);
  command.flag("--renew", o.renew, "Renew the certificate that is in --out");
  const Arg same = command.flag("--same-key", o.same_key, "Renew for the same key").excludes(server_key);
  command.flag("--new-key", o.new_key, "Renew for a new key (the default)").excludes(same);
  command.option("--attempts", o.attempts, "Connections that may fail before it gives up").between(1, 1000);
  command.option("--timeout", o.timeout_s, "Seconds until it gives up").between(1, 7 * 24 * 3600);
  command.flag("--beliefs", o.beliefs, "Show what the device came to believe, and why");
}

void add_watch_options(Command command, WatchOptions& w) {
  const Arg watch =
      command.flag("--watch", w.watch, "Then go on: renew in time, until SIGTERM or SIGINT; SIGHUP looks at once");
  const Arg at = command
                     .option("--renew-at", w.renew_at,
                             "Renew when this part of the lifetime is used up: 0.1 to 0.95, "
                             "two thirds unless given")
                     .type("PART")
                     .between(0.1, 0.95)
                     .needs(watch);
  command.option("--renew-before", w.renew_before, "Renew this long before the end: 30d, 12h, 45m, 90s")
      .type("DURATION")
      .needs(watch)
      .excludes(at);
  const Arg hook = command
                       .option("--on-renew", w.on_renew,
                               "Run this once for each new certificate: words separated by blanks, no shell")
                       .type("COMMAND")
                       .needs(watch);
  command.option("--on-renew-timeout", w.on_renew_timeout_s, "Seconds until that command is ended (60)")
      .between(1U, 24U * 3600)
      .needs(hook);
}

}  // namespace

void add_onboard(Command top) {
  const Command protocols =
      top.group("onboard", "Be a device that onboards itself.",
                "imprint onboard est --server https://localhost:8443 --out dev-1 --anchors data/ca/chain.pem "
                "--user dev-1 --password-file token");
  auto options = std::make_shared<OnboardOptions>();
  auto wishes = std::make_shared<WatchOptions>();
  const Command command = protocols.sub(
      "est", "Enrol over secure transport (RFC 7030).",
      "imprint onboard est --server https://localhost:8443 --out dev-1 --anchors ca.pem --user dev-1 --password-file "
      "token\n"
      "imprint onboard est --device acme/acme-0001 --server https://localhost:8443 --fingerprint AB:CD:… --out acme-1\n"
      "imprint onboard est --server https://localhost:8443 --out dev-1 --renew --same-key\n"
      "imprint onboard est --server https://localhost:8443 --out dev-1 --anchors ca.pem --user dev-1 --password-file "
      "token --key 'pkcs11:token=dev;object=own?pin-source=file:pin'\n"
      "imprint onboard est --server https://localhost:8443 --out dev-1 --srp --user dev-1 --password-file token\n"
      "imprint onboard est --server https://localhost:8443 --out dev-1 --anchors ca.pem --user dev-1 --password-file "
      "token --server-key clear\n"
      "imprint onboard est --server https://localhost:8443 --out dev-1 --renew --server-key wrapped --wrap-key key.hex "
      "--wrap-key-id 0a1b\n"
      "imprint onboard est --server https://localhost:8443 --out dev-1 --anchors ca.pem --user dev-1 --password-file "
      "token --profile lamp.toml\n"
      "imprint onboard est --server https://localhost:8443 --out dev-1 --profile lamp.toml --credential broker "
      "--renew\n"
      "imprint onboard est --server https://localhost:8443 --out dev-1 --watch --renew-before 30d --on-renew "
      "'systemctl reload nginx'");
  add_options(command, *options);
  add_watch_options(command, *wishes);
  command.runs([options, wishes](const Context& c) { return onboard(c, *options, *wishes); });
  add_onboard_brski(protocols);
}

}  // namespace imprint::app
