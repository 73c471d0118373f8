/** Preloaded into the command line: it kills itself with SIGKILL before the nth statement (KILL_NTH) that holds a text (KILL_BEFORE), or right after it was sent. */
import pg from "pg";

const text = process.env["KILL_BEFORE"] ?? "";
let left = Number(process.env["KILL_NTH"] ?? "1");
const after = process.env["KILL_AFTER"] === "1";
const connection = pg.Connection.prototype as unknown as {
  parse(query: { text: string }, ...more: unknown[]): void;
};
const parse = connection.parse;
connection.parse = function (query, ...more) {
  if (text !== "" && query.text.includes(text)) left -= 1;
  if (left > 0 || text === "") return parse.call(this, query, ...more);
  if (!after) process.kill(process.pid, "SIGKILL");
  parse.call(this, query, ...more);
  // The whole message goes out in this turn. Then nothing else does: the server works on it, and nobody here reads what it answers.
  setImmediate(() => {
    Bun.sleepSync(8);
    process.kill(process.pid, "SIGKILL");
  });
};
