// Runs of the owner's side of one device, as the registrar and EST's server tell them: for tests.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "model/run.h"

namespace imprint::survey {

inline constexpr Instant kStart{1'800'000'000'000};
using Told = std::vector<std::string>;

// A run of the owner's side of lamp-1, ten seconds after the one before it.
class Site {
 public:
  imprint::Run run(std::string role, std::string mode, std::string result, std::string rule = {}) {
    imprint::Run out;
    const std::string number = std::to_string(++made_);
    out.id = std::string(16 - number.size(), '0') + number;
    out.protocol = role == "server" ? "est" : "brski";
    out.role = std::move(role);
    out.mode = std::move(mode);
    out.device = device;
    out.started = at;
    out.ended = at + Duration(20);
    out.result = std::move(result);
    out.rule = std::move(rule);
    out.counts.round_trips = 1;
    at = at + Duration(10'000);
    return out;
  }
  imprint::Run voucher(std::string result = "vouchered", std::string rule = {}) {
    imprint::Run out = run("registrar", "voucher", std::move(result), std::move(rule));
    if (out.result == "vouchered") {
      out.obtained = {"voucher for 1"};
    }
    return out;
  }
  imprint::Run taken(std::string result = "imprinted", std::string rule = {}) {
    return run("registrar", "voucher status", std::move(result), std::move(rule));
  }
  imprint::Run certificate(std::string result = "operational", std::string rule = {}) {
    imprint::Run out = run("server", "certificate", std::move(result), std::move(rule));
    if (out.result == "operational") {
      out.obtained = {"certificate CN=lamp-1"};
    }
    return out;
  }
  imprint::Run reported(std::string result = "operational") {
    return run("registrar", "enrolment status", std::move(result));
  }

  std::string device = "lamp-1";
  Instant at = kStart;

 private:
  int made_ = 0;
};

}  // namespace imprint::survey
