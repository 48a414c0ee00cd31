#include "bench/work.h"

#include <thread>

#include "bench/machine.h"
#include "codec/base64.h"
#include "crypto/csr.h"

namespace imprint::bench {
namespace {

Status make_one(const std::string& id, Enrolment& out) {
  TRY(const PrivateKey key, PrivateKey::generate(KeyType::p256));
  RequestTemplate what;
  TRY(what.subject, Name::from_text("CN=" + id));
  TRY(out.der, make_request(key, what));
  out.body = base64(out.der);
  out.spki = key.public_key().spki;
  return Ok{};
}

}  // namespace

Result<std::vector<Enrolment>> make_enrolments(const std::vector<std::string>& ids, std::size_t count) {
  std::vector<Enrolment> out(count);
  const unsigned threads = cores();
  std::vector<Status> done(threads, Ok{});
  {
    std::vector<std::jthread> makers;
    for (unsigned t = 0; t < threads; ++t) {
      makers.emplace_back([&, t] {
        unpin();
        for (std::size_t i = t; i < count && done[t]; i += threads) {
          out[i].applicant = i % ids.size();
          done[t] = make_one(ids[out[i].applicant], out[i]);
        }
      });
    }
  }
  for (const Status& one : done) {
    TRY([[maybe_unused]] const Ok made, one);
  }
  return out;
}

}  // namespace imprint::bench
