#include "app/status_signer.h"

#include "crypto/random.h"
#include "io/log.h"
#include "io/loop.h"

namespace imprint::app {
namespace {

constexpr Duration kLookAgain = std::chrono::seconds(10);

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
  TRY(Ok{}, renew(*job.ca, now));
  return site::sign_statuses(*signer_, std::move(job.statuses), job.nonce, now);
}

// A clock that was set back is a reason to look as well.
Status StatusSigner::renew(const site::Ca& ca, Instant now) {
  const bool recent = looked_ <= now && now - looked_ < kLookAgain;
  if (recent && of_ == ca.certificate) {
    return state_;
  }
  looked_ = now;
  of_ = ca.certificate;
  bool usable = false;
  if (signer_) {
    TRY(const auto reader, store_.read());
    usable = site::may_sign(*signer_, ca, *reader, now);
    if (usable && !site::is_due(*signer_, now)) {
      return state_ = Ok{};
    }
  }
  SystemRng rng;
  auto made = site::make_ocsp_signer(ca, store_, now, rng);
  if (!made) {
    complain(made.error());
    return state_ = usable ? Status(Ok{}) : Status(made.error());
  }
  signer_ = *std::move(made);
  state_ = Ok{};
  trouble_ = {};
  io::log(io::LogLevel::info, "status.signer",
          {{"serial", hex(signer_->certificate.serial)}, {"not_after", utc_text(signer_->certificate.not_after)}});
  return Ok{};
}

// Once for each trouble, not for each question.
void StatusSigner::complain(const Error& error) {
  if (trouble_ != error.what) {
    io::log(io::LogLevel::error, "status.no_signer", {{"why", error.what}});
  }
  trouble_ = error.what;
}

}  // namespace imprint::app
