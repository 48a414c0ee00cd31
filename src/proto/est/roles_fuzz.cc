// Both roles under a script: bytes edited on their way, connections and answers lost, power cut, in any order.
#include <algorithm>
#include <cstdlib>

#include "proto/est/pair.h"

using namespace imprint;

namespace {

// One byte of the script after another; zeros when it is used up.
class Script {
 public:
  explicit Script(BytesView in) : rest_(in) {}
  std::uint8_t next() {
    if (rest_.empty()) {
      return 0;
    }
    const std::uint8_t out = rest_.front();
    rest_ = rest_.subspan(1);
    return out;
  }
  // Changes bytes as the script says: where, and to what.
  void edit(Bytes& body) {
    for (unsigned n = next() % 4U; n > 0 && !body.empty(); --n) {
      const std::size_t at = (std::size_t{next()} << 8U | next()) % body.size();
      const std::uint8_t what = next();
      if (what % 8 == 0) {
        body.resize(at);
      } else {
        body[at] ^= what;
      }
    }
  }

 private:
  BytesView rest_;
};

void set_up(est::Pair& p, Script& script) {
  const std::uint8_t mode = script.next();
  if ((mode & 1U) != 0) {
    p.plan.credential.reset();
    p.plan.login = Login{p.user, Secret(p.password)};
  }
  if ((mode & 2U) != 0) {
    p.plan.explicit_anchors.clear();
    p.expected_root = est::cast().owner.certificate;
  }
  p.plan.renew = (mode & 4U) != 0;
  p.config.labels[""].require_linking = (mode & 8U) != 0;
  p.lose_connections = script.next() % 4U;
  p.plan.attempts = 4;
  p.plan.polls = 4;
  p.max_inputs = script.next() % 64U;
  p.on_response = [&script](Response& r, const Request&) {
    static constexpr std::array kCodes{200, 202, 204, 301, 400, 401, 404, 500, 503};
    const std::uint8_t what = script.next();
    if (what >= 0xf0) {
      r.status = kCodes.at(script.next() % kCodes.size());
      r.location = "https://est.example/.well-known/est/cacerts";
      r.retry_after_s = static_cast<std::int8_t>(script.next());
    } else if (what >= 0xc0) {
      script.edit(r.body);
    }
  };
  p.on_request = [&script](Request& r) {
    if (script.next() >= 0xe0) {
      script.edit(r.body);
    }
  };
  p.on_decision = [&script](Decision& d, const Admit&) {
    if (script.next() >= 0xe0) {
      d.verdict = Verdict::pending;
    }
  };
}

void check(const est::Pair& p) {
  if (!p.sound) {
    std::abort();  // a belief that stands on nothing
  }
  if (!p.installed) {
    return;
  }
  const auto recorded = std::ranges::find(p.issued, p.installed->certificate.der, &Issued::certificate);
  if (recorded == p.issued.end() || p.installed->certificate.key != p.installed->key.key) {
    std::abort();  // installed what nobody issued
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Script script({data, size});
  est::Pair p;
  set_up(p, script);
  p.run();
  check(p);
  if (!p.installed) {  // power cut: on from the record
    p.open_sessions.clear();
    p.max_inputs = 64;
    p.run(p.asked);
    check(p);
  }
  return 0;
}
