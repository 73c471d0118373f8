/** A TPC-H-like schema without secondary indexes, its queries, and what an expert would index. Written for this project after the specification's text (TPC-H 3.0). */
export const SCHEMA = `
CREATE TABLE region (r_regionkey int PRIMARY KEY, r_name char(25) NOT NULL, r_comment varchar(152));
CREATE TABLE nation (n_nationkey int PRIMARY KEY, n_name char(25) NOT NULL, n_regionkey int NOT NULL, n_comment varchar(152));
CREATE TABLE supplier (s_suppkey int PRIMARY KEY, s_name char(25) NOT NULL, s_address varchar(40) NOT NULL, s_nationkey int NOT NULL, s_phone char(15) NOT NULL, s_acctbal numeric(15,2) NOT NULL, s_comment varchar(101) NOT NULL);
CREATE TABLE customer (c_custkey int PRIMARY KEY, c_name varchar(25) NOT NULL, c_address varchar(40) NOT NULL, c_nationkey int NOT NULL, c_phone char(15) NOT NULL, c_acctbal numeric(15,2) NOT NULL, c_mktsegment char(10) NOT NULL, c_comment varchar(117) NOT NULL);
CREATE TABLE part (p_partkey int PRIMARY KEY, p_name varchar(55) NOT NULL, p_mfgr char(25) NOT NULL, p_brand char(10) NOT NULL, p_type varchar(25) NOT NULL, p_size int NOT NULL, p_container char(10) NOT NULL, p_retailprice numeric(15,2) NOT NULL, p_comment varchar(23) NOT NULL);
CREATE TABLE partsupp (ps_partkey int NOT NULL, ps_suppkey int NOT NULL, ps_availqty int NOT NULL, ps_supplycost numeric(15,2) NOT NULL, ps_comment varchar(199) NOT NULL, PRIMARY KEY (ps_partkey, ps_suppkey));
CREATE TABLE orders (o_orderkey int PRIMARY KEY, o_custkey int NOT NULL, o_orderstatus char(1) NOT NULL, o_totalprice numeric(15,2) NOT NULL, o_orderdate date NOT NULL, o_orderpriority char(15) NOT NULL, o_clerk char(15) NOT NULL, o_shippriority int NOT NULL, o_comment varchar(79) NOT NULL);
CREATE TABLE lineitem (l_orderkey int NOT NULL, l_partkey int NOT NULL, l_suppkey int NOT NULL, l_linenumber int NOT NULL, l_quantity numeric(15,2) NOT NULL, l_extendedprice numeric(15,2) NOT NULL, l_discount numeric(15,2) NOT NULL, l_tax numeric(15,2) NOT NULL, l_returnflag char(1) NOT NULL, l_linestatus char(1) NOT NULL, l_shipdate date NOT NULL, l_commitdate date NOT NULL, l_receiptdate date NOT NULL, l_shipinstruct char(25) NOT NULL, l_shipmode char(10) NOT NULL, l_comment varchar(44) NOT NULL, PRIMARY KEY (l_orderkey, l_linenumber));
`;

/** Rows for a scale: 1 is 1,500 orders and 6,000 lines. Values are spread by multiplication with primes: the same every time. */
export function fill(scale: number): string {
  const n = (rows: number): number => Math.round(rows * scale);
  const r = (column: string, prime: number, modulus: number): string =>
    `((${column}::bigint * ${prime} + 11) % ${modulus})`;
  return `
INSERT INTO region SELECT i, (ARRAY['AFRICA','AMERICA','ASIA','EUROPE','MIDDLE EAST'])[i + 1], 'c' FROM generate_series(0, 4) i;
INSERT INTO nation SELECT i, (ARRAY['ALGERIA','ARGENTINA','BRAZIL','CANADA','EGYPT','ETHIOPIA','FRANCE','GERMANY','INDIA','INDONESIA','IRAN','IRAQ','JAPAN','JORDAN','KENYA','MOROCCO','MOZAMBIQUE','PERU','CHINA','ROMANIA','SAUDI ARABIA','VIETNAM','RUSSIA','UNITED KINGDOM','UNITED STATES'])[i + 1], i % 5, 'c' FROM generate_series(0, 24) i;
INSERT INTO supplier SELECT i, 'Supplier#' || i, 'addr' || i, ${r("i", 7, 25)}, '1' || i, ${r("i", 7919, 10000)}, repeat('s', 60) FROM generate_series(1, ${n(10)}) i;
INSERT INTO customer SELECT i, 'Customer#' || i, 'addr' || i, ${r("i", 13, 25)}, (10 + i % 25) || '-555-' || i, ${r("i", 7919, 11000)} - 999, (ARRAY['AUTOMOBILE','BUILDING','FURNITURE','HOUSEHOLD','MACHINERY'])[1 + i % 5], repeat('c', 70) FROM generate_series(1, ${n(150)}) i;
INSERT INTO part SELECT i, (ARRAY['almond','forest','green','ivory','lace','navy','plum','rose','tan','white'])[1 + i % 10] || ' part ' || i, 'Manufacturer#' || (1 + i % 5), 'Brand#' || (1 + i % 5) || (1 + (i / 5) % 5), (ARRAY['STANDARD','SMALL','MEDIUM','LARGE','ECONOMY','PROMO'])[1 + i % 6] || ' ' || (ARRAY['ANODIZED','BURNISHED','PLATED','POLISHED','BRUSHED'])[1 + (i / 6) % 5] || ' ' || (ARRAY['TIN','NICKEL','BRASS','STEEL','COPPER'])[1 + (i / 30) % 5], 1 + ${r("i", 31, 50)}, (ARRAY['SM','LG','MED','JUMBO','WRAP'])[1 + i % 5] || ' ' || (ARRAY['CASE','BOX','BAG','JAR','PKG','PACK','CAN','DRUM'])[1 + (i / 5) % 8], 900 + i % 1000, 'c' FROM generate_series(1, ${n(200)}) i;
INSERT INTO partsupp SELECT 1 + i / 4, 1 + ((i / 4 + (i % 4) * ${Math.max(1, n(10) / 4 - 1) | 0} + 1) % ${n(10)}), ${r("i", 7919, 9999)}, ${r("i", 104729, 100000)} / 100.0, repeat('p', 120) FROM generate_series(0, ${n(800) - 1}) i ON CONFLICT DO NOTHING;
INSERT INTO orders SELECT i, 1 + ${r("i", 7919, n(150))}, (ARRAY['O','F','P'])[1 + (i % 20 + 1) / 10], ${r("i", 104729, 500000)}, date '1992-01-01' + ${r("i", 7919, 2405)}::int, (ARRAY['1-URGENT','2-HIGH','3-MEDIUM','4-NOT SPECIFIED','5-LOW'])[1 + i % 5], 'Clerk#' || i % 1000, 0, CASE WHEN i % 97 = 0 THEN 'special requests' ELSE repeat('o', 40) END FROM generate_series(1, ${n(1500)}) i;
INSERT INTO lineitem SELECT o, 1 + ${r("x", 7919, n(200))}, 1 + ${r("x", 104729, n(10))}, l, 1 + x % 50, ${r("x", 15485863, 100000)}, (x % 11) / 100.0, (x % 9) / 100.0, (ARRAY['R','A','N'])[1 + x % 3], (ARRAY['O','F'])[1 + x % 2], d + 1 + x % 121, d + 30 + x % 61, d + 2 + x % 121 + x % 30, (ARRAY['DELIVER IN PERSON','COLLECT COD','NONE','TAKE BACK RETURN'])[1 + x % 4], (ARRAY['REG AIR','AIR','RAIL','SHIP','TRUCK','MAIL','FOB'])[1 + x % 7], repeat('l', 26)
  FROM (SELECT o, l, o * 4 + l AS x, date '1992-01-01' + ${r("o", 7919, 2405)}::int AS d FROM generate_series(1, ${n(1500)}) o, generate_series(1, 4) l) s;
`;
}

export const QUERIES: readonly string[] = [
  "SELECT l_returnflag, l_linestatus, sum(l_quantity), sum(l_extendedprice * (1 - l_discount)), avg(l_discount), count(*) FROM lineitem WHERE l_shipdate <= date '1998-12-01' - interval '90 days' GROUP BY l_returnflag, l_linestatus ORDER BY l_returnflag, l_linestatus",
  "SELECT s_acctbal, s_name, n_name, p_partkey FROM part, supplier, partsupp, nation, region WHERE p_partkey = ps_partkey AND s_suppkey = ps_suppkey AND p_size = 15 AND p_type LIKE '%BRASS' AND s_nationkey = n_nationkey AND n_regionkey = r_regionkey AND r_name = 'EUROPE' AND ps_supplycost = (SELECT min(ps_supplycost) FROM partsupp, supplier, nation, region WHERE p_partkey = ps_partkey AND s_suppkey = ps_suppkey AND s_nationkey = n_nationkey AND n_regionkey = r_regionkey AND r_name = 'EUROPE') ORDER BY s_acctbal DESC LIMIT 100",
  "SELECT l_orderkey, sum(l_extendedprice * (1 - l_discount)) AS revenue, o_orderdate, o_shippriority FROM customer, orders, lineitem WHERE c_mktsegment = 'BUILDING' AND c_custkey = o_custkey AND l_orderkey = o_orderkey AND o_orderdate < date '1995-03-15' AND l_shipdate > date '1995-03-15' GROUP BY l_orderkey, o_orderdate, o_shippriority ORDER BY revenue DESC, o_orderdate LIMIT 10",
  "SELECT o_orderpriority, count(*) FROM orders WHERE o_orderdate >= date '1993-07-01' AND o_orderdate < date '1993-10-01' AND EXISTS (SELECT * FROM lineitem WHERE l_orderkey = o_orderkey AND l_commitdate < l_receiptdate) GROUP BY o_orderpriority ORDER BY o_orderpriority",
  "SELECT n_name, sum(l_extendedprice * (1 - l_discount)) AS revenue FROM customer, orders, lineitem, supplier, nation, region WHERE c_custkey = o_custkey AND l_orderkey = o_orderkey AND l_suppkey = s_suppkey AND c_nationkey = s_nationkey AND s_nationkey = n_nationkey AND n_regionkey = r_regionkey AND r_name = 'ASIA' AND o_orderdate >= date '1994-01-01' AND o_orderdate < date '1995-01-01' GROUP BY n_name ORDER BY revenue DESC",
  "SELECT sum(l_extendedprice * l_discount) FROM lineitem WHERE l_shipdate >= date '1994-01-01' AND l_shipdate < date '1994-02-01' AND l_discount BETWEEN 0.05 AND 0.07 AND l_quantity < 24",
  "SELECT c_custkey, c_name, sum(l_extendedprice * (1 - l_discount)) AS revenue FROM customer, orders, lineitem, nation WHERE c_custkey = o_custkey AND l_orderkey = o_orderkey AND o_orderdate >= date '1993-10-01' AND o_orderdate < date '1993-11-01' AND l_returnflag = 'R' AND c_nationkey = n_nationkey GROUP BY c_custkey, c_name ORDER BY revenue DESC LIMIT 20",
  "SELECT ps_partkey, sum(ps_supplycost * ps_availqty) AS value FROM partsupp, supplier, nation WHERE ps_suppkey = s_suppkey AND s_nationkey = n_nationkey AND n_name = 'GERMANY' GROUP BY ps_partkey ORDER BY value DESC LIMIT 20",
  "SELECT l_shipmode, count(*) FROM orders, lineitem WHERE o_orderkey = l_orderkey AND l_shipmode IN ('MAIL', 'SHIP') AND l_commitdate < l_receiptdate AND l_shipdate < l_commitdate AND l_receiptdate >= date '1994-01-01' AND l_receiptdate < date '1994-02-01' GROUP BY l_shipmode ORDER BY l_shipmode",
  "SELECT c_count, count(*) FROM (SELECT c_custkey, count(o_orderkey) AS c_count FROM customer LEFT JOIN orders ON c_custkey = o_custkey AND o_comment NOT LIKE '%special%requests%' GROUP BY c_custkey) x GROUP BY c_count ORDER BY 2 DESC",
  "SELECT 100.0 * sum(CASE WHEN p_type LIKE 'PROMO%' THEN l_extendedprice * (1 - l_discount) ELSE 0 END) / sum(l_extendedprice * (1 - l_discount)) FROM lineitem, part WHERE l_partkey = p_partkey AND l_shipdate >= date '1995-09-01' AND l_shipdate < date '1995-09-15'",
  "SELECT p_brand, p_type, p_size, count(DISTINCT ps_suppkey) FROM partsupp, part WHERE p_partkey = ps_partkey AND p_brand = 'Brand#45' AND p_size IN (49, 14, 23) GROUP BY p_brand, p_type, p_size",
  "SELECT sum(l_extendedprice) / 7.0 FROM lineitem, part WHERE p_partkey = l_partkey AND p_brand = 'Brand#23' AND p_container = 'MED BOX' AND l_quantity < (SELECT 0.2 * avg(l_quantity) FROM lineitem WHERE l_partkey = p_partkey)",
  "SELECT c_name, o_orderkey, o_totalprice FROM customer, orders WHERE c_custkey = o_custkey AND o_totalprice > 499000 ORDER BY o_totalprice DESC LIMIT 100",
  "SELECT sum(l_extendedprice * (1 - l_discount)) FROM lineitem, part WHERE (p_partkey = l_partkey AND p_brand = 'Brand#12' AND p_container IN ('SM CASE', 'SM BOX') AND l_quantity BETWEEN 1 AND 11) OR (p_partkey = l_partkey AND p_brand = 'Brand#23' AND p_container IN ('MED BAG', 'MED BOX') AND l_quantity BETWEEN 10 AND 20)",
  "SELECT s_name, s_address FROM supplier, nation WHERE s_suppkey IN (SELECT ps_suppkey FROM partsupp WHERE ps_partkey IN (SELECT p_partkey FROM part WHERE p_name LIKE 'forest%') AND ps_availqty > (SELECT 0.5 * sum(l_quantity) FROM lineitem WHERE l_partkey = ps_partkey AND l_suppkey = ps_suppkey AND l_shipdate >= date '1994-01-01' AND l_shipdate < date '1995-01-01')) AND s_nationkey = n_nationkey AND n_name = 'CANADA' ORDER BY s_name",
  "SELECT substring(c_phone from 1 for 2), count(*), sum(c_acctbal) FROM customer WHERE c_acctbal > 9000 AND NOT EXISTS (SELECT * FROM orders WHERE o_custkey = c_custkey) GROUP BY 1 ORDER BY 1",
  "SELECT * FROM orders WHERE o_custkey = 77 ORDER BY o_orderdate DESC LIMIT 10",
];

/** Foreign keys, dates that ranges are taken of, and the two columns by which parts are looked for. */
export const EXPERT: readonly string[] = [
  "CREATE INDEX ON lineitem (l_partkey, l_suppkey)",
  "CREATE INDEX ON lineitem (l_shipdate)",
  "CREATE INDEX ON lineitem (l_receiptdate)",
  "CREATE INDEX ON orders (o_custkey)",
  "CREATE INDEX ON orders (o_orderdate)",
  "CREATE INDEX ON orders (o_totalprice)",
  "CREATE INDEX ON partsupp (ps_suppkey)",
  "CREATE INDEX ON part (p_brand, p_container)",
];
