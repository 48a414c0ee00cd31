// `imprint onboard brski`: be the device.
#include "app/cmd_onboard_brski.h"

#include "app/onboard_brski.h"

namespace imprint::app {

void add_onboard_brski(Command protocols) {
  auto options = std::make_shared<BrskiOptions>();
  BrskiOptions& o = *options;
  OnboardOptions& c = o.common;
  const Command command = protocols.sub(
      "brski", "Be taken by an owner by a voucher of the maker's (RFC 8995).",
      "imprint onboard brski --device acme/lamp-0001 --registrar localhost:8443 --out lamp-1\n"
      "imprint onboard brski --device acme/lamp-0001 --interface eth0 --out lamp-1\n"
      "imprint onboard brski --cert idevid.pem --key idevid-key.pem --maker-anchors maker.pem --registrar "
      "localhost:8443 --out lamp-1 --beliefs\n"
      "imprint onboard brski --device acme/lamp-0001 --cloud https://cloud.acme.example --cloud-anchors web.pem --out "
      "lamp-1\n"
      "imprint onboard brski --device acme/lamp-0001 --registrar localhost:8443 --form jws --out lamp-1 --json\n"
      "imprint onboard brski --device acme/lamp-0001 --registrar localhost:8443 --out lamp-1 --profile lamp.toml");
  command.option("--out", c.out, "Folder for key, certificate and anchors").required().type("FOLDER");
  command.option("--device", c.device, "Folder of a device as the factory wrote it").type("FOLDER");
  const Arg registrar =
      command.option("--registrar", o.registrars, "Where one may be, or a join proxy; may be repeated")
          .type("HOST:PORT");
  add_search(command, o.search, registrar);
  command.option("--cert", c.certificate, "The IDevID, own certificate first").type("FILE");
  command.option("--key", c.key, "Its key: file or URI").type("URI");
  command
      .option("--maker-anchors", o.maker_anchors,
              "Certificates that vouchers have to lead to; a device folder may have them")
      .type("FILE");
  command.option("--cloud", o.cloud, "The maker's own registrar, tried last").type("URL");
  command.option("--cloud-anchors", o.cloud_anchors, "CA certificates that vouch for it").type("FILE");
  command.flag("--redirect-inside", o.redirect_inside, "Follow a redirect to a private address or to this machine");
  command.option("--form", o.form, "Form of request and voucher; over coaps:// always cose").type("cms|jws|cose");
  command.option("--content-type", o.content_type, "What CMS says it holds; some peers read data alone")
      .type("voucher|data");
  command.option("--serial-from", o.serial, "Where the IDevID has the serial number")
      .type("subject|hardware-module-name|common-name");
  command.option("--accept", o.accepted, "Assertion that is good enough; may be repeated")
      .type("verified|logged|proximity");
  command.option("--quirk", o.quirks, "What the registrar wants otherwise than RFC 8995; may be repeated")
      .type("base64-bodies|requests-named-voucher|version-as-text|registrar-changes|bare-requests");
  command.flag("--csrattrs", o.csrattrs, "Over coaps:// ask what the request is to have, as over HTTPS");
  command.flag("--no-clock", o.no_clock, "Judge no time: the device's clock does not count");
  command.option("--profile", c.profile, "File of a profile with several credentials: obtain all of them").type("FILE");
  command.option("--label", c.label, "EST label (profile) to ask for");
  command.option("--subject", c.subject, "Subject to ask for, as in CN=dev-1");
  command.option("--san", c.alt_names, "Alternative name to ask for, as in dns:dev-1.example; may be repeated");
  command.option("--key-type", c.key_type, "Type of the new key, unless the server wants another");
  command.option("--attempts", o.rounds, "Times that all addresses may fail before it gives up").between(1, 1000);
  command.option("--timeout", c.timeout_s, "Seconds until it gives up").between(1, 7 * 24 * 3600);
  command.flag("--beliefs", c.beliefs, "Show what the device came to believe, and why");
  command.runs([options](const Context& context) { return onboard_brski(context, *options); });
}

}  // namespace imprint::app
