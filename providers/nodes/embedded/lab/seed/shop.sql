-- A small shop: ordinary tables, ordinary data, nothing wrong with them yet.
SET synchronous_commit = off;
SET client_min_messages = warning;
CREATE EXTENSION pg_stat_statements;
CREATE EXTENSION dblink;

CREATE SCHEMA shop;
SET search_path = shop;

CREATE TABLE customers (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  email text NOT NULL,
  name text NOT NULL,
  country char(2) NOT NULL,
  created_at timestamptz NOT NULL
);
INSERT INTO customers (email, name, country, created_at)
SELECT 'customer' || n || '@example.com', 'Customer ' || n, (ARRAY['de', 'fr', 'it', 'pl', 'us'])[1 + n % 5], now() - n * interval '20 minutes'
FROM generate_series(1, 15000) n;
CREATE UNIQUE INDEX customers_email_key ON customers (email);

CREATE TABLE products (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  sku text NOT NULL UNIQUE,
  title text NOT NULL,
  price numeric(10, 2) NOT NULL
);
INSERT INTO products (sku, title, price)
SELECT 'SKU-' || n, 'Product ' || n, (n % 200) + 0.99 FROM generate_series(1, 1000) n;

CREATE TABLE orders (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  customer_id bigint NOT NULL REFERENCES customers,
  status text NOT NULL,
  total numeric(12, 2) NOT NULL,
  placed_at timestamptz NOT NULL
);
INSERT INTO orders (customer_id, status, total, placed_at)
SELECT 1 + n % 15000, (ARRAY['paid', 'paid', 'paid', 'shipped', 'open'])[1 + n % 5], n % 500 + 9.99, now() - n * interval '5 minutes'
FROM generate_series(1, 50000) n;
CREATE INDEX orders_customer_id_idx ON orders (customer_id);

CREATE TABLE order_items (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  order_id bigint NOT NULL,
  product_id bigint NOT NULL,
  quantity int NOT NULL
);
INSERT INTO order_items (order_id, product_id, quantity)
SELECT 1 + n % 50000, 1 + n % 1000, 1 + n % 4 FROM generate_series(1, 120000) n;
CREATE INDEX order_items_product_id_idx ON order_items (product_id);
ALTER TABLE order_items ADD FOREIGN KEY (product_id) REFERENCES products;

CREATE TABLE events (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  kind text NOT NULL,
  payload jsonb NOT NULL,
  at timestamptz NOT NULL
);
INSERT INTO events (kind, payload, at)
SELECT (ARRAY['view', 'click', 'buy'])[1 + n % 3], jsonb_build_object('product', n % 1000, 'session', n), now() - n * interval '1 minute'
FROM generate_series(1, 20000) n;
