#include "site/masa_match.h"

#include <algorithm>
#include <iterator>

#include "codec/der.h"
#include "crypto/hash.h"

namespace imprint::site {
namespace {

constexpr std::size_t kMaxPattern = 128, kMaxStars = 16, kMaxSerial = 256;
constexpr std::string_view kOrganisation = "2.5.4.10", kUnit = "2.5.4.11", kCommonName = "2.5.4.3";
const Error kPattern{Fault::malformed, "serial: pattern"};
const Error kRange{Fault::malformed, "serial: range"};

bool digit(char c) { return c >= '0' && c <= '9'; }
bool upper_hex(char c) { return digit(c) || (c >= 'A' && c <= 'F'); }
bool lower_hex(char c) { return digit(c) || (c >= 'a' && c <= 'f'); }
bool alphanumeric(char c) { return digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// One pass with a way back to the latest star: at most pattern times text steps.
bool glob_fits(std::string_view pattern, std::string_view text) {
  std::size_t p = 0, t = 0, star = std::string_view::npos, from = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      from = t;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++from;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

std::size_t common(std::string_view a, std::string_view b) {
  const std::size_t most = std::min(a.size(), b.size());
  std::size_t at = 0;
  while (at < most && a[at] == b[at]) {
    ++at;
  }
  return at;
}

bool number(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, digit) && (text.size() == 1 || text.front() != '0');
}

// Where the number at the end begins.
std::size_t number_at(std::string_view text) {
  std::size_t at = text.size();
  while (at > 0 && digit(text[at - 1])) {
    --at;
  }
  return at;
}

// Of decimal numbers without leading zeros.
bool less(std::string_view a, std::string_view b) { return a.size() != b.size() ? a.size() < b.size() : a < b; }

// Whether the text may stand where both ends stand: the same kind of digits, and separators as in both.
bool same_kind(std::string_view text, std::string_view first, std::string_view last) {
  for (const auto kind : {digit, upper_hex, lower_hex, alphanumeric}) {
    const auto good = [&](std::string_view other) {
      for (std::size_t i = 0; i < other.size(); ++i) {
        const bool separator = first[i] == last[i] && !alphanumeric(first[i]);
        if (separator ? other[i] != first[i] : !kind(other[i])) {
          return false;
        }
      }
      return true;
    };
    if (good(first) && good(last)) {
      return good(text);
    }
  }
  return false;
}

bool in_numbers(std::string_view serial, std::string_view first, std::string_view last) {
  const std::size_t at = number_at(first);
  const std::string_view own = serial.substr(std::min(at, serial.size()));
  return serial.substr(0, at) == first.substr(0, at) && number(own) && !less(own, first.substr(at)) &&
         !less(last.substr(at), own);
}

bool in_texts(std::string_view serial, std::string_view first, std::string_view last) {
  if (serial.size() != first.size()) {
    return false;
  }
  const std::size_t same = common(first, last);
  return serial.substr(0, same) == first.substr(0, same) && first <= serial && serial <= last &&
         same_kind(serial.substr(same), first.substr(same), last.substr(same));
}

// Every value of an attribute of a name: a subject may have several OUs.
std::vector<std::string> values_of(const Name& name, std::string_view wanted) {
  std::vector<std::string> out;
  der::Reader whole(name.der);
  der::Reader names(whole.next(der::kSequence).content);
  while (names.good() && !names.empty()) {
    der::Reader relative(names.next(der::kSet).content);
    while (relative.good() && !relative.empty()) {
      der::Reader pair(relative.next(der::kSequence).content);
      const auto type = der::parse_oid(pair.next(der::kOid).content);
      const der::Item value = pair.next();
      const bool text = value.tag == der::kUtf8 || value.tag == der::kPrintable || value.tag == der::kIa5;
      if (type && *type == wanted && text && pair.done()) {
        out.emplace_back(as_text(value.content));
      }
    }
  }
  return out;
}

template <class T>
bool has(const std::vector<T>& list, const T& one) {
  return std::ranges::find(list, one) != list.end();
}

template <class T>
bool meet(const std::vector<T>& wanted, const std::vector<T>& there) {
  return std::ranges::any_of(there, [&](const T& one) { return has(wanted, one); });
}

std::vector<std::string> makers_of(const IssuedDevice& device) {
  const Name& top = device.chain.empty() ? device.idevid.issuer : device.chain.back().subject;
  std::vector<std::string> out = values_of(top, kOrganisation);
  std::ranges::copy(values_of(top, kCommonName), std::back_inserter(out));
  return out;
}

std::string hex_list(const std::vector<Bytes>& list) {
  std::string out;
  for (const Bytes& one : list) {
    out += (out.empty() ? "" : " or ") + hex(one);
  }
  return out;
}

std::string text_list(const std::vector<std::string>& list) {
  std::string out;
  for (const std::string& one : list) {
    out += (out.empty() ? "" : " or ") + one;
  }
  return out;
}

}  // namespace

Result<SerialPattern> SerialPattern::glob(std::string_view pattern) {
  CHECK_OR(!pattern.empty() && pattern.size() <= kMaxPattern, kPattern);
  CHECK_OR(static_cast<std::size_t>(std::ranges::count(pattern, '*')) <= kMaxStars, kPattern);
  SerialPattern out;
  out.first_ = pattern;
  return out;
}

Result<SerialPattern> SerialPattern::range(std::string_view first, std::string_view last) {
  CHECK_OR(!first.empty() && !last.empty() && first.size() <= kMaxPattern && last.size() <= kMaxPattern, kRange);
  // Its own ends have to be in it: so they are in order, and of one kind.
  const bool good = first.size() == last.size() ? in_texts(first, first, last) && in_texts(last, first, last)
                                                : in_numbers(first, first, last) && in_numbers(last, first, last);
  CHECK_OR(good, kRange);
  SerialPattern out;
  out.first_ = first;
  out.last_ = last;
  out.range_ = true;
  return out;
}

bool SerialPattern::fits(std::string_view serial) const {
  if (serial.empty() || serial.size() > kMaxSerial) {
    return false;
  }
  if (!range_) {
    return glob_fits(first_, serial);
  }
  return first_.size() == last_.size() ? in_texts(serial, first_, last_) : in_numbers(serial, first_, last_);
}

std::string SerialPattern::text() const { return range_ ? first_ + ".." + last_ : first_; }

IssuedDevice IssuedDevice::of(const Certificate& idevid, const std::vector<Certificate>& chain) {
  IssuedDevice out{idevid, chain};
  out.organisations = values_of(idevid.subject, kOrganisation);
  out.units = values_of(idevid.subject, kUnit);
  out.key_id = brski::issuer_key_id(idevid);
  out.module_type = brski::hardware_module_type(idevid);
  if (!chain.empty() && chain.front().subject == idevid.issuer) {
    const Sha256 key = sha256(chain.front().key.spki);
    out.issuer_key.assign(key.begin(), key.end());
  }
  return out;
}

std::string MasaMatch::why_not(const IssuedDevice& device, brski::SerialSource source) const {
  const std::string serial = serials.empty() ? std::string() : brski::serial_of(device.idevid, source);
  if (!anchors.empty() && !holds(meet(anchors, device.chain))) {
    return "the chain does not lead to the anchors of this file";
  }
  if (!makers.empty() && !holds(meet(makers, makers_of(device)))) {
    return "the maker is not " + text_list(makers);
  }
  if (!issuers.empty() && !holds(has(issuers, device.idevid.issuer.text))) {
    return "the issuer is " + device.idevid.issuer.text;
  }
  if (!issuer_ders.empty() && !holds(has(issuer_ders, device.idevid.issuer.der))) {
    return "the issuer is " + device.idevid.issuer.text + ", in other octets";
  }
  if (!key_ids.empty() && !holds(has(key_ids, device.key_id))) {
    return "the authority key identifier is " + hex(device.key_id);
  }
  if (!issuer_keys.empty() && !holds(has(issuer_keys, device.issuer_key))) {
    return device.issuer_key.empty() ? "the certificate of its issuer is not at hand"
                                     : "the issuer's key is " + hex(device.issuer_key);
  }
  if (!module_types.empty() && !holds(has(module_types, device.module_type))) {
    return device.module_type.empty() ? "it has no hardwareModuleName" : "the hwType is " + device.module_type;
  }
  if (!organisations.empty() && !holds(meet(organisations, device.organisations))) {
    return "the organisation (O) is not " + text_list(organisations);
  }
  if (!units.empty() && !holds(meet(units, device.units))) {
    return "the unit (OU) is not " + text_list(units);
  }
  const auto fits = [&](const SerialPattern& one) { return one.fits(serial); };
  if (!serials.empty() && !holds(std::ranges::any_of(serials, fits))) {
    return serial.empty() ? "it has no serial number there" : "the serial number is " + serial;
  }
  return {};
}

std::string MasaMatch::text() const {
  std::string out;
  const auto say = [&out](std::string_view what, const std::string& value) {
    if (!value.empty()) {
      out += (out.empty() ? "" : "; ") + std::string(what) + " " + value;
    }
  };
  std::vector<std::string> roots, patterns;
  std::ranges::transform(anchors, std::back_inserter(roots), [](const Certificate& c) { return c.subject.text; });
  std::ranges::transform(serials, std::back_inserter(patterns), &SerialPattern::text);
  say("below", text_list(roots));
  say("maker", text_list(makers));
  say("issuer", text_list(issuers));
  say("issuer as DER", hex_list(issuer_ders));
  say("authority key identifier", hex_list(key_ids));
  say("issuer's key", hex_list(issuer_keys));
  say("serial number", text_list(patterns));
  say("hwType", text_list(module_types));
  say("O", text_list(organisations));
  say("OU", text_list(units));
  return out.empty() ? "every device" : out;
}

}  // namespace imprint::site
