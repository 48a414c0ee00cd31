// Names of states and inputs, and the whole transition table, read off a role's types.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "role/step.h"

namespace imprint {

// The unqualified name of a type: "Enrolling" for imprint::est::Client::Enrolling, "Done<Response>" for a template.
template <class T>
std::string type_name() {
  std::string_view pretty = __PRETTY_FUNCTION__;  // "… [with T = X; …]" (gcc) or "… [T = X]" (clang)
  const auto begin = pretty.find("T = ") + 4;
  int depth = 0;
  auto end = begin;
  for (; end < pretty.size(); ++end) {
    const char c = pretty[end];
    depth += c == '<' ? 1 : c == '>' ? -1 : 0;
    if ((c == ';' || c == ']') && depth == 0) {
      break;
    }
  }
  std::string out;
  std::string word;
  bool aside = false;  // within "(anonymous namespace)"
  for (const char c : pretty.substr(begin, end - begin)) {
    if (c == '(' || c == ')' || aside) {
      aside = c != ')';
    } else if (c == '<' || c == '>' || c == ',' || c == ' ') {
      out += word;
      word.clear();
      if (c != ' ') {
        out += c;
      }
    } else if (c == ':') {
      word.clear();
    } else {
      word += c;
    }
  }
  return out + word;
}

// The name of the state that a variant is in.
template <class Role>
std::string_view state_name(const typename Role::State& state) {
  return std::visit(
      []<class S>(const S&) -> std::string_view {
        static const std::string kName = type_name<S>();
        return kName;
      },
      state);
}

// One transition: in this state, this input leads to one of these.
struct TableRow {
  std::string state, input;
  std::vector<std::string> next;
};

namespace table_detail {

template <class T>
struct NextNames;
template <class S>
struct NextNames<Result<S>> {
  static std::vector<std::string> names() { return {type_name<S>()}; }
};
template <class... S>
struct NextNames<Result<std::variant<S...>>> {
  static std::vector<std::string> names() { return {type_name<S>()...}; }
};

template <class Role, class S, class I>
void add_row(std::vector<TableRow>& out) {
  if constexpr (edge<Role, S, I>) {
    using Next = decltype(std::declval<const Role&>().on(std::declval<const S&>(), std::declval<const I&>(),
                                                         std::declval<typename Role::Turn&>()));
    out.push_back({type_name<S>(), type_name<I>(), NextNames<Next>::names()});
  }
}
template <class Role, class S, class... I>
void add_state(std::vector<TableRow>& out, const std::variant<I...>*) {
  (add_row<Role, S, I>(out), ...);
}
template <class Role, class... S>
void add_states(std::vector<TableRow>& out, const std::variant<S...>*) {
  (add_state<Role, S>(out, static_cast<const typename Role::Input*>(nullptr)), ...);
}

}  // namespace table_detail

// Every transition of a role, in the order of its states and inputs.
template <class Role>
std::vector<TableRow> transition_table() {
  std::vector<TableRow> out;
  table_detail::add_states<Role>(out, static_cast<const typename Role::State*>(nullptr));
  return out;
}

}  // namespace imprint
