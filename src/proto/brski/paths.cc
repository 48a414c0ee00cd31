#include "proto/brski/paths.h"

#include <algorithm>
#include <array>

namespace imprint::brski {
namespace {

constexpr std::array kRows{PathRow{Operation::request_voucher, kRequestVoucher, "rv", "brski.rv", "836"},
                           PathRow{Operation::voucher_status, kVoucherStatus, "vs", "brski.vs", "50 60"},
                           PathRow{Operation::enrol_status, kEnrolStatus, "es", "brski.es", "50 60"},
                           PathRow{Operation::request_audit_log, kRequestAuditLog, "", "", ""}};

}  // namespace

std::span<const PathRow> path_rows() { return kRows; }

const PathRow* path_row(Operation operation) {
  const auto* const row = std::ranges::find(kRows, operation, &PathRow::operation);
  return row == kRows.end() ? nullptr : row;
}

const PathRow* find_path(std::string_view path, std::span<const PathRoot> roots) {
  const auto root = std::ranges::find_if(roots, [&](const PathRoot& r) { return path.starts_with(r.root); });
  if (root == roots.end()) {
    return nullptr;
  }
  const std::string_view last = path.substr(root->root.size());
  const auto* const row = std::ranges::find_if(kRows, [&](const PathRow& r) {
    const bool by_name = root->names && r.name == last;
    const bool by_short_name = root->short_names && !r.short_name.empty() && r.short_name == last;
    return by_name || by_short_name;
  });
  return row == kRows.end() ? nullptr : row;
}

}  // namespace imprint::brski
