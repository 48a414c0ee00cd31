#include <nlohmann/json.hpp>

#include "app/cli.h"
#include "app/completion.h"

namespace imprint::app {

void add_completion(const CommandLine& line) {
  auto shell = std::make_shared<std::string>();
  const Command command = line.top().sub("completion", "Print a script that completes this command in a shell.",
                                         "imprint completion bash > /etc/bash_completion.d/imprint\n"
                                         "imprint completion zsh > /usr/local/share/zsh/site-functions/_imprint\n"
                                         "imprint completion fish > ~/.config/fish/completions/imprint.fish");
  command.option("SHELL", *shell, "bash, zsh or fish").required().one_of({"bash", "zsh", "fish"});
  command.runs([&line, shell](const Context& context) -> OrProblem<Ok> {
    const CommandShape shape = line.shape();
    const std::string script = *shell == "zsh"    ? zsh_completion(shape)
                               : *shell == "fish" ? fish_completion(shape)
                                                  : bash_completion(shape);
    context.print(Json{{"shell", *shell}, {"script", script}}, script);
    return Ok{};
  });
}

}  // namespace imprint::app
