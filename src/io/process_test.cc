// Other programs: the one that started us, and those that we start.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "io/child.h"
#include "io/file.h"
#include "io/loop.h"
#include "io/notify.h"

namespace imprint::io {
namespace {

// A service manager's socket.
class Manager {
 public:
  explicit Manager(const std::string& address) {
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    std::memcpy(at.sun_path, address.data(), address.size());
    if (address.front() == '@') {
      at.sun_path[0] = '\0';
    }
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address.size());
    EXPECT_EQ(::bind(fd_, reinterpret_cast<const sockaddr*>(&at), length), 0);
  }
  Manager(const Manager&) = delete;
  Manager& operator=(const Manager&) = delete;
  ~Manager() { ::close(fd_); }
  // "" if nothing was said.
  std::string heard() const {
    std::array<char, 512> text{};
    const ssize_t n = ::recv(fd_, text.data(), text.size(), MSG_DONTWAIT);
    return n < 0 ? std::string() : std::string(text.data(), static_cast<std::size_t>(n));
  }

 private:
  int fd_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
};

TEST(Notify, says_it_at_a_path_and_at_an_abstract_name) {
  const std::string path =
      (std::filesystem::temp_directory_path() / ("imprint-notify-" + std::to_string(::getpid()))).string();
  for (const std::string& address : {path, "@imprint-notify-" + std::to_string(::getpid())}) {
    const Manager manager(address);
    const ServiceManager service(address);
    service.ready();
    EXPECT_EQ(manager.heard(), "READY=1");
    service.status("next renewal soon\nREADY=0");
    EXPECT_EQ(manager.heard(), "STATUS=next renewal soonREADY=0");  // one line, whatever is in it
    service.alive();
    EXPECT_EQ(manager.heard(), "WATCHDOG=1");
    service.stopping();
    EXPECT_EQ(manager.heard(), "STOPPING=1");
  }
  std::filesystem::remove(path);
}

TEST(Notify, nobody_there_is_no_fault) {
  ServiceManager().ready();
  ServiceManager("/nowhere/at/all").ready();
  ServiceManager(std::string(500, 'x')).ready();
}

TEST(Notify, the_environment_is_taken_and_not_handed_on) {
  ::setenv("NOTIFY_SOCKET", "@somebody", 1);
  ::setenv("WATCHDOG_USEC", "30000000", 1);
  ::setenv("WATCHDOG_PID", std::to_string(::getpid()).c_str(), 1);
  const auto service = ServiceManager::from_environment();
  EXPECT_TRUE(service.listens());
  EXPECT_EQ(service.alive_every(), std::chrono::seconds(15));
  EXPECT_EQ(std::getenv("NOTIFY_SOCKET"), nullptr);
  ::setenv("WATCHDOG_USEC", "30000000", 1);
  ::setenv("WATCHDOG_PID", "1", 1);  // another process's
  EXPECT_EQ(ServiceManager::from_environment().alive_every(), std::nullopt);
  ::setenv("WATCHDOG_USEC", "soon", 1);
  EXPECT_EQ(ServiceManager::from_environment().alive_every(), std::nullopt);
}

// How a command ended; "running" if it did not within ten seconds.
std::string outcome(const std::vector<std::string>& words, const std::vector<std::string>& variables, Duration limit) {
  Loop loop;
  std::string out = "running";
  const auto child = Child::start(loop, words, variables, limit, [&](const std::string& fault) {
    out = fault;
    loop.stop();
  });
  if (!child) {
    return std::string(child.error().what);
  }
  loop.after(std::chrono::seconds(10), [&loop] { loop.stop(); });
  loop.run();
  return out;
}

TEST(Child, runs_words_without_a_shell) {
  const std::string file =
      (std::filesystem::temp_directory_path() / ("imprint child $(id) " + std::to_string(::getpid()))).string();
  EXPECT_EQ(outcome({"touch", file}, {}, std::chrono::seconds(5)), "");
  EXPECT_TRUE(std::filesystem::exists(file));
  std::filesystem::remove(file);
}

TEST(Child, has_the_variables_and_no_file_of_ours) {
  const std::string of_before = "IMPRINT_CHILD=old";
  ::setenv("IMPRINT_CHILD", "old", 1);
  EXPECT_EQ(outcome({"sh", "-c", "[ \"$IMPRINT_CHILD\" = new ]"}, {"IMPRINT_CHILD=new"}, std::chrono::seconds(5)), "");
  ::unsetenv("IMPRINT_CHILD");
  const int ours = ::dup(2);  // not closed by exec
  EXPECT_EQ(outcome({"sh", "-c", "[ ! -e /proc/self/fd/" + std::to_string(ours) + " ]"}, {}, std::chrono::seconds(5)),
            "");
  ::close(ours);
}

TEST(Child, how_it_ended_is_told) {
  EXPECT_EQ(outcome({"sh", "-c", "exit 3"}, {}, std::chrono::seconds(5)), "exit code 3");
  EXPECT_EQ(outcome({"sh", "-c", "kill -9 $$"}, {}, std::chrono::seconds(5)), "ended by signal 9");
  EXPECT_EQ(outcome({"/nowhere/at/all"}, {}, std::chrono::seconds(5)), "command: cannot be started");
  EXPECT_EQ(outcome({}, {}, std::chrono::seconds(5)), "command: no words");
}

TEST(Child, what_takes_too_long_is_ended_with_all_that_it_started) {
  EXPECT_EQ(outcome({"sh", "-c", "trap '' TERM; sleep 60 & wait; sleep 60"}, {}, Duration(100)), "took too long");
}

// What it started may outlive it and look away from SIGTERM: the group ends all the same.
TEST(Child, what_it_leaves_behind_is_ended_too) {
  const std::string file =
      (std::filesystem::temp_directory_path() / ("imprint-child-left-" + std::to_string(::getpid()))).string();
  const std::string left = "(trap '' TERM; echo $$ >/dev/null; exec sh -c 'trap \"\" TERM; echo $$ >" + file +
                           "; while :; do sleep 1; done') & wait";
  EXPECT_EQ(outcome({"sh", "-c", left}, {}, Duration(500)), "took too long");
  const auto text = read_file(file, 64);
  ASSERT_TRUE(text);
  const int pid = std::atoi(std::string(as_text(*text)).c_str());
  ASSERT_GT(pid, 0);
  const auto over = [pid] {  // gone, or dead and not yet reaped by whoever inherits it
    const auto stat = read_file("/proc/" + std::to_string(pid) + "/stat", 4096);
    return !stat || as_text(*stat).find(") Z ") != std::string_view::npos;
  };
  for (int i = 0; i < 200 && !over(); ++i) {
    ::usleep(20'000);
  }
  EXPECT_TRUE(over());
  std::filesystem::remove(file);
}

TEST(Child, its_end_is_seen_by_a_process_that_was_told_to_ignore_children) {
  ::signal(SIGCHLD, SIG_IGN);
  EXPECT_EQ(outcome({"sh", "-c", "exit 3"}, {}, std::chrono::seconds(5)), "exit code 3");
  ::signal(SIGCHLD, SIG_DFL);
}

TEST(Child, does_not_get_the_pin_of_our_key) {
  ::setenv("IMPRINT_KEY_PIN", "1234", 1);
  EXPECT_EQ(outcome({"sh", "-c", "[ -z \"$IMPRINT_KEY_PIN\" ]"}, {}, std::chrono::seconds(5)), "");
  ::unsetenv("IMPRINT_KEY_PIN");
}

TEST(Child, ends_with_its_handle) {
  Loop loop;
  const std::string file =
      (std::filesystem::temp_directory_path() / ("imprint-child-pid-" + std::to_string(::getpid()))).string();
  auto child = Child::start(loop, {"sh", "-c", "echo $$ >'" + file + "'; exec sleep 60"}, {}, std::chrono::seconds(60),
                            [](const std::string&) {});
  ASSERT_TRUE(child);
  const auto said = [&file] {
    const auto text = read_file(file, 64);
    return text ? std::string(as_text(*text)) : std::string();
  };
  for (int i = 0; i < 200 && said().empty(); ++i) {
    ::usleep(20'000);
  }
  const int pid = std::atoi(said().c_str());
  ASSERT_GT(pid, 0);
  EXPECT_EQ(::kill(pid, 0), 0);
  (*child).reset();
  EXPECT_NE(::kill(pid, 0), 0);
  std::filesystem::remove(file);
}

}  // namespace
}  // namespace imprint::io
