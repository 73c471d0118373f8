/**
 * How long a cluster takes no writes after its primary has lost power, as a client of PgBouncer sees it, without and with the guard:
 * `bun bench/failover.ts [power losses of each kind] [provider] [without|with]`. The time of each is split: until the leader key is gone (detect), until
 * another member holds it (elect), until that one is out of recovery (promote), until a write is acknowledged (reconnect).
 */
import { availableParallelism, loadavg } from "node:os";
import { Live } from "../tests/support/live.ts";
import { removePlaces, type Running } from "../tests/e2e/support.ts";
import { startWriter } from "../tests/support/writer.ts";

const trials = Number(process.argv[2] ?? 20);
const provider = process.argv[3] ?? "docker";
const only = process.argv[4];
const say = (line: string) => process.stdout.write(`${line}\n`);

interface Trial {
  /** Until the node is dead: a container beside it is started first, which cuts its network. All that follows is counted from there. */
  kill: number;
  detect: number;
  elect: number;
  promote: number;
  reconnect: number;
  total: number;
  /** Until the old primary streams again, from the moment when its container was started. */
  rejoin: number;
  lost: number;
  two: boolean;
}

/** What has not happened by then, does not. */
const LIMIT_MS = 120_000;

const PARTS = ["kill", "detect", "elect", "promote", "reconnect", "total", "rejoin"] as const;

/** Looks until it holds, and tells when that was. @throws Error */
async function watch<T>(
  what: string,
  at: () => number,
  look: () => Promise<T | null>,
): Promise<{ ms: number; value: T }> {
  for (;;) {
    const value = await look().catch(() => null);
    if (value !== null) return { ms: at(), value };
    if (at() > LIMIT_MS) throw new Error(`not within ${LIMIT_MS / 1000} s: ${what}`);
    await Bun.sleep(10);
  }
}

/** Who is not on record as synchronous with this leader must not lead after it. */
async function synchronous(live: Live, leader: string): Promise<void> {
  const dcs = await live.dcs();
  const begun = performance.now();
  await watch(
    "a synchronous standby is on record",
    () => performance.now() - begun,
    async () => {
      const keys = Object.entries(await dcs.save());
      const sync = JSON.parse(keys.find(([key]) => key.endsWith("sync"))?.[1] ?? "{}");
      return sync.leader === leader && sync.sync_standby ? true : null;
    },
  );
}

/** When each of the things first held, in ms since the power was cut. */
async function measure(live: Live, guarded: boolean): Promise<Trial> {
  const before = await live.settled();
  await synchronous(live, before);
  const dcs = await live.dcs();
  const nodes = await live.nodes();
  const writer = await startWriter(live.writer({ connections: 1, restMs: 10 }));
  await writer.next();
  let two = false;
  let over = false;
  const cut = performance.now();
  const at = (): number => performance.now() - cut;
  const killed = nodes.kill(before, "power");
  const gone = watch("the key is gone", at, async () =>
    (await dcs.leader())?.holder === before ? null : true,
  );
  const elected = watch("another holds the key", at, async () => {
    const holder = (await dcs.leader())?.holder;
    return holder === undefined || holder === before ? null : holder;
  });
  const promoted = elected.then(({ value }) =>
    watch("it is out of recovery", at, async () =>
      (await live.member(value))?.role === "primary" ? true : null,
    ),
  );
  const sampled = (async () => {
    while (!over) {
      two ||= (await live.writable()).length > 1;
      await Bun.sleep(100);
    }
  })();
  const all = Promise.all([gone, elected, promoted]);
  all.catch(() => {});
  let total: number;
  let times: number[];
  let kill: number;
  try {
    await killed;
    kill = at();
    await writer.next(LIMIT_MS);
    total = at();
    times = (await all).map(({ ms }) => ms);
  } finally {
    over = true;
    await sampled;
    await writer.stop();
  }
  const [detect, elect, promote] = times as [number, number, number];
  const down = at();
  // The guard has started it already, or does so now.
  if (!guarded) await nodes.start(before, { timeoutMs: LIMIT_MS });
  const leader = await live.settled(LIMIT_MS);
  const rejoin = at() - down;
  const { host, port } = live.entry()!.nodes!.find(({ name }) => name === leader)!.reach!;
  const client = await live.client(host, Number(port), "app");
  const { lost } = await writer.check(client);
  await client.end();
  return {
    kill,
    detect: Math.max(0, detect - kill),
    elect: Math.max(0, elect - detect),
    promote: Math.max(0, promote - elect),
    reconnect: Math.max(0, total - promote),
    total: total - kill,
    rejoin,
    lost: lost.length,
    two,
  };
}

function percentile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(part * sorted.length) - 1)]!;
}

function summary(name: string, all: readonly Trial[], failed: number): void {
  say(`\n${name}: ${all.length} power losses, ms`);
  say("             median      p95      max");
  for (const part of PARTS) {
    const values = all.map((one) => one[part]);
    const cells = [0.5, 0.95, 1].map((each) => percentile(values, each).toFixed(0).padStart(8));
    say(`${part.padEnd(11)}${cells.join(" ")}`);
  }
  const lost = all.reduce((sum, one) => sum + one.lost, 0);
  const two = all.filter((one) => one.two).length;
  say(`rows lost ${lost}; two took writes at once in ${two}; without an end ${failed}`);
}

const load = () =>
  loadavg()
    .map((one) => one.toFixed(1))
    .join(" ");
const live = new Live(provider);
let guard: Running | undefined;
let bad = 0;
try {
  say(`${new Date().toISOString()}, ${availableParallelism()} CPUs, load ${load()}`);
  const { seconds } = await live.init("--rto", "fast", "--sync-mode", "on");
  say(`init: ${JSON.stringify(seconds)}`);
  for (const guarded of [false, true]) {
    const name = guarded ? "with the guard" : "without the guard";
    if (only !== undefined && !name.startsWith(`${only} `)) continue;
    const done: Trial[] = [];
    let failed = 0;
    if (guarded) {
      guard = live.begin("failover", "guard");
      await guard.said("start dead");
    }
    for (let n = 1; n <= trials; n++) {
      try {
        const trial = await measure(live, guarded);
        done.push(trial);
        const parts = PARTS.map((part) => `${part} ${trial[part].toFixed(0)}`).join(", ");
        const odd = `${trial.lost > 0 ? `, LOST ${trial.lost}` : ""}${trial.two ? ", TWO" : ""}`;
        say(`${name} ${n}: ${parts}${odd}; load ${load()}`);
      } catch (error) {
        failed += 1;
        say(`${name} ${n}: NO END: ${(error as Error).message}; load ${load()}`);
        for (const { node, state } of await (await live.nodes()).list())
          if (state.running !== "running") await (await live.nodes()).start(node);
        await live.settled(2 * LIMIT_MS);
      }
    }
    if (done.length > 0) summary(name, done, failed);
    bad += failed + done.filter(({ lost, two }) => two || lost > 0).length;
  }
} finally {
  guard?.signal("SIGTERM");
  const ended = await guard?.ended();
  if (ended !== undefined && ended.exit !== 0) {
    bad += 1;
    say(`the guard ended with ${ended.exit}: ${ended.stdout.slice(0, 2000)}`);
  }
  if (live.entry() !== undefined) await live.destroy();
  await live.close();
  removePlaces();
}
say(`\n${new Date().toISOString()}, load ${load()}`);
process.exitCode = bad === 0 ? 0 : 1;
