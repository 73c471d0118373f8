/**
 * Preloaded into the command line: it kills itself with SIGKILL at the moment that KILL_AT names, and writes each moment as a line into KILL_LOG.
 *
 * started PATH   the intent of a step that changes something is in the journal, and nothing of it is done
 * acted PATH     it has acted, and nothing of that is in the journal
 * ended PATH     its outcome is in the journal
 * sending N      before the Nth request that may change something is sent to a server, such as the Docker Engine or Patroni
 * sent N         a moment after; nobody has seen its answer
 */
import { appendFileSync } from "node:fs";
import http from "node:http";
import { Journal } from "../../engine/journal/journal.ts";

/** The server has the request by then. */
const SENT_MS = 15;
const { KILL_AT = "", KILL_LOG } = process.env;
let requests = 0;

/** Steps that change something and are at it. */
const open = new Set<string>();
export const isChanging = (): boolean => open.size > 0;

export function reached(moment: string): void {
  if (KILL_LOG !== undefined) appendFileSync(KILL_LOG, `${moment}\n`);
  if (moment === KILL_AT) process.kill(process.pid, "SIGKILL");
}

const { intent, outcome } = Journal.prototype;
Journal.prototype.intent = function (run, step) {
  intent.call(this, run, step);
  open.add(step.path);
  reached(`started ${step.path}`);
};
Journal.prototype.outcome = function (run, step, result) {
  if (step.effect === "change") reached(`acted ${step.path}`);
  outcome.call(this, run, step, result);
  open.delete(step.path);
  if (step.effect === "change") reached(`ended ${step.path}`);
};

function request<T>(method: string | undefined, send: () => T): T {
  if (["GET", "HEAD", "OPTIONS"].includes((method ?? "GET").toUpperCase())) return send();
  requests += 1;
  const own = requests;
  reached(`sending ${own}`);
  setTimeout(() => reached(`sent ${own}`), SENT_MS).unref();
  return send();
}

const fetched = globalThis.fetch;
globalThis.fetch = Object.assign(
  (...args: Parameters<typeof fetch>) => request(args[1]?.method, () => fetched(...args)),
  fetched,
);
const requested = http.request;
http.request = ((...args: Parameters<typeof http.request>) => {
  const options = args.find((one): one is http.RequestOptions => typeof one === "object");
  return request(options?.method, () => requested(...args));
}) as typeof http.request;
