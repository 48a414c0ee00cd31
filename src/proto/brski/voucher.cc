#include "proto/brski/voucher.h"

#include <algorithm>
#include <array>

#include "proto/brski/leaves.h"

namespace imprint::brski {
namespace {

constexpr std::array<std::string_view, 5> kAssertions{"verified", "logged", "proximity", "agent-proximity", "other"};

// Decimal digits from the front of the text, and the character that has to follow them. -1 if they are not there.
class Digits {
 public:
  explicit Digits(std::string_view text) : rest_(text) {}

  int take(std::size_t count) {
    int out = 0;
    for (std::size_t i = 0; i < count; ++i) {
      if (rest_.empty() || rest_.front() < '0' || rest_.front() > '9') {
        good_ = false;
        return 0;
      }
      out = out * 10 + (rest_.front() - '0');
      rest_.remove_prefix(1);
    }
    return out;
  }
  bool skip(char one, char other) {
    if (rest_.empty() || (rest_.front() != one && rest_.front() != other)) {
      return false;
    }
    rest_.remove_prefix(1);
    return true;
  }
  void want(char one, char other) { good_ = skip(one, other) && good_; }
  bool digit() const { return !rest_.empty() && rest_.front() >= '0' && rest_.front() <= '9'; }
  bool good() const { return good_; }
  bool done() const { return good_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool good_ = true;
};

// Milliseconds of a fraction, whose further digits are passed over.
int take_fraction(Digits& in) {
  int out = 0;
  for (int scale = 100; in.digit(); scale /= 10) {
    out += in.take(1) * scale;
  }
  return out;
}

// Minutes to the east.
int take_offset(Digits& in) {
  if (in.skip('Z', 'z')) {
    return 0;
  }
  const bool east = in.skip('+', '+');
  if (!east) {
    in.want('-', '-');
  }
  const int hours = in.take(2);
  in.want(':', ':');
  const int minutes = in.take(2);
  if (hours > 23 || minutes > 59) {
    in.want('\0', '\0');  // no such offset
  }
  return (east ? 1 : -1) * (hours * 60 + minutes);
}

// A leaf's own name: without that of its module, which peers put before it.
std::string_view without_module(std::string_view name) {
  for (const std::string_view module : {"ietf-voucher:", "ietf-voucher-request:", "ietf-voucher-request-prm:"}) {
    if (name.starts_with(module)) {
      return name.substr(module.size());
    }
  }
  return name;
}

}  // namespace

std::string_view name(Assertion assertion) { return kAssertions.at(static_cast<std::size_t>(assertion)); }

Assertion assertion_named(std::string_view name) {
  const auto found = std::find(kAssertions.begin(), kAssertions.end() - 1, name);
  return static_cast<Assertion>(found - kAssertions.begin());
}

std::string_view meaning(Assertion assertion) {
  switch (assertion) {
    case Assertion::verified:
      return "the maker knows from its own records that the domain owns the device";
    case Assertion::logged:
      return "the maker knows of no owner; it gives the voucher to whoever asks, and writes it down";
    case Assertion::proximity:
      return "the device itself saw this domain's registrar on its network";
    case Assertion::agent_proximity:
      return "a registrar-agent of this domain stood before the device";
    case Assertion::other:
      break;
  }
  return "a value that no specification has";
}

std::string_view name(Voucher::Kind kind) { return kind == Voucher::Kind::voucher ? "voucher" : "voucher request"; }

Result<DateTime> DateTime::parse(std::string_view text) {
  const Error bad{Fault::malformed, "voucher: date-and-time"};
  CHECK_OR(text.size() <= 64, bad);
  Digits in(text);
  const int year = in.take(4);
  in.want('-', '-');
  const int month = in.take(2);
  in.want('-', '-');
  const int day = in.take(2);
  in.want('T', 't');
  const int hour = in.take(2);
  in.want(':', ':');
  const int minute = in.take(2);
  in.want(':', ':');
  const int second = in.take(2);
  const bool fraction = in.good() && in.skip('.', '.');
  const bool some = in.digit();
  const int ms = fraction ? take_fraction(in) : 0;
  const int east = take_offset(in);
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  // RFC 3339 section 5.6: 60 is a leap second.
  CHECK_OR(in.done() && fraction == some && date.ok() && hour < 24 && minute < 60 && second <= 60, bad);
  const std::chrono::milliseconds at = std::chrono::sys_days(date).time_since_epoch() + std::chrono::hours(hour) +
                                       std::chrono::minutes(minute - east) + std::chrono::seconds(second) +
                                       std::chrono::milliseconds(ms);
  return DateTime{std::string(text), {at.count()}};
}

DateTime DateTime::of(Instant when) {
  const std::int64_t second = 1000;
  return {utc_text(when), {when.ms - ((when.ms % second) + second) % second}};
}

const Leaf* leaf_named(Voucher::Kind kind, std::string_view name) {
  const std::string_view own = without_module(name);
  const auto* const found =
      std::ranges::find_if(kLeaves, [&](const Leaf& l) { return l.number(kind) != 0 && l.name() == own; });
  return found == kLeaves.end() ? nullptr : found;
}

const Leaf* leaf_numbered(Voucher::Kind kind, std::uint64_t number) {
  const auto* const found =
      std::ranges::find_if(kLeaves, [&](const Leaf& l) { return number != 0 && l.number(kind) == number; });
  return found == kLeaves.end() ? nullptr : found;
}

bool has(const Voucher& voucher, const Leaf& leaf) {
  return std::visit([&](auto place) { return (voucher.*place).has_value(); }, leaf.place);
}

}  // namespace imprint::brski
