-- How somebody is known at a server that is reached with a credential of their own: sealed, and with another version after each change.
-- Whoever renews it holds it for a while, so that a replica does not spend a refresh token that another one is spending.
CREATE TABLE connections (
  issuer  TEXT NOT NULL,
  subject TEXT NOT NULL,
  server  TEXT NOT NULL,
  kind    TEXT NOT NULL,
  label   TEXT NOT NULL,
  scopes  TEXT NOT NULL,
  state   TEXT NOT NULL,
  trouble TEXT,
  created {int} NOT NULL,
  changed {int} NOT NULL,
  used    {int},
  holder  {bytes},
  held    {int},
  version {int} NOT NULL,
  sealed  {bytes} NOT NULL,
  PRIMARY KEY (issuer, subject, server)
) {strict};
CREATE INDEX connections_server ON connections (server);

-- What is to be taken back at a provider (RFC 7009) after its connection went. Sealed as the connection was; gone once the provider knows, or
-- after a week.
CREATE TABLE farewells (
  id      TEXT NOT NULL PRIMARY KEY,
  issuer  TEXT NOT NULL,
  subject TEXT NOT NULL,
  server  TEXT NOT NULL,
  due     {int} NOT NULL,
  tries   {int} NOT NULL,
  created {int} NOT NULL,
  version {int} NOT NULL,
  sealed  {bytes} NOT NULL
) {strict};
CREATE INDEX farewells_due ON farewells (due);
