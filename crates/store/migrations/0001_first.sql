-- First release. {int} and {bytes} are the integer and byte types of the database, {strict} ends a table definition.
-- A user is issuer and subject in two columns: their printed form is not injective.

CREATE TABLE users (
  issuer     TEXT NOT NULL,
  subject    TEXT NOT NULL,
  member_of  TEXT NOT NULL,
  disabled   {int},
  seen       {int} NOT NULL,
  PRIMARY KEY (issuer, subject)
) {strict};
CREATE INDEX users_seen ON users (seen);

CREATE TABLE api_keys (
  id            TEXT NOT NULL PRIMARY KEY,
  hash          {bytes} NOT NULL UNIQUE,
  issuer        TEXT NOT NULL,
  subject       TEXT NOT NULL,
  label         TEXT NOT NULL,
  agent         TEXT,
  audience_kind TEXT NOT NULL,
  audience      TEXT NOT NULL,
  granted       TEXT NOT NULL,
  created       {int} NOT NULL,
  expires       {int} NOT NULL,
  revoked       {int},
  last_used     {int},
  FOREIGN KEY (issuer, subject) REFERENCES users (issuer, subject)
) {strict};
CREATE INDEX api_keys_user ON api_keys (issuer, subject);

CREATE TABLE access_tokens (
  hash          {bytes} NOT NULL PRIMARY KEY,
  id            TEXT NOT NULL,
  level         TEXT NOT NULL,
  issuer        TEXT NOT NULL,
  subject       TEXT NOT NULL,
  client        TEXT NOT NULL,
  agent         TEXT,
  audience_kind TEXT NOT NULL,
  audience      TEXT NOT NULL,
  granted       TEXT NOT NULL,
  created       {int} NOT NULL,
  expires       {int} NOT NULL,
  revoked       {int},
  FOREIGN KEY (issuer, subject) REFERENCES users (issuer, subject)
) {strict};
CREATE INDEX access_tokens_id ON access_tokens (id);
CREATE INDEX access_tokens_user ON access_tokens (issuer, subject);
CREATE INDEX access_tokens_expires ON access_tokens (expires);

CREATE TABLE sessions (
  digest            {bytes} NOT NULL PRIMARY KEY,
  issuer            TEXT NOT NULL,
  subject           TEXT NOT NULL,
  client            TEXT NOT NULL,
  credential        TEXT NOT NULL,
  server            TEXT NOT NULL,
  version           TEXT NOT NULL,
  capabilities      TEXT NOT NULL,
  upstream_id       {bytes},
  upstream_revision {int} NOT NULL,
  upstream_version  TEXT NOT NULL,
  log_level         TEXT,
  created           {int} NOT NULL,
  used              {int} NOT NULL
) {strict};
CREATE INDEX sessions_user ON sessions (issuer, subject);
CREATE INDEX sessions_created ON sessions (created);
CREATE INDEX sessions_used ON sessions (used);

CREATE TABLE tasks (
  digest      {bytes} NOT NULL PRIMARY KEY,
  issuer      TEXT NOT NULL,
  subject     TEXT NOT NULL,
  client      TEXT NOT NULL,
  credential  TEXT NOT NULL,
  server      TEXT NOT NULL,
  tool        TEXT NOT NULL,
  gateway_id  {bytes} NOT NULL,
  upstream_id {bytes} NOT NULL,
  created     {int} NOT NULL,
  expires     {int},
  swept_from  {int} NOT NULL
) {strict};
CREATE INDEX tasks_user ON tasks (issuer, subject);
CREATE INDEX tasks_swept_from ON tasks (swept_from);

CREATE TABLE pins (
  server      TEXT NOT NULL,
  tool        TEXT NOT NULL,
  digest      {bytes} NOT NULL,
  risk        TEXT NOT NULL,
  approved_by TEXT NOT NULL,
  approved_at {int} NOT NULL,
  PRIMARY KEY (server, tool, digest)
) {strict};

CREATE TABLE launches (
  server      TEXT NOT NULL,
  digest      {bytes} NOT NULL,
  approved_by TEXT NOT NULL,
  approved_at {int} NOT NULL,
  PRIMARY KEY (server, digest)
) {strict};

CREATE TABLE consumed (
  kind    TEXT NOT NULL,
  id      {bytes} NOT NULL,
  expires {int} NOT NULL,
  PRIMARY KEY (kind, id)
) {strict};
CREATE INDEX consumed_expires ON consumed (expires);

CREATE TABLE vault (
  issuer  TEXT NOT NULL,
  subject TEXT NOT NULL,
  name    TEXT NOT NULL,
  version {int} NOT NULL,
  sealed  {bytes} NOT NULL,
  PRIMARY KEY (issuer, subject, name)
) {strict};

-- Counters that only rise: 'epoch' of revocations, 'vault' for versions of sealed values.
CREATE TABLE counters (
  name   TEXT NOT NULL PRIMARY KEY,
  value  {int} NOT NULL,
  reason TEXT NOT NULL,
  raised {int}
) {strict};
INSERT INTO counters (name, value, reason, raised) VALUES ('epoch', 0, 'new store', NULL);
INSERT INTO counters (name, value, reason, raised) VALUES ('vault', 0, '', NULL);

-- One row, sealed under the key of this store: another key is noticed before anything is read with it.
CREATE TABLE marker (
  id     TEXT NOT NULL PRIMARY KEY,
  sealed {bytes} NOT NULL
) {strict};
