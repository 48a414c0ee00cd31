#include "app/completion.h"

#include <algorithm>

namespace imprint::app {
namespace {

// A command with the words that lead to it, "imprint device add", and all options that may follow it.
struct Place {
  std::string path;
  const CommandShape* command;
  std::vector<const OptionShape*> options;
};

void collect(const CommandShape& command, const std::string& above, const std::vector<const OptionShape*>& options,
             std::vector<Place>& out) {
  const std::string path = above.empty() ? command.name : above + " " + command.name;
  // An option of this command goes before one of the same name from above.
  std::vector<const OptionShape*> all;
  for (const OptionShape& option : command.options) {
    all.push_back(&option);
  }
  for (const OptionShape* const option : options) {
    const bool known =
        std::ranges::any_of(command.options, [&](const OptionShape& own) { return own.names == option->names; });
    if (!known && !option->names.empty()) {
      all.push_back(option);
    }
  }
  out.push_back({path, &command, all});
  for (const CommandShape& sub : command.commands) {
    collect(sub, path, all, out);
  }
}

std::vector<Place> places_of(const CommandShape& root) {
  std::vector<Place> out;
  collect(root, "", {}, out);
  return out;
}

std::string joined(const std::vector<std::string>& words, const std::string& between) {
  std::string out;
  for (const std::string& word : words) {
    out += (out.empty() ? "" : between) + word;
  }
  return out;
}

std::string replaced(const std::string& text, char what, const std::string& by) {
  std::string out;
  for (const char c : text) {
    out += c == what ? by : std::string(1, c);
  }
  return out;
}

// In single quotes, for bash and zsh.
std::string quoted(const std::string& text) { return "'" + replaced(text, '\'', "'\\''") + "'"; }

std::string quoted_for_fish(const std::string& text) {
  return "'" + replaced(replaced(text, '\\', "\\\\"), '\'', "\\'") + "'";
}

// The words that may follow: commands, then options. Options alone are offered after a dash.
std::vector<std::string> words_after(const Place& place, bool options) {
  std::vector<std::string> out;
  if (!options) {
    std::ranges::transform(place.command->commands, std::back_inserter(out), &CommandShape::name);
    return out;
  }
  for (const OptionShape* const option : place.options) {
    out.insert(out.end(), option->names.begin(), option->names.end());
  }
  return out;
}

// What an argument by its place may be: that of the first one that says more than "text".
const OptionShape* argument_of(const Place& place) {
  const auto at = std::ranges::find_if(place.options, [](const OptionShape* o) {
    return o->names.empty() && o->value != ValueKind::text && o->value != ValueKind::none;
  });
  return at == place.options.end() ? nullptr : *at;
}

// "'imprint device add:--label'|'imprint device add:-l'": the patterns of a case.
std::string patterns(const Place& place, const OptionShape& option) {
  std::vector<std::string> out;
  for (const std::string& name : option.names) {
    out.push_back(quoted(place.path + ":" + name));
  }
  return joined(out, "|");
}

std::string command_patterns(const std::vector<Place>& places) {
  std::vector<std::string> out;
  for (std::size_t i = 1; i < places.size(); ++i) {  // the first is the program itself
    out.push_back(quoted(places[i].path));
  }
  return joined(out, "|");
}

std::string bash_value(const OptionShape& option) {
  switch (option.value) {
    case ValueKind::file:
      return "_imprint_files -f";
    case ValueKind::folder:
      return "_imprint_files -d";
    case ValueKind::choice:
      return "_imprint_words " + quoted(joined(option.choices, " "));
    case ValueKind::text:
    case ValueKind::none:
      break;
  }
  return ":";
}

std::string zsh_value(const OptionShape& option) {
  switch (option.value) {
    case ValueKind::file:
      return "_files";
    case ValueKind::folder:
      return "_files -/";
    case ValueKind::choice:
      return "compadd -- " + joined(option.choices, " ");
    case ValueKind::text:
    case ValueKind::none:
      break;
  }
  return ":";
}

// A case over "PATH:OPTION" with what each option's value may be; only options that take one are in it.
template <class Value>
std::string value_cases(const std::vector<Place>& places, const std::string& indent, const Value& value) {
  std::string out;
  for (const Place& place : places) {
    for (const OptionShape* const option : place.options) {
      if (option->value != ValueKind::none && !option->names.empty()) {
        out += indent + patterns(place, *option) + ") " + value(*option) + "; return 0 ;;\n";
      }
    }
  }
  return out;
}

std::string zsh_described(const std::string& name, const std::string& what) {
  return quoted(replaced(name, ':', "\\:") + ":" + what);
}

}  // namespace

std::string bash_completion(const CommandShape& root) {
  const std::vector<Place> places = places_of(root);
  std::string out = R"(# bash completion of imprint; made by `imprint completion bash`.
_imprint_files() {
  compopt -o filenames 2>/dev/null
  mapfile -t COMPREPLY < <(compgen "$1" -- "$cur")
}

_imprint_words() {
  mapfile -t COMPREPLY < <(compgen -W "$1" -- "$cur")
}

# The value of the option $1 ("COMMAND:OPTION"); 1 if it takes none.
_imprint_value() {
  case "$1" in
)";
  out += value_cases(places, "    ", bash_value);
  out += R"(  esac
  return 1
}

_imprint() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} at=imprint i word
  COMPREPLY=()
  if [ "$cur" = "=" ]; then
    cur=
  elif [ "$prev" = "=" ]; then
    prev=${COMP_WORDS[COMP_CWORD-2]}
  fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=${COMP_WORDS[i]}
    if [[ "$word" == -* ]] && _imprint_value "$at:$word" 2>/dev/null; then
      ((i++))
      [ "${COMP_WORDS[i]}" = "=" ] && ((i++))
      continue
    fi
    case "$at $word" in
      )";
  out += command_patterns(places) + R"() at="$at $word" ;;
    esac
  done
  COMPREPLY=()
  _imprint_value "$at:$prev" && return
  case "$at" in
)";
  for (const Place& place : places) {
    const OptionShape* const argument = argument_of(place);
    out += "    " + quoted(place.path) + ")\n";
    out += "      if [[ \"$cur\" == -* ]]; then\n        _imprint_words " +
           quoted(joined(words_after(place, true), " ")) + "\n";
    if (argument != nullptr) {
      out += "      else\n        " + bash_value(*argument) + "\n";
    } else if (!place.command->commands.empty()) {
      out += "      else\n        _imprint_words " + quoted(joined(words_after(place, false), " ")) + "\n";
    }
    out += "      fi\n      ;;\n";
  }
  return out + "  esac\n}\n\ncomplete -F _imprint imprint\n";
}

std::string zsh_completion(const CommandShape& root) {
  const std::vector<Place> places = places_of(root);
  std::string out = R"(#compdef imprint
# zsh completion of imprint; made by `imprint completion zsh`.
# The value of the option $1 ("COMMAND:OPTION"); 1 if it takes none.
_imprint_value() {
  case "$1" in
)";
  out += value_cases(places, "    ", [](const OptionShape& o) { return "[[ -n $2 ]] || " + zsh_value(o); });
  out += R"(  esac
  return 1
}

_imprint() {
  local at=imprint word i
  local -a names
  for ((i = 2; i < CURRENT; i++)); do
    word=${words[i]}
    if [[ $word == -* ]] && _imprint_value "$at:$word" only-look; then
      ((i++))
      continue
    fi
    case "$at $word" in
      )";
  out += command_patterns(places) + R"() at="$at $word" ;;
    esac
  done
  _imprint_value "$at:${words[CURRENT-1]}" && return
  case "$at" in
)";
  for (const Place& place : places) {
    out += "    " + quoted(place.path) + ")\n      if [[ ${words[CURRENT]} == -* ]]; then\n        names=(";
    for (const OptionShape* const option : place.options) {
      for (const std::string& name : option->names) {
        out += "\n          " + zsh_described(name, option->what);
      }
    }
    out += ")\n        _describe -o option names\n";
    if (const OptionShape* const argument = argument_of(place)) {
      out += "      else\n        " + zsh_value(*argument) + "\n";
    } else if (!place.command->commands.empty()) {
      out += "      else\n        names=(";
      for (const CommandShape& sub : place.command->commands) {
        out += "\n          " + zsh_described(sub.name, sub.what);
      }
      out += ")\n        _describe command names\n";
    }
    out += "      fi\n      ;;\n";
  }
  return out + R"(  esac
}

if [[ ${funcstack[1]} == _imprint ]]; then
  _imprint "$@"
else
  compdef _imprint imprint
fi
)";
}

std::string fish_completion(const CommandShape& root) {
  const std::vector<Place> places = places_of(root);
  std::string out = "# fish completion of imprint; made by `imprint completion fish`.\nset -g __imprint_commands";
  for (std::size_t i = 1; i < places.size(); ++i) {
    out += " " + quoted_for_fish(places[i].path);
  }
  out += R"(

# Whether the words so far lead to the command $argv[1].
function __imprint_at
  set -l at imprint
  for word in (commandline -opc)[2..-1]
    if contains -- "$at $word" $__imprint_commands
      set at "$at $word"
    end
  end
  test "$at" = "$argv[1]"
end

complete -c imprint -f
)";
  for (const Place& place : places) {
    const std::string head = "complete -c imprint -n " + quoted_for_fish("__imprint_at \"" + place.path + "\"");
    for (const CommandShape& sub : place.command->commands) {
      out += head + " -a " + quoted_for_fish(sub.name) + " -d " + quoted_for_fish(sub.what) + "\n";
    }
    for (const OptionShape* const option : place.options) {
      std::string line = head;
      for (const std::string& name : option->names) {
        line += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
      }
      if (option->value == ValueKind::file || option->value == ValueKind::folder) {
        line += option->names.empty() ? " -F" : " -r -F";
      } else if (option->value == ValueKind::choice) {
        line += " -x -a " + quoted_for_fish(joined(option->choices, " "));
      } else if (option->value == ValueKind::text) {
        line += " -x";
      }
      if (!option->names.empty() || line.ends_with("-F")) {
        out += line + " -d " + quoted_for_fish(option->what) + "\n";
      }
    }
  }
  return out;
}

}  // namespace imprint::app
