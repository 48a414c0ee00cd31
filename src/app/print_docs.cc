// Prints the parts of the documents that come from the code: `./dev docs` writes them, `./dev check` compares.
//   print_docs errors   docs/errors.md
//   print_docs NAME     the state tables of src/proto/NAME/README.md, NAME being est or brski
#include <algorithm>
#include <array>
#include <iostream>
#include <string_view>

#include "app/rule_book.h"
#include "proto/brski/masa.h"
#include "proto/brski/pledge.h"
#include "proto/brski/registrar.h"
#include "proto/est/client.h"
#include "proto/est/server.h"
#include "role/table.h"

namespace imprint {
namespace {

void print_rules(const app::RuleChapter& chapter) {
  std::cout << "\n## " << chapter.title
            << "\n\n| id | what was found | source | what to do |\n| --- | --- | --- | --- |\n";
  for (const Rule* rule : chapter.rules) {
    std::cout << "| <a id=\"" << rule->id << "\"></a>`" << rule->id << "` | " << rule->what << " | " << rule->source
              << " | " << rule->next << " |\n";
  }
}

void print_errors() {
  std::cout << "# Errors\n\nEvery refusal names a rule. Its id is stable; the same words stand in the command line, "
               "the API and "
               "the log. This page is\nprinted from the code by `./dev docs`.\n";
  for (const app::RuleChapter& chapter : app::rule_book()) {
    print_rules(chapter);
  }
}

template <class Role>
void print_role(std::string_view name) {
  std::cout << "### " << name << "\n\n```mermaid\nstateDiagram-v2\n";
  for (const TableRow& row : transition_table<Role>()) {
    for (const std::string& next : row.next) {
      std::cout << "  " << row.state << " --> " << next << " : " << row.input << '\n';
    }
  }
  std::cout << "```\n\n";
}

void print_est() {
  print_role<est::Client>("Client");
  print_role<est::Server>("Server");
}

void print_brski() {
  print_role<brski::Pledge>("Pledge");
  print_role<brski::Registrar>("Registrar");
  print_role<brski::Masa>("MASA");
}

struct Printed {
  std::string_view name;
  void (*print)();
};
constexpr std::array<Printed, 3> kPrinted{{{"errors", print_errors}, {"est", print_est}, {"brski", print_brski}}};

}  // namespace
}  // namespace imprint

int main(int argc, char** argv) {
  const std::string_view what = argc > 1 ? argv[1] : "";
  const auto at = std::ranges::find(imprint::kPrinted, what, &imprint::Printed::name);
  if (at == imprint::kPrinted.end()) {
    std::cerr << "print_docs errors|est|brski\n";
    return 2;
  }
  at->print();
  return 0;
}
