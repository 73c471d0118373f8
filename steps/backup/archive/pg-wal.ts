/** The WAL that lies on a host, also of a server that is down. */
import type { Host } from "../../../providers/backup/host.ts";
import { programBeside } from "../../../providers/backup/settings.ts";

export interface KeptWal {
  host: Host;
  files: ReadonlySet<string>;
  /** Those that the server has finished: it has put down that they are to be archived, or need not be. */
  finished: ReadonlySet<string>;
  /** History files by their name; two servers may have begun a timeline of the same number. */
  histories: ReadonlyMap<string, string>;
}

export async function walOn(host: Host): Promise<KeptWal> {
  const names = async (folder: string) => {
    const { exit_code, stdout } = await host.run(["ls", "-1", `${host.data}/${folder}/`]);
    return exit_code === 0 ? stdout.split("\n").filter((name) => name !== "") : [];
  };
  const files = await names("pg_wal");
  const status = await names("pg_wal/archive_status");
  const histories = new Map<string, string>();
  for (const name of files)
    if (/^[0-9A-F]{8}\.history$/.test(name)) {
      const { exit_code, stdout } = await host.run(["cat", `${host.data}/pg_wal/${name}`]);
      if (exit_code === 0) histories.set(name, stdout);
    }
  return {
    host,
    files: new Set(files),
    finished: new Set(
      status.flatMap((name) => /^([0-9A-F]{24})\.(?:ready|done)$/.exec(name)?.[1] ?? []),
    ),
    histories,
  };
}

/**
 * A server may take a segment for a new one while it is read: a copy is made, which counts when the file has still its name afterwards.
 * The copy lies beside the data, is pushed by the node's own program and settings, and removed.
 */
const PUSH = `cd "$1" || exit 1
copy="$1.pgdba/fill/$3"
mkdir -p "$1.pgdba/fill" || exit 1
trap 'rm -f "$copy"' EXIT
before=$(stat -L -c %i "pg_wal/$3") || exit 1
cp "pg_wal/$3" "$copy" || exit 1
after=$(stat -L -c %i "pg_wal/$3") || exit 1
if [ "$before" != "$after" ]; then echo "it was removed while it was read" >&2; exit 1; fi
"$2" wal push "$copy"`;

/** @returns why not; null when the repository has it now */
export async function pushFrom({ host }: KeptWal, file: string): Promise<string | null> {
  const argv = ["sh", "-c", PUSH, "sh", host.data, programBeside(host.data), file];
  const { exit_code, stdout, stderr } = await host.run(argv);
  if (exit_code === 0) return null;
  return (
    stderr.trim().split("\n").at(-1) ||
    stdout.trim().split("\n").at(-1) ||
    `it ended with ${exit_code ?? "a signal"}`
  );
}

/** Of the content that lies there now; what can't be read has one of its own. */
export async function checksumOf({ host }: KeptWal, file: string): Promise<string> {
  const { exit_code, stdout } = await host.run(["sha256sum", `${host.data}/pg_wal/${file}`]);
  return exit_code === 0 ? stdout.slice(0, 64) : `unread on ${host.name}`;
}
