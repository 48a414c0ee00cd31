// The parts of `imprint voucher` that keep vouchers for devices that have not come yet.
#pragma once

#include "app/cli.h"

namespace imprint::app {

void add_voucher_import(Command voucher);
void add_voucher_fetch(Command voucher);

}  // namespace imprint::app
