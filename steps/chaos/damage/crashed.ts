import { dirname } from "node:path";
import { PgdbaError } from "../../../engine/errors.ts";
import type { Nodes, PostgresFacts } from "../../../providers/nodes/contract.ts";

/** Whether a copy of the data can be made beside them. */
const ROOM = `set -u
rm -rf -- "$COPY"
if [ -n "$(ls -A "$DATA/pg_tblspc")" ]; then echo "it has tablespaces, which a copy would share" >&2; exit 3; fi
free=$(df -Pk "$(dirname "$DATA")" | awk 'NR == 2 { print $4 }')
if [ "$free" -lt $(($(du -skL "$DATA" | cut -f 1) * 5 / 4)) ]; then echo "there is no room for a copy" >&2; exit 3; fi
`;
/** A server of one session, without a network: it recovers as after a crash, is asked, and ends. */
const TRIED = `${ROOM}trap 'rm -rf -- "$COPY"' EXIT
umask 077
cp -a "$DATA" "$COPY" || exit 3
if [ -L "$COPY/pg_wal" ]; then rm "$COPY/pg_wal" && cp -aL "$DATA/pg_wal" "$COPY/pg_wal" || exit 3; fi
rm -f "$COPY/standby.signal" "$COPY/recovery.signal" "$COPY/postmaster.pid"
printf '%s\\n' "$SQL" | "$BIN/postgres" --single -D "$COPY" -c data_directory="$COPY" -c archive_mode=off -c shared_preload_libraries= -c ssl=off \\
  -c logging_collector=off -c log_destination=stderr "$NAME"`;
/** No copy could be made. */
const NO_COPY = 3;
const NO_ROOM = "Name a standby that has room for a copy of its data, and no tablespaces.";

/** One that was left by a run that was killed is replaced. */
const copyOf = (data: string): string => `${dirname(data)}/pgdba-crashed`;

export const removeCopy = (nodes: Nodes, node: string, data: string) =>
  nodes.exec(node, ["rm", "-rf", "--", copyOf(data)]);

export interface Tried {
  /** Null when the server did not come to answer. */
  rows: number | null;
  /** The last words of it. */
  said: string;
}

/** Before anything is damaged. @throws PgdbaError step_refused: no copy could be made */
export async function assertRoom(
  nodes: Nodes,
  node: string,
  { data }: PostgresFacts,
): Promise<void> {
  const env = { DATA: data, COPY: copyOf(data) };
  const { exit_code, stderr } = await nodes.exec(node, ["sh", "-c", ROOM], { env });
  if (exit_code === 0) return;
  throw new PgdbaError("step_refused", `The crash can't be tried on ${node}: ${stderr.trim()}`, {
    hint: NO_ROOM,
    nothingDone: true,
  });
}

/**
 * A server that was stopped as by a crash recovers on a copy of its data, as one that has nobody to ask. The data themselves stay as they are.
 * @throws PgdbaError step_failed: no copy can be made
 */
export async function triedOnCopy(
  nodes: Nodes,
  node: string,
  {
    server: { bin, data },
    database,
    table,
  }: { server: PostgresFacts; database: string; table: string },
): Promise<Tried> {
  const { exit_code, stdout, stderr } = await nodes.exec(node, ["sh", "-c", TRIED], {
    env: {
      BIN: bin,
      DATA: data,
      COPY: copyOf(data),
      NAME: database,
      SQL: `SELECT count(*) AS count FROM ${table};`,
    },
  });
  if (exit_code === NO_COPY)
    throw new PgdbaError("step_failed", `The crash can't be tried on ${node}: ${stderr.trim()}`, {
      hint: NO_ROOM,
    });
  const found = /count = "(\d+)"/.exec(stdout)?.[1];
  const said = stderr.trim().split("\n").at(-1) ?? "";
  return { rows: found === undefined ? null : Number(found), said };
}
