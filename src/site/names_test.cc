#include "site/names.h"

#include <gtest/gtest.h>

namespace imprint::site {
namespace {

TEST(Patterns, a_star_is_no_star) {
  const Device device;
  EXPECT_FALSE(fits("dns:*.devices.example", "dns:*.devices.example", device));
  EXPECT_TRUE(fits("dns:a-1.devices.example", "dns:*.devices.example", device));
  EXPECT_FALSE(fits("dns:a/b.devices.example", "dns:*.devices.example", device));
}

TEST(Patterns, a_serial_number_stands_for_itself) {
  Device device;
  device.id = "dev-1";
  device.serial = "***";
  EXPECT_TRUE(fits("***", "{serial}", device));
  EXPECT_FALSE(fits("lab", "{serial}", device));
  EXPECT_FALSE(fits("dns:lab", "dns:{serial}", device));
  device.serial = "{id}";
  EXPECT_FALSE(fits("dev-1", "{serial}", device));
  EXPECT_TRUE(fits("a-{id}", "*-{serial}", device));
}

TEST(Patterns, a_star_stands_for_a_run_without_dots) {
  Device device;
  device.id = "dev-1";
  EXPECT_TRUE(fits("dns:a.dev-1", "dns:*.{id}", device));
  EXPECT_FALSE(fits("dns:a.b.dev-1", "dns:*.{id}", device));
  EXPECT_FALSE(fits("dns:.dev-1", "dns:*.{id}", device));
  EXPECT_FALSE(fits("", "{serial}", device));  // an unknown serial number allows nothing
}

}  // namespace
}  // namespace imprint::site
