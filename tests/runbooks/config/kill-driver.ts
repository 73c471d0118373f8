/** Preloaded into the command line: it kills itself with SIGKILL before the nth statement, counted from the first ALTER SYSTEM's making. */
import pg from "pg";

const killAt = Number(process.env.KILL_AT);
let count = 0;

const connection = pg.Connection.prototype as unknown as { parse(query: { text: string }, ...more: unknown[]): void };
const parse = connection.parse;
connection.parse = function (query, ...more) {
  if (count > 0 || query.text.startsWith("SELECT format('ALTER SYSTEM")) count += 1;
  if (count === killAt) process.kill(process.pid, "SIGKILL");
  parse.call(this, query, ...more);
};
