#include "app/data_folder.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "app/cli_rules.h"
#include "app/registrar_parts.h"
#include "crypto/random.h"
#include "io/file.h"

namespace imprint::app {
namespace {

namespace fs = std::filesystem;

constexpr Instant kNow{1'800'000'000'000};

class DataFolderTest : public testing::Test {
 protected:
  void SetUp() override {
    path_ = (fs::temp_directory_path() / ("imprint-folder-" + hex(random_secret(rng_, 6).expose()))).string();
    auto loaded = load_config("");
    config_ = std::get<Config>(std::move(loaded));
    config_.data = path_;
  }
  void TearDown() override { fs::remove_all(path_); }

  // The store stays open, as a server's does.
  Result<DataFolder> open() {
    auto out = open_data_folder(config_, kNow, rng_);
    if (out && !store_) {
      store_ = *open_store(config_);
    }
    return out;
  }
  Result<DataFolder> refresh() { return refresh_data_folder(config_, *store_, kNow, rng_); }
  std::string content(const std::string& file) { return std::string(as_text(*io::read_file(path_ + "/" + file))); }

  SystemRng rng_;
  std::string path_;
  Config config_;
  std::unique_ptr<store::Store> store_;
};

TEST_F(DataFolderTest, the_first_opening_makes_every_part_and_the_next_ones_none) {
  const auto first = open();
  ASSERT_TRUE(first) << first.error().what;
  EXPECT_TRUE(fs::exists(path_ + "/imprint.db"));
  const std::string key = content("ca/key.pem");
  const std::string pepper = content("pepper");
  const auto second = open();
  ASSERT_TRUE(second);
  EXPECT_EQ(second->ca.certificate, first->ca.certificate);
  EXPECT_EQ(content("ca/key.pem"), key);
  EXPECT_EQ(content("pepper"), pepper);
  struct stat s {};
  ASSERT_EQ(::stat((path_ + "/ca/key.pem").c_str(), &s), 0);
  EXPECT_EQ(s.st_mode & 0777U, 0600U);
}

TEST_F(DataFolderTest, a_part_that_is_missing_is_named_and_never_made_again) {
  ASSERT_TRUE(open());
  const std::string key = content("ca/key.pem");
  for (const std::string file : {"ca/key.pem", "ca/chain.pem", "pepper", "imprint.db"}) {
    fs::rename(path_ + "/" + file, path_ + "/away");
    for (const auto& opened : {open(), refresh(), read_data_folder(config_)}) {
      ASSERT_FALSE(opened) << file;
      EXPECT_EQ(opened.error().rule, &kDataPart);
      EXPECT_NE(opened.error().what.find(file), std::string_view::npos) << opened.error().what;
    }
    EXPECT_FALSE(fs::exists(path_ + "/" + file));
    fs::rename(path_ + "/away", path_ + "/" + file);
  }
  EXPECT_TRUE(open());
  EXPECT_EQ(content("ca/key.pem"), key);
}

TEST_F(DataFolderTest, a_damaged_part_is_refused_and_left_alone) {
  ASSERT_TRUE(open());
  const std::string chain = content("ca/chain.pem");
  const std::string key = content("ca/key.pem");
  std::ofstream(path_ + "/ca/chain.pem") << chain.substr(0, chain.size() / 2);
  const auto opened = open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().rule, &kDataPart);
  EXPECT_EQ(content("ca/key.pem"), key);
  EXPECT_EQ(content("ca/chain.pem").size(), chain.size() / 2);
}

TEST_F(DataFolderTest, a_running_server_makes_nothing_in_a_folder_that_was_emptied) {
  ASSERT_TRUE(open());
  fs::remove_all(path_);
  fs::create_directory(path_);
  const auto again = refresh();
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().rule, &kNoData);
  EXPECT_TRUE(fs::is_empty(path_));
}

TEST_F(DataFolderTest, an_admin_token_that_was_removed_is_made_anew_at_the_start_only) {
  ASSERT_TRUE(open());
  const std::string token = content("admin.token");
  fs::remove(path_ + "/admin.token");
  EXPECT_FALSE(refresh());
  EXPECT_FALSE(fs::exists(path_ + "/admin.token"));
  ASSERT_TRUE(open());
  EXPECT_NE(content("admin.token"), token);
}

TEST_F(DataFolderTest, one_bad_maker_file_is_named_and_the_others_count) {
  const auto first = open();
  ASSERT_TRUE(first);
  ASSERT_TRUE(add_maker(path_, first->ca.certificate));
  std::ofstream(path_ + "/makers/cut.pem") << to_pem(first->ca.certificate).substr(0, 100);
  std::ofstream(path_ + "/makers/empty.pem") << "";
  const auto opened = read_data_folder(config_);
  ASSERT_TRUE(opened) << opened.error().what;
  EXPECT_EQ(opened->makers.size(), 1U);
  ASSERT_EQ(opened->unread.size(), 2U);
  EXPECT_EQ(opened->unread[0].file, path_ + "/makers/cut.pem");
  EXPECT_EQ(opened->unread[1].file, path_ + "/makers/empty.pem");
}

TEST_F(DataFolderTest, a_folder_of_makers_that_cannot_be_read_is_an_error_that_names_it) {
  ASSERT_TRUE(open());
  fs::remove_all(path_ + "/makers");
  EXPECT_TRUE(read_data_folder(config_)) << "none are there";
  fs::create_symlink("makers", path_ + "/makers");
  const auto says = [](const Result<DataFolder>& opened) {
    return std::string(opened ? "opened" : opened.error().what);
  };
  EXPECT_EQ(says(open()), "data folder: makers/ cannot be read");
  EXPECT_EQ(says(refresh()), "data folder: makers/ cannot be read");
  EXPECT_EQ(says(read_data_folder(config_)), "data folder: makers/ cannot be read");
}

// A file may lie on a slow disk, a key in a slow token: no loop waits for either.
TEST_F(DataFolderTest, keys_towards_masas_are_read_with_the_makers) {
  ASSERT_TRUE(open());
  const site::Ca client =
      *site::make_root(KeyType::p256, *Name::from_text("CN=us"), kNow, std::chrono::hours(24), rng_);
  fs::create_directories(path_ + "/makers/acme");
  const std::string key = path_ + "/makers/acme/client.key";
  ASSERT_TRUE(io::write_file(key, client.key.to_pem()->expose(), 0600));
  ASSERT_TRUE(io::write_file(path_ + "/makers/acme/client.pem", view(to_pem(client.certificate)), 0644));
  ASSERT_TRUE(io::write_file(path_ + "/makers/acme.pem", view(to_pem(client.certificate)), 0644));
  ASSERT_TRUE(io::write_file(path_ + "/makers/acme.toml",
                             view("[[rules]]\nname = \"a\"\nserials = [\"*\"]\nmasa = \"masa.example\"\n"
                                  "client_certificate = \"acme/client.pem\"\nclient_key = \"acme/client.key\"\n"),
                             0644));
  const auto folder = refresh();
  ASSERT_TRUE(folder);
  ASSERT_EQ(folder->masas->book.rules.size(), 1U);
  site::Policy policy;
  EstSite site;
  site.registrar = make_registrar(config_, *folder, policy);
  fs::remove(key);
  const auto found = masa_key(site, folder->masas->book.rules[0].as->key_id);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->public_key().spki, client.certificate.key.spki);
  EXPECT_EQ(masa_key(site, "registrar")->public_key().spki, folder->tls_key.public_key().spki);
  EXPECT_FALSE(masa_key(site, path_ + "/ca/key.pem")) << "nothing else is read";
}

}  // namespace
}  // namespace imprint::app
