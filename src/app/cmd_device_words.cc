// The owner's word on a device: `imprint device approve`, `refuse` and `retire`.
#include <nlohmann/json.hpp>

#include "app/admin_routes.h"
#include "app/cmd_device.h"
#include "app/device_pledges.h"
#include "site/operation_rules.h"

namespace imprint::app {
namespace {

constexpr std::size_t kLeastPrefix = 8;

// What a word on the command line is about: a device, or one request of it that waits.
struct Subject {
  std::string device;
  Bytes request_key;  // empty: the device as a whole
  std::vector<store::PendingRow> waiting;
};

bool starts_with(const Bytes& key, const std::string& prefix) {
  return prefix.size() >= kLeastPrefix && hex(key).starts_with(prefix);
}

OrProblem<Subject> subject_of(store::Reader& reader, const std::string& device) {
  Subject out;
  out.device = device;
  TRY(out.waiting, reader.waiting(device));
  return out;
}

// The one request whose key starts so; without a key if there is none.
OrProblem<Subject> find_request(store::Reader& reader, const std::string& word) {
  Subject out;
  TRY(const std::vector<store::PendingRow> all, reader.waiting({}));
  for (const store::PendingRow& row : all) {
    if (!starts_with(row.what.request_key, word)) {
      continue;
    }
    if (!out.request_key.empty()) {
      return Problem(Error{Fault::conflict, "more than one request starts with this; give more of its key"}, word);
    }
    out = {row.what.device, row.what.request_key, {row}};
  }
  return out;
}

OrProblem<Subject> find_subject(store::Reader& reader, const std::string& word) {
  TRY(const std::optional<Device> device, reader.device(word));
  if (device) {
    return subject_of(reader, word);
  }
  TRY(const Subject request, find_request(reader, word));
  TRY(std::vector<std::string> meant, ids_with_serial(reader, word));
  const std::string one = meant.empty() ? std::string() : meant.front();
  if (!request.request_key.empty()) {
    meant.push_back("request " + hex(request.request_key));  // a device chooses its key: it must not pass for another
  }
  if (meant.size() > 1) {
    return more_than_one(word, meant);
  }
  if (!meant.empty()) {
    return one.empty() ? OrProblem<Subject>(request) : subject_of(reader, one);
  }
  // A whole key may be that of a request that was decided meanwhile: that is told then.
  TRY(const auto decided, reader.pending(from_hex(word).value_or(Bytes{})));
  if (!decided) {
    return Problem(Error{Fault::refused, site::kDeviceUnknown}, word);
  }
  return Subject{decided->what.device, decided->what.request_key, {*decided}};
}

Status say(store::Writer& writer, const Subject& subject, Admission verdict) {
  if (!subject.request_key.empty()) {
    return site::decide_request(writer, subject.request_key, verdict, by_cli());
  }
  const site::Word word{subject.device, std::nullopt};
  return verdict == Admission::approved ? site::approve_device(writer, word, by_cli())
                                        : site::refuse_device(writer, word, by_cli());
}

OrProblem<Ok> show_outcome(const Context& context, const Offline& data, const Subject& subject,
                           const std::string& done) {
  TRY(const auto reader, data.store->read());
  TRY(const Device device, find_device(*reader, subject.device));
  Json json = admin::device_json(device);
  json["requests"] = Json::array();
  for (const store::PendingRow& before : subject.waiting) {
    TRY(const auto row, reader->pending(before.what.request_key));
    json["requests"].push_back(admin::pending_json(row.value_or(before)));
  }
  std::string text = done + ":\n" + device_text(device);
  text += subject.waiting.empty() ? "" : "\nwith its requests:\n" + pending_table(subject.waiting);
  context.print(json, text);
  return Ok{};
}

OrProblem<Ok> decide(const Context& context, const std::string& word, Admission verdict) {
  TRY(const Offline data, context.offline());
  TRY(const auto reader, data.store->read());
  TRY(const Subject subject, find_subject(*reader, word));
  TRY(Ok{}, about(data.store->write([&](store::Writer& writer) { return say(writer, subject, verdict); }), word));
  return show_outcome(context, data, subject, std::string(imprint::name(verdict)));
}

OrProblem<Ok> retire(const Context& context, const std::string& id) {
  TRY(const Offline data, context.offline());
  TRY(Ok{}, about(data.store->write([&](store::Writer& writer) -> Status {
        TRY(const std::optional<Device> device, writer.device(id));
        CHECK_OR(!device || device->admission != Admission::retired, Error{Fault::conflict, site::kDeviceRetired});
        return site::retire_device(writer, {id, std::nullopt}, by_cli());
      }),
                  id));
  return show_outcome(context, data, {id, {}, {}}, "retired, and its certificates are revoked");
}

using SayWord = OrProblem<Ok> (*)(const Context&, const std::string&);

void add_word(Command device, const std::string& name, const std::string& what, const std::string& examples,
              const std::string& argument, SayWord act) {
  auto word = std::make_shared<std::string>();
  const Command command = device.sub(name, what, examples);
  command
      .option(argument, *word,
              argument == "ID"
                  ? "Inventory id"
                  : "Inventory id, a serial number that no other device has, or a waiting request's key (at least 8 "
                    "digits)")
      .required();
  command.runs([word, act](const Context& c) { return act(c, *word); });
}

}  // namespace

void add_device_words(Command device) {
  add_word(device, "approve", "Say yes to a device, or to one request that waits.",
           "imprint device approve dev-1\nimprint device approve 4f1c09aa", "ID|SERIAL|REQUEST",
           [](const Context& c, const std::string& w) { return decide(c, w, Admission::approved); });
  add_word(device, "refuse", "Say no to a device, or to one request that waits.",
           "imprint device refuse dev-1\nimprint device refuse 4f1c09aa", "ID|SERIAL|REQUEST",
           [](const Context& c, const std::string& w) { return decide(c, w, Admission::refused); });
  add_word(device, "retire", "Take a device out of use for good and revoke its certificates.",
           "imprint device retire dev-1", "ID", retire);
}

}  // namespace imprint::app
