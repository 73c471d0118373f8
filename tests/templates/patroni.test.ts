import { expect, test } from "bun:test";
import { parse } from "yaml";
import { BY_TLS, SPEC } from "../support/whole-cluster.ts";
import { expectGolden, fileOf } from "./golden.ts";

const patroni = (spec = SPEC, sizes = {}) => parse(fileOf(spec, "pg1", "patroni.yml", sizes));
const wish = (more: object) => ({ ...SPEC, patroni: { ...SPEC.patroni!, ...more } });

test("patroni.yml of a member", () => {
  expectGolden(fileOf(SPEC, "pg1", "patroni.yml"), "patroni.yml");
  expectGolden(fileOf(SPEC, "pg1", "bootstrap.json"), "bootstrap.json");
});

test("patroni.yml by TLS, with WAL on a volume of 512 MiB", () => {
  const sizes = { walVolume: true, walBytes: 512 << 20 };
  expectGolden(fileOf(BY_TLS, "pg2", "patroni.yml", sizes), "patroni-tls.yml");
});

test("the wish for times and synchronous mode stands in the dynamic configuration", () => {
  const of = (mode: string) => patroni(wish({ synchronous_mode: mode })).bootstrap.dcs;
  expect(of("off")).toMatchObject({ ttl: 24, loop_wait: 5, retry_timeout: 9 });
  expect(of("off")).toMatchObject({ synchronous_mode: false, synchronous_mode_strict: false });
  expect(of("on")).toMatchObject({ synchronous_mode: true, synchronous_mode_strict: false });
  expect(of("strict")).toMatchObject({ synchronous_mode: true, synchronous_mode_strict: true });
});

test("settings of the spec go over ours, also text that is not plain", () => {
  const settings = { max_connections: 300, jit: false, "app.motto": `a: "b" # {{node}}\n- x` };
  const { parameters } = patroni({ ...SPEC, settings }).bootstrap.dcs.postgresql;
  expect(parameters).toMatchObject({ max_connections: 300, jit: "off", wal_log_hints: "on" });
  expect(parameters["app.motto"]).toBe(settings["app.motto"]);
});

test("WAL that is kept fits its volume", () => {
  const of = (walBytes: number) => patroni(SPEC, { walBytes }).bootstrap.dcs.postgresql.parameters;
  expect(of(1 << 30)).toMatchObject({ max_wal_size: "256MB", max_slot_wal_keep_size: "341MB" });
  expect(of(100 * 2 ** 30)).toMatchObject({
    max_wal_size: "1024MB",
    max_slot_wal_keep_size: "8192MB",
  });
});

test("a spec that lacks what Patroni needs is refused before anything is made", () => {
  const { rewind: _, ...accounts } = SPEC.accounts!;
  expect(() => patroni({ ...SPEC, accounts })).toThrow("The spec has no account rewind");
  const { patroni: __, ...alone } = SPEC;
  expect(() => patroni(alone)).toThrow("The spec does not say how Patroni runs the cluster");
  const replication = { user: "a all trust\nhost", password: "replication" };
  expect(() => patroni({ ...SPEC, replication })).toThrow("The user of replication can't be");
});
