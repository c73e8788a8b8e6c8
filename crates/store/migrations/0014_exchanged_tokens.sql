-- Tokens that a client got for those of another one (RFC 8693): the credential that they came from, and end with, and the clients before, as
-- a JSON array. None for all others.
ALTER TABLE access_tokens ADD COLUMN parent TEXT;
ALTER TABLE access_tokens ADD COLUMN via TEXT;
CREATE INDEX access_tokens_parent ON access_tokens (parent);
