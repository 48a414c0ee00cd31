// The parts of `imprint masa`.
#pragma once

#include "app/cli.h"
#include "app/masa_folder.h"

namespace imprint::app {

void add_masa_devices(Command masa);    // device import, list, release, transfer, retire
void add_masa_customers(Command masa);  // customer add, list
void add_masa_vouchers(Command masa);   // log, prune, voucher, catalog
void add_masa_kit(Command masa);        // kit

// What a voucher for this customer pins: the certificate in the file, which must be the customer's, or its only one.
// MASA-PIN.
OrProblem<Certificate> customer_pin(const Customer& customer, const std::string& file);

void add_masa(Command top);

// --folder, of every command of a MASA.
Arg masa_folder_option(Command command, std::string& into);

}  // namespace imprint::app
