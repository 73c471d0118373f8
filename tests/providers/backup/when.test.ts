/** "Can I restore to that moment?", asked of WAL that real servers have written. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { PgdbaError } from "../../../engine/errors.ts";
import { gatherHoldings } from "../../../providers/backup/holdings.ts";
import { iso, type Micros } from "../../../providers/backup/instant.ts";
import { segmentReader } from "../../../providers/backup/locate.ts";
import { parseSegment, startOf } from "../../../providers/backup/segments.ts";
import { type WalMark, WalReader } from "../../../providers/backup/wal-records.ts";
import { type Question, restorable, type Wanted } from "../../../providers/backup/when.ts";
import { historyPrefix, walName } from "../../../providers/repository/layout.ts";
import { lsnText } from "../../../providers/postgres/lsn.ts";
import { type Archived, archivingServer, MemoryRepository } from "../../support/archive.ts";
import { type Version, VERSIONS } from "../../support/postgres.ts";

setDefaultTimeout(300_000);

const MB = 1 << 20;

async function marksIn({ repository, key }: Archived): Promise<WalMark[]> {
  const { segments, segmentBytes } = await gatherHoldings(repository, [{ key, until: null }], {
    segmentBytes: MB,
  });
  const reader = new WalReader();
  const read = segmentReader(repository);
  const marks: WalMark[] = [];
  for (const segment of segments.toSorted((a, b) => (a.file < b.file ? -1 : 1)))
    marks.push(...reader.read(startOf(segment.number, segmentBytes), await read(segment, {})));
  return marks;
}

describe.each([...VERSIONS])("PostgreSQL %p", (version: Version) => {
  test("commits, restore points and checkpoints are read from WAL as the server tells of them", async () => {
    const it = await archivingServer(version, { track_commit_timestamp: "on" });
    try {
      await it.client.query("create table t (id int, filler text)");
      const told: [number, string][] = [];
      for (let id = 0; id < 12; id += 1) {
        // Some records are longer than a page, and some than a segment's rest; `xid` has sub-transactions in every third.
        const { rows } = await it.client.query(
          `insert into t select ${id}, string_agg(md5(random()::text), '') from generate_series(1, 3000) returning txid_current() as xid`,
        );
        if (id % 3 === 0)
          await it.client
            .query(`begin; savepoint a; insert into t values (1); savepoint b; insert into t values (2);
            insert into t select 3 from generate_series(1, 1000); commit`);
        const xid = Number(rows[0]!.xid);
        const micros = await it.one<string>(
          `select (extract(epoch from pg_xact_commit_timestamp('${xid}')) * 1000000)::bigint::text`,
        );
        told.push([xid, micros]);
      }
      await it.client.query("begin; insert into t values (9); rollback");
      const point = await it.one<string>("select pg_create_restore_point('before the release')");
      await it.client.query("checkpoint");
      await it.collect();
      const marks = await marksIn(it);
      const commits = new Map(
        marks.filter((one) => one.kind === "commit").map((one) => [one.xid, one]),
      );
      for (const [xid, micros] of told)
        expect([xid, String(commits.get(xid)?.time)]).toEqual([xid, micros]);
      const restore = marks.find(({ kind }) => kind === "restore_point")!;
      // The function gives where the record ends.
      expect([restore.name, lsnText(restore.end)]).toEqual(["before the release", point]);
      expect(marks.filter(({ kind }) => kind === "abort").length).toBeGreaterThan(0);
      const checkpoint = marks.findLast(({ kind }) => kind === "checkpoint")!;
      expect(Math.abs(Number(checkpoint.time / 1000n) - Date.now())).toBeLessThan(60_000);
      expect(marks.every(({ lsn }, index) => index === 0 || lsn > marks[index - 1]!.lsn)).toBe(
        true,
      );
    } finally {
      await it.stop();
    }
  });
});

describe("a cluster with two backups", () => {
  let it: Archived;
  /** Moments between which something was committed. */
  const moments: Micros[] = [];
  let named = "";
  let xid = 0;

  const now = async () =>
    BigInt(
      await it.one<string>(
        "select (extract(epoch from clock_timestamp()) * 1000000)::bigint::text",
      ),
    );
  const moment = async () => {
    moments.push(await now());
    await Bun.sleep(2);
    await it.client.query("insert into t values (1)");
    await Bun.sleep(2);
  };

  beforeAll(async () => {
    it = await archivingServer(18);
    await it.client.query("create table t (id int)");
    moments.push(await now()); // 0: before the first backup
    await it.backup("20260101T000000Z-full-aaaaaa");
    for (let turn = 0; turn < 3; turn += 1) {
      await moment(); // 1 to 3
      await it.collect();
    }
    named = await it.one<string>("select pg_create_restore_point('release 7')");
    xid = Number(await it.one("insert into t values (2) returning txid_current()"));
    await it.backup("20260101T010000Z-full-bbbbbb");
    await moment(); // 4
    await it.collect();
    await Bun.sleep(2);
    await it.client.query("checkpoint");
    moments.push(await now()); // 5: in WAL that is not archived
    await it.client.query("insert into t values (3)");
  });
  afterAll(() => it.stop());

  const ask = async (
    wanted: Wanted,
    more: Partial<Question> & { from?: MemoryRepository } = {},
  ) => {
    const repository = more.from ?? it.repository;
    const holdings = await gatherHoldings(repository, [{ key: it.key, until: null }]);
    return restorable(
      holdings,
      { wanted, clock: new Date(), ...more },
      { read: segmentReader(repository) },
    );
  };
  const refused = (work: Promise<unknown>) =>
    work.then(
      (answer) => answer,
      ({ code, message, data }: { code: string; message: string; data: unknown }) => ({
        code,
        message,
        data,
      }),
    ) as Promise<{
      code: string;
      message: string;
      data: { windows: { from: { backup: string } }[] };
    }>;
  const without = (...files: string[]) => {
    const copy = new MemoryRepository();
    for (const [name, object] of it.repository.objects)
      if (!files.some((file) => name.endsWith(`${file}.zst`))) copy.objects.set(name, object);
    return copy;
  };
  const id = (answer: { start: { backup: { record: { id: string } } } }) =>
    answer.start.backup.record.id.slice(-6);

  test("a moment is found between the commits around it, from the newest backup before it", async () => {
    const expected = ["aaaaaa", "aaaaaa", "aaaaaa", "bbbbbb"];
    for (const [index, backup] of expected.entries()) {
      const at = moments[index + 1]!;
      const answer = await ask({ kind: "time", at });
      expect([index, id(answer)]).toEqual([index, backup]);
      // Right behind the last commit, where the backup did not end later.
      const { stop, commit, start } = answer;
      const isBehind = commit !== null && commit.lsn >= start.end;
      expect(stop!.inclusive).toBe(isBehind);
      if (isBehind) expect(stop!.lsn).toBe(commit.lsn);
      expect(answer.commit === null || answer.commit.time <= at).toBe(true);
      expect(answer.proof).toContain("WAL tells of ");
    }
  });

  test("before the first backup, after the last archived record, and in the future, the answer is no, with the window", async () => {
    const before = await refused(ask({ kind: "time", at: moments[0]! }));
    expect([
      before.code,
      before.data.windows.length,
      before.data.windows[0]!.from.backup.slice(-6),
    ]).toEqual(["step_refused", 1, "aaaaaa"]);
    expect(before.message).toStartWith(
      `${iso(moments[0]!)} is before the first backup that can be restored. Timeline 1 can be restored from `,
    );
    const after = await refused(ask({ kind: "time", at: moments[5]! }));
    expect([after.code, after.message.slice(0, after.message.indexOf(":"))]).toEqual([
      "step_refused",
      `WAL up to ${iso(moments[5]!)}`.slice(0, `WAL up to ${iso(moments[5]!)}`.indexOf(":")),
    ]);
    expect(after.message).toContain("is not archived yet");
    const future = await refused(ask({ kind: "time", at: moments[5]! + 86_400_000_000n }));
    expect([future.code, future.message.includes("is still to come")]).toEqual([
      "invalid_param",
      true,
    ]);
  });

  test("where WAL tells of nothing after the backup, the window is its end", async () => {
    const own = "20260101T000000Z-full-aaaaaa";
    const from = without();
    for (const [name, { bytes }] of from.objects) {
      if (!name.endsWith(`/record/${own}.json`)) continue;
      const record = JSON.parse(Buffer.from(bytes).toString()) as object;
      from.put(name, JSON.stringify({ ...record, finished_at: "2999-01-01T00:00:00.000Z" }));
    }
    const no = await refused(ask({ kind: "name", name: "release 8" }, { from, backup: own }));
    expect(no.message).toContain(`to the end of ${own}, of 2999-01-01T00:00:00.000Z`);
  });

  test("a name and a transaction are found where they are", async () => {
    const name = await ask({ kind: "name", name: "release 7" });
    expect([id(name), name.stop!.inclusive]).toEqual(["aaaaaa", true]);
    expect(name.proof).toStartWith(`restore point release 7 is at ${lsnText(name.stop!.lsn)}`);
    expect(name.stop!.lsn < BigInt(`0x${named.split("/")[1]}`)).toBe(true);
    const transaction = await ask({ kind: "xid", xid });
    expect([id(transaction), transaction.commit?.xid]).toEqual(["aaaaaa", xid]);
    expect((await refused(ask({ kind: "name", name: "release 8" }))).message).toStartWith(
      "Restore point release 8 is in no WAL that can be restored",
    );
  });

  test("an LSN, the end of a backup and the end of WAL", async () => {
    const immediate = await ask({ kind: "immediate" }, { backup: "20260101T000000Z-full-aaaaaa" });
    expect([id(immediate), immediate.stop!.lsn]).toEqual(["aaaaaa", immediate.start.end]);
    const latest = await ask({ kind: "latest" });
    expect([id(latest), latest.stop]).toEqual(["bbbbbb", null]);
    const lsn = await ask({ kind: "lsn", lsn: immediate.start.end + 8n });
    expect(id(lsn)).toBe("aaaaaa");
    expect((await refused(ask({ kind: "lsn", lsn: latest.start.reach + 1n }))).message).toContain(
      "its WAL does not reach so far",
    );
    expect(
      (
        await refused(
          ask({ kind: "time", at: moments[1]! }, { backup: "20260101T010000Z-full-bbbbbb" }),
        )
      ).message,
    ).toContain("is before the first backup that can be restored");
    expect((await refused(ask({ kind: "latest" }, { backup: "nosuch" }))).message).toContain(
      "there is no physical backup with this id",
    );
  });

  test("a lost segment is named, and what lies before it can still be restored", async () => {
    const first = await ask({ kind: "time", at: moments[1]! });
    const [holed] = (await gatherHoldings(it.repository, [{ key: it.key, until: null }])).segments
      .map(({ file }) => file)
      .filter((file) => parseSegment(file, MB)!.number > first.stop!.lsn / BigInt(MB) + 1n);
    const from = without(holed!);
    expect(id(await ask({ kind: "time", at: moments[1]! }, { from }))).toBe("aaaaaa");
    const lost = await refused(ask({ kind: "time", at: moments[3]! }, { from }));
    expect([lost.code, lost.message.includes(holed!)]).toEqual(["step_refused", true]);
    expect(lost.data.windows.map((one) => one.from.backup.slice(-6))).toEqual(["aaaaaa", "bbbbbb"]);
    // The other backup needs none of it.
    expect(id(await ask({ kind: "time", at: moments[4]! }, { from }))).toBe("bbbbbb");
  });

  test("a segment that was cut short is damaged, and not the end of WAL", async () => {
    const { stop } = await ask({ kind: "time", at: moments[1]! });
    const from = without();
    const name = walName(it.key, lastFileBefore(stop!.lsn));
    const { bytes, at } = it.repository.objects.get(name)!;
    from.put(name, zstdCompressSync(zstdDecompressSync(bytes).subarray(0, MB / 2)), at);
    await expect(ask({ kind: "time", at: moments[1]! }, { from })).rejects.toMatchObject({
      code: "backup_damaged",
    });
  });

  test("a store whose clock is an hour off finds the same", async () => {
    for (const off of [-3_600_000, 3_600_000]) {
      const from = without();
      for (const [name, { bytes, at }] of it.repository.objects)
        from.put(name, bytes, new Date(at.getTime() + off));
      for (const at of moments.slice(1, 5)) {
        const [right, found] = [
          await ask({ kind: "time", at }),
          await ask({ kind: "time", at }, { from }),
        ];
        expect([off, found.stop]).toEqual([off, right.stop]);
      }
    }
  });

  test("of an origin counts what was before the copy left it", async () => {
    const at = moments[2]!;
    const { stop } = await ask({ kind: "time", at });
    const copy = { ...it.key, cluster_id: "c2" };
    const from = without();
    from.put(`${historyPrefix(copy)}00000002.history`, `1\t${lsnText(stop!.lsn)}\tbefore\n`);
    const branch = it.repository.objects.get(
      [...it.repository.objects.keys()].find((name) => name.includes(lastFileBefore(stop!.lsn)))!,
    )!;
    from.objects.set(
      walName(copy, lastFileBefore(stop!.lsn).replace(/^00000001/, "00000002")),
      branch,
    );
    // The original fails over later, and gives its own timeline the same number.
    from.put(
      `${historyPrefix(it.key)}00000002.history`,
      "1\t0/7000000\tno recovery target specified\n",
    );
    const holdings = await gatherHoldings(from, [
      { key: copy, until: null },
      { key: it.key, until: { timeline: 1, lsn: stop!.lsn } },
    ]);
    expect(holdings.histories.get(2)?.[0]?.until).toBe(stop!.lsn);
    expect(holdings.backups.map(({ record }) => record.id.slice(-6))).toEqual(["aaaaaa"]);
    expect(
      holdings.segments.every(
        ({ timeline, number }) => timeline === 2 || number <= stop!.lsn / BigInt(MB),
      ),
    ).toBe(true);
  });
});

test("a segment that is damaged, or breaks off on its way, is an error that says so", async () => {
  const key = { system_identifier: "7", version: 18, cluster_id: "c1" };
  const file = "000000010000000000000001";
  const held = { timeline: 1, number: 1n, file, at: new Date(0), source: key };
  const packed = zstdCompressSync(Buffer.alloc(MB, "x"));
  const from = new MemoryRepository();
  const read = () => segmentReader(from)(held, {});
  from.put(walName(key, file), packed);
  expect((await read()).length).toBe(MB);
  from.put(walName(key, file), "nothing of the kind");
  await expect(read()).rejects.toMatchObject({
    code: "repository_failed",
    message: `${walName(key, file)} is damaged in the repository`,
  });
  const broken = new PgdbaError("repository_failed", "The line broke", { retryable: true });
  from.read = async () =>
    (async function* () {
      yield packed.subarray(0, 8);
      throw broken;
    })();
  await expect(read()).rejects.toBe(broken);
});

const lastFileBefore = (lsn: bigint) =>
  `000000010000000000000${(lsn / BigInt(MB)).toString(16).toUpperCase().padStart(3, "0")}`;
