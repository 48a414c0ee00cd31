#include "io/dtls.h"

#include "io/connection.h"

namespace imprint::io {

DtlsConnection::DtlsConnection() : id_(fresh_id()) {}
DtlsConnection::~DtlsConnection() = default;
DtlsAcceptor::~DtlsAcceptor() = default;
DtlsContext::~DtlsContext() = default;

}  // namespace imprint::io
