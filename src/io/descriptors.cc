#include "io/descriptors.h"

#include <sys/resource.h>

#include <algorithm>

namespace imprint::io {

std::size_t raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
    return 0;
  }
  const rlimit highest{.rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max};
  return setrlimit(RLIMIT_NOFILE, &highest) == 0 ? highest.rlim_cur : limit.rlim_cur;
}

std::size_t connections_a_thread(std::size_t wanted, std::size_t limit, std::size_t reserve, std::size_t threads) {
  const std::size_t left = limit > reserve ? (limit - reserve) / threads : 0;
  return std::max<std::size_t>(1, std::min(wanted, left));
}

}  // namespace imprint::io
