// The parts of `imprint device`, and what they share.
#pragma once

#include "app/cli.h"
#include "site/operations.h"

namespace imprint::app {

// What a device's table shows, and what it shows of its requests.
std::string device_table(const std::vector<Device>& devices);
std::string pending_table(const std::vector<store::PendingRow>& rows);
std::string device_text(const Device& device);

// Identifiers of shared keys, in hexadecimal.
Json wrap_key_ids(const std::vector<store::WrapKeyRow>& rows);
inline constexpr const char* kWrapKeyFile =
    "File with a key that the device shares with its owner, under which keys made for it are wrapped";
inline constexpr const char* kWrapKeyId = "How the device names that key, unless the file says it";

// By the command line, now.
site::Act by_cli();

// The device, or DEVICE-UNKNOWN.
OrProblem<Device> find_device(store::Reader& reader, const std::string& id);

void add_device_add(Command device);    // add, token
void add_device_words(Command device);  // approve, refuse, retire
void add_device_import(Command device);
void add_device_clear(Command device);
void add_device_wrap_key(Command device);

}  // namespace imprint::app
