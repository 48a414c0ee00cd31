// Any value that a role holds, as bytes: two values are the same state exactly if their bytes are. Aggregates are
// walked by structured bindings, so there are no field lists to forget a member in.
#pragma once

#include <cstdlib>
#include <map>
#include <set>

#include "base/reader.h"
#include "model/belief.h"
#include "role/turn.h"

namespace imprint {

namespace encode_detail {

// Initialises a member of any type. Boost.PFR counts fields likewise, but takes minutes for members without a default
// constructor.
struct Anything {
  template <class T>
  operator T() const {  // NOLINT(google-explicit-constructor): never called
    std::abort();
  }
};

template <class T, std::size_t... I>
constexpr bool takes(std::index_sequence<I...>) {
  return requires { T{(static_cast<void>(I), Anything{})...}; };
}

inline constexpr std::size_t kMaxFields = 26;

// The number of members of an aggregate: the most that its initialiser takes.
template <class T, std::size_t N = kMaxFields + 1>
constexpr std::size_t fields() {
  if constexpr (N == 0 || takes<T>(std::make_index_sequence<N>())) {
    return N;
  } else {
    return fields<T, N - 1>();
  }
}

template <class T, class F>
void for_each_field(const T& value, F visit) {
  static_assert(std::is_aggregate_v<T>, "give the Encoder a put() for this type");
  constexpr std::size_t kFields = fields<T>();
  static_assert(kFields <= kMaxFields, "more members than are listed here");
  [[maybe_unused]] const auto call = [&](const auto&... field) { (visit(field), ...); };
  if constexpr (kFields == 0) {
    return;
  } else if constexpr (kFields == 1) {
    const auto& [f1] = value;
    call(f1);
  } else if constexpr (kFields == 2) {
    const auto& [f1, f2] = value;
    call(f1, f2);
  } else if constexpr (kFields == 3) {
    const auto& [f1, f2, f3] = value;
    call(f1, f2, f3);
  } else if constexpr (kFields == 4) {
    const auto& [f1, f2, f3, f4] = value;
    call(f1, f2, f3, f4);
  } else if constexpr (kFields == 5) {
    const auto& [f1, f2, f3, f4, f5] = value;
    call(f1, f2, f3, f4, f5);
  } else if constexpr (kFields == 6) {
    const auto& [f1, f2, f3, f4, f5, f6] = value;
    call(f1, f2, f3, f4, f5, f6);
  } else if constexpr (kFields == 7) {
    const auto& [f1, f2, f3, f4, f5, f6, f7] = value;
    call(f1, f2, f3, f4, f5, f6, f7);
  } else if constexpr (kFields == 8) {
    const auto& [f1, f2, f3, f4, f5, f6, f7, f8] = value;
    call(f1, f2, f3, f4, f5, f6, f7, f8);
  } else if constexpr (kFields == 9) {
    const auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9] = value;
    call(f1, f2, f3, f4, f5, f6, f7, f8, f9);
  } else if constexpr (kFields == 10) {
    const auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10] = value;
    call(f1, f2, f3, f4, f5, f6, f7, f8, f9, f10);
  } else if constexpr (kFields == 11) {
    const auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11] = value;
    call(f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11);
  } else if constexpr (kFields == 12) {
    const auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12] = value;
    call(f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12);
  } else if constexpr (kFields == 13) {
    const auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13] = value;
    call(f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13);
  } else if constexpr (kFields == 14) {
    const auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14] = value;
    call(f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14);
  } else if constexpr (kFields == 15) {
    const auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15] = value;
    call(f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15);
  } else if constexpr (kFields == 16) {
    const auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16] = value;
    call(f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16);
  } else if constexpr (kFields == 17) {
    const auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17] = value;
    call(f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17);
  } else if constexpr (kFields == 18) {
    const auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18] = value;
    call(f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18);
  } else if constexpr (kFields == 19) {
    const auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19] = value;
    call(f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19);
  } else if constexpr (kFields == 20) {
    const auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19, f20] = value;
    call(f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19, f20);
  } else if constexpr (kFields == 21) {
    const auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19, f20, f21] =
        value;
    call(f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19, f20, f21);
  } else if constexpr (kFields == 22) {
    const auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19, f20, f21, f22] =
        value;
    call(f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19, f20, f21, f22);
  } else if constexpr (kFields == 23) {
    const auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19, f20, f21, f22,
                 f23] = value;
    call(f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19, f20, f21, f22, f23);
  } else if constexpr (kFields == 24) {
    const auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19, f20, f21, f22,
                 f23, f24] = value;
    call(f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19, f20, f21, f22, f23, f24);
  } else if constexpr (kFields == 25) {
    const auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19, f20, f21, f22,
                 f23, f24, f25] = value;
    call(f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19, f20, f21, f22, f23, f24,
         f25);
  } else if constexpr (kFields == 26) {
    const auto& [f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19, f20, f21, f22,
                 f23, f24, f25, f26] = value;
    call(f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12, f13, f14, f15, f16, f17, f18, f19, f20, f21, f22, f23, f24,
         f25, f26);
  }
}

}  // namespace encode_detail

class Encoder {
 public:
  template <class T>
  void put(const T& value) {
    if constexpr (std::is_enum_v<T> || std::is_integral_v<T>) {
      w_.u64(static_cast<std::uint64_t>(value));
    } else if constexpr (std::is_convertible_v<const T&, std::string_view>) {
      raw(view(value));
    } else {
      encode_detail::for_each_field(value, [this](const auto& field) { this->put(field); });
    }
  }
  // Compared by their bytes as received: the rest follows from them.
  void put(const Name& value) { raw(value.der); }
  void put(const Certificate& value) { raw(value.der); }
  void put(const CertificateRequest& value) { raw(value.der); }
  void put(const Application& value) {
    put(value.possession() != nullptr);
    put(*value);
  }
  void put(const Secret& value) { raw(value.expose()); }
  void put(const Bytes& value) { raw(value); }
  void put(const Beliefs& value) { put(value.held()); }
  void put(const Duration& value) { put(value.count()); }
  void put(const Error& value) {
    put(value.fault);
    raw(view(value.what));
    put(value.rule);
  }
  void put(const Rule* value) { raw(view(value == nullptr ? std::string_view() : value->id)); }
  template <class T>
  void put(const Verified<T>& value) {
    put(*value);
  }
  template <class T>
  void put(const Confirmed<T>& value) {
    put(*value);
  }
  template <class T>
  void put(const Result<T>& value) {
    put(static_cast<bool>(value));
    value ? put(*value) : put(value.error());
  }
  template <class T>
  void put(const std::optional<T>& value) {
    put(value.has_value());
    if (value) {
      put(*value);
    }
  }
  // By what it points to; a pointer to what no run changes is better left out by an overload of put_shared().
  template <class T>
  void put(const std::shared_ptr<T>& value) {
    put(value != nullptr);
    if (value) {
      put_shared(*this, *value);
    }
  }
  template <class T>
  void put(const std::vector<T>& value) {
    put(value.size());
    for (const T& one : value) {
      put(one);
    }
  }
  template <class T>
  void put(const std::set<T>& value) {
    put(value.size());
    for (const T& one : value) {
      put(one);
    }
  }
  template <class K, class V>
  void put(const std::map<K, V>& value) {
    put(value.size());
    for (const auto& [key, one] : value) {
      put(key);
      put(one);
    }
  }
  template <class T, std::size_t N>
  void put(const std::array<T, N>& value) {
    for (const T& one : value) {
      put(one);
    }
  }
  template <class... T>
  void put(const std::variant<T...>& value) {
    put(value.index());
    std::visit([this](const auto& one) { this->put(one); }, value);
  }

  Bytes bytes() && { return std::move(w_).out(); }

 private:
  void raw(BytesView bytes) {
    w_.u64(bytes.size());
    w_.bytes(bytes);
  }
  Writer w_;
};

template <class T>
void put_shared(Encoder& to, const T& value) {
  to.put(value);
}

template <class T>
Bytes encode_state(const T& value) {
  Encoder e;
  e.put(value);
  return std::move(e).bytes();
}

}  // namespace imprint
