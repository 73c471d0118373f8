-- A small healthy schema, for tests that expect no finding. Run it with one statement per call, or with psql: it ends in VACUUM.
CREATE SCHEMA clean;
CREATE TABLE clean.accounts (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL,
  opened_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE clean.transfers (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  account_id bigint NOT NULL REFERENCES clean.accounts,
  amount numeric(12, 2) NOT NULL CHECK (amount <> 0),
  made_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX transfers_account_id_idx ON clean.transfers (account_id);
INSERT INTO clean.accounts (name) SELECT 'Account ' || n FROM generate_series(1, 500) n;
INSERT INTO clean.transfers (account_id, amount) SELECT 1 + n % 500, n FROM generate_series(1, 5000) n;
VACUUM (ANALYZE);
