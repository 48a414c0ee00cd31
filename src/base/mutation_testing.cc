// For programs of tests: says which test begins and ends, to those who ask which places each of them meets.
#include <gtest/gtest.h>

#include <string>

#include "base/mutation.h"

namespace imprint::mutation {
namespace {

class Teller final : public ::testing::EmptyTestEventListener {
  void OnTestStart(const ::testing::TestInfo& test) override {
    begin_test(std::string(test.test_suite_name()) + "." + test.name());
  }
  void OnTestEnd(const ::testing::TestInfo& test) override { end_test(test.result()->elapsed_time()); }
};

// GoogleTest owns it.
const bool kListens = [] {
  ::testing::UnitTest::GetInstance()->listeners().Append(new Teller);
  return true;
}();

}  // namespace
}  // namespace imprint::mutation
