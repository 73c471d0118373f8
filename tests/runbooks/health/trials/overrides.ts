import { startServer } from "../../../support/postgres.ts";
import type { Scene } from "./scene.ts";
import { pidOf, rollBack, type Trial } from "./trial.ts";

/** What wins over the server's settings, and what keeps vacuum from its work. */
const TRIALS: Trial[] = [
  {
    check: "settings-overridden",
    plant: `create role "Ro;le" login; create database "D;b"; alter role "Ro;le" set work_mem = '1MB';
      alter role "Ro;le" in database "D;b" set synchronous_commit = off; alter database "D;b" set zero_damaged_pages = on;
      alter database "D;b" set enable_seqscan = off; alter role all set "our.own" = 'x'; alter role "Ro;le" set search_path = app;
      alter role "Ro;le" set random_page_cost = 40; alter role "Ro;le" set seq_page_cost = 2; alter database "D;b" set cpu_tuple_cost = 1; alter database "D;b" set work_mem = '512kB';
      alter role "Ro;le" set application_name = shop`,
    finds: [
      'info application_name of role "Ro;le"',
      "info our.own of all roles",
      'info seq_page_cost of role "Ro;le"',
      'info work_mem of role "Ro;le"',
      'warning cpu_tuple_cost of database "D;b"',
      'warning enable_seqscan of database "D;b"',
      'warning random_page_cost of role "Ro;le"',
      'warning synchronous_commit of role "Ro;le" in database "D;b"',
      'warning work_mem of database "D;b"',
      'warning zero_damaged_pages of database "D;b"',
    ],
    // What may be there for a reason is a person's to take out, by the statement that the text tells.
    remedy: {
      told: /Leave it where it is meant: .* a person takes it out \(alter role .+ reset .+;\)\. New sessions then have /,
      also: true,
      does: ({ query }, { remedy }) => query(/\((alter .+;)\)\. New/.exec(`${remedy.text}`)![1]!),
    },
    async leaves({ query }) {
      const left = await query("select unnest(setconfig) as setting from pg_db_role_setting");
      if (left.length !== 1 || left[0].setting !== "search_path=app")
        throw new Error(JSON.stringify(left));
    },
  },
  {
    check: "vacuum-blocked",
    commands: [13, 18],
    thresholds: { warning: 0, critical: 1e6 },
    async plant({ open, query, notes }) {
      await query('create table "Lo;cked" (id int); create table read (id int)');
      const [holder, reader] = [await open(), await open()];
      await holder.query('begin; lock table "Lo;cked" in share mode');
      // Who only reads and writes is not in vacuum's way.
      await reader.query("begin; lock table read in row exclusive mode");
      await query("lock table read in access share mode; select 1").catch(() => {});
      await query(
        "begin; lock table read in share update exclusive mode; prepare transaction 'le''ft'",
      );
      notes["pid"] = pidOf(holder);
    },
    finds: ['warning public."Lo;cked"', "warning public.read"],
    remedy: { told: /Ask its transaction manager/, also: true, does: rollBack },
  },
];

export const OVERRIDES: Scene = {
  name: "overrides",
  versions: [13, 18],
  trials: TRIALS,
  start: async (version) => [
    await startServer({ version, settings: { max_prepared_transactions: 2 } }),
  ],
};
