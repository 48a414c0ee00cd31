// The parts of `imprint ca`, and what they share.
#pragma once

#include "app/cli.h"

namespace imprint::app {

// A serial number as people write it: hexadecimal, colons and leading zero octets do not matter.
OrProblem<Bytes> parse_serial(const std::string& text);

// What `imprint ca show SERIAL` prints: the certificate and the way that led to it.
OrProblem<Ok> show_certificate(const Context& context, const std::string& serial);

void add_ca_certificates(Command ca);  // list, search, export

}  // namespace imprint::app
