#include "runtime/registrar_words.h"

#include <algorithm>

#include "proto/brski/registrar_rules.h"
#include "proto/brski/rules.h"
#include "runtime/est_words.h"
#include "site/pledge_rules.h"
#include "site/rules.h"

namespace imprint {
namespace {

using brski::Registrar;

template <class... F>
struct Words : F... {
  using F::operator()...;
};
template <class... F>
Words(F...) -> Words<F...>;

std::string shown(const SessionRef& session) {
  if (!session || !session->proven) {
    return "no certificate";
  }
  const Certificate& leaf = (*session->proven)->leaf;
  return "certificate " + leaf.subject.text + " of " + leaf.issuer.text;
}

std::string told(const brski::Telemetry& telemetry) {
  return std::string(telemetry.status ? "it went well" : "it failed") +
         (telemetry.reason.empty() ? "" : ": " + telemetry.reason);
}

std::string asks(const brski::MasaContact& masa) {
  return "asks " + masa.url.authority() + (masa.because.empty() ? "" : ", by " + masa.because);
}

}  // namespace

std::string_view registrar_mode(const brski::RegistrarMessage& message) {
  return std::visit(Words{[](const Registrar::RequestVoucher&) { return std::string_view("voucher"); },
                          [](const Registrar::ReportVoucher&) { return std::string_view("voucher status"); },
                          [](const Registrar::ReportEnrolment&) { return std::string_view("enrolment status"); }},
                    message);
}

std::string registrar_mode(const VoucherObtained& fact) { return fact.nonce.empty() ? "nonceless, " : ""; }

std::string registrar_result(const VoucherObtained&) { return "vouchered"; }

std::string registrar_result(const VoucherReported& fact) {
  return !fact.told.status ? "refused" : fact.cleared ? "imprinted" : "held";
}

std::string registrar_result(const EnrolmentReported& fact) { return fact.told.status ? "operational" : "failed"; }

const Rule& registrar_rule(const PledgeWaits& fact) {
  return fact.reason == brski::kMasaWaits.what ? brski::kMasaWaits : site::kWaiting;
}

std::string registrar_waits_for(const Rule& rule, const std::string& device) {
  return &rule == &site::kWaiting ? approval_words(device) : std::string(rule.next);
}

std::string registrar_words(const Registrar::State& state) {
  return std::visit(
      Words{
          [](const Registrar::Idle&) { return std::string(); },
          [](const Registrar::Admitting& s) {
            return shown(s.asked.session) + "; a request in " + std::string(name(s.asked.form));
          },
          [](const Registrar::Signing& s) {
            return "device " + s.of.device + " is wanted; its request is signed by its IDevID, has serial number " +
                   s.of.wanted.id.serial + " and a nonce, and names this registrar";
          },
          [](const Registrar::Opening& s) { return "our request is signed; " + asks(s.of.masa); },
          [](const Registrar::Fetching& s) {
            return "the MASA's certificate leads to its anchors and names " + s.of.masa.url.host;
          },
          [](const Registrar::Recalling& s) { return shown(s.told.session) + "; voucher: " + told(s.told.telemetry); },
          [](const Registrar::OpeningForLog& s) { return "device " + s.of.row.device + "; " + asks(s.of.masa); },
          [](const Registrar::FetchingLog& s) {
            return "asks for the audit log: the MASA's certificate names " + s.of.masa.url.host;
          },
          [](const Registrar::Ending& s) { return shown(s.told.session) + "; enrolment: " + told(s.told.telemetry); }},
      state);
}

const Rule* registrar_rule(std::string_view id) {
  const Rule* out = nullptr;
  const auto look_in = [&](const auto& rules) {
    const auto at = std::ranges::find(rules, id, [](const Rule* r) { return r->id; });
    out = out == nullptr && at != rules.end() ? *at : out;
  };
  look_in(brski::kRegistrarRules);
  look_in(brski::kRules);
  look_in(site::kPledgeRules);
  look_in(site::kRules);
  return out;
}

const Rule* registrar_rule_in(const Response& refusal) {
  std::string_view text = as_text(refusal.body);
  const Rule* out = nullptr;
  for (auto at = text.find('('); at != std::string_view::npos && out == nullptr; at = text.find('(')) {
    text.remove_prefix(at + 1);
    out = registrar_rule(text.substr(0, text.find(',')));
  }
  return out;
}

std::string fact_words(const PledgeWaits& fact) { return fact.reason; }

std::string fact_words(const VoucherObtained& fact) {
  return "voucher in " + fact.form + (fact.nonce.empty() ? " without a nonce" : " with nonce " + fact.nonce) +
         ", pins domainID " + hex(fact.domain_id) + "; on record before the device gets it";
}

std::string fact_words(const VoucherReported& fact) {
  return (fact.cleared ? "EST is open to it: " : "held: ") + fact.reason;
}

std::string fact_words(const EnrolmentReported& fact) {
  return std::string(fact.told.status ? "it is enrolled" : "it is not enrolled") +
         (fact.certificate.empty() ? ", told by its IDevID" : ", told by its certificate " + fact.certificate);
}

std::string fact_words(const PledgeRefused& fact) { return fact.reason; }

}  // namespace imprint
