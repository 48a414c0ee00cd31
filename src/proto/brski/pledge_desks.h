// The pledge's desk as the cloud's and as a constrained device's, and what its tests share.
#pragma once

#include "proto/brski/pledge_testing.h"

namespace imprint::brski::testing {

inline Uri uri(std::string_view text) { return *Uri::parse(text); }

inline Voucher sent_request(const PledgeDesk& d, std::size_t n = 0) {
  return parse_artifact(d.requests_to("requestvoucher").at(n).what.body)->voucher;
}

// Whoever is asked for a voucher at such a host sends the device on.
inline void redirect(PledgeDesk& d, const std::map<std::string, std::string>& to, int status = 307) {
  d.on_response = [to, status](Response& r, const Request& q, const Uri& at) {
    if (const auto it = to.find(at.host); q.path.ends_with("requestvoucher") && it != to.end()) {
      r = {status};
      r.location = it->second;
    }
  };
}

// Nobody but the maker's cloud.
struct CloudDesk : PledgeDesk {
  CloudDesk() {
    plan.registrars.clear();
    plan.cloud = uri("https://cloud.example");
    plan.cloud_anchors = {players().cloud_root.certificate};
    plan.rounds = 1;
  }
};

// By the binding of constrained devices.
struct CoapDesk : PledgeDesk {
  CoapDesk() {
    plan.registrars = {uri("coaps://registrar.example:5684")};
    plan.voucher_anchors = {masa.certificate};  // nothing comes along with the voucher
  }
  std::vector<std::string> paths() const {
    std::vector<std::string> out;
    for (const auto& sent : requests) {
      out.push_back(sent.what.path);
    }
    return out;
  }
};

}  // namespace imprint::brski::testing
