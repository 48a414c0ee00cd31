#include "app/status_signer.h"

#include "crypto/random.h"
#include "io/log.h"
#include "io/loop.h"

namespace imprint::app {
namespace {

constexpr Duration kLookAgain = std::chrono::seconds(10);
constexpr std::size_t kMostDelegates = 64;  // of CAs that came and went while the program ran

}  // namespace

StatusSigner::~StatusSigner() {
  {
    const std::scoped_lock lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) {
    thread_.join();
  }
}

void StatusSigner::start() {
  thread_ = std::thread([this] { run(); });
}

bool StatusSigner::submit(std::shared_ptr<const site::Ca> ca, std::vector<CertificateStatus> statuses, Bytes nonce,
                          Answer done) {
  {
    const std::scoped_lock lock(mutex_);
    if (jobs_.size() >= kMostWaiting) {
      return false;
    }
    jobs_.push_back({std::move(ca), std::move(statuses), std::move(nonce), std::move(done)});
  }
  changed_.notify_one();
  return true;
}

void StatusSigner::run() {
  while (true) {
    Job job;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
      if (stopping_) {
        return;
      }
      job = std::move(jobs_.front());
      jobs_.pop_front();
    }
    job.done(sign(job));
  }
}

Result<site::OcspAnswer> StatusSigner::sign(Job& job) {
  const Instant now = io::wall_clock();
  const Sha256 of = job.ca->certificate.fingerprint();
  if (delegates_.size() >= kMostDelegates && !delegates_.contains(of)) {
    delegates_.clear();
  }
  Delegate& delegate = delegates_[of];
  TRY(Ok{}, renew(delegate, *job.ca, now));
  return site::sign_statuses(*delegate.signer, std::move(job.statuses), job.nonce, now);
}

// A clock that was set back is a reason to look as well.
Status StatusSigner::renew(Delegate& delegate, const site::Ca& ca, Instant now) {
  if (delegate.looked <= now && now - delegate.looked < kLookAgain) {
    return delegate.state;
  }
  delegate.looked = now;
  bool usable = false;
  if (delegate.signer) {
    TRY(const auto reader, store_.read());
    usable = site::may_sign(*delegate.signer, ca, *reader, now);
    if (usable && !site::is_due(*delegate.signer, now)) {
      return delegate.state = Ok{};
    }
  }
  SystemRng rng;
  auto made = site::make_ocsp_signer(ca, store_, now, rng);
  if (!made) {
    complain(delegate, made.error());
    return delegate.state = usable ? Status(Ok{}) : Status(made.error());
  }
  delegate.signer = *std::move(made);
  delegate.state = Ok{};
  delegate.trouble = {};
  const Certificate& own = delegate.signer->certificate;
  io::log(io::LogLevel::info, "status.signer",
          {{"issuer", own.issuer.text}, {"serial", hex(own.serial)}, {"not_after", utc_text(own.not_after)}});
  return Ok{};
}

// Once for each trouble, not for each question.
void StatusSigner::complain(Delegate& delegate, const Error& error) {
  if (delegate.trouble != error.what) {
    io::log(io::LogLevel::error, "status.no_signer", {{"why", error.what}});
  }
  delegate.trouble = error.what;
}

}  // namespace imprint::app
