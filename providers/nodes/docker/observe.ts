import { readControlState } from "../../postgres/control-state.ts";
import type { Facts, LogOptions, LogPart } from "../contract.ts";
import type { At } from "./at.ts";
import { ask } from "./engine.ts";
import { answerOf } from "./exec.ts";
import { inspected } from "./life.ts";
import script from "./node/facts.py" with { type: "text" };
import { BACKUPS_DIR, PASSFILE, PGDATA } from "./roles.ts";
import { startOfCharacter, wholeCharacters } from "../characters.ts";

const LOG_BYTES = 256 * 1024;
/** Lines are found by number, bytes are wanted: a line of a log is some hundred bytes. */
const TAIL_LINES = 4_000;

interface Told {
  now: number;
  disks: Facts["disks"];
  os: Facts["os"];
  boot: string;
  postgres: { bin: string; said: string; control: string | null } | null;
}

export async function factsOf(at: At): Promise<Facts> {
  const { record, layout, cluster } = at;
  const isServer = record.role === "postgres";
  const question = {
    data: isServer ? PGDATA : null,
    home: layout.home,
    volume: layout.volume,
    backups: record.backups === null ? null : BACKUPS_DIR,
  };
  let before = 0;
  let after = 0;
  const told = await at.work(false, async (place) => {
    before = Date.now();
    const answer = await answerOf<Told>(place, script, question);
    after = Date.now();
    return answer;
  });
  const { HostConfig, State } = await inspected(at);
  const host = await ask(cluster.engine, "tell what it is", () => cluster.engine.docker.info());
  const withinMs = Math.ceil((after - before) / 2);
  const { bin = "", said = "", control = null } = told.postgres ?? {};
  return {
    cpus: HostConfig.NanoCpus ? HostConfig.NanoCpus / 1e9 : (host as { NCPU: number }).NCPU,
    memoryBytes: HostConfig.Memory || (host as { MemTotal: number }).MemTotal,
    disks: told.disks,
    clock: { offsetMs: Math.round(told.now * 1000 - (before + after) / 2), withinMs },
    os: told.os,
    // A node starts anew with its container, and with the machine.
    boot: `${told.boot}/${State.StartedAt}`,
    postgres: isServer
      ? {
          bin,
          version: /(\d+(\.\d+)?\S*)/.exec(said)?.[1] ?? String(record.spec.version),
          data: PGDATA,
          passfile: PASSFILE,
          control: control === null ? null : readControlState(Buffer.from(control, "base64")),
        }
      : null,
  };
}

/** A line of the log, with the Engine's time of it, which is the place to go on from. */
interface Line {
  time: string;
  text: string;
}

/**
 * The log of a node is what its container writes. A place in it is the container, the time of a line to the nanosecond, how many lines
 * of that time were read, and how much of the next: `id/time/lines/bytes`.
 */
export async function logsOf(
  at: At,
  { since, maxBytes = LOG_BYTES }: LogOptions,
): Promise<LogPart> {
  const [id, time = "0", skip = "0", bytes = "0"] = (since ?? "").split("/");
  const own = at.record.id.slice(0, 12);
  const isSame = since !== undefined && id === own;
  const lines = await linesOf(at, isSame ? time : undefined);
  const gap = since !== undefined && !isSame;
  if (since === undefined) return lastPart(own, lines, maxBytes);
  if (!isSame) return partOf(own, lines, { skip: 0, bytes: 0, maxBytes, gap, time: "0" });
  const known = Number(skip);
  const there = lines.filter((line) => line.time === time).length;
  // The log was rotated: the line that was read last is not there any more.
  const isRotated = time !== "0" && there < known;
  return partOf(own, lines, {
    skip: isRotated ? 0 : known,
    bytes: isRotated ? 0 : Number(bytes),
    maxBytes,
    gap: isRotated,
    time,
  });
}

function lastPart(id: string, lines: readonly Line[], maxBytes: number): LogPart {
  const all = Buffer.from(lines.map(({ text }) => text).join(""));
  const bytes = all.length <= maxBytes ? all : startOfCharacter(all.subarray(-maxBytes));
  const last = lines.at(-1);
  const same = lines.filter(({ time }) => time === last?.time).length;
  return {
    text: bytes.toString("utf8"),
    next: last === undefined ? `${id}/0/0/0` : `${id}/${last.time}/${same}/0`,
    gap: false,
    more: false,
  };
}

interface From {
  /** Of the lines with this time, so many were read whole, and so much of the next one. */
  time: string;
  skip: number;
  bytes: number;
  maxBytes: number;
  gap: boolean;
}

function partOf(id: string, lines: readonly Line[], from: From): LogPart {
  let { time, skip, bytes } = from;
  const first = from.gap ? 0 : lines.filter((line) => line.time === time).length === 0 ? 0 : skip;
  const parts: Buffer[] = [];
  let room = from.maxBytes;
  let more = false;
  for (const line of lines.slice(first)) {
    const whole = Buffer.from(line.text);
    const rest = whole.subarray(bytes);
    const part = rest.length <= room ? rest : wholeCharacters(rest.subarray(0, room));
    parts.push(part);
    room -= part.length;
    if (part.length < rest.length) {
      if (line.time !== time) [time, skip] = [line.time, 0];
      bytes += part.length;
      more = true;
      break;
    }
    skip = line.time === time ? skip + 1 : 1;
    time = line.time;
    bytes = 0;
  }
  const next = `${id}/${time}/${skip}/${bytes}`;
  return { text: Buffer.concat(parts).toString("utf8"), next, gap: from.gap, more };
}

async function linesOf({ cluster, record }: At, since: string | undefined): Promise<Line[]> {
  const options = {
    stdout: true,
    stderr: true,
    timestamps: true,
    ...(since === undefined ? { tail: TAIL_LINES } : since === "0" ? {} : { since: unixOf(since) }),
  };
  const bytes = (await ask(cluster.engine, `read the log of ${record.name}`, () =>
    cluster.engine.docker.getContainer(record.id).logs(options as { follow?: false }),
  )) as Buffer;
  const lines: Line[] = [];
  let whole = "";
  for (let at = 0; at + 8 <= bytes.length;) {
    const length = bytes.readUInt32BE(at + 4);
    whole += bytes.subarray(at + 8, at + 8 + length).toString("utf8");
    at += 8 + length;
  }
  for (const text of whole.split(/(?<=\n)/)) {
    const blank = text.indexOf(" ");
    if (blank > 0) lines.push({ time: text.slice(0, blank), text: text.slice(blank + 1) });
  }
  return lines;
}

/** Seconds and nanoseconds: the Engine takes no other form as exact. */
function unixOf(time: string): string {
  const [seconds = "", fraction = "0"] = time.replace(/Z$/, "").split(".");
  return `${Date.parse(`${seconds}Z`) / 1000}.${fraction.padEnd(9, "0")}`;
}
