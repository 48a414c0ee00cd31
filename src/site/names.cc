#include "site/names.h"

#include <algorithm>
#include <cassert>

namespace imprint::site {
namespace {

// '*' matches any run of letters, digits, '-' and '_', at least one; {id} and {serial} match the device's own, letter
// by letter: a device whose serial number has a '*' in it gets nothing by that.
bool is_plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

bool matches(std::string_view name, std::string_view pattern, const Device& device) {
  if (pattern.empty()) {
    return name.empty();
  }
  for (const auto& [word, value] : {std::pair<std::string_view, std::string_view>{"{id}", device.id},
                                    std::pair<std::string_view, std::string_view>{"{serial}", device.serial}}) {
    if (pattern.starts_with(word)) {
      return !value.empty() && name.starts_with(value) &&
             matches(name.substr(value.size()), pattern.substr(word.size()), device);
    }
  }
  if (pattern.front() != '*') {
    return !name.empty() && name.front() == pattern.front() && matches(name.substr(1), pattern.substr(1), device);
  }
  for (std::size_t n = 1; n <= name.size() && is_plain(name[n - 1]); ++n) {
    if (matches(name.substr(n), pattern.substr(1), device)) {
      return true;
    }
  }
  return false;
}

bool fits_any(std::string_view name, const std::vector<std::string>& patterns, const Device& device) {
  return std::ranges::any_of(patterns, [&](const std::string& p) { return fits(name, p, device); });
}

// The owner's name for a device. An id has only characters that a name takes as they are.
Name own_name(const Device& device) {
  const auto out = Name::from_text("CN=" + device.id);
  assert(out);
  return *out;
}

bool fits_subject(const Profile& profile, const Device& device, const Name& subject) {
  return fits_any(subject.first("CN"), profile.common_names, device) && subject.text == "CN=" + subject.first("CN");
}

bool fits_alt_name(const Profile& profile, const Device& device, const GeneralName& name) {
  return fits_any(name.text(), profile.alt_names, device);
}

// What a certificate of a maker's says is the maker's claim. A device that asks for just that gets what of it fits the
// profile, and in place of the rest the owner's own name for it.
void leave_makers_names(const Profile& profile, const Device& device, const Certificate& idevid,
                        RequestedNames& asked) {
  const bool makers = asked.subject == idevid.subject || asked.subject.text == "CN=" + idevid.subject.first("CN");
  if (makers && !fits_subject(profile, device, asked.subject)) {
    asked.subject = own_name(device);
  }
  if (asked.alt_names == idevid.alt_names) {
    std::erase_if(asked.alt_names, [&](const GeneralName& n) { return !fits_alt_name(profile, device, n); });
  }
}

}  // namespace

bool fits(std::string_view name, std::string_view pattern, const Device& device) {
  return name.size() <= 255 && matches(name, pattern, device);
}

std::optional<RequestedNames> grant_names(const Profile& profile, const Device& device, bool ours, const Admit& q) {
  const CertificateRequest& request = *q.request;
  RequestedNames asked{request.subject, request.alt_names};
  bool keeps_subject = false;
  bool keeps_alt_names = false;
  if (request.change_names) {
    if (!profile.change_names) {
      return std::nullopt;
    }
    asked = {request.change_names->subject.value_or(Name{}),
             request.change_names->alt_names.value_or(std::vector<GeneralName>{})};
  } else if (ours) {
    keeps_subject = (*q.session->proven)->leaf.subject == request.subject;
    keeps_alt_names = (*q.session->proven)->leaf.alt_names == request.alt_names;
  } else if (q.session->proven) {
    leave_makers_names(profile, device, (*q.session->proven)->leaf, asked);
  }
  if (asked.subject.empty() && asked.alt_names.empty()) {
    return RequestedNames{own_name(device), {}};
  }
  const bool subject_ok = keeps_subject || asked.subject.empty() || fits_subject(profile, device, asked.subject);
  const bool alt_names_ok = keeps_alt_names || std::ranges::all_of(asked.alt_names, [&](const GeneralName& n) {
                              return fits_alt_name(profile, device, n);
                            });
  if (!subject_ok || !alt_names_ok) {
    return std::nullopt;
  }
  return asked;
}

}  // namespace imprint::site
