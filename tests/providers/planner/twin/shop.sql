CREATE SCHEMA app;
CREATE EXTENSION pg_trgm;
CREATE TYPE app.state AS ENUM ('new', 'paid', 'sent', 'done');
CREATE DOMAIN app.percent AS numeric(5, 2) CHECK (VALUE BETWEEN 0 AND 100);
CREATE FUNCTION app.slug(t text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT lower(replace(t, ' ', '-')) $$;
CREATE TABLE app.customers (
  id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text NOT NULL, "Full Name" text NOT NULL, country char(2) NOT NULL,
  discount app.percent, tags text[] NOT NULL DEFAULT '{}', about text, created timestamptz NOT NULL);
INSERT INTO app.customers (email, "Full Name", country, discount, tags, about, created)
  SELECT 'user' || i || '@example.org', 'Name ' || i % 5000, (ARRAY['DE', 'FR', 'US', 'O''', 'GB'])[1 + (i % 17) % 5], i % 50,
    ARRAY['t' || i % 7, 't' || i % 31], repeat('x', 30 + i % 50) || i, timestamptz '2024-01-01' + i * interval '7 minutes' FROM generate_series(1, 20000) i;
CREATE UNIQUE INDEX customers_email ON app.customers (lower(email));
CREATE INDEX customers_slug ON app.customers (app.slug("Full Name"));
CREATE INDEX customers_tags ON app.customers USING gin (tags);
CREATE INDEX customers_about ON app.customers USING gin (about gin_trgm_ops);
CREATE TABLE app.products (sku varchar(20) PRIMARY KEY, price numeric(10, 2) NOT NULL, valid daterange, area int4range, data jsonb);
INSERT INTO app.products SELECT 'sku-' || i, (i * 7919) % 10000 / 100.0, daterange(date '2024-01-01' + i % 100, date '2024-06-01' + i % 200),
  int4range(i, i + i % 50), jsonb_build_object('color', i % 9, 'size', i) FROM generate_series(1, 5000) i;
CREATE INDEX products_price ON app.products (price) INCLUDE (sku);
CREATE TABLE app.orders (
  id bigint NOT NULL, customer int NOT NULL, state app.state NOT NULL, placed date NOT NULL, total numeric(10, 2) NOT NULL,
  vat numeric GENERATED ALWAYS AS (total * 0.19) STORED, note text, CHECK (total >= 0), PRIMARY KEY (id, placed)) PARTITION BY RANGE (placed);
CREATE TABLE app.orders_2023 PARTITION OF app.orders FOR VALUES FROM ('2023-01-01') TO ('2024-01-01');
CREATE TABLE app.orders_2024 PARTITION OF app.orders FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE app.orders_2025 PARTITION OF app.orders FOR VALUES FROM ('2025-01-01') TO ('2026-01-01') PARTITION BY RANGE (placed);
CREATE TABLE app.orders_2025_h1 PARTITION OF app.orders_2025 FOR VALUES FROM ('2025-01-01') TO ('2025-07-01');
CREATE TABLE app.orders_2025_rest PARTITION OF app.orders_2025 DEFAULT;
INSERT INTO app.orders (id, customer, state, placed, total, note)
  SELECT i, 1 + (i::bigint * i) % 20000, (enum_range(NULL::app.state))[1 + least(3, (i % 40) / 3)], date '2023-01-01' + i % 1095, (i % 9973) / 10.0,
    CASE WHEN i % 50 = 0 THEN 'note ' || i END FROM generate_series(1, 80000) i;
CREATE INDEX orders_customer ON app.orders (customer, placed DESC);
CREATE INDEX orders_open ON app.orders (placed) WHERE state = 'new';
CREATE TABLE app.lines (order_id bigint NOT NULL, placed date NOT NULL, line int NOT NULL, sku varchar(20) NOT NULL, qty int NOT NULL,
  PRIMARY KEY (order_id, line));
INSERT INTO app.lines SELECT 1 + i / 2, date '2023-01-01' + (1 + i / 2) % 1095, i % 2, 'sku-' || 1 + (i * 31) % 5000, 1 + i % 9 FROM generate_series(0, 119999) i;
ALTER TABLE app.orders ADD FOREIGN KEY (customer) REFERENCES app.customers;
ALTER TABLE app.lines ADD FOREIGN KEY (sku) REFERENCES app.products, ADD FOREIGN KEY (order_id, placed) REFERENCES app.orders (id, placed);
CREATE INDEX lines_sku ON app.lines (sku);
CREATE TABLE app.events (id int, kind text, at timestamptz);
CREATE TABLE app.events_old (archive boolean) INHERITS (app.events);
INSERT INTO app.events SELECT i, 'k' || i % 10, now() - i * interval '1 second' FROM generate_series(1, 10000) i;
INSERT INTO app.events_old SELECT i, 'k' || i % 3, now() - i * interval '1 hour', true FROM generate_series(1, 20000) i;
CREATE INDEX ON app.events (at);
CREATE INDEX ON app.events_old USING brin (at);
CREATE VIEW app.big_orders AS SELECT o.*, c.country FROM app.orders o JOIN app.customers c ON c.id = o.customer WHERE o.total > 900;
CREATE MATERIALIZED VIEW app.by_country AS SELECT country, count(*) AS customers FROM app.customers GROUP BY country;
