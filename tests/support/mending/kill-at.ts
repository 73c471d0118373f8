/**
 * Preloaded as the `kill-at.ts` above is, with further moments of KILL_AT, counted over what steps do while they change something:
 *
 * telling N      before the Nth statement is sent
 * told N         a moment after; nobody has seen its answer
 * amid N         while the server has been at it for a while; not of one that it answers sooner
 * running N MS   while the Nth program has been at it for so long
 */
import pg from "pg";
import { isChanging, reached } from "../kill-at.ts";

/** The server has the statement by then. */
const TOLD_MS = 8;
const AMID_MS = 60;
let statements = 0;

interface Wire {
  parse(message: { text: string }, ...more: unknown[]): void;
  query(text: string): void;
}
const connection = pg.Connection.prototype as unknown as Wire;
/** The latest statement of each connection. */
const latest = new WeakMap<object, number>();

function sent(wire: Wire & NodeJS.EventEmitter, send: () => void): void {
  if (!isChanging()) {
    latest.delete(wire);
    return send();
  }
  statements += 1;
  const own = statements;
  latest.set(wire, own);
  reached(`telling ${own}`);
  send();
  let answered = false;
  wire.once("readyForQuery", () => (answered = true));
  const later = (ms: number, moment: string, is: () => boolean) =>
    setTimeout(() => is() && reached(moment), ms).unref();
  later(TOLD_MS, `told ${own}`, () => true);
  later(AMID_MS, `amid ${own}`, () => !answered && latest.get(wire) === own);
}

const { parse, query } = connection;
connection.parse = function (message, ...more) {
  sent(this as Wire & NodeJS.EventEmitter, () => parse.call(this, message, ...more));
};
connection.query = function (text) {
  sent(this as Wire & NodeJS.EventEmitter, () => query.call(this, text));
};

const RUNNING_MS = [60, 120, 200, 300, 400];
let programs = 0;
const spawn = Bun.spawn;
Bun.spawn = ((...args: Parameters<typeof spawn>) => {
  const child = spawn(...args);
  if (!isChanging()) return child;
  programs += 1;
  const own = programs;
  for (const ms of RUNNING_MS)
    setTimeout(() => child.exitCode === null && reached(`running ${own} ${ms}`), ms).unref();
  return child;
}) as typeof spawn;
