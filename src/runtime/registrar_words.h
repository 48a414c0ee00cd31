// What the registrar has checked, in words: for the timeline of a run.
#pragma once

#include "proto/brski/registrar.h"

namespace imprint {

// The mode of a run that begins with this: "voucher", "voucher status", "enrolment status".
std::string_view registrar_mode(const brski::RegistrarMessage& message);
// What its mode begins with once there is a voucher: "nonceless, ", or nothing.
std::string registrar_mode(const VoucherObtained& fact);
// How a request ends that leaves this behind: "vouchered"; "imprinted", "held" or "refused"; "operational" or "failed".
// Only the last one of an onboarding can be "operational": what becomes of the others is seen in them together.
std::string registrar_result(const VoucherObtained& fact);
std::string registrar_result(const VoucherReported& fact);
std::string registrar_result(const EnrolmentReported& fact);
// Whose word a device waits for: SITE-WAITING its owner's, BRSKI-MASA-WAITS its maker's; and what is to be done.
const Rule& registrar_rule(const PledgeWaits& fact);
std::string registrar_waits_for(const Rule& rule, const std::string& device);
// What was found on the way into this state; empty for the last one.
std::string registrar_words(const brski::Registrar::State& state);
// The rule of this id among those that a registrar or its owner applies; null if there is none.
const Rule* registrar_rule(std::string_view id);
// The rule that a refusal on the wire names (brski::wire_error); null if it names none.
const Rule* registrar_rule_in(const Response& refusal);

// What the last step of a run leaves behind.
std::string fact_words(const PledgeWaits& fact);
std::string fact_words(const VoucherObtained& fact);
std::string fact_words(const VoucherReported& fact);
std::string fact_words(const EnrolmentReported& fact);
std::string fact_words(const PledgeRefused& fact);

}  // namespace imprint
