import { open, readFile, realpath, statfs } from "node:fs/promises";
import { arch, availableParallelism, platform, release, totalmem } from "node:os";
import { dirname, join } from "node:path";
import { spawnProcess } from "../../../engine/spawn.ts";
import { filesBelow, machineOf } from "../../machine.ts";
import type { DiskPurpose, Facts, LogOptions, LogPart } from "../contract.ts";
import { controlOf } from "./control.ts";
import { type At, binariesOf } from "./life.ts";
import { SERVER_ENV } from "./server.ts";
import { startOfCharacter, wholeCharacters } from "../characters.ts";

const LOG_BYTES = 256 * 1024;

/** A position in the log is the file's number and an offset; a file that was put in its place has another number. */
export async function logsOf(
  file: string,
  { since, maxBytes = LOG_BYTES }: LogOptions,
): Promise<LogPart> {
  const handle = await open(file, "r").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return null;
    throw error;
  });
  if (handle === null) return { text: "", next: "0:0", gap: false, more: false };
  try {
    const { ino, size } = await handle.stat();
    const [known, offset] = (since ?? "").split(":").map(Number);
    const same = since !== undefined && known === ino && offset! <= size;
    const from = same ? offset! : since === undefined ? Math.max(0, size - maxBytes) : 0;
    const { buffer, bytesRead } = await handle.read(new Uint8Array(maxBytes), 0, maxBytes, from);
    // A character that is not whole yet belongs to the next part, and the last bytes may begin within one.
    const bytes = wholeCharacters(buffer.subarray(0, bytesRead));
    const next = from + bytes.length;
    return {
      text: new TextDecoder().decode(startOfCharacter(bytes)),
      next: `${ino}:${next}`,
      gap: since !== undefined && !same && known !== 0,
      more: next < size && bytesRead === maxBytes,
    };
  } finally {
    await handle.close();
  }
}

export async function factsOf({ home, record, at, signal }: At): Promise<Facts> {
  const read = filesBelow("/");
  const machine = await machineOf(read, "self");
  const { postgres } = await binariesOf(home, record);
  const { stdout } = await spawnProcess([postgres, "--version"], {
    baseEnv: SERVER_ENV,
    cwd: "/",
    signal,
  });
  const wal = await realpath(join(at.data, "pg_wal")).catch(() => join(at.data, "pg_wal"));
  const disks = await Promise.all([
    diskOf("data", at.data, at.dir),
    diskOf("wal", wal, at.dir),
    diskOf("system", "/", "/"),
  ]);
  return {
    cpus: machine.cpus ?? availableParallelism(),
    memoryBytes: machine.memoryKb === null ? totalmem() : machine.memoryKb * 1024,
    disks,
    // The node's clock is ours.
    clock: { offsetMs: 0, withinMs: 0 },
    os: { name: await systemName(), kernel: release(), arch: arch() },
    boot: await bootOf(signal),
    postgres: {
      bin: dirname(postgres),
      version: /(\d+(\.\d+)?\S*)/.exec(stdout)?.[1] ?? String(record.version),
      data: at.data,
      passfile: at.passfile,
      control: await controlOf(at.data),
    },
  };
}

async function diskOf(
  of: DiskPurpose,
  path: string,
  otherwise: string,
): Promise<Facts["disks"][number]> {
  const found = await statfs(path).catch(() => statfs(otherwise));
  return {
    of,
    path,
    totalBytes: found.blocks * found.bsize,
    freeBytes: found.bavail * found.bsize,
  };
}

async function systemName(): Promise<string> {
  const text = await readFile("/etc/os-release", "utf8").catch(() => "");
  return /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(text)?.[1] ?? platform();
}

async function bootOf(signal: AbortSignal): Promise<string> {
  const id = await readFile("/proc/sys/kernel/random/boot_id", "utf8").catch(() => null);
  if (id !== null) return id.trim();
  const { stdout } = await spawnProcess(["sysctl", "-n", "kern.boottime"], {
    baseEnv: SERVER_ENV,
    signal,
  });
  return stdout.trim();
}
