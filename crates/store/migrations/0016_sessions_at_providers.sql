-- Which session of their provider somebody is signed in through (`sid`): a digest of it with its issuer, to be ended by. None where the provider
-- names none, and for links.
ALTER TABLE browsers ADD COLUMN provider_session {bytes};
CREATE INDEX browsers_provider_session ON browsers (provider_session);
