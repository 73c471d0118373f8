/**
 * Drills of every fault but damaged data on a cluster of containers in strict synchronous mode, each `times` times, by turns: `bun bench/chaos.ts [times] [cluster] [words of faults]`.
 * Without a cluster one is made, with disks of a size, and destroyed in the end; a cluster that is there is one of this state folder, and labelled `test`. One verified
 * backup is taken before all. Then it is measured how late a fault ends that nobody takes back.
 */
import { availableParallelism, loadavg } from "node:os";
import { removePlaces } from "../tests/e2e/support.ts";
import { Live } from "../tests/support/live.ts";
import { median } from "./measure.ts";

const times = Number(process.argv[2] ?? 20);
const [name, ...words] = process.argv.slice(3);
const say = (line: string) => process.stdout.write(`${line}\n`);
const load = () => loadavg()[0]!.toFixed(1);

/** Those that harm less come first. */
const FAULTS: [string, ...string[]][] = [
  ["slow-replica", "--how", "replay"],
  ["slow-replica", "--how", "receiver"],
  ["dcs-loss", "--count", "1"],
  ["dcs-loss", "--count", "2", "--allow-majority"],
  ["kill-node", "--host", "standby", "--how", "power"],
  ["kill-node", "--host", "leader", "--how", "postgres"],
  ["kill-node", "--host", "leader", "--how", "patroni"],
  ["kill-node", "--host", "leader", "--how", "node"],
  ["kill-node", "--host", "leader", "--how", "power"],
  ["kill-node", "--host", "leader", "--how", "freeze"],
  ...["dcs", "peers", "clients", "all"].flatMap((from) =>
    ["both", "in", "out"].map((way): [string, ...string[]] =>
      // oxfmt-ignore
      ["partition", "--isolate", "leader", "--from", from, "--direction", way],
    ),
  ),
  ["partition", "--isolate", "leader", "--from", "all", "--flap", "5s"],
  ["partition", "--isolate", "standby", "--from", "all"],
  ["disk-full", "--which", "dcs"],
  ["disk-full", "--which", "data", "--host", "standby"],
  ["disk-full", "--which", "data", "--host", "leader"],
  ["disk-full", "--which", "wal", "--host", "leader"],
];
const chosen = FAULTS.filter((fault) => words.every((word) => fault.join(" ").includes(word)));

interface Drilled {
  verdict: string;
  restored: number | null;
  gaps: Record<string, number>;
  lost: number;
  duplicate: number;
  dirty: number;
  writable: number;
  why: string;
}

async function drill(live: Live, fault: readonly string[], seed: number): Promise<Drilled> {
  const hold = ["--hold", "30s", "--for", "3m", "--seed", String(seed)];
  const meant = ["--i-know-what-i-am-doing", `--without-backup=${live.name}`];
  const { envelope } = await live.run("chaos", ...fault, ...hold, ...meant);
  const data = (envelope.data ?? {}) as any;
  const unsupported = envelope.error?.code === "unsupported";
  return {
    verdict: unsupported ? "skipped" : (data.verdict ?? "unknown"),
    restored: data.restored_seconds ?? null,
    gaps: Object.fromEntries((data.gaps ?? []).map((one: any) => [one.way, one.longest_gap_ms])),
    lost: data.lost ?? 0,
    duplicate: data.duplicate ?? 0,
    dirty: data.dirty ?? 0,
    writable: data.most_writable ?? 0,
    why: envelope.error?.message ?? "",
  };
}

/** Long enough to be done before it ends, also on a busy machine. */
const LASTS_MS = 15_000;
const HEALED_MS = 60_000;

/** From its deadline until it is gone, ms; nobody but its healer ends it. */
async function lateness(live: Live, how: "freeze" | "kill" | "partition"): Promise<number> {
  const nodes = await live.nodes();
  const until = { id: `late-${crypto.randomUUID().slice(0, 8)}`, afterMs: LASTS_MS };
  const node = "etcd3";
  let deadline: string;
  if (how === "partition") {
    const what = { from: { nodes: ["pg1"] }, direction: "both" } as const;
    ({ deadline } = await nodes.partition(node, what, until));
  } else {
    const inverse = how === "freeze" ? { thaw: node } : { start: node };
    ({ deadline } = await nodes.arm(inverse, until));
    await (how === "freeze" ? nodes.freeze(node) : nodes.kill(node, "node"));
  }
  const ends = Date.parse(deadline);
  try {
    for (;;) {
      const gone =
        how === "partition"
          ? (await nodes.armed()).some(({ id, state }) => id === until.id && state === "healed")
          : !["frozen", "stopped"].includes((await nodes.state(node)).running);
      if (gone) return Math.max(0, Date.now() - ends);
      if (Date.now() > ends + HEALED_MS) throw new Error(`${how} has not ended`);
      await Bun.sleep(20);
    }
  } finally {
    await nodes.heal({ id: until.id });
  }
}

function table(all: Map<string, Drilled[]>): void {
  const seconds = (ms: number[]) => (ms.length === 0 ? "–" : (Math.max(...ms) / 1000).toFixed(1));
  say(
    "\n| fault | drills | redundancy back, s: median / max | longest gap, s: direct / pooled | lost | duplicate | dirty | writable, most | not valid |",
  );
  say("|---|---|---|---|---|---|---|---|---|");
  for (const [fault, done] of all) {
    const back = done.flatMap(({ restored }) => restored ?? []);
    const gap = (way: string) => seconds(done.flatMap(({ gaps }) => gaps[way] ?? []));
    const sum = (of: "lost" | "duplicate" | "dirty") => done.reduce((n, one) => n + one[of], 0);
    const odd = done.filter(({ verdict }) => verdict !== "valid").map(({ verdict }) => verdict);
    const restored =
      back.length === 0 ? "–" : `${median(back).toFixed(1)} / ${Math.max(...back).toFixed(1)}`;
    say(
      `| ${[`\`${fault}\``, done.length, restored, `${gap("direct")} / ${gap("pooled")}`, sum("lost"), sum("duplicate"), sum("dirty"), Math.max(...done.map(({ writable }) => writable)), odd.join(", ") || "none"].join(" | ")} |`,
    );
  }
}

const home = process.env["PGDBA_HOME"];
if (name !== undefined && home === undefined) throw new Error("PGDBA_HOME says where it is");
const live =
  name === undefined
    ? new Live("docker")
    : new Live("docker", name, {
        root: home!,
        home: home!,
        cwd: home!,
        env: { ...(process.env as Record<string, string>), PGDBA_HOME: home! },
      });
const all = new Map<string, Drilled[]>();
let bad = 0;
try {
  say(`${new Date().toISOString()}, ${availableParallelism()} CPUs, load ${load()}`);
  if (name === undefined) {
    const sizes = JSON.stringify({ data_size: "1g", wal_size: "512m", dcs_size: "300m" });
    await live.init("--rto", "fast", "--sync-mode", "strict", "--label", "test", "--place", sizes);
    await live.well("backup", "setup");
  }
  const { verified } = await live.well("backup", "create");
  if (verified !== true) throw new Error("the backup is not verified");
  for (let n = 1; n <= times; n++)
    for (const fault of chosen) {
      const key = fault.join(" ");
      const done = await drill(live, fault, n);
      all.set(key, [...(all.get(key) ?? []), done]);
      if (done.verdict !== "valid") bad += 1;
      say(`${n} ${key}: ${JSON.stringify(done)}; load ${load()}`);
    }
  table(all);
  say("\n| ends by its deadline | trials | late, ms: median | max |\n|---|---|---|---|");
  for (const how of ["freeze", "kill", "partition"] as const) {
    const late: number[] = [];
    for (let n = 0; n < Math.max(3, times); n++) late.push(await lateness(live, how));
    say(`| ${how} | ${late.length} | ${median(late).toFixed(0)} | ${Math.max(...late)} |`);
  }
} finally {
  if (name === undefined && live.entry() !== undefined) await live.destroy();
  await live.close();
  removePlaces();
}
say(`\n${new Date().toISOString()}, load ${load()}`);
process.exitCode = bad === 0 ? 0 : 1;
