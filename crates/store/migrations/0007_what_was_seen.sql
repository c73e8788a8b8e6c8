-- What a user was let see through a client, in the words of the rules, and until when that is remembered (POL-05).
CREATE TABLE seen (
  issuer  TEXT NOT NULL,
  subject TEXT NOT NULL,
  client  TEXT NOT NULL,
  label   TEXT NOT NULL,
  until   {int} NOT NULL,
  PRIMARY KEY (issuer, subject, client, label)
) {strict};
CREATE INDEX seen_until ON seen (until);
