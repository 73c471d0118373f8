/** A schema of an ordinary web shop, and as many different statements on it as one wants: what an application of some age sends. */

const TABLES: Record<string, { rows: number; columns: Record<string, string> }> = {
  tenants: { rows: 200, columns: { name: "varchar(80)", plan: "varchar(20)" } },
  users: {
    rows: 20_000,
    columns: {
      tenant_id: "int",
      email: "varchar(120)",
      status: "varchar(20)",
      created_at: "timestamptz",
      country: "char(2)",
    },
  },
  products: {
    rows: 10_000,
    columns: {
      tenant_id: "int",
      sku: "varchar(40)",
      price: "numeric(10,2)",
      category_id: "int",
      active: "boolean",
    },
  },
  categories: { rows: 300, columns: { tenant_id: "int", parent_id: "int", name: "varchar(60)" } },
  orders: {
    rows: 60_000,
    columns: {
      tenant_id: "int",
      user_id: "int",
      status: "varchar(20)",
      total: "numeric(12,2)",
      created_at: "timestamptz",
      shipped_at: "timestamptz",
    },
  },
  order_items: {
    rows: 120_000,
    columns: {
      order_id: "int",
      product_id: "int",
      quantity: "int",
      price: "numeric(10,2)",
      note: "text",
    },
  },
  payments: {
    rows: 60_000,
    columns: {
      order_id: "int",
      method: "varchar(20)",
      status: "varchar(20)",
      amount: "numeric(12,2)",
      created_at: "timestamptz",
    },
  },
  shipments: {
    rows: 50_000,
    columns: {
      order_id: "int",
      carrier: "varchar(30)",
      tracking: "varchar(40)",
      state: "varchar(20)",
      sent_at: "timestamptz",
    },
  },
  reviews: {
    rows: 30_000,
    columns: {
      product_id: "int",
      user_id: "int",
      rating: "int",
      body: "text",
      created_at: "timestamptz",
    },
  },
  events: {
    rows: 100_000,
    columns: {
      tenant_id: "int",
      user_id: "int",
      kind: "varchar(30)",
      session: "uuid",
      at: "timestamptz",
    },
  },
  addresses: {
    rows: 25_000,
    columns: {
      user_id: "int",
      city: "varchar(60)",
      zip: "varchar(10)",
      country: "char(2)",
      is_default: "boolean",
    },
  },
  coupons: {
    rows: 5_000,
    columns: { tenant_id: "int", code: "varchar(30)", valid_until: "date", uses: "int" },
  },
};

/** By the column's name the table that it refers to. */
const REFERS: Record<string, string> = {
  tenant_id: "tenants",
  user_id: "users",
  product_id: "products",
  category_id: "categories",
  order_id: "orders",
};
const FEW: Record<string, number> = {
  status: 5,
  plan: 3,
  method: 4,
  carrier: 6,
  state: 5,
  kind: 12,
  country: 40,
  rating: 5,
};

function valueOf(column: string, type: string): string {
  const few = FEW[column];
  if (column === "parent_id") return "1 + i % 300";
  const table = REFERS[column];
  if (table !== undefined) return `1 + (i::bigint * 7919) % ${TABLES[table]?.rows ?? 1}`;
  if (type === "boolean") return "i % 10 < 9";
  if (type === "uuid") return "md5((i / 7)::text)::uuid";
  if (type === "int") return `i % ${few ?? 50}`;
  if (type.startsWith("numeric")) return "(i % 9973) / 10.0";
  if (type === "date") return "date '2024-01-01' + i % 900";
  if (type === "timestamptz") return "timestamptz '2023-01-01' + i * interval '11 minutes'";
  if (type === "char(2)") return `chr(65 + i % 8) || chr(65 + i % 5)`;
  if (few !== undefined) return `'${column[0]}' || least(i % ${few}, i % 7)`;
  return `'${column} ' || i`;
}

/** What makes the tables, with their primary keys and nothing more. */
export const SHOP: string[] = Object.entries(TABLES).flatMap(([name, { rows, columns }]) => [
  `CREATE TABLE ${name} (id int PRIMARY KEY, ${Object.entries(columns)
    .map(([column, type]) => `${column} ${type}`)
    .join(", ")})`,
  `INSERT INTO ${name} SELECT i, ${Object.entries(columns)
    .map(([column, type]) => valueOf(column, type))
    .join(", ")} FROM generate_series(1, ${rows}) i`,
]);

/** A generator of numbers from 0 to 1 that gives the same ones each time. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** So many statements, no two of the same shape as far as there are shapes; with `$1` for values as pg_stat_statements has them. */
export function shopStatements(count: number, seed = 7): { sql: string; calls: number }[] {
  const next = random(seed);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(next() * list.length)] as T;
  const some = <T>(list: readonly T[], most: number): T[] => {
    const left = [...list];
    const taken: T[] = [];
    for (let n = 1 + Math.floor(next() * most); n > 0 && left.length > 0; n--)
      taken.push(...left.splice(Math.floor(next() * left.length), 1));
    return taken;
  };
  const names = Object.keys(TABLES);
  const seen = new Set<string>();
  const made: { sql: string; calls: number }[] = [];
  for (let tries = 0; made.length < count && tries < 50 * count; tries++) {
    let parameters = 0;
    const value = (): string => `$${++parameters}`;
    const main = pick(names);
    const used = [{ name: main, alias: "a" }];
    const joins: string[] = [];
    for (const [at, letter] of ["b", "c"].entries()) {
      if (next() > 0.45 - 0.2 * at) break;
      const from = pick(used);
      const columns = Object.keys(TABLES[from.name]?.columns ?? {});
      const links = columns.filter((column) => REFERS[column] !== undefined);
      const back = names.flatMap((name) =>
        Object.keys(TABLES[name]?.columns ?? {})
          .filter((column) => REFERS[column] === from.name)
          .map((column) => ({ name, column })),
      );
      if (links.length > 0 && (back.length === 0 || next() < 0.5)) {
        const link = pick(links);
        const name = REFERS[link] as string;
        joins.push(`JOIN ${name} ${letter} ON ${letter}.id = ${from.alias}.${link}`);
        used.push({ name, alias: letter });
      } else if (back.length > 0) {
        const { name, column } = pick(back);
        joins.push(`JOIN ${name} ${letter} ON ${letter}.${column} = ${from.alias}.id`);
        used.push({ name, alias: letter });
      }
    }
    const all = used.flatMap(({ name, alias }) =>
      Object.entries(TABLES[name]?.columns ?? {}).map(([column, type]) => ({
        column,
        type,
        name: `${alias}.${column}`,
      })),
    );
    const where = some(
      all.filter(({ type }) => type !== "text"),
      3,
    ).map(({ name, type, column }) => {
      if (type === "boolean") return next() < 0.5 ? name : `NOT ${name}`;
      if (column === "shipped_at") return `${name} IS NULL`;
      if (/time|date|numeric/.test(type))
        return next() < 0.5 ? `${name} > ${value()}` : `${name} BETWEEN ${value()} AND ${value()}`;
      return next() < 0.12
        ? `${name} IN (${value()}, ${value()}, ${value()})`
        : `${name} = ${value()}`;
    });
    const select =
      next() < 0.3
        ? "a.*"
        : some(all, 4)
            .map(({ name }) => name)
            .join(", ");
    const order =
      next() < 0.4
        ? ` ORDER BY ${pick(all.filter(({ type }) => type !== "text")).name}${next() < 0.5 ? " DESC" : ""} LIMIT 20`
        : "";
    const shape = next();
    const from = `FROM ${main} a ${joins.join(" ")} WHERE ${where.join(" AND ")}`;
    const sql =
      shape < 0.1
        ? `SELECT count(*) ${from}`
        : shape < 0.15
          ? `SELECT ${pick(all).name} AS key, count(*) ${from} GROUP BY 1`
          : `SELECT ${select} ${from}${order}`;
    if (seen.has(sql)) continue;
    seen.add(sql);
    made.push({ sql, calls: Math.ceil(1000 / (1 + made.length)) + Math.floor(next() * 10) });
  }
  return made;
}
