#include "app/cli.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <iostream>

#include "app/cli_rules.h"
#include "app/exit_code.h"
#include "app/suggestion.h"
#include "app/version.h"

namespace imprint::app {
namespace {

std::string footer(const std::string& examples) {
  std::string out = "Examples:\n";
  for (std::size_t at = 0; at < examples.size();) {
    const std::size_t end = std::min(examples.find('\n', at), examples.size());
    out += "  " + examples.substr(at, end - at) + "\n";
    at = end + 1;
  }
  return out;
}

constexpr std::string_view kGlobals =
    "\nGlobal options: --data FOLDER, --config FILE, --json, --quiet, --no-color (see `imprint --help`)\n";

// A word that is no command where one is needed; nothing if that is not what is wrong.
std::optional<Problem> unknown_word(const CLI::App& app) {
  const CLI::App* at = &app;
  std::string path = "imprint";
  while (!at->get_subcommands().empty()) {
    at = at->get_subcommands().front();
    path += " " + at->get_name();
  }
  const std::vector<std::string> rest = app.remaining(/*recurse=*/true);
  const auto word = std::ranges::find_if(rest, [](const std::string& w) { return !w.starts_with("-"); });
  if (word == rest.end() || at->get_require_subcommand_min() == 0) {
    return std::nullopt;
  }
  Problem out(Error{Fault::malformed, kOption});
  std::vector<std::string> names;
  for (const CLI::App* const sub : at->get_subcommands([](const CLI::App*) { return true; })) {
    names.push_back(sub->get_name());
  }
  out.what = "`" + path + "` has no command `" + *word + "`" + suggestion(*word, names);
  out.next = "`" + path + " --help` lists its commands";
  return out;
}

// The command line was wrong, or asked for help.
int end(const CLI::App& app, const Context& context, const CLI::ParseError& error) {
  if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success)) {
    return app.exit(error);
  }
  Problem problem(Error{Fault::malformed, kOption});
  problem.what = error.what();
  problem = unknown_word(app).value_or(std::move(problem));
  context.print(problem);
  return static_cast<int>(problem.code);
}

// "clear|wrapped", or what a check of membership calls itself: "TEXT:{pem,der}". None for anything else.
std::vector<std::string> choices_of(const std::string& type) {
  const std::size_t open = type.find('{'), shut = type.rfind('}');
  const bool members = open != std::string::npos && shut != std::string::npos && open < shut;
  if (!members && (type.find('|') == std::string::npos || type.starts_with("FILE"))) {
    return {};
  }
  return CLI::detail::split(members ? type.substr(open + 1, shut - open - 1) : type, members ? ',' : '|');
}

OptionShape shape_of(const CLI::Option& option) {
  OptionShape out;
  for (const std::string& name : option.get_lnames()) {
    out.names.push_back("--" + name);
  }
  for (const std::string& name : option.get_snames()) {
    out.names.push_back("-" + name);
  }
  out.what = option.get_description();
  if (option.get_type_size_max() == 0) {
    return out;  // a flag
  }
  const std::string type = option.get_type_name();
  out.choices = choices_of(type);
  out.value = !out.choices.empty()                        ? ValueKind::choice
              : type.starts_with("FILE") || type == "URI" ? ValueKind::file  // of a key: a file is one, too
              : type.starts_with("FOLDER")                ? ValueKind::folder
                                                          : ValueKind::text;
  return out;
}

CommandShape shape_of(const CLI::App& app) {
  CommandShape out{app.get_name(), app.get_description(), {}, {}};
  for (const CLI::Option* const option : app.get_options([](const CLI::Option*) { return true; })) {
    out.options.push_back(shape_of(*option));
  }
  for (const CLI::App* const sub : app.get_subcommands([](const CLI::App*) { return true; })) {
    out.commands.push_back(shape_of(*sub));
  }
  return out;
}

}  // namespace

// ---- an option ----

Arg Arg::required() const {
  option_->required();
  return *this;
}

Arg Arg::type(const std::string& name) const {
  option_->type_name(name);
  return *this;
}

Arg Arg::between(int least, int most) const {
  option_->check(CLI::Range(least, most));
  return *this;
}

Arg Arg::between(unsigned least, unsigned most) const {
  option_->check(CLI::Range(least, most));
  return *this;
}

// What is no number is between nothing.
Arg Arg::between(double least, double most) const {
  option_->check(CLI::Range(least, most))->check([](const std::string& text) {
    double value = 0;
    return CLI::detail::lexical_cast(text, value) && std::isfinite(value) ? std::string() : "not a number: " + text;
  });
  return *this;
}

Arg Arg::not_negative() const {
  option_->check(CLI::NonNegativeNumber);
  return *this;
}

Arg Arg::one_of(const std::vector<std::string>& values) const {
  option_->check(CLI::IsMember(values));
  return *this;
}

Arg Arg::list(char separator) const {
  option_->delimiter(separator);
  return *this;
}

Arg Arg::shows_default() const {
  option_->capture_default_str();
  return *this;
}

Arg Arg::needs(Arg other) const {
  option_->needs(other.option_);
  return *this;
}

Arg Arg::excludes(Arg other) const {
  option_->excludes(other.option_);
  return *this;
}

// ---- a command ----

Command Command::sub(const std::string& name, const std::string& what, const std::string& examples) const {
  CLI::App* const out = app_->add_subcommand(name, what);
  out->footer(footer(examples) + std::string(kGlobals));
  return {*out, *context_};
}

Command Command::group(const std::string& name, const std::string& what, const std::string& examples) const {
  const Command out = sub(name, what, examples);
  out.app_->require_subcommand(1);
  return out;
}

Arg Command::option(const std::string& name, std::string& into, const std::string& what) const {
  return Arg(*app_->add_option(name, into, what));
}

Arg Command::option(const std::string& name, std::vector<std::string>& into, const std::string& what) const {
  return Arg(*app_->add_option(name, into, what));
}

Arg Command::option(const std::string& name, std::uint32_t& into, const std::string& what) const {
  return Arg(*app_->add_option(name, into, what));
}

Arg Command::option(const std::string& name, std::uint64_t& into, const std::string& what) const {
  return Arg(*app_->add_option(name, into, what));
}

Arg Command::option(const std::string& name, std::int64_t& into, const std::string& what) const {
  return Arg(*app_->add_option(name, into, what));
}

Arg Command::option(const std::string& name, double& into, const std::string& what) const {
  return Arg(*app_->add_option(name, into, what));
}

Arg Command::flag(const std::string& name, bool& into, const std::string& what) const {
  return Arg(*app_->add_flag(name, into, what));
}

void Command::runs(const Context::Command& command) const {
  app_->callback([context = context_, command] { context->choose(command); });
}

// ---- the whole ----

CommandLine::CommandLine(const std::string& name, const std::string& what, const std::string& examples,
                         Context& context)
    : app_(std::make_unique<CLI::App>(what, name)), context_(&context) {
  app_->fallthrough();
  app_->require_subcommand(1);
  app_->footer(footer(examples));
  app_->set_version_flag("-V,--version", name + " " + std::string(kVersion));
}

CommandLine::~CommandLine() = default;

std::optional<int> CommandLine::parse(int argc, const char* const* argv) {
  if (argc == 1) {
    std::cerr << app_->help();
    return static_cast<int>(ExitCode::usage);
  }
  try {
    app_->parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return end(*app_, *context_, error);
  }
  return std::nullopt;
}

CommandShape CommandLine::shape() const { return shape_of(*app_); }

}  // namespace imprint::app
