CREATE TABLE t (id int PRIMARY KEY, k text, at date) PARTITION BY RANGE (id);
CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (10000);
CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (10000) TO (100000);
INSERT INTO t SELECT i, 'k' || i % 100, date '2024-01-01' + i % 100 FROM generate_series(1, 20000) i;
CREATE INDEX ON t (k, at);

CREATE TYPE mood AS ENUM ('sad', 'calm', 'glad');
CREATE DOMAIN positive AS int CHECK (VALUE >= 0);
CREATE TABLE kinds (id int PRIMARY KEY, mood mood, amount positive, word text, short varchar(10), code char(4), tags text[], doc tsvector, price numeric(10,2), span int4range);
INSERT INTO kinds SELECT i, (ARRAY['sad', 'calm', 'glad'])[1 + (i % 20) / 8]::mood, i % 1000, 'w' || i % 3000, 'v' || i % 70, 'c' || i % 9,
  ARRAY['t' || i % 40, 't' || i % 7], to_tsvector('simple', 'word' || i % 30), i / 7.0, int4range(i, i + i % 50) FROM generate_series(1, 12000) i;
CREATE INDEX ON kinds (amount);
CREATE INDEX ON kinds (word);
CREATE INDEX ON kinds (mood, amount);
CREATE INDEX ON kinds (lower(word));
CREATE INDEX ON kinds USING gin (tags);
CREATE INDEX ON kinds USING gin (doc);
