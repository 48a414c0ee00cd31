#include "proto/brski/dns_message.h"

#include <algorithm>
#include <utility>

#include "proto/brski/discovery_rules.h"

namespace imprint::brski {
namespace {

constexpr std::size_t kMaxLabel = 63, kMaxName = 255;  // RFC 1035 section 2.3.4
constexpr std::size_t kHeader = 12;
constexpr unsigned kMaxJumps = 32;  // of compression in one name; backwards only, so that none can go in circles
constexpr std::uint16_t kResponseBit = 0x8000, kAuthoritativeBit = 0x0400, kTruncatedBit = 0x0200;
constexpr std::uint16_t kOperationBits = 0x7800, kErrorBits = 0x000f;
constexpr std::uint16_t kTopBit = 0x8000;  // of a class: cache-flush, or a unicast answer is wanted

const Error kUnreadable{Fault::malformed, kDnsMessage};

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool same_label(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) { return lower(x) == lower(y); });
}

// A cursor that knows the whole message, since names point back into it.
class Cursor {
 public:
  explicit Cursor(BytesView whole) : whole_(whole), r_(whole) {}

  Reader& reader() { return r_; }
  bool good() const { return r_.good(); }
  std::size_t at() const { return whole_.size() - r_.left(); }

  DnsName name() {
    DnsName out;
    std::size_t size = 1;
    std::size_t bound = at();  // what we jump to lies before where we began
    Reader here = r_;
    bool jumped = false;
    for (unsigned jumps = 0; here.good();) {
      const std::uint8_t length = here.u8();
      if ((length & 0xc0U) == 0xc0U) {
        const std::size_t to = ((length & 0x3fU) << 8U) | here.u8();
        leave(here, jumped);
        if (to >= bound || ++jumps > kMaxJumps || !here.good()) {
          break;
        }
        bound = to;
        here = Reader(whole_.subspan(to));
        continue;
      }
      if (length == 0 && here.good()) {
        leave(here, jumped);
        return out;
      }
      size += length + std::size_t{1};
      if (length > kMaxLabel || size > kMaxName) {
        break;
      }
      out.labels.emplace_back(as_text(here.take(length)));
    }
    r_.fail();
    return {};
  }

 private:
  // The first jump or the end of a name without one is where what follows the name begins.
  void leave(const Reader& here, bool& jumped) {
    if (!jumped) {
      r_ = here;
      jumped = true;
    }
  }

  BytesView whole_;
  Reader r_;
};

std::optional<DnsData> read_text(BytesView data) {
  Reader r(data);
  DnsText out;
  while (!r.empty()) {
    const BytesView entry = r.take(r.u8());
    if (!entry.empty()) {  // RFC 6763 section 6.1: an empty string stands for no entry
      out.entries.emplace_back(as_text(entry));
    }
  }
  return r.good() ? std::optional<DnsData>(std::move(out)) : std::nullopt;
}

// The content between here and `end`; none: a type that we do not know. What does not fit fails the cursor.
std::optional<DnsData> read_data(Cursor& c, DnsType type, std::size_t length) {
  const std::size_t end = c.at() + length;
  std::optional<DnsData> out;
  switch (type) {
    case DnsType::ptr:
      out = DnsPointer{c.name()};
      break;
    case DnsType::srv: {
      DnsServer server;
      server.priority = c.reader().u16();
      server.weight = c.reader().u16();
      server.port = c.reader().u16();
      server.host = c.name();
      out = std::move(server);
      break;
    }
    case DnsType::txt:
      out = read_text(c.reader().take(length));
      if (!out) {
        c.reader().fail();
      }
      break;
    case DnsType::a:
    case DnsType::aaaa:
      if (length != (type == DnsType::a ? 4U : 16U)) {
        c.reader().fail();
      }
      out = DnsAddress{to_bytes(c.reader().take(length))};
      break;
    default:
      c.reader().take(length);
      return std::nullopt;
  }
  if (c.at() != end) {
    c.reader().fail();
  }
  return out;
}

DnsQuestion read_question(Cursor& c) {
  DnsQuestion out;
  out.name = c.name();
  out.type = static_cast<DnsType>(c.reader().u16());
  const std::uint16_t of_class = c.reader().u16();
  out.unicast = (of_class & kTopBit) != 0;
  out.of_class = of_class & static_cast<std::uint16_t>(~kTopBit);
  return out;
}

// Each record takes at least 11 octets, so that counts that lie end with the message.
void read_records(Cursor& c, std::uint16_t count, std::vector<DnsRecord>& into) {
  for (unsigned i = 0; i < count && c.good(); ++i) {
    DnsRecord one;
    one.name = c.name();
    const auto type = static_cast<DnsType>(c.reader().u16());
    const std::uint16_t of_class = c.reader().u16();
    one.flush = (of_class & kTopBit) != 0;
    one.ttl_s = c.reader().u32();
    const std::size_t length = c.reader().u16();
    auto data = read_data(c, type, length);
    if (data && c.good() && (of_class & ~kTopBit) == kInternet) {
      one.data = *std::move(data);
      into.push_back(std::move(one));
    }
  }
}

void write_name(Writer& w, const DnsName& name) {
  for (const std::string& label : name.labels) {
    w.u8(static_cast<std::uint8_t>(label.size()));
    w.text(label);
  }
  w.u8(0);
}

void write_record(Writer& w, const DnsRecord& record) {
  write_name(w, record.name);
  w.u16(static_cast<std::uint16_t>(record.type()));
  w.u16(static_cast<std::uint16_t>(kInternet | (record.flush ? kTopBit : 0)));
  w.u32(record.ttl_s);
  const Bytes data = data_bytes(record.data);
  w.u16(static_cast<std::uint16_t>(data.size()));
  w.bytes(data);
}

}  // namespace

// ---- names ----

DnsName DnsName::of(std::string_view dotted) {
  DnsName out;
  while (!dotted.empty()) {
    const std::size_t dot = std::min(dotted.find('.'), dotted.size());
    out.labels.emplace_back(dotted.substr(0, dot));
    dotted.remove_prefix(std::min(dot + 1, dotted.size()));
  }
  return out;
}

bool DnsName::fits() const {
  std::size_t size = 1;
  for (const std::string& label : labels) {
    if (label.empty() || label.size() > kMaxLabel) {
      return false;
    }
    size += label.size() + 1;
  }
  return size <= kMaxName;
}

std::string DnsName::text() const {
  std::string out;
  for (const std::string& label : labels) {
    out += out.empty() ? "" : ".";
    for (const char c : label) {
      out += c == '.' || c == '\\' ? "\\" : "";
      out += c;
    }
  }
  return out;
}

DnsName DnsName::below(const DnsName& parent) const {
  DnsName out = *this;
  out.labels.insert(out.labels.end(), parent.labels.begin(), parent.labels.end());
  return out;
}

bool operator==(const DnsName& a, const DnsName& b) { return std::ranges::equal(a.labels, b.labels, same_label); }

// ---- records ----

DnsType DnsRecord::type() const {
  if (const auto* address = std::get_if<DnsAddress>(&data)) {
    return address->address.size() == 4 ? DnsType::a : DnsType::aaaa;
  }
  return std::holds_alternative<DnsPointer>(data)  ? DnsType::ptr
         : std::holds_alternative<DnsServer>(data) ? DnsType::srv
                                                   : DnsType::txt;
}

Bytes data_bytes(const DnsData& data) {
  Writer w;
  if (const auto* pointer = std::get_if<DnsPointer>(&data)) {
    write_name(w, pointer->to);
  } else if (const auto* server = std::get_if<DnsServer>(&data)) {
    w.u16(server->priority);
    w.u16(server->weight);
    w.u16(server->port);
    write_name(w, server->host);
  } else if (const auto* text = std::get_if<DnsText>(&data)) {
    for (const std::string& entry : text->entries) {
      w.u8(static_cast<std::uint8_t>(entry.size()));
      w.text(entry);
    }
    if (text->entries.empty()) {
      w.u8(0);  // RFC 6763 section 6.1: never quite empty
    }
  } else {
    w.bytes(std::get<DnsAddress>(data).address);
  }
  return std::move(w).out();
}

// ---- messages ----

Result<DnsMessage> DnsMessage::parse(BytesView in) {
  CHECK_OR(in.size() >= kHeader && in.size() <= kMaxDnsBytes, kUnreadable);
  Cursor c(in);
  DnsMessage out;
  out.id = c.reader().u16();
  const std::uint16_t flags = c.reader().u16();
  // RFC 6762 sections 18.3 and 18.11: other operations and errors are passed over.
  CHECK_OR((flags & (kOperationBits | kErrorBits)) == 0, Error{Fault::unsupported, kDnsMessage});
  out.response = (flags & kResponseBit) != 0;
  out.truncated = (flags & kTruncatedBit) != 0;
  const std::uint16_t questions = c.reader().u16();
  const std::uint16_t answers = c.reader().u16();
  const std::uint16_t authority = c.reader().u16();
  const std::uint16_t additional = c.reader().u16();
  for (unsigned i = 0; i < questions && c.good(); ++i) {
    out.questions.push_back(read_question(c));
  }
  read_records(c, answers, out.answers);
  read_records(c, authority, out.authority);
  read_records(c, additional, out.additional);
  CHECK_OR(c.good(), kUnreadable);
  return out;
}

Bytes DnsMessage::encode() const {
  Writer w;
  w.u16(id);
  w.u16(
      static_cast<std::uint16_t>((response ? kResponseBit | kAuthoritativeBit : 0) | (truncated ? kTruncatedBit : 0)));
  for (const std::size_t count : {questions.size(), answers.size(), authority.size(), additional.size()}) {
    w.u16(static_cast<std::uint16_t>(count));
  }
  for (const DnsQuestion& one : questions) {
    write_name(w, one.name);
    w.u16(static_cast<std::uint16_t>(one.type));
    w.u16(static_cast<std::uint16_t>(one.of_class | (one.unicast ? kTopBit : 0)));
  }
  for (const auto* section : {&answers, &authority, &additional}) {
    for (const DnsRecord& one : *section) {
      write_record(w, one);
    }
  }
  return std::move(w).out();
}

}  // namespace imprint::brski
