import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { readControlState } from "../../../providers/postgres/control-state.ts";
import { clientOf, sharedServer } from "../../support/postgres.ts";

test.each([13, 18] as const)(
  "PostgreSQL %i: the file says what the server says of it",
  async (version) => {
    const server = await sharedServer(version);
    const client = await clientOf(server);
    try {
      await client.query("CHECKPOINT");
      const { rows } = await client.query(`
      SELECT system_identifier::text, pg_control_version AS version, checkpoint_lsn::text AS checkpoint,
        timeline_id AS timeline, current_setting('data_directory') AS dir
      FROM pg_control_system(), pg_control_checkpoint()`);
      const { dir, ...said } = rows[0];
      const file = readFileSync(join(dir, "global/pg_control"));
      expect(readControlState(file)).toEqual({ ...said, state: "in production" });
    } finally {
      await client.end();
    }
  },
);

test("a file of another kind is none, and one of the other byte order is read as well", () => {
  expect(readControlState(Buffer.alloc(20))).toBeNull();
  expect(readControlState(Buffer.alloc(8192))).toBeNull();
  const file = Buffer.alloc(8192);
  file.writeBigUInt64BE(7_713_212_021_679_368_422n, 0);
  file.writeUInt32BE(1300, 8);
  file.writeUInt32BE(1, 16);
  file.writeBigUInt64BE(0x1_0200_0028n, 32);
  file.writeUInt32BE(7, 48);
  expect(readControlState(file)).toEqual({
    system_identifier: "7713212021679368422",
    version: 1300,
    state: "shut down",
    checkpoint: "1/2000028",
    timeline: 7,
  });
});
