/**
 * How long a cluster takes no writes after its primary has lost power, as a client of PgBouncer sees it, without and with the guard:
 * `bun bench/failover.ts [power losses of each kind] [provider]`. The time of each is split: until the leader key is gone (detect), until
 * another member holds it (elect), until that one is out of recovery (promote), until a write is acknowledged (reconnect).
 */
import { Live } from "../tests/support/live.ts";
import { removePlaces, type Running } from "../tests/e2e/support.ts";
import { startWriter } from "../tests/support/writer.ts";

const trials = Number(process.argv[2] ?? 20);
const provider = process.argv[3] ?? "docker";
const say = (line: string) => process.stdout.write(`${line}\n`);

interface Trial {
  detect: number;
  elect: number;
  promote: number;
  reconnect: number;
  total: number;
  lost: number;
  two: boolean;
}

const PARTS = ["detect", "elect", "promote", "reconnect", "total"] as const;

/** When each of the things first held, in ms since the power was cut. */
async function measure(live: Live, guarded: boolean): Promise<Trial> {
  const before = await live.settled();
  const dcs = await live.dcs();
  // Who is not on record as synchronous with this leader must not lead after it.
  for (;;) {
    const keys = Object.entries(await dcs.save());
    const sync = JSON.parse(keys.find(([key]) => key.endsWith("sync"))?.[1] ?? "{}");
    if (sync.leader === before && sync.sync_standby) break;
    await Bun.sleep(200);
  }
  const nodes = await live.nodes();
  const writer = await startWriter(live.writer({ connections: 1, restMs: 10 }));
  await writer.next();
  let two = false;
  let over = false;
  const cut = performance.now();
  const at = (): number => performance.now() - cut;
  const killed = nodes.kill(before, "power");
  const watch = async <T>(look: () => Promise<T | null>): Promise<{ ms: number; value: T }> => {
    for (;;) {
      const value = await look().catch(() => null);
      if (value !== null) return { ms: at(), value };
      await Bun.sleep(10);
    }
  };
  const gone = watch(async () => ((await dcs.leader())?.holder === before ? null : true));
  const elected = watch(async () => {
    const holder = (await dcs.leader())?.holder;
    return holder === undefined || holder === before ? null : holder;
  });
  const promoted = elected.then(({ value }) =>
    watch(async () => ((await live.member(value))?.role === "primary" ? true : null)),
  );
  const sampled = (async () => {
    while (!over) {
      two ||= (await live.writable()).length > 1;
      await Bun.sleep(100);
    }
  })();
  await killed;
  await writer.next(120_000);
  const total = at();
  const [detect, elect, promote] = [(await gone).ms, (await elected).ms, (await promoted).ms];
  over = true;
  await sampled;
  await writer.stop();
  if (!guarded) await live.well("replica", "rejoin", before);
  const leader = await live.settled();
  const { host, port } = live.entry()!.nodes!.find(({ name }) => name === leader)!.reach!;
  const client = await live.client(host, Number(port), "app");
  const { lost } = await writer.check(client);
  await client.end();
  return {
    detect,
    elect: Math.max(0, elect - detect),
    promote: Math.max(0, promote - elect),
    reconnect: Math.max(0, total - promote),
    total,
    lost: lost.length,
    two,
  };
}

function percentile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(part * sorted.length) - 1)]!;
}

function summary(name: string, all: readonly Trial[]): void {
  say(`\n${name}: ${all.length} power losses, ms`);
  say("             median      p95      max");
  for (const part of PARTS) {
    const values = all.map((one) => one[part]);
    const cells = [0.5, 0.95, 1].map((each) => percentile(values, each).toFixed(0).padStart(8));
    say(`${part.padEnd(11)}${cells.join(" ")}`);
  }
  const lost = all.reduce((sum, one) => sum + one.lost, 0);
  say(`rows lost ${lost}; two took writes at once in ${all.filter(({ two }) => two).length}`);
}

const live = new Live(provider);
let guard: Running | undefined;
try {
  const { seconds } = await live.init("--rto", "fast", "--sync-mode", "on");
  say(`init: ${JSON.stringify(seconds)}`);
  const results: Record<string, Trial[]> = { "without the guard": [], "with the guard": [] };
  for (const [name, list] of Object.entries(results)) {
    const guarded = name.startsWith("with ");
    if (guarded) {
      guard = live.begin("failover", "guard");
      await Bun.sleep(2000);
    }
    for (let n = 1; n <= trials; n++) {
      const trial = await measure(live, guarded);
      list.push(trial);
      say(`${name} ${n}: ${PARTS.map((part) => `${part} ${trial[part].toFixed(0)}`).join(", ")}`);
    }
  }
  for (const [name, list] of Object.entries(results)) if (list.length > 0) summary(name, list);
} finally {
  guard?.signal("SIGTERM");
  await guard?.ended();
  if (live.entry() !== undefined) await live.destroy();
  await live.close();
  removePlaces();
}
