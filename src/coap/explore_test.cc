// Every schedule of a link with few faults: each datagram arrives, is lost, comes twice or comes late, in all
// combinations up to a number of faults. What is drawn by chance in loss_test.cc is exhausted here for short exchanges.
#include "coap/pair_testing.h"

namespace imprint::coap {
namespace {

// The choices of one run, as many as it asks for; next_run() goes to the next combination.
class Choices {
 public:
  explicit Choices(unsigned most_faults) : most_(most_faults) {}

  unsigned choose(unsigned options) {
    if (at_ == made_.size()) {
      made_.push_back({0, used_ < most_ ? options : 1});
    }
    const unsigned chosen = made_[at_++].chosen;
    used_ += chosen == 0 ? 0 : 1;
    return chosen;
  }

  bool next_run() {
    at_ = used_ = 0;
    while (!made_.empty() && made_.back().chosen + 1 == made_.back().options) {
      made_.pop_back();
    }
    if (made_.empty()) {
      return false;
    }
    ++made_.back().chosen;
    return true;
  }

  std::string text() const {
    std::string out;
    for (const Choice& c : made_) {
      out.push_back(static_cast<char>('0' + c.chosen));
    }
    return out;
  }

 private:
  struct Choice {
    unsigned chosen = 0, options = 1;
  };
  unsigned most_, used_ = 0;
  std::size_t at_ = 0;
  std::vector<Choice> made_;
};

struct Exchange {
  std::size_t request_bytes, answer_bytes;  // blocks are of 16 bytes
  Duration serving_time;
  unsigned faults;
  std::size_t least_runs;  // that the exploration must have had: it must not become empty unnoticed
};

std::vector<Duration> fate_of(unsigned choice) {
  static constexpr Duration kSoon{10}, kLate{5000};  // late: after the first retransmission
  switch (choice) {
    case 1:
      return {};
    case 2:
      return {kSoon, kSoon};
    case 3:
      return {kLate};
    case 4:
      return {kSoon, kLate};
    default:
      return {kSoon};
  }
}

// With at most four faults every exchange succeeds, is served once, and both bodies arrive whole.
std::size_t explore(const Exchange& e) {
  Choices choices(e.faults);
  std::size_t runs = 0;
  do {
    ++runs;
    Parameters small;
    small.block_exponent = 0;
    Pair p(1, {}, small);
    p.serving_time = e.serving_time;
    p.fate = [&choices] { return fate_of(choices.choose(5)); };
    p.serve = [&e](const Request&) { return Response{200, "application/octet-stream", pattern(e.answer_bytes)}; };
    const auto answer = p.exchange(post("/x", pattern(e.request_bytes)));
    EXPECT_EQ(p.served.size(), 1U) << choices.text();
    if (!answer || p.served.size() != 1) {
      ADD_FAILURE() << choices.text() << ' ' << (answer ? "" : answer.error().what);
      return runs;
    }
    EXPECT_EQ(answer->body, pattern(e.answer_bytes)) << choices.text();
    EXPECT_EQ(p.served.front().body, pattern(e.request_bytes)) << choices.text();
  } while (choices.next_run() && !testing::Test::HasFailure());
  EXPECT_GE(runs, e.least_runs);
  return runs;
}

TEST(CoapExplore, one_datagram_each_way) { explore({5, 5, Duration(0), 4, 300}); }
TEST(CoapExplore, an_answer_after_an_acknowledgement) { explore({5, 5, Duration(700), 4, 1000}); }
TEST(CoapExplore, an_answer_after_retransmissions) { explore({5, 5, Duration(9000), 3, 1000}); }
TEST(CoapExplore, blocks_out) { explore({40, 5, Duration(0), 3, 2000}); }
TEST(CoapExplore, blocks_back) { explore({5, 40, Duration(0), 3, 2000}); }
TEST(CoapExplore, blocks_both_ways_and_a_slow_server) { explore({40, 40, Duration(700), 2, 1000}); }

}  // namespace
}  // namespace imprint::coap
