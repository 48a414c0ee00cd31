#include "runtime/device_storage.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "crypto/random.h"
#include "io/file.h"
#include "site/ca.h"

namespace imprint {
namespace {

namespace fs = std::filesystem;

class Folder : public testing::Test {
 protected:
  void SetUp() override {
    path_ = (fs::temp_directory_path() / ("imprint-device-" + hex(random_secret(rng_, 8).expose()))).string();
    storage_ = *FolderStorage::open(path_);
    ca_ = *site::make_root(KeyType::p256, *Name::from_text("CN=Owner"), {1'790'000'000'000}, std::chrono::hours(99),
                           rng_);
  }
  void TearDown() override { fs::remove_all(path_); }

  est::Installed installed_with(const KeyRef& key, const std::string& subject) {
    Grant grant;
    grant.names.subject = *Name::from_text(subject);
    grant.spki = key.key.spki;
    grant.lifetime = std::chrono::hours(24);
    const Certificate own = *Certificate::parse(*site::issue(ca_, grant, {1'790'000'000'000}, rng_));
    return {key, own, {}, {ca_.certificate}};
  }
  static unsigned mode(const std::string& path) {
    struct stat s {};
    EXPECT_EQ(::stat(path.c_str(), &s), 0);
    return s.st_mode & 0777U;
  }

  SystemRng rng_;
  std::string path_;
  std::unique_ptr<FolderStorage> storage_;
  site::Ca ca_;
};

TEST_F(Folder, keeps_the_pending_key_across_a_restart) {
  const KeyRef key = *storage_->make_key(KeyType::p256);
  ASSERT_TRUE(storage_->save(est::Asked{key, {ca_.certificate}, sha256(view("this"))}));
  const auto again = *FolderStorage::open(path_);
  const auto asked = *again->asked();
  ASSERT_TRUE(asked);
  EXPECT_EQ(asked->key, key);
  EXPECT_EQ(asked->anchors, std::vector{ca_.certificate});
  EXPECT_EQ(asked->purpose, sha256(view("this")));
}

// The names are there before the installation is: if it ends in between, nothing is installed rather than half of it.
TEST_F(Folder, a_first_installation_that_does_not_get_to_its_end_shows_no_file) {
  const KeyRef key = *storage_->make_key(KeyType::p256);
  fs::create_directories(path_ + "/anchors.pem.new");  // in the way of the last name
  ASSERT_FALSE(storage_->save(installed_with(key, "CN=dev")));
  for (const char* name : {"/key.pem", "/cert.pem", "/chain.pem", "/anchors.pem"}) {
    EXPECT_FALSE(fs::exists(path_ + name)) << name;
  }
  fs::remove_all(path_ + "/anchors.pem.new");
  ASSERT_TRUE(storage_->save(installed_with(key, "CN=dev")));
  EXPECT_TRUE(fs::exists(path_ + "/anchors.pem"));
}

TEST_F(Folder, an_installation_replaces_all_files_at_once_and_ends_the_request) {
  const KeyRef key = *storage_->make_key(KeyType::p256);
  ASSERT_TRUE(storage_->save(est::Asked{key, {}, {}}));
  ASSERT_TRUE(storage_->save(installed_with(key, "CN=one")));
  EXPECT_FALSE(*storage_->asked());
  const auto first = *storage_->installed();
  ASSERT_TRUE(first);
  EXPECT_EQ(first->certificate.subject.text, "CN=one");
  EXPECT_EQ(first->key.key, key.key);

  const KeyRef next = *storage_->make_key(KeyType::ed25519);
  ASSERT_TRUE(storage_->save(installed_with(next, "CN=two")));
  const auto second = *storage_->installed();
  EXPECT_EQ(second->certificate.subject.text, "CN=two");
  EXPECT_EQ(second->key.key, next.key);
  EXPECT_EQ(std::distance(fs::directory_iterator(path_ + "/generations"), fs::directory_iterator{}), 1);
}

TEST_F(Folder, files_are_for_the_owner_alone) {
  const KeyRef key = *storage_->make_key(KeyType::p256);
  EXPECT_EQ(mode(path_ + "/pending/key.pem"), 0600U);
  ASSERT_TRUE(storage_->save(installed_with(key, "CN=one")));
  for (const char* name : {"/key.pem", "/cert.pem", "/chain.pem", "/anchors.pem"}) {
    EXPECT_EQ(mode(path_ + name), 0600U) << name;
  }
  EXPECT_EQ(mode(path_), 0700U);
}

TEST_F(Folder, a_renewal_with_the_same_key_keeps_it) {
  const KeyRef key = *storage_->make_key(KeyType::p256);
  ASSERT_TRUE(storage_->save(installed_with(key, "CN=one")));
  const KeyRef current{"current", key.key};
  ASSERT_TRUE(storage_->save(est::Asked{current, {ca_.certificate}, {}}));
  EXPECT_EQ((*storage_->asked())->key, current);
  ASSERT_TRUE(storage_->save(installed_with(current, "CN=renewed")));
  EXPECT_EQ((*storage_->installed())->key.key, key.key);
  EXPECT_EQ((*storage_->installed())->certificate.subject.text, "CN=renewed");
}

TEST_F(Folder, a_fresh_key_ends_the_record_of_the_one_before) {
  const KeyRef key = *storage_->make_key(KeyType::p256);
  ASSERT_TRUE(storage_->save(est::Asked{key, {ca_.certificate}, {}}));
  ASSERT_TRUE(storage_->make_key(KeyType::p256));
  EXPECT_FALSE(*storage_->asked());
}

// What a power cut can leave behind: a generation that is not linked, a link under its temporary name, half a record.
TEST_F(Folder, remains_of_a_power_cut_do_no_harm) {
  const KeyRef key = *storage_->make_key(KeyType::p256);
  ASSERT_TRUE(storage_->save(installed_with(key, "CN=one")));
  fs::create_directories(path_ + "/generations/ffffffffffffffff");
  ASSERT_TRUE(io::write_file(path_ + "/generations/ffffffffffffffff/key.pem", view("half")));
  fs::create_symlink("generations/ffffffffffffffff", path_ + "/current.new");
  fs::create_directories(path_ + "/pending");
  ASSERT_TRUE(io::write_file(path_ + "/pending/asked", view("pending\n")));

  EXPECT_EQ((*storage_->installed())->certificate.subject.text, "CN=one");
  EXPECT_FALSE(*storage_->asked());
  const KeyRef next = *storage_->make_key(KeyType::p256);
  ASSERT_TRUE(storage_->save(installed_with(next, "CN=two")));
  EXPECT_EQ((*storage_->installed())->certificate.subject.text, "CN=two");
  EXPECT_EQ(std::distance(fs::directory_iterator(path_ + "/generations"), fs::directory_iterator{}), 1);
  EXPECT_FALSE(fs::exists(path_ + "/pending"));
}

TEST_F(Folder, a_device_that_is_configured_has_no_remains_of_a_power_cut) {
  const KeyRef key = *storage_->make_key(KeyType::p256);
  const est::Installed installed = installed_with(key, "CN=a");
  ASSERT_TRUE(storage_->save(installed));
  ASSERT_TRUE(storage_->make_key(KeyType::p256));  // as if the power had gone before these were removed
  const std::string former = path_ + "/generations/00112233aabbccdd";
  ASSERT_TRUE(io::make_folder(former));
  ASSERT_TRUE(io::write_file(former + "/key.pem", view("half")));
  brski::Imprinted owner{*Uri::parse("https://registrar.example"), to_bytes("voucher"), ca_.certificate};
  ASSERT_TRUE(storage_->save(owner));
  EXPECT_TRUE(fs::exists(path_ + "/pending")) << "while it is not configured a request may be under way";
  EXPECT_TRUE(fs::exists(former));
  owner.configured = true;
  ASSERT_TRUE(storage_->save(owner));
  EXPECT_FALSE(fs::exists(path_ + "/pending"));
  EXPECT_FALSE(fs::exists(former));
  const auto again = *FolderStorage::open(path_);
  EXPECT_EQ((*again->installed())->certificate, installed.certificate);
}

TEST_F(Folder, is_tidied_once_there_is_an_installation) {
  const KeyRef first = *storage_->make_key(KeyType::p256);
  EXPECT_TRUE(storage_->tidy());
  EXPECT_TRUE(fs::exists(path_ + "/pending/key.pem")) << "a certificate may be on its way for it";
  ASSERT_TRUE(storage_->save(installed_with(first, "CN=dev")));
  ASSERT_TRUE(storage_->make_key(KeyType::p256));
  ASSERT_TRUE(io::make_folder(path_ + "/generations/00112233aabbccdd"));
  EXPECT_TRUE(storage_->tidy());
  EXPECT_FALSE(fs::exists(path_ + "/pending"));
  EXPECT_FALSE(fs::exists(path_ + "/generations/00112233aabbccdd"));
  EXPECT_TRUE(*storage_->installed());
}

TEST_F(Folder, keeps_the_owner_of_a_voucher_across_a_restart) {
  const brski::Imprinted owner{*Uri::parse("https://registrar.example:8443"), {0, 1, 2, 255}, ca_.certificate};
  EXPECT_FALSE(*storage_->imprinted());
  ASSERT_TRUE(storage_->save(owner));
  EXPECT_EQ(*(*FolderStorage::open(path_))->imprinted(), owner);
  brski::Imprinted done = owner;
  done.configured = true;
  ASSERT_TRUE(storage_->save(done));
  EXPECT_EQ(*(*FolderStorage::open(path_))->imprinted(), done);
  EXPECT_EQ(mode(path_ + "/owner"), 0600U);
}

TEST_F(Folder, somebody_elses_owner_file_is_not_written_over) {
  ASSERT_TRUE(io::write_file(path_ + "/owner", view("root\n")));
  EXPECT_EQ(FolderStorage::foreign_file(path_), "owner");
  EXPECT_FALSE(FolderStorage::open(path_));
}

TEST_F(Folder, an_owner_file_that_was_damaged_is_told) {
  for (const std::string_view text : {"imprint owner 1\n", "imprint owner 1\nimprinted\nhttps://x\n!\n",
                                      "imprint owner 1\nconfigured\nhttps://x\nAAAA\nno certificate\n"}) {
    ASSERT_TRUE(io::write_file(path_ + "/owner", view(text)));
    EXPECT_FALSE(storage_->imprinted()) << text;
  }
}

TEST_F(Folder, a_key_that_was_installed_is_still_found_by_the_name_that_it_had) {
  const KeyRef key = *storage_->make_key(KeyType::p256);
  ASSERT_TRUE(storage_->save(installed_with(key, "CN=one")));
  ASSERT_TRUE(storage_->key(key.id));
  EXPECT_EQ(storage_->key(key.id)->public_key(), key.key);
  const KeyRef next = *storage_->make_key(KeyType::p256);
  EXPECT_EQ(storage_->key(next.id)->public_key(), next.key);
}

TEST(File, a_reader_sees_the_old_file_or_the_new_one) {
  SystemRng rng;
  const auto folder = fs::temp_directory_path() / ("imprint-file-" + hex(random_secret(rng, 8).expose()));
  ASSERT_TRUE(io::make_folder(folder.string()));
  const std::string path = (folder / "x").string();
  ASSERT_TRUE(io::write_file(path, view("old")));
  ASSERT_TRUE(io::write_file(path, view("new"), 0644));
  EXPECT_EQ(as_text(*io::read_file(path)), "new");
  EXPECT_EQ(io::read_file(path, 2).error().fault, Fault::limit);
  EXPECT_EQ(io::read_file(path + "y").error().fault, Fault::unreachable);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder), fs::directory_iterator{}), 1);
  fs::remove_all(folder);
}

}  // namespace
}  // namespace imprint
