// The rules of BRSKI that an artefact can break. Ids are stable; docs/errors.md is printed from this list.
#pragma once

#include <array>

#include "base/result.h"

namespace imprint::brski {

inline constexpr Rule kArtifact{
    "BRSKI-ARTIFACT", "no voucher or voucher request that can be read", "RFC 8366 section 5.4; RFC 8995 section 3",
    "the message says where reading ended; CMS, COSE_Sign1 and JWS in general JSON are read"};

// ---- a voucher, as its device judges it ----
inline constexpr Rule kVoucherKind{"BRSKI-VOUCHER-KIND", "this is a voucher request, and a voucher is wanted",
                                   "RFC 8366 section 5.3", "give the MASA's answer, not what it was asked"};
inline constexpr Rule kVoucherSignature{
    "BRSKI-VOUCHER-SIGNATURE", "no known key made the signature, or the artefact was changed after it was signed",
    "RFC 8995 section 5.6.1", "fetch it again; if it came without the MASA's certificate, give that one as the anchor"};
inline constexpr Rule kVoucherSigner{"BRSKI-VOUCHER-SIGNER", "who signed does not lead to the maker's anchors",
                                     "RFC 8995 section 5.6.1",
                                     "give the anchors that the maker built into the device; a registrar cannot sign"};
inline constexpr Rule kVoucherSignerDevice{
    "BRSKI-VOUCHER-SIGNER-DEVICE",
    "who signed is a device (it names a MASA, a serial number or a hardware module), a registrar, or may not sign",
    "ours: docs/threats.md",
    "somebody uses another certificate of the maker's, and is to be told; or build the MASA's own certificate into the "
    "device, or the names of those that sign"};
inline constexpr Rule kVoucherSignerTime{
    "BRSKI-VOUCHER-SIGNER-TIME", "the signer's certificate, or one above it, is over or has not begun",
    "RFC 8995 section 2.6", "check the clock; the maker has to sign with a certificate that is good"};
inline constexpr Rule kVoucherSerial{"BRSKI-VOUCHER-SERIAL", "the voucher is for another device, or names none",
                                     "RFC 8995 section 5.6.1",
                                     "ask the MASA for a voucher with the serial number of the device's IDevID"};
inline constexpr Rule kVoucherIssuer{
    "BRSKI-VOUCHER-ISSUER", "the voucher is for a device of another CA with the same serial number",
    "RFC 8366 section 5.3", "ask with the authority key identifier of the device's IDevID as idevid-issuer"};
inline constexpr Rule kVoucherNonce{"BRSKI-VOUCHER-NONCE", "the voucher answers another request",
                                    "RFC 8995 section 5.6.1",
                                    "ask again; the registrar has to send on the nonce of this very request"};
inline constexpr Rule kVoucherNonceless{"BRSKI-VOUCHER-NONCELESS",
                                        "a voucher without a nonce, which this device does not take",
                                        "RFC 8995 section 7.2", "ask for one that answers the device's own request"};
inline constexpr Rule kVoucherCreated{"BRSKI-VOUCHER-CREATED", "the voucher was made in the future",
                                      "RFC 8995 section 2.6.1", "set the clocks of the device and of the MASA right"};
inline constexpr Rule kVoucherSigningTime{"BRSKI-VOUCHER-SIGNING-TIME", "the voucher was signed in the future",
                                          "RFC 8995 section 2.6.1",
                                          "set the clocks of the device and of the MASA right"};
inline constexpr Rule kVoucherExpired{"BRSKI-VOUCHER-EXPIRED", "the voucher is over", "RFC 8366 section 5.3",
                                      "ask the MASA for a new one; it renews for the same domain"};
inline constexpr Rule kVoucherAssertion{
    "BRSKI-VOUCHER-ASSERTION", "the voucher asserts less than this device wants, or nothing that it knows",
    "RFC 8366 section 5.3", "have the MASA verify the owner, or let the device send its own request along"};
inline constexpr Rule kVoucherPin{"BRSKI-VOUCHER-PIN", "the voucher pins nobody, or what it pins cannot be read",
                                  "RFC 8995 section 5.6.1",
                                  "the device is refused here; it goes on to the next join proxy"};
inline constexpr Rule kVoucherRevocation{
    "BRSKI-VOUCHER-REVOCATION",
    "the pinned certificate is revoked, or the voucher wants that checked and no list says so", "RFC 8366 section 5.3",
    "give the device a fresh list of the CA above the pinned certificate, or have the MASA send "
    "domain-cert-revocation-checks as false"};
inline constexpr Rule kRegistrarPin{"BRSKI-REGISTRAR-PIN", "the registrar is not whom the voucher pins",
                                    "RFC 8995 section 5.6.2",
                                    "the registrar has to serve with a certificate that leads to the pinned one"};
inline constexpr Rule kRegistrarPinRole{
    "BRSKI-REGISTRAR-CMCRA", "the registrar leads to the pinned CA, and its certificate is none of a registrar's",
    "RFC 7030 section 3.6.1; RFC 8995 section 5.6.2",
    "issue the registrar a TLS certificate with the extended key usage 1.3.6.1.5.5.7.3.28, for cBRSKI also "
    "1.3.6.1.5.5.7.3.1; or pin its own key"};

// ---- a device's request ----
inline constexpr Rule kRequestKind{"BRSKI-REQUEST-KIND", "this is a voucher, and a voucher request is wanted",
                                   "RFC 8995 section 3", "send a voucher request"};
inline constexpr Rule kPledgeSignature{"BRSKI-PVR-SIGNATURE", "no IDevID at hand made the signature of this request",
                                       "RFC 8995 section 5.2", "the device has to sign with the key of its IDevID"};
inline constexpr Rule kPledgeSigner{"BRSKI-PVR-SIGNER", "the IDevID that signed does not lead to the maker's anchors",
                                    "RFC 8995 section 2.3", "give the maker's CA for IDevIDs as the anchor"};
inline constexpr Rule kPledgeSerial{"BRSKI-PVR-SERIAL", "the serial number is not that of the IDevID that signed",
                                    "RFC 8995 section 2.3.1",
                                    "the device has to name the serialNumber of its IDevID's subject"};
inline constexpr Rule kPledgeNonce{"BRSKI-PVR-NONCE", "the device's request has no nonce", "RFC 8995 section 5.2",
                                   "the device has to send a fresh nonce with every request"};
inline constexpr Rule kPledgeProximity{
    "BRSKI-PVR-PROXIMITY", "the device's request does not say which registrar it saw", "RFC 8995 section 5.2",
    "the device has to assert proximity, and to name the registrar's certificate or key"};

// ---- a registrar's request, as the MASA judges it ----
inline constexpr Rule kRegistrarSignature{
    "BRSKI-RVR-SIGNATURE", "no certificate that came along made the signature of this request",
    "RFC 8995 section 5.5.3", "the registrar has to sign, and to send its certificate and those above it"};
inline constexpr Rule kRegistrarChain{"BRSKI-RVR-CHAIN", "the certificates that came along do not lead to one another",
                                      "RFC 8995 section 5.5.2",
                                      "the registrar has to send its own chain, up to the certificate to be pinned"};
inline constexpr Rule kRegistrarRole{"BRSKI-RVR-CMCRA", "who signed is no registrar: id-kp-cmcRA is missing",
                                     "RFC 8995 section 5.5.4",
                                     "issue the registrar a certificate with the extended key usage "
                                     "1.3.6.1.5.5.7.3.28"};
inline constexpr Rule kRegistrarRevoked{
    "BRSKI-RVR-REVOKED", "the registrar's certificate, or one above it, is revoked, or no list says that it is not",
    "RFC 8995 section 5.5.3", "the domain has to give its registrar a new certificate; or give the MASA a fresh list"};
inline constexpr Rule kRegistrarUnknown{"BRSKI-RVR-REGISTRAR", "a request without a nonce by a registrar nobody knows",
                                        "RFC 8995 section 5.5.4",
                                        "the MASA has to know the registrar: by TLS, by HTTP, or by an anchor for it"};
inline constexpr Rule kRegistrarSerial{
    "BRSKI-RVR-SERIAL",
    "the registrar's request names no device, or another one than signed the request "
    "in it",
    "RFC 8995 section 5.5.5", "the registrar has to take the serial number from the device's IDevID"};
inline constexpr Rule kRegistrarIssuer{
    "BRSKI-RVR-ISSUER", "idevid-issuer is not the CA of the IDevID that signed the request in it",
    "RFC 8995 section 5.5",
    "the registrar has to take it from the device's IDevID: serial numbers count by their issuer"};
inline constexpr Rule kRegistrarNonce{"BRSKI-RVR-NONCE", "the nonce is not that of the device's request",
                                      "RFC 8995 section 5.5.6",
                                      "the registrar has to copy the device's nonce as it is"};
inline constexpr Rule kRegistrarNoPrior{
    "BRSKI-RVR-NO-PRIOR", "the device's own request is not in it, and this MASA wants it", "RFC 8995 section 5.5.5",
    "the registrar has to send the device's request on, as prior-signed-voucher-request"};
inline constexpr Rule kRegistrarPrior{"BRSKI-RVR-PRIOR", "the device's request in it cannot be read",
                                      "RFC 8995 section 5.5",
                                      "the registrar has to send it on as it came, in the form of its own request"};
inline constexpr Rule kRegistrarProximity{
    "BRSKI-RVR-PROXIMITY", "the device saw another registrar than the one that asks", "RFC 8995 section 5.5.5",
    "the key that the device names has to be in the registrar's chain; somebody may "
    "stand between the two"};

inline constexpr std::array kRules{
    &kArtifact,          &kVoucherKind,        &kVoucherSignature, &kVoucherSigner,    &kVoucherSignerDevice,
    &kVoucherSignerTime, &kVoucherSerial,      &kVoucherIssuer,    &kVoucherNonce,     &kVoucherNonceless,
    &kVoucherCreated,    &kVoucherSigningTime, &kVoucherExpired,   &kVoucherAssertion, &kVoucherPin,
    &kVoucherRevocation, &kRegistrarPin,       &kRegistrarPinRole, &kRequestKind,      &kPledgeSignature,
    &kPledgeSigner,      &kPledgeSerial,       &kPledgeNonce,      &kPledgeProximity,  &kRegistrarSignature,
    &kRegistrarChain,    &kRegistrarRole,      &kRegistrarRevoked, &kRegistrarUnknown, &kRegistrarSerial,
    &kRegistrarIssuer,   &kRegistrarNonce,     &kRegistrarNoPrior, &kRegistrarPrior,   &kRegistrarProximity};

}  // namespace imprint::brski
