// What the tests of the admin API share: the API on a thread with a store of its own, and a plain client.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "app/admin_api.h"
#include "app/makers.h"
#include "codec/json.h"
#include "crypto/random.h"
#include "site/ca.h"
#include "site/policy.h"
#include "store/store_testing.h"

namespace imprint::app {

inline const Secret kToken("the-token-of-this-test");
inline const Secret kPepper("the-pepper-of-this-test");

struct Answer {
  int status = 0;
  std::string head, body;
  Json json() const {
    Result<Json> parsed = parse_json(body);
    return parsed ? *std::move(parsed) : Json();
  }
  // Whether the head has this line.
  bool has(const std::string& line) const { return head.find("\r\n" + line + "\r\n") != std::string::npos; }
};

// A request as it is sent; the headers that every asker sends are added unless they are here.
struct Asked {
  std::string method = "GET", path, body = {};
  std::string type = "application/json";
  std::vector<std::string> headers = {};
  bool with_token = true;
  std::string host = {};  // empty: the right one
};

// One connection.
class Socket {
 public:
  explicit Socket(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const timeval patience{.tv_sec = 20, .tv_usec = 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    EXPECT_EQ(::connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  ~Socket() { ::close(fd_); }

  void send(std::string_view text) {
    while (!text.empty()) {
      const ssize_t n = ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
      if (n <= 0) {
        return;
      }
      text.remove_prefix(static_cast<std::size_t>(n));
    }
  }
  // Reads until the text has come, or the end, or 30 seconds are over.
  const std::string& read_until(std::string_view wanted) {
    std::array<char, 4096> chunk{};
    const Instant end = io::wall_clock() + Duration(30'000);  // heartbeats come for ever
    while ((wanted.empty() || got_.find(wanted) == std::string::npos) && io::wall_clock() < end) {
      const ssize_t n = ::recv(fd_, chunk.data(), chunk.size(), 0);
      if (n <= 0) {
        break;
      }
      got_.append(chunk.data(), static_cast<std::size_t>(n));
    }
    return got_;
  }

 private:
  int fd_;
  std::string got_;
};

class Api {
 public:
  Api() : ca_(*site::make_root(KeyType::p256, *Name::from_text("CN=Owner"), loop_.now(), Duration(86'400'000), rng_)) {
    AdminApi::Site site;
    site.ca_pem = [this] { return to_pem(ca_.certificate); };
    site.revocation_list = [] { return Bytes{0x30, 0x00}; };
    site.gauges = [] { return std::map<std::string, double>{{"imprint_connections_open", 3}}; };
    site.ready = [this] { return ready.load(); };
    site.pepper = kPepper;
    site.makers = [this] {
      const std::scoped_lock lock(mutex_);
      return makers_;
    };
    site.registrar = [this] {
      const std::scoped_lock lock(mutex_);
      return registrar_;
    };
    api_ = std::make_unique<AdminApi>(loop_, *store, hub, std::move(site), kToken);
    const Status listening = api_->listen("127.0.0.1", 0);
    EXPECT_TRUE(listening);
    port = api_->port();
    thread_ = std::thread([this] { loop_.run(); });
  }
  Api(const Api&) = delete;
  Api& operator=(const Api&) = delete;
  ~Api() {
    loop_.stop();
    thread_.join();
    api_.reset();
  }

  std::string text_of(const Asked& asked) const {
    std::string out = asked.method + " " + asked.path + " HTTP/1.1\r\nHost: ";
    out += (asked.host.empty() ? "127.0.0.1:" + std::to_string(port) : asked.host) + "\r\n";
    if (asked.with_token) {
      out += "Authorization: Bearer " + std::string(as_text(kToken.expose())) + "\r\n";
    }
    for (const std::string& header : asked.headers) {
      out += header + "\r\n";
    }
    if (!asked.body.empty()) {
      out += "Content-Type: " + asked.type + "\r\n";
    }
    if (asked.method == "POST") {
      out += "Content-Length: " + std::to_string(asked.body.size()) + "\r\n";
    }
    return out + "\r\n" + asked.body;
  }

  Answer ask(Asked asked) const {
    asked.headers.push_back("Connection: close");
    Socket socket(port);
    socket.send(text_of(asked));
    const std::string& got = socket.read_until("");
    const std::size_t end = got.find("\r\n\r\n");
    if (end == std::string::npos || got.size() < 12) {
      ADD_FAILURE() << asked.method << " " << asked.path << ": no answer";
      return {};
    }
    return {std::stoi(got.substr(9, 3)), got.substr(0, end + 2), got.substr(end + 4)};
  }
  Answer get(std::string path) const { return ask({.path = std::move(path)}); }
  Answer post(std::string path, std::string body = {}) const {
    return ask({.method = "POST", .path = std::move(path), .body = std::move(body)});
  }

  // A change behind the API's back; it has to succeed.
  void write(store::Store::Change change) const {
    const Status written = store->write(std::move(change));
    ASSERT_TRUE(written) << written.error().what;
  }
  std::unique_ptr<store::Reader> read() const { return *store->read(); }
  const Certificate& ca() const { return ca_.certificate; }
  void know(Makers makers, std::string registrar) {
    const std::scoped_lock lock(mutex_);
    makers_ = std::make_shared<const Makers>(std::move(makers));
    registrar_ = std::move(registrar);
  }

  const store::TestFolder folder;
  const std::unique_ptr<store::Store> store = store::open_store(folder.file());
  Hub hub{store.get()};
  std::atomic<bool> ready = true;
  std::uint16_t port = 0;

 private:
  SystemRng rng_;
  io::Loop loop_;
  site::Ca ca_;
  std::mutex mutex_;
  std::shared_ptr<const Makers> makers_;
  std::string registrar_;
  std::unique_ptr<AdminApi> api_;
  std::thread thread_;
};

// That an answer is a problem of RFC 9457 with this status and rule.
inline void expect_problem(const Answer& answer, int status, const std::string& id) {
  EXPECT_EQ(answer.status, status) << answer.body;
  EXPECT_TRUE(answer.has("Content-Type: application/problem+json")) << answer.head;
  const Json json = answer.json();
  ASSERT_TRUE(json.is_object()) << answer.body;
  EXPECT_EQ(json.value("id", ""), id) << answer.body;
  EXPECT_EQ(json.value("type", ""), "docs/errors.md#" + id);
  EXPECT_EQ(json.value("status", 0), status);
  for (const char* member : {"title", "detail", "next"}) {
    EXPECT_FALSE(json.value(member, "").empty()) << member;
  }
}

// Whether an object has just the members that openapi.json promises for this schema.
inline void expect_schema(const Api& api, const Json& object, const std::string& schema) {
  const Json described = api.get("/openapi.json").json()["components"]["schemas"][schema];
  ASSERT_TRUE(described.is_object()) << schema;
  for (const auto& [name, value] : object.items()) {
    EXPECT_TRUE(described["properties"].contains(name)) << schema << " does not know " << name;
  }
  for (const Json& name : described["required"]) {
    EXPECT_TRUE(object.contains(name.get<std::string>())) << schema << " wants " << name;
  }
}

inline Pended pended_fact(std::uint32_t n, const std::string& device) {
  Pended out;
  out.request_key = store::numbered(n);
  out.device = device;
  out.identity = "IDevID CN=" + device;
  out.subject = "CN=" + device;
  out.csr = {0x30, 0x00};
  out.reason = "not in the inventory";
  Device newcomer = store::device_named(device);
  newcomer.admission = Admission::waiting;
  out.newcomer = newcomer;
  return out;
}

}  // namespace imprint::app
