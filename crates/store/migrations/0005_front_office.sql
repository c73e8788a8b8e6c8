-- What people allowed: who, to which client, of which server, what, until when. Access tokens carry its id as theirs.
CREATE TABLE grants (
  id          TEXT NOT NULL PRIMARY KEY,
  issuer      TEXT NOT NULL,
  subject     TEXT NOT NULL,
  client      TEXT NOT NULL,
  fingerprint {bytes} NOT NULL,
  name        TEXT NOT NULL,
  identity    TEXT NOT NULL,
  target      TEXT NOT NULL,
  server      TEXT NOT NULL,
  granted     TEXT NOT NULL,
  created     {int} NOT NULL,
  expires     {int},
  revoked     {int},
  used        {int},
  FOREIGN KEY (issuer, subject) REFERENCES users (issuer, subject)
) {strict};
CREATE INDEX grants_user ON grants (issuer, subject);
CREATE INDEX grants_client ON grants (client);
CREATE INDEX grants_expires ON grants (expires);
CREATE INDEX grants_revoked ON grants (revoked);

-- Codes stay as tombstones until they would have ended: a second use must be recognised.
CREATE TABLE codes (
  hash         {bytes} NOT NULL PRIMARY KEY,
  grant_id     TEXT NOT NULL,
  client       TEXT NOT NULL,
  redirect_uri TEXT NOT NULL,
  named        {int} NOT NULL,
  challenge    TEXT NOT NULL,
  expires      {int} NOT NULL,
  used         {int}
) {strict};
CREATE INDEX codes_expires ON codes (expires);

CREATE TABLE refresh_tokens (
  hash       {bytes} NOT NULL PRIMARY KEY,
  grant_id   TEXT NOT NULL,
  client     TEXT NOT NULL,
  generation {int} NOT NULL,
  created    {int} NOT NULL,
  expires    {int} NOT NULL,
  used       {int}
) {strict};
CREATE INDEX refresh_tokens_grant ON refresh_tokens (grant_id);
CREATE INDEX refresh_tokens_expires ON refresh_tokens (expires);

-- Browsers in which somebody is signed in.
CREATE TABLE browsers (
  digest  {bytes} NOT NULL PRIMARY KEY,
  id      TEXT NOT NULL UNIQUE,
  issuer  TEXT NOT NULL,
  subject TEXT NOT NULL,
  label   TEXT NOT NULL,
  created {int} NOT NULL,
  used    {int} NOT NULL,
  expires {int} NOT NULL,
  FOREIGN KEY (issuer, subject) REFERENCES users (issuer, subject)
) {strict};
CREATE INDEX browsers_user ON browsers (issuer, subject);
CREATE INDEX browsers_expires ON browsers (expires);

-- One-time links: taken out when they are used.
CREATE TABLE links (
  hash    {bytes} NOT NULL PRIMARY KEY,
  issuer  TEXT NOT NULL,
  subject TEXT NOT NULL,
  expires {int} NOT NULL
) {strict};
CREATE INDEX links_expires ON links (expires);
