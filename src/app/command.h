// What every subcommand shares: the global options, how results and problems are printed, and how the data is opened.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/config.h"
#include "app/data_folder.h"
#include "app/exit_code.h"
#include "codec/json.h"
#include "store/store.h"

namespace imprint::app {

struct Globals {
  bool json = false;      // results and problems as JSON
  bool quiet = false;     // no progress
  bool no_color = false;  // also by NO_COLOR
  std::string config;     // file; empty: IMPRINT_CONFIG, ./imprint.toml or /etc/imprint/imprint.toml, if there
  std::string data;       // folder, over the configuration's
};

// Why a command failed, for people: printed in three lines, or as one JSON object.
struct Problem {
  ExitCode code = ExitCode::failed;
  std::string what;    // "dev-1: no device has this id"
  std::string rule;    // its id
  std::string source;  // of the rule
  std::string state;   // where it was found: a state, a file, a line
  std::string next;    // what to do

  // An error without a rule gets a general one by its fault.
  Problem(const Error& error);  // NOLINT(google-explicit-constructor): so that TRY takes a Result as well
  // `about` names the thing that the error is about: a device, a file.
  Problem(const Error& error, std::string_view about);
};

// A value, or the problem that ends the command. TRY works with it.
template <class T>
class [[nodiscard]] OrProblem {
 public:
  template <class U>
  requires std::constructible_from<T, U> OrProblem(U&& value)
      : v_(std::in_place_index<1>, std::forward<U>(value)) {}                     // NOLINT(google-explicit-constructor)
  OrProblem(Problem problem) : v_(std::in_place_index<0>, std::move(problem)) {}  // NOLINT(google-explicit-constructor)
  OrProblem(const Error& error) : OrProblem(Problem(error)) {}                    // NOLINT(google-explicit-constructor)

  explicit operator bool() const { return v_.index() == 1; }
  const Problem& error() const { return std::get<0>(v_); }
  T& operator*() & { return std::get<1>(v_); }
  T&& operator*() && { return std::get<1>(std::move(v_)); }

 private:
  std::variant<Problem, T> v_;
};

// The result with what it is about added to its error.
template <class T>
OrProblem<T> about(Result<T> result, std::string_view what) {
  if (!result) {
    return Problem(result.error(), what);
  }
  return *std::move(result);
}

// CLI-CONFIG with a line for each.
Problem config_problem(const std::vector<ConfigProblem>& problems);

// The owner's data, opened beside a running server or without one.
struct Offline {
  Config config;
  DataFolder folder;
  std::unique_ptr<store::Store> store;
};

class Context {
 public:
  using Command = std::function<OrProblem<Ok>(const Context&)>;
  Globals globals;

  // A subcommand was chosen; main() runs it when the whole command line has been read.
  void choose(Command command) { command_ = std::move(command); }
  const Command& chosen() const { return command_; }

  OrProblem<Config> config() const;
  // The file that config() reads; empty if there is none.
  std::string config_path() const;
  OrProblem<Offline> offline() const;

  // The result, on stdout: JSON with --json, else the text.
  void print(const Json& json, std::string_view text) const;
  // What happens meanwhile, on stderr, unless --quiet.
  void progress(std::string_view line) const;
  void print(const Problem& problem) const;

 private:
  Command command_;
};

// A table with a header for people; control and format characters are written out (codec/printable.h). "" without rows.
std::string table(const std::vector<std::string>& header, const std::vector<std::vector<std::string>>& rows);

// JSON as text on lines of their own; what is not UTF-8 is replaced.
std::string json_text(const Json& json);

// CLI-FILE for a file named on the command line; its exit code says whether the file is there at all.
Problem file_problem(const std::string& path, std::string_view why);

// Files named on the command line.
OrProblem<std::vector<Certificate>> read_certificates(const std::string& path);  // at least one
OrProblem<PrivateKey> read_key(const std::string& path);
// A password or token in a file, or from standard input for "-": without the line's end.
OrProblem<Secret> read_secret(const std::string& path);

}  // namespace imprint::app
