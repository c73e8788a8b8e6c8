-- The last good copy of each client id metadata document. One without a document was taken away by its publisher.
CREATE TABLE client_documents (
  url      TEXT NOT NULL PRIMARY KEY,
  document {bytes},
  checked  {int} NOT NULL,
  fresh    {int} NOT NULL
) {strict};
CREATE INDEX client_documents_checked ON client_documents (checked);
