/** Runs on a real cluster that are killed at one moment, resumed or left alone, and judged by what is really there then. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Ran } from "../e2e/support.ts";
import { docker } from "./docker.ts";
import { KILLED, type Live, runIn } from "./live.ts";
import { startWriter, type Writer } from "./writer.ts";

/** The pause of a run ends at its cap, of 30 s; the rest is for a busy machine. */
const HELD_MS = 40_000;

export interface Act {
  runbook: string;
  /** Brings the cluster to where the act begins; the whole cluster is there, or none for one that makes it. */
  prepare?(live: Live): Promise<void>;
  words(live: Live): Promise<string[]>;
  /** False where clients can't write while it is at work. */
  serves: boolean;
  /** What a person does about what a dead run has left, who does not resume it. */
  clear?(live: Live): Promise<Ran>;
  /** What is wrong when it has been done, or taken back. */
  judge(live: Live, done: boolean, before: Before): Promise<string[]>;
}

interface Before {
  leader: string | undefined;
  words: readonly string[];
}

const nodesOf = async (live: Live) => (await live.nodes()).list();
const names = async (live: Live): Promise<string[]> =>
  (await nodesOf(live)).map(({ node }) => node).toSorted();
const wrong = (holds: boolean, what: string): string[] => (holds ? [] : [what]);

async function runs(live: Live, wanted: boolean): Promise<string[]> {
  if (wanted) await live.settled();
  const other = (await nodesOf(live)).filter(
    ({ state }) => (state.running === "running") !== wanted,
  );
  return other.map(({ node, state }) => `${node} is ${state.running}`);
}

async function withPg4(live: Live): Promise<void> {
  if (!live.servers().includes("pg4")) await live.well("replica", "add", "pg4");
}

async function withoutPg4(live: Live): Promise<void> {
  if (live.servers().includes("pg4")) await live.well("replica", "remove", "pg4");
}

async function hasPg4(live: Live, there: boolean): Promise<string[]> {
  const known = live.servers().includes("pg4");
  return [
    ...wrong(known === there, `pg4 is registered: ${known}`),
    ...wrong((await names(live)).includes("pg4") === there, `pg4 is there: ${!there}`),
  ];
}

const standby = async (live: Live): Promise<string> => {
  const leader = await live.settled();
  return live.servers().find((node) => node !== leader)!;
};

export const ACTS: Record<string, Act> = {
  init: {
    runbook: "cluster/init",
    serves: false,
    words: async ({ provider }) => [
      "cluster",
      "init",
      "--generate-secrets",
      "--provider",
      provider,
      "--database",
      "app",
      "--rto",
      "fast",
    ],
    clear: (live) => live.destroy(),
    judge: async (live, done) =>
      done
        ? wrong(live.entry()?.partial === undefined, "it is still partial")
        : nothingOf(live, "undone"),
  },
  trigger: {
    runbook: "failover/trigger",
    serves: true,
    words: async (live) => ["failover", "trigger", "--target", await standby(live)],
    async judge(live, done, { leader, words }) {
      const now = await live.settled();
      return wrong(
        now === (done ? words.at(-1) : leader),
        `${done ? "done" : "undone"}: ${now} leads`,
      );
    },
  },
  add: {
    runbook: "replica/add",
    prepare: withoutPg4,
    serves: true,
    words: async () => ["replica", "add", "pg4"],
    clear: (live) => live.run("replica", "remove", "pg4"),
    judge: (live, done) => hasPg4(live, done),
  },
  remove: {
    runbook: "replica/remove",
    async prepare(live) {
      await withPg4(live);
      const leader = await live.settled();
      if (leader === "pg4") await live.well("failover", "trigger", "--target", "pg1");
    },
    serves: true,
    words: async () => ["replica", "remove", "pg4"],
    judge: (live, done) => hasPg4(live, !done),
  },
  restart: {
    runbook: "cluster/restart",
    serves: true,
    words: async () => ["cluster", "restart"],
    judge: (live) => runs(live, true),
  },
  stop: {
    runbook: "cluster/stop",
    serves: false,
    words: async () => ["cluster", "stop"],
    judge: (live, done) => runs(live, !done),
  },
  start: {
    runbook: "cluster/start",
    async prepare(live) {
      await live.settled();
      await live.well("cluster", "stop");
    },
    serves: false,
    words: async () => ["cluster", "start"],
    judge: (live, done) => runs(live, done),
  },
  rejoin: {
    runbook: "replica/rejoin",
    async prepare(live) {
      await (await live.nodes()).stop(await standby(live), "fast");
    },
    serves: true,
    async words(live) {
      const down = (await nodesOf(live)).find(({ state }) => state.running === "stopped")!;
      return ["replica", "rejoin", down.node];
    },
    judge: async (live, done) => (done ? runs(live, true) : []),
  },
  destroy: {
    runbook: "cluster/destroy",
    serves: false,
    words: async ({ name }) => [
      "cluster",
      "destroy",
      `--confirm=${name}`,
      `--without-backup=${name}`,
    ],
    judge: async (live, done) => (done ? nothingOf(live, "destroyed") : runs(live, true)),
  },
};

/** Anything that is left of a cluster. */
async function nothingOf(live: Live, what: string): Promise<string[]> {
  const { name, place } = live;
  const filter = ["--filter", `label=pgdba.cluster=${name}`];
  const found = await Promise.all([
    docker("ps", "-a", "--format", "{{.Names}}", ...filter),
    docker("volume", "ls", "--format", "volume {{.Name}}", ...filter),
    docker("network", "ls", "--format", "network {{.Name}}", ...filter),
  ]);
  const left = found.flatMap((text) => text.split("\n")).filter((line) => line !== "");
  if (live.entry() !== undefined) left.push("its entry");
  if (existsSync(join(place.home, "secrets", name))) left.push("its secrets");
  return wrong(left.length === 0, `${what}, and there are: ${left.join(", ")}`);
}

export interface Outcome {
  /** In words, for the record. */
  said: string[];
  problems: string[];
}

export class Crashes {
  readonly live: Live;

  constructor(live: Live) {
    this.live = live;
  }

  /** A clean run of the act; gives the moments at which it can be killed, in their order. */
  async moments(act: Act): Promise<string[]> {
    const { live } = this;
    await this.#ready(act);
    const log = join(live.place.root, `moments-${crypto.randomUUID()}`);
    const words = await act.words(live);
    const { exit, envelope } = await live.beginToKill({ KILL_LOG: log }, ...words).done();
    if (exit !== 0) throw new Error(`${words.join(" ")}: ${JSON.stringify(envelope.error)}`);
    return [...new Set(readFileSync(log, "utf8").split("\n"))].filter((line) => line !== "");
  }

  async trial(act: Act, moment: string, resumes: boolean): Promise<Outcome> {
    const { live } = this;
    const out: Outcome = { said: [], problems: [] };
    await this.#ready(act);
    const words = await act.words(live);
    const leader = live.entry() === undefined ? undefined : (await live.writable())[0];
    const writer =
      leader === undefined
        ? undefined
        : await startWriter(live.writer({ connections: 2, restMs: 20 }));
    await writer?.next();
    if (!act.serves) await writer?.stop();
    const running = live.beginToKill({ KILL_AT: moment }, ...words);
    const { exit, stderr } = await running.ended();
    const id = runIn(stderr);
    const killed = exit === KILLED;
    // A moment that this run did not come to: it went another way, such as with fewer rounds.
    if (!killed) out.said.push(`not reached, exit ${exit}`);
    let done = exit === 0;
    const wait = async (ms: number, what: string) => {
      if (!act.serves || writer === undefined) return;
      const from = writer.now();
      await writer.next(ms).catch((error: Error) => out.problems.push(`${what}: ${error.message}`));
      out.said.push(`clients went on after ${(writer.now() - from).toFixed(0)} ms`);
    };
    if (killed && id !== undefined && resumes) {
      const resumed = await live.run("resume", id);
      this.#judgeEnd(resumed, "resume", out);
      done = resumed.exit === 0;
      const again = await live.run("resume", id);
      if (again.envelope.error?.code !== "usage")
        out.problems.push(
          `resumed twice: exit ${again.exit} ${JSON.stringify(again.envelope.error)}`,
        );
    }
    await wait(HELD_MS, "clients are held back beyond the cap");
    if (killed && id !== undefined && !resumes) {
      const again = await live.run(...words);
      out.said.push(`the same command: exit ${again.exit}`);
      this.#judgeEnd(again, "the same command", out, ["step_refused", "assertion_failed"]);
      // One that refuses says that it is done, or that somebody else's run is in its way.
      if (again.exit === 0) done = true;
      else if (act.clear !== undefined) {
        this.#judgeEnd(await act.clear(live), "cleared away", out);
        done = false;
      } else done = await this.#looksDone(act, { leader, words });
    }
    out.said.push(done ? "done" : "undone");
    out.problems.push(...(await act.judge(live, done, { leader, words })));
    await this.#kept(writer, out);
    return out;
  }

  async #looksDone(act: Act, before: Before): Promise<boolean> {
    return (await act.judge(this.live, true, before)).length === 0;
  }

  #judgeEnd({ exit, envelope }: Ran, what: string, out: Outcome, refusals: string[] = []): void {
    const { error } = envelope;
    if (exit === 0) return;
    if (exit === 5) return void out.said.push(`${what} took it back: ${error?.message}`);
    if (error !== null && refusals.includes(error.code)) return void out.said.push(error.message);
    out.problems.push(`${what}: exit ${exit} ${JSON.stringify(error)?.slice(0, 800)}`);
  }

  /** What clients were promised is there, in a cluster that is whole and as its entry says. */
  async #kept(writer: Writer | undefined, out: Outcome): Promise<void> {
    const { live } = this;
    if (live.entry() === undefined) {
      await writer?.stop();
      return;
    }
    const registered = live.entry()!.nodes!.map(({ name }) => name);
    const there = await names(live);
    if (there.join() !== registered.toSorted().join())
      out.problems.push(`there are ${there.join()}, and registered ${registered.join()}`);
    if ((await nodesOf(live)).some(({ state }) => state.running === "stopped"))
      await live.well("cluster", "start");
    const leader = await live.settled();
    if (writer === undefined) return;
    const { failed, unknown } = await writer.stop();
    if (failed + unknown > 0) out.said.push(`${failed} transactions failed, ${unknown} unknown`);
    const { host, port } = live.entry()!.nodes!.find(({ name }) => name === leader)!.reach!;
    const client = await live.client(host, Number(port), "app");
    const { lost } = await writer.check(client).finally(() => client.end());
    if (lost.length > 0) out.problems.push(`${lost.length} acknowledged rows are lost`);
    const { instances } = await live.well("pgbouncer", "status");
    for (const { instance, clients } of instances)
      if (clients !== "go on") out.problems.push(`clients of ${instance}: ${clients}`);
  }

  async #ready(act: Act): Promise<void> {
    const { live } = this;
    const makes = act === ACTS["init"];
    if (makes && live.entry() !== undefined) await live.destroy();
    if (makes) return;
    if (live.entry() === undefined) await live.init("--rto", "fast");
    await live.settled();
    await act.prepare?.(live);
  }
}
