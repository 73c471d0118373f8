/**
 * How long `monitor setup` takes, from a fault to its alert and to a webhook, from a rule that is added until it is active, and what the stack takes of memory, on a cluster
 * of containers: `bun bench/monitoring.ts [cluster] [part …]`. A cluster that is there is one of this state folder, labelled `test`, with a small disk. Then what one
 * refresh of `/metrics` takes on a server with a large catalogue. Parts: setup, beside, alone, added, memory, catalogue.
 */
import { availableParallelism, loadavg } from "node:os";
import { removePlaces } from "../tests/e2e/support.ts";
import { docker } from "../tests/support/docker.ts";
import { Live } from "../tests/support/live.ts";
import { Watched } from "../tests/support/monitoring/watched.ts";
import { median } from "./measure.ts";
import { ALONE, BESIDE, type Fault } from "./monitored-faults.ts";
import { metricsOnLargeCatalogue } from "./monitored-catalogue.ts";

const PARTS = ["setup", "beside", "alone", "added", "memory", "catalogue"] as const;
type Part = (typeof PARTS)[number];
const words = process.argv.slice(2);
const chosen = PARTS.filter((part) => words.includes(part));
const parts: readonly Part[] = chosen.length > 0 ? chosen : PARTS;
const name = words.find((word) => !(PARTS as readonly string[]).includes(word));

const SETUPS = 3;
const FIRES_MS = 400_000;
/** A warning that is over is told with its group, every five minutes. */
const ENDS_MS = 600_000;
const POLL_MS = 200;

const say = (line: string) => process.stdout.write(`${line}\n`);
const load = () => loadavg()[0]!.toFixed(1);
const seconds = (ms: number) => (ms / 1000).toFixed(1);
let missed = 0;

async function until(isSo: () => Promise<boolean> | boolean, what: string, withinMs: number) {
  for (const ends = performance.now() + withinMs; ; await Bun.sleep(POLL_MS)) {
    if (await Promise.resolve(isSo()).catch(() => false)) return performance.now();
    if (performance.now() > ends) throw new Error(`${what}: not within ${withinMs / 1000} s`);
  }
}

/** One that failed leaves the others their turn. */
function failed(error: Error): void {
  missed += 1;
  say(`FAILED: ${error.message}`);
}

interface Row {
  fault: Fault;
  firing: number;
  arrived: number;
  messages: number;
  ended: number;
  toldEnded: number;
}

async function trial(watched: Watched, fault: Fault): Promise<Row> {
  const { alert, what } = fault;
  const { at, heal } = await fault.plant(watched.live);
  let healed = 0;
  try {
    const states = async () => (await watched.alerts(alert)).map(({ state }) => state);
    const firing = await until(
      async () => (await states()).includes("firing"),
      `${what}: ${alert} fires`,
      FIRES_MS,
    );
    await until(() => watched.told(alert, "firing", at).length > 0, `${alert} arrives`, FIRES_MS);
    const arrived = watched.told(alert, "firing", at)[0]!.at;
    await heal();
    healed = performance.now();
    const ended = await until(
      async () => (await states()).length === 0,
      `${what}: ${alert} ends`,
      ENDS_MS,
    );
    // Each severity has a message of its own.
    const isToldEnded = () => watched.told(alert, "resolved", healed).length > 0;
    const toldEnded = await until(isToldEnded, `the end of ${alert} arrives`, ENDS_MS);
    const perSeverity = watched
      .told(alert, "firing", at)
      .map(({ alerts }) => [...new Set(alerts.map(({ labels }) => labels["severity"]))].join());
    const messages = Math.max(
      ...perSeverity.map((one) => perSeverity.filter((each) => each === one).length),
    );
    const row = {
      fault,
      firing: firing - at,
      arrived: arrived - at,
      messages,
      ended: ended - healed,
      toldEnded: toldEnded - healed,
    };
    say(
      `${what}: ${alert} firing after ${seconds(row.firing)} s, arrived after ${seconds(row.arrived)} s, messages of one severity ${messages}; over ${seconds(row.ended)} s after it was taken back, told after ${seconds(row.toldEnded)} s; load ${load()}`,
    );
    return row;
  } finally {
    if (healed === 0) await heal();
  }
}

function table(rows: readonly Row[]): void {
  say("\n| fault | alert | firing, s | at the webhook, s | messages | over, s | told, s |");
  say("|---|---|---|---|---|---|---|");
  for (const { fault, firing, arrived, messages, ended, toldEnded } of rows) {
    const asked = fault.atMost === undefined ? "" : ` (≤ ${fault.atMost})`;
    if (fault.atMost !== undefined && firing > fault.atMost * 1000) missed += 1;
    if (messages !== 1) missed += 1;
    say(
      `| ${[fault.what, `\`${fault.alert}\``, seconds(firing) + asked, seconds(arrived), messages, seconds(ended), seconds(toldEnded)].join(" | ")} |`,
    );
  }
}

async function setups(watched: Watched): Promise<void> {
  // The first builds the image.
  const times: number[] = [];
  for (let n = 0; n <= SETUPS; n++) {
    await watched.live.well("monitor", "remove");
    const begun = performance.now();
    const { targets, up, silent } = await watched.setup();
    const took = performance.now() - begun;
    if (n > 0) times.push(took);
    say(
      `setup ${n === 0 ? "first" : n}: ${seconds(took)} s, ${up} of ${targets} targets ${JSON.stringify(silent)}; load ${load()}`,
    );
  }
  const worst = Math.max(...times);
  if (worst > 60_000) missed += 1;
  say(`monitor setup: median ${seconds(median(times))} s, max ${seconds(worst)} s (≤ 60)`);
}

/** From the beginning of the command, and as it says itself. */
async function added(watched: Watched): Promise<void> {
  const { live } = watched;
  const whole: number[] = [];
  const told: number[] = [];
  for (let n = 1; n <= SETUPS; n++) {
    const alert = `Bench${n}`;
    const begun = performance.now();
    const add = live.well("monitor", "alerts", "add", alert, "vector(1) > 0");
    const isActive = async () => (await watched.alerts(alert)).length > 0;
    whole.push((await until(isActive, `${alert} is active`, 60_000)) - begun);
    told.push((await add).seconds * 1000);
    await live.well("monitor", "alerts", "remove", alert);
  }
  if (Math.max(...whole) > 5_000) missed += 1;
  say(
    `alert added → active: ${whole.map(seconds).join(", ")} s from the command's begin (≤ 5), of it until Prometheus had the rule ${told.map(seconds).join(", ")} s`,
  );
}

async function memory({ live }: Watched): Promise<void> {
  await Bun.sleep(30_000);
  const node = live.entry()!.nodes!.find(({ roles }) => roles.includes("monitoring"))!.name;
  const nodes = await live.nodes();
  const rss = async (on: string, which: string) => {
    const script = `ps -eo rss=,args= | grep -E "$1" | grep -v grep || true`;
    const { stdout } = await nodes.exec(on, ["sh", "-c", script, "sh", which]);
    return stdout.trim().split("\n").filter(Boolean);
  };
  const shape = "{{.Name}} {{.MemUsage}}";
  say(await docker("stats", "--no-stream", "--format", shape, `${live.name}-${node}`));
  for (const line of await rss(node, "prometheus|alertmanager|pgdba|python3 /usr")) {
    const [kib, program, ...rest] = line.trim().split(/\s+/);
    say(`  ${(Number(kib) / 1024).toFixed(0)} MiB ${program} ${rest.slice(0, 2).join(" ")}`);
  }
  for (const server of live.servers())
    for (const line of await rss(server, "^ *[0-9]+ prometheus-node-exporter"))
      say(
        `  ${(Number(line.trim().split(/\s+/)[0]) / 1024).toFixed(0)} MiB node exporter on ${server}`,
      );
}

async function onCluster(): Promise<void> {
  const live = Live.onDocker(name);
  let watched: Watched | undefined;
  try {
    if (name === undefined)
      await live.init("--replicas", "1", "--label", "test", "--data-size", "3g");
    watched = await Watched.of(live);
    if (parts.includes("setup")) await setups(watched);
    else await watched.setup();
    const rows: Row[] = [];
    if (parts.includes("beside"))
      for (const tried of await Promise.allSettled(BESIDE.map((fault) => trial(watched!, fault))))
        if (tried.status === "fulfilled") rows.push(tried.value);
        else failed(tried.reason as Error);
    if (parts.includes("alone"))
      for (const fault of ALONE) await trial(watched, fault).then((row) => rows.push(row), failed);
    if (rows.length > 0) table(rows);
    if (parts.includes("added")) await added(watched);
    if (parts.includes("memory")) await memory(watched);
  } finally {
    await watched?.stop();
    if (name === undefined && live.entry() !== undefined) await live.destroy();
    await live.close();
    removePlaces();
  }
}

say(`${new Date().toISOString()}, ${availableParallelism()} CPUs, load ${load()}`);
if (parts.some((part) => part !== "catalogue")) await onCluster();
if (parts.includes("catalogue")) await metricsOnLargeCatalogue(say);
say(`\n${new Date().toISOString()}, load ${load()}`);
process.exitCode = missed === 0 ? 0 : 1;
