// The command line as declarations: commands, their options and what they run. Only cli.cc knows the library behind it
// (CLI11), which costs seconds of every compilation that sees it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/command.h"
#include "app/completion.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace imprint::app {

// A handle of one option, flag or argument while the command line is declared. Each word gives the handle back.
class Arg {
 public:
  explicit Arg(CLI::Option& option) : option_(&option) {}

  Arg required() const;
  Arg type(const std::string& name) const;  // what --help calls the value: FILE
  Arg between(int least, int most) const;   // both may be given
  Arg between(unsigned least, unsigned most) const;
  Arg between(double least, double most) const;
  Arg not_negative() const;
  Arg one_of(const std::vector<std::string>& values) const;
  Arg list(char separator) const;  // one word of the command line may hold several values
  Arg shows_default() const;       // in --help: the value that the variable has now
  Arg needs(Arg other) const;
  Arg excludes(Arg other) const;

 private:
  CLI::Option* option_;
};

// A handle of one command while the command line is declared; it lives as long as its CommandLine.
class Command {
 public:
  Command(CLI::App& app, Context& context) : app_(&app), context_(&context) {}

  // A command under this one; its --help ends with the examples, one a line.
  Command sub(const std::string& name, const std::string& what, const std::string& examples) const;
  // The same for one that is nothing without a command of its own.
  Command group(const std::string& name, const std::string& what, const std::string& examples) const;

  // "--name", "-n,--name", or "NAME" for an argument by its place. Parsing writes into the variable, which what the
  // command runs has to keep alive.
  Arg option(const std::string& name, std::string& into, const std::string& what) const;
  Arg option(const std::string& name, std::vector<std::string>& into, const std::string& what) const;
  Arg option(const std::string& name, std::uint32_t& into, const std::string& what) const;
  Arg option(const std::string& name, std::uint64_t& into, const std::string& what) const;
  Arg option(const std::string& name, std::int64_t& into, const std::string& what) const;
  Arg option(const std::string& name, double& into, const std::string& what) const;
  Arg flag(const std::string& name, bool& into, const std::string& what) const;

  // What is chosen, in the context, when the command line names this command.
  void runs(const Context::Command& command) const;

 private:
  CLI::App* app_;
  Context* context_;
};

// The whole command line. Options of its top may stand anywhere on it.
class CommandLine {
 public:
  // The context is told what was chosen, and prints what is wrong; it has to outlive this.
  CommandLine(const std::string& name, const std::string& what, const std::string& examples, Context& context);
  ~CommandLine();
  CommandLine(const CommandLine&) = delete;
  CommandLine& operator=(const CommandLine&) = delete;

  Command top() const { return {*app_, *context_}; }

  // Reads the words after argv[0]. None: the context has its command. Else the program's exit code, when the line was
  // wrong or asked for help, which is printed by then.
  std::optional<int> parse(int argc, const char* const* argv);

  // What has been declared, for shell completion.
  CommandShape shape() const;

 private:
  std::unique_ptr<CLI::App> app_;
  Context* context_;
};

// Every command, each declared in the file of its name.
void add_init(Command top);
void add_serve(Command top);
void add_demo(Command top);
void add_factory(Command top);
void add_device(Command top);
void add_profile(Command top);
void add_ca(Command top);
void add_audit(Command top);
void add_voucher(Command top);
void add_onboard(Command top);
void add_discover(Command top);
void add_proxy(Command top);
void add_bench(Command top);
void add_config(Command top);
void add_compare(Command top);
void add_explain(Command top);
void add_version(Command top);
void add_completion(const CommandLine& line);  // after all others; `line` outlives what it runs

}  // namespace imprint::app
