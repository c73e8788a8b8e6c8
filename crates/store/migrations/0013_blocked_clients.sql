-- Clients that an administrator blocked beside the configuration, by the SHA-256 of their id; the id itself where it was known.
CREATE TABLE blocked_clients (
  digest {bytes} NOT NULL PRIMARY KEY,
  client TEXT,
  reason TEXT,
  since  {int} NOT NULL
) {strict};
-- What the command line did, until a gateway has put it on its record. The number is that of the epoch that it raised.
CREATE TABLE deeds (
  epoch   {int} NOT NULL PRIMARY KEY,
  reason  TEXT NOT NULL,
  issuer  TEXT,
  subject TEXT,
  client  TEXT,
  cause   TEXT NOT NULL,
  done    {int} NOT NULL
) {strict};
-- Sessions that were ended from outside: a gateway that has one open learns of it here. The sweep takes the row.
ALTER TABLE sessions ADD COLUMN ended {int};
CREATE INDEX sessions_ended ON sessions (ended);
CREATE INDEX sessions_client ON sessions (client);
