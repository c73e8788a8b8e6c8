-- The e-mail address that the identity provider last gave for a person: for pages, never to know somebody by. Empty for none.
ALTER TABLE users ADD COLUMN email TEXT NOT NULL DEFAULT '';
