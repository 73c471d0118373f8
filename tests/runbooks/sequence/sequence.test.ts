import { describe, expect, test } from "bun:test";
import { clientOf } from "../../support/postgres.ts";
import { worldOf } from "./support.ts";

const ODD = `"Ödd ""Schema"`;
const TYPES = `select format_type(atttypid, null) as type from pg_attribute where attrelid = $$T$$::regclass and attname = 'C'`;

describe.each([13, 18] as const)("sequences of PostgreSQL %d", (version) => {
  const world = worldOf(version);
  const typeOf = async (table: string, column: string): Promise<string> =>
    (await world.sql(TYPES.replace("T", table).replace("C", column)))[0].type;

  test("a sequence is widened with its column and all that reference it, and only these", async () => {
    const { sql, pgdba } = world;
    await sql(
      `create schema ${ODD}`,
      `create table ${ODD}."Orders" (id serial primary key, n int)`,
      `insert into ${ODD}."Orders" (n) select 1 from generate_series(1, 10)`,
      `create table lines (id serial primary key, "Order" int references ${ODD}."Orders" on delete cascade unique)`,
      `insert into lines ("Order") select generate_series(1, 10)`,
      `create table notes (id int primary key references lines ("Order"), small smallint)`,
      `insert into notes select generate_series(1, 5)`,
      `select setval('${ODD}."Orders_id_seq"', 2147483647)`,
    );
    const name = `${ODD}."Orders_id_seq"`;
    const listed = await pgdba(["sequence", "list", "--at-least", "50"]);
    expect(listed.envelope.data).toMatchObject({
      sequences: [
        {
          sequence: name,
          column: `${ODD}."Orders".id`,
          column_type: "integer",
          used_percent: 100,
          end: 2147483647,
        },
      ],
      left_out: 0,
    });
    const planned = await pgdba(["sequence", "widen", name, "--plan"]);
    expect([planned.exit, await typeOf(`${ODD}."Orders"`, "id")]).toEqual([0, "integer"]);
    const { exit, envelope } = await pgdba(["sequence", "widen", name]);
    expect([exit, envelope.error]).toEqual([0, null]);
    expect(envelope.data).toMatchObject({ method: "alter", sequences: [name] });
    expect(
      await Promise.all([
        typeOf(`${ODD}."Orders"`, "id"),
        typeOf("lines", "Order"),
        typeOf("notes", "id"),
        typeOf("lines", "id"),
        typeOf("notes", "small"),
      ]),
    ).toEqual(["bigint", "bigint", "bigint", "integer", "smallint"]);
    const [{ id }] = await sql(`insert into ${ODD}."Orders" (n) values (2) returning id`);
    expect(id).toBe("2147483648");
    await sql(`insert into lines ("Order") values (${id})`, `insert into notes values (${id})`);
    // Once more is nothing.
    expect((await pgdba(["sequence", "widen", name])).envelope.data).toMatchObject({
      method: "none",
      columns: [],
    });
  });

  test("an identity column takes its sequence along, a partitioned table its partitions, a key without a sequence is named", async () => {
    const { sql, pgdba } = world;
    await sql(
      "create table ident (id smallint generated always as identity primary key)",
      "create table parts (id serial, k int, primary key (id, k)) partition by list (k)",
      "create table part1 partition of parts default",
      "create table plain (id int primary key)",
    );
    for (const args of [
      ["ident_id_seq"],
      ["parts_id_seq"],
      ["--table", "public.plain", "--column", "id"],
    ])
      expect((await pgdba(["sequence", "widen", ...args])).exit).toBe(0);
    for (const table of ["ident", "parts", "part1", "plain"])
      expect([table, await typeOf(table, "id")]).toEqual([table, "bigint"]);
    const [{ max }] = await sql(
      "select seqmax as max from pg_sequence where seqrelid = 'ident_id_seq'::regclass",
    );
    expect(max).toBe("9223372036854775807");
  });

  test("however many tables reference it, the catalogue is read a few times, not once for each", async () => {
    const { sql, pgdba } = world;
    const many = 200;
    await sql(
      "create table many (id serial primary key)",
      `do $$ begin for i in 1..${many} loop
         execute format('create table of_many_%s (id int, many_id int references many)', i); end loop; end $$`,
      // The planner knows then how large they are.
      "analyze pg_attribute",
      "analyze pg_class",
      "analyze pg_constraint",
    );
    const read = async (): Promise<number> => {
      // Counters are told to others a moment later.
      await Bun.sleep(1500);
      const [row] = await sql(
        `select sum(s.seq_tup_read / c.reltuples)::float8 as times from pg_stat_sys_tables s join pg_class c on c.oid = s.relid
         where s.relid in ('pg_attribute'::regclass, 'pg_class'::regclass, 'pg_constraint'::regclass)`,
      );
      return row.times;
    };
    const before = await read();
    const { envelope } = await pgdba(["sequence", "widen", "many_id_seq"]);
    expect([envelope.error, (envelope.data as any)?.columns.length]).toEqual([null, many + 1]);
    expect((await read()) - before).toBeLessThan(many / 2);
    expect(await typeOf(`of_many_${many}`, "many_id")).toBe("bigint");
  });

  test("plain views on it, and views on these, are as before; a materialized one is told and nothing is changed", async () => {
    const { sql, pgdba } = world;
    await sql(
      "create role seer",
      "create role looker",
      "create schema v",
      "create table v.parcels (id bigserial primary key)",
      "create sequence v.short as integer owned by v.parcels.id",
      "alter table v.parcels alter id set default nextval('v.short')",
      "create table v.events (parcel int references v.parcels, note text)",
      "insert into v.parcels select 2147483000 + n from generate_series(1, 640) n",
      "insert into v.events select 2147483001, 'sent'",
      `create view v."last;one" ("p q", note) with (security_barrier = true) as select parcel, note from v.events where note <> 'it''s'`,
      `create view v.above as select "p q" + 1 as next, note from v."last;one"`,
      `comment on view v."last;one" is 'reports read it'`,
      `comment on column v."last;one".note is 'a note'`,
      `alter view v."last;one" alter note set default 'none'`,
      "grant usage, create on schema v to seer",
      "grant select on v.events to seer",
      `alter view v."last;one" owner to seer`,
      `grant select on v."last;one" to looker with grant option`,
      `grant update (note) on v."last;one" to public`,
      "grant select on v.above to looker",
      "alter default privileges in schema v grant delete on tables to looker",
      "select setval('v.short', 2147483647)",
    );
    const seen = () =>
      sql(`select c.relname, pg_get_userbyid(c.relowner) as owner, pg_get_viewdef(c.oid) as text, c.reloptions, obj_description(c.oid) as said,
        (select array_agg(x::text order by x::text) from aclexplode(c.relacl) x) as acl,
        (select json_agg(json_build_array(a.attname, a.attacl::text, col_description(c.oid, a.attnum), (select pg_get_expr(d.adbin, d.adrelid) from pg_attrdef d where d.adrelid = c.oid and d.adnum = a.attnum)) order by a.attnum)
           from pg_attribute a where a.attrelid = c.oid and a.attnum > 0) as columns
        from pg_class c where c.relnamespace = 'v'::regnamespace and c.relkind = 'v' order by 1`);
    const before = await seen();
    await sql("create materialized view v.kept as select parcel from v.events");
    const barred = await pgdba(["sequence", "widen", "v.short"]);
    expect(barred.envelope.error).toMatchObject({
      code: "assertion_failed",
      message: expect.stringContaining("the materialized view v.kept"),
      hint: expect.stringContaining("make them again"),
    });
    expect(await typeOf("v.events", "parcel")).toBe("integer");
    await sql("drop materialized view v.kept");
    const planned = await pgdba(["sequence", "widen", "v.short", "--plan"]);
    expect(JSON.stringify(planned.envelope.data)).toContain("CREATE VIEW");
    expect(await seen()).toEqual(before);
    const { envelope } = await pgdba(["sequence", "widen", "v.short"]);
    expect(envelope).toMatchObject({ error: null, data: { views: [`v."last;one"`, "v.above"] } });
    expect(await typeOf("v.events", "parcel")).toBe("bigint");
    expect(await seen()).toEqual(before);
    const [{ id }] = await sql("insert into v.parcels default values returning id");
    await sql(`insert into v.events values (${id}, 'new')`);
    expect(await sql("select next from v.above where note = 'new'")).toEqual([
      { next: "2147483649" },
    ]);
  });

  test("room is looked for on the disk for all that is rewritten, with what inherits from it", async () => {
    const { sql, pgdba } = world;
    await sql(
      "create table elder (id int primary key)",
      "create table younger (note text) inherits (elder)",
      "insert into younger select i, repeat('x', 1000) from generate_series(1, 2000) i",
    );
    const widen = ["sequence", "widen", "--table", "elder", "--column", "id"];
    const { envelope } = await pgdba([...widen, "--alter-below", "1MB", "--yes"]);
    // What inherits counts, and can't be filled beside.
    expect(envelope.error?.message).toMatch(/^The tables have 2\d{6} bytes/);
    const widened = await pgdba(widen);
    expect(widened.envelope.error).toBeNull();
    // Of a bare server nobody sees the disk.
    expect((widened.envelope.data as any).run.warnings).toEqual([
      expect.stringMatching(/the disk of 2 tables can't be seen from here: .* takes up to 2/),
    ]);
    expect(await typeOf("younger", "id")).toBe("bigint");
  });

  test("somebody who holds the table is waited for briefly, and nobody queues behind for long", async () => {
    const { sql, pgdba, server } = world;
    await sql("create table busy (id serial primary key)");
    const holder = await clientOf(server);
    await holder.query("begin; select * from busy");
    const waits = pgdba(["sequence", "widen", "busy_id_seq", "--lock-timeout", "200ms"]);
    await Bun.sleep(2500);
    expect(await typeOf("busy", "id")).toBe("integer");
    await holder.query("commit");
    await holder.end();
    expect((await waits).exit).toBe(0);
    expect(await typeOf("busy", "id")).toBe("bigint");
  }, 300_000);

  test("the rate comes from two looks, and tells how soon it ends", async () => {
    const { sql, pgdba } = world;
    await sql("create sequence fast as smallint", "select setval('fast', 30000)");
    let on = true;
    const drawing = (async () => {
      while (on) {
        await sql("select nextval('fast')");
        await Bun.sleep(100);
      }
    })();
    const { envelope } = await pgdba(["sequence", "list", "--window", "1s", "--at-least", "80"]);
    on = false;
    await drawing;
    const { sequences, rate_from } = envelope.data as any;
    expect(rate_from).toBe("two looks");
    const fast = sequences.find((one: any) => one.sequence === "public.fast");
    expect(fast.per_day).toBeGreaterThan(50_000);
    expect(fast.days_left).toBeLessThan(1);
  });

  test("a role that may not read a sequence is told so", async () => {
    const { sql, pgdba } = world;
    await sql("create role reader login password 'r'", "create sequence hidden as smallint");
    const { envelope } = await pgdba(["sequence", "list"], {
      env: { PGDBA_PG_USER: "reader", PGDBA_PG_PASSWORD: "r" },
    });
    expect(envelope.error).toBe(null);
    const { sequences } = envelope.data as any;
    expect(sequences.length).toBeGreaterThan(0);
    for (const one of sequences)
      expect(one).toMatchObject({
        last_value: null,
        used_percent: null,
        unseen: "reader may not read its value",
      });
    const refused = await pgdba(["sequence", "widen", "hidden"], {
      env: { PGDBA_PG_USER: "reader", PGDBA_PG_PASSWORD: "r" },
    });
    expect(refused.envelope.error).toMatchObject({
      message: expect.stringContaining("Only their owners may change these: public.hidden"),
    });
  });
});
