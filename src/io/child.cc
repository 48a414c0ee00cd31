#include "io/child.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

extern char** environ;  // NOLINT(readability-redundant-declaration): POSIX leaves it to the program

namespace imprint::io {
namespace {

constexpr Duration kLookEvery{50};
constexpr Duration kGrace{1000};  // between SIGTERM and SIGKILL

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (std::string& text : texts) {
    out.push_back(text.data());
  }
  out.push_back(nullptr);
  return out;
}

// What is for this process alone: another program has no business with the PIN of our key.
constexpr std::string_view kOwnPin = "IMPRINT_KEY_PIN=";

// A name that is given anew replaces the one of before.
std::vector<std::string> environment(const std::vector<std::string>& variables) {
  std::vector<std::string> out = variables;
  for (char** at = environ; *at != nullptr; ++at) {
    const std::string one = *at;
    const std::string name = one.substr(0, one.find('=') + 1);
    bool given = name == kOwnPin;
    for (const std::string& each : variables) {
      given = given || each.starts_with(name);
    }
    if (!given) {
      out.push_back(one);
    }
  }
  return out;
}

// A process that was started with SIGCHLD ignored would never see a child's end.
void see_children() {
  struct sigaction now {};
  if (::sigaction(SIGCHLD, nullptr, &now) == 0 && now.sa_handler == SIG_IGN) {
    ::signal(SIGCHLD, SIG_DFL);
  }
}

std::string fault_in(int status) {
  if (WIFSIGNALED(status)) {
    return "ended by signal " + std::to_string(WTERMSIG(status));
  }
  return WEXITSTATUS(status) != 0 ? "exit code " + std::to_string(WEXITSTATUS(status)) : std::string();
}

// Signals as at a program's start, whatever this process ignores.
void set_attributes(posix_spawnattr_t& attributes) {
  sigset_t all, none;
  sigfillset(&all);
  sigemptyset(&none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
}

}  // namespace

Result<std::unique_ptr<Child>> Child::start(Schedule& schedule, const std::vector<std::string>& words,
                                            const std::vector<std::string>& variables, Duration limit, Ended ended) {
  CHECK_OR(!words.empty(), Error{Fault::malformed, "command: no words"});
  std::vector<std::string> argv = words;
  std::vector<std::string> envp = environment(variables);
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&files);
  posix_spawnattr_init(&attributes);
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&files, STDERR_FILENO, STDOUT_FILENO);
  posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
  set_attributes(attributes);
  see_children();
  pid_t pid = 0;
  const int failed =
      ::posix_spawnp(&pid, argv.front().c_str(), &files, &attributes, pointers(argv).data(), pointers(envp).data());
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&attributes);
  CHECK_OR(failed == 0, Error{Fault::unreachable, "command: cannot be started"});
  return std::unique_ptr<Child>(new Child(schedule, pid, limit, std::move(ended)));
}

Child::Child(Schedule& schedule, int pid, Duration limit, Ended ended)
    : schedule_(schedule), pid_(pid), left_(limit), ended_(std::move(ended)) {
  timer_ = schedule_.after(kLookEvery, [this] { look(); });
}

Child::~Child() {
  schedule_.cancel(timer_);
  if (running_) {
    ::kill(-pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
}

void Child::look() {
  siginfo_t seen{};
  // Its id is its group's, and stays so until it is reaped.
  if (::waitid(P_PID, static_cast<id_t>(pid_), &seen, WEXITED | WNOHANG | WNOWAIT) != 0) {
    end("its end was not seen");
    return;
  }
  if (seen.si_pid == pid_) {
    if (asked_to_end_) {
      ::kill(-pid_, SIGKILL);  // those it started may have stayed
    }
    int status = 0;
    ::waitpid(pid_, &status, 0);
    end(asked_to_end_ ? "took too long" : fault_in(status));
    return;
  }
  left_ -= kLookEvery;
  if (left_ <= Duration(0)) {
    ::kill(-pid_, asked_to_end_ ? SIGKILL : SIGTERM);
    asked_to_end_ = true;
    left_ = kGrace;
  }
  timer_ = schedule_.after(kLookEvery, [this] { look(); });
}

void Child::end(const std::string& fault) {
  running_ = false;
  schedule_.post([ended = std::move(ended_), fault] { ended(fault); });  // which may destroy this
}

}  // namespace imprint::io
