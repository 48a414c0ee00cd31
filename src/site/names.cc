#include "site/names.h"

#include <algorithm>
#include <cassert>

#include "model/acp_name.h"

namespace imprint::site {
namespace {

// '*' matches any run of these, at least one.
bool is_plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

// {id} and {serial} match the device's own, letter by letter: a device whose serial number has a '*' in it gets nothing
// by that. Each pair of positions is looked at once, whatever stars the pattern has.
class Matcher {
 public:
  Matcher(std::string_view name, std::string_view pattern, const Device& device)
      : name_(name), pattern_(pattern), device_(device), failed_((name.size() + 1) * (pattern.size() + 1), false) {}

  bool matches(std::size_t n, std::size_t p) {
    if (p == pattern_.size()) {
      return n == name_.size();
    }
    const std::size_t here = n * (pattern_.size() + 1) + p;
    if (failed_[here]) {
      return false;
    }
    const bool good = looks(n, p);
    failed_[here] = !good;
    return good;
  }

 private:
  bool looks(std::size_t n, std::size_t p) {
    for (const auto& [word, value] : {std::pair<std::string_view, std::string_view>{"{id}", device_.id},
                                      std::pair<std::string_view, std::string_view>{"{serial}", device_.serial}}) {
      if (pattern_.substr(p).starts_with(word)) {
        return !value.empty() && name_.substr(n).starts_with(value) && matches(n + value.size(), p + word.size());
      }
    }
    if (pattern_[p] != '*') {
      return n < name_.size() && name_[n] == pattern_[p] && matches(n + 1, p + 1);
    }
    return n < name_.size() && is_plain(name_[n]) && (matches(n + 1, p + 1) || matches(n + 1, p));
  }

  std::string_view name_, pattern_;
  const Device& device_;
  std::vector<bool> failed_;
};

// The id of a device that a name of one of these forms would be taken for.
std::string id_in(std::string_view name) {
  for (const std::string_view form : {"dns:", "uri:urn:imprint:device:"}) {
    if (name.starts_with(form)) {
      return std::string(name.substr(form.size()));
    }
  }
  return std::string(name);
}

// What the profile lets this device be called.
struct Allowed {
  const Profile& profile;
  const Device& device;
  const std::vector<std::string>& others;  // ids of other devices
  bool acp = false;                        // names of an ACP's nodes were judged before

  bool name(std::string_view text, const std::vector<std::string>& patterns) const {
    return std::ranges::find(others, id_in(text)) == others.end() &&
           std::ranges::any_of(patterns, [&](const std::string& p) { return fits(text, p, device); });
  }
  bool subject(const Name& subject) const {
    return name(subject.first("CN"), profile.common_names) && subject.text == "CN=" + subject.first("CN");
  }
  bool alt_name(const GeneralName& alt) const {
    return (acp && is_acp_name(alt)) || name(alt.text(), profile.alt_names);
  }
  // Those that the device chose itself.
  std::vector<GeneralName> chosen(const std::vector<GeneralName>& names) const {
    return acp ? without_acp_names(names) : names;
  }
};

// The owner's name for a device. An id has only characters that a name takes as they are.
Name own_name(const Device& device) {
  const auto out = Name::from_text("CN=" + device.id);
  assert(out);
  return *out;
}

// What a certificate of a maker's says is the maker's claim. A device that asks for just that gets what of it fits the
// profile, and in place of the rest the owner's own name for it.
void leave_makers_names(const Allowed& allowed, const Certificate& idevid, RequestedNames& asked) {
  const bool makers = asked.subject == idevid.subject || asked.subject.text == "CN=" + idevid.subject.first("CN");
  if (makers && !allowed.subject(asked.subject)) {
    asked.subject = own_name(allowed.device);
  }
  if (allowed.chosen(asked.alt_names) == idevid.alt_names) {
    std::erase_if(asked.alt_names, [&](const GeneralName& n) { return !allowed.alt_name(n); });
  }
}

}  // namespace

bool fits(std::string_view name, std::string_view pattern, const Device& device) {
  return name.size() <= 255 && Matcher(name, pattern, device).matches(0, 0);
}

std::vector<std::string> ids_named(const CertificateRequest& request) {
  std::vector<std::string> out{request.subject.first("CN")};
  for (const GeneralName& name : request.alt_names) {
    out.push_back(id_in(name.text()));
  }
  if (request.change_names) {
    out.push_back(request.change_names->subject.value_or(Name{}).first("CN"));
    for (const GeneralName& name : request.change_names->alt_names.value_or(std::vector<GeneralName>{})) {
      out.push_back(id_in(name.text()));
    }
  }
  std::erase_if(out, [](const std::string& id) { return !valid_device_id(id); });
  return out;
}

std::vector<GeneralName> without_acp_names(std::vector<GeneralName> names) {
  std::erase_if(names, is_acp_name);
  return names;
}

bool has_acp_name_given(const std::vector<GeneralName>& names, const std::optional<GeneralName>& given, bool needed) {
  const auto count = std::ranges::count_if(names, is_acp_name);
  if (count == 0) {
    return !given || !needed;
  }
  return count == 1 && given && std::ranges::find(names, *given) != names.end();
}

std::optional<RequestedNames> grant_names(const Profile& profile, const Device& device,
                                          const std::vector<std::string>& others, bool ours, const Admit& q, bool acp) {
  const CertificateRequest& request = *q.request;
  const Allowed allowed{profile, device, others, acp};
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
    leave_makers_names(allowed, (*q.session->proven)->leaf, asked);
  }
  if (asked.subject.empty() && allowed.chosen(asked.alt_names).empty()) {
    return RequestedNames{own_name(device), asked.alt_names};
  }
  const bool subject_ok = keeps_subject || asked.subject.empty() || allowed.subject(asked.subject);
  const bool alt_names_ok = keeps_alt_names || std::ranges::all_of(asked.alt_names, [&](const GeneralName& n) {
                              return allowed.alt_name(n);
                            });
  if (!subject_ok || !alt_names_ok) {
    return std::nullopt;
  }
  return asked;
}

}  // namespace imprint::site
