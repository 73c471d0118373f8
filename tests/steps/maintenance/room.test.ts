import { expect, test } from "bun:test";
import room from "../../../steps/maintenance/room.ts";
import { fakeContext } from "../../support/context.ts";

const GB = 1 << 30;
const rows = [{ here: 3 * GB, elsewhere: 0 }];

/** A server with a table of three gigabytes; `free` is what its node tells of its disk. */
function on(free: number | null, table = rows) {
  const pg = { query: async () => ({ rows: table, row_count: 1, command: "SELECT" }) };
  const disks = [{ of: "data", path: "/data", freeBytes: free, totalBytes: 100 * GB }];
  return fakeContext({
    target: {
      facts: async () => ({
        facts: free === null ? {} : { member: "pg1" },
        capabilities: free === null ? [] : ["nodes"],
      }),
      use: async (what: string) =>
        what === "nodes" ? { facts: async () => ({ disks }) } : { session: async () => pg },
    } as never,
  });
}
const input = { tables: [{ schema: "s", table: "Big" }] };

test("a disk that would be full is refused, one with room is told, and one that nobody sees is a warning", async () => {
  expect(await room.run(on(5 * GB), input)).toEqual({ bytes: 3 * GB, free_bytes: 5 * GB });
  const refused = await room.run(on(3 * GB), input).catch((error) => error);
  expect(refused).toMatchObject({ code: "step_refused", data: { needed_bytes: 3 * GB } });
  const unseen = on(null);
  expect(await room.run(unseen, input)).toEqual({ bytes: 3 * GB, free_bytes: null });
  expect(unseen.recorded.warnings).toEqual([expect.stringContaining("can't be seen from here")]);
  const tablespace = on(5 * GB, [{ here: 0, elsewhere: 3 * GB }]);
  expect((await room.run(tablespace, input)).free_bytes).toBeNull();
});
