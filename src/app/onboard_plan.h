// From the command line of `imprint onboard est` to what the device is told to do.
#pragma once

#include "app/command.h"
#include "proto/est/client.h"
#include "runtime/device_storage.h"

namespace imprint::app {

struct OnboardOptions {
  std::string server, out, label, device;  // device: folder as the factory wrote it
  bool digest = false;                     // the password is proven by HTTP Digest alone
  bool srp = false;                        // the password is proven by TLS-SRP
  std::string anchors, implicit_anchors, certificate, key, user, password_file, fingerprint, subject;
  std::string profile, credential;                // file of a profile with several credentials; one of them
  std::string server_key, wrap_key, wrap_key_id;  // server_key: clear or wrapped; empty: the device makes its key
  std::vector<std::string> alt_names;
  std::string key_type = "p256";
  bool renew = false, same_key = false, new_key = false, full_cmc = false, beliefs = false;
  std::uint32_t attempts = 8;
  std::int64_t timeout_s = 300;
};

// Where a run may go if nobody gave the server's address: a voucher did.
struct Reach {
  std::vector<Uri> allowed;  // wherever they are
  bool inside = false;       // all may be in the neighbourhood, or on this machine
};

// What a run needs besides its options.
struct Onboarding {
  std::shared_ptr<est::Plan> plan;
  std::string device;  // id, as far as known
  std::unique_ptr<FolderStorage> storage;
  std::optional<Reach> reach = {};  // absent: the plan's server, wherever it is
};

// Puts what the factory wrote into options.device's folder into the options, as far as they do not say it, and leaves
// the folder out of them.
OrProblem<Ok> unfold_device(OnboardOptions& options, std::string& id, est::Origins& origins);

// The device's id as far as the options tell it: the user name, or the name of the certificate. Empty if neither does.
OrProblem<std::string> id_of(const OnboardOptions& options);

// Reads all files named. Secrets come from files or standard input only.
OrProblem<Onboarding> prepare(const OnboardOptions& options);

// What the device asks for by name: --subject, else CN=`id`, else the user, else the names of the certificate that it
// has.
OrProblem<Ok> take_names(const OnboardOptions& options, const std::string& id, est::Plan& plan);
// CLI-OPTION with what to do about it.
Problem wrong_option(const std::string& option, std::string next);

// EST-NO-ANCHORS if the device has nobody to trust, no fingerprint to expect, and no person at a terminal to ask.
OrProblem<Ok> check_trust(const est::Plan& plan);

}  // namespace imprint::app
