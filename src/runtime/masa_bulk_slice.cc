// Some requests of a bulk call, from their text to their lines, on whichever thread of the pool has time.
#include <nlohmann/json.hpp>

#include "codec/base64.h"
#include "codec/json.h"
#include "crypto/random.h"
#include "proto/brski/masa_rules.h"
#include "proto/brski/wire.h"
#include "runtime/masa_bulk.h"
#include "runtime/masa_parts.h"

namespace imprint {
namespace {

// What a line of a bulk answer says of the end of a request.
std::string bulk_line(std::size_t n, const std::string& id, const Response& answer) {
  Json out{{"n", n}, {"status", answer.status}};
  if (!id.empty()) {
    out["id"] = id;
  }
  const bool good = answer.status == 200;
  if (good) {
    out["type"] = answer.content_type;
  } else {
    std::string text(as_text(answer.body));
    while (!text.empty() && text.back() == '\n') {
      text.pop_back();
    }
    out["error"] = text;
  }
  std::string line = out.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (good) {  // base64 needs none of the looks that JSON gives to text
    line.pop_back();
    line.append(",\"voucher\":\"").append(base64(answer.body)).append("\"}");
  }
  return line + "\n";
}

// One request's way through the role, on one thread at a time.
class Run {
 public:
  explicit Run(const BulkCommon& common)
      : common_(common),
        engine_(brski::Masa(std::shared_ptr<const brski::MasaConfig>(common.site, &common.site->config)), *this,
                brski::Masa::Idle{}) {
    told_.path = brski::kRequestVoucher;
  }

  // Until it is answered, or has something to be kept.
  void start(brski::Masa::Asked asked, store::MakerReader& reader) {
    reader_ = &reader;
    engine_.feed(brski::Masa::RequestVoucher{std::move(asked)});
    reader_ = nullptr;
  }
  // What has to be on record before it goes on; empty: nothing has. To be taken once.
  store::MakerStore::Change change() { return std::exchange(change_, nullptr); }
  void kept(const Status& status) { std::exchange(kept_, nullptr)(status); }
  bool overtaken() const { return overtaken_; }  // somebody else was first: it wants to be begun anew
  const Response& answer() const { return answer_; }
  const MasaServer::Told& told() const { return told_; }

  // ---- what the engine needs ----
  Instant now() const { return common_.clock.now(); }
  Rng& rng() { return rng_; }
  void perform(const Reply& reply) { answer_ = reply.what; }
  void perform(const Ask<brski::FindIdevid>& ask) {
    engine_.feed(Done<std::vector<Certificate>>{{ask.ticket}, factory::find_idevid(*reader_, ask.question)});
  }
  void perform(const Ask<brski::JudgeClaim>& ask) {
    auto ruling = factory::judge_claim(common_.site->policy, *reader_, ask.question, now());
    if (ruling) {
      told_.device = ruling->device ? ruling->device->serial : std::string();
      told_.customer = ruling->customer;
      told_.rule = ruling->rule != nullptr ? ruling->rule->id : std::string_view();
    }
    engine_.feed(Done<brski::JudgeClaim::Ruling>{{ask.ticket}, std::move(ruling)});
  }
  void perform(const Ask<brski::SignVoucher>& ask) {
    engine_.feed(Done<Bytes>{{ask.ticket},
                             brski::sign_voucher(ask.question.what, ask.question.form, common_.site->voucher_signer)});
  }
  void perform(const Ask<brski::ReadDeviceLog>&) { assert(false && "nobody asks for logs here"); }
  void perform(const SendRequest&) { assert(false && "a MASA asks nobody"); }
  void perform(const Open&) { assert(false && "a MASA opens nothing"); }
  void perform(const Close&) { assert(false && "a MASA closes nothing"); }
  void perform(const Arm&) { assert(false && "a MASA arms nothing"); }
  void perform(const Learn&) {}
  void keep(const Note<brski::Vouched>& note, std::function<void(Status)> done) {
    change_ = [given = factory::given_voucher(note.fact, now())](store::MakerWriter& w) {
      return w.vouched(given, kMasaActor);
    };
    kept_ = std::move(done);
  }
  void keep(const Note<brski::ClaimRefused>& note, std::function<void(Status)> done) {
    change_ = [claim = factory::refused_claim(note.fact, now())](store::MakerWriter& w) {
      return w.claim_refused(claim, kMasaActor);
    };
    kept_ = std::move(done);
  }
  void acted() {}
  void entered(const brski::Masa::State& /*state*/, std::string_view /*name*/) {}
  void refused(const Error& error, const brski::Masa::Input& /*input*/) { end(error); }
  void broken(const Error& error) {
    overtaken_ = error.fault == Fault::conflict;
    end(Error{Fault::unreachable, brski::masa::kBusy});
  }

 private:
  void end(const Error& error) {
    told_.rule = error.rule != nullptr ? error.rule->id : error.what;
    answer_ = brski::masa_error(error);
  }

  const BulkCommon& common_;
  store::MakerReader* reader_ = nullptr;
  SystemRng rng_;
  Engine<brski::Masa, Run> engine_;
  store::MakerStore::Change change_;
  std::function<void(Status)> kept_;
  Response answer_;
  MasaServer::Told told_;
  bool overtaken_ = false;
};

class Slice : public std::enable_shared_from_this<Slice> {
 public:
  Slice(std::shared_ptr<const BulkCommon> common, std::size_t first, std::vector<BulkItem> items,
        std::function<void(std::vector<BulkEnd>)> done)
      : common_(std::move(common)), first_(first), places_(items.size()), done_(std::move(done)) {
    for (std::size_t i = 0; i < items.size(); ++i) {
      places_[i].item = std::move(items[i]);
    }
  }

  // Judges and signs what is still to be done, then hands it to the store.
  void work() {
    if (common_->over) {
      return;  // nobody reads it, and nothing is on record
    }
    {
      auto reader = common_->store.read();
      for (Place& place : places_) {
        if (!place.ended && !begin(place, reader)) {
          end(place, Error{Fault::unreachable, brski::masa::kBusy});
        }
      }
    }  // the reader ends on the thread where it began, before the writer is waited for
    submit();
  }

 private:
  struct Place {
    BulkItem item;
    std::unique_ptr<Run> run;
    store::MakerStore::Change change;
    Status kept = Ok{};
    int again = 0;
    bool ended = false, waits = false;
    BulkEnd end;
  };

  // False: there is no reader.
  bool begin(Place& place, const Result<std::unique_ptr<store::MakerReader>>& reader) {
    if (place.again == 0) {
      read_bulk_item(place.item);
    }
    const BulkItem& item = place.item;
    const auto form = brski::form_of(item.request);
    if (!item.wrong.empty() || !form) {
      Error error{Fault::malformed, brski::masa::kBulkBody};
      error.what = item.wrong.empty() ? std::string_view("no voucher request in any form") : item.wrong;
      end(place, error);
      return true;
    }
    place.end.told.path = brski::kRequestVoucher;  // what is no request is not told of: anybody's lines may be that
    if (!reader) {
      return false;
    }
    place.run = std::make_unique<Run>(*common_);
    place.run->start(
        {{}, common_->session, common_->login, item.request, std::string(brski::media_type(*form)), item.accept, false},
        **reader);
    place.change = place.run->change();
    place.waits = place.change != nullptr;
    if (!place.waits) {
      settle(place);
    }
    return true;
  }

  // Each change by itself: one that fails undoes no other. The store puts them into one transaction.
  void submit() {
    left_ = 1;  // ourselves: the first answers may come before the last change has been handed over
    for (Place& place : places_) {
      if (place.waits) {
        ++left_;
        common_->store.submit(std::exchange(place.change, nullptr), [self = shared_from_this(), &place](Status kept) {
          place.kept = kept;
          self->one_less();
        });
      }
    }
    one_less();
  }

  void one_less() {
    if (--left_ == 0) {
      common_->workers->post([self = shared_from_this()] { self->kept(); });
    }
  }

  // All are on record, or are not: the ways end. Those that were overtaken are begun anew, by what is on record now.
  void kept() {
    bool again = false;
    for (Place& place : places_) {
      if (std::exchange(place.waits, false)) {
        place.run->kept(place.kept);
        settle(place);
      }
      again = again || !place.ended;
    }
    if (again) {
      work();
      return;
    }
    std::vector<BulkEnd> ends;
    for (Place& place : places_) {
      ends.push_back(std::move(place.end));
    }
    done_(std::move(ends));
  }

  void settle(Place& place) {
    if (place.run->overtaken() && place.again < kMostMasaAgain) {
      ++place.again;
      return;
    }
    place.end.told = place.run->told();
    end(place, place.run->answer());
  }
  void end(Place& place, const Error& error) {
    place.end.told.rule = error.rule != nullptr ? error.rule->id : error.what;
    end(place, brski::masa_error(error));
  }
  void end(Place& place, const Response& answer) {
    const std::size_t at = static_cast<std::size_t>(&place - places_.data());
    place.end.told.status = answer.status;
    place.end.good = answer.status == 200;
    place.end.line = bulk_line(first_ + at, place.item.id, answer);
    place.ended = true;
    place.run.reset();
  }

  std::shared_ptr<const BulkCommon> common_;
  std::size_t first_;
  std::vector<Place> places_;  // as many as there are for good: the store's answers point to them
  std::function<void(std::vector<BulkEnd>)> done_;
  std::atomic<std::size_t> left_ = 0;  // answers of the store that have not come
};

}  // namespace

void run_bulk_slice(std::shared_ptr<const BulkCommon> common, std::size_t first, std::vector<BulkItem> items,
                    std::function<void(std::vector<BulkEnd>)> done) {
  WorkPool::Queue& workers = *common->workers;
  workers.post([slice = std::make_shared<Slice>(std::move(common), first, std::move(items), std::move(done))] {
    slice->work();
  });
}

}  // namespace imprint
