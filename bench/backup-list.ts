/** `backup list` of 10,000 backups in a folder, each with a mark and a segment of WAL; the columns of records are known from an earlier list. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, loadavg, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { BackupRecord } from "../providers/backup/record.ts";
import { segmentFile } from "../providers/backup/segments.ts";
import { backupPrefix, markPrefix, recordName, walName } from "../providers/repository/layout.ts";
import { makeRepository } from "../providers/repository/open.ts";
import { report, timeCommand } from "./measure.ts";

const COUNT = Number(process.argv[2] ?? 10_000);
const pgdba = join(dirname(import.meta.dir), "engine", "pgdba");
const root = mkdtempSync(join(tmpdir(), "pgdba-list-"));
const folder = join(root, "repository");
const key = { system_identifier: "7000000000000000001", version: 18, cluster_id: "bench" };
const put = (name: string, text: string) => {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
};
const lsn = (number: number, within = 40) =>
  `${(number >> 8).toString(16).toUpperCase()}/${((number & 255) * 2 ** 24 + within).toString(16).toUpperCase()}`;
try {
  await makeRepository({ kind: "directory", path: folder });
  for (let at = 0; at < COUNT; at++) {
    const time = new Date(Date.UTC(2026, 0, 1) + at * 3600_000).toISOString();
    const compact = time.replace(/[-:]|\.\d+/g, "");
    const id = `${compact}-full-${at.toString(16).padStart(6, "0")}`;
    const file = segmentFile({ timeline: 1, number: BigInt(at + 1) }, 16 << 20);
    const record: BackupRecord = {
      format: 1,
      id,
      type: "full",
      parent: null,
      cluster: { ...key, name: "bench" },
      node: "pg1",
      source: "standby",
      started_at: time,
      finished_at: time,
      wal: {
        timeline: 1,
        start_lsn: lsn(at + 1),
        start_segment: file,
        end_timeline: 1,
        end_lsn: lsn(at + 1, 256),
        end_segment: file,
      },
      parts: [
        {
          name: "data.tar.zst",
          kind: "data",
          bytes: 1e9,
          stored_bytes: 2e8,
          sha256: "0".repeat(64),
        },
      ],
      manifest: {
        name: "manifest.zst",
        kind: "manifest",
        bytes: 2e5,
        stored_bytes: 5e4,
        sha256: "0".repeat(64),
      },
      bytes: 1e9,
      stored_bytes: 2e8,
      compression: "zstd",
      server: {
        version: "18.4",
        block_size: 8192,
        segment_bytes: 16 << 20,
        checksums: true,
        settings: { max_connections: "100", wal_level: "replica" },
      },
      databases: Array.from({ length: 5 }, (_, n) => ({ name: `db${n}`, bytes: 1e8, tables: 50 })),
      run: "bench",
      tool: "pgdba",
    };
    put(recordName(key, id), JSON.stringify(record, null, 1));
    put(`${markPrefix(key, id)}verified-${compact}-bench.json`, "{}");
    put(`${backupPrefix(key, id)}data.tar.zst`, "x");
    put(walName(key, file), "x");
  }
  const home = join(root, "home");
  mkdirSync(join(home, "clusters"), { recursive: true });
  writeFileSync(
    join(home, "clusters", "bench.yaml"),
    `ownership: connected
system_identifier: "${key.system_identifier}"
version: 18
cluster_id: bench
postgres: {host: 127.0.0.1, port: 1, user: postgres}
repository: {kind: directory, location: ${folder}}
`,
  );
  const ours_ms = await timeCommand([pgdba, "backup", "list", "--cluster", "bench", "-q"], 5, {
    PGDBA_HOME: home,
  });
  const { text, missed } = report([
    {
      what: `backup list, ${COUNT} backups, records known`,
      ours_ms,
      peer: "none",
      peer_ms: null,
      atMost_ms: 300,
    },
  ]);
  const load = loadavg()[0]!.toFixed(1);
  console.log(`${new Date().toISOString()}, ${availableParallelism()} CPUs, load ${load}`);
  console.log(text);
  process.exitCode = missed > 0 ? 1 : 0;
} finally {
  rmSync(root, { recursive: true, force: true });
}
