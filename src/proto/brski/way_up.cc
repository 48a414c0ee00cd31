#include "proto/brski/way_up.h"

#include <algorithm>

namespace imprint::brski {
namespace {

const Error kOver{Fault::expired, "chain: not good now"};
const Error kMany{Fault::limit, "chain: more certificates of the same names than are looked at"};

// A certificate on the way, and the place of the one below it; the signer's own is 0.
struct Step {
  Certificate at;
  std::size_t below = 0;
};

struct Climb {
  std::vector<Step> line;         // by distance
  std::vector<std::size_t> tops;  // places where ways end
  bool over = false;              // a way went on by a certificate that is not good now
};

bool is_good_at(const Certificate& one, std::optional<Instant> now) {
  return !now || (one.not_before <= *now && *now <= one.not_after);
}

bool among(const std::vector<Certificate>& all, const Certificate& one) {
  return std::ranges::find(all, one) != all.end();
}

Result<bool> links(const Certificate& low, const Certificate& high, std::size_t& left) {
  CHECK_OR(left > 0, kMany);
  --left;
  return static_cast<bool>(verify_chain(low, {}, {high}, {Purpose::any, {}, false}));
}

// Whether a way leads on from there. Those that are not good now are looked at only where no other leads on: they tell
// why there is none.
Result<bool> climb_on(std::size_t from, const std::vector<Certificate>& pool, const Climbing& how, Climb& out) {
  const Certificate at = out.line[from].at;
  bool leads_on = false;
  for (const bool good : {true, false}) {
    for (const Certificate& above : pool) {
      const bool fits = !at.self_issued() && above.subject == at.issuer && !(above == at);
      if (!fits || is_good_at(above, how.now) != good || (leads_on && !good)) {
        continue;
      }
      TRY(const bool linked, links(at, above, how.left));
      leads_on = leads_on || linked;
      out.over = out.over || (linked && !good);
      const bool fresh = std::ranges::find(out.line, above, &Step::at) == out.line.end();
      if (linked && good && fresh) {
        out.line.push_back({above, from});
      }
    }
  }
  return leads_on;
}

Result<Climb> climb(const Certificate& signer, const Climbing& how) {
  std::vector<Certificate> pool = how.along;
  pool.insert(pool.end(), how.anchors.begin(), how.anchors.end());
  Climb out;
  out.line.push_back({signer, 0});
  for (std::size_t i = 0; i < out.line.size(); ++i) {
    if (among(how.anchors, out.line[i].at)) {
      out.tops.push_back(i);
      continue;
    }
    TRY(const bool leads_on, climb_on(i, pool, how, out));
    if (!leads_on && how.anchors.empty()) {
      out.tops.push_back(i);
    }
  }
  if (how.anchors.empty()) {
    const bool round = out.tops.empty() && !out.over;  // those above certify each other
    out.tops = round ? std::vector{out.line.size() - 1} : out.tops;
    std::ranges::reverse(out.tops);
  }
  return out;
}

// Only what is on the way: nothing is there to be gone back for.
std::vector<Certificate> between(const Climb& found, std::size_t top) {
  std::vector<Certificate> out;
  for (std::size_t i = found.line[top].below; top != 0 && i != 0; i = found.line[i].below) {
    out.push_back(found.line[i].at);
  }
  std::ranges::reverse(out);
  return out;
}

}  // namespace

Result<CertificateChain> way_up(const Certificate& signer, const Climbing& how) {
  CHECK_OR(is_good_at(signer, how.now), kOver);
  TRY(const Climb found, climb(signer, how));
  Error why = found.over ? kOver : Error{Fault::unauthentic, "chain: no way"};
  for (const std::size_t top : found.tops) {
    const std::vector<Certificate> via = between(found, top);
    CHECK_OR(how.left > via.size(), kMany);
    how.left -= via.size() + 1;
    const auto path = verify_chain(signer, via, {found.line[top].at},
                                   {Purpose::any, how.now.value_or(Instant{}), how.now.has_value(), false});
    if (path) {
      return **path;
    }
    why = why.fault == Fault::expired ? why : path.error();
  }
  return why;
}

}  // namespace imprint::brski
