#include "bench/machine.h"

#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace imprint::bench {
namespace {

// As it was before anything was pinned.
const cpu_set_t& own_cores() {
  static const cpu_set_t set = [] {
    cpu_set_t out;
    CPU_ZERO(&out);
    sched_getaffinity(0, sizeof out, &out);
    return out;
  }();
  return set;
}

double seconds_of(clockid_t clock) {
  timespec t{};
  return clock_gettime(clock, &t) == 0 ? static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9 : 0;
}

}  // namespace

unsigned cores() { return static_cast<unsigned>(std::max(1, CPU_COUNT(&own_cores()))); }

bool pin_to(unsigned core) {
  unsigned seen = 0;
  for (int i = 0; i < CPU_SETSIZE; ++i) {
    if (CPU_ISSET(i, &own_cores()) && seen++ == core) {
      cpu_set_t one;
      CPU_ZERO(&one);
      CPU_SET(i, &one);
      return sched_setaffinity(0, sizeof one, &one) == 0;
    }
  }
  return false;
}

void unpin() { sched_setaffinity(0, sizeof(cpu_set_t), &own_cores()); }

double now_s() { return seconds_of(CLOCK_MONOTONIC); }

double thread_cpu_s() { return seconds_of(CLOCK_THREAD_CPUTIME_ID); }

double process_cpu_s(pid_t pid) {
  clockid_t clock{};
  return clock_getcpuclockid(pid, &clock) == 0 ? seconds_of(clock) : 0;
}

std::vector<double> thread_cpus_s(pid_t pid) {
  std::vector<double> out;
  std::error_code error;
  for (const auto& task : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/task", error)) {
    std::ifstream in(task.path() / "stat");
    std::string line;
    std::getline(in, line);
    std::istringstream fields(line.substr(std::min(line.rfind(')') + 1, line.size())));  // a name may hold spaces
    std::string skipped;
    for (int i = 0; i < 11; ++i) {
      fields >> skipped;
    }
    double user = 0;
    double system = 0;
    fields >> user >> system;
    out.push_back((user + system) / static_cast<double>(sysconf(_SC_CLK_TCK)));
  }
  std::sort(out.rbegin(), out.rend());
  return out;
}

double waited_s(pid_t pid) {
  double out = 0;
  std::error_code error;
  for (const auto& task : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/task", error)) {
    std::ifstream in(task.path() / "schedstat");
    double ran_ns = 0;
    double waited_ns = 0;
    in >> ran_ns >> waited_ns;
    out += waited_ns * 1e-9;
  }
  return out;
}

double anonymous_kib(pid_t pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/status");
  for (std::string word; in >> word;) {
    double kib = 0;
    if (word == "RssAnon:" && in >> kib) {
      return kib;
    }
  }
  return 0;
}

double quantile(std::vector<double> figures, double part) {
  if (figures.empty()) {
    return 0;
  }
  const auto last = static_cast<double>(figures.size() - 1);
  const auto at = static_cast<std::ptrdiff_t>(std::ceil(std::clamp(part, 0.0, 1.0) * last));
  std::nth_element(figures.begin(), figures.begin() + at, figures.end());
  return figures[static_cast<std::size_t>(at)];
}

std::size_t raise_file_limit() {
  constexpr rlim_t kPlenty = 128 * 1024;
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
    return 0;
  }
  const rlimit more{std::max(limit.rlim_max, kPlenty), std::max(limit.rlim_max, kPlenty)};  // only root may
  if (setrlimit(RLIMIT_NOFILE, &more) == 0) {
    return more.rlim_cur;
  }
  limit.rlim_cur = limit.rlim_max;
  return setrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 0;
}

}  // namespace imprint::bench
