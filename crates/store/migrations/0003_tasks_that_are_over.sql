-- When a task was seen to be over: it gives its room back, and its owner may still ask for its result.
ALTER TABLE tasks ADD COLUMN ended {int};
