-- What a consent was given to, so that the person is asked again when it changes (product C14, C15). Older consents do not know.
ALTER TABLE grants ADD COLUMN offered TEXT;
ALTER TABLE grants ADD COLUMN redirect_uri TEXT;
