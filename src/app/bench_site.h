// What `imprint bench` measures at: a site in a folder of its own, with a maker and registered devices, all new.
#pragma once

#include <memory>
#include <string>

#include "bench/est.h"

namespace imprint::app {

struct BenchOptions {
  double seconds = 2;
  unsigned at_once = 64;
  unsigned idle = 0;   // 0: as many as the measurement has by default
  bool coaps = false;  // over CoAPS
  unsigned devices = 256;
};

// A folder that goes when the measurement is over.
class BenchFolder {
 public:
  static Result<std::unique_ptr<BenchFolder>> make();
  BenchFolder(const BenchFolder&) = delete;
  BenchFolder& operator=(const BenchFolder&) = delete;
  ~BenchFolder();
  const std::string& path() const { return path_; }

 private:
  explicit BenchFolder(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

Result<bench::EstPlan> make_bench_site(const BenchOptions& options, const std::string& folder);

// Certificates of devices: the server has one of its own.
Result<std::int64_t> certificates_on_record(const std::string& folder);

}  // namespace imprint::app
