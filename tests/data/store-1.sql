-- The first version's schema, with rows as every version writes them: two lamps, a token, one certificate, the audit log.
CREATE TABLE devices (
  id TEXT NOT NULL PRIMARY KEY,
  model TEXT NOT NULL,
  serial TEXT NOT NULL,
  label TEXT NOT NULL,
  lifecycle TEXT NOT NULL,
  admission TEXT NOT NULL,
  added INTEGER NOT NULL,
  changed INTEGER NOT NULL,
  version INTEGER NOT NULL
) STRICT;

CREATE TABLE device_identities (
  identity TEXT NOT NULL PRIMARY KEY,
  device TEXT NOT NULL REFERENCES devices (id),
  position INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX device_identities_device ON device_identities (device, position);

CREATE TABLE secrets (
  mac BLOB NOT NULL PRIMARY KEY,
  device TEXT NOT NULL REFERENCES devices (id),
  user TEXT NOT NULL,
  one_time INTEGER NOT NULL,
  spent INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX secrets_device ON secrets (device, user);

CREATE TABLE certificates (
  sequence INTEGER PRIMARY KEY,
  serial BLOB NOT NULL UNIQUE,
  device TEXT NOT NULL REFERENCES devices (id),
  profile TEXT NOT NULL,
  subject TEXT NOT NULL,
  der BLOB NOT NULL,
  spki_sha256 BLOB NOT NULL,
  request_key BLOB NOT NULL,
  not_before INTEGER NOT NULL,
  not_after INTEGER NOT NULL,
  issued INTEGER NOT NULL,
  identity TEXT NOT NULL,
  reason TEXT NOT NULL,
  renews BLOB NOT NULL,
  revoked INTEGER,
  revocation_reason INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX certificates_request_key ON certificates (request_key);
CREATE INDEX certificates_spki ON certificates (spki_sha256);
CREATE INDEX certificates_device ON certificates (device, serial);
CREATE INDEX certificates_revoked ON certificates (serial) WHERE revoked IS NOT NULL;

CREATE TABLE pending (
  request_key BLOB NOT NULL PRIMARY KEY,
  device TEXT NOT NULL,
  identity TEXT NOT NULL,
  device_identity TEXT NOT NULL,
  label TEXT NOT NULL,
  subject TEXT NOT NULL,
  csr BLOB NOT NULL,
  reason TEXT NOT NULL,
  first INTEGER NOT NULL,
  last INTEGER NOT NULL,
  asked INTEGER NOT NULL,
  state TEXT NOT NULL,
  decided_by TEXT NOT NULL,
  decided INTEGER NOT NULL
) STRICT;

CREATE TABLE audit (
  sequence INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  actor TEXT NOT NULL,
  action TEXT NOT NULL,
  subject TEXT NOT NULL,
  detail TEXT NOT NULL,
  previous BLOB NOT NULL,
  hash BLOB NOT NULL
) STRICT;

CREATE TABLE runs (
  id TEXT NOT NULL PRIMARY KEY,
  protocol TEXT NOT NULL,
  mode TEXT NOT NULL,
  role TEXT NOT NULL,
  device TEXT NOT NULL,
  started INTEGER NOT NULL,
  ended INTEGER NOT NULL,
  result TEXT NOT NULL,
  rule TEXT NOT NULL,
  summary TEXT NOT NULL,
  steps TEXT NOT NULL,
  beliefs TEXT NOT NULL
) STRICT;
CREATE INDEX runs_started ON runs (started, id);
INSERT INTO devices (id, model, serial, label, lifecycle, admission, added, changed, version) VALUES ('lamp-0001', 'lamp', 'lamp-0001', '', 'commissioned', 'approved', 1795323597537, 1795323599893, 2);
INSERT INTO devices (id, model, serial, label, lifecycle, admission, added, changed, version) VALUES ('lamp-0002', 'lamp', 'lamp-0002', '', 'manufactured', 'approved', 1795323597537, 1795323597537, 1);
INSERT INTO devices (id, model, serial, label, lifecycle, admission, added, changed, version) VALUES ('tok-1', '', '', '', 'manufactured', 'approved', 1795323597564, 1795323597564, 1);
INSERT INTO device_identities (identity, device, position) VALUES ('x509:5e8f2a1681cededb600e89dfd31a0ac68eeb1e400f8928341a48610957d35c55', 'lamp-0001', 0);
INSERT INTO device_identities (identity, device, position) VALUES ('x509:818675a253f568673781ca3227563ad80f21010d235762ea410008e6d45cf310', 'lamp-0002', 0);
INSERT INTO secrets (mac, device, user, one_time, spent) VALUES (x'47f4a0a969f6572e4f0d63a09628407581ecfb52f61f32d8dd7036886d5f6660', 'tok-1', 'tok-1', 1, NULL);
INSERT INTO certificates (sequence, serial, device, profile, subject, der, spki_sha256, request_key, not_before, not_after, issued, identity, reason, renews, revoked, revocation_reason) VALUES (2, x'7ebe6e354d4b0c57d5cba3f0090fd2b0', 'lamp-0001', 'default', 'CN=lamp-0001', x'308201943082013aa00302010202107ebe6e354d4b0c57d5cba3f0090fd2b0300a06082a8648ce3d040302301b3119301706035504030c10496d7072696e74204f776e6572204341301e170d3236313132323034353435395a170d3237313132323034353935395a30143112301006035504030c096c616d702d303030313059301306072a8648ce3d020106082a8648ce3d0301070342000440c570b7bfb205081240b17a4799de9e05701bc7eb5afbd8e91a4a2c374b6278fced2c12a57cb0b260d56bdd9b798edcd3e25ded33118db6d7f0c5fd5348e9d4a3673065301d0603551d0e0416041498ae209c258d1ddf9c35ddc0e1c7ee04f70c3c5a301f0603551d23041830168014ab2110be5afe399cfe832c35626f1a8ceee1497b300e0603551d0f0101ff04040302078030130603551d25040c300a06082b06010505070302300a06082a8648ce3d0403020348003045022030e72f1df4d92f585176438c9b0be7583134cb91c1fffb9b435635193ebda21c02210097b09dda9d2d35224d7f909c4632be8c683627cc63056be03e833aa767874d09', x'988a8648ea8608e7a383cabb0b058d78b0da10bec4de8c1836fc4570189b59c8', x'29450ed1cc15df6d4cabe536ed514cdd28ae43b4badedd471c1f3d12b7107d64', 1795323299000, 1826859599000, 1795323599893, 'certificate CN=lamp-0001,serialNumber=lamp-0001 of CN=Imprint Maker Root CA 38eac28a', 'device lamp-0001 is in the inventory; profile default', x'', NULL, 0);
INSERT INTO audit (sequence, at, actor, action, subject, detail, previous, hash) VALUES (1, 1795323597427, 'server', 'certificate.issued', '(server)', '{"serial":"5b70dc5f37fd8a52f424dcfa32562ef6","subject":"CN=Imprint EST server","not_after":"2027-12-24T04:59:57Z","identity":"the owner''s own server","reason":"made for tls/"}', x'0000000000000000000000000000000000000000000000000000000000000000', x'190c2092025e9d76496e5219ef41ba222c74ec35d18cee29b3bae699c473cdf4');
INSERT INTO audit (sequence, at, actor, action, subject, detail, previous, hash) VALUES (2, 1795323597537, 'cli', 'device.added', 'lamp-0001', '{"model":"lamp","serial":"lamp-0001","lifecycle":"manufactured","admission":"approved"}', x'190c2092025e9d76496e5219ef41ba222c74ec35d18cee29b3bae699c473cdf4', x'e311c2a526678fbe16d4a9ceca8a52763cd4b6406c6249d62883f5f5531c9905');
INSERT INTO audit (sequence, at, actor, action, subject, detail, previous, hash) VALUES (3, 1795323597537, 'cli', 'device.added', 'lamp-0002', '{"model":"lamp","serial":"lamp-0002","lifecycle":"manufactured","admission":"approved"}', x'e311c2a526678fbe16d4a9ceca8a52763cd4b6406c6249d62883f5f5531c9905', x'c4c95bdf44edbfb94f2cf04577db4e61675180eb30a9ac0a0fde46247cba6d7a');
INSERT INTO audit (sequence, at, actor, action, subject, detail, previous, hash) VALUES (4, 1795323597564, 'cli', 'device.added', 'tok-1', '{"lifecycle":"manufactured","admission":"approved"}', x'c4c95bdf44edbfb94f2cf04577db4e61675180eb30a9ac0a0fde46247cba6d7a', x'd82b0e165348afc2cbf618318b855476e28bd447fde027962b32144457851dc5');
INSERT INTO audit (sequence, at, actor, action, subject, detail, previous, hash) VALUES (5, 1795323597564, 'cli', 'device.token', 'tok-1', '{}', x'd82b0e165348afc2cbf618318b855476e28bd447fde027962b32144457851dc5', x'e6749fda391511fde4fe0a15f2ef3aab86144c4412a3fd606b8c6e5c7e3fc022');
INSERT INTO audit (sequence, at, actor, action, subject, detail, previous, hash) VALUES (6, 1795323599893, 'est', 'certificate.issued', 'lamp-0001', '{"serial":"7ebe6e354d4b0c57d5cba3f0090fd2b0","profile":"default","subject":"CN=lamp-0001","not_after":"2027-11-22T04:59:59Z","identity":"certificate CN=lamp-0001,serialNumber=lamp-0001 of CN=Imprint Maker Root CA 38eac28a","reason":"device lamp-0001 is in the inventory; profile default","lifecycle":"commissioned"}', x'e6749fda391511fde4fe0a15f2ef3aab86144c4412a3fd606b8c6e5c7e3fc022', x'dbbadb4b4bc456e74e0bd64e52fc21f0aa91cd05692486067a36d4ad9317a45b');
PRAGMA user_version=1;
