#include "io/gate.h"

#include <gtest/gtest.h>

#include <thread>

#include "io/loop.h"

namespace imprint::io {
namespace {

TEST(Gate, lets_work_through_from_any_thread) {
  Loop loop;
  const auto gate = std::make_shared<Gate>(loop);
  std::vector<int> done;
  std::thread([&] {
    gate->post([&] { done.push_back(1); });
    gate->post([&] {
      done.push_back(2);
      loop.stop();
    });
  }).join();
  loop.run();
  EXPECT_EQ(done, (std::vector{1, 2}));
}

TEST(Gate, closed_it_drops_what_comes_and_what_has_not_begun) {
  Loop loop;
  const auto gate = std::make_shared<Gate>(loop);
  bool done = false;
  gate->post([&] { gate->close(); });
  gate->post([&] { done = true; });
  loop.post([&] { loop.stop(); });
  loop.run();
  EXPECT_FALSE(done);
  gate->post([&] { done = true; });
  loop.post([&] { loop.stop(); });
  loop.run();
  EXPECT_FALSE(done);
}

TEST(Gate, outlives_its_schedule) {
  std::shared_ptr<Gate> gate;
  {
    Loop loop;
    gate = std::make_shared<Gate>(loop);
    gate->close();
  }
  gate->post([] { FAIL(); });
}

}  // namespace
}  // namespace imprint::io
