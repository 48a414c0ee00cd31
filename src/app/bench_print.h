// How the measurements of `imprint bench` print, and how they break off.
#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "app/cli.h"

namespace imprint::app {

// Set by SIGINT and SIGTERM once bench_signals() was called.
extern std::atomic<bool> bench_interrupted;
void bench_signals();

std::string bench_number(double value, int digits = 0);
double bench_rounded(double value);  // to three digits after the point
std::string bench_against(bool met, const std::string& aim);

// A measurement that broke off, with what its servers had to say: the last error in these files, or else the last line.
Problem bench_broken(const Error& error, const std::vector<std::string>& logs);

}  // namespace imprint::app
