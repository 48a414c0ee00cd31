// The misbehaving twins: each of device, join proxy, registrar and MASA does one thing wrong among others that do as
// they are told. Those refuse it, say by which rule, keep nothing of it, and an honest run right after gets through.
#include <gtest/gtest.h>

#include <algorithm>

#include "crypto/cms.h"
#include "proto/brski/brski_pair.h"
#include "proto/brski/wire.h"

namespace imprint::brski {
namespace {

using testing::Player;
using testing::players;
using testing::Trio;

struct Switch {
  std::string_view name;
  Player finds;  // who refuses it
  std::string_view rule;
  std::function<void(Trio&)> how;
};

const est::Party& other_device() {
  static const est::Party kOther = est::make_below(players().maker, "CN=lamp,serialNumber=LAMP-2");
  return kOther;
}

est::Party short_lived(const est::Party& issuer, std::string_view name) {
  return est::make_below(issuer, name, [](CertificateTemplate& t) {
    t.not_before = est::kStart - 9 * est::kDay;
    t.not_after = est::kStart - est::kDay;
  });
}

bool is_for(const Request& q, std::string_view end) { return q.path.ends_with(end); }

// ---- what may be done to a message ----

using EditBody = std::function<void(Bytes&)>;
EditBody flip_near_end() {
  return [](Bytes& b) { b.at(b.size() - 3) ^= 1U; };
}
EditBody cut_short() {
  return [](Bytes& b) { b.resize(b.size() / 2); };
}
EditBody become_huge() {
  return [](Bytes& b) { b.resize(kMaxArtifact + 1, 0x20); };
}
EditBody become(std::string_view text) {
  return [text = std::string(text)](Bytes& b) { b = to_bytes(text); };
}

// Of the device's request for a voucher, on its way.
std::function<void(Trio&)> request(std::function<void(Request&)> edit) {
  return [edit = std::move(edit)](Trio& t) {
    t.join.on_request = [edit](Request& q) {
      if (is_for(q, kRequestVoucher)) {
        edit(q);
      }
    };
  };
}
std::function<void(Trio&)> request_body(EditBody edit) {
  return request([edit = std::move(edit)](Request& q) { edit(q.body); });
}
std::function<void(Trio&)> pvr(std::function<void(Voucher&, Signer&)> edit) {
  return [edit = std::move(edit)](Trio& t) { t.pledge_signs = edit; };
}
// Of the answer to it, on its way to the device.
std::function<void(Trio&)> answer(std::function<void(Response&, const Request&, Trio&)> edit) {
  return [edit = std::move(edit)](Trio& t) {
    t.join.on_response = [edit, &t](Response& r, const Request& q) {
      if (is_for(q, kRequestVoucher)) {
        edit(r, q, t);
      }
    };
  };
}
std::function<void(Trio&)> answer_body(EditBody edit) {
  return answer([edit = std::move(edit)](Response& r, const Request&, Trio&) { edit(r.body); });
}
// Of the registrar's request.
std::function<void(Trio&)> rvr(std::function<void(Voucher&, Signer&)> edit) {
  return [edit = std::move(edit)](Trio& t) { t.registrar_signs = edit; };
}
std::function<void(Trio&)> to_masa(std::function<void(Request&)> edit) {
  return [edit = std::move(edit)](Trio& t) { t.upstream.on_request = edit; };
}
// Of the MASA's voucher, before it is signed, and of its answer.
std::function<void(Trio&)> voucher(std::function<void(Voucher&, Signer&)> edit) {
  return [edit = std::move(edit)](Trio& t) { t.masa_signs = edit; };
}
std::function<void(Trio&)> masa_says(std::function<void(Response&, const Request&)> edit) {
  return [edit = std::move(edit)](Trio& t) {
    t.upstream.on_response = [edit](Response& r, const Request& q) {
      if (is_for(q, kRequestVoucher)) {
        edit(r, q);
      }
    };
  };
}
std::function<void(Trio&)> masa_says(int status, std::string location = {}) {
  return masa_says([status, location = std::move(location)](Response& r, const Request&) {
    r = Response{status, "text/plain", to_bytes("no\n")};
    r.location = location;
  });
}
// The same, and the registrar does not look at who signed.
std::function<void(Trio&)> unseen(std::function<void(Trio&)> how) {
  return [how = std::move(how)](Trio& t) {
    t.owner().masa.voucher_anchors.clear();
    how(t);
  };
}

void sign_by(Signer& by, const est::Party& who) { by = Signer{who.key, {who.certificate}}; }

Bytes signed_by_masa(const Trio& t, const Request& q, const std::function<void(Voucher&)>& edit) {
  Voucher out;
  const Voucher asked = parse_artifact(q.body)->voucher;
  out.serial_number = asked.serial_number;
  out.nonce = asked.nonce;
  out.assertion = Assertion::logged;
  out.created_on = DateTime::of(t.now);
  out.pinned_domain_cert = est::cast().owner.certificate.der;
  edit(out);
  return *sign_voucher(out, t.plan.form, {t.masa.signer.key, {t.masa.signer.certificate}});
}

// ---- the device's twin ----

const std::vector<Switch>& device_switches() {
  static const std::vector<Switch> kAll{
      {"signed_by_another_key", Player::registrar, "BRSKI-PVR-SIGNATURE",
       pvr([](Voucher&, Signer& by) { sign_by(by, players().stranger); })},
      {"serial_number_of_another", Player::registrar, "BRSKI-PVR-SERIAL",
       pvr([](Voucher& v, Signer&) { v.serial_number = "LAMP-2"; })},
      {"no_serial_number", Player::registrar, "BRSKI-PVR-SERIAL",
       pvr([](Voucher& v, Signer&) { v.serial_number.reset(); })},
      {"no_nonce", Player::registrar, "BRSKI-PVR-NONCE", pvr([](Voucher& v, Signer&) { v.nonce.reset(); })},
      {"short_nonce", Player::registrar, "BRSKI-ARTIFACT", pvr([](Voucher& v, Signer&) { v.nonce = "abc"; })},
      {"other_registrars_certificate", Player::registrar, "BRSKI-PVR-REGISTRAR",
       pvr([](Voucher& v, Signer&) { v.proximity_registrar_cert = players().other_registrar.certificate.der; })},
      {"saw_nobody", Player::registrar, "BRSKI-PVR-NOT-PROXIMITY",
       pvr([](Voucher& v, Signer&) { v.proximity_registrar_cert.reset(); })},
      {"asserts_less", Player::registrar, "BRSKI-PVR-NOT-PROXIMITY",
       pvr([](Voucher& v, Signer&) { v.assertion = Assertion::logged; })},
      {"voucher_in_place_of_a_request", Player::registrar, "BRSKI-REQUEST-KIND", pvr([](Voucher& v, Signer&) {
         v.kind = Voucher::Kind::voucher;
         v.proximity_registrar_cert.reset();
       })},
      {"changed_request", Player::registrar, "BRSKI-PVR-SIGNATURE", request_body(flip_near_end())},
      {"cut_request", Player::registrar, "BRSKI-ARTIFACT", request_body(cut_short())},
      {"oversized_request", Player::registrar, "BRSKI-ARTIFACT", request_body(become_huge())},
      {"empty_request", Player::registrar, "BRSKI-ARTIFACT", request_body(become(""))},
      {"announces_another_form", Player::registrar, "BRSKI-ARTIFACT",
       request([](Request& q) { q.content_type = media_type(Form::jws); })},
      {"unknown_type", Player::registrar, "BRSKI-REQUEST-TYPE",
       request([](Request& q) { q.content_type = "application/json"; })},
      {"takes_no_voucher", Player::registrar, "BRSKI-ACCEPT", request([](Request& q) { q.accept = "text/html"; })},
      {"get", Player::registrar, "BRSKI-METHOD-POST", request([](Request& q) { q.method = Method::get; })},
      {"no_idevid", Player::registrar, "BRSKI-IDEVID",
       [](Trio& t) {
         t.join.on_session = [](Session&, Session& server) {
           server.proven.reset();
           server.presented.clear();
         };
       }},
      {"idevid_of_another_maker", Player::registrar, "BRSKI-IDEVID",
       [](Trio& t) { t.become(est::make_below(players().stranger, "CN=lamp,serialNumber=LAMP-1")); }},
      {"expired_idevid", Player::registrar, "BRSKI-IDEVID",
       [](Trio& t) { t.become(short_lived(players().maker, "CN=lamp,serialNumber=LAMP-1")); }},
      {"other_devices_request_again", Player::registrar, "BRSKI-PVR-SIGNATURE",
       [](Trio& t) {
         t.cut = Trio::Cut{Player::registrar, 0};  // it is overheard, and does not get through
         t.run();
         const Bytes heard = t.asked_registrar.front().body;
         t.become(other_device());
         request_body([heard](Bytes& b) { b = heard; })(t);
       }},
      {"unknown_to_its_maker", Player::masa, "MASA-UNKNOWN",
       [](Trio& t) { t.become(est::make_below(players().maker, "CN=lamp,serialNumber=LAMP-9")); }},
  };
  return kAll;
}

// ---- the join proxy's twin, or whoever else stands between device and registrar ----

const std::vector<Switch>& proxy_switches() {
  static const std::vector<Switch> kAll{
      {"ends_tls_itself", Player::registrar, "BRSKI-IDEVID",
       [](Trio& t) {
         t.join.on_session = [](Session& client, Session& server) {
           client.presented = {players().stranger.certificate};
           server.proven.reset();
         };
       }},
      {"ends_tls_with_a_device_of_its_own", Player::registrar, "BRSKI-PVR-SIGNATURE",
       [](Trio& t) {
         t.join.on_session = [](Session& client, Session& server) {
           client.presented = {players().stranger.certificate};
           server.presented = {other_device().certificate};
           server.proven = *verify_chain(other_device().certificate, {}, {players().maker.certificate},
                                         {Purpose::any, est::kStart, true});
         };
       }},
      {"ends_tls_with_the_devices_own_key", Player::registrar, "BRSKI-PVR-REGISTRAR",
       [](Trio& t) {
         t.join.on_session = [](Session& client, Session&) { client.presented = {players().stranger.certificate}; };
       }},
      {"ends_tls_and_has_a_voucher_for_the_owner", Player::pledge, "BRSKI-REGISTRAR-PIN",
       [](Trio& t) {
         t.join.on_session = [](Session& client, Session&) { client.presented = {players().stranger.certificate}; };
         answer([](Response& r, const Request& q, const Trio& at) {
           r = {200, std::string(media_type(Form::cms)), signed_by_masa(at, q, [](Voucher&) {})};
         })(t);
       }},
      {"shows_no_certificate", Player::pledge, "BRSKI-NO-CERTIFICATE",
       [](Trio& t) { t.join.on_session = [](Session& client, Session&) { client.presented.clear(); }; }},
      {"the_devices_request_as_voucher", Player::pledge, "BRSKI-VOUCHER-KIND",
       answer([](Response& r, const Request& q, const Trio&) { r.body = q.body; })},
      {"the_registrars_request_as_voucher", Player::pledge, "BRSKI-VOUCHER-KIND",
       answer([](Response& r, const Request&, const Trio& t) { r.body = t.asked_masa.back().body; })},
      {"voucher_of_another_run", Player::pledge, "BRSKI-VOUCHER-NONCE",
       [](Trio& t) {
         t.run();
         const Bytes old = t.device.imprinted->voucher;
         t.reset();
         answer_body([old](Bytes& b) { b = old; })(t);
       }},
      {"request_of_another_run", Player::pledge, "BRSKI-VOUCHER-NONCE",
       [](Trio& t) {
         t.run();
         const Bytes old = t.asked_registrar.front().body;
         t.reset();
         request_body([old](Bytes& b) { b = old; })(t);
       }},
      {"changed_voucher", Player::pledge, "BRSKI-VOUCHER-SIGNATURE", answer_body(flip_near_end())},
      {"cut_voucher", Player::pledge, "BRSKI-FORM", answer_body(cut_short())},
      {"oversized_voucher", Player::pledge, "BRSKI-FORM", answer_body(become_huge())},
      {"empty_voucher", Player::pledge, "BRSKI-FORM", answer_body(become(""))},
      {"web_page_in_place_of_a_voucher", Player::pledge, "BRSKI-FORM", answer_body(become("<html></html>"))},
      {"voucher_in_another_form", Player::pledge, "BRSKI-FORM",
       answer([](Response& r, const Request& q, const Trio& t) {
         r.body = *sign_voucher(parse_artifact(q.body)->voucher, Form::jws, {t.masa.signer.key, {}});
       })},
      {"redirects_to_itself", Player::pledge, "BRSKI-REDIRECT", answer([](Response& r, const Request&, const Trio&) {
         r = {307};
         r.location = "https://registrar.example";
       })},
      {"redirects_out_of_tls", Player::pledge, "BRSKI-REDIRECT", answer([](Response& r, const Request&, const Trio&) {
         r = {307};
         r.location = "http://registrar.example";
       })},
      {"come_again_for_ever", Player::pledge, "BRSKI-WAITED",
       [](Trio& t) {
         t.plan.polls = 5;
         answer([](Response& r, const Request&, const Trio&) { r = {202, {}, {}, 1}; })(t);
       }},
      {"slow", Player::pledge, "BRSKI-NO-REGISTRAR",
       [](Trio& t) { t.join.before = [](const Request&) {
                       return Error{Fault::unreachable, "timeout"};
                     }; }},
      {"answer_without_end", Player::pledge, "BRSKI-NO-REGISTRAR",
       [](Trio& t) { t.join.after = [](const Request&) {
                       return Error{Fault::limit, "body: too long"};
                     }; }},
  };
  return kAll;
}

// ---- the registrar's twin ----

const std::vector<Switch>& registrar_switches() {
  static const std::vector<Switch> kAll{
      {"no_registrar_by_its_certificate", Player::masa, "BRSKI-RVR-CMCRA", rvr([](Voucher&, Signer& by) {
         by = {est::cast().server.key, {est::cast().server.certificate, est::cast().owner.certificate}};
       })},
      {"serial_number_of_another", Player::masa, "BRSKI-RVR-SERIAL",
       rvr([](Voucher& v, Signer&) { v.serial_number = "LAMP-2"; })},
      {"no_serial_number", Player::masa, "BRSKI-RVR-SERIAL", rvr([](Voucher& v, Signer&) { v.serial_number.reset(); })},
      {"another_nonce", Player::masa, "BRSKI-RVR-NONCE", rvr([](Voucher& v, Signer&) { v.nonce = "AAAAAAAAAAAA"; })},
      {"leaves_the_nonce_out", Player::masa, "BRSKI-RVR-REGISTRAR", rvr([](Voucher& v, Signer&) { v.nonce.reset(); })},
      {"issuer_of_another", Player::masa, "BRSKI-RVR-ISSUER",
       rvr([](Voucher& v, Signer&) { v.idevid_issuer = encode_idevid_issuer(Bytes(20, 9)); })},
      {"leaves_the_devices_request_out", Player::masa, "BRSKI-RVR-NO-PRIOR",
       [](Trio& t) {
         t.masa.config.needs_prior = true;
         rvr([](Voucher& v, Signer&) { v.prior_signed_voucher_request.reset(); })(t);
       }},
      {"garbage_as_the_devices_request", Player::masa, "BRSKI-RVR-PRIOR", rvr([](Voucher& v, Signer&) {
         v.prior_signed_voucher_request = Bytes{0x30, 0x03, 0x02, 0x01, 0x01};
       })},
      {"asks_with_a_request_that_names_another_registrar", Player::masa, "BRSKI-RVR-PROXIMITY",
       rvr([](Voucher&, Signer& by) {
         const est::Party mine = est::make_below(players().other_domain, "CN=Registrar",
                                                 est::for_host("dns:r.example", {std::string(eku::kCmcRa)}));
         by = {mine.key, {mine.certificate, players().other_domain.certificate}};
       })},
      {"voucher_in_place_of_a_request", Player::masa, "BRSKI-REQUEST-KIND", rvr([](Voucher& v, Signer&) {
         v.kind = Voucher::Kind::voucher;
         v.prior_signed_voucher_request.reset();
       })},
      {"the_devices_request_in_place_of_its_own", Player::masa, "BRSKI-RVR-CMCRA",
       [](Trio& t) { t.upstream.on_request = [&t](Request& q) { q.body = t.asked_registrar.back().body; }; }},
      {"changed_request", Player::masa, "BRSKI-RVR-SIGNATURE", to_masa([](Request& q) { flip_near_end()(q.body); })},
      {"cut_request", Player::masa, "BRSKI-ARTIFACT", to_masa([](Request& q) { cut_short()(q.body); })},
      {"oversized_request", Player::masa, "BRSKI-ARTIFACT", to_masa([](Request& q) { become_huge()(q.body); })},
      {"unknown_type", Player::masa, "MASA-TYPE", to_masa([](Request& q) { q.content_type = "text/plain"; })},
      {"takes_no_voucher", Player::masa, "MASA-ACCEPT", to_masa([](Request& q) { q.accept = "text/html"; })},
      {"expired_certificate", Player::masa, "BRSKI-RVR-CHAIN", rvr([](Voucher&, Signer& by) {
         const est::Party old = est::make_below(est::cast().owner, "CN=Registrar", [](CertificateTemplate& t) {
           t.not_before = est::kStart - 9 * est::kDay;
           t.not_after = est::kStart - est::kDay;
           t.extended = {std::string(eku::kCmcRa)};
         });
         by = {old.key, {old.certificate, est::cast().owner.certificate}};
       })},
      {"makes_the_voucher_itself", Player::pledge, "BRSKI-VOUCHER-SIGNER",
       answer([](Response& r, const Request& q, const Trio&) {
         Voucher v = parse_artifact(q.body)->voucher;
         v.kind = Voucher::Kind::voucher;
         v.proximity_registrar_cert.reset();
         v.pinned_domain_cert = est::cast().owner.certificate.der;
         r.body = *sign_voucher(v, Form::cms, {players().registrar.key, {players().registrar.certificate}});
       })},
      {"voucher_of_another_device", Player::pledge, "BRSKI-VOUCHER-SERIAL",
       answer([](Response& r, const Request& q, const Trio& t) {
         r.body = signed_by_masa(t, q, [](Voucher& v) { v.serial_number = "LAMP-2"; });
       })},
      {"voucher_for_another_registrar", Player::pledge, "BRSKI-REGISTRAR-PIN",
       answer([](Response& r, const Request& q, const Trio& t) {
         r.body =
             signed_by_masa(t, q, [](Voucher& v) { v.pinned_domain_cert = players().other_domain.certificate.der; });
       })},
      {"a_device_of_the_domain_plays_registrar", Player::pledge, "BRSKI-REGISTRAR-CMCRA",
       [](Trio& t) {
         static const est::Party kLamp = est::make_below(est::cast().owner, "CN=lamp of the domain");
         t.join.on_session = [](Session& client, Session&) { client.presented = {kLamp.certificate}; };
         answer([](Response& r, const Request& q, const Trio& at) {
           r = {200, std::string(media_type(Form::cms)), signed_by_masa(at, q, [](Voucher&) {})};
         })(t);
       }},
      {"does_not_want_it", Player::registrar, "BRSKI-IDEVID",
       [](Trio& t) { t.owner().verdict = AdmitPledge::Decision::Verdict::refused; }},
      {"says_no", Player::pledge, "BRSKI-REFUSED", answer([](Response& r, const Request&, const Trio&) { r = {403}; })},
  };
  return kAll;
}

// ---- the MASA's twin ----

const std::vector<Switch>& masa_switches() {
  static const std::vector<Switch> kAll{
      {"another_nonce", Player::registrar, "BRSKI-MASA-VOUCHER",
       voucher([](Voucher& v, Signer&) { v.nonce = "AAAAAAAAAAAAAAAA"; })},
      {"serial_number_of_another", Player::registrar, "BRSKI-MASA-VOUCHER",
       voucher([](Voucher& v, Signer&) { v.serial_number = "LAMP-2"; })},
      {"no_serial_number", Player::registrar, "BRSKI-MASA-VOUCHER",
       voucher([](Voucher& v, Signer&) { v.serial_number.reset(); })},
      {"issuer_of_another", Player::registrar, "BRSKI-MASA-VOUCHER",
       voucher([](Voucher& v, Signer&) { v.idevid_issuer = encode_idevid_issuer(Bytes(20, 9)); })},
      {"over_already", Player::registrar, "BRSKI-MASA-VOUCHER", voucher([](Voucher& v, Signer&) {
         v.nonce.reset();
         v.expires_on = DateTime::of(est::kStart - est::kDay);
       })},
      {"pins_another", Player::registrar, "BRSKI-MASA-PIN",
       voucher([](Voucher& v, Signer&) { v.pinned_domain_cert = players().other_domain.certificate.der; })},
      {"pins_another_key_besides", Player::registrar, "BRSKI-MASA-PIN",
       voucher([](Voucher& v, Signer&) { v.pinned_domain_pubk = players().stranger.certificate.key.spki; })},
      {"pins_nobody", Player::registrar, "BRSKI-MASA-PIN",
       voucher([](Voucher& v, Signer&) { v.pinned_domain_cert.reset(); })},
      {"a_request_in_place_of_a_voucher", Player::registrar, "BRSKI-MASA-ANSWER",
       masa_says([](Response& r, const Request& q) { r.body = q.body; })},
      {"signed_by_a_stranger", Player::registrar, "BRSKI-MASA-ANSWER",
       voucher([](Voucher&, Signer& by) { sign_by(by, players().stranger); })},
      {"signed_by_a_device_of_the_makers", Player::registrar, "BRSKI-MASA-ANSWER",
       voucher([](Voucher&, Signer& by) { sign_by(by, other_device()); })},
      {"changed_voucher", Player::registrar, "BRSKI-MASA-ANSWER",
       masa_says([](Response& r, const Request&) { flip_near_end()(r.body); })},
      {"cut_voucher", Player::registrar, "BRSKI-MASA-ANSWER",
       masa_says([](Response& r, const Request&) { cut_short()(r.body); })},
      {"oversized_voucher", Player::registrar, "BRSKI-MASA-ANSWER",
       masa_says([](Response& r, const Request&) { become_huge()(r.body); })},
      {"empty_answer", Player::registrar, "BRSKI-MASA-ANSWER",
       masa_says([](Response& r, const Request&) { r.body.clear(); })},
      {"another_type", Player::registrar, "BRSKI-MASA-ANSWER",
       masa_says([](Response& r, const Request&) { r.content_type = "text/html"; })},
      {"a_form_that_the_device_does_not_read", Player::registrar, "BRSKI-MASA-ANSWER",
       masa_says([](Response& r, const Request& q) {
         Voucher v = parse_artifact(q.body)->voucher;
         v.kind = Voucher::Kind::voucher;
         v.prior_signed_voucher_request.reset();
         r.body = *sign_voucher(v, Form::jws, {players().masa.key, {players().masa.certificate}});
         r.content_type = media_type(Form::jws);
       })},
      {"voucher_of_another_run", Player::registrar, "BRSKI-MASA-VOUCHER",
       [](Trio& t) {
         t.run();
         const Bytes old = t.device.imprinted->voucher;
         t.reset();
         masa_says([old](Response& r, const Request&) { r.body = old; })(t);
       }},
      {"moved", Player::registrar, "BRSKI-MASA-MOVED", masa_says(302, "https://elsewhere.example/")},
      {"moved_for_good", Player::registrar, "BRSKI-MASA-MOVED", masa_says(308, "https://masa.example/")},
      {"wants_a_login", Player::registrar, "BRSKI-MASA-LOGIN", masa_says(401)},
      {"says_no", Player::registrar, "BRSKI-MASA-REFUSED", masa_says(403)},
      {"knows_nothing", Player::registrar, "BRSKI-MASA-REFUSED", masa_says(404)},
      {"strange_status", Player::registrar, "BRSKI-MASA-ANSWER", masa_says(299)},
      {"has_trouble", Player::registrar, "BRSKI-MASA-FAILED", masa_says(500)},
      {"come_again_for_ever", Player::pledge, "BRSKI-WAITED",
       [](Trio& t) {
         t.plan.polls = 5;
         masa_says(202)(t);
       }},
      {"another_server", Player::registrar, "BRSKI-MASA-SERVER",
       [](Trio& t) {
         t.upstream.on_session = [](Session& client, Session&) { client.presented = {players().stranger.certificate}; };
       }},
      {"a_device_of_the_makers_as_server", Player::registrar, "BRSKI-MASA-SERVER",
       [](Trio& t) {
         t.upstream.on_session = [](Session& client, Session&) { client.presented = {other_device().certificate}; };
       }},
      {"silent", Player::registrar, "BRSKI-MASA-AWAY",
       [](Trio& t) { t.upstream.before = [](const Request&) {
                       return Error{Fault::unreachable, "timeout"};
                     }; }},
      {"answer_without_end", Player::registrar, "BRSKI-MASA-AWAY",
       [](Trio& t) { t.upstream.after = [](const Request&) {
                       return Error{Fault::limit, "body: too long"};
                     }; }},
      {"no_http", Player::registrar, "BRSKI-MASA-ANSWER",
       [](Trio& t) { t.upstream.after = [](const Request&) {
                       return Error{Fault::malformed, "http"};
                     }; }},
      {"unseen_signed_by_a_stranger", Player::pledge, "BRSKI-VOUCHER-SIGNER",
       unseen(voucher([](Voucher&, Signer& by) { sign_by(by, players().stranger); }))},
      {"unseen_signed_by_a_device_of_the_makers", Player::pledge, "BRSKI-VOUCHER-SIGNER-DEVICE",
       unseen(voucher([](Voucher&, Signer& by) { sign_by(by, other_device()); }))},
      {"unseen_expired_signer", Player::pledge, "BRSKI-VOUCHER-SIGNER-TIME",
       unseen(voucher([](Voucher&, Signer& by) { sign_by(by, short_lived(players().maker, "CN=MASA")); }))},
      {"unseen_made_tomorrow", Player::pledge, "BRSKI-VOUCHER-CREATED",
       unseen(voucher([](Voucher& v, Signer&) { v.created_on = DateTime::of(est::kStart + est::kDay); }))},
      {"unseen_changed", Player::pledge, "BRSKI-VOUCHER-SIGNATURE",
       unseen(masa_says([](Response& r, const Request&) { flip_near_end()(r.body); }))},
      {"asserts_too_little", Player::pledge, "BRSKI-VOUCHER-ASSERTION",
       [](Trio& t) {
         t.plan.assertions = {Assertion::verified, Assertion::proximity};
         voucher([](Voucher& v, Signer&) { v.assertion = Assertion::logged; })(t);
       }},
  };
  return kAll;
}

// ---- what is expected of all of them ----

class Twin : public ::testing::TestWithParam<Switch> {};

void expect_nothing_left(const Trio& t, Player finds, std::size_t logged, std::size_t obtained, std::size_t issued) {
  EXPECT_FALSE(t.device.imprinted);
  EXPECT_FALSE(t.device.installed);
  EXPECT_FALSE(t.device.asked);
  EXPECT_FALSE(t.mind.find(est::anchor_belief(est::cast().owner.certificate)));
  EXPECT_TRUE(t.sound);
  const testing::RegistrarSide& owner = t.registrars.at("registrar.example");
  EXPECT_EQ(owner.est.issued.size(), issued);
  if (finds != Player::pledge) {
    EXPECT_EQ(owner.obtained.size(), obtained);
  }
  if (finds == Player::masa) {
    EXPECT_EQ(t.masa.log.size(), logged);
  }
}

TEST_P(Twin, is_refused_by_a_rule_leaves_nothing_and_an_honest_run_follows) {
  Trio t;
  GetParam().how(t);
  const std::size_t logged = t.masa.log.size(), obtained = t.owner().obtained.size(),
                    issued = t.owner().est.issued.size();
  const bool fresh = t.row() == nullptr;
  t.told.clear();
  t.rules.clear();
  ASSERT_TRUE(t.run());
  ASSERT_TRUE(t.is<Pledge::Failed>()) << t.refusals();
  EXPECT_TRUE(t.refused(GetParam().finds, GetParam().rule)) << t.refusals();
  EXPECT_FALSE(t.rule().empty());
  expect_nothing_left(t, GetParam().finds, logged, obtained, issued);
  if (fresh && t.row() != nullptr) {
    EXPECT_FALSE(t.row()->cleared);
  }
  for (const Telemetry& told : t.told) {  // whoever it is hears the rule and no more
    EXPECT_FALSE(told.status);
    EXPECT_EQ(told.reason, t.rule());
    EXPECT_TRUE(told.context.empty());
  }

  t.behave();
  t.owner().verdict = AdmitPledge::Decision::Verdict::wanted;
  t.become(players().device);
  ASSERT_TRUE(t.run());
  EXPECT_TRUE(t.is<Pledge::Configured>()) << t.rule() << "; " << t.refusals();
  EXPECT_TRUE(t.row() != nullptr && t.row()->cleared);
}

// What gtest says of a switch.
void PrintTo(const Switch& one, std::ostream* out) { *out << one.name; }

std::string name_of(const ::testing::TestParamInfo<Switch>& of) { return std::string(of.param.name); }

INSTANTIATE_TEST_SUITE_P(Device, Twin, ::testing::ValuesIn(device_switches()), name_of);
INSTANTIATE_TEST_SUITE_P(Proxy, Twin, ::testing::ValuesIn(proxy_switches()), name_of);
INSTANTIATE_TEST_SUITE_P(Registrar, Twin, ::testing::ValuesIn(registrar_switches()), name_of);
INSTANTIATE_TEST_SUITE_P(Masa, Twin, ::testing::ValuesIn(masa_switches()), name_of);

// ---- a past that is not clear ----

// The device has its owner, and the owner keeps it out until a person has looked.
class Past : public ::testing::TestWithParam<Switch> {};

std::function<void(Trio&)> log_says(std::function<void(Response&)> edit) {
  return [edit = std::move(edit)](Trio& t) {
    t.upstream.on_response = [edit](Response& r, const Request& q) {
      if (is_for(q, kRequestAuditLog)) {
        edit(r);
      }
    };
  };
}
std::function<void(Trio&)> log_says(std::string_view text) {
  return log_says([text](Response& r) { r.body = to_bytes(text); });
}

const std::vector<Switch>& pasts() {
  static const std::vector<Switch> kAll{
      {"of_another_domain", Player::registrar, "BRSKI-LOG-DOMAIN",
       [](Trio& t) {
         t.masa.history = {{DateTime::of(est::kStart - est::kDay), Bytes(20, 3), "nonce", Assertion::logged, 0}};
       }},
      {"nonceless_elsewhere", Player::registrar, "BRSKI-LOG-NONCELESS",
       [](Trio& t) {
         t.owner().config.log.known = {Bytes(20, 3)};
         t.masa.history = {{DateTime::of(est::kStart - est::kDay), Bytes(20, 3), {}, Assertion::logged, 0}};
       }},
      {"not_new", Player::registrar, "BRSKI-LOG-HISTORY",
       [](Trio& t) {
         t.owner().config.log.known = {Bytes(20, 3)};
         t.owner().config.log.new_goods = true;
         t.masa.history = {{DateTime::of(est::kStart - est::kDay), Bytes(20, 3), "nonce", Assertion::logged, 0}};
       }},
      {"truncated", Player::registrar, "BRSKI-LOG-TRUNCATED",
       log_says(R"({"version":1,"events":[],"truncation":{"arbitrary":3}})")},
      {"of_unknown_events", Player::registrar, "BRSKI-LOG-UNKNOWN", log_says(R"({"version":2,"events":[{"x":1}]})")},
      {"unreadable", Player::registrar, "BRSKI-LOG-UNREADABLE", log_says("<html></html>")},
      {"oversized", Player::registrar, "BRSKI-LOG-UNREADABLE",
       log_says([](Response& r) { r.body.resize(kMaxArtifact * 2, 0x20); })},
      {"refused", Player::registrar, "BRSKI-LOG-MISSING", log_says([](Response& r) { r = {404}; })},
      {"moved", Player::registrar, "BRSKI-LOG-MISSING", log_says([](Response& r) {
         r = {201};
         r.location = "https://elsewhere.example/log";
       })},
      {"slow", Player::registrar, "BRSKI-LOG-MISSING",
       [](Trio& t) {
         t.upstream.after = [](const Request& q) {
           return is_for(q, kRequestAuditLog) ? std::optional(Error{Fault::unreachable, "timeout"}) : std::nullopt;
         };
       }},
  };
  return kAll;
}

TEST_P(Past, keeps_the_device_out_until_it_is_clear) {
  Trio t;
  GetParam().how(t);
  ASSERT_TRUE(t.run());
  ASSERT_TRUE(t.is<Pledge::Failed>());
  EXPECT_TRUE(t.refused(Player::registrar, GetParam().rule)) << t.refusals();
  EXPECT_TRUE(t.refused(Player::registrar, "BRSKI-EST-EARLY")) << t.refusals();
  ASSERT_NE(t.row(), nullptr);
  EXPECT_EQ(t.row()->rule, GetParam().rule);
  EXPECT_FALSE(t.row()->cleared);
  EXPECT_TRUE(t.owner().est.issued.empty());
  EXPECT_FALSE(t.device.installed);
  EXPECT_FALSE(t.device.imprinted->configured);
  EXPECT_FALSE(t.mind.find(est::anchor_belief(est::cast().owner.certificate)));
  EXPECT_TRUE(t.sound);

  t.behave();
  t.masa.history.clear();
  ASSERT_TRUE(t.run());
  EXPECT_TRUE(t.is<Pledge::Configured>()) << t.refusals();
  EXPECT_TRUE(t.row()->cleared);
}

INSTANTIATE_TEST_SUITE_P(Misbehave, Past, ::testing::ValuesIn(pasts()), name_of);

// ---- reports that are forged or kept back ----

// It brings devices to their registrar, lets no answer of this kind through, and ends TLS itself from there on, with
// the certificate that the domain gave it.
TEST(Misbehave, a_join_proxy_of_the_domain_speaks_for_nobody) {
  const est::Party lamp = est::make_below(est::cast().owner, "CN=lamp-7",
                                          est::for_host("dns:registrar.example", {std::string(eku::kServerAuth)}));
  for (const std::string end : {"voucher_status", "cacerts", "csrattrs", "simpleenroll"}) {
    Trio t;
    bool alone = false;
    std::vector<std::string> heard;
    t.join.before = [&](const Request& q) -> std::optional<Error> {
      if (!alone) {
        return std::nullopt;
      }
      heard.push_back(q.path);
      return Error{Fault::unreachable, "cut"};
    };
    t.join.after = [&](const Request& q) -> std::optional<Error> {
      alone = alone || is_for(q, end);
      return alone ? std::optional(Error{Fault::unreachable, "cut"}) : std::nullopt;
    };
    t.join.on_session = [&](Session& client, Session&) {
      if (alone) {
        client.presented = {lamp.certificate, est::cast().owner.certificate};
      }
    };
    ASSERT_TRUE(t.run());
    EXPECT_TRUE(t.is<Pledge::Failed>()) << end;
    EXPECT_TRUE(t.refused(Player::pledge, "EST-SERVER-VOUCHED")) << end << ": " << t.refusals();
    EXPECT_EQ(heard, std::vector<std::string>{}) << end;
    EXPECT_FALSE(t.device.installed) << end;
    t.behave();
    ASSERT_TRUE(t.run());
    EXPECT_TRUE(t.is<Pledge::Configured>()) << end << ": " << t.refusals();
  }
}

TEST(Misbehave, a_report_that_never_comes_opens_no_door) {
  Trio t;
  t.join.before = [](const Request& q) {
    return is_for(q, kVoucherStatus) ? std::optional(Error{Fault::unreachable, "dropped"}) : std::nullopt;
  };
  t.plan.enrolment.attempts = 1;
  ASSERT_TRUE(t.run());
  ASSERT_TRUE(t.is<Pledge::Failed>()) << t.refusals();
  EXPECT_TRUE(t.owner().est.issued.empty());
  EXPECT_FALSE(t.row()->cleared);
  EXPECT_FALSE(t.device.imprinted->configured);
  t.behave();
  ASSERT_TRUE(t.run());
  EXPECT_TRUE(t.is<Pledge::Configured>()) << t.refusals();
}

TEST(Misbehave, a_report_of_a_device_that_never_asked_is_refused) {
  Trio t;
  t.join.on_request = [](Request& q) {
    q.path = path_of(Operation::voucher_status);
    q.content_type = kJsonType;
    q.body = to_bytes(encode_json_telemetry({1, true, {}, {}, {}}));
  };
  ASSERT_TRUE(t.run());
  ASSERT_TRUE(t.is<Pledge::Failed>());
  EXPECT_EQ(t.row(), nullptr);
  EXPECT_TRUE(t.masa.log.empty());
  EXPECT_FALSE(t.device.imprinted);
}

TEST(Misbehave, a_device_that_says_its_voucher_is_bad_is_kept_out) {
  Trio t;
  t.join.on_request = [](Request& q) {
    if (is_for(q, kVoucherStatus)) {
      q.body = to_bytes(encode_json_telemetry({1, false, "forged", {}, {}}));
    }
  };
  ASSERT_TRUE(t.run());
  EXPECT_TRUE(t.is<Pledge::Failed>());
  EXPECT_TRUE(t.refused(Player::registrar, "BRSKI-VOUCHER-REJECTED"));
  EXPECT_TRUE(t.owner().est.issued.empty());
}

// ---- the same in the other forms ----

TEST(Misbehave, in_jws_and_cose_the_chief_misdeeds_are_found_as_well) {
  const std::vector<Switch> all{
      {"pvr_key", Player::registrar, "BRSKI-PVR-SIGNATURE", pvr([](Voucher&, Signer& by) {
         by.key = other_device().key;
         by.chain.clear();
       })},
      {"pvr_serial", Player::registrar, "BRSKI-PVR-SERIAL",
       pvr([](Voucher& v, Signer&) { v.serial_number = "LAMP-2"; })},
      {"rvr_serial", Player::masa, "BRSKI-RVR-SERIAL", rvr([](Voucher& v, Signer&) { v.serial_number = "LAMP-2"; })},
      {"voucher_serial", Player::registrar, "BRSKI-MASA-VOUCHER",
       voucher([](Voucher& v, Signer&) { v.serial_number = "LAMP-2"; })},
      {"voucher_pin", Player::registrar, "BRSKI-MASA-PIN",
       voucher([](Voucher& v, Signer&) { v.pinned_domain_cert = players().other_domain.certificate.der; })},
      {"voucher_signer", Player::pledge, "BRSKI-VOUCHER-SIGNATURE", unseen(voucher([](Voucher&, Signer& by) {
         by = {players().stranger.key, {}};
       }))},
      {"reflected", Player::pledge, "BRSKI-VOUCHER-KIND",
       answer([](Response& r, const Request& q, const Trio&) { r.body = q.body; })},
      {"old_voucher", Player::pledge, "BRSKI-VOUCHER-NONCE",
       [](Trio& t) {
         t.run();
         const Bytes old = t.device.imprinted->voucher;
         t.reset();
         answer_body([old](Bytes& b) { b = old; })(t);
       }},
      {"cut", Player::pledge, "BRSKI-FORM", answer_body(cut_short())},
  };
  for (const Form form : {Form::jws, Form::cose}) {
    for (const Switch& one : all) {
      Trio t;
      t.plan.form = form;
      one.how(t);
      t.rules.clear();
      ASSERT_TRUE(t.run());
      const std::string where = std::string(name(form)) + " " + std::string(one.name) + ": ";
      EXPECT_TRUE(t.is<Pledge::Failed>()) << where;
      EXPECT_TRUE(t.refused(one.finds, one.rule)) << where << t.refusals();
      EXPECT_FALSE(t.device.imprinted) << where;
      EXPECT_FALSE(t.device.installed) << where;
      t.behave();
      ASSERT_TRUE(t.run());
      EXPECT_TRUE(t.is<Pledge::Configured>()) << where << t.refusals();
    }
  }
}

// Certificates beside a signature in COSE are not signed: whoever puts others there changes nothing.
TEST(Misbehave, what_the_masa_does_not_sign_counts_for_nothing) {
  for (const bool by_masa : {true, false}) {
    Trio t;
    t.plan.form = Form::cose;
    const auto add = [](Voucher&, Signer& by) { by.chain.insert(by.chain.begin(), players().stranger.certificate); };
    (by_masa ? t.masa_signs : t.pledge_signs) = add;
    ASSERT_TRUE(t.run());
    ASSERT_TRUE(t.is<Pledge::Configured>()) << t.refusals();
    EXPECT_EQ(t.device.imprinted->pinned, est::cast().owner.certificate);
    EXPECT_EQ(t.masa.log.front().assertion, Assertion::proximity);
  }
  Trio alone;  // with nothing but such a certificate there is no signature that counts
  alone.plan.form = Form::cose;
  unseen(voucher([](Voucher&, Signer& by) { sign_by(by, players().stranger); }))(alone);
  ASSERT_TRUE(alone.run());
  EXPECT_TRUE(alone.refused(Player::pledge, "BRSKI-VOUCHER-SIGNER")) << alone.refusals();
}

}  // namespace
}  // namespace imprint::brski
