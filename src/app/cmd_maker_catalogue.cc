// `imprint maker catalogue`: makers' signed lists of who serves which device.
#include <nlohmann/json.hpp>

#include "app/catalogue_fetch.h"
#include "app/cli_rules.h"
#include "app/cmd_device.h"
#include "app/cmd_maker.h"
#include "io/file.h"
#include "io/loop.h"

namespace imprint::app {
namespace {

constexpr std::size_t kMaxFile = std::size_t{64} << 10U;

struct ImportOptions {
  std::string file, maker;
};
struct MakeOptions {
  std::string file, key, chain, out;
};

OrProblem<Bytes> read(const std::string& path) {
  auto out = io::read_file(path, kMaxFile);
  if (!out) {
    return file_problem(path, out.error().what);
  }
  return *std::move(out);
}

std::string facts_text(const site::MasaCatalogue& one) {
  return "catalogue    " + one.maker + ", version " + std::to_string(one.version) + "\nuntil        " +
         utc_text(one.expires) + "\nrules        " + std::to_string(one.rules.size()) + "\nmoved pools  " +
         std::to_string(one.pools.size()) + "\n";
}

// Whom an unproven catalogue says it is of: it says which file of ours to hold it against, and no more.
std::string claimed_maker(std::string_view text) {
  const auto jws = parse_jws(text);
  const auto catalogue = jws ? site::parse_catalogue(jws->payload) : Result<site::MasaCatalogue>(jws.error());
  return catalogue ? catalogue->maker : std::string();
}

bool is_address(const std::string& file) { return file.starts_with("https://"); }

// From the maker's own server. Whose it is says --maker, or the file that names this very address.
OrProblem<Bytes> fetch(const Config& config, ImportOptions& options) {
  const auto url = Uri::parse(options.file);
  if (!url) {
    return Problem(Error{Fault::malformed, kOption}, options.file);
  }
  const auto pem = io::read_file(config.web_anchors);
  const auto web = pem ? parse_pem_certificates(as_text(*pem)) : Result<std::vector<Certificate>>(pem.error());
  MakerFile maker;
  if (options.maker.empty()) {
    for (const MakerFile& one : read_makers(config.data, io::wall_clock()).files) {
      options.maker = one.catalogue_url == *url ? one.name : options.maker;
    }
  }
  if (!options.maker.empty()) {
    TRY(maker, find_maker(config.data, options.maker));
  }
  maker.catalogue_url = *url;
  TRY(const FetchedCatalogue fetched,
      about(fetch_catalogue(*catalogue_source(maker, web ? *web : std::vector<Certificate>())), options.file));
  return to_bytes(fetched.text);
}

OrProblem<Ok> import(const Context& context, ImportOptions options) {
  TRY(const Offline data, context.offline());
  TRY(const Bytes text, is_address(options.file) ? fetch(data.config, options) : read(options.file));
  const std::string name = options.maker.empty() ? claimed_maker(as_text(text)) : options.maker;
  if (name.empty()) {
    return Problem(Error{Fault::malformed, site::kCatalogueSyntax}, options.file);
  }
  TRY(const MakerFile maker, find_maker(data.config.data, name));
  TRY(const site::MasaCatalogue taken,
      about(take_catalogue(data.config.data, maker, as_text(text), io::wall_clock()), options.file));
  const site::Act act = by_cli();
  TRY(Ok{}, about(note_catalogue(*data.store, taken, act.at, act.by), data.config.data + "/imprint.db"));
  context.print(*parse_json(catalogue_facts(taken)), facts_text(taken));
  return Ok{};
}

OrProblem<Ok> make(const Context& context, const MakeOptions& options) {
  TRY(const Bytes json, read(options.file));
  TRY(const site::MasaCatalogue catalogue, about(site::parse_catalogue(json), options.file));
  TRY(const PrivateKey key, read_key(options.key));
  TRY(const std::vector<Certificate> chain, read_certificates(options.chain));
  if (chain.front().key != key.public_key()) {
    Problem out(Error{Fault::malformed, kOption}, "--chain " + options.chain);
    out.next = "the first certificate has to be that of --key";
    return out;
  }
  TRY(const std::string made, about(site::make_catalogue(catalogue, key, chain), options.file));
  TRY(Ok{}, about(io::write_file(options.out, view(made), 0644), options.out));
  Json facts = *parse_json(catalogue_facts(catalogue));
  facts["file"] = options.out;
  context.print(facts, facts_text(catalogue) + "file         " + options.out + "\n");
  return Ok{};
}

}  // namespace

void add_maker_catalogue(Command maker) {
  const Command catalogue = maker.group("catalogue", "Makers' signed lists of who serves which device.",
                                        "imprint maker catalogue import acme.catalogue --data site");
  auto taken = std::make_shared<ImportOptions>();
  const Command import_command = catalogue.sub(
      "import", "Take a maker's catalogue, if its signature holds and no newer one is there.",
      "imprint maker catalogue import acme.catalogue --data site\n"
      "imprint maker catalogue import https://masa.acme.example/.well-known/brski/catalogue --maker acme");
  import_command.option("FILE", taken->file, "The catalogue, as the maker gives it out, or where it is given out")
      .required()
      .type("FILE|URL");
  import_command.option("--maker", taken->maker, "Name of the maker's file; the catalogue says it otherwise")
      .type("NAME");
  import_command.runs([taken](const Context& c) { return import(c, *taken); });
  auto made = std::make_shared<MakeOptions>();
  const Command make_command =
      catalogue.sub("make", "For the maker: sign a catalogue.",
                    "imprint maker catalogue make acme.json --key masa.key --chain masa.pem --out acme.catalogue");
  make_command.option("FILE", made->file, "What it says, as JSON").required();
  make_command.option("--key", made->key, "Private key of who signs").required().type("FILE|URI");
  make_command.option("--chain", made->chain, "Its certificate, and those above it").required().type("FILE");
  make_command.option("--out", made->out, "File to write").required().type("FILE");
  make_command.runs([made](const Context& c) { return make(c, *made); });
}

}  // namespace imprint::app
