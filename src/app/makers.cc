#include "app/makers.h"

#include <algorithm>
#include <filesystem>

#include "io/file.h"

namespace imprint::app {
namespace {

namespace fs = std::filesystem;
constexpr std::size_t kMaxCatalogue = std::size_t{64} << 10U;

std::vector<std::string> files_of(const std::string& data) {
  std::vector<std::string> out;
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator(data + "/makers", failed)) {
    if (entry.path().extension() == ".toml") {
      out.push_back(entry.path().string());
    }
  }
  std::ranges::sort(out, {}, [](const std::string& file) { return fs::path(file).stem().string(); });
  return out;
}

bool is_there(const std::string& path) {
  std::error_code failed;
  return fs::symlink_status(path, failed).type() != fs::file_type::not_found;
}

// Its rules, if it counts; into `unread` if not.
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
    return;
  }
  const std::vector<site::MasaRule> rules = site::rules_of(*read, maker.anchors);
  out.book.rules.insert(out.book.rules.end(), rules.begin(), rules.end());
  const site::MasaCatalogue& one = **read;
  out.catalogues.push_back(
      {maker.name, file, one.version, one.issued, one.expires, one.rules.size(), one.pools.size()});
}

}  // namespace

const MakerFile* Makers::find(std::string_view name) const {
  const auto at = std::ranges::find(files, name, &MakerFile::name);
  return at == files.end() ? nullptr : &*at;
}

std::string maker_path(const std::string& data, std::string_view name) {
  return data + "/makers/" + std::string(name) + ".toml";
}

std::string catalogue_path(const std::string& data, std::string_view name) {
  return data + "/makers/" + std::string(name) + ".catalogue";
}

Makers read_makers(const std::string& data, Instant now, std::vector<Certificate> anchors) {
  Makers out;
  out.book.anchors = std::move(anchors);
  out.book.as_of = now;
  for (const std::string& file : files_of(data)) {
    auto read = read_maker_file(file);
    if (const auto* const wrong = std::get_if<std::vector<ConfigProblem>>(&read)) {
      out.unread.push_back({file, wrong->front().text});
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

site::CatalogueTrust trust_in(const MakerFile& maker, std::optional<Instant> now) {
  return {maker.name, maker.catalogue_anchors, now};
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
