#include "app/makers.h"

#include <algorithm>
#include <filesystem>
#include <functional>

#include "io/file.h"

namespace imprint::app {
namespace {

namespace fs = std::filesystem;
constexpr std::size_t kMaxCatalogue = std::size_t{64} << 10U;

std::string folder_of(const std::string& data) { return data + "/makers"; }

// Each file in the folder; the error of listing it, but that it is not there.
std::error_code for_files(const std::string& data, const std::function<void(const fs::path&)>& each) {
  std::error_code failed;
  fs::directory_iterator entry(folder_of(data), failed);
  for (; !failed && entry != fs::directory_iterator(); entry.increment(failed)) {
    each(entry->path());
  }
  return failed == std::errc::no_such_file_or_directory ? std::error_code() : failed;
}

std::vector<std::string> files_of(const std::string& data) {
  std::vector<std::string> out;
  static_cast<void>(for_files(data, [&out](const fs::path& file) {
    if (file.extension() == ".toml") {
      out.push_back(file.string());
    }
  }));
  std::ranges::sort(out, {}, [](const std::string& file) { return fs::path(file).stem().string(); });
  return out;
}

bool is_there(const std::string& path) {
  std::error_code failed;
  return fs::symlink_status(path, failed).type() != fs::file_type::not_found;
}

// No later than the catalogue: it ends while the server runs as well.
std::vector<site::MasaRule> rules_until(const Verified<site::MasaCatalogue>& catalogue, const MakerFile& maker) {
  std::vector<site::MasaRule> out = site::rules_of(catalogue, maker.anchors);
  for (site::MasaRule& rule : out) {
    rule.ends = std::min(rule.ends.value_or(catalogue->expires), catalogue->expires);
  }
  return out;
}

void add_rules(const std::vector<site::MasaRule>& rules, Makers& out) {
  out.book.rules.insert(out.book.rules.end(), rules.begin(), rules.end());
}

// Its rules, if it counts; into `unread` if not. Of one that is over they stay as rules that have ended: its devices
// are not those of a maker without a MASA.
void read_catalogue(const std::string& data, const MakerFile& maker, Instant now, Makers& out) {
  const std::string file = catalogue_path(data, maker.name);
  if (!is_there(file)) {
    return;
  }
  const auto text = io::read_file(file, kMaxCatalogue);
  const auto read = text ? site::verify_catalogue(as_text(*text), trust_in(maker, now))
                         : Result<Verified<site::MasaCatalogue>>(text.error());
  if (!read || maker.anchors.empty()) {
    out.unread.push_back({file, std::string(read ? site::kCatalogueMaker.what : read.error().what)});
    const auto over = text ? site::verify_catalogue(as_text(*text), trust_in(maker, std::nullopt))
                           : Result<Verified<site::MasaCatalogue>>(text.error());
    if (over && (*over)->expires <= now) {
      add_rules(rules_until(*over, maker), out);
    } else {
      out.book.unread.insert(out.book.unread.end(), maker.anchors.begin(), maker.anchors.end());
    }
    return;
  }
  add_rules(rules_until(*read, maker), out);
  const site::MasaCatalogue& one = **read;
  out.catalogues.push_back(
      {maker.name, file, one.version, one.issued, one.expires, one.rules.size(), one.pools.size()});
}

}  // namespace

const MakerFile* Makers::find(std::string_view name) const {
  const auto at = std::ranges::find(files, name, &MakerFile::name);
  return at == files.end() ? nullptr : &*at;
}

std::optional<std::string> makers_unlisted(const std::string& data) {
  const std::error_code failed = for_files(data, [](const fs::path& /*file*/) {});
  return failed ? std::optional(failed.message()) : std::nullopt;
}

std::string maker_path(const std::string& data, std::string_view name) {
  return folder_of(data) + "/" + std::string(name) + ".toml";
}

std::string catalogue_path(const std::string& data, std::string_view name) {
  return folder_of(data) + "/" + std::string(name) + ".catalogue";
}

Makers read_makers(const std::string& data, Instant now, std::vector<Certificate> anchors) {
  Makers out;
  out.book.anchors = std::move(anchors);
  out.book.as_of = now;
  if (auto why = makers_unlisted(data)) {
    out.unread.push_back({folder_of(data), *std::move(why)});
    out.book.rules_missing = true;
  }
  for (const std::string& file : files_of(data)) {
    auto read = read_maker_file(file);
    if (const auto* const wrong = std::get_if<std::vector<ConfigProblem>>(&read)) {
      out.unread.push_back({file, wrong->front().text});
      out.book.rules_missing = true;  // whose devices they were for stands nowhere else
      continue;
    }
    out.files.push_back(std::get<MakerFile>(std::move(read)));
    const std::vector<site::MasaRule>& rules = out.files.back().rules;
    out.book.rules.insert(out.book.rules.end(), rules.begin(), rules.end());
  }
  for (const MakerFile& maker : out.files) {
    read_catalogue(data, maker, now, out);
  }
  return out;
}

// A catalogue may say as well that the serial number is the common name, and a device with nothing else looks like a
// signer: a CA that may stand above devices is not enough. Another root than those of the devices stands above none.
site::CatalogueTrust trust_in(const MakerFile& maker, std::optional<Instant> now) {
  const auto above = [&maker](const Certificate& ca) {
    return ca.is_ca && std::ranges::any_of(maker.anchors, [&ca](const Certificate& root) {
             return !self_signed(ca) || !self_signed(root) || ca.key == root.key;
           });
  };
  const bool unmarked = std::ranges::any_of(maker.catalogue_anchors, above) ||
                        std::ranges::any_of(maker.rules, [](const site::MasaRule& rule) {
                          return rule.quirks.serial == brski::SerialSource::common_name;
                        });
  return {maker.name, maker.catalogue_anchors, now, unmarked};
}

Result<site::MasaCatalogue> take_catalogue(const std::string& data, const MakerFile& maker, std::string_view text,
                                           Instant now) {
  TRY(const Verified<site::MasaCatalogue> fresh, site::verify_catalogue(text, trust_in(maker, now)));
  CHECK_OR(!maker.anchors.empty(), Error{Fault::refused, site::kCatalogueMaker});
  const std::string file = catalogue_path(data, maker.name);
  if (is_there(file)) {
    TRY(const Bytes before, io::read_file(file, kMaxCatalogue));
    // Its version counts even if it is over by now: an old one must not come back then. One that cannot be read, or
    // whose signer is not trusted any more, says nothing.
    if (const auto held = site::verify_catalogue(as_text(before), trust_in(maker, std::nullopt))) {
      TRY(Ok{}, site::may_replace(*fresh, **held));
    }
  }
  TRY(Ok{}, io::write_file(file, view(text), 0644));
  return *fresh;
}

}  // namespace imprint::app
