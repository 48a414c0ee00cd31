#include "site/masa_words.h"

#include <algorithm>
#include <array>
#include <utility>

namespace imprint::site {
namespace {

using brski::IssuerForm;
using brski::SerialSource;

constexpr std::array kSources{std::pair{SerialSource::subject, std::string_view("subject")},
                              std::pair{SerialSource::hardware_module_name, std::string_view("hardware-module-name")},
                              std::pair{SerialSource::common_name, std::string_view("common-name")}};
constexpr std::array kForms{std::pair{IssuerForm::octet_string, std::string_view("octet-string")},
                            std::pair{IssuerForm::authority_key_id, std::string_view("authority-key-id")},
                            std::pair{IssuerForm::key_id, std::string_view("key-id")},
                            std::pair{IssuerForm::printed_name, std::string_view("printed-name")},
                            std::pair{IssuerForm::left_out, std::string_view("left-out")}};
constexpr std::array kTypes{std::pair{brski::kJsonVoucherType, std::string_view("json-voucher")},
                            std::pair{std::string_view("1.2.840.113549.1.7.1"), std::string_view("data")}};

template <class Table, class T>
std::string_view name_in(const Table& table, const T& value) {
  const auto* const at = std::ranges::find_if(table, [&](const auto& row) { return row.first == value; });
  return at == table.end() ? std::string_view() : at->second;
}

template <class T, std::size_t n>
std::optional<T> named_in(const std::array<std::pair<T, std::string_view>, n>& table, std::string_view name) {
  const auto* const at = std::ranges::find_if(table, [&](const auto& row) { return row.second == name; });
  return at == table.end() ? std::nullopt : std::optional<T>(at->first);
}

}  // namespace

std::string_view name(SerialSource source) { return name_in(kSources, source); }
std::optional<SerialSource> serial_source_named(std::string_view name) { return named_in(kSources, name); }
std::string_view name(IssuerForm form) { return name_in(kForms, form); }
std::optional<IssuerForm> issuer_form_named(std::string_view name) { return named_in(kForms, name); }

std::optional<std::string> content_type_named(std::string_view name) {
  const auto oid = named_in(kTypes, name);
  return oid ? std::optional(std::string(*oid)) : std::nullopt;
}

std::string_view content_type_name(std::string_view oid) {
  const std::string_view known = name_in(kTypes, oid);
  return known.empty() ? oid : known;
}

std::vector<std::string> in_words(const brski::Quirks& quirks) {
  const brski::Quirks usual;
  std::vector<std::string> out;
  const auto say = [&out](bool differs, std::string text) {
    if (differs) {
      out.push_back(std::move(text));
    }
  };
  say(quirks.serial != usual.serial, "serial number from " + std::string(name(quirks.serial)));
  say(quirks.issuer != usual.issuer, "idevid-issuer as " + std::string(name(quirks.issuer)));
  say(quirks.content_type != usual.content_type,
      "CMS content type " + std::string(content_type_name(quirks.content_type)));
  say(quirks.base64_bodies, "bodies in base64");
  say(quirks.requests_named_voucher, "requests are named ietf-voucher:voucher");
  say(quirks.old_paths, "paths of drafts");
  say(quirks.expired_idevids, "the end of an IDevID does not count");
  say(quirks.proximity_optional, "devices need not say which registrar they see");
  say(quirks.est_before_status, "EST before the device has told of its voucher");
  say(quirks.no_audit_log, "no audit log");
  say(quirks.old_media_types, "media types of drafts");
  say(quirks.any_voucher_type, "vouchers of any media type");
  say(quirks.registrar_id_log, "audit logs with registrarID");
  return out;
}

}  // namespace imprint::site
