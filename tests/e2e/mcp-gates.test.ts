/** What an agent is told before and at a gate, by `pgdba mcp`. */
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import type { Client } from "@modelcontextprotocol/client";
import { call, connectTo } from "./mcp-client.ts";
import { at, cli, place, removePlaces, runbooks } from "./support.ts";

setDefaultTimeout(300_000);

const NOTE = "exec: {argv: [sh, -c, 'echo x >> notes']}";
const p = place({
  ...runbooks({
    "t/harsh": `summary: Interrupts
description: Look with --plan first; --limit is how many, and \`--size\` how large. It needs --yes.
risk: disruptive
params: {limit: {type: integer, description: As --size}, size: {type: integer}, text: {type: string}}
steps: [{id: n, ${NOTE}}]
`,
    "t/sure": `summary: Drops
risk: disruptive
params: {confirmed: {type: string, confirms: true}}
steps:
  - {when: params.confirmed == null, confirm: {question: "Sure?", expect: old}}
  - {id: n, ${NOTE}}
`,
    "t/approved": `summary: Waits for a word
risk: change
steps: [{id: n, ${NOTE}}]
`,
    "t/plain": `summary: Changes
risk: change
steps: [{id: n, ${NOTE}}]
`,
    "t/calls": `summary: Gives commands
risk: read
steps:
  - id: made
    set: {list: "[{'name': 'a', 'command': 'pgdba t plain'}]", own: "{'call': 1}"}
output: {list: steps.made.output.list, own: steps.made.output.own}
`,
    "t/lacks": `summary: Lacks something
risk: read
needs: [postgres]
params: {password: {type: string, secret: true}}
steps: [{id: w, wait: {for: 1ms}}]
`,
  }),
  "etc/policy.yaml":
    "rules:\n  - {match: {runbook: t/approved}, action: approve, by: {users: [daemon]}}\n",
});

const clients: Client[] = [];
async function connect(...flags: string[]): Promise<Client> {
  const client = await connectTo(p, flags);
  clients.push(client);
  return client;
}
afterAll(async () => {
  await Promise.all(clients.map((each) => each.close()));
  removePlaces();
});

test("a call with a long parameter is refused in a short answer, whose command is told to be shortened", async () => {
  const client = await connect();
  const params = { text: "it's long ".repeat(6_600), limit: 7 };
  for (const brief of [true, false]) {
    const asked = await call(client, "run", { runbook: "t/harsh", params, brief });
    expect(asked.envelope.error?.code).toBe("approval_needed");
    expect(asked.bytes).toBeLessThan(4_000);
    for (const text of [asked.said, asked.envelope.error?.hint]) {
      expect(text).toContain("they run: pgdba run t/harsh '--text=it'");
      expect(text).toContain("--limit=7 --yes (shortened here");
      expect(text).toMatch(/… \(\d+ more characters\)/);
    }
  }
});

test("a plan tells what stands before the run, by each door", async () => {
  const [client, trusted] = [await connect(), await connect("--agent-confirms")];
  const gate = { answer: "ask", gate: "disruptive", opens: ["--yes"] };
  for (const brief of [true, false]) {
    const own = await call(trusted, "plan", { runbook: "t/harsh", brief });
    expect(at(own.envelope.data, "run", "gate")).toMatchObject(gate);
    for (const text of [own.said, at(own.envelope.data, "run", "gate", "hint")])
      expect(text).toContain("which you may give when this is wanted: yes: true");
  }
  for (const brief of [true, false])
    expect((await call(trusted, "plan", { runbook: "t/sure", brief })).said).toContain(
      'yes: true, params.confirmed: "old"',
    );
  const persons = await call(client, "plan", { runbook: "t/harsh" });
  expect(persons.said).toMatch(/^Done\. The tool run will ask for a confirmation\. .*person/);
  const approved = await call(trusted, "plan", { runbook: "t/approved" });
  expect(approved.said).toContain("will ask for an approval by daemon");
  const free = await call(client, "plan", { runbook: "t/plain" });
  expect(at(free.envelope.data, "run")).not.toHaveProperty("gate");
  expect(free.said).not.toContain("will ask");
  const line = await cli(["t", "harsh", "--plan"], p);
  expect(at(line.envelope, "data", "run", "gate")).toMatchObject({
    ...gate,
    hint: expect.stringContaining("--yes"),
  });
  const sure = await cli(["t", "harsh", "--plan", "--yes"], p);
  expect(at(sure.envelope, "data", "run")).not.toHaveProperty("gate");
});

test("who may confirm is told at the beginning and at the gate", async () => {
  const [client, trusted] = [await connect(), await connect("--agent-confirms")];
  const why = "started without --agent-confirms";
  expect(client.getInstructions()).toContain(why);
  expect(trusted.getInstructions()).not.toContain("--agent-confirms");
  const asked = await call(client, "run", { runbook: "t/harsh" });
  expect(asked.said).toContain(why);
  expect(asked.said).toContain("You may run what does less and asks for no confirmation");
});

test("texts name arguments of the tools, not flags", async () => {
  const client = await connect();
  const { data } = (await call(client, "show", { runbook: "t/harsh" })).envelope;
  expect(at(data, "description")).toBe(
    "Look with the tool plan first; params.limit is how many, and params.size how large. It needs a person's confirmation.",
  );
  expect(JSON.stringify(data)).toContain("As params.size");
  const stray = { runbook: "t/calls", params: { select: ["list"] } };
  const wrong = (await call(client, "run_read", stray)).envelope.error;
  expect(wrong).toMatchObject({
    code: "invalid_param",
    hint: expect.stringContaining("beside params"),
  });
  const unknown = { runbook: "t/calls", params: { no_such: 1 } };
  const error = (await call(client, "run_read", unknown)).envelope.error;
  expect(error?.message).toContain("params.no_such");
  expect(JSON.stringify([wrong, error])).not.toContain("--");
});

test("select takes a call by the name that it has in the answer, and by that of the command line", async () => {
  const client = await connect();
  for (const path of ["list.call", "list.command", "list.call.tool"]) {
    const { data } = (await call(client, "run_read", { runbook: "t/calls", select: [path] }))
      .envelope;
    expect(data).toMatchObject({ list: [{ call: { tool: "run" } }] });
    expect(data).not.toHaveProperty("not_there");
  }
  const select = ["own.call", "none.call", "other"];
  const { data } = (await call(client, "run_read", { runbook: "t/calls", select })).envelope;
  expect(data).toMatchObject({ own: { call: 1 }, not_there: ["none.call", "other"] });
});

test("a secret that is missing is for the person who starts the server", async () => {
  const client = await connect();
  const params = { password: "env:NOT_SET_ANYWHERE" };
  const { envelope } = await call(client, "run_read", { runbook: "t/lacks", params });
  expect(envelope.error).toMatchObject({
    code: "missing_secret",
    hint: expect.stringContaining("the person who starts it sets them"),
  });
});
