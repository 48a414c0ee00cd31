// The parts of `imprint device`, and what they share.
#pragma once

#include "app/cli.h"
#include "site/operations.h"

namespace imprint::app {

// What a device's table shows, and what it shows of its requests.
std::string device_table(const std::vector<Device>& devices);
std::string pending_table(const std::vector<store::PendingRow>& rows);
std::string device_text(const Device& device);

// By the command line, now.
site::Act by_cli();

// The device, or DEVICE-UNKNOWN.
OrProblem<Device> find_device(store::Reader& reader, const std::string& id);

void add_device_add(Command device);    // add, token
void add_device_words(Command device);  // approve, refuse, retire
void add_device_import(Command device);

}  // namespace imprint::app
