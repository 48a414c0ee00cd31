#include "proto/brski/survey.h"

namespace imprint::brski {
namespace {

const std::string kRfc = "RFC 8995 section ";
const std::string kConstrained = "draft-ietf-anima-constrained-voucher section ";
const std::string kCloud = "draft-ietf-anima-brski-cloud section ";
const std::string kSurvey = "survey 2.7";

// ---- words ----

std::vector<TermFacts> terms_of_the_whole() {
  return {
      {"bootstrapping",
       "onboarding",
       "the whole way of a device from belonging nowhere to a trusted member of a domain",
       kSurvey,
       {"Opening", "Signing", "Asking", "Waiting", "Telling", "Enrolling", "Returning", "Reporting", "Configured",
        "registrar Admitting", "registrar Fetching", "registrar Recalling", "registrar FetchingLog",
        "EST server Issuing", "registrar Ending"}},
      {"bootstrapping",
       "onboarding",
       "a protocol by which a device gets an anchor of the place where it is",
       "survey 2025 3.1",
       {}},
      {"provisioning",
       "provisioning",
       "in general: bringing anchors and a certificate; close to bootstrapping",
       kSurvey,
       {"Enrolling", "EST server Issuing"}},
      {"enrollment",
       "provisioning",
       "a device shows a key to a network and gets an identity of that network, by EST",
       kRfc + "1.2",
       {"Enrolling", "EST server Issuing"}},
      {"enrollment", "provisioning", "as EST has it", "survey 2025 3.1", {}},
      {"onboarding", "onboarding", "said informally, without a meaning of its own", kSurvey, {}},
      {"join",
       "run",
       "a device tries to attach to a domain; not yet trust",
       kSurvey,
       {"Opening", "Signing", "Asking", "Waiting"}},
      {"imprint",
       "first belief in the owner's anchor",
       "a device gets the key by which it knows a network from now on: the pin of the voucher",
       kRfc + "1.2",
       {"Telling", "registrar Recalling"}},
      {"imprint",
       "first belief in the owner's anchor",
       "getting what makes it trustworthy in a domain",
       "survey 2025 3.1",
       {}},
      {"discovery", "discovery", "finding who has to take part: a join proxy, a registrar", kSurvey, {}},
      {"discovery", "discovery", "finding an entity that must take part", "survey 2025 3.1", {}},
      {"drop-ship",
       "shipment without staging",
       "the device goes to its last place with the factory's configuration alone",
       kRfc + "1.2",
       {}},
      {"TOFU",
       "belief on first contact",
       "the device takes the first registrar that answers; never over a network",
       kRfc + "1.2",
       {}},
  };
}

std::vector<TermFacts> terms_of_what_is_said() {
  return {
      {"IDevID",
       "initial belief in an own identity",
       "the maker's certificate in the device, IEEE 802.1AR; its serial number is the voucher's",
       kRfc + "2.3",
       {"Opening", "Signing"}},
      {"LDevID",
       "own certificate of the owner's CA",
       "the owner's certificate in the device",
       kRfc + "1.2",
       {"Enrolling", "EST server Issuing"}},
      {"voucher",
       "voucher",
       "a statement signed by the MASA: for this device, whom to take for its owner",
       kRfc + "1.2",
       {"Telling", "registrar Fetching"}},
      {"voucher request (PVR, RVR)",
       "claim",
       "the device's, which names the registrar that it sees; the registrar's, with the device's in it",
       kRfc + "3",
       {"Signing", "Asking", "registrar Admitting", "registrar Signing"}},
      {"pinned domain certificate",
       "anchor",
       "whom the voucher names: the registrar itself, or a CA above it",
       kRfc + "5.6.2",
       {"Telling"}},
      {"provisional TLS",
       "belief on first contact",
       "a handshake with whoever answers; nobody is believed until a voucher came",
       kRfc + "5.1",
       {"Opening"}},
      {"nonced",
       "mode",
       "request and voucher have a nonce: the voucher was made for this very attempt",
       kRfc + "1.2",
       {"Signing", "Telling"}},
      {"nonceless",
       "mode",
       "a voucher without a nonce: fetched beforehand, it ends by the clock or not at all",
       kRfc + "1.2",
       {"Telling"}},
      {"assertion",
       "ground of the maker's word",
       "why the MASA takes this registrar for the owner's: verified, logged, or proximity",
       "RFC 8366 section 5.3",
       {}},
      {"proximity",
       "proof",
       "the device itself signed that it sees this registrar's certificate",
       kRfc + "5.5.5",
       {"Signing", "registrar Admitting"}},
      {"domain", "the owner's members", "all who share one local anchor", kRfc + "1.2", {}},
      {"domainID",
       "pseudonym of an owner",
       "a value of the owner's CA certificate, in the audit log",
       kRfc + "5.8.2",
       {}},
      {"MASA audit log",
       "custody",
       "which domains have had vouchers for a device; read by the next one",
       kRfc + "5.8.1",
       {"registrar OpeningForLog", "registrar FetchingLog"}},
      {"ownership tracker", "custody", "the maker's record of who bought which device", kRfc + "1.2", {}},
      {"status telemetry",
       "report",
       "the device tells the registrar how voucher and enrolment went",
       kRfc + "5.7",
       {"Telling", "Complaining", "Reporting", "registrar Recalling", "registrar Ending"}},
  };
}

std::vector<TermFacts> terms() {
  std::vector<TermFacts> out = terms_of_the_whole();
  const std::vector<TermFacts> more = terms_of_what_is_said();
  out.insert(out.end(), more.begin(), more.end());
  return out;
}

// ---- players and the way ----

std::vector<PlayerFacts> players() {
  return {
      {"manufacturer", "manufacturer",
       "installs IDevID, key, voucher anchor and the MASA's address; runs the MASA; may know who bought which device",
       kSurvey},
      {"MASA", "authority", "signs vouchers, keeps the audit log; does not track ownership by itself", kRfc + "1.2"},
      {"registrar (JRC)", "steerer",
       "authenticates devices, decides whether it wants them, asks their MASAs, lets them on to EST", kRfc + "1.2"},
      {"cloud registrar", "steerer", "the maker's: sends a device to its owner's registrar or EST server",
       kCloud + "3"},
      {"join proxy", "helper", "carries the device's traffic before it has access; understands none of it",
       kRfc + "1.2"},
      {"domain CA", "authority", "certifies the registrar, and what EST gives out", kRfc + "1.2"},
      {"EST server", "steerer", "the registrar's own: gives the device its certificate", kRfc + "5.9"},
      {"pledge", "device", "is onboarded: has an identity of the factory, and no owner", kRfc + "1.2"},
      {"administrator", "administrator", "tells the registrar which makers and devices are wanted", kRfc + "1.2"},
      {"owner / service provider", "owner", "has the domain; may ship equipment straight to end users", kSurvey},
      {"end user", "user", "plugs the device in", kSurvey},
  };
}

std::vector<ProcessFacts> processes() {
  return {
      {"CA, EST server and registrar are deployed; the registrar knows which makers it trusts", kRfc + "9.1.2", {}},
      {"a registrar, or a join proxy to it, is found", kRfc + "4.1", {"Idle"}},
      {"TLS: whoever answers is not believed yet, but for the maker's registrar, by its anchors",
       kRfc + "5.1",
       {"Opening"}},
      {"voucher request signed with the IDevID; it names this registrar's certificate", kRfc + "5.2", {"Signing"}},
      {"the registrar decides, and asks the MASA with a request of its own",
       kRfc + "5.5",
       {"Asking", "registrar Admitting", "registrar Signing", "registrar Opening"}},
      {"the MASA decides, writes its audit log and signs the voucher", kRfc + "5.6", {"registrar Fetching"}},
      {"waiting for the owner's or the MASA's word (202)", kRfc + "5.6", {"Waiting"}},
      {"voucher judged, then the connection by its pin; the registrar hears that it is good",
       kRfc + "5.6.2",
       {"Telling", "Rejoining", "registrar Recalling"}},
      {"or it is not: the registrar hears why, and the next one is asked", kRfc + "5.7", {"Complaining"}},
      {"the registrar reads the audit log, and lets the device on",
       kRfc + "5.8.3",
       {"registrar OpeningForLog", "registrar FetchingLog"}},
      {"enrolment by EST on the same connection",
       kRfc + "5.9",
       {"Enrolling", "EST server Admitting", "EST server Keying", "EST server Issuing"}},
      {"comes back with the new certificate, and reports",
       kRfc + "5.9.4",
       {"Returning", "Reporting", "Pausing", "registrar Ending"}},
      {"configured: this way is not gone again before a reset", kRfc + "2.1", {"Configured"}},
  };
}

// ---- beliefs ----

const Sourced kIdevid{"IDevID certificate and key", kRfc + "2.3"};
const Sourced kVoucherAnchor{"an anchor for vouchers: the MASA's", kRfc + "5.6.1"};
const Sourced kMasaAddress{"the MASA's address, for the registrar to read: in the IDevID", kRfc + "2.3.2"};
const Sourced kCloudAddress{"the address of the maker's registrar, and anchors for its certificate", kCloud + "3"};
const Sourced kLinkLocal{"link-local connectivity", kSurvey};

const Sourced kOwner{"the owner's anchor: the domain CA's certificate or the registrar's own, as the voucher pins it",
                     kRfc + "5.6.2"};
const Sourced kOwnerKey{"the owner's anchor: a certificate, or a key alone, as the voucher pins it",
                        kConstrained + "6"};
const Sourced kRegistrar{"this registrar is the owner's: its certificate leads to the pin", kRfc + "5.6.2"};
const Sourced kElsewhere{"where the owner's registrar or EST server is", kCloud + "3.2"};
const Sourced kCaCertificates{"the domain's CA certificates", kRfc + "5.9.1"};
const Sourced kLdevid{"own certificate of the owner's CA (LDevID)", kRfc + "5.9.3"};

std::vector<AssumptionFacts> needs(std::string ip, std::string ip_source, std::string clock, std::string clock_source) {
  return {
      {"link", "any that carries IPv6", kRfc + "4.1"},
      {"IP", std::move(ip), std::move(ip_source)},
      {"clock", std::move(clock), std::move(clock_source)},
      {"DNS", "for the registrar only, to find the MASA", kRfc + "2.3.2"},
      {"I/O", "none", kRfc + "1"},
      {"keys", "the IDevID's", kRfc + "2.3"},
  };
}

const std::string kLocalIp = "link-local only; the registrar reaches the MASA";
const std::string kNoClock = "none: the nonce says that the voucher is fresh";

ModeFacts https() {
  return {"https",
          "over HTTPS, with a voucher made for this very attempt",
          needs(kLocalIp, kRfc + "4.1", kNoClock, kRfc + "2.6.1"),
          {kIdevid, kVoucherAnchor, kMasaAddress},
          {kOwner, kRegistrar, kCaCertificates, kLdevid},
          {{"person", "none but to plug it in", kSurvey}}};
}

ModeFacts nonceless() {
  return {"nonceless",
          "with a voucher that was fetched beforehand and has no nonce",
          needs("link-local only; nobody reaches the MASA", kRfc + "7.3",
                "one that is right; without it an old voucher is as good as a new one", kRfc + "7.4.1"),
          {kIdevid, kVoucherAnchor},
          {kOwner, kRegistrar, kCaCertificates, kLdevid},
          {{"person", "tells the registrar beforehand which devices come: serial numbers, by list or barcode",
            kRfc + "3.1"},
           {"person", "at the device none but to plug it in", kSurvey}}};
}

ModeFacts coaps() {
  return {"coaps",
          "over CoAPS, small (cBRSKI)",
          needs(kLocalIp, kRfc + "4.1", kNoClock, kRfc + "2.6.1"),
          {kIdevid, kVoucherAnchor, kMasaAddress},
          {kOwnerKey, kRegistrar, kCaCertificates, kLdevid},
          {{"person", "none but to plug it in", kSurvey}}};
}

ModeFacts cloud() {
  ModeFacts out{"cloud",
                "by the maker's registrar, which sends the device to its owner's",
                needs("to the Internet, before any trust", kRfc + "2.7",
                      "good enough to judge the certificate of the maker's registrar", "RFC 5280 section 6.1.3"),
                {kIdevid, kVoucherAnchor, kCloudAddress},
                {kOwner, kElsewhere, kCaCertificates, kLdevid},
                {{"person", "none but to plug it in", kSurvey},
                 {"person", "the owner tells the maker where its registrar is", kCloud + "3"}}};
  for (AssumptionFacts& need : out.assumes) {
    if (need.about == "DNS") {
      need = {"DNS", "for the device as well: the maker's registrar has a name", kRfc + "2.7"};
    }
  }
  return out;
}

// ---- scales ----

// What everybody else learns of a run.
std::vector<DimensionFacts> observers() {
  const auto learns = [](std::string what, std::string source, std::string mode = {}) {
    return DimensionFacts{"privacy", std::move(what), std::move(mode), std::move(source)};
  };
  const std::string listener =
      "a listener on the link, the join proxy included, sees the IDevID and its serial number "
      "under TLS 1.2, under TLS 1.3 not";
  const std::string stranger = "whoever answers first learns the IDevID: nobody is proven yet";
  std::vector<DimensionFacts> out;
  for (const char* const mode : {"", "nonceless", "cloud"}) {
    out.push_back(learns(listener, kRfc + "10.2", mode));
  }
  for (const char* const mode : {"", "nonceless"}) {
    out.push_back(learns(stranger, kRfc + "10.2", mode));
  }
  out.push_back(
      learns("the MASA learns which device, when, for which domain, and the registrar's address, not the "
             "device's",
             kRfc + "10.3"));
  out.push_back(learns("the MASA learns which devices a domain wants, beforehand; not when or whether they join",
                       kRfc + "3.1", "nonceless"));
  out.push_back(
      learns("the maker's registrar learns which device, when, and the device's own address", kCloud + "3", "cloud"));
  for (const char* const mode : {"", "nonceless", "cloud"}) {
    out.push_back(learns("later owners read in the audit log when it was claimed, by pseudonyms", kRfc + "10.1", mode));
  }
  return out;
}

std::vector<DimensionFacts> dimensions() {
  std::vector<DimensionFacts> out{
      {"umbrella term", "bootstrapping", {}, "survey 3.1"},
      {"belief category", "certificates", {}, "survey 3.3"},
      {"initial trust", "installed credentials", {}, "survey 2025 3.3"},
      {"knowledge class", "infrastructure centric", {}, "survey 3.5"},
      {"maker's role", "sustained", {}, "survey 3.2"},
      {"maker needed online", "yes, whenever a device joins: its MASA signs", {}, kRfc + "5.5"},
      {"maker needed online", "not when a device joins: the voucher was fetched before", "nonceless", kRfc + "7.3"},
      {"user's role", "minimal", {}, "survey 3.2"},
      {"persons' acts", "install, connect, power up", {}, kSurvey},
      {"locality", "remote services", {}, "survey 3.2"},
      {"authorization",
       "the voucher binds the device to one domain before enrolment; the registrar has its lists",
       {},
       kSurvey},
      {"authorization", "the MASA knows the buyer, or takes whoever asks and logs it", {}, kRfc + "7.4.2"},
      {"reset and resale", "after a reset a new voucher is needed, which the maker may refuse", {}, kRfc + "10.4"},
      {"reset and resale", "a voucher without an end takes the device for the same domain again and again", "nonceless",
       kRfc + "7.4.1"},
      {"discovery", "network; link-local where it is described", {}, "survey 3.4"},
      {"discovery", "a built-in address of the maker's", "cloud", kRfc + "2.7"},
  };
  const std::vector<DimensionFacts> more = observers();
  out.insert(out.end(), more.begin(), more.end());
  return out;
}

ProtocolFacts make_facts() {
  return {"brski",
          "Bootstrapping Remote Secure Key Infrastructure",
          "RFC 8995; RFC 8366; draft-ietf-anima-constrained-voucher; draft-ietf-anima-brski-cloud",
          "bootstrapping",
          {https(), nonceless(), coaps(), cloud()},
          terms(),
          players(),
          {kIdevid, kVoucherAnchor, kMasaAddress, kCloudAddress, kLinkLocal},
          {kOwner,
           kRegistrar,
           kElsewhere,
           kCaCertificates,
           kLdevid,
           {"ability to be managed and to take part in secure routing", kSurvey}},
          processes(),
          dimensions()};
}

}  // namespace

const ProtocolFacts& survey_facts() {
  static const ProtocolFacts kFacts = make_facts();
  return kFacts;
}

}  // namespace imprint::brski
