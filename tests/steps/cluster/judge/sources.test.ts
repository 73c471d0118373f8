import { expect, test } from "bun:test";
import type { Facts } from "../../../../providers/nodes/contract.ts";
import { sourcesOf } from "../../../../steps/cluster/judge/sources.ts";
import { api, no, ok, primary, seen, server, sound } from "./support.ts";

const disks = ok({ disks: [] } as unknown as Facts);

test("whose answer is missing is named, by what was asked", () => {
  const late = no("no answer within 3 s");
  const gathered = sound({
    nodes: ok([]),
    faults: late,
    config: late,
    members: [
      seen("pg1", primary(), { facts: disks, beside: ok([]), api: api({}) }),
      seen("pg2", server(), { facts: late, beside: null, api: api({}) }),
      seen("pg3", null, { facts: late, beside: late }),
    ],
  });
  const certificates = [{ member: "pg2", of: "PostgreSQL" as const, why: "none was shown" }];
  const found = sourcesOf(gathered, certificates);
  const lacking = found.flatMap(({ source, asked, answered, silent, why }) =>
    asked === answered ? [] : [[source, asked, answered, silent, why]],
  );
  expect(lacking).toEqual([
    ["members' PostgreSQL", 3, 2, ["pg3"], "no answer"],
    ["Patroni's configuration", 1, 0, [], "no answer within 3 s"],
    ["disks", 3, 1, ["pg2", "pg3"], "no answer within 3 s"],
    ["folders beside the data", 2, 1, ["pg3"], "no answer within 3 s"],
    ["faults of drills", 1, 0, [], "no answer within 3 s"],
    ["certificates", 1, 0, ["PostgreSQL of pg2"], "none was shown"],
  ]);
});

test("what the cluster does not have is not asked, and what all have told is told of nobody", () => {
  expect(
    sourcesOf(sound({ patroni: null, config: null, members: [seen("a", primary())] }), []),
  ).toEqual([{ source: "members' PostgreSQL", asked: 1, answered: 1, silent: [], why: null }]);
});
