// Many at a time, full disks, forgers, killed processes: what the store promises when things go wrong.
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <future>
#include <latch>
#include <thread>

#include "store/sqlite/checkpoint.h"
#include "store/sqlite/database.h"
#include "store/store_testing.h"

namespace imprint::store {
namespace {

Store::Change entry_of(std::string subject, std::size_t detail_bytes = 2) {
  return [subject = std::move(subject), detail_bytes](Writer& w) {
    AuditEntry entry;
    entry.subject = subject;
    entry.detail = std::string(detail_bytes, 'x');
    return w.append_audit(entry);
  };
}

std::int64_t count(Store& store, std::string_view table) { return *(*store.read())->count(table); }

// Runs SQL on the file behind the store's back.
void meddle(const std::string& path, const char* sql) {
  const auto database = Database::open(path, Database::Access::read_write);
  ASSERT_TRUE(database);
  ASSERT_TRUE((*database)->execute(sql));
}

// ---- many at a time ----

TEST(StoreLoad, thousand_changes_at_once_keep_the_audit_chain_whole_and_a_failing_one_falls_alone) {
  const TestFolder folder;
  const auto store = open_store(folder.file());
  constexpr int kThreads = 4;
  constexpr int kEach = 250;
  std::latch left(kThreads * kEach);
  std::atomic<int> good = 0;
  std::atomic<int> conflicts = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) {
        const std::string id = i % 10 == 0 ? "same" : "dev-" + std::to_string(t) + "-" + std::to_string(i);
        const auto change = [id](Writer& w) { return w.add_device(device_named(id), "import"); };
        store->submit(change, [&](Status status) {
          good += status ? 1 : 0;
          conflicts += fault_of(status) == Fault::conflict ? 1 : 0;
          left.count_down();
        });
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  left.wait();
  EXPECT_EQ(good, 901);
  EXPECT_EQ(conflicts, 99);
  EXPECT_EQ(count(*store, "devices"), 901);
  EXPECT_EQ(count(*store, "audit"), 901);
  EXPECT_TRUE(audit_is_whole(*store));
}

TEST(StoreLoad, failing_change_takes_back_what_it_wrote_and_leaves_the_rest_of_its_batch) {
  const TestFolder folder;
  const auto store = open_store(folder.file());
  std::latch started(1);
  std::latch queued(1);
  std::latch left(4);
  const auto done = [&](Status) { left.count_down(); };
  store->submit(
      [&](Writer&) -> Status {
        started.count_down();
        queued.wait();
        return Ok{};
      },
      done);
  started.wait();  // the next three wait together, so they share a transaction
  store->submit(entry_of("first"), done);
  store->submit(
      [](Writer& w) -> Status {
        EXPECT_TRUE(entry_of("taken back")(w));
        EXPECT_TRUE(w.add_device(device_named("dev-1"), "cli"));
        return Error{Fault::refused, "changed my mind"};
      },
      [&](Status status) {
        EXPECT_EQ(fault_of(status), Fault::refused);
        left.count_down();
      });
  store->submit(entry_of("last"), done);
  queued.count_down();
  left.wait();
  const std::vector<AuditEntry> audit = *(*store->read())->audit(0, 10);
  ASSERT_EQ(audit.size(), 2U);
  EXPECT_EQ(audit[0].subject, "first");
  EXPECT_EQ(audit[1].subject, "last");
  EXPECT_EQ(count(*store, "devices"), 0);
  EXPECT_TRUE(audit_is_whole(*store));
}

TEST(StoreLoad, done_is_called_when_others_can_read_the_change) {
  const TestFolder folder;
  const auto store = open_store(folder.file());
  std::promise<std::int64_t> seen;
  store->submit(entry_of("x"), [&](Status) { seen.set_value(count(*store, "audit")); });
  EXPECT_EQ(seen.get_future().get(), 1);
}

TEST(StoreLoad, two_programs_lengthen_one_chain) {
  const TestFolder folder;
  const auto server = open_store(folder.file());
  const auto command = open_store(folder.file());
  std::thread other([&] {
    for (int i = 0; i < 50; ++i) {
      EXPECT_TRUE(command->write(entry_of("command")));
    }
  });
  for (int i = 0; i < 50; ++i) {
    EXPECT_TRUE(server->write(entry_of("server")));
  }
  other.join();
  EXPECT_EQ(count(*server, "audit"), 100);
  EXPECT_TRUE(audit_is_whole(*command));
}

TEST(StoreLoad, too_many_waiting_changes_are_refused_at_once_and_the_waiting_ones_are_finished_on_closing) {
  constexpr int kQueue = 65'536;
  const TestFolder folder;
  auto store = open_store(folder.file());
  std::latch started(1);
  std::latch go_on(1);
  int finished = 0;  // by the writer's thread only, which is joined before it is read
  store->submit(
      [&](Writer&) -> Status {
        started.count_down();
        go_on.wait();
        return Ok{};
      },
      [&](Status) { ++finished; });
  started.wait();
  for (int i = 0; i < kQueue; ++i) {
    store->submit([](Writer&) -> Status { return Ok{}; }, [&](Status status) { finished += status ? 1 : 0; });
  }
  EXPECT_EQ(fault_of(store->write(entry_of("one too many"))), Fault::unreachable);
  go_on.count_down();
  store.reset();
  EXPECT_EQ(finished, kQueue + 1);
}

// ---- the disk ----

// While it lives, no file of this process grows beyond a size.
class SmallDisk {
 public:
  explicit SmallDisk(std::uintmax_t bytes) : former_handler_(::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &former_);
    rlimit limit = former_;
    limit.rlim_cur = bytes;
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  ~SmallDisk() {
    ::setrlimit(RLIMIT_FSIZE, &former_);
    ::signal(SIGXFSZ, former_handler_);
  }

 private:
  rlimit former_{};
  void (*former_handler_)(int);
};

TEST(StoreDisk, full_disk_fails_the_whole_batch_and_later_changes_work_again) {
  const TestFolder folder;
  auto store = open_store(folder.file());
  ASSERT_TRUE(store->write(entry_of("before")));
  constexpr int kChanges = 40;
  std::latch left(kChanges);
  std::atomic<int> unreachable = 0;
  {
    const SmallDisk disk(std::filesystem::file_size(folder.file() + "-wal") + 10'000);
    for (int i = 0; i < kChanges; ++i) {
      store->submit(entry_of("big", 100'000), [&](Status status) {
        unreachable += fault_of(status) == Fault::unreachable ? 1 : 0;
        left.count_down();
      });
    }
    left.wait();
    EXPECT_EQ(count(*store, "audit"), 1);  // reading goes on
  }
  EXPECT_EQ(unreachable, kChanges);
  EXPECT_TRUE(store->write(entry_of("after", 100'000)));
  store.reset();
  store = open_store(folder.file());
  EXPECT_EQ(count(*store, "audit"), 2);
  EXPECT_TRUE(audit_is_whole(*store));
}

TEST(StoreDisk, change_that_hides_the_disks_failure_is_not_believed) {
  const TestFolder folder;
  const auto store = open_store(folder.file());
  ASSERT_TRUE(store->write(entry_of("before")));
  {
    const SmallDisk disk(std::filesystem::file_size(folder.file() + "-wal") + 10'000);
    const Status status = store->write([](Writer& w) -> Status {
      for (int i = 0; i < 100; ++i) {  // more than SQLite's page cache holds, so that it has to write before the commit
        static_cast<void>(entry_of("big", 100'000)(w));
      }
      return Ok{};
    });
    EXPECT_EQ(fault_of(status), Fault::unreachable);
  }
  EXPECT_EQ(count(*store, "audit"), 1);
  EXPECT_TRUE(store->write(entry_of("after")));
}

TEST(StoreDisk, what_is_no_database_of_ours_is_refused) {
  const TestFolder folder;
  EXPECT_EQ(open_sqlite(folder.file() + "/no/such/folder").error().fault, Fault::unreachable);
  std::ofstream(folder.file()) << std::string(4096, 'x');
  EXPECT_EQ(open_sqlite(folder.file()).error().fault, Fault::malformed);
}

TEST(StoreDisk, what_the_log_holds_moves_into_the_file_on_another_thread) {
  const TestFolder folder;
  open_store(folder.file());
  const auto writer = *Database::open(folder.file(), Database::Access::read_write);
  int pages = 0;
  writer->on_commit([&](int now) { pages = now; });
  ASSERT_TRUE(writer->execute("INSERT INTO numbers (name, last) VALUES ('x', 7)"));
  EXPECT_GT(pages, 0);
  // The file alone, without the log that lies beside it.
  const auto moved = [&] {
    const std::string copy = folder.file() + ".copy";
    for (const char* suffix : {"", "-wal", "-shm"}) {
      std::filesystem::remove(copy + suffix);
    }
    std::filesystem::copy_file(folder.file(), copy);
    const auto alone = *Database::open(copy, Database::Access::read_write);
    Query query = alone->query("SELECT count(*) FROM numbers");
    return *query.step() && query.number(0) == 1;
  };
  EXPECT_FALSE(moved());
  Checkpointer checkpointer(*Database::open(folder.file(), Database::Access::read_write));
  checkpointer.grown_to(1000);
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!moved() && std::chrono::steady_clock::now() < limit) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_TRUE(moved());
}

TEST(StoreDisk, newer_schema_is_refused_and_left_alone) {
  const TestFolder folder;
  ASSERT_TRUE(open_store(folder.file())->write(entry_of("x")));
  meddle(folder.file(), "PRAGMA user_version = 1000");
  EXPECT_EQ(open_sqlite(folder.file()).error().fault, Fault::unsupported);
  meddle(folder.file(), "PRAGMA user_version = 12");
  EXPECT_EQ(count(*open_store(folder.file()), "audit"), 1);
}

TEST(StoreDisk, a_database_of_the_first_version_is_brought_up_to_date) {
  const TestFolder folder;
  std::ifstream file(IMPRINT_TEST_DATA "/store-1.sql");
  const std::string sql((std::istreambuf_iterator<char>(file)), {});
  ASSERT_FALSE(sql.empty());
  meddle(folder.file(), sql.c_str());
  const auto store = open_store(folder.file());
  EXPECT_EQ(count(*store, "devices"), 3);
  EXPECT_EQ(count(*store, "certificates"), 1);
  EXPECT_TRUE(audit_is_whole(*store));
  // What later versions search by, and where it came from as far as the audit log tells.
  CertificateFilter by_name;
  by_name.text = "lamp";
  const auto found = *(*store->read())->certificates(by_name);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].origin.basis, Basis::none);
  const auto entries = *(*store->read())->audit(0, 1000);
  ASSERT_GT(found[0].origin.issued_entry, 0);
  EXPECT_EQ(entries.at(static_cast<std::size_t>(found[0].origin.issued_entry) - 1).action, "certificate.issued");
  CertificateFilter by_digest;
  by_digest.sha256 = to_bytes(sha256(found[0].der));
  EXPECT_EQ((*store->read())->certificates(by_digest)->size(), 1U);
  const auto lamp = *(*store->read())->device("lamp-0001");
  ASSERT_TRUE(lamp);
  EXPECT_EQ(lamp->lifecycle, Lifecycle::commissioned);
  EXPECT_TRUE(store->write([&](Writer& w) { return w.issued(issued_fact(Signer(), 9, "lamp-0002"), {5000}, "est"); }));
  EXPECT_TRUE(store->write([](Writer& w) {
    return w.denied({{1}, "nobody", "", "CN=x", "RULE", "why"}, {5000}, "est");
  }));
  EXPECT_TRUE(audit_is_whole(*store));
}

// Version 2 knew no certificate without a device.
TEST(StoreDisk, certificates_of_version_2_stay_on_record) {
  const TestFolder folder;
  const Signer signer;
  {
    const auto store = open_store(folder.file());
    ASSERT_TRUE(store->write([&](Writer& w) -> Status {
      TRY([[maybe_unused]] const Ok device, w.add_device(device_named("dev-1"), "cli"));
      TRY([[maybe_unused]] const Ok issued, w.issued(issued_fact(signer, 1), Instant{5}, "est"));
      return w.revoke(numbered(1), RevocationReason::superseded, "cli", Instant{6});
    }));
  }
  meddle(folder.file(), R"sql(
    BEGIN;
    CREATE TABLE former (sequence INTEGER PRIMARY KEY, serial BLOB NOT NULL UNIQUE,
      device TEXT NOT NULL REFERENCES devices (id), profile TEXT NOT NULL, subject TEXT NOT NULL, der BLOB NOT NULL,
      spki_sha256 BLOB NOT NULL, request_key BLOB NOT NULL, not_before INTEGER NOT NULL, not_after INTEGER NOT NULL,
      issued INTEGER NOT NULL, identity TEXT NOT NULL, reason TEXT NOT NULL, renews BLOB NOT NULL, revoked INTEGER,
      revocation_reason INTEGER NOT NULL DEFAULT 0) STRICT;
    INSERT INTO former SELECT sequence, serial, device, profile, subject, der, spki_sha256, request_key, not_before,
      not_after, issued, identity, reason, renews, revoked, revocation_reason FROM certificates; DROP TABLE certificates; ALTER TABLE former RENAME TO certificates;
    DROP INDEX pending_waiting; DROP INDEX devices_any_case; DROP TABLE numbers; DROP TABLE answers; DROP TABLE wrap_keys; DROP TABLE pledges; DROP INDEX secrets_user; ALTER TABLE secrets DROP COLUMN digest; ALTER TABLE secrets DROP COLUMN srp;
    PRAGMA user_version = 2; COMMIT;)sql");
  const auto store = open_store(folder.file());
  const auto row = *(*store->read())->certificate(numbered(1));
  ASSERT_TRUE(row);
  EXPECT_EQ(row->device, "dev-1");
  EXPECT_EQ(row->revoked, Instant{6});
  EXPECT_EQ(row->revocation_reason, RevocationReason::superseded);
  ASSERT_TRUE(store->write(
      [&](Writer& w) { return w.issued_to_server(signer.certificate(numbered(2)), "", Instant{7}, "server"); }));
  EXPECT_EQ(count(*store, "certificates"), 2);
}

// Decided requests stay on record for good, and must not hide those that wait behind them.
TEST(StoreDisk, what_waits_behind_a_hundred_thousand_decided_requests_is_seen) {
  const TestFolder folder;
  const auto store = open_store(folder.file());
  meddle(folder.file(), R"sql(
    INSERT INTO pending (request_key, device, identity, device_identity, label, subject, csr, reason, first, last, asked,
      state, decided_by, decided)
    WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 100001)
    SELECT CAST('decided' || i AS BLOB), 'dev-1', '', '', '', '', x'', '', 1, 1, 1, 'refused', 'cli', 1 FROM n;)sql");
  ASSERT_TRUE(store->write([](Writer& w) -> Status {
    for (const char* const device : {"dev-1", "dev-2"}) {
      Pended fact;
      fact.device = device;
      fact.request_key = to_bytes(std::string_view(device));
      TRY([[maybe_unused]] const Ok pended, w.pended(fact, Instant{2}, "est"));
    }
    return Ok{};
  }));
  const auto reader = *store->read();
  EXPECT_EQ(reader->waiting("")->size(), 2U);
  const auto of_one = *reader->waiting("dev-2");
  ASSERT_EQ(of_one.size(), 1U);
  EXPECT_EQ(of_one[0].what.device, "dev-2");
}

// ---- forgers ----

struct Forgery {
  const char* sql;
  std::optional<std::int64_t> found_at;
};
class AuditForgery : public testing::TestWithParam<Forgery> {};

TEST_P(AuditForgery, is_found_where_it_was_made) {
  const TestFolder folder;
  const auto store = open_store(folder.file());
  for (int i = 0; i < 2500; ++i) {  // more than verify_audit() reads at a time
    store->submit(entry_of("dev-" + std::to_string(i)), [](Status) {});
  }
  ASSERT_TRUE(store->write(entry_of("last")));
  meddle(folder.file(), GetParam().sql);
  const std::unique_ptr<Reader> reader = *store->read();
  EXPECT_EQ(*verify_audit(*reader), GetParam().found_at);
}

INSTANTIATE_TEST_SUITE_P(all, AuditForgery,
                         testing::Values(Forgery{"SELECT 1", std::nullopt},
                                         Forgery{"UPDATE audit SET detail = '{}' WHERE sequence = 3", 3},
                                         Forgery{"UPDATE audit SET actor = 'x' WHERE sequence = 1", 1},
                                         Forgery{"UPDATE audit SET at = 1 WHERE sequence = 2501", 2501},
                                         Forgery{"UPDATE audit SET hash = zeroblob(32) WHERE sequence = 1000", 1000},
                                         Forgery{"DELETE FROM audit WHERE sequence = 1", 2},
                                         Forgery{"DELETE FROM audit WHERE sequence BETWEEN 990 AND 1010", 1011},
                                         Forgery{"UPDATE audit SET sequence = 9999 WHERE sequence = 2501", 9999}));

TEST(AuditForgeryWithHash, recomputed_hash_is_found_at_the_next_entry) {
  const TestFolder folder;
  const auto store = open_store(folder.file());
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(store->write(entry_of("x")));
  }
  AuditEntry forged = (*(*store->read())->audit(2, 1))[0];
  forged.subject = "y";
  const std::string sql =
      "UPDATE audit SET subject = 'y', hash = x'" + hex(audit_hash(forged)) + "' WHERE sequence = 3";
  meddle(folder.file(), sql.c_str());
  EXPECT_EQ(*verify_audit(**store->read()), 4);
}

// ---- kill -9 ----

// The child's life: issues certificates as fast as it can and writes the number of each to the pipe once it is durable.
[[noreturn]] void issue_until_killed(const std::string& path, int pipe) {
  const auto store = open_store(path);
  const Signer signer;
  static_cast<void>(store->write([](Writer& w) { return w.add_device(device_named("dev-1"), "cli"); }));
  const std::uint32_t begin = static_cast<std::uint32_t>(count(*store, "audit")) * 1000;
  std::atomic<int> in_flight = 0;
  for (std::uint32_t n = begin;; ++n) {
    ++in_flight;
    while (in_flight > 64) {
      std::this_thread::yield();
    }
    const auto change = [fact = issued_fact(signer, n)](Writer& w) { return w.issued(fact, Instant{1}, "est"); };
    store->submit(change, [&in_flight, pipe, n](Status status) {
      --in_flight;
      if (!status || ::write(pipe, &n, sizeof n) != sizeof n) {
        std::_Exit(1);
      }
    });
  }
}

// Lets a child work until it has reported `enough` certificates, kills it, and gives back all that it reported.
std::vector<std::uint32_t> numbers_of_killed_child(const std::string& path, std::size_t enough) {
  std::array<int, 2> pipe{};
  EXPECT_EQ(::pipe(pipe.data()), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(pipe[0]);
    issue_until_killed(path, pipe[1]);
  }
  ::close(pipe[1]);
  std::vector<std::uint32_t> numbers;
  std::uint32_t n = 0;
  while (::read(pipe[0], &n, sizeof n) == sizeof n) {
    numbers.push_back(n);
    if (numbers.size() == enough) {
      ::kill(child, SIGKILL);
    }
  }
  ::close(pipe[0]);
  int how = 0;
  ::waitpid(child, &how, 0);
  EXPECT_TRUE(WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL);
  return numbers;
}

TEST(StoreCrash, every_certificate_reported_before_a_kill_is_there_afterwards) {
  const TestFolder folder;
  for (const std::size_t enough : {1U, 57U, 130U, 200U, 333U}) {
    const std::vector<std::uint32_t> numbers = numbers_of_killed_child(folder.file(), enough);
    ASSERT_GE(numbers.size(), enough);
    const auto store = open_store(folder.file());
    const std::unique_ptr<Reader> reader = *store->read();
    for (const std::uint32_t n : numbers) {
      ASSERT_TRUE(reader->certificate(numbered(n))->has_value()) << n;
    }
    EXPECT_EQ(*reader->count("audit"), *reader->count("certificates") + 1);  // one entry each, and the device's
    EXPECT_EQ(*verify_audit(*reader), std::nullopt);
  }
}

}  // namespace
}  // namespace imprint::store
