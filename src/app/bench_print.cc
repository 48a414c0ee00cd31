#include "app/bench_print.h"

#include <array>
#include <cmath>
#include <csignal>
#include <cstdio>

#include "app/cli_rules.h"
#include "io/file.h"

namespace imprint::app {
namespace {

// The last error that the file names, or else its last line; empty if there is none.
std::string last_words(const std::string& file) {
  const auto log = io::read_file(file);
  std::string text = log ? std::string(as_text(*log)) : std::string();
  text.erase(text.find_last_not_of('\n') + 1);
  const std::size_t error = text.rfind("error: ");
  const std::size_t at = error == std::string::npos ? text.rfind('\n') + 1 : error;  // npos + 1 is 0
  return text.substr(at, text.find('\n', at) - at);
}

}  // namespace

std::atomic<bool> bench_interrupted{false};

void bench_signals() {
  std::signal(SIGINT, [](int) { bench_interrupted = true; });
  std::signal(SIGTERM, [](int) { bench_interrupted = true; });
}

std::string bench_number(double value, int digits) {
  std::array<char, 64> out{};
  std::snprintf(out.data(), out.size(), "%.*f", digits, value);
  return out.data();
}

double bench_rounded(double value) { return std::round(value * 1000) / 1000; }

std::string bench_against(bool met, const std::string& aim) { return aim + (met ? ", met" : ", not met"); }

Problem bench_broken(const Error& error, const std::vector<std::string>& logs) {
  Problem problem(Error{error.fault, kBench});
  problem.what = error.what;
  for (const std::string& log : logs) {
    const std::string said = last_words(log);
    problem.state += said.empty() ? "" : (problem.state.empty() ? "the server's last words: " : "; another's: ") + said;
  }
  problem.state = problem.state.empty() ? "the server said nothing" : problem.state;
  return problem;
}

}  // namespace imprint::app
