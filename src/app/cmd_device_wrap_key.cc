// `imprint device wrap-key`: the shared keys of a device.
#include <nlohmann/json.hpp>

#include "app/cli_rules.h"
#include "app/cmd_device.h"
#include "app/wrap_key_file.h"

namespace imprint::app {
namespace {

struct WrapKeyOptions {
  std::string id, file, key_id, forget;
};

OrProblem<Ok> tell(const Context& context, const Offline& data, const std::string& id, const std::string& text) {
  TRY(const auto reader, data.store->read());
  TRY(const std::vector<store::WrapKeyRow> rows, reader->wrap_keys(id));
  context.print(Json{{"id", id}, {"wrap_keys", wrap_key_ids(rows)}}, text);
  return Ok{};
}

OrProblem<Ok> change(const Context& context, const WrapKeyOptions& options) {
  TRY(const Offline data, context.offline());
  const site::Word word{options.id, std::nullopt};
  if (!options.forget.empty()) {
    const Bytes id = from_hex(options.forget).value_or(Bytes{});
    TRY(Ok{}, about(data.store->write(
                        [&](store::Writer& writer) { return site::forget_wrap_key(writer, word, id, by_cli()); }),
                    options.id + " " + options.forget));
    return tell(context, data, options.id, "forgot shared key " + options.forget + " of " + options.id + "\n");
  }
  TRY(const SharedKey key, read_wrap_key(options.file, options.key_id));
  TRY(Ok{}, about(data.store->write([&](store::Writer& writer) {
        return site::add_wrap_key(writer, data.folder.pepper, word, key, by_cli());
      }),
                  options.id));
  return tell(context, data, options.id, "shared key " + hex(key.id) + " of " + options.id + " is on record\n");
}

}  // namespace

Json wrap_key_ids(const std::vector<store::WrapKeyRow>& rows) {
  Json out = Json::array();
  for (const store::WrapKeyRow& row : rows) {
    out.push_back(hex(row.id));
  }
  return out;
}

void add_device_wrap_key(Command device) {
  auto options = std::make_shared<WrapKeyOptions>();
  const Command command = device.sub(
      "wrap-key", "Put a device's shared key on record, under which keys made for it are wrapped, or forget one.",
      "imprint device wrap-key dev-1 --wrap-key key.hex --wrap-key-id 0a1b\n"
      "imprint device wrap-key dev-1 --forget 0a1b");
  command.option("ID", options->id, "Inventory id").required();
  const Arg forget = command.option("--forget", options->forget, "Identifier of the key that is to go").type("HEX");
  const Arg file = command.option("--wrap-key", options->file, kWrapKeyFile).type("FILE").excludes(forget);
  command.option("--wrap-key-id", options->key_id, kWrapKeyId).type("HEX").needs(file);
  command.runs([options](const Context& c) -> OrProblem<Ok> {
    if (options->file.empty() == options->forget.empty()) {
      Problem out(Error{Fault::malformed, kOption}, "--wrap-key and --forget");
      out.next = "give one of them";
      return out;
    }
    return change(c, *options);
  });
}

}  // namespace imprint::app
