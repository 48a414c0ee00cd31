#include "app/credential_set.h"

#include <filesystem>

#include "app/cli_rules.h"

namespace imprint::app {
namespace {

namespace fs = std::filesystem;

bool exists(const std::string& path) {
  std::error_code ignored;
  return fs::exists(fs::symlink_status(path, ignored));
}

void forget_login(OnboardOptions& options) {
  options.user.clear();
  options.password_file.clear();
  options.srp = options.digest = false;
}

void trust(OnboardOptions& out, const std::string& anchors) {
  out.anchors = anchors;
  out.implicit_anchors.clear();
  out.fingerprint.clear();
}

OrProblem<Ok> check(const OnboardOptions& options) {
  if (!options.label.empty() || !options.subject.empty() || !options.alt_names.empty()) {
    return wrong_profile_option("--label, --subject and --san", "the profile says them");
  }
  if (!options.key.empty() && options.certificate.empty()) {
    return wrong_profile_option("--key without --cert", "each credential has a key of its own");
  }
  return Ok{};
}

}  // namespace

Problem wrong_profile_option(const std::string& what, std::string next) {
  Problem out(Error{Fault::malformed, kProfileOptions}, what);
  out.next = std::move(next);
  return out;
}

OrProblem<CredentialSet> CredentialSet::of(const OnboardOptions& options, Told told) {
  CredentialSet out;
  out.given_ = options;
  out.told_ = told;
  auto read = read_device_profile(options.profile);
  if (const auto* const problems = std::get_if<1>(&read)) {
    return config_problem(*problems);
  }
  out.profile_ = std::get<0>(std::move(read));
  TRY(Ok{}, check(options));
  TRY(Ok{}, unfold_device(out.given_, out.id_, out.origins_));
  out.given_.label.clear();  // the profile's are asked for
  if (told == Told::by_protocol) {
    // What the factory may have put in for another way of onboarding.
    forget_login(out.given_);
    out.given_.server.clear();
    trust(out.given_, {});
  }
  if (out.id_.empty()) {
    TRY(out.id_, id_of(out.given_));
  }
  TRY(Ok{}, out.find_id());
  return out;
}

bool CredentialSet::complete_before() const { return exists(credentials()); }

bool CredentialSet::has(const CredentialConfig& one) const { return exists(folder_of(one) + "/current"); }

std::string CredentialSet::place_of_identity() const {
  const std::string installed = credentials() + "/" + profile_.identity;
  return exists(installed + "/current") ? installed : obtaining() + "/" + profile_.identity;
}

// A device that was onboarded before may leave out who it is.
OrProblem<Ok> CredentialSet::find_id() {
  const std::string own = credentials() + "/" + profile_.identity + "/cert.pem";
  if (id_.empty() && exists(own)) {
    TRY(const std::vector<Certificate> chain, read_certificates(own));
    id_ = chain.front().subject.first("CN");
  }
  return id_.empty()
             ? OrProblem<Ok>(wrong_profile_option("--profile: which device is it?", "give --device, --user or --cert"))
             : OrProblem<Ok>(Ok{});
}

OnboardOptions CredentialSet::common(const CredentialConfig& one, const std::string& folder) const {
  OnboardOptions out = given_;
  out.profile.clear();
  out.credential.clear();
  out.out = folder;
  out.label = one.label;
  out.server = one.server.empty() ? given_.server : one.server;
  return out;
}

// Whether the device speaks as the one that its first credential says it is.
bool CredentialSet::shows_own(const CredentialConfig& one) const {
  if (!exists(place_of_identity() + "/current")) {
    return false;
  }
  if (told_ == Told::by_protocol) {  // an IDevID is for its maker's vouchers
    return one.name != profile_.identity;
  }
  // A one-time token is spent once the credential that identifies is there: from then on that one speaks.
  const bool fresh_secret = complete_before() && one.name == profile_.identity && !given_.user.empty();
  return given_.certificate.empty() && !fresh_secret;
}

OnboardOptions CredentialSet::options_for(const CredentialConfig& one, const std::string& folder) const {
  OnboardOptions out = common(one, folder);
  if (!one.server.empty()) {
    // Our owner's secret is nobody else's business.
    forget_login(out);
    if (!one.anchors.empty()) {
      trust(out, (fs::path(given_.profile).parent_path() / one.anchors).string());
    }
  }
  out.subject = filled_in(one.subject, id_);
  for (const std::string& name : one.alt_names) {
    out.alt_names.push_back(filled_in(name, id_));
  }
  if (one.given.wanted_key) {
    out.key_type = name(*one.given.wanted_key);
  }
  const std::string own = place_of_identity();
  if (shows_own(one)) {
    out.certificate = own + "/chain.pem";
    out.key = own + "/key.pem";
    forget_login(out);
  }
  // Without anchors of its own, another server that a protocol's device goes to has to be the owner's as well.
  const bool owners = one.server.empty() || (told_ == Told::by_protocol && one.anchors.empty());
  if (owners && exists(own + "/current")) {
    trust(out, own + "/anchors.pem");
  }
  return out;
}

OnboardOptions CredentialSet::renewal_of(const CredentialConfig& one) const {
  OnboardOptions out = common(one, folder_of(one));
  out.renew = true;
  out.certificate.clear();
  out.key.clear();
  forget_login(out);
  out.server_key.clear();
  // Each has the anchors that came with it.
  trust(out, {});
  return out;
}

}  // namespace imprint::app
