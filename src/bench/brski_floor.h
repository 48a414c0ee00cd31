// What the cryptographic operations of an onboarding cost by themselves: signatures, verifications and keys bare, and
// the halves of handshakes in memory, all by plain OpenSSL.
#pragma once

#include "bench/work.h"

namespace imprint::bench {

// One end of a handshake: what it shows, and whom it takes.
struct TlsEnd {
  X509Ptr certificate;
  EvpKey key;
  std::vector<X509Ptr> above;  // sent after the certificate
  X509Ptr anchor;              // of the other end's certificate; null: any is taken
};

// The two of one connection.
struct TlsEnds {
  TlsEnd server, client;
};

// Who meets whom in an onboarding (RFC 8995): the device, before and after it has its owner's certificate, and the
// registrar, and the registrar and the MASA.
struct BrskiEnds {
  TlsEnds provisional;  // the device takes any registrar, and shows its IDevID
  TlsEnds proven;       // the device shows its new certificate
  TlsEnds masa;
  EvpKey key;  // that signs in the measured operations, P-256
};

// Processor time in seconds, in all, of this many operations of each kind.
struct BareCosts {
  struct Halves {
    double server_s = 0, client_s = 0;
  };
  std::uint64_t done = 0;
  double sign_s = 0, verify_s = 0, make_key_s = 0;  // ECDSA on P-256 with SHA-256, of 1 KiB
  Halves provisional, proven, masa;                 // TLS 1.3, X25519, certificates on both sides

  void add(const BareCosts& other);
  double micros(double seconds) const { return done > 0 ? seconds * 1e6 / static_cast<double>(done) : 0; }
};

// Runs for this long on the calling thread; with `handshakes` false signatures and verifications alone.
// Fault::internal if OpenSSL refuses something.
Result<BareCosts> run_bare_costs(const BrskiEnds& ends, double seconds, bool handshakes);

}  // namespace imprint::bench
