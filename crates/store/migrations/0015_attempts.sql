-- Attempts of clients to connect: what was seen of each on its way, for people to read. A row is of one user, or of nobody: then it says from
-- which address. Steps are lines of "milliseconds word [reason]" in words of this program. No decision reads this table.
CREATE TABLE attempts (
  id        TEXT NOT NULL PRIMARY KEY,
  issuer    TEXT,
  subject   TEXT,
  digest    {bytes},
  client    TEXT,
  name      TEXT,
  identity  TEXT,
  server    TEXT,
  peer      TEXT,
  grant_id  TEXT,
  steps     TEXT NOT NULL,
  begun     {int} NOT NULL,
  last      {int} NOT NULL
) {strict};
CREATE INDEX attempts_owner ON attempts (issuer, subject, last);
CREATE INDEX attempts_grant ON attempts (grant_id);
CREATE INDEX attempts_peer ON attempts (peer, last);
CREATE INDEX attempts_last ON attempts (last);
