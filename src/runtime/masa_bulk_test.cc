// The slices of a bulk call, without sockets: what hostile requests, the store and other calls do to them.
#include "runtime/masa_bulk.h"

#include <condition_variable>
#include <filesystem>
#include <future>
#include <mutex>
#include <nlohmann/json.hpp>

#include "codec/base64.h"
#include "codec/json.h"
#include "crypto/random.h"
#include "factory/masa_testing.h"

namespace imprint {
namespace {

using factory::testing::Party;
using factory::testing::World;
using Ends = std::vector<BulkEnd>;

// A store whose answers wait until they are let go, or that says that nothing was kept.
class HeldStore final : public store::MakerStore {
 public:
  explicit HeldStore(store::MakerStore& inner) : inner_(inner) {}
  void submit(Change change, std::function<void(Status)> done) override {
    const std::scoped_lock lock(mutex_);
    waiting_.push_back({std::move(change), std::move(done)});
    came_.notify_all();
  }
  Result<std::unique_ptr<store::MakerReader>> read() override { return inner_.read(); }

  void wait_for(std::size_t count) {
    std::unique_lock lock(mutex_);
    came_.wait(lock, [&] { return waiting_.size() >= count; });
  }
  void let_go() {
    for (auto& [change, done] : take()) {
      inner_.submit(std::move(change), std::move(done));
    }
  }
  void fail() {
    for (auto& [change, done] : take()) {
      done(Error{Fault::unreachable, "store: disk full"});
    }
  }

 private:
  using Waiting = std::vector<std::pair<Change, std::function<void(Status)>>>;
  Waiting take() {
    const std::scoped_lock lock(mutex_);
    return std::exchange(waiting_, {});
  }
  store::MakerStore& inner_;
  std::mutex mutex_;
  std::condition_variable came_;
  Waiting waiting_;
};

class MasaSlices : public ::testing::Test {
 protected:
  static constexpr std::size_t kDevices = 60;

  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("imprint-bulk-" + hex(random_secret(rng_, 8).expose()));
    std::filesystem::create_directories(folder_);
    store_ = *store::open_maker_sqlite((folder_ / "masa.db").string());
    held_ = std::make_unique<HeldStore>(*store_);
    site_->config.idevid_anchors = {world_.maker.certificate};
    site_->voucher_signer = factory::testing::signer_of(world_.masa, world_.maker);
    site_->policy.pepper = Secret("pepper");
    ASSERT_TRUE(store_->write([&](store::MakerWriter& w) -> Status {
      TRY(Ok{}, w.put_customer(world_.account("first", {world_.first.ca.certificate}), "test"));
      TRY(Ok{}, w.put_customer(world_.account("second", {world_.second.ca.certificate}), "test"));
      TRY(Ok{}, w.add_device(world_.record(lamp_, "theirs", "second"), "test"));
      for (std::size_t i = 0; i < kDevices; ++i) {
        TRY(Ok{}, w.add_device(world_.record(lamp_, serial(i), "first"), "test"));
      }
      return Ok{};
    }));
  }
  void TearDown() override {
    pool_.reset();
    held_.reset();
    store_.reset();
    std::filesystem::remove_all(folder_);
  }

  static std::string serial(std::size_t i) { return "bulk-" + std::to_string(i); }
  std::string line(const std::string& serial, const std::string& nonce = "") const {
    return Json{{"id", serial}, {"request", base64(World::request(world_.first, lamp_, serial, nonce, {}))}}.dump();
  }
  std::shared_ptr<BulkCommon> common(store::MakerStore& store, std::string body = {}) {
    return std::shared_ptr<BulkCommon>(new BulkCommon{site_, store, loop_, std::make_shared<Session>(), std::nullopt,
                                                      std::make_shared<const Bytes>(to_bytes(body)), pool_->queue()});
  }
  // One call for these lines, in slices of so many.
  std::vector<std::future<Ends>> start(const std::string& body, std::size_t slice, store::MakerStore& store) {
    const auto shared = common(store, body);
    auto items = *parse_bulk(as_text(*shared->body), 1000);
    std::vector<std::future<Ends>> out;
    for (std::size_t first = 0; first < items.size(); first += slice) {
      std::vector<BulkItem> some;
      for (std::size_t i = first; i < std::min(items.size(), first + slice); ++i) {
        some.push_back(std::move(items[i]));
      }
      const auto done = std::make_shared<std::promise<Ends>>();
      out.push_back(done->get_future());
      run_bulk_slice(shared, first, std::move(some), [done](Ends ends) { done->set_value(std::move(ends)); });
    }
    return out;
  }
  static std::vector<Json> lines(std::vector<std::future<Ends>> slices) {
    std::vector<Json> out;
    for (auto& one : slices) {
      for (const BulkEnd& end : one.get()) {
        EXPECT_EQ(end.line.back(), '\n');
        out.push_back(*parse_json(end.line));
        EXPECT_EQ(out.back()["status"], end.told.status);
        EXPECT_EQ(out.back().contains("voucher"), end.good);
      }
    }
    return out;
  }
  std::vector<Json> run(const std::string& body, std::size_t slice = 16) { return lines(start(body, slice, *store_)); }
  std::int64_t vouchers() { return *(*store_->read())->count("vouchers"); }

  SystemRng rng_;
  io::Loop loop_;  // for the time alone
  World world_{io::wall_clock()};
  Party lamp_ = world_.device("lamp-1");
  std::filesystem::path folder_;
  std::unique_ptr<store::MakerStore> store_;
  std::unique_ptr<HeldStore> held_;
  std::shared_ptr<MasaSite> site_ = std::make_shared<MasaSite>();
  std::unique_ptr<WorkPool> pool_ = std::make_unique<WorkPool>(4);
};

TEST_F(MasaSlices, a_line_for_each_in_their_order_and_a_bad_one_ends_alone) {
  Bytes changed = World::request(world_.first, lamp_, serial(2), "", {});
  changed[changed.size() - 5] ^= 1U;
  const std::string garbled = Json{{"id", "bad"}, {"request", base64(changed)}}.dump();
  const std::vector<Json> got = run(line(serial(0)) + "\n\"%%%\"\n" + line(serial(1)) + "\n{\"id\": \"none\"}\n" +
                                        garbled + "\nno JSON\n\"AAAA\"\n" + line(serial(3)) + "\n",
                                    3);
  ASSERT_EQ(got.size(), 8U);
  for (std::size_t n = 0; n < got.size(); ++n) {
    EXPECT_EQ(got[n]["n"], n);
  }
  for (const std::size_t good : {0U, 2U, 7U}) {
    ASSERT_EQ(got[good]["status"], 200) << got[good];
    const auto artifact = brski::parse_artifact(*parse_base64(got[good]["voucher"].get<std::string>()));
    ASSERT_TRUE(artifact);
    EXPECT_EQ(artifact->voucher.serial_number, got[good]["id"].get<std::string>());
    EXPECT_EQ(got[good]["type"], "application/voucher-cms+json");
  }
  for (const std::size_t bad : {1U, 3U, 5U, 6U}) {
    EXPECT_EQ(got[bad]["status"], 400) << got[bad];
  }
  EXPECT_EQ(got[3]["id"], "none");
  EXPECT_EQ(got[4]["status"], 403) << got[4];
  EXPECT_EQ(got[4]["id"], "bad");
  EXPECT_EQ(vouchers(), 3);
}

TEST_F(MasaSlices, one_request_many_times_gets_one_voucher) {
  const std::string one = line(serial(0)) + "\n";
  std::string body;
  for (int i = 0; i < 20; ++i) {
    body += one;
  }
  for (const std::size_t slice : {20U, 3U, 1U}) {  // within a slice, and in several at once
    for (const Json& got : run(body, slice)) {
      ASSERT_EQ(got["status"], 200) << got;
      EXPECT_EQ(got["voucher"], run(one)[0]["voucher"]);
    }
  }
  EXPECT_EQ(vouchers(), 1);
}

// Most of a line is read without the JSON library: what it means is the same.
TEST(MasaBulkLine, a_long_request_is_taken_for_what_the_json_says) {
  const std::string text(200, 'A'), other(80, 'B');
  const auto read = [](const std::string& line) {
    BulkItem item;
    item.text = line;
    read_bulk_item(item);
    return item;
  };
  const Bytes request = *parse_base64(text);
  for (const std::string& line :
       {"\"" + text + "\"", "{\"request\": \"" + text + "\"}",
        "{\"id\": \"" + other + "\", \"request\": \"" + text + "\", \"accept\": \"x\"}",
        "{\"request\": \"" + text + "\", \"id\": \"#\"}", "{\"request\": \"" + text + "\", \"id\": \"a\\\"b\"}"}) {
    EXPECT_EQ(read(line).request, request) << line;
    EXPECT_TRUE(read(line).wrong.empty()) << line;
  }
  EXPECT_EQ(read("{\"id\": \"" + other + "\", \"request\": \"" + text + "\"}").id, other);
  EXPECT_EQ(read("{\"id\": \"" + text + "\", \"request\": \"AAAA\"}").id, text) << "the longest is not the request";
  EXPECT_EQ(read("{\"id\": \"" + text + "\", \"request\": \"AAAA\"}").request, Bytes(3));
  EXPECT_EQ(read("{\"request\": \"" + text + "\", \"id\": \"#\"}").id, "#");
  EXPECT_EQ(read("{\"note\": \"" + text + "\", \"request\": \"#\"}").wrong, "no base64") << "the note is no request";
  EXPECT_EQ(read("{\"" + text + "\": 1}").wrong, "no member \"request\"");
  EXPECT_EQ(read("{\"" + text + "\": 1, \"" + text + "\": 1, \"request\": \"AAAA\"}").wrong, "no JSON");
  EXPECT_EQ(read("{\"request\": \"" + text + "\", \"request\": \"" + text + "\"}").wrong, "no JSON");
  EXPECT_EQ(read("{\"request\": [\"" + text + "\"]}").wrong, "neither base64 nor an object");
  EXPECT_EQ(read("\"" + text + "=A\"").wrong, "no base64");
  EXPECT_EQ(read("\"" + text).wrong, "no JSON");
}

// Each is judged by a record that the one before changes: who was overtaken is judged anew.
TEST_F(MasaSlices, several_requests_for_one_device_are_each_answered) {
  const std::string body =
      line(serial(0)) + "\n" + line(serial(0), "bm9uY2Utbm9uY2Ux") + "\n" + line(serial(0), "bm9uY2Utbm9uY2Uy") + "\n";
  for (const Json& got : run(body)) {
    EXPECT_EQ(got["status"], 200) << got;
  }
  EXPECT_EQ(vouchers(), 3);
}

TEST_F(MasaSlices, what_is_anothers_or_unknown_is_refused_among_ones_own) {
  const std::vector<Json> got = run(line("theirs") + "\n" + line(serial(0)) + "\n" + line("nowhere") + "\n");
  EXPECT_EQ(got[0]["status"], 403);
  EXPECT_NE(got[0]["error"].get<std::string>().find("MASA-"), std::string::npos);
  EXPECT_EQ(got[1]["status"], 200);
  EXPECT_EQ(got[2]["status"], 404);
  EXPECT_EQ(vouchers(), 1);
  EXPECT_EQ((*(*store_->read())->refused(10)).size(), 1U) << "the claim that was refused is on record";
}

TEST_F(MasaSlices, two_calls_at_once_get_the_same_vouchers) {
  std::string body;
  for (std::size_t i = 0; i < kDevices; ++i) {
    body += line(serial(i)) + "\n";
  }
  auto one = start(body, 7, *store_), other = start(body, 5, *store_);
  const std::vector<Json> first = lines(std::move(one)), second = lines(std::move(other));
  ASSERT_EQ(first.size(), kDevices);
  ASSERT_EQ(second.size(), kDevices);
  for (std::size_t i = 0; i < kDevices; ++i) {
    ASSERT_EQ(first[i]["status"], 200) << first[i];
    EXPECT_EQ(first[i]["voucher"], second[i]["voucher"]);
  }
  EXPECT_EQ(vouchers(), static_cast<std::int64_t>(kDevices));
  EXPECT_FALSE(*store::verify_audit(**store_->read()));
}

TEST_F(MasaSlices, nothing_is_said_before_it_is_on_record) {
  auto slices = start(line(serial(0)) + "\n" + line(serial(1)) + "\n", 2, *held_);
  held_->wait_for(2);
  EXPECT_EQ(slices[0].wait_for(std::chrono::milliseconds(50)), std::future_status::timeout);
  EXPECT_EQ(vouchers(), 0);
  held_->let_go();
  for (const Json& got : lines(std::move(slices))) {
    EXPECT_EQ(got["status"], 200) << got;
  }
  EXPECT_EQ(vouchers(), 2);
}

TEST_F(MasaSlices, what_the_disk_did_not_keep_is_not_given_out) {
  auto slices = start(line(serial(0)) + "\n\"%%%\"\n", 2, *held_);
  held_->wait_for(1);
  held_->fail();
  const std::vector<Json> got = lines(std::move(slices));
  EXPECT_EQ(got[0]["status"], 503) << got[0];
  EXPECT_EQ(got[1]["status"], 400);
  EXPECT_EQ(vouchers(), 0);
}

TEST_F(MasaSlices, a_call_that_is_over_begins_nothing_more) {
  pool_ = std::make_unique<WorkPool>(1);
  const auto shared = common(*store_, line(serial(0)) + "\n");
  shared->over = true;
  std::atomic<bool> said = false;
  std::promise<void> next;
  run_bulk_slice(shared, 0, *parse_bulk(as_text(*shared->body), 10), [&](const Ends&) { said = true; });
  pool_->queue()->post([&] { next.set_value(); });  // after it, on the one thread
  next.get_future().wait();
  EXPECT_TRUE(store_->write([](store::MakerWriter&) -> Status { return Ok{}; }));  // what it had begun is done
  EXPECT_FALSE(said);
  EXPECT_EQ(vouchers(), 0);
}

// The MASA stops in the middle of a call: what the store has is kept, and nothing is said of it.
TEST_F(MasaSlices, the_pool_may_end_before_the_store_has_answered) {
  auto slices = start(line(serial(0)) + "\n", 1, *held_);
  held_->wait_for(1);
  pool_.reset();
  held_->let_go();
  EXPECT_TRUE(store_->write([](store::MakerWriter&) -> Status { return Ok{}; }));  // after it
  EXPECT_EQ(vouchers(), 1);
  EXPECT_THROW(slices[0].get(), std::future_error) << "whoever waited for it was let go";
  pool_ = std::make_unique<WorkPool>(2);
  EXPECT_EQ(run(line(serial(0)) + "\n")[0]["status"], 200);
  EXPECT_GE(vouchers(), 1);
}

}  // namespace
}  // namespace imprint
