-- How a task ended, in the words of the protocol. None for one that was noted as over before this was kept.
ALTER TABLE tasks ADD COLUMN status TEXT;
