import { expect } from "bun:test";
import { startServer } from "../../../support/postgres.ts";
import type { Scene } from "./scene.ts";
import type { Trial, World } from "./trial.ts";

const ODD = `set search_path = "Ödd ""Schema", public`;
/** Enough rows for an index that is worth dropping. */
const ROWS = 12000;

/** Reads through an index so often that it counts as used. */
const used = (table: string, column: string): string =>
  `${ODD}; set enable_seqscan = off; set enable_bitmapscan = off; do $$ begin for i in 1..200 loop
    execute 'select count(*) from ${table} where ${column} = ' || i; end loop; end $$`;

/** Leaves an index that could not be finished: another session's transaction was in the way for too long. */
async function unfinished({ open, query }: World, table: string, sql: string): Promise<void> {
  const other = await open();
  await other.query(`${ODD}; begin; lock table ${table} in row exclusive mode`);
  await query(`${ODD}; set lock_timeout = '50ms'; ${sql}`).then(
    () => expect.unreachable(),
    ({ code }) => expect(code).toBe("55P03"),
  );
  await other.end();
}

async function indexesOf({ query }: World, table: string): Promise<string[]> {
  const rows = await query(
    `select c.relname as name from pg_index i join pg_class c on c.oid = i.indexrelid
     where i.indrelid = '"Ödd ""Schema".${table}'::regclass and i.indisvalid order by 1`,
  );
  return rows.map(({ name }) => name);
}

const TRIALS: Trial[] = [
  {
    check: "index-duplicate",
    commands: [13, 18],
    plant: `${ODD};
      create table "Kun;de" (id int primary key, "E'mail" text, land text, n int);
      create index "dup 1" on "Kun;de" ("E'mail"); create index "dup 2" on "Kun;de" ("E'mail");
      create index on "Kun;de" ("E'mail" text_pattern_ops); create index on "Kun;de" ("E'mail" collate "C");
      create index on "Kun;de" ("E'mail") where id > 5; create index on "Kun;de" (land desc);
      create table clu (id int primary key, a int not null, b int not null);
      create unique index "clu 2" on clu (id); alter table clu cluster on "clu 2";
      create unique index ri1 on clu (a); create unique index ri2 on clu (a); alter table clu replica identity using index ri2;
      create table target (id int not null); create unique index target_of on target (id);
      create table pointer (t int references target (id)); alter table target add primary key (id)`,
    finds: [
      `warning "Ödd ""Schema"."clu 2"`,
      `warning "Ödd ""Schema"."dup 2"`,
      `warning "Ödd ""Schema".ri1`,
    ],
    async leaves(world) {
      expect(await indexesOf(world, "clu")).toEqual(["clu_pkey", "ri2"]);
      expect(await indexesOf(world, "target")).toEqual(["target_of", "target_pkey"]);
      const [{ clustered }] = await world.query(
        `select indexrelid::regclass::text as clustered from pg_index where indisclustered and indrelid = '"Ödd ""Schema".clu'::regclass`,
      );
      expect(clustered).toBe(`"Ödd ""Schema".clu_pkey`);
    },
  },
  {
    check: "index-redundant",
    plant: `${ODD}; create table "Préfixe" (id int primary key, a int, b int, c int, exclude using btree (c with =));
      create index a1 on "Préfixe" (a); create index a2 on "Préfixe" (a, b); create index a3 on "Préfixe" (a, b, c);
      create index on "Préfixe" (b) where c > 0; create index on "Préfixe" (b, c); create index on "Préfixe" (c, b)`,
    finds: [`info "Ödd ""Schema".a1`, `info "Ödd ""Schema".a2`],
    leaves: async (world) =>
      expect(await indexesOf(world, '"Préfixe"')).toEqual([
        "Préfixe_b_c_idx",
        "Préfixe_b_idx",
        "Préfixe_c_b_idx",
        "Préfixe_c_excl",
        "Préfixe_pkey",
        "a3",
      ]),
  },
  {
    // Each check alone may drop one of a pair; together they must leave one that does the work.
    check: "index-unused",
    commands: [13, 18],
    thresholds: { min_days: 0, min_bytes: 100_000 },
    async plant({ query }) {
      await query(`${ODD}; create table customer (id int primary key);
        create table wide (id int primary key, u text, twin int, pair int, narrow int, other int, clu int, ident int not null, ref int references customer, lone int);
        insert into customer select generate_series(1, 100);
        insert into wide select n, 'x' || n, n, n, n, n, n, n, 1 + n % 100, n from generate_series(1, ${ROWS}) n;
        create index unused on wide (u); create index lone on wide (lone);
        create index twin2 on wide (twin);
        create index pair2 on wide (pair, other);
        create index narrow1 on wide (narrow);
        create index clustered on wide (clu); alter table wide cluster on clustered;
        create unique index ident on wide (ident); alter table wide replica identity using index ident;
        create index ref on wide (ref);
        create table parts (id int, a int, b int) partition by range (id);
        create table parts1 partition of parts for values from (0) to (6000); create table parts2 partition of parts for values from (6000) to (60000);
        insert into parts select n, n, n from generate_series(1, ${ROWS}) n; create index parts_a on parts (a); create index parts_b on parts (b);
        analyze`);
      for (const column of ["twin", "pair", "narrow"]) await query(used("wide", column));
      await query(
        `${ODD}; create index twin1 on wide (twin); create index pair1 on wide (pair); create index narrow2 on wide (narrow, other)`,
      );
      await query(used("wide", "lone"));
      await query(used("parts", "b"));
    },
    finds: [
      `warning "Ödd ""Schema".narrow2`,
      `warning "Ödd ""Schema".parts_a`,
      `warning "Ödd ""Schema".unused`,
    ],
    async leaves(world) {
      expect(await indexesOf(world, "wide")).toEqual(
        "clustered ident lone narrow1 pair2 ref twin2 wide_pkey".split(" "),
      );
      expect(await indexesOf(world, "parts")).toEqual(["parts_b"]);
    },
  },
  { check: "index-duplicate", plant: "", finds: [`warning "Ödd ""Schema".twin1`] },
  { check: "index-redundant", plant: "", finds: [`info "Ödd ""Schema".pair1`] },
  {
    check: "index-invalid",
    async plant(world) {
      await world.query(`${ODD}; create table "In valid" (id int primary key, a int, d int); insert into "In valid" values (1, 1, 1), (2, 2, 1);
        create index good on "In valid" (a);
        create table "P;" (id int, a int) partition by range (id); create table p1 partition of "P;" for values from (0) to (10);
        create table p2 partition of "P;" for values from (10) to (20); create index own on p2 (a);
        create table p3 partition of "P;" for values from (20) to (30) partition by range (id); create table p31 partition of p3 default;
        create table p4 partition of "P;" default; create index half on only "P;" (a); create index half4 on p4 (a); alter index half attach partition half4`);
      await unfinished(
        world,
        '"In valid"',
        `create index concurrently "left over" on "In valid" (d, a)`,
      );
      await unfinished(world, '"In valid"', `reindex index concurrently good`);
      await world.query(`${ODD}; create unique index concurrently uni on "In valid" (d)`).then(
        () => expect.unreachable(),
        ({ code }) => expect(code).toBe("23505"),
      );
    },
    finds: [
      `warning "Ödd ""Schema"."left over"`,
      `warning "Ödd ""Schema".good_ccnew`,
      `warning "Ödd ""Schema".half`,
      `warning "Ödd ""Schema".uni`,
    ],
    async leaves(world) {
      expect(await indexesOf(world, '"In valid"')).toEqual(["In valid_pkey", "good", "left over"]);
      // The one that was there already serves, too.
      expect(await indexesOf(world, "p2")).toEqual(["own"]);
    },
  },
  {
    check: "fk-without-index",
    commands: [13, 18],
    thresholds: { warning: 5000 },
    plant: `${ODD}; create table parent (id int primary key, n int unique); insert into parent select n, n from generate_series(1, 100) n;
      create table child (id bigint primary key, "Ref" int constraint "FK;1" references parent constraint fk2 references parent (n), fine int references parent);
      create index on child (fine, id); insert into child select n, 1 + n % 100, 1 from generate_series(1, ${ROWS}) n;
      create table few (id int references parent); insert into few select 1 from generate_series(1, 100);
      create table orders (id int, "Cus tomer" int references parent) partition by range (id); create table orders1 partition of orders for values from (0) to (5000);
      create table orders2 partition of orders for values from (5000) to (9000); create index "own 2" on orders2 ("Cus tomer");
      create table orders3 partition of orders default partition by range (id); create table orders31 partition of orders3 default;
      insert into orders select n, 1 + n % 100 from generate_series(1, ${ROWS}) n`,
    finds: [
      `warning "FK;1" on "Ödd ""Schema".child`,
      `warning "orders_Cus tomer_fkey" on "Ödd ""Schema".orders`,
    ],
    async leaves(world) {
      expect(await indexesOf(world, "child")).toEqual([
        // The command has to name it.
        world.server.version === 17 ? "child_Ref_idx" : "child_Ref_fk_idx",
        "child_fine_id_idx",
        "child_pkey",
      ]);
      expect(await indexesOf(world, "orders")).toEqual(["orders_Cus tomer_fk_idx"]);
      expect(await indexesOf(world, "orders2")).toEqual(["own 2"]);
    },
  },
];

export const INDEXES: Scene = {
  name: "indexes",
  versions: [13, 17, 18],
  trials: TRIALS,
  start: async (version) => [await startServer({ version, settings: { autovacuum: "off" } })],
  healthy: [`create schema "Ödd ""Schema"`],
};
