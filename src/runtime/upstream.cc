#include "runtime/upstream.h"

#include <deque>
#include <future>
#include <mutex>
#include <thread>
#include <unordered_set>

#include "io/https_client.h"
#include "io/log.h"
#include "proto/est/client_steps.h"
#include "proto/est/coap.h"
#include "proto/est/rules.h"

namespace imprint {
namespace {

constexpr std::string_view kKeyId = "upstream";

using SiteRef = std::shared_ptr<const UpstreamSite>;

// One request on its way. Answered once: by the server, or by the end of our patience.
struct Job {
  SiteRef site;
  Request what;
  std::string about;  // the device, for the log
  std::function<void(Result<Response>)> done;
  std::uint64_t timer = 0, session = 0;
  bool over = false;
};
using JobRef = std::shared_ptr<Job>;

Error with_rule(const Error& why, const Rule& rule) {
  Error out{why.fault, rule};
  out.what = why.what;
  return out;
}

// Why there is no connection: nobody is there, somebody else is, or the server ended the handshake.
Error no_session(const Error& why) {
  const bool away = why.fault == Fault::unreachable || why.fault == Fault::limit;
  return with_rule(why, away                            ? est::kUpstreamAway
                        : why.fault == Fault::malformed ? est::kUpstreamCredentials
                                                        : est::kUpstreamServer);
}

// Why there is no answer. On TLS 1.3 the server refuses our certificate after the handshake.
Error no_answer(const Error& why) {
  return with_rule(why, why.fault == Fault::unreachable ? est::kUpstreamAway
                        : why.fault == Fault::limit     ? est::kUpstreamAnswer
                                                        : est::kUpstreamCredentials);
}

void tell(const Job& job, const Error& why, const std::string& said = {}) {
  io::log(io::LogLevel::warning, "upstream.failed",
          {{"server", job.site->server.authority()},
           {"device", job.about},
           {"rule", std::string(why.rule != nullptr ? why.rule->id : "")},
           {"why", std::string(why.what)},
           {"said", said}});
}

Result<Signed> signed_upstream(const Response& answer, const Grant& grant, const UpstreamSite& site, Instant now) {
  TRY(const est::UpstreamAnswer read, est::read_upstream_answer(answer));
  if (read.retry_after) {
    return Signed{{}, *read.retry_after, true};
  }
  TRY(Bytes certificate, est::granted_certificate(read.certificates, grant, site.trust, now));
  return Signed{std::move(certificate), {}, true};
}

}  // namespace

struct UpstreamSigner::Impl {
  explicit Impl(UpstreamSite given) : site(std::make_shared<const UpstreamSite>(std::move(given))) {
    guard.allow(site->server);  // the operator's word
    io::HttpsClientOptions options;
    options.connect_timeout = options.request_timeout = site->patience;
    client = io::HttpsClient::make(
        loop, guard, options, [this](const std::string&) -> Result<PrivateKey> { return opening->key; }, nullptr);
  }

  SiteRef site_now() {
    const std::scoped_lock lock(mutex);
    return site;
  }

  // Whether a CA that we do not know may be upstream's new one: unless we have asked since we met it, which counts for
  // a while. Then somebody is told to ask who it is.
  bool may_be_outdated() {
    {
      const Instant now = io::steady_clock();
      const std::scoped_lock lock(mutex);
      const bool asked = met && listed && *met < *listed;
      if (!outdated || (asked && now - *listed < kFresh)) {
        return false;
      }
      met = met && !asked ? met : now;
    }
    outdated();
    return true;
  }

  // From any thread. False, and nothing, once it is over.
  bool post(JobRef job) {
    const std::scoped_lock lock(mutex);
    if (ended) {
      return false;
    }
    job->site = site;
    live.insert(job);
    if (!thread.joinable()) {
      thread = std::thread([this] { loop.run(); });
    }
    loop.post([this, job = std::move(job)] { take(job); });
    return true;
  }

  void end() {
    {
      const std::scoped_lock lock(mutex);
      ended = true;
    }
    if (thread.joinable()) {
      loop.stop();
      thread.join();
    }
    // Who waits holds the site, which holds us: so what it waits with goes, too.
    for (const JobRef& job : std::exchange(live, {})) {
      const auto done = std::exchange(job->done, nullptr);
      if (!std::exchange(job->over, true)) {
        done(Error{Fault::unreachable, est::kUpstreamAway});
      }
    }
  }

  // ---- on the loop ----

  void take(const JobRef& job) {
    if (waiting.size() >= kMostWaiting) {
      answer(job, Error{Fault::unreachable, est::kUpstreamAway});
      return;
    }
    job->timer = loop.after(job->site->patience, [this, job] { tired(job); });
    waiting.push_back(job);
    next();
  }

  void next() {
    while (!waiting.empty() && under_way < waiting.front()->site->connections) {
      const JobRef job = std::move(waiting.front());
      waiting.pop_front();
      if (!job->over) {
        open(job);
      }
    }
  }

  void open(const JobRef& job) {
    ++under_way;
    opening = job->site;
    Open what;
    what.to = opening->server;
    what.anchors = opening->trust.anchors;
    what.as = opening->credential;
    client->open(std::move(what), [this, job](const Result<SessionRef>& session) { opened(job, session); });
  }

  void opened(const JobRef& job, const Result<SessionRef>& session) {
    if (!session) {
      leave(job, no_session(session.error()));
      return;
    }
    job->session = (*session)->id;
    const Status server = est::check_upstream_server(**session, job->site->server.host);
    if (job->over || !server) {
      leave(job, server ? Error{Fault::unreachable, est::kUpstreamAway} : server.error());
      return;
    }
    client->request(job->session, std::move(job->what),
                    [this, job](Result<Response> got) { leave(job, got ? std::move(got) : no_answer(got.error())); });
  }

  // The connection is given up; the next one may begin.
  void leave(const JobRef& job, Result<Response> got) {
    if (job->session != 0) {
      client->close(job->session);
    }
    --under_way;
    answer(job, std::move(got));
    next();
  }

  void tired(const JobRef& job) {
    answer(job, Error{Fault::unreachable, est::kUpstreamAway});
    if (job->session != 0) {
      client->close(job->session);
    }
  }

  void answer(const JobRef& job, Result<Response> got) {
    if (std::exchange(job->over, true)) {
      return;
    }
    loop.cancel(job->timer);
    if (!got) {
      tell(*job, got.error());
    }
    job->done(std::move(got));
    job->done = nullptr;
    const std::scoped_lock lock(mutex);
    live.erase(job);
  }

  std::mutex mutex;
  SiteRef site;                        // under the mutex
  bool ended = false;                  // the same
  std::optional<Instant> listed, met;  // when the CA certificates were had last, and an unknown CA was met; the same
  std::function<void()> outdated;
  std::thread thread;  // the same, until it ended
  io::Loop loop;
  io::Guard guard;
  std::unordered_set<JobRef> live;  // not answered yet; under the mutex, until the thread is over
  SiteRef opening;                  // whose key is asked for
  std::deque<JobRef> waiting;
  std::size_t under_way = 0;
  std::unique_ptr<io::HttpsClient> client;
};

UpstreamSigner::UpstreamSigner(UpstreamSite site) {
  if (site.credential) {
    site.credential->key_id = kKeyId;
  }
  impl_ = std::make_unique<Impl>(std::move(site));
}

UpstreamSigner::~UpstreamSigner() { end(); }

void UpstreamSigner::end() { impl_->end(); }

void UpstreamSigner::take(UpstreamSite site) {
  if (site.credential) {
    site.credential->key_id = kKeyId;
  }
  const std::scoped_lock lock(impl_->mutex);
  impl_->site = std::make_shared<const UpstreamSite>(std::move(site));
}

void UpstreamSigner::issue(const Issue& question, Instant /*now*/, std::function<void(Result<Signed>)> done) {
  const SiteRef site = impl_->site_now();
  const auto wanted = site->wanted_extensions.find(question.grant.profile);
  const auto none = std::vector<Extension>();
  const Status fits = est::can_hand_on(question, wanted != site->wanted_extensions.end() ? wanted->second : none);
  if (!fits) {
    done(fits.error());
    return;
  }
  const auto job = std::make_shared<Job>();
  job->about = question.grant.device;
  job->what = est::handed_on(site->server, site->label, question.request, site->login);
  job->done = [this, of = job.get(), grant = question.grant, done = std::move(done)](const Result<Response>& got) {
    if (!got) {
      done(got.error());
      return;
    }
    Result<Signed> out = signed_upstream(*got, grant, *impl_->site_now(), impl_->loop.now());
    if (!out) {
      tell(*of, out.error(), est::steps::sentence_of(*got));
      if (out.error().rule == &est::kUpstreamChain && impl_->may_be_outdated()) {
        out = Error{Fault::unreachable, est::kUpstreamChain};
      }
    }
    done(std::move(out));
  };
  impl_->post(job);
}

Result<std::vector<Certificate>> UpstreamSigner::ca_certificates() {
  const auto answered = std::make_shared<std::promise<Result<Response>>>();
  auto answer = answered->get_future();
  const auto job = std::make_shared<Job>();
  const SiteRef site = impl_->site_now();
  job->what = est::request_to(site->server, site->label, est::Operation::cacerts);
  job->done = [answered](Result<Response> got) { answered->set_value(std::move(got)); };
  CHECK_OR(impl_->post(job), Error{Fault::unreachable, est::kUpstreamAway});
  CHECK_OR(answer.wait_for(site->patience * 2) == std::future_status::ready,
           Error{Fault::unreachable, est::kUpstreamAway});
  TRY(const Response got, answer.get());
  return est::read_upstream_ca(got, site->trust.anchors, io::wall_clock());
}

void UpstreamSigner::asked() {
  const std::scoped_lock lock(impl_->mutex);
  impl_->listed = io::steady_clock();
}

void UpstreamSigner::when_outdated(std::function<void()> tell) { impl_->outdated = std::move(tell); }

}  // namespace imprint
