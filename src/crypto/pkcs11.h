// What we call of PKCS#11 (OASIS, version 2.40; a module's list of functions has this order in every 2.x): declared
// here because Debian's headers of it belong to one module or another. Names, values and layouts are the
// specification's.
#pragma once

namespace imprint::pkcs11 {

using Ulong = unsigned long;
using Byte = unsigned char;
using Rv = Ulong;

inline constexpr Rv kOk = 0x000, kMechanismInvalid = 0x070, kKeyTypeInconsistent = 0x063,
                    kKeyFunctionNotPermitted = 0x068, kPinIncorrect = 0x0a0, kPinInvalid = 0x0a1, kPinLenRange = 0x0a2,
                    kPinExpired = 0x0a3, kPinLocked = 0x0a4, kUserAlreadyLoggedIn = 0x100, kUserNotLoggedIn = 0x101,
                    kUserPinNotInitialized = 0x102, kAlreadyInitialized = 0x191;
inline constexpr Ulong kUser = 1;                               // CKU_USER
inline constexpr Ulong kSerialSession = 0x4, kOsLocking = 0x2;  // flags of C_OpenSession and C_Initialize
inline constexpr Ulong kTokenInitialized = 0x400, kLoginRequired = 0x4, kPinFinalTry = 0x20000, kPinIsLocked = 0x40000;
inline constexpr Ulong kClass = 0x000, kLabel = 0x003, kKeyTypeOf = 0x100, kId = 0x102, kModulus = 0x120,
                       kPublicExponent = 0x122, kEcParams = 0x180, kEcPoint = 0x181;  // attributes
inline constexpr Ulong kClassPublic = 2, kClassPrivate = 3;
inline constexpr Ulong kRsa = 0x00, kEc = 0x03, kEcEdwards = 0x40;  // types of keys
inline constexpr Ulong kMechanismRsa = 0x0001, kMechanismEcdsa = 0x1041, kMechanismEddsa = 0x1057;

struct Version {
  Byte major, minor;
};
struct InitializeArguments {
  void *create_mutex, *destroy_mutex, *lock_mutex, *unlock_mutex;
  Ulong flags;
  void* reserved;
};
struct TokenInfo {
  Byte label[32], manufacturer[32], model[16], serial[16];
  Ulong flags, max_sessions, sessions, max_rw_sessions, rw_sessions, max_pin, min_pin, total_public, free_public,
      total_private, free_private;
  Version hardware, firmware;
  Byte utc_time[16];
};
struct Attribute {
  Ulong type;
  void* value;
  Ulong size;
};
struct Mechanism {
  Ulong mechanism;
  void* parameter;
  Ulong size;
};

// CK_FUNCTION_LIST up to C_Sign.
struct Functions {
  Version version;
  Rv (*initialize)(void* arguments);
  Rv (*finalize)(void* reserved);
  void *get_info, *get_function_list;
  Rv (*get_slot_list)(Byte present, Ulong* slots, Ulong* count);
  void* get_slot_info;
  Rv (*get_token_info)(Ulong slot, TokenInfo* info);
  void *get_mechanism_list, *get_mechanism_info, *init_token, *init_pin, *set_pin;
  Rv (*open_session)(Ulong slot, Ulong flags, void* application, void* notify, Ulong* session);
  Rv (*close_session)(Ulong session);
  void *close_all_sessions, *get_session_info, *get_operation_state, *set_operation_state;
  Rv (*login)(Ulong session, Ulong user, Byte* pin, Ulong size);
  void *logout, *create_object, *copy_object, *destroy_object, *get_object_size;
  Rv (*get_attribute_value)(Ulong session, Ulong object, Attribute* attributes, Ulong count);
  void* set_attribute_value;
  Rv (*find_objects_init)(Ulong session, Attribute* attributes, Ulong count);
  Rv (*find_objects)(Ulong session, Ulong* objects, Ulong most, Ulong* count);
  Rv (*find_objects_final)(Ulong session);
  void *encrypt_init, *encrypt, *encrypt_update, *encrypt_final;
  void *decrypt_init, *decrypt, *decrypt_update, *decrypt_final;
  void *digest_init, *digest, *digest_update, *digest_key, *digest_final;
  Rv (*sign_init)(Ulong session, Mechanism* mechanism, Ulong key);
  Rv (*sign)(Ulong session, Byte* data, Ulong size, Byte* signature, Ulong* signature_size);
};
using GetFunctionList = Rv (*)(Functions** list);

}  // namespace imprint::pkcs11
