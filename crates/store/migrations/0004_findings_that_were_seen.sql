-- Which findings of the screen whoever approved a definition was shown: ids of rules, apart by spaces.
ALTER TABLE pins ADD COLUMN reviewed TEXT NOT NULL DEFAULT '';
