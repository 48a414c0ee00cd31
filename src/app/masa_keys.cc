#include "app/masa_keys.h"

#include <algorithm>
#include <filesystem>

#include "app/pem_file.h"
#include "codec/base64.h"
#include "codec/der.h"
#include "codec/printable.h"
#include "proto/brski/voucher.h"
#include "site/masa_words.h"

namespace imprint::app {
namespace {

namespace fs = std::filesystem;
using Wrong = std::optional<std::string>;
using Texts = std::vector<std::string>;
using Key = ConfigKey<RuleDraft>;
constexpr std::size_t kMaxList = 64, kMaxFiles = 64;

// Nobody asks for the values back: a file is shown as it was written.
ConfigValue nothing(const RuleDraft&) { return ConfigValue(false); }

Key flag_key(std::string_view name, std::string_view comment, std::function<bool&(RuleDraft&)> member) {
  return {name, ConfigType::boolean, comment,
          [member = std::move(member)](RuleDraft& d, const ConfigValue& v) {
            member(d) = std::get<bool>(v);
            return Wrong();
          },
          nothing};
}

Key quirk_key(std::string_view name, std::string_view comment, bool brski::Quirks::*member) {
  return flag_key(name, comment, [member](RuleDraft& d) -> bool& { return d.rule.quirks.*member; });
}

Key text_key(std::string_view name, std::string_view comment,
             std::function<Wrong(RuleDraft&, const std::string&)> set) {
  return {name, ConfigType::text, comment,
          [set = std::move(set)](RuleDraft& d, const ConfigValue& v) { return set(d, std::get<std::string>(v)); },
          nothing};
}

Key list_key(std::string_view name, std::string_view comment,
             std::function<Wrong(RuleDraft&, const std::string&)> add) {
  return {name, ConfigType::list, comment,
          [add = std::move(add)](RuleDraft& d, const ConfigValue& v) {
            const Texts& texts = std::get<Texts>(v);
            // None would be no condition at all.
            if (texts.empty() || texts.size() > kMaxList) {
              return Wrong("must have 1 to 64 elements");
            }
            for (const std::string& text : texts) {
              if (auto wrong = add(d, text)) {
                return Wrong(printable(text) + ": " + *wrong);
              }
            }
            return Wrong();
          },
          nothing};
}

Key plain_list(std::string_view name, std::string_view comment, std::vector<std::string> site::MasaMatch::*member) {
  return list_key(name, comment, [member](RuleDraft& d, const std::string& text) {
    (d.rule.match.*member).push_back(text);
    return text.empty() ? Wrong("must not be empty") : Wrong();
  });
}

Key files_key(std::string_view name, std::string_view comment, std::vector<Certificate> site::MasaRule::*member) {
  return {name, ConfigType::list, comment,
          [member](RuleDraft& d, const ConfigValue& v) {
            (d.rule.*member).clear();
            return take_certificates(d, std::get<Texts>(v), true, d.rule.*member);
          },
          nothing};
}

// A file that somebody else reads later.
Key path_key(std::string_view name, std::string_view comment, std::string RuleDraft::*member) {
  return text_key(name, comment, [member](RuleDraft& d, const std::string& text) {
    d.*member = text;
    return text.empty() ? Wrong("must name a file") : Wrong();
  });
}

Wrong set_issuer(RuleDraft& d, const std::string& text) {
  d.rule.match.issuers.push_back(text);
  return Name::from_text(text) ? Wrong() : Wrong("must be a name as in CN=Acme Devices,O=Acme");
}

Wrong set_issuer_der(RuleDraft& d, const std::string& text) {
  const auto der = parse_base64(text);
  if (!der || !Name::parse(*der)) {
    return "must be the DER of a name in base64";
  }
  d.rule.match.issuer_ders.push_back(*der);
  return {};
}

Wrong set_octets(std::vector<Bytes>& into, const std::string& text, std::size_t least, std::size_t most) {
  const auto octets = from_hex(text);
  if (!octets || octets->size() < least || octets->size() > most) {
    return "must be hexadecimal, of " + std::to_string(least) + (least == most ? "" : " to " + std::to_string(most)) +
           " octets";
  }
  into.push_back(*octets);
  return {};
}

Wrong set_serial(RuleDraft& d, const std::string& text) {
  const std::size_t dots = text.find("..");
  const auto pattern = dots == std::string::npos
                           ? site::SerialPattern::glob(text)
                           : site::SerialPattern::range(text.substr(0, dots), text.substr(dots + 2));
  if (!pattern) {
    return dots == std::string::npos ? "must be a pattern with * and ?, at most 128 characters"
                                     : "no serial number can be in it: the ends are to be alike, and in order";
  }
  d.rule.match.serials.push_back(*pattern);
  return {};
}

Wrong set_module(RuleDraft& d, const std::string& text) {
  d.rule.match.module_types.push_back(text);
  return der::valid_oid(text) ? Wrong() : Wrong("must be an OID as in 1.3.6.1.4.1.99999.1");
}

Wrong set_masa(RuleDraft& d, const std::string& text) {
  const auto url = brski::masa_url(text);
  if (!url || text.starts_with("http:")) {
    return "must be https://HOST[:PORT][/BASE], or HOST[:PORT]";
  }
  d.rule.url = *url;
  return {};
}

template <class T>
Wrong set_named(T& into, const std::optional<T>& value, std::string_view choices) {
  into = value.value_or(into);
  return value ? Wrong() : Wrong("must be " + std::string(choices));
}

Wrong set_time(std::optional<Instant>& into, const std::string& text) {
  const auto at = brski::DateTime::parse(text);
  into = at ? std::optional(at->at) : std::nullopt;
  return at ? Wrong() : Wrong("must be a time as in 2027-01-31T00:00:00Z");
}

std::vector<Key> make_manner_keys() {
  using brski::Quirks;
  return {
      files_key("masa_anchors", "Files with anchors of the MASA's TLS certificate.", &site::MasaRule::anchors),
      files_key("voucher_anchors", "Files with anchors of the vouchers, if the registrar is to look at them.",
                &site::MasaRule::voucher_anchors),
      path_key("client_certificate", "File with the certificate to show to the MASA.", &RuleDraft::certificate),
      path_key("client_key", "Its private key: a file, or a URI pkcs11: or tpm2:.", &RuleDraft::key),
      path_key("user", "User name for HTTP Basic or Digest.", &RuleDraft::user),
      path_key("password_file", "File with the password to it.", &RuleDraft::password_file),
      text_key("serial_source", "Where the serial number is: subject, hardware-module-name or common-name.",
               [](RuleDraft& d, const std::string& v) {
                 return set_named(d.rule.quirks.serial, site::serial_source_named(v),
                                  "subject, hardware-module-name or common-name");
               }),
      text_key("idevid_issuer", "How idevid-issuer is written.",
               [](RuleDraft& d, const std::string& v) {
                 return set_named(d.rule.quirks.issuer, site::issuer_form_named(v),
                                  "octet-string, authority-key-id, key-id, printed-name or left-out");
               }),
      text_key("content_type", "Content type of requests in CMS: json-voucher, or data.",
               [](RuleDraft& d, const std::string& v) {
                 return set_named(d.rule.quirks.content_type, site::content_type_named(v), "json-voucher or data");
               }),
      quirk_key("base64_bodies", "Bodies travel in base64.", &Quirks::base64_bodies),
      quirk_key("requests_named_voucher", "Requests are named ietf-voucher:voucher.", &Quirks::requests_named_voucher),
      quirk_key("old_paths", "The MASA has its resources below /.well-known/est.", &Quirks::old_paths),
      quirk_key("expired_idevids", "The end of an IDevID does not count.", &Quirks::expired_idevids),
      quirk_key("proximity_optional", "Devices need not say which registrar they see.", &Quirks::proximity_optional),
      quirk_key("est_before_status", "EST before the device has told of its voucher.", &Quirks::est_before_status),
      quirk_key("no_audit_log", "The MASA keeps no audit log for registrars.", &Quirks::no_audit_log),
      quirk_key("old_media_types", "COSE travels as application/voucher-cose+cbor.", &Quirks::old_media_types),
      quirk_key("any_voucher_type", "A voucher may come with any media type.", &Quirks::any_voucher_type),
      quirk_key("registrar_id_log", "The audit log has registrarID, and no assertions.", &Quirks::registrar_id_log)};
}

std::vector<Key> make_rule_keys() {
  using site::MasaMatch;
  return {text_key("name", "What the rule is called.",
                   [](RuleDraft& d, const std::string& v) {
                     d.rule.name = v;
                     return check_profile_name(v);
                   }),
          plain_list("maker", "O or CN at the top of the device's chain.", &MasaMatch::makers),
          list_key("issuer", "Who issued the IDevID, as a name.", set_issuer),
          list_key("issuer_der", "The same as DER in base64.", set_issuer_der),
          list_key("authority_key_id", "Its authority key identifier, in hexadecimal.",
                   [](RuleDraft& d, const std::string& v) { return set_octets(d.rule.match.key_ids, v, 1, 64); }),
          list_key("issuer_spki_sha256", "SHA-256 of the issuer's public key, in hexadecimal.",
                   [](RuleDraft& d, const std::string& v) { return set_octets(d.rule.match.issuer_keys, v, 32, 32); }),
          list_key("serials", "Serial numbers: patterns with * and ?, or FIRST..LAST.", set_serial),
          list_key("module_type", "hwType of the hardwareModuleName, an OID.", set_module),
          plain_list("organisation", "O in the subject of the IDevID.", &MasaMatch::organisations),
          plain_list("unit", "OU in the subject of the IDevID.", &MasaMatch::units),
          text_key("masa", "Address of the MASA, for devices that name none.", set_masa),
          flag_key("override", "The address counts over what a device names.",
                   [](RuleDraft& d) -> bool& { return d.rule.over_own; }),
          flag_key("orphan", "The maker is gone: the address is that of a MASA of the site's own.",
                   [](RuleDraft& d) -> bool& { return d.rule.orphan; }),
          text_key("deprecated", "Since when the rule is not to be relied on.",
                   [](RuleDraft& d, const std::string& v) { return set_time(d.rule.deprecated, v); }),
          text_key("ends", "When the rule counts no longer.",
                   [](RuleDraft& d, const std::string& v) { return set_time(d.rule.ends, v); })};
}

}  // namespace

const std::vector<ConfigKey<RuleDraft>>& manner_keys() {
  static const auto* const keys = new std::vector<Key>(make_manner_keys());
  return *keys;
}

const std::vector<ConfigKey<RuleDraft>>& rule_keys() {
  static const auto* const keys = new std::vector<Key>(make_rule_keys());
  return *keys;
}

std::optional<std::string> take_certificates(RuleDraft& draft, const std::vector<std::string>& files, bool apart,
                                             std::vector<Certificate>& into) {
  if (files.empty() || draft.files.size() + files.size() > kMaxFiles) {
    return "must name 1 to 64 files";
  }
  for (const std::string& file : files) {
    // A .pem beside a maker's file is a root whose devices are taken.
    if (apart && fs::path(file).extension() == ".pem" &&
        (fs::path(draft.folder) / file).lexically_normal().parent_path() ==
            (fs::path(draft.folder) / "beside").lexically_normal().parent_path()) {
      return file + ": lies among the roots of IDevIDs; put it into a folder beside this file";
    }
    const auto read = read_certificate_file((fs::path(draft.folder) / file).string());
    if (!read || read->empty()) {
      return file + ": " + std::string(read ? "no certificate in it" : read.error().what);
    }
    into.insert(into.end(), read->begin(), read->end());
    if (std::ranges::find(draft.files, file) == draft.files.end()) {
      draft.files.push_back(file);
    }
  }
  return std::nullopt;
}

}  // namespace imprint::app
