// What a measurement asks of the machine: cores, processor time, memory, and the middle and the tail of many figures.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <vector>

namespace imprint::bench {

// Cores that this process may use.
unsigned cores();

// Keeps the calling thread, and the threads and processes that it makes later, on this core (counted among those that
// the process may use); false if the system refuses.
bool pin_to(unsigned core);
// Lets the calling thread use every core that the process had when it started.
void unpin();

// Seconds of a clock that only goes forward.
double now_s();
// Processor time in seconds, user and system together, of the calling thread and of a whole process (0 if it is gone).
double thread_cpu_s();
double process_cpu_s(pid_t pid);

// Adds the processor time of a scope on its thread to a sum.
class Stopwatch {
 public:
  explicit Stopwatch(double& sum) : sum_(sum), begin_(thread_cpu_s()) {}
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;
  ~Stopwatch() { sum_ += thread_cpu_s() - begin_; }

 private:
  double& sum_;
  double begin_;
};

// Processor time of each thread of a process, largest first, in steps of a clock tick.
std::vector<double> thread_cpus_s(pid_t pid);

// Seconds that the threads of a process were ready to run and had to wait for a core, for each other or for other work.
double waited_s(pid_t pid);

// Anonymous memory of a process in KiB: heap and stacks, without the mapped program. 0 if it is gone.
double anonymous_kib(pid_t pid);

// The figure below which this part (0..1) of all lies; 0 of none.
double quantile(std::vector<double> figures, double part);

// Lets the process open as many files as the system allows it; that many.
std::size_t raise_file_limit();

}  // namespace imprint::bench
