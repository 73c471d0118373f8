import { afterAll, expect, test } from "bun:test";
import { cli, place, removePlaces, runbooks } from "./support.ts";

afterAll(removePlaces);

const runbook = (name: string, other: string) => `summary: s
risk: read
params:
  other: {type: boolean, default: false, runbook: ${other}}
  word: {type: string, runbook: ${other}}
steps:
  - set: {a: 1}
output:
  is: "'${name}'"
`;

test("a parameter leads to another runbook once, also where the two name each other", async () => {
  const at = place(
    runbooks({ "team/x": runbook("x", "team/y"), "team/y": runbook("y", "team/x") }),
  );
  expect((await cli(["team", "x"], at)).envelope).toMatchObject({ data: { is: "x" } });
  const led = await cli(["team", "x", "--other"], at);
  expect(led.envelope).toMatchObject({ command: "team y", data: { is: "y" } });
  expect((await cli(["team", "x", "--word", "w"], at)).envelope).toMatchObject({
    command: "team y",
    data: { is: "y" },
  });
  expect((await cli(["team", "x", "--no-other"], at)).envelope).toMatchObject({
    data: { is: "x" },
  });
});
