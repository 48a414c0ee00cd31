#include "io/any_client.h"

#include <unordered_map>

namespace imprint::io {
namespace {

class Client final : public RequestClient {
 public:
  Client(Loop& loop, const Guard& guard, Rng& rng, const HttpsClient::Keys& keys,
         std::function<void(std::uint64_t)> lost, const CoapsClientOptions& coaps)
      : lost_(std::move(lost)),
        https_(HttpsClient::make(loop, guard, {}, keys, [this](std::uint64_t id) { ended(id); })),
        coaps_(make_coaps_client(loop, guard, rng, coaps, keys, [this](std::uint64_t id) { ended(id); })) {}

  void open(Open what, std::function<void(Result<SessionRef>)> done) override {
    RequestClient* const by = what.to.scheme == "coaps" ? coaps_.get() : https_.get();
    by->open(std::move(what), [this, by, done = std::move(done)](Result<SessionRef> session) {
      if (session) {
        opened_.emplace((*session)->id, by);
      }
      done(std::move(session));
    });
  }
  void request(std::uint64_t session, Request what, std::function<void(Result<Response>)> done) override {
    const auto it = opened_.find(session);
    RequestClient* const by = it != opened_.end() ? it->second : https_.get();  // which says why there is none
    by->request(session, std::move(what), std::move(done));
  }
  void close(std::uint64_t session) override {
    if (const auto entry = opened_.extract(session)) {
      entry.mapped()->close(session);
    }
  }

 private:
  void ended(std::uint64_t session) {
    opened_.erase(session);
    lost_(session);
  }

  std::function<void(std::uint64_t)> lost_;
  std::unordered_map<std::uint64_t, RequestClient*> opened_;
  std::unique_ptr<RequestClient> https_, coaps_;
};

}  // namespace

std::unique_ptr<RequestClient> make_any_client(Loop& loop, const Guard& guard, Rng& rng, const HttpsClient::Keys& keys,
                                               std::function<void(std::uint64_t session)> lost,
                                               const CoapsClientOptions& coaps) {
  return std::make_unique<Client>(loop, guard, rng, keys, std::move(lost), coaps);
}

}  // namespace imprint::io
