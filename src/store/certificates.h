// What every store does with a certificate that is put on record.
#pragma once

#include "store/store.h"

namespace imprint::store {

// The row of a fact. Without the number of its audit entry.
CertificateRow row_of(const Certificate& certificate, const Issued& fact, Instant at);

// The fact of a certificate of the owner's own server.
Issued fact_of_server(BytesView certificate, std::string_view reason);

// Its alternative names in their text form, one a line.
std::string names_text(const Certificate& certificate);

// Whether a row is one of those wanted.
bool fits(const CertificateFilter& filter, const CertificateRow& row);

}  // namespace imprint::store
