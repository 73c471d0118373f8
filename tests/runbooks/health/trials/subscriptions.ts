import { expect } from "bun:test";
import type { Trial } from "./trial.ts";

export const SUBSCRIPTIONS: Trial[] = [
  {
    check: "subscription-disabled",
    async plant({ query, server }) {
      const there = { database: "publisher" };
      const to = `host=127.0.0.1 port=${server.port} user=postgres password=${server.password} dbname=publisher`;
      await query("create database publisher");
      await query("create publication p", there);
      await query("select pg_create_logical_replication_slot('sub', 'pgoutput')", there);
      await query(
        `create subscription "O;ff" connection '${to}' publication p with (create_slot = false, slot_name = 'sub', copy_data = false, enabled = false)`,
      );
      await query(
        `create subscription slotless connection '${to}' publication p with (connect = false, slot_name = none)`,
      );
    },
    finds: [`warning subscription "O;ff"`, "info subscription slotless"],
    remedy: {
      told: /or drop it when it is not needed/,
      also: true,
      does: ({ query }) => query("drop subscription slotless"),
    },
    async leaves({ query }) {
      const rows = await query("select from pg_stat_subscription where received_lsn is not null");
      expect(rows).toHaveLength(1);
    },
  },
];
