import { startServer } from "../../../support/postgres.ts";
import { KEYS } from "./keys.ts";
import { RIGHTS } from "./rights.ts";
import { ROLES } from "./roles.ts";
import type { Scene } from "./scene.ts";
import { SUBSCRIPTIONS } from "./subscriptions.ts";

export const CATALOGUE: Scene = {
  name: "catalogue",
  versions: [13, 18],
  trials: [...KEYS, ...ROLES, ...RIGHTS, ...SUBSCRIPTIONS],
  start: async (version) => [
    await startServer({
      version,
      settings: {
        autovacuum: "off",
        wal_level: "logical",
        shared_preload_libraries: "pg_stat_statements",
        password_encryption: "scram-sha-256",
      },
    }),
  ],
  /** Temporary things belong to their session, which alone can do anything about them. */
  async planted({ open }) {
    const client = await open();
    await client.query(`create temp table passing (id serial primary key, n int references passing, p int constraint pos check (p > 0) no inherit);
      alter table passing add constraint late check (n > 0) not valid; alter table passing disable trigger all; alter table passing set (autovacuum_enabled = off);
      create policy own on passing using (true); select setval('passing_id_seq', 2147483600)`);
  },
  // Before 15 everyone may create there, which is what one of the checks looks for.
  healthy: [`create schema "Ödd ""Schema"; revoke create on schema public from public`],
};
