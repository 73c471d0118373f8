import { expect, test } from "bun:test";
import type { BackupRecord } from "../../../providers/backup/record.ts";
import { bytesOfData, bytesToRestore } from "../../../providers/backup/space.ts";

const GB = 1 << 30;

function record(bytes: number, databases: number): BackupRecord {
  const of = { name: "app", bytes: databases, tables: null };
  return { bytes, databases: [of] } as unknown as BackupRecord;
}

test("the databases of a chain are those of its last backup, also where its full one is the larger file", () => {
  const chain = [record(10 * GB, 10 * GB), record(9 * GB, 18 * GB)];
  expect(bytesOfData(chain, 0)).toBe(18 * GB);
  expect(bytesToRestore(chain, 0)).toBe(37 * GB);
});

test("of the WAL to replay only so much lies there at a time, and a backup alone has no parts", () => {
  expect(bytesOfData([record(10 * GB, 8 * GB)], 50 * GB)).toBe(11 * GB);
  expect(bytesToRestore([record(10 * GB, 8 * GB)], 16 << 20)).toBe(10 * GB + (16 << 20));
});
