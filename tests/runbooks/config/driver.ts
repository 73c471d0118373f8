/**
 * Preloaded into the command line: it kills itself with SIGKILL before the nth statement, counted from the first ALTER SYSTEM's
 * making (KILL_AT), or before or after the first PATCH that it sends (KILL_PATCH).
 */
import pg from "pg";

const killAt = Number(process.env.KILL_AT);
const killPatch = process.env.KILL_PATCH;
let count = 0;

function die(): void {
  process.kill(process.pid, "SIGKILL");
}

const connection = pg.Connection.prototype as unknown as {
  parse(query: { text: string }, ...more: unknown[]): void;
};
const parse = connection.parse;
connection.parse = function (query, ...more) {
  if (count > 0 || /^\s*SELECT\b.{0,30}format\('ALTER SYSTEM/s.test(query.text)) count += 1;
  if (count === killAt) die();
  parse.call(this, query, ...more);
};

const send = globalThis.fetch;
globalThis.fetch = Object.assign(async (...request: Parameters<typeof fetch>) => {
  const patches = request[1]?.method === "PATCH";
  if (patches && killPatch === "before") die();
  const response = await send(...request);
  if (patches && killPatch === "after") die();
  return response;
}, send);
