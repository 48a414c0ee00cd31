// The folders of a device with several credentials, and the options with which each of them is obtained or renewed.
//   OUT/credentials/NAME   the folder of each, as any device's folder: it is renewed by itself
//   OUT/obtaining/NAME     meanwhile; becomes `credentials` in one step when all are there
#pragma once

#include "app/device_profile.h"
#include "app/onboard_plan.h"

namespace imprint::app {

// PROFILE-OPTIONS with what does not go together with a profile, and what to do about it.
Problem wrong_profile_option(const std::string& what, std::string next);

class CredentialSet {
 public:
  // Who tells the device of its owner: the options, or another protocol. That one obtains the credential that
  // identifies the device by what the options hold, which no other one is shown then; nobody is trusted, and no
  // password is told, by what the options say.
  enum class Told : std::uint8_t { by_options, by_protocol };

  // Reads the profile. PROFILE-OPTIONS for options that it decides, and if nothing says which device it is.
  static OrProblem<CredentialSet> of(const OnboardOptions& options, Told told);

  const DeviceProfile& profile() const { return profile_; }
  std::string credentials() const { return given_.out + "/credentials"; }
  std::string obtaining() const { return given_.out + "/obtaining"; }
  bool complete_before() const;
  std::string folder_of(const CredentialConfig& one) const { return credentials() + "/" + one.name; }
  bool has(const CredentialConfig& one) const;
  // Of the credential that identifies the device, whether it is shown already or not.
  std::string place_of_identity() const;
  // Whether another protocol knows where this one comes from, which its options do not say then.
  bool of_owner(const CredentialConfig& one) const { return told_ == Told::by_protocol && one.server.empty(); }
  const est::Origins& origins() const { return origins_; }

  // To obtain it in this folder.
  OnboardOptions options_for(const CredentialConfig& one, const std::string& folder) const;
  OnboardOptions renewal_of(const CredentialConfig& one) const;

 private:
  OrProblem<Ok> find_id();
  OnboardOptions common(const CredentialConfig& one, const std::string& folder) const;
  bool shows_own(const CredentialConfig& one) const;

  OnboardOptions given_;
  DeviceProfile profile_;
  std::string id_;
  est::Origins origins_;
  Told told_ = Told::by_options;
};

}  // namespace imprint::app
