// What a device's folder survives: the files of others in it stay, and a power cut after the first save takes nothing.
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <mutex>
#include <vector>

#include "crypto/random.h"
#include "io/file.h"
#include "runtime/device_storage.h"
#include "runtime/rules.h"
#include "site/ca.h"

namespace {
std::mutex g_mutex;                           // the store of other tests syncs on a thread of its own
std::vector<std::filesystem::path> g_synced;  // files and folders, as the kernel names them
}  // namespace

// In place of the C library's: notes what is synced.
extern "C" int fsync(int fd) {
  std::error_code ignored;
  const std::lock_guard lock(g_mutex);
  g_synced.push_back(std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(fd), ignored));
  return static_cast<int>(::syscall(SYS_fsync, fd));
}

namespace imprint {
namespace {

namespace fs = std::filesystem;

class Lasting : public testing::Test {
 protected:
  void SetUp() override {
    SystemRng rng;
    root_ = fs::canonical(fs::temp_directory_path()) / ("imprint-lasting-" + hex(random_secret(rng, 8).expose()));
    fs::create_directories(root_);
    g_synced.clear();
  }
  void TearDown() override { fs::remove_all(root_); }
  static bool synced(const fs::path& path) { return std::ranges::find(g_synced, path) != g_synced.end(); }

  fs::path root_;
};

TEST_F(Lasting, a_fresh_folder_s_name_is_synced_in_every_folder_above_that_was_made) {
  ASSERT_TRUE(FolderStorage::open((root_ / "a/b/c/").string()));
  EXPECT_TRUE(fs::is_directory(root_ / "a/b/c"));
  EXPECT_TRUE(synced(root_));
  EXPECT_TRUE(synced(root_ / "a"));
  EXPECT_TRUE(synced(root_ / "a/b"));
}

TEST_F(Lasting, a_folder_named_from_here_is_synced_here) {
  const fs::path before = fs::current_path();
  fs::current_path(root_);
  EXPECT_TRUE(FolderStorage::open("dev"));
  fs::current_path(before);
  EXPECT_TRUE(synced(root_));
}

TEST_F(Lasting, a_folder_that_is_there_needs_nothing) {
  fs::create_directories(root_ / "dev");
  ASSERT_TRUE(FolderStorage::open((root_ / "dev").string()));
  EXPECT_FALSE(synced(root_));
}

// A certificate of some owner for this key.
est::Installed installed_with(const KeyRef& key) {
  SystemRng rng;
  const Instant now{1'790'000'000'000};
  const site::Ca ca = *site::make_root(KeyType::p256, *Name::from_text("CN=Owner"), now, std::chrono::hours(99), rng);
  Grant grant;
  grant.names.subject = *Name::from_text("CN=one");
  grant.spki = key.key.spki;
  grant.lifetime = std::chrono::hours(24);
  return {key, *Certificate::parse(*site::issue(ca, grant, now, rng)), {}, {ca.certificate}};
}

TEST_F(Lasting, files_of_others_are_named_and_stay) {
  for (const char* const name : {"key.pem", "cert.pem", "chain.pem", "anchors.pem", "current"}) {
    const fs::path folder = root_ / name;
    fs::create_directories(folder);
    ASSERT_TRUE(io::write_file((folder / name).string(), view("mine")));
    const auto refused = FolderStorage::open(folder.string());
    ASSERT_FALSE(refused) << name;
    EXPECT_EQ(refused.error().rule, &kForeignFile);
    EXPECT_EQ(FolderStorage::foreign_file(folder.string()), name);
    EXPECT_EQ(as_text(*io::read_file((folder / name).string())), "mine");
  }
}

// Folders that others call pending and generations, too.
TEST_F(Lasting, folders_of_others_are_named_and_stay) {
  for (const std::string name :
       {"pending", "generations", "key.pem.new", "pending/letter.txt", "pending/asked/letter.txt",
        "generations/grandmother.txt", "generations/0123456789abcdef", "generations/1921/grandmother.txt",
        "generations/0123456789abcdef/grandmother.txt", "generations/0123456789abcdef/key.pem/x"}) {
    const fs::path folder = root_ / hex(sha256(view(name)));
    fs::create_directories((folder / name).parent_path());
    ASSERT_TRUE(io::write_file((folder / name).string(), view("mine")));
    const auto refused = FolderStorage::open(folder.string());
    ASSERT_FALSE(refused) << name;
    EXPECT_EQ(refused.error().rule, &kForeignFile);
    const auto foreign = FolderStorage::foreign_file(folder.string());
    ASSERT_TRUE(foreign.has_value()) << name;
    EXPECT_TRUE(name.starts_with(*foreign)) << name << ": " << *foreign;
    EXPECT_EQ(as_text(*io::read_file((folder / name).string())), "mine");
  }
}

TEST_F(Lasting, a_link_to_a_folder_is_not_written_through) {
  fs::create_directories(root_ / "elsewhere");
  fs::create_directories(root_ / "dev");
  fs::create_directory_symlink(root_ / "elsewhere", root_ / "dev" / "pending");
  EXPECT_FALSE(FolderStorage::open((root_ / "dev").string()));
}

TEST_F(Lasting, an_installation_removes_nothing_that_came_later) {
  const auto storage = *FolderStorage::open(root_.string());
  const auto install = [&] { return storage->save(installed_with(*storage->make_key(KeyType::p256))); };
  ASSERT_TRUE(install());
  const KeyRef key = *storage->make_key(KeyType::p256);
  fs::create_directories(root_ / "generations" / "1921");
  const std::vector<std::string> files{(root_ / "pending" / "letter.txt").string(),
                                       (root_ / "generations" / "1921" / "key.pem").string(),
                                       (root_ / "current" / "letter.txt").string()};
  const std::string current = fs::read_symlink(root_ / "current").string();
  for (const std::string& file : files) {
    ASSERT_TRUE(io::write_file(file, view("mine")));
  }
  ASSERT_TRUE(storage->save(installed_with(key)));
  EXPECT_EQ(as_text(*io::read_file(files[0])), "mine");
  EXPECT_EQ(as_text(*io::read_file(files[1])), "mine");
  EXPECT_EQ(as_text(*io::read_file((root_ / current / "letter.txt").string())), "mine");
  EXPECT_FALSE(fs::exists(root_ / current / "key.pem"));
  EXPECT_FALSE(fs::exists(root_ / "pending" / "key.pem"));
}

TEST_F(Lasting, a_link_that_leads_elsewhere_is_somebody_else_s) {
  fs::create_symlink("/somewhere/key.pem", root_ / "key.pem");
  EXPECT_FALSE(FolderStorage::open(root_.string()));
}

TEST_F(Lasting, a_file_that_comes_later_is_not_replaced_either) {
  const auto storage = *FolderStorage::open(root_.string());
  const KeyRef key = *storage->make_key(KeyType::p256);
  ASSERT_TRUE(io::write_file((root_ / "key.pem").string(), view("mine")));
  EXPECT_EQ(storage->save(installed_with(key)).error().rule, &kForeignFile);
  EXPECT_EQ(as_text(*io::read_file((root_ / "key.pem").string())), "mine");
  EXPECT_TRUE(storage->key(key.id)) << "the key of the certificate is not lost";
}

TEST_F(Lasting, our_own_links_are_ours) {
  const auto storage = *FolderStorage::open(root_.string());
  ASSERT_TRUE(storage->save(installed_with(*storage->make_key(KeyType::p256))));
  EXPECT_TRUE(FolderStorage::open(root_.string()));
  EXPECT_EQ(FolderStorage::foreign_file(root_.string()), std::nullopt);
}

}  // namespace
}  // namespace imprint
