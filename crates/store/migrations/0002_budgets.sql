-- What of a limit was taken within its present window, by all replicas together. The id is a digest of who and of what.
CREATE TABLE budgets (
  id    {bytes} NOT NULL PRIMARY KEY,
  ends  {int} NOT NULL,
  taken {int} NOT NULL
) {strict};
CREATE INDEX budgets_ends ON budgets (ends);
