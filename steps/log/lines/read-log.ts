/** The end of the server's log, read from its newest file backwards by the functions that SQL has for that. */
import { PgdbaError } from "../../../engine/errors.ts";
import { quoteIdent } from "../../../providers/planner/twin/names.ts";
import type { PgSession } from "../../../providers/postgres/session.ts";

const PIECE = 1024 * 1024;

const PLACE = `SELECT current_setting('logging_collector') = 'on' AS collected, current_setting('log_destination') AS destination,
  (SELECT s.setting FROM pg_settings s WHERE s.name = 'log_directory') AS directory, current_setting('log_line_prefix') AS prefix, current_setting('log_timezone') AS zone,
  extract(epoch FROM clock_timestamp())::float8 * 1000 AS now`;
const FILES = `SELECT f.name, f.size::float8 AS size, extract(epoch FROM f.modification)::float8 * 1000 AS modified
  FROM pg_ls_logdir() f WHERE right(f.name, length($1)) = $1 ORDER BY f.modification DESC, f.name DESC`;
const READ =
  "SELECT encode(pg_read_binary_file($1, $2::bigint, $3::bigint, true), 'base64') AS bytes";

export interface Place {
  collected: boolean;
  destination: string;
  /** Null for a role that may not know. */
  directory: string | null;
  prefix: string;
  zone: string;
  now: number;
}

export type Format = "json" | "csv" | "stderr";

export interface LogText {
  place: Place;
  format: Format;
  /** The newest last. */
  texts: string[];
  files: string[];
  bytes: number;
  /** Of older ones that were not read. */
  unread: number;
}

/**
 * At most `maxBytes` of it, and no file that was last written before `since` (ms).
 * @throws PgdbaError unsupported where the server keeps none that SQL can read | insufficient_privilege with what to grant
 */
export async function readLog(
  pg: PgSession,
  { maxBytes, since }: { maxBytes: number; since: (now: number) => number | null },
): Promise<LogText> {
  const place = (await pg.ask(PLACE)).rows[0] as unknown as Place;
  if (!place.collected) throw elsewhere(place);
  try {
    return await readFiles(pg, place, maxBytes, since(place.now));
  } catch (error) {
    if (!(error instanceof PgdbaError) || error.code !== "insufficient_privilege") throw error;
    const role = quoteIdent(pg.info.user);
    throw new PgdbaError(
      "insufficient_privilege",
      `${pg.info.user} may not read the server's log`,
      {
        hint: `As a superuser: GRANT pg_monitor, pg_read_server_files TO ${role}; GRANT EXECUTE ON FUNCTION pg_read_binary_file(text, bigint, bigint, boolean), pg_current_logfile(text) TO ${role}. It lies in ${place.directory ?? "log_directory"} of the server.`,
        cause: error,
      },
    );
  }
}

async function readFiles(
  pg: PgSession,
  place: Place,
  maxBytes: number,
  since: number | null,
): Promise<LogText> {
  const { format, current } = await newestOf(pg, place);
  const directory = current.slice(0, current.lastIndexOf("/"));
  const ending = /\.[^./]+$/.exec(current)?.[0] ?? "";
  const found = (await pg.ask(FILES, [ending])).rows as unknown as {
    name: string;
    size: number;
    modified: number;
  }[];
  const log: LogText = { place, format, texts: [], files: [], bytes: 0, unread: 0 };
  for (const { name, size, modified } of found) {
    if (since !== null && modified < since) break;
    const from = Math.max(0, size - (maxBytes - log.bytes));
    log.unread += from;
    if (from === size) continue;
    log.texts.unshift(await readPart(pg, `${directory}/${name}`, from, size));
    log.files.unshift(name);
    log.bytes += size - from;
  }
  return log;
}

/** The best format that the server writes, and the file that it writes now. */
async function newestOf(pg: PgSession, place: Place): Promise<{ format: Format; current: string }> {
  const wanted = [
    ["jsonlog", "json"],
    ["csvlog", "csv"],
    ["stderr", "stderr"],
  ] as const;
  for (const [destination, format] of wanted) {
    if (!place.destination.includes(destination)) continue;
    const { rows } = await pg.ask("SELECT pg_current_logfile($1) AS file", [destination]);
    const current = rows[0]?.["file"];
    if (typeof current === "string") return { format, current };
  }
  throw elsewhere(place);
}

async function readPart(pg: PgSession, path: string, from: number, to: number): Promise<string> {
  const pieces: Buffer[] = [];
  for (let at = from; at < to; at += PIECE) {
    const { rows } = await pg.ask(READ, [path, at, Math.min(PIECE, to - at)]);
    // Null where the file has been removed meanwhile.
    pieces.push(Buffer.from(String(rows[0]?.["bytes"] ?? ""), "base64"));
  }
  return Buffer.concat(pieces).toString();
}

function elsewhere({ collected, destination }: Place): PgdbaError {
  const why = collected
    ? `log_destination is ${destination}`
    : "it does not collect its log (logging_collector is off)";
  return new PgdbaError("unsupported", `The server's log can't be read by SQL: ${why}`, {
    hint: `It goes ${
      /syslog|eventlog/.test(destination)
        ? `to the ${destination} of its host`
        : "to the standard error of the server: docker logs or kubectl logs of its container, journalctl of its service, or the file that pg_ctl was given"
    }. With logging_collector = on, which a restart brings into force, it is kept where SQL reads it.`,
  });
}
