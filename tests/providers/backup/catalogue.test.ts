/** What a list of backups costs: the names, and each record once. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readCatalogue } from "../../../providers/backup/catalogue.ts";
import type { BackupRecord } from "../../../providers/backup/record.ts";
import { begin, findUnfinished } from "../../../providers/backup/unfinished.ts";
import { windowsOf } from "../../../providers/backup/windows.ts";
import type { Repository } from "../../../providers/repository/contract.ts";
import {
  backupPrefix,
  historyPrefix,
  markPrefix,
  recordName,
  walName,
} from "../../../providers/repository/layout.ts";
import { makeRepository, openRepository } from "../../../providers/repository/open.ts";

const base = mkdtempSync(join(tmpdir(), "pgdba-catalogue-"));
afterAll(() => rmSync(base, { recursive: true, force: true }));
const key = { system_identifier: "7000000000000000001", version: 18, cluster_id: "one" };
const text = (value: string) => new TextEncoder().encode(value);
const file = (number: number) =>
  `0000000100000000${number.toString(16).padStart(8, "0")}`.toUpperCase();

function recordOf(number: number): BackupRecord {
  const time = `2026-01-0${number}T00:00:00.000Z`;
  return {
    format: 1,
    id: `2026010${number}T000000Z-full-00000${number}`,
    type: "full",
    parent: null,
    cluster: { ...key, name: "one" },
    node: "pg1",
    source: "primary",
    started_at: time,
    finished_at: time,
    wal: {
      timeline: 1,
      start_lsn: `0/${number}000028`,
      start_segment: file(number),
      end_timeline: 1,
      end_lsn: `0/${number}000100`,
      end_segment: file(number),
    },
    parts: [],
    manifest: null,
    bytes: 1,
    stored_bytes: 1,
    compression: "zstd",
    server: {
      version: "18.4",
      block_size: 8192,
      segment_bytes: 16 << 20,
      checksums: true,
      settings: {},
    },
    databases: [],
    run: "r",
    tool: "pgdba",
  };
}

test("each record is read once, no object's size is asked for, and only what is unfinished is looked into", async () => {
  const place = { kind: "directory", path: join(base, "repository") } as const;
  await makeRepository(place);
  const repository = await openRepository(place);
  const records = [1, 2, 3, 5].map(recordOf);
  for (const one of records) {
    await begin(repository, { key, id: one.id, run: "r" });
    await repository.create(`${backupPrefix(key, one.id)}data.tar.zst`, text("data"));
    await repository.create(recordName(key, one.id), text(JSON.stringify(one)));
  }
  const [first, second, third, last] = records.map(({ id }) => id) as [
    string,
    string,
    string,
    string,
  ];
  const cut = "20260109T000000Z-full-000009";
  await begin(repository, { key, id: cut, run: "run-9" });
  await repository.create(`${backupPrefix(key, cut)}data.tar.zst`, text("half"));
  for (const name of [
    `${markPrefix(key, first)}verified-20260102T000000Z-r1.json`,
    `${markPrefix(key, first)}verified-20260103T000000Z-r2.json`,
    `${markPrefix(key, first)}damaged-20260104T000000Z-r3.json`,
    `${markPrefix(key, second)}drill_failed-20260105T000000Z-r4.json`,
  ])
    await repository.create(name, text("{}"));
  // Segment 4 is missing.
  for (const number of [1, 2, 3, 5]) await repository.create(walName(key, file(number)), text("x"));
  const asked: string[] = [];
  const watched: Repository = {
    ...repository,
    list: (prefix, options) => (asked.push(`list ${prefix}`), repository.list(prefix, options)),
    read: (name, options) => (asked.push(`read ${name}`), repository.read(name, options)),
    stat: (name, options) => (asked.push(`stat ${name}`), repository.stat(name, options)),
  };
  const kept = join(base, "kept.json");
  const ends = [`stat ${walName(key, file(3))}`, `stat ${walName(key, file(5))}`];

  const catalogue = await readCatalogue(watched, key, kept);
  expect(catalogue.backups.map(({ summary, marks }) => [summary.id, marks])).toEqual([
    [first, { verified: "2026-01-03T00:00:00Z", damaged: "2026-01-04T00:00:00Z" }],
    [second, { drill_failed: "2026-01-05T00:00:00Z" }],
    [third, {}],
    [last, {}],
  ]);
  expect(catalogue.runs.map(({ first: from, last: to }) => [from, to])).toEqual([
    [1n, 3n],
    [5n, 5n],
  ]);
  const stored = await repository.stat(walName(key, file(3)));
  expect(catalogue.runs[0]!.at).toEqual(stored!.at);
  expect(asked.toSorted()).toEqual(
    [...records.map(({ id }) => `read ${recordName(key, id)}`), ...ends].toSorted(),
  );
  const { until, unfit, windows } = windowsOf(catalogue);
  expect([...until.keys()]).toEqual([second, third, last]);
  expect(unfit.get(first)).toBe("it is damaged");
  // Its last segment comes before it has ended: it reaches its own end, never less.
  const late = "2999-01-01T00:00:00.000Z";
  const one = catalogue.backups.find(({ summary }) => summary.id === last)!;
  const young = windowsOf({
    ...catalogue,
    backups: [{ ...one, summary: { ...one.summary, finished_at: late } }],
  });
  expect(young.windows).toMatchObject([{ earliest: late, latest: late }]);
  expect(young.until.get(last)).toBe(late);
  expect(windows[0]!.gaps.map(({ first_file }) => first_file)).toEqual([file(4)]);

  asked.length = 0;
  expect(await readCatalogue(watched, key, kept)).toEqual(catalogue);
  expect(asked).toEqual(ends);

  asked.length = 0;
  expect(await findUnfinished(watched, key)).toMatchObject([
    { id: cut, run: "run-9", names: { length: 2 } },
  ]);
  expect(asked).toEqual([
    `list ${backupPrefix(key, cut)}`,
    `read ${backupPrefix(key, cut)}begun.json`,
  ]);

  // A record that went away counts no longer, though its columns are kept.
  await repository.remove([recordName(key, second)]);
  await repository.create(
    `${historyPrefix(key)}00000002.history`,
    text("1\t0/5000200\tno reason\n"),
  );
  const later = await readCatalogue(watched, key, kept);
  expect(later.backups.map(({ summary }) => summary.id)).toEqual([first, third, last]);
  expect([...later.histories.keys()]).toEqual([2]);
});

test("what a list keeps of records is what they say, and a file of another kind is read anew", async () => {
  const place = { kind: "directory", path: join(base, "kept") } as const;
  await makeRepository(place);
  const repository = await openRepository(place);
  const [first, second, third] = [1, 2, 3].map(recordOf) as [
    BackupRecord,
    BackupRecord,
    BackupRecord,
  ];
  const records: BackupRecord[] = [
    first,
    { ...second, type: "incremental", parent: first.id, cluster: { ...key, name: "renamed" } },
    { ...third, id: "20260103T000000Z-logical-000003", type: "logical", wal: null, bytes: 2 ** 40 },
  ];
  for (const one of records)
    await repository.create(recordName(key, one.id), text(JSON.stringify(one)));
  const kept = join(base, "kept.json");
  writeFileSync(kept, JSON.stringify({ format: 1, records: { a: {} }, histories: {} }));
  const fromRecords = await readCatalogue(repository, key, kept);
  const read = { count: 0 };
  const counting = {
    names: repository.names,
    stat: repository.stat,
    read: (...call: Parameters<Repository["read"]>) => {
      read.count += 1;
      return repository.read(...call);
    },
  };
  expect(await readCatalogue(counting, key, kept)).toEqual(fromRecords);
  expect(read.count).toBe(0);
  expect(fromRecords.backups.map(({ summary }) => summary)).toEqual(
    records.map(({ parts: _p, manifest: _m, databases: _d, format: _f, server, ...rest }) => ({
      ...rest,
      version: server.version,
      segment_bytes: server.segment_bytes,
    })),
  );
  await repository.remove([recordName(key, first.id)]);
  expect((await readCatalogue(counting, key, kept)).backups.length).toBe(2);
  expect(read.count).toBe(0);
});
