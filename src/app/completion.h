// Shell completion: scripts made from what the command line declares.
#pragma once

#include <string>
#include <vector>

namespace imprint::app {

// What may stand where a value is wanted.
enum class ValueKind { none, text, file, folder, choice };

struct OptionShape {
  std::vector<std::string> names;  // "--quiet", "-q"; none: an argument by its place
  std::string what;
  ValueKind value = ValueKind::none;
  std::vector<std::string> choices;
};

struct CommandShape {
  std::string name, what;
  std::vector<OptionShape> options;  // without those of the commands above
  std::vector<CommandShape> commands;
};

// A script for one shell. Options of the whole may stand after any command.
std::string bash_completion(const CommandShape& root);
std::string zsh_completion(const CommandShape& root);
std::string fish_completion(const CommandShape& root);

}  // namespace imprint::app
