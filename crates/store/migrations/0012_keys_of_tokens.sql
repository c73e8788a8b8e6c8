-- Thumbprints of the keys that tokens are bound to (RFC 9449): of a token, of the consent whose tokens all are, of the code that was asked for
-- with one. None for what counts for whoever has it.
ALTER TABLE access_tokens ADD COLUMN jkt {bytes};
ALTER TABLE grants ADD COLUMN jkt {bytes};
ALTER TABLE codes ADD COLUMN jkt {bytes};
