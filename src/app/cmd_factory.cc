#include <filesystem>
#include <nlohmann/json.hpp>

#include "app/cli.h"
#include "app/cli_rules.h"
#include "app/pem_file.h"
#include "codec/uri.h"
#include "crypto/random.h"
#include "factory/line.h"
#include "io/file.h"
#include "io/loop.h"

namespace imprint::app {
namespace {

constexpr Duration kMakerLifetime = std::chrono::hours(24 * 365 * 30);

struct MakeOptions {
  factory::Order order;
  std::string out, maker, key = "p256", voucher_signer;
  bool one_time = false, with_anchors = false;
};

// Who signs vouchers: the first certificate of a chain, as a MASA's signer.pem has it; the key in it is not read.
OrProblem<std::vector<Certificate>> voucher_signers(const std::string& file) {
  if (file.empty()) {
    return std::vector<Certificate>();
  }
  TRY(std::vector<Certificate> chain, about(read_certificate_file(file), file));
  if (chain.empty() || !factory::may_be_built_in(chain.front())) {
    Problem out(Error{Fault::refused, kOption}, "--voucher-signer " + file);
    out.next =
        "name the certificate that signs vouchers, signer.pem of the MASA's folder; it is no device's and no CA's";
    return out;
  }
  chain.resize(1);
  return chain;
}

// The maker's CA of this data folder: made at the first order, apart from the owner's.
Result<site::Ca> open_maker(const std::string& folder, const std::string& maker, Instant now, Rng& rng) {
  std::error_code ignored;
  if (!std::filesystem::exists(folder + "/root.pem", ignored)) {
    // Two makers that nobody named are told apart.
    const std::string subject =
        maker.empty() ? "Imprint Maker Root CA " + hex(random_secret(rng, 4).expose()) : maker + " Root CA";
    TRY(const Name name, Name::from_text("CN=" + subject));
    TRY(const site::Ca made, site::make_root(KeyType::p256, name, now, kMakerLifetime, rng));
    TRY(const Secret pem, made.key.to_pem());
    TRY(Ok{}, io::make_folder(folder));
    TRY(Ok{}, io::write_file(folder + "/key.pem", pem.expose()));
    TRY(Ok{}, io::write_file(folder + "/root.pem", view(to_pem(made.certificate)), 0644));  // last: marks it as made
  }
  site::Ca out;
  TRY(Bytes key, io::read_file(folder + "/key.pem"));
  const Secret pem(key);
  wipe(key);
  TRY(out.key, PrivateKey::parse_pem(pem));
  TRY(const Bytes root, io::read_file(folder + "/root.pem"));
  TRY(const auto certificates, parse_pem_certificates(as_text(root)));
  CHECK_OR(!certificates.empty() && certificates.front().key == out.key.public_key(),
           Error{Fault::malformed, "factory: key and root do not belong together"});
  out.certificate = certificates.front();
  return out;
}

OrProblem<Ok> make(const Context& context, MakeOptions options) {
  TRY(const Offline data, context.offline());
  const auto key = key_type_named(options.key);
  if (!key || (!options.order.server_uri.empty() && !Uri::parse(options.order.server_uri))) {
    return Problem(Error{Fault::malformed, kOption},
                   key ? "--server " + options.order.server_uri : "--key-type " + options.key);
  }
  options.order.key = *key;
  options.order.birth = options.one_time ? factory::Birth::one_time : factory::Birth::idevid;
  if (options.with_anchors) {
    options.order.anchors = data.folder.ca.chain();
  }
  TRY(const std::vector<Certificate> signers, voucher_signers(options.voucher_signer));
  SystemRng rng;
  const Instant now = io::wall_clock();
  const std::string folder = data.config.data + "/factory";
  TRY(const site::Ca maker, about(open_maker(folder, options.maker, now, rng), folder));
  TRY(const auto devices, about(factory::make(options.order, maker, now, rng), options.order.model));
  const Status written = factory::write_folder(options.out, devices, maker.certificate, options.order.anchors, signers);
  if (!written) {
    const bool full = written.error().fault == Fault::conflict;
    return Problem(full ? Error{Fault::conflict, kFactoryFolder} : written.error(), options.out);
  }
  TRY(Ok{}, about(add_maker(data.config.data, maker.certificate), data.config.data + "/makers"));
  const std::string& first = devices.front().entry.id;
  const std::string& last = devices.back().entry.id;
  context.print(Json{{"devices", devices.size()},
                     {"first", first},
                     {"last", last},
                     {"maker", maker.certificate.subject.text},
                     {"folder", options.out},
                     {"manifest", options.out + "/manifest.jsonl"}},
                std::to_string(devices.size()) + " devices, " + first + " to " + last + ", of " +
                    maker.certificate.subject.text + "\nmanifest  " + options.out + "/manifest.jsonl\n");
  context.progress("next: `imprint device import " + options.out +
                   "/manifest.jsonl` with the site's --data, then `imprint onboard est --device " + options.out + "/" +
                   first + " …`");
  return Ok{};
}

}  // namespace

void add_factory(Command top) {
  const Command factory = top.group("factory", "The maker's side: devices with their initial beliefs.",
                                    "imprint factory make --model acme --count 10 --out acme");
  auto options = std::make_shared<MakeOptions>();
  const Command command = factory.sub(
      "make",
      "Make devices: keys, IDevIDs (IEEE 802.1AR) or tokens, and the manifest for their owner. For trials: the "
      "maker's\nCA key stays in the folder factory/ of the owner's data, and the owner takes this maker's IDevIDs "
      "from then on.",
      "imprint factory make --model acme --count 10 --out acme\n"
      "imprint factory make --model acme --count 3 --one-time --out tokens\n"
      "imprint factory make --model acme --count 3 --wrap-key --out sharers\n"
      "imprint factory make --model acme --count 3 --masa localhost:9443 --out lamps\n"
      "imprint factory make --model acme --out ready --server https://localhost:8443 --with-anchors");
  command.option("--model", options->order.model, "Model, [A-Za-z0-9-]{1,32}; ids are MODEL-0001 and so on").required();
  command.option("--count", options->order.count, "How many").between(1, 100000);
  command.option("--first", options->order.first, "Number of the first one").between(1, 1000000000);
  command.option("--out", options->out, "Folder to write: new or empty").required().type("FOLDER");
  command.option(
      "--maker", options->maker,
      "The maker's name, for the CA that the first order makes; without it \"Imprint Maker\" and a random number");
  command.option("--key-type", options->key, "Type of the devices' keys");
  command.option("--server", options->order.server_uri, "Where the devices find their owner").type("URL");
  const Arg masa = command.option("--masa", options->order.masa,
                                  "Where registrars find the maker's MASA, in the IDevIDs (RFC 8995): HOST[:PORT]");
  command
      .option("--voucher-signer", options->voucher_signer,
              "Who signs the MASA's vouchers, which the devices know besides the root: signer.pem of its folder")
      .type("FILE")
      .needs(masa);
  command.option("--label", options->order.label, "EST label (profile) that they ask for");
  const Arg one_time =
      command.flag("--one-time", options->one_time, "Born with a one-time token in place of a key and an IDevID")
          .excludes(masa);
  command
      .flag("--key-agreement", options->order.key_agreement,
            "IDevIDs whose keys may unwrap keys of the server's, too: keyAgreement, or keyEncipherment (RSA)")
      .excludes(one_time);
  command.flag("--wrap-key", options->order.wrap_key,
               "Born with a shared key, too, under which the owner's server wraps keys that it makes");
  command.flag("--with-anchors", options->with_anchors, "Born with this owner's CA as trust anchor");
  command.runs([options](const Context& c) { return make(c, *options); });
}

}  // namespace imprint::app
