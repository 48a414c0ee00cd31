#include "survey/compare_run.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "codec/printable.h"
#include "crypto/csr.h"
#include "crypto/hash.h"
#include "crypto/x509.h"
#include "survey/page.h"
#include "survey/protocols.h"

namespace imprint::survey {
namespace {

constexpr std::size_t kMostLinks = 64;
constexpr std::size_t kShownBytes = 64;
constexpr std::size_t kBytesALine = 32;
constexpr std::size_t kIndent = 14;
constexpr std::size_t kStepIndent = 26;
constexpr std::size_t kMostIndents = 16;

using Chains = std::map<std::string, std::vector<Link>, std::less<>>;

std::string problem_of(const BeliefChange& change, const Beliefs& held) {
  if (change.fate == Fate::forgotten) {
    return "forgotten without being held";
  }
  if (change.evidence.ground == Ground::check && change.evidence.because.empty()) {
    return "its evidence ends nowhere: a check that stands on no belief";
  }
  for (const std::string& reason : change.evidence.because) {
    if (held.find(reason) == nullptr) {
      return "its evidence ends nowhere: " + reason + " was not held";
    }
  }
  return change.fate == Fate::replaced ? "replaces a belief that was not held" : "learned a second time";
}

// The belief itself, then the chains of what it stands on: each was held, with its chain, before this one came.
std::vector<Link> chain_of(const BeliefChange& change, Strength held, const Chains& chains) {
  std::vector<Link> out{{0, change.belief.id, held, change.evidence.ground, change.evidence.check}};
  for (const std::string& reason : change.evidence.because) {
    const auto under = chains.find(reason);
    if (under == chains.end()) {
      continue;
    }
    for (Link link : under->second) {
      if (out.size() >= kMostLinks) {
        return out;
      }
      link.depth += 1;
      out.push_back(std::move(link));
    }
  }
  return out;
}

// What the bytes are, if we can tell: "certificate of CN=x, by CN=y", "certification request of CN=x", "text …".
std::string kind_of(BytesView bytes) {
  if (const auto certificate = Certificate::parse(bytes)) {
    return "certificate of " + certificate->subject.text + ", by " + certificate->issuer.text;
  }
  if (const auto request = CertificateRequest::parse(bytes)) {
    return "certification request of " + request->subject.text;
  }
  if (const auto request = CertificateRequest::parse_crmf(bytes)) {
    return "certificate request message of " + request->subject.text;
  }
  const bool readable =
      !bytes.empty() && std::ranges::all_of(bytes, [](std::uint8_t b) { return b >= 0x20 && b < 0x7f; });
  return readable ? "text " + std::string(as_text(bytes)) : std::string();
}

BytesView first_of(BytesView bytes) { return bytes.first(std::min(bytes.size(), kShownBytes)); }

// Pairs of digits, the first 64 bytes, on lines of 32.
std::vector<std::string> dump(BytesView bytes) {
  std::vector<std::string> out;
  const BytesView shown = first_of(bytes);
  for (std::size_t i = 0; i < shown.size(); ++i) {
    if (i % kBytesALine == 0) {
      out.emplace_back();
    }
    out.back() += (i % kBytesALine == 0 ? "" : " ") + hex(shown.subspan(i, 1));
  }
  if (bytes.size() > shown.size()) {
    out.back() += " ...";
  }
  return out;
}

std::string strength_text(const BeliefReport& belief) {
  if (belief.change.fate == Fate::forgotten) {
    return "no longer held";
  }
  if (!belief.held) {
    return "does not stand";
  }
  std::string out(name(*belief.held));
  if (*belief.held < belief.change.strength) {
    out += " (the check alone would give: " + std::string(name(belief.change.strength)) + ")";
  }
  return out;
}

std::string until_text(Instant until) { return until == kNoEnd ? "no end" : utc_text(until); }

void text_chain(const BeliefReport& belief, std::string& out) {
  std::string lead = "  rests on";
  for (const Link& link : belief.chain) {
    const std::string basis = std::string(name(link.ground)) + ": " + link.check;
    const std::size_t indent = kIndent + std::min(link.depth, kMostIndents) * 2;
    out += hanging(lead, link.depth == 0 ? basis : "because " + link.id, indent);
    if (link.depth > 0) {
      out += hanging("", std::string(name(link.strength)) + ", " + basis, indent + 2);
    }
    lead.clear();
  }
}

void text_bytes(BytesView bytes, std::string& out) {
  if (bytes.empty()) {
    return;
  }
  const std::string kind = kind_of(bytes);
  out += hanging("  seen", (kind.empty() ? "" : kind + "; ") + std::to_string(bytes.size()) + " bytes", kIndent);
  out += hanging("", "sha256 " + hex(sha256(bytes)), kIndent);
  for (const std::string& line : dump(bytes)) {
    out += hanging("", line, kIndent);
  }
}

std::string text_of(const BeliefReport& belief, std::size_t number) {
  const BeliefChange& change = belief.change;
  std::string out = "\n" + hanging(std::to_string(number) + ".", change.belief.statement, 4);
  out += hanging("  belief", change.belief.id, kIndent);
  out += hanging("  topic",
                 std::string(name(change.belief.topic)) + ", " + std::string(name(change.fate)) +
                     (change.replaces.empty() ? "" : " in place of " + change.replaces),
                 kIndent);
  out += hanging("  strength", strength_text(belief) + ", until " + until_text(change.belief.until), kIndent);
  if (!change.why.empty()) {
    out += hanging("  why", change.why, kIndent);
  }
  if (!belief.problem.empty()) {
    out += hanging("  PROBLEM", belief.problem, kIndent);
  }
  if (change.fate != Fate::forgotten) {
    text_chain(belief, out);
    text_bytes(change.evidence.bytes, out);
  }
  return out;
}

std::string title(const Run& run) {
  return "Run " + run.id + ": " + run.protocol + " " + run.mode + ", told by the " + run.role +
         (run.device.empty() ? "" : ", device " + run.device) + ", " + (run.result.empty() ? "not over" : run.result) +
         (run.rule.empty() ? "" : " by " + run.rule);
}

std::string summary(const RunReport& report) {
  const Run& run = report.run;
  std::string out = utc_text(run.started) + ", took " + std::to_string((run.ended - run.started).count()) + " ms; ";
  if (told_by_device(run)) {  // nobody else measures them
    out += std::to_string(run.counts.connections) + " connections, " + std::to_string(run.counts.bytes) + " bytes, ";
  }
  out += std::to_string(run.counts.messages) + " messages; ";
  if (report.beliefs.empty()) {
    return out + "no changes of belief.";
  }
  out += std::to_string(report.beliefs.size()) + " changes of belief, ";
  return out +
         (report.sound() ? "each with evidence down to its ground." : "NOT all with evidence down to its ground.");
}

// What the run shows of its way: each state, what was found on the way into it, and what is to be done.
std::string text_of(const RunStep& step) {
  std::string out = utc_text(step.at) + (step.check.empty() ? "" : "  " + step.check);
  out += step.fault.empty() ? "" : " (" + step.fault + ")";
  out = hanging("  " + step.state, out, kStepIndent);
  return step.next.empty() ? out : out + hanging("", "next: " + step.next, kStepIndent);
}

// Asking and waiting in turn: the same two as before.
bool is_round(const std::vector<RunStep>& steps, std::size_t at) {
  const auto same = [&](std::size_t a, std::size_t b) {
    return steps[a].state == steps[b].state && steps[a].check == steps[b].check && steps[a].fault == steps[b].fault;
  };
  return at >= 3 && same(at, at - 2) && same(at - 1, at - 3);
}

std::string steps_text(const Run& run) {
  std::string out = run.steps.empty() ? "" : "\nsteps\n";
  std::size_t more = 0;
  for (std::size_t i = 0; i < run.steps.size(); ++i) {
    if (is_round(run.steps, i)) {
      ++more;
    } else {
      out += text_of(run.steps[i]);
    }
    const bool last = i + 1 == run.steps.size() || !is_round(run.steps, i + 1);
    if (more > 0 && last) {
      out += hanging("", utc_text(run.steps[i].at) + "  and so on, " + std::to_string(more) + " more", kStepIndent);
      more = 0;
    }
  }
  return out;
}

Json steps_json(const Run& run) {
  Json out = Json::array();
  for (const RunStep& step : run.steps) {
    out.push_back({{"state", step.state},
                   {"check", step.check},
                   {"at", utc_text(step.at)},
                   {"took_ms", step.took.count()},
                   {"fault", step.fault},
                   {"next", step.next}});
  }
  return out;
}

Json chain_json(const BeliefReport& belief) {
  Json out = Json::array();
  for (const Link& link : belief.chain) {
    out.push_back({{"depth", link.depth},
                   {"id", link.id},
                   {"strength", name(link.strength)},
                   {"ground", name(link.ground)},
                   {"check", link.check}});
  }
  return out;
}

}  // namespace

bool RunReport::sound() const {
  return std::ranges::all_of(beliefs, [](const BeliefReport& b) {
    return b.problem.empty() && std::ranges::all_of(b.chain, [&](const Link& link) {
             return b.held.has_value() && *b.held <= link.strength;
           });
  });
}

RunReport report_on(Run run) {
  RunReport out;
  Beliefs held;
  Chains chains;
  for (const BeliefChange& change : run.beliefs) {
    BeliefReport belief{change, {}, {}, {}};
    const std::string otherwise = problem_of(change, held);
    if (!held.apply(change)) {
      belief.problem = otherwise;
    } else if (change.fate != Fate::forgotten) {
      belief.held = held.strength(change.belief.id);
      belief.chain = chain_of(change, *belief.held, chains);
      chains[change.belief.id] = belief.chain;
    }
    out.beliefs.push_back(std::move(belief));
  }
  out.run = std::move(run);
  return out;
}

std::string to_text(const RunReport& report) {
  std::string out = hanging("", title(report.run), 0) + hanging("", summary(report), 0);
  std::size_t number = 0;
  for (const BeliefReport& belief : report.beliefs) {
    out += text_of(belief, ++number);
  }
  return out + steps_text(report.run);
}

std::string to_markdown(const RunReport& report) {
  std::string out = "# " + printable(title(report.run)) + "\n\n" + summary(report) + "\n";
  std::size_t number = 0;
  for (const BeliefReport& belief : report.beliefs) {
    out += "\n```text" + text_of(belief, ++number) + "```\n";
  }
  return report.run.steps.empty() ? out : out + "\n```text" + steps_text(report.run) + "```\n";
}

Json to_json(const RunReport& report) {
  Json beliefs = Json::array();
  for (const BeliefReport& b : report.beliefs) {
    const Bytes& bytes = b.change.evidence.bytes;
    beliefs.push_back({{"id", b.change.belief.id},
                       {"fate", name(b.change.fate)},
                       {"topic", name(b.change.belief.topic)},
                       {"statement", b.change.belief.statement},
                       {"until", utc_text(b.change.belief.until)},
                       {"strength", b.held ? Json(name(*b.held)) : Json(nullptr)},
                       {"strength_of_check", name(b.change.strength)},
                       {"ground", name(b.change.evidence.ground)},
                       {"check", b.change.evidence.check},
                       {"problem", b.problem},
                       {"replaces", b.change.replaces},
                       {"why", b.change.why},
                       {"chain", chain_json(b)},
                       {"seen",
                        {{"what", kind_of(bytes)},
                         {"length", bytes.size()},
                         {"sha256", hex(sha256(bytes))},
                         {"first_bytes", hex(first_of(bytes))}}}});
  }
  const Run& run = report.run;
  return {{"run", run.id},
          {"protocol", run.protocol},
          {"mode", run.mode},
          {"told_by", run.role},
          {"device", run.device},
          {"result", run.result},
          {"rule", run.rule},
          {"obtained", run.obtained},
          {"started", utc_text(run.started)},
          {"ended", utc_text(run.ended)},
          {"round_trips", run.counts.round_trips},
          {"sound", report.sound()},
          {"beliefs", std::move(beliefs)},
          {"steps", steps_json(run)}};
}

}  // namespace imprint::survey
