#include "bench/process.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>

#include "bench/machine.h"
#include "codec/json.h"
#include "io/file.h"

namespace imprint::bench {
namespace {

constexpr double kStartTime_s = 20;
constexpr double kStopTime_s = 15;
constexpr auto kPoll = std::chrono::milliseconds(10);

// In the child: nothing but calls that are safe after fork().
[[noreturn]] void become(const char* program, char* const* arguments, char* const* environment, const char* log,
                         std::optional<unsigned> core) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // it never outlives the measurement
  core ? static_cast<void>(pin_to(*core)) : unpin();
  const int out = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  dup2(out, STDOUT_FILENO);
  dup2(out, STDERR_FILENO);
  execve(program, arguments, environment);
  _exit(127);
}

// The caller's environment without what would configure the server: IMPRINT_API_LISTEN and its like.
std::vector<char*> neutral_environment() {
  std::vector<char*> out;
  for (char** one = environ; *one != nullptr; ++one) {
    if (!std::string_view(*one).starts_with("IMPRINT_")) {
      out.push_back(*one);
    }
  }
  out.push_back(nullptr);
  return out;
}

// The port that the file names, once this process has written it.
std::optional<std::uint16_t> port_in(const std::string& endpoints, int pid) {
  const auto text = io::read_file(endpoints, 4096);
  const auto json = text ? parse_json(as_text(*text)) : Result<Json>(text.error());
  if (!json || json->value("pid", 0) != pid) {
    return std::nullopt;
  }
  const std::string est = json->value("est", std::string());
  return static_cast<std::uint16_t>(std::strtoul(est.c_str() + est.rfind(':') + 1, nullptr, 10));
}

}  // namespace

Result<ServerProcess> ServerProcess::start(const std::vector<std::string>& arguments, const std::string& endpoints,
                                           const std::string& log, std::optional<unsigned> core) {
  return start(arguments, FindPort([&endpoints](int pid) { return port_in(endpoints, pid); }), log, core);
}

Result<ServerProcess> ServerProcess::start(const std::vector<std::string>& arguments, const FindPort& find_port,
                                           const std::string& log, std::optional<unsigned> core) {
  std::error_code error;
  std::string program = std::filesystem::read_symlink("/proc/self/exe", error);
  CHECK_OR(!error, Error{Fault::internal, "bench: this program's own file"});
  std::vector<std::string> copies = arguments;
  std::vector<char*> pointers{program.data()};
  for (std::string& one : copies) {
    pointers.push_back(one.data());
  }
  pointers.push_back(nullptr);
  const std::vector<char*> environment = neutral_environment();
  static_cast<void>(cores());  // asked before fork(): the child must not allocate
  const pid_t pid = fork();
  CHECK_OR(pid >= 0, Error{Fault::internal, "bench: no process for the server"});
  if (pid == 0) {
    become(program.c_str(), pointers.data(), environment.data(), log.c_str(), core);
  }
  ServerProcess out(pid);
  for (const double end = now_s() + kStartTime_s; now_s() < end; std::this_thread::sleep_for(kPoll)) {
    if (const auto port = find_port(pid)) {
      out.port_ = *port;
      return out;
    }
    CHECK_OR(waitpid(pid, nullptr, WNOHANG) == 0, (out.pid_ = 0, Error{Fault::unreachable, "bench: the server ended"}));
  }
  return Error{Fault::unreachable, "bench: the server does not start"};
}

bool ServerProcess::stop() {
  if (pid_ == 0) {
    return true;
  }
  kill(pid_, SIGTERM);
  int status = 0;
  const double end = now_s() + kStopTime_s;
  while (waitpid(pid_, &status, WNOHANG) == 0) {
    if (now_s() > end) {
      kill(pid_, SIGKILL);
      waitpid(pid_, &status, 0);
      break;
    }
    std::this_thread::sleep_for(kPoll);
  }
  pid_ = 0;
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace imprint::bench
