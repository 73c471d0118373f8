import { connect } from "node:net";
import { toPgdbaError } from "../../../engine/errors.ts";
import type { StepContext } from "../../../engine/types.ts";
import { sqlstateOf } from "../../../providers/postgres/errors.ts";
import type { Address, NodeInfo, Nodes } from "../../../providers/nodes/contract.ts";
import type { Proof } from "./inject.ts";

/** How long a service that lives needs at most for its first byte here, ms. */
const ANSWER_MS = 1_500;
/** A fault that shows nothing by then did not bite. */
const SHOWS_MS = 10_000;
const POLL_MS = 50;
const LOOKS_BEFORE = 3;
/** So many looks in a row must find nothing but silence: on a busy machine one answer comes too late for no reason. A refusal tells at once. */
const SILENT_LOOKS = 3;

/** What every server answers something to: PostgreSQL and PgBouncer to the first, an HTTP server to the second, also by TLS. */
const SSL_REQUEST = Uint8Array.of(0, 0, 0, 8, 4, 210, 22, 47);
const HTTP = new TextEncoder().encode("GET /health HTTP/1.0\r\n\r\n");

/** What one sees of a node from here, through its services alone: nobody who broke it is asked. */
export interface Sight {
  answers: boolean;
  /** No answer came, and no refusal either: it may be late. */
  silent: boolean;
  /** Of a PostgreSQL: when it was started. */
  started: string | null;
  why: string;
}

const NONE = { answers: false, silent: false, started: null };

async function sightOf(ctx: StepContext, nodes: Nodes, node: string): Promise<Sight> {
  const info = (await nodes.list()).find((one) => one.node === node);
  if (info === undefined) return { ...NONE, why: "there is no such node" };
  if (info.roles.includes("postgres")) return serverSight(ctx, node);
  const [address, words] = serviceOf(info) ?? [];
  if (address === undefined) return { ...NONE, why: "it has no service" };
  const { why, silent } = await firstByte(address, words!);
  return { answers: why === null, silent, started: null, why: why ?? "it answers" };
}

function serviceOf({ endpoints, reach }: NodeInfo): [Address, Uint8Array] | undefined {
  const { etcd, pgbouncer } = endpoints;
  if (etcd) return [etcd.reach, HTTP];
  const sql = pgbouncer?.reach ?? reach;
  return sql ? [sql, SSL_REQUEST] : undefined;
}

async function serverSight(ctx: StepContext, node: string): Promise<Sight> {
  const asked = ctx.clock.monotonic();
  const signal = AbortSignal.any([ctx.signal, AbortSignal.timeout(ANSWER_MS)]);
  try {
    const member = await ctx.use("member");
    const pg = await member.open(node, undefined, { timeoutMs: ANSWER_MS });
    try {
      const { rows } = await pg.ask("SELECT pg_postmaster_start_time()::text AS at", [], {
        signal,
      });
      const started = String(rows[0]!["at"]);
      return { answers: true, silent: false, started, why: "it answers" };
    } finally {
      await pg.close();
    }
  } catch (error) {
    ctx.signal.throwIfAborted();
    const why = toPgdbaError(error).message;
    if (isAnswer(sqlstateOf(error))) return { ...NONE, answers: true, why };
    return { ...NONE, silent: ctx.clock.monotonic() - asked >= ANSWER_MS - POLL_MS, why };
  }
}

/** A server that lets nobody in, for want of a free connection or of the right, is there; one that starts or ends says so. */
const isAnswer = (state: string | undefined): boolean =>
  state !== undefined && !/^(57P0[1-4]|08...|XX...)$/.test(state);

/** Why nothing comes; null when something does. */
function firstByte(
  { host, port }: Address,
  words: Uint8Array,
): Promise<{ why: string | null; silent: boolean }> {
  const { promise, resolve } = Promise.withResolvers<{ why: string | null; silent: boolean }>();
  const said = (why: string | null, silent = false) => resolve({ why, silent });
  const socket = connect({ host, port });
  const timer = setTimeout(() => said(`no answer within ${ANSWER_MS} ms`, true), ANSWER_MS);
  socket.on("connect", () => socket.write(words));
  socket.on("data", () => said(null));
  socket.on("error", ({ message }) => said(message));
  socket.on("close", () => said("it closed the connection without an answer"));
  return promise.finally(() => {
    clearTimeout(timer);
    socket.destroy();
  });
}

/** One answer that came too late, on a busy machine, is no reason to prove nothing. */
async function sightBefore(ctx: StepContext, nodes: Nodes, node: string): Promise<Sight> {
  for (let look = 1; ; look++) {
    const seen = await sightOf(ctx, nodes, node);
    if (seen.answers || look === LOOKS_BEFORE) return seen;
    await ctx.clock.sleep(POLL_MS, ctx.signal);
  }
}

/**
 * Looks, does it, and looks until what is seen is another thing: no answer, or a server that was started since.
 */
export async function seenToFall(
  ctx: StepContext,
  nodes: Nodes,
  node: string,
  act: () => Promise<void>,
): Promise<Proof> {
  const before = await sightBefore(ctx, nodes, node);
  await act();
  if (!before.answers)
    return {
      took: null,
      evidence: `${node} gave no answer before the fault either: ${before.why}`,
    };
  const until = ctx.clock.monotonic() + SHOWS_MS;
  for (let silent = 0; ;) {
    const now = await sightOf(ctx, nodes, node);
    silent = now.silent ? silent + 1 : 0;
    if (!now.answers && (!now.silent || silent === SILENT_LOOKS))
      return { took: true, evidence: `${node} answered before, and does not any more: ${now.why}` };
    if (now.started !== null && before.started !== null && now.started !== before.started)
      return {
        took: true,
        evidence: `${node} was started at ${now.started} anew, after ${before.started}`,
      };
    if (silent === 0 && ctx.clock.monotonic() > until)
      return { took: false, evidence: `${node} answers as before, ${SHOWS_MS / 1000} s later` };
    await ctx.clock.sleep(POLL_MS, ctx.signal);
  }
}
