import { beforeAll, describe, expect, test } from "bun:test";
import {
  humanValue,
  listElements,
  readValue,
  sameValue,
  type ValueRules,
} from "../../../providers/postgres/setting-value.ts";
import { clientOf, sharedServer, type Version } from "../../support/postgres.ts";

const rules = (about: Partial<ValueRules>): ValueRules => ({
  name: "x",
  vartype: "string",
  unit: null,
  min_val: null,
  max_val: null,
  enumvals: null,
  ...about,
});

const NAMES = [
  "backend_flush_after",
  "bytea_output",
  "client_min_messages",
  "constraint_exclusion",
  "cursor_tuple_fraction",
  "deadlock_timeout",
  "enable_seqscan",
  "extra_float_digits",
  "geqo_effort",
  "gin_pending_list_limit",
  "hash_mem_multiplier",
  "log_min_duration_statement",
  "log_temp_files",
  "maintenance_work_mem",
  "random_page_cost",
  "synchronous_commit",
  "track_io_timing",
  "vacuum_cost_delay",
  "wal_compression",
  "work_mem",
];

const NUMBERS = [
  "0",
  "1",
  "-1",
  "+7",
  "10",
  "010",
  "0x10",
  "64",
  "100",
  "2.5",
  "0.5",
  "1.5",
  "3.5",
  "1e3",
  "1.e2",
  ".5",
  "5.",
  "99999999999",
];
const UNITS = [
  "",
  "B",
  "kB",
  "MB",
  "GB",
  "TB",
  "us",
  "ms",
  "s",
  "min",
  "h",
  "d",
  "kb",
  "mb",
  "MS",
  " MB",
  "  s ",
  "MBs",
  "x",
];
const WORDS =
  "on|off|true|false|yes|no|t|f|y|n|o|of|ON|True| on|on |TRUE|1 |pglz|lz4|local|remote_apply|partition|escape|HEX|warning|debug1|maybe|| |null|--1|1 2|1,5|NaN|inf".split(
    "|",
  );
/** With a show function of their own: octal, or as the operating system has it. */
const SHOWN_OTHERWISE = /^(unix_socket_permissions|log_file_mode|data_directory_mode|tcp_\w+)$/;

const TEXTS = [...NUMBERS.flatMap((number) => UNITS.map((unit) => number + unit)), ...WORDS];

/** What the server makes of each value, null where it refuses it. */
async function serverValues(version: Version): Promise<{
  rules: Map<string, ValueRules>;
  rows: { name: string; text: string; got: string | null }[];
}> {
  const client = await clientOf(await sharedServer(version));
  try {
    await client.query(`CREATE FUNCTION pg_temp.try_set(setting text, value text) RETURNS text LANGUAGE plpgsql AS $$
      BEGIN PERFORM set_config(setting, value, false); RETURN (SELECT s.setting FROM pg_settings s WHERE s.name = $1);
      EXCEPTION WHEN OTHERS THEN RETURN NULL; END $$`);
    const { rows } = await client.query(
      `SELECT name, text, pg_temp.try_set(name, text) AS got FROM unnest($1::text[]) name, unnest($2::text[]) text`,
      [NAMES, TEXTS],
    );
    const settings = await client.query(
      "SELECT name, vartype, unit, min_val, max_val, enumvals FROM pg_settings WHERE name = ANY ($1)",
      [NAMES],
    );
    return { rules: new Map(settings.rows.map((row) => [row.name, row])), rows };
  } finally {
    await client.end();
  }
}

describe.each([13, 18] as const)("PostgreSQL %i", (version) => {
  let server: Awaited<ReturnType<typeof serverValues>>;
  beforeAll(async () => {
    server = await serverValues(version);
  });

  test("values are accepted, refused and read as the server does", () => {
    expect(server.rows).toHaveLength(NAMES.length * TEXTS.length);
    const wrong = server.rows.flatMap(({ name, text, got }) => {
      const about = server.rules.get(name)!;
      const read = readValue(about, text);
      const ours = "value" in read ? read.value : null;
      const theirs = got === null ? null : (readValue(about, got) as { value: unknown }).value;
      return ours === theirs
        ? []
        : [
            `${name} = ${JSON.stringify(text)}: ${String(ours)}, the server says ${String(theirs)} (${got})`,
          ];
    });
    expect(wrong).toEqual([]);
    expect(server.rows.filter((row) => row.got !== null).length).toBeGreaterThan(500);
  });

  test("values are written as SHOW writes them", async () => {
    const client = await clientOf(await sharedServer(version));
    const { rows } = await client.query(
      "SELECT s.*, current_setting(name) AS shown FROM pg_settings s WHERE vartype IN ('integer', 'real')",
    );
    await client.end();
    expect(rows.length).toBeGreaterThan(100);
    const wrong = rows.filter(
      (row) => !SHOWN_OTHERWISE.test(row.name) && humanValue(row, row.setting) !== row.shown,
    );
    expect(
      wrong.map((row) => `${row.name}: ${humanValue(row, row.setting)}, SHOW says ${row.shown}`),
    ).toEqual([]);
  });
});

test("two texts are the same by what they mean", () => {
  const memory = rules({ vartype: "integer", unit: "kB", min_val: "64", max_val: "2147483647" });
  expect(sameValue(memory, "1GB", "1024MB")).toBeTrue();
  expect(sameValue(memory, "1048576", "1GB")).toBeTrue();
  expect(sameValue(memory, "1GB", "1000MB")).toBeFalse();
  expect(sameValue(memory, "rubbish", "1GB")).toBeFalse();
  expect(sameValue(rules({ vartype: "bool" }), "on", "TRUE")).toBeTrue();
  expect(sameValue(rules({ vartype: "real" }), "1.10", "1.1")).toBeTrue();
  expect(sameValue(rules({ name: "search_path" }), '"$user",public', '"$user", public')).toBeTrue();
  expect(sameValue(rules({ name: "log_line_prefix" }), "%m,%p", "%m, %p")).toBeFalse();
});

test("names in a list keep their blanks and quotes", () => {
  expect(listElements(`a, "b c" ,"d""e",, f g ,`)).toEqual(["a", "b c", 'd"e', "f g"]);
  expect(listElements(`""`)).toEqual([]);
});

test("a text of several lines is no value", () => {
  expect(readValue(rules({}), "a\nb")).toEqual({ problem: "must be one line" });
});
