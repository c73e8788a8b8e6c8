-- Requests of programs without a browser (RFC 8628): who asks for what, from where, and what a person decided. The user code is kept under a
-- key, the device code as a digest. Rows stay an hour longer than they count, so that their client is told how it ended.
CREATE TABLE device_requests (
  hash      {bytes} NOT NULL PRIMARY KEY,
  user_code {bytes} NOT NULL UNIQUE,
  client    TEXT NOT NULL,
  server    TEXT NOT NULL,
  scope     TEXT NOT NULL,
  peer      TEXT NOT NULL,
  created   {int} NOT NULL,
  expires   {int} NOT NULL,
  pace      {int} NOT NULL,
  polled    {int},
  decided   {int},
  grant_id  TEXT,
  used      {int}
) {strict};
CREATE INDEX device_requests_expires ON device_requests (expires);
CREATE INDEX device_requests_peer ON device_requests (peer);
