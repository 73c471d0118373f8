import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseOrigin } from "../../../providers/backup/origins.ts";
import type { Repository } from "../../../providers/repository/contract.ts";
import { makeRepository, openRepository } from "../../../providers/repository/open.ts";
import catalogue from "../../../steps/backup/catalogue.ts";
import { fakeContext } from "../../support/context.ts";

const base = mkdtempSync(join(tmpdir(), "pgdba-catalogue-step-"));
afterAll(() => rmSync(base, { recursive: true, force: true }));

test("what the original of a copy has is read for a list alone, and not where none is asked for", async () => {
  const place = { kind: "directory", path: join(base, "backups") } as const;
  await makeRepository(place);
  const opened = await openRepository(place);
  const asked: string[] = [];
  const repository: Repository = Object.create(opened, {
    names: {
      value: (prefix: string, options: object) => {
        asked.push(prefix);
        return opened.names(prefix, options);
      },
    },
  });
  const ctx = fakeContext({
    run: { id: "r", stateDir: base },
    target: {
      name: "copy",
      facts: async () => ({
        state: "down",
        identity: null,
        capabilities: ["repository"],
        facts: {},
      }),
      use: async () => ({
        repository,
        key: { system_identifier: "7", version: 18, cluster_id: "copy" },
        origins: [parseOrigin("7/18/first@1:0/3000000")],
      }),
    },
  });
  const told = async (last: number | null) => {
    asked.length = 0;
    const { origins } = await catalogue.run(ctx, { last });
    return [origins, asked.some((prefix) => prefix.startsWith("7/18/first/"))];
  };
  expect(await told(100)).toEqual([
    [{ part: "7/18/first", timeline: 1, lsn: "0/3000000", total: 0, backups: [] }],
    true,
  ]);
  expect(await told(0)).toEqual([[], false]);
  await opened.close();
});
