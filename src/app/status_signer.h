// Signs the answers of the status server on a thread of its own. Private to the status server.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <thread>

#include "site/ocsp.h"

namespace imprint::app {

class StatusSigner {
 public:
  static constexpr std::size_t kMostWaiting = 1024;
  using Answer = std::function<void(Result<site::OcspAnswer>)>;  // on the signer's thread

  explicit StatusSigner(store::Store& store) : store_(store) {}
  StatusSigner(const StatusSigner&) = delete;
  StatusSigner& operator=(const StatusSigner&) = delete;
  ~StatusSigner();  // waits for the answer that is being signed; the others are not signed any more

  void start();
  // False if 1,024 questions wait already. The CA is the one whose delegate signs; a delegate is made, and put on
  // record, when one is needed.
  bool submit(std::shared_ptr<const site::Ca> ca, std::vector<CertificateStatus> statuses, Bytes nonce, Answer done);

 private:
  struct Job {
    std::shared_ptr<const site::Ca> ca;
    std::vector<CertificateStatus> statuses;
    Bytes nonce;
    Answer done;
  };
  void run();
  Result<site::OcspAnswer> sign(Job& job);
  struct Delegate {
    std::optional<site::OcspSigner> signer;
    Instant looked;  // when it was last held against the record, or one was to be made
    Status state = Error{Fault::unreachable, "status: no signer yet"};  // as found then
    std::string trouble;
  };
  // Looks at most every ten seconds, also after a failure: strangers' questions do not drive the CA's key. A delegate
  // that may still sign goes on if another one cannot be made.
  Status renew(Delegate& delegate, const site::Ca& ca, Instant now);
  static void complain(Delegate& delegate, const Error& error);

  store::Store& store_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Job> jobs_;
  bool stopping_ = false;
  std::map<Sha256, Delegate> delegates_;  // of the thread alone; by the certificate of the CA in whose stead each signs
  std::thread thread_;
};

}  // namespace imprint::app
