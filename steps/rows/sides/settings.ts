import { marked } from "../../../providers/postgres/own.ts";
import { WITHOUT_INDEXES } from "../../../providers/postgres/timeouts.ts";
import type { Run } from "../../../providers/postgres/session.ts";

/** With these both servers write a value as the same text; a step's transactions have the same date style and such anyhow. */
const ALIKE: readonly [name: string, value: string][] = [
  ["TimeZone", "UTC"],
  ["extra_float_digits", "1"],
  ["lc_monetary", "C"],
  // It refuses what it would hide.
  ["row_security", "off"],
  // The whole is read.
  ["cursor_tuple_fraction", "1"],
  // While one side sorts the other waits, for an hour perhaps.
  ["idle_in_transaction_session_timeout", "0"],
  ["transaction_timeout", "0"],
];

/** Sets them for the transaction; gives what takes them back. */
export async function readAlike(
  run: Run,
  { indexes, path }: { indexes: boolean; path?: string | undefined },
): Promise<{ path: string; restore(): Promise<void> }> {
  const wanted: [name: string, value: string][] = [...ALIKE, ...(indexes ? [] : WITHOUT_INDEXES)];
  if (path !== undefined) wanted.push(["search_path", path]);
  const names = [...wanted.map(([name]) => name), "search_path"];
  const { rows } = await run(
    // transaction_timeout is there from 17 on.
    marked(
      "SELECT n AS name, current_setting(n, true) AS value FROM unnest($1::text[]) n WHERE current_setting(n, true) IS NOT NULL",
    ),
    [names],
  );
  const before = rows as { name: string; value: string }[];
  await set(
    run,
    wanted.filter(([name]) => before.some((one) => one.name === name)),
  );
  return {
    path: before.at(-1)!.value,
    restore: () =>
      set(
        run,
        before.map(({ name, value }) => [name, value]),
      ),
  };
}

async function set(run: Run, settings: readonly [name: string, value: string][]): Promise<void> {
  await run(
    marked(
      "SELECT pg_catalog.set_config(n, v, true) FROM unnest($1::text[], $2::text[]) AS s (n, v)",
    ),
    [settings.map(([name]) => name), settings.map(([, value]) => value)],
  );
}
